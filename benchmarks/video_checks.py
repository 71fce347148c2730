"""Measure what a recurrent model must not do: leave trails, drift, begin slowly.

    python benchmarks/video_checks.py --photos photos/ nano-video small-video

All is compared with the still model that it is made of, on the same noisy frames: ``nano`` for
``nano-video``, also for a file of that name.

*Beginning*: PSNR less that of the still model, dB, of the first frame, of the first after a cut
from one photo to another, and of the first of another size.

*Trail*: a rectangle of another photo rests on a still photo, then moves over it by 3 pixels a
frame. What it uncovers is looked at by its age, the frames since it was uncovered. ``excess``:
error (MSE) over that of the still model, dB. ``left``: how much of the rectangle is still seen
there, less what is seen in the still model's result. That is the projection of (result − clean) on
(what covered the pixel − clean); 1 is all of it.

*Drift*: a small still scene. ``offset``: mean colour of the last tenth of the results, less that
of the clean scene, levels, of the worst channel; ``still`` is that of the still model. ``drift``:
the mean colour of the last tenth, less that of the second. ``wander``: how far the mean colour of
a frame lies from that of its tenth, root mean square, in what the still model has. *In the dark*,
noise is cut at black, which raises the mean of frames. Without noise, ``repeats``: different
pictures among the last hundred results; 1 is no limit cycle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser
from edgecae.media import images
from edgecae.noise import gaussian
from edgecae.quality import psnr

__all__ = ["Drift", "Trail", "beginnings", "drift", "read_photos", "repeats", "still_of", "trail"]

REST, MOVE, STEP = 12, 24, 3
"""Of the rectangle: frames that it rests and moves, and pixels a frame."""

OBJECT = (48, 32)
"""Its height and width, pixels."""

AGES = 8
"""Frames for which what was uncovered is looked at."""

BEFORE = 6
"""Frames before a cut and before another size."""

SIDE = 16
"""Of the scene that may drift, pixels."""

TENTHS = 10

Pixels = NDArray[np.uint8]


def still_of(model: str) -> str:
    """The still model that a recurrent one is made of.

    Raises:
        ValueError: the name does not say.
    """
    name = Path(model).stem
    if not name.endswith("-video"):
        raise ValueError(f"{model} is not called like NAME-video")
    return name.removesuffix("-video")


def read_photos(folder: Path) -> list[Pixels]:
    """Read the PNG files of a folder, cut to one size: the upper left corner, H×W×3."""
    pictures = [images.read(path).pixels for path in sorted(folder.glob("*.png"))]
    height, width = np.min([picture.shape[:2] for picture in pictures], axis=0)
    return [np.ascontiguousarray(picture[:height, :width]) for picture in pictures]


def _decibels(ratio: Any) -> Any:
    return 10 * np.log10(ratio)


def beginnings(model: str, photos: Sequence[Pixels], sigma: float) -> dict[str, float]:
    """PSNR less that of the still model, dB, by what begins; the worst of a few.

    Args:
        model: name or file.
        photos: at least two, uint8, H×W×3, of one size.
        sigma: σ of the noise.
    """
    rng, noise = np.random.default_rng(0), gaussian(sigma)
    found: dict[str, list[float]] = {"first frame": [], "cut": [], "size": []}
    with Denoiser(model) as denoiser, Denoiser(still_of(model)) as still:

        def gain(clean: Pixels) -> float:
            frame = noise.add(clean, rng)
            result, alone = denoiser.process(frame), still.process(frame)
            return psnr(clean, result) - psnr(clean, alone)

        for before, after in zip(photos, [*photos[1:], photos[0]], strict=True):
            denoiser.reset()
            found["first frame"].append(gain(before))
            for _ in range(BEFORE):
                gain(before)
            found["cut"].append(gain(after))
            for _ in range(BEFORE):
                gain(after)
            found["size"].append(gain(np.ascontiguousarray(after[8:-8, 4:-20])))
    return {what: min(gains) for what, gains in found.items()}


@dataclass(frozen=True)
class Trail:
    """What a moving rectangle leaves behind.

    Attributes:
        excess: error over the still model's, dB, by age.
        left: how much of the rectangle is seen, less what the still model leaves, by age.
        worst: the largest excess of one frame, over all that was uncovered in the frames before.
    """

    excess: tuple[float, ...]
    left: tuple[float, ...]
    worst: float


def _moving(photo: Pixels, other: Pixels, opacity: float) -> Iterator[tuple[Pixels, NDArray[Any]]]:
    """Frames, and for each what is covered, H×W."""
    height, width = OBJECT
    top, left = (photo.shape[0] - height) // 2, 8
    corner = np.s_[top : top + height, left : left + width]
    middle = np.s_[top : top + height, 48 : 48 + width]
    thing = (1 - opacity) * photo[corner] + opacity * other[middle].astype(float)
    for number in range(REST + MOVE):
        at = left + STEP * max(0, number - REST + 1)
        frame, covered = photo.copy(), np.zeros(photo.shape[:2], bool)
        place = np.s_[top : top + height, at : at + width]
        frame[place], covered[place] = np.rint(thing), True
        yield frame, covered


def trail(model: str, photo: Pixels, other: Pixels, sigma: float, opacity: float = 1.0) -> Trail:
    """Measure what a rectangle of ``other`` leaves behind on ``photo``.

    Args:
        model: name or file.
        photo: uint8, H×W×3, at least 64×112.
        other: likewise.
        sigma: σ of the noise.
        opacity: of the rectangle: 1 is a picture of its own, and 0 is what lay below it at first.
    """
    rng, noise = np.random.default_rng(0), gaussian(sigma)
    age = np.full(photo.shape[:2], AGES)
    ghost = np.zeros(photo.shape)
    errors = np.zeros((2, AGES))
    shares = np.zeros((2, AGES))
    weights = np.zeros(AGES)
    worst = -np.inf
    before = np.zeros(photo.shape[:2], bool)
    last = photo
    with Denoiser(model) as denoiser, Denoiser(still_of(model)) as still:
        for clean, covered in _moving(photo, other, opacity):
            frame = noise.add(clean, rng)
            results = [each.process(frame) - clean.astype(float) for each in (denoiser, still)]
            age = np.where(covered, AGES, np.minimum(age + 1, AGES))
            age[before & ~covered] = 0
            ghost[before & ~covered] = (last - clean.astype(float))[before & ~covered]
            recent = (age > 0) & (age < AGES)
            if recent.any():
                now = [np.square(error[recent]).mean() for error in results]
                worst = max(worst, _decibels(now[0] / now[1]))
            for old in range(AGES):
                there = age == old
                for which, error in enumerate(results):
                    errors[which, old] += np.square(error[there]).sum()
                    shares[which, old] += (error[there] * ghost[there]).sum()
                weights[old] += np.square(ghost[there]).sum()
            before, last = covered, clean
    excess, left = _decibels(errors[0] / errors[1]), (shares[0] - shares[1]) / weights
    return Trail(tuple(excess.tolist()), tuple(left.tolist()), float(worst))


@dataclass(frozen=True)
class Drift:
    """Mean colour of the results of a long still scene; the module's docstring says more.

    Attributes:
        offset: levels, of the worst channel.
        still: likewise.
        drift: likewise.
        wander: in what the still model has.
    """

    offset: float
    still: float
    drift: float
    wander: float


def _small(photo: Pixels) -> Pixels:
    return np.ascontiguousarray(photo[32 : 32 + SIDE, 48 : 48 + SIDE])


def drift(
    model: str, photo: Pixels, sigma: float, frames: int = 10_000, dark: bool = False
) -> Drift:
    """Measure how mean colour moves in a small still scene with noise.

    Args:
        model: name or file.
        photo: uint8, H×W×3, of which a small part is the scene, with half of its contrast: 64 to
            191, so that no noise is cut.
        sigma: σ of the noise.
        frames: number of them, at least 100.
        dark: the scene has 0 to 25 levels instead.
    """
    rng, noise = np.random.default_rng(0), gaussian(sigma)
    clean = _small(photo // 10 if dark else 64 + photo // 2)
    colours = np.empty((2, frames, 3))
    with Denoiser(model) as denoiser, Denoiser(still_of(model)) as still:
        for number in range(frames):
            frame = noise.add(clean, rng)
            for which, each in enumerate((denoiser, still)):
                # The still model's mean needs a tenth of the frames.
                if which == 0 or number >= frames - frames // TENTHS:
                    colours[which, number] = each.process(frame).mean(axis=(0, 1))
    tenth = frames // TENTHS
    second, last = colours[0, tenth : 2 * tenth], colours[0, -tenth:]
    wander = [np.sqrt(np.square(of - of.mean(axis=0)).mean()) for of in (last, colours[1, -tenth:])]
    offsets = np.abs(colours[:, -tenth:].mean(axis=1) - clean.mean(axis=(0, 1))).max(axis=1)
    return Drift(
        float(offsets[0]),
        float(offsets[1]),
        float(np.abs(last.mean(axis=0) - second.mean(axis=0)).max()),
        float(wander[0] / wander[1]),
    )


def repeats(model: str, photo: Pixels, frames: int = 600) -> tuple[int, float]:
    """Show a small still scene without noise again and again.

    Returns:
        How many different pictures the last hundred results are; and the largest difference of the
        last one from the still model's result, levels.
    """
    clean = _small(photo)
    last: list[bytes] = []
    with Denoiser(model) as denoiser, Denoiser(still_of(model)) as still:
        for _ in range(frames):
            result = denoiser.process(clean)
            last = [*last[-99:], result.tobytes()]
        away = np.abs(result - still.process(clean).astype(float)).max()
    return len(set(last)), float(away)


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--photos", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Of at least two PNG photos; they are cut to one size.",
)  # fmt: skip
@click.option("--sigma", "sigmas", multiple=True, type=float, help="[default: 10, 25, 50]")
@click.option("--frames", default=10_000, show_default=True, help="Of the long scene.")
def main(names: tuple[str, ...], photos: Path, sigmas: tuple[float, ...], frames: int) -> None:
    """Measure NAMES, recurrent models or files, and print the figures."""
    pictures = read_photos(photos)
    for name in names:
        print(f"\n{Path(name).stem}")
        for sigma in sigmas or (10.0, 25.0, 50.0):
            begun = beginnings(name, pictures, sigma)
            print(f"  σ {sigma:g}: " + ", ".join(f"{k} {v:+.2f} dB" for k, v in begun.items()))
            for opacity in (1.0, 0.3):
                found = trail(name, pictures[0], pictures[1], sigma, opacity)
                excess = " ".join(f"{value:+.2f}" for value in found.excess)
                left = " ".join(f"{100 * value:.1f}" for value in found.left)
                print(f"    trail, opacity {opacity:g}: excess {excess} dB, left {left} %")
                print(f"      the worst frame, from the one after on {found.worst:+.2f} dB")
            for what, dark in (("", False), (" in the dark", True)):
                far = drift(name, pictures[0], sigma, frames, dark)
                print(
                    f"    {frames} frames{what}: offset {far.offset:.2f} (still {far.still:.2f}), "
                    f"drift {far.drift:.3f} levels, wander {far.wander:.2f}"
                )
        count, away = repeats(name, pictures[0])
        print(f"  without noise: repeats {count}, {away:g} levels from still")


if __name__ == "__main__":
    main()
