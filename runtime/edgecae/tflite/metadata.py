"""What a model file says of itself, and what it may say."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgecae.errors import ModelFileError

__all__ = ["FORMAT_VERSION", "METADATA_NAME", "PRECISIONS", "Metadata"]

METADATA_NAME = "edgecae"
"""Of the buffer in the file that has them."""
FORMAT_VERSION = 1
PRECISIONS = ("int8", "int16x8", "float16", "float32")
"""What ``edgecae convert`` makes. int8 is streamed, float32 can be inspected; the others are for
comparison, and :func:`edgecae.tflite.model_file.read` refuses them."""


@dataclass(frozen=True)
class Metadata:
    """What a model file says of itself.

    Attributes:
        name: for people.
        architecture: kind and numbers of the network.
        precision: one of :data:`PRECISIONS`.
        stride: height and width of a frame are padded to multiples of this.
        halo: pixels at each side that the result of a pixel depends on.
        noise: what it was trained for, see :mod:`edgecae.noise`.
        colour: ``rgb``, or ``gray`` for a network of gray frames, which colour ones go through
            channel by channel.
        delay_frames: how many frames later a result comes; 0 for networks without memory.
        states: of a recurrent network, by name: how many times higher a frame is than the state,
            its channels, and what it is before the first frame: ``frame``, the first one itself in
            blocks (space-to-depth), or a value that all its elements have.
        quality: PSNR in dB on held-out images, by form (``float``, ``int8``) and noise.
        recipe: SHA-256 of the training recipe.
        made_with: versions of what trained and converted it.
        half: ``encoder`` or ``decoder``, of an autoencoder that was split; empty for a whole one.
        whole: SHA-256 of the file that a half was cut from: the two that belong together have the
            same.
        border: pixels that a frame is mirrored by beyond each edge; 0: as many as stride and halo
            say (:func:`edgecae.denoise.tiling.border`).
        format: version of this list.
    """

    name: str
    architecture: Mapping[str, Any]
    precision: str
    stride: int
    halo: int
    noise: str
    quality: Mapping[str, Mapping[str, float]]
    recipe: str
    made_with: Mapping[str, str]
    colour: str = "rgb"
    delay_frames: int = 0
    states: Mapping[str, list[Any]] = dataclasses.field(default_factory=dict)
    half: str = ""
    whole: str = ""
    border: int = 0
    format: int = FORMAT_VERSION

    def to_json(self) -> str:
        """JSON with sorted keys, so that equal metadata are equal bytes.

        What only halves have, or only files with a border of their own, is left out of others,
        which readers that know of neither take.
        """
        values = dataclasses.asdict(self)
        if not self.border:
            del values["border"]
        if not self.half:
            del values["half"], values["whole"]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str) -> Metadata:
        """Read what :meth:`to_json` wrote.

        Raises:
            ModelFileError: it is no such JSON, or of a newer format.
        """
        try:
            values = json.loads(text)
            if values["format"] != FORMAT_VERSION:
                raise ModelFileError(
                    f"the model has format {values['format']!r:.40}, "
                    f"this edgecae reads {FORMAT_VERSION}"
                )
            metadata = cls(**values)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, ModelFileError):
                raise
            why = "".join(c for c in str(error)[:200] if c.isprintable())
            raise ModelFileError(f"the model's metadata can't be read: {why}") from error
        for name, fits in _FITS.items():
            value = getattr(metadata, name)
            if not fits(value):
                raise ModelFileError(f"the model's {name} can't be {value!r:.60}")
        return metadata


MAX_LINE = 1000
MAX_NOISE = 10_000
"""Characters. Noise that was measured has about 1300, a mixture some times as many."""


def _line(value: Any, longest: int = MAX_LINE) -> bool:
    """Whether it is a text that a terminal shows as it is."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _mapping(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, dict) and all(_line(k) and of(each) for k, each in value.items())
    )


def _decibels(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _number_or_line(value: Any) -> bool:
    return value is None or type(value) is bool or _decibels(value) or _line(value)


def _state(value: Any) -> bool:
    """Whether it is reduction, channels and start of a state."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(map(_whole(1, 256), value[:2]))
        and (value[2] == "frame" or _decibels(value[2]))
    )


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "name": _line,
    "architecture": _mapping(
        lambda value: (
            all(map(_number_or_line, value)) if isinstance(value, list) else _number_or_line(value)
        )
    ),
    "precision": lambda value: value in PRECISIONS,
    "stride": _whole(1, 256),
    "halo": _whole(0, 4096),
    "border": _whole(0, 64),
    "noise": lambda value: _line(value, MAX_NOISE),
    "quality": _mapping(_mapping(_decibels)),
    "recipe": _line,
    "made_with": _mapping(_line),
    "colour": lambda value: value in ("rgb", "gray"),
    "delay_frames": _whole(0, 64),
    "states": _mapping(_state),
    "half": lambda value: value in ("", "encoder", "decoder"),
    "whole": lambda value: (
        isinstance(value, str) and re.fullmatch("([0-9a-f]{64})?", value) is not None
    ),
}
"""What a file may say of itself, by field."""
