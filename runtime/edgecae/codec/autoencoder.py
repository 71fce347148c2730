"""Encoder and decoder of an autoencoder: pictures to int8 latents, and back.

The two in a row give what the whole model gives, byte for byte but for what sees the picture's
edges: the encoder mirrors pictures beyond their edges as :class:`edgecae.Denoiser` does, but keeps
no latent of what was added, and the decoder mirrors the latent in its place. Large pictures go
through in tiles that overlap by the halo.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import tiling
from edgecae.denoise.blend import SIGN_BIT, WEIGHT_ONE, Writer
from edgecae.denoise.denoiser import MAX_TILE_AREA
from edgecae.errors import BackendError, FrameError
from edgecae.tflite import interpreter, model_file
from edgecae.tflite.metadata import Metadata

__all__ = ["Decoder", "Encoder"]


class _Network:
    """What encoder and decoder share: a model file of its own, opened in an interpreter."""

    _role: ClassVar[str]
    """``encoder`` or ``decoder``, as the model file says."""

    def __init__(
        self,
        model: str | Path,
        threads: int = 1,
        backend: str = "auto",
        largest_area: int = MAX_TILE_AREA,
    ) -> None:
        if threads < 1:
            raise BackendError(f"{threads} threads can't run anything; give 1 or more")
        self.model = model_file.read(Path(model))
        self.model.require_half(self._role)
        self.model.require_int8()
        assert self.model.latent is not None  # both have one
        self.latent = self.model.latent
        self._largest_area = largest_area
        self._open: interpreter.Interpreter | None = interpreter.Interpreter(
            self.model.content, threads, interpreter.find_backend(backend)
        )

    @property
    def metadata(self) -> Metadata:
        """The metadata of the model file."""
        return self.model.metadata

    def close(self) -> None:
        """Free the interpreter; encoder or decoder can't be used afterwards."""
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def _interpreter(self) -> interpreter.Interpreter:
        if self._open is None:
            raise BackendError(f"the {self._role} is closed")
        return self._open

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return the shape of a picture's latent: H/stride×W/stride×N, rounded up."""
        high, wide = tiling.padded_size(height, width, self.metadata.stride)
        return high // self.metadata.stride, wide // self.metadata.stride, self.latent.channels

    def _plan(self, height: int, width: int) -> tuple[tiling.Plan, int]:
        """Choose the tiles of a picture whose sides are padded, and the border around it."""
        stride, halo = self.metadata.stride, self.metadata.halo
        border, largest = tiling.border(stride, halo), self._largest_area
        if not self.model.open_size:
            high, wide = self.model.frame_size
            if tiling.padded_size(height, width, stride, border) != (high, wide):
                border = 0
            if tiling.padded_size(height, width, stride, border) != (high, wide):
                raise FrameError(
                    f"{self.model.path} takes pictures of {wide}x{high} alone, padded; this one is "
                    f"padded to {width}x{height}"
                )
            largest = high * wide
        return tiling.plan(height, width, stride, halo, largest, border), border


class Encoder(_Network):
    """The encoder: pictures to latents.

    Args:
        model: path of ``encoder.tflite``.
        threads: number that the interpreter computes with.
        backend: ``auto``, ``litert`` or ``tflite-runtime``.
        largest_area: pixels that go through the interpreter at a time.

    Raises:
        ModelFileError: there is no such file, or it is no encoder.
        BackendError: no interpreter is installed, or it does not take the model.
    """

    _role = "encoder"

    def encode(self, frame: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Make the latent of a picture.

        Args:
            frame: uint8; RGB H×W×3, or gray H×W, with H, W ≥ 1.

        Returns:
            int8, H/stride×W/stride×N, rounded up.

        Raises:
            FrameError: it is no such picture.
            BackendError: the interpreter failed.
        """
        _require_picture(frame)
        height, width = frame.shape[:2]
        stride = self.metadata.stride
        plan, border = self._plan(*tiling.padded_size(height, width, stride))
        padded = np.empty((*tiling.padded_size(height, width, stride, border), 3), np.uint8)
        pixels = frame[..., None] if frame.ndim == 2 else frame
        np.bitwise_xor(
            pixels, SIGN_BIT, out=padded[border : border + height, border : border + width]
        )
        tiling.pad_edges(padded, height, width, border, border)
        latent = np.empty(self.latent_shape(height, width), np.int8)
        self._interpreter.resize(plan.height, plan.width)
        for row in plan.rows:
            for column in plan.columns:
                top, left = row.start + border, column.start + border
                tile = padded[top : top + plan.height, left : left + plan.width]
                self._interpreter.input()[0] = tile.view(np.int8)
                self._interpreter.invoke()
                # No name for the view: it must be gone before the next tile.
                latent[_kept(row, stride), _kept(column, stride)] = self._interpreter.output()[0][
                    _kept_of_tile(row, stride), _kept_of_tile(column, stride)
                ]
        return latent


class Decoder(_Network):
    """The decoder: latents to pictures.

    Args:
        model: path of ``decoder.tflite``.
        threads: number that the interpreter computes with.
        backend: ``auto``, ``litert`` or ``tflite-runtime``.
        largest_area: pixels that go through the interpreter at a time.

    Raises:
        ModelFileError: there is no such file, or it is no decoder.
        BackendError: no interpreter is installed, or it does not take the model.
    """

    _role = "decoder"

    def decode(
        self, latent: NDArray[np.int8], height: int, width: int, gray: bool = False
    ) -> NDArray[np.uint8]:
        """Make the picture of a latent.

        Args:
            latent: int8, of the shape that :meth:`latent_shape` gives.
            height: of the picture, pixels.
            width: of the picture, pixels.
            gray: whether it is gray.

        Returns:
            uint8, H×W×3, or H×W where it is gray.

        Raises:
            FrameError: the latent is not that of such a picture.
            BackendError: the interpreter failed.
        """
        if min(height, width) < 1 or latent.shape != self.latent_shape(height, width):
            raise FrameError(f"{width}×{height} pixels have no latent of {latent.shape}")
        if latent.dtype != np.int8:
            raise FrameError(f"a latent is int8, not {latent.dtype}")
        stride = self.metadata.stride
        plan, _ = self._plan(*tiling.padded_size(height, width, stride))
        picture = np.empty((height, width, 1 if gray else 3), np.uint8)
        writer = Writer()
        high, wide = plan.height // stride, plan.width // stride
        self._interpreter.resize(high, wide)
        for row in plan.rows:
            for column in plan.columns:
                top, left = row.start // stride, column.start // stride
                part = latent[max(0, top) : top + high, max(0, left) : left + wide]
                _fill(self._interpreter.input()[0], part, max(0, -top), max(0, -left))
                self._interpreter.invoke()
                out = picture[row.first : row.stop, column.first : column.stop]
                inside = slice(out.shape[0]), slice(out.shape[1])  # without the padding
                writer.write(
                    self._interpreter.output()[0][row.kept, column.kept][inside],
                    out,
                    out,
                    WEIGHT_ONE,
                )
        return picture[..., 0] if gray else picture


def _kept(span: tiling.Span, stride: int) -> slice:
    """Return where the results of a tile go in the latent."""
    return slice(span.first // stride, span.stop // stride)


def _kept_of_tile(span: tiling.Span, stride: int) -> slice:
    """Return the part of a tile's latent that is kept."""
    return slice(span.kept.start // stride, span.kept.stop // stride)


def _fill(plane: NDArray[np.int8], latent: NDArray[np.int8], top: int, left: int) -> None:
    """Write a latent, H×W×N, into a plane from ``top``, ``left`` on; mirror it into the rest."""
    height, width = latent.shape[:2]
    plane[top : top + height, left : left + width] = latent
    tiling.pad_edges(plane, height, width, top, left)


def _require_picture(frame: NDArray[np.uint8]) -> None:
    """Refuse what is no picture."""
    if frame.dtype != np.uint8:
        raise FrameError(f"a picture is a uint8 array, not {frame.dtype}")
    if not (frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)) or 0 in frame.shape:
        raise FrameError(f"a picture is H×W×3 or H×W, not {frame.shape}")
