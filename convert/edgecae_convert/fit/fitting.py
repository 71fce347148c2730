"""Fit a shipped model to a camera: record, measure, train, convert, judge."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import atomic, models
from edgecae import noise as noise_models
from edgecae.device.machine import available_cores
from edgecae.errors import SettingError
from edgecae.media.sources import SourceSettings
from edgecae.noise import encoded, measure, noise_file
from edgecae.noise.camera import CameraNoise
from edgecae.noise.measured import MeasuredNoise
from edgecae.noise.mixture import Mixture
from edgecae.redact import redacted
from edgecae_convert.conversion import convert
from edgecae_convert.fit import frames, judging
from edgecae_convert.fit.judging import Gain, Pairs
from edgecae_convert.fit.plan import Fit, fit_recipe, seconds_per_step, start_of, steps_within
from edgecae_convert.report.results import TooMuchLostError
from edgecae_train import loop, recipe
from edgecae_train.run import held_out_folder
from edgecae_train.training_set import AGAINST, HeldOutPictures, read_held_out

__all__ = ["Fitted", "fit"]

MAX_DROP = 0.3
"""dB that int8 may lose against the float network. What decides is the comparison with the shipped
file, which has lost as well: at weak noise, 8 bits alone cost a tenth of a dB."""

VALIDATIONS = 5
"""Of a training, each with a checkpoint: on large photos they take as long as many steps."""

MADE = "photos with the measured noise"
REAL = "frames of the source"


@dataclass(frozen=True)
class Fitted:
    """What a fit came to.

    Attributes:
        output: the model file that was written.
        kept: ``fitted``, or ``shipped`` where that one is as good: the file is a copy of it then.
        why: in a sentence.
        gains: by what was measured on; none where int8 lost too much.
        steps: of training.
        picture: before and after, where there are results to show.
        seconds: that each part took this time, by its name; what was there already took none.
        warnings: about the noise, a sentence each.
    """

    output: Path
    kept: str
    why: str
    gains: tuple[Gain, ...]
    steps: int
    picture: Path | None
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return {
            "output": str(self.output),
            "kept": self.kept,
            "why": self.why,
            "gains": [each.to_dict() for each in self.gains],
            "steps": self.steps,
            "picture": self.picture and str(self.picture),
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "warnings": list(self.warnings),
        }


def _claim(work: Path, asked: Fit) -> None:
    """Make the working folder, or find it again with the same question.

    Raises:
        SettingError: it holds the fit of something else, or what is no fit.
    """
    said = {**asked.to_dict(), "source": redacted(asked.source)}
    note = work / "fit.json"
    if note.exists():
        before = json.loads(note.read_text(encoding="utf-8"))
        if differs := [name for name in said if before.get(name) != said[name]]:
            name = differs[0]
            raise SettingError(
                f"{work} holds a fit with {name} {before.get(name)!r}, not {said[name]!r}: name "
                "another folder with --work, or delete it"
            )
        return
    if work.exists() and any(work.iterdir()):
        raise SettingError(f"{work} is no folder of a fit: name another one with --work")
    atomic.write_text(note, json.dumps(said, indent=2) + "\n")


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = time.monotonic() - began


def _measured(asked: Fit, work: Path, announce: Callable[[str], None]) -> tuple[str, ...]:
    """Measure the noise of the recorded frames, unless that is done; return its warnings."""
    path = work / "noise.toml"
    if not path.exists():
        excerpt = encoded.Excerpt(frames.read_frames(work / "frames"))
        found = measure.measure_noise(excerpt)
        cameras: tuple[encoded.LikeCamera, ...] = ()
        if found.time and found.time[0] > encoded.LASTING:
            announce("the frames are of compressed video: looking for cameras that make such")
            cameras = encoded.find_cameras(
                excerpt.kept, threads=available_cores(), announce=announce
            )
            if not cameras:
                announce("no such camera is found: what still frames show is used")
            found = found.explained() if cameras else found
        noise_file.write_noise_file(path, found, redacted(asked.source), cameras=cameras)
    return noise_file.read_warnings(path)


def _scene(noise: noise_models.Noise, mean: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What was before the camera, where the mean of its frames is known: noise shifts that."""
    if isinstance(noise, MeasuredNoise):
        return noise.scene(mean)
    if isinstance(noise, Mixture):  # of a noise file with cameras, the best of them first
        camera = next(each for each in noise.kinds if isinstance(each, CameraNoise))
        return encoded.scene_of(mean, camera)
    return mean


def _train(
    asked: Fit,
    work: Path,
    seconds_left: float,
    announce: Callable[[str], None],
    report: Callable[[loop.Event], None],
) -> int:
    """Train, or go on with a training that was interrupted; return its steps."""
    run = work / "run"
    if (run / "recipe.toml").exists():
        settings = recipe.read(run / "recipe.toml")
        if not (run / "float.weights.h5").exists():
            loop.train(settings, run, resume=True, announce=announce, report=report)
        return settings.float_phase.steps
    settings = fit_recipe(asked, work / "noise.toml" if asked.source else None)
    steps = asked.steps
    if not steps:
        began = time.monotonic()
        each = seconds_per_step(settings)
        steps = steps_within(seconds_left - (time.monotonic() - began), each)
        announce(f"{steps} steps of {each:.2f} s")
    changes = {"float.steps": steps, "validate_every": -(-steps // VALIDATIONS)}
    settings = recipe.with_changes(settings, changes)
    start = start_of(asked.model)
    loop.train(settings, run, start=start, announce=announce, report=report)
    return steps


def _judged_on(asked: Fit, work: Path, held_out: HeldOutPictures) -> dict[str, Pairs]:
    """Pictures that training did not see, by what they are; the realest first."""
    if not asked.source:
        kind = "pairs" if asked.pairs else "bursts"
        return {f"held-out {kind}, against the {AGAINST[kind]}": held_out.pairs}
    noise = noise_models.parse(str(work / "noise.toml"))
    rng = np.random.default_rng(0)
    made = {f"held-out {MADE}": [noise.pair(image, rng) for image in held_out.clean]}
    real = frames.judging_pairs(work / "frames")
    real = [(noisy, _scene(noise, mean)) for noisy, mean in real]
    return {f"{REAL}, against the mean of the others": real, **made} if real else {**made}


def fit(
    asked: Fit,
    output: Path,
    work: Path | None = None,
    *,
    source_settings: SourceSettings | None = None,
    overwrite: bool = False,
    announce: Callable[[str], None] = lambda line: None,
    report: Callable[[loop.Event], None] = lambda event: None,
) -> Fitted:
    """Fit a shipped model to a camera, and write the better of the two.

    A fit that was interrupted goes on where it stopped when it is asked for again.

    Args:
        asked: what to fit to, and with what.
        output: the model file to write.
        work: folder for what is recorded, measured and trained; beside the output unless given.
        source_settings: of the source.
        overwrite: replace an existing file.
        announce: told what goes on, a line each.
        report: told about every step of the training.

    Returns:
        What it came to. The file is a copy of the shipped model where the fitted one is more than
        :data:`.judging.MAX_WORSE` dB worse by any figure, or no better.

    Raises:
        SettingError: not one of source, pairs and bursts is given, or ``work`` holds another fit.
        SourceError: the source can't be read.
        NoiseError: its noise can't be measured.
        DataError: there is nothing to train on.
        SinkError: the file exists, or can't be written.
    """
    began = time.monotonic()
    if sum(map(bool, (asked.source, asked.pairs, asked.bursts))) != 1:
        raise SettingError("give one of a source, --pairs and --bursts")
    atomic.check(output, overwrite)
    work = work or output.with_suffix(".fit")
    _claim(work, asked)
    seconds: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    if asked.source:
        with _timed(seconds, "record"):
            settings = source_settings or SourceSettings()
            count = frames.record(asked.source, settings, asked.frames, work / "frames")
        announce(f"{count} frames in {work / 'frames'}")
        with _timed(seconds, "measure"):
            warnings = _measured(asked, work, announce)
        announce(f"noise in {work / 'noise.toml'}")
    with _timed(seconds, "train"):
        left = 60 * asked.minutes - (time.monotonic() - began)
        steps = _train(asked, work, left, announce, report)
    shipped, fitted = models.find_model(asked.model), work / "fitted.tflite"
    try:
        with _timed(seconds, "convert"):
            convert(
                work / "run", fitted, ptq=True, max_drop=MAX_DROP, max_low_drop=np.inf,
                overwrite=True,
            )  # fmt: skip
    except TooMuchLostError as error:
        atomic.write_bytes(output, shipped.read_bytes(), overwrite)
        return Fitted(output, "shipped", str(error), (), steps, None, seconds, warnings)
    with _timed(seconds, "judge"):
        pairs = _judged_on(asked, work, read_held_out(held_out_folder(work / "run")))
        gains = judging.judge(shipped, fitted, pairs)
        picture = work / "before-after.png"
        last = "mean of the others" if asked.bursts or len(pairs) > 1 else "clean"
        judging.draw(picture, shipped, fitted, next(iter(pairs.values())), last)
    better, why = judging.verdict(gains)
    chosen = fitted if better else shipped
    atomic.write_bytes(output, chosen.read_bytes(), overwrite)
    kept = "fitted" if better else "shipped"
    return Fitted(output, kept, why, tuple(gains), steps, picture, seconds, warnings)
