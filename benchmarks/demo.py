"""The second half of ``make demo``: stream a noisy clip through a model that was just made.

Makes a clip of a scene that the training never saw, puts noise on it, writes it losslessly, and
streams that file through the model to a video that any player shows. Prints what came of it.

    python benchmarks/demo.py FOLDER    (the folder holds run/ and demo.tflite)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser, native, noise, stream
from edgecae.commands.logs import prepare_tensorflow
from edgecae.commands.stderr import silenced
from edgecae.media.frame import Frame
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sources.video_file import VideoFile
from edgecae.quality import psnr
from edgecae_train.data import synthetic

SIGMA = 25
FRAMES, RATE = 90, 30
HEIGHT, WIDTH = 480, 640
SCENE_SEED = 2**32
"""Of no training run: theirs are below 2³¹."""

Pixels = NDArray[np.uint8]


def scene() -> Iterator[Pixels]:
    """A camera panning over a generated picture."""
    picture = synthetic.generate(SCENE_SEED, 0, size=768)
    for index in range(FRAMES):
        top = round(144 + 140 * np.sin(index / 20))
        left = round(64 + 60 * np.cos(index / 13))
        yield np.ascontiguousarray(picture[top : top + HEIGHT, left : left + WIDTH])


class Measure:
    """A sink that compares each frame with the clean one, and keeps one in the middle."""

    name = "PSNR"

    needs_original = False
    wants_slates = False
    recovers = False

    def __init__(self, clean: list[Pixels]) -> None:
        self.clean, self.psnr = clean, list[float]()
        self.kept: Pixels | None = None

    def write(self, frame: Frame) -> None:
        """Take a frame."""
        index = len(self.psnr)
        self.psnr.append(psnr(self.clean[index], frame.pixels))
        if index == FRAMES // 2:
            self.kept = frame.pixels.copy()

    def __enter__(self) -> Measure:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""


def main(folder: Path) -> None:
    """Make the clip, stream it, print the figures."""
    # The program owns its process, so it may hold back what C++ libraries say about themselves.
    native.install(silenced)
    prepare_tensorflow()
    with native.quiet():
        from edgecae_train import evaluate, samples

    level, rng = noise.gaussian(SIGMA), np.random.default_rng(0)
    clean = list(scene())
    noisy = [level.add(frame, rng) for frame in clean]
    before = float(np.mean([psnr(a, b) for a, b in zip(clean, noisy, strict=True)]))
    rate = Fraction(RATE)
    with VideoSink(folder / "noisy.mkv", rate=rate, codec="ffv1", overwrite=True) as sink:
        for index, frame in enumerate(noisy):
            sink.write(Frame(frame, 0.0, index, 1 / rate))

    measure = Measure(clean)
    with ExitStack() as stack:
        denoiser = stack.enter_context(Denoiser(folder / "demo.tflite", threads=2))
        source = stack.enter_context(VideoFile(folder / "noisy.mkv"))
        video = stack.enter_context(
            VideoSink(folder / "denoised.mp4", source, rate, overwrite=True)
        )
        stats = stream.run(source, denoiser, [measure, video])
    assert measure.kept is not None
    int8 = float(np.mean(measure.psnr))

    some = range(0, FRAMES, 9)
    reference = evaluate.float_denoiser(folder / "run")
    float_psnr = float(np.mean([psnr(clean[i], reference(noisy[i])) for i in some]))
    int8_some = float(np.mean([measure.psnr[i] for i in some]))

    middle = FRAMES // 2
    crop = np.s_[80:400, 160:480]
    samples.comparison(
        [
            (
                f"noisy, sigma {SIGMA}: {psnr(clean[middle], noisy[middle]):.2f} dB",
                noisy[middle][crop],
            ),
            (f"int8: {measure.psnr[middle]:.2f} dB", measure.kept[crop]),
            ("clean", clean[middle][crop]),
        ]
    ).save(folder / "before_after.png")

    print(f"\nclip          {FRAMES} frames of {WIDTH}x{HEIGHT}, noise {level}")
    print(f"PSNR          {before:.2f} dB before, {int8:.2f} dB after")
    print(f"float / int8  {float_psnr:.2f} / {int8_some:.2f} dB (every ninth frame)")
    print(f"speed         {stats.summary()}")
    for name in ("before_after.png", "noisy.mkv", "denoised.mp4"):
        print(f"written       {folder / name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
