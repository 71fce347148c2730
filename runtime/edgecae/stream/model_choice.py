"""Choose by measuring: the best recurrent model that a machine holds."""

from __future__ import annotations

from collections.abc import Callable

from edgecae import models
from edgecae.denoise.denoiser import Denoiser
from edgecae.device.speeds import HEADROOM, measure_speeds
from edgecae.tflite import model_file

__all__ = ["by_cost", "choose_model"]

_SECONDS = 1.0
"""How long each model is measured."""


def by_cost() -> list[str]:
    """The recurrent models that come with edgecae, the dearest first, which is the best."""
    files = {name: model_file.read(models.find_model(name)) for name in models.video_names()}
    return sorted(files, key=lambda name: files[name].macs_per_pixel, reverse=True)


def choose_model(
    size: tuple[int, int],
    rate: float | None,
    threads: int,
    opener: Callable[[str, int], Denoiser] = Denoiser,
) -> tuple[str, str]:
    """Choose a recurrent model for frames of a size.

    Args:
        size: width and height.
        rate: frames a second that must be held; None: any.
        threads: of the interpreter.
        opener: makes a denoiser from a name and threads.

    Returns:
        Its name, and why it is this one, for people. Where none holds the rate, it is the cheapest.

    Raises:
        BackendError, ModelFileError: a model can't be run.
    """
    names = by_cost()
    if rate is None:
        return names[0], "the best of those for video"
    said = []
    for name in names:
        (speed,) = measure_speeds([name], threads, [size], _SECONDS, opener=opener)
        said.append(f"{name} {speed.fps:.1f}")
        if speed.fps >= rate * HEADROOM:
            break
    held = f"{', '.join(said)} frames/s of {rate:g} at {size[0]}x{size[1]}"
    return name, held
