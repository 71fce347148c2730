"""The container of a compressed picture: an autoencoder's latent, entropy-coded.

All numbers are little-endian:

====  ======================  =============================================================
byte  type                    what
====  ======================  =============================================================
0     8 bytes                 ``89 65 63 61 65 0D 0A 1A``: 0x89, ``ecae``, CR, LF, 0x1A
8     uint16                  version, 1
10    uint8                   channels of the picture: 1 gray, 3 RGB
11    uint32, uint32          width and height of the picture
19    uint32, uint32, uint16  width, height and channels of the latent
29    float32, int8           scale and zero point of the latent's int8 numbers
34    32 bytes                SHA-256 of the model file that encoder and decoder were split from
66    uint32                  length of the payload
70    payload                 see :data:`FILTERS`
…     uint32                  CRC-32 of all bytes before it
====  ======================  =============================================================

A file comes from anybody: each field is checked, and nothing is unpacked beyond the size that the
fields, checked against the decoder before, come to.
"""

from __future__ import annotations

import lzma
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.codec.autoencoder import Decoder, Encoder
from edgecae.errors import FrameError, SourceError

__all__ = ["FILTERS", "MAX_FILE_SIZE", "Compressed", "Header", "compress", "decompress"]

MAGIC = b"\x89ecae\r\n\x1a"
VERSION = 1
_HEADER = struct.Struct("<8sHBIIIIHfb32sI")
_CHECKSUM = struct.Struct("<I")
MAX_PICTURE_AREA = 8192 * 8192
"""Pixels that a picture may have."""

MAX_LATENT_SIZE = 2**28
"""Numbers that a latent may have."""

MAX_FILE_SIZE = 2**29
"""Bytes that a file may have: more than the largest latent takes if nothing can be compressed."""

FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 2**24, "lc": 4, "lp": 0, "pb": 0}
]
"""The payload: LZMA2 without a container, of the latent channel by channel, each row by row.

``benchmarks/latents.py`` compares: it is the byte before that tells most (``lc``), not the place
(``pb``)."""


@dataclass(frozen=True)
class Header:
    """The fields of a container that describe its latent.

    Attributes:
        gray: whether the picture is gray, else RGB.
        height: height of the picture, pixels.
        width: width of the picture, pixels.
        shape: shape of the latent, H×W×N.
        scale: quantization scale of the latent's int8 numbers.
        zero: their zero point.
        whole: SHA-256 of the model file that encoder and decoder were split from, hexadecimal.
    """

    gray: bool
    height: int
    width: int
    shape: tuple[int, int, int]
    scale: float
    zero: int
    whole: str


@dataclass(frozen=True)
class Compressed:
    """A compressed picture.

    Attributes:
        header: describes the latent.
        payload: the latent, compressed.
    """

    header: Header
    payload: bytes

    @classmethod
    def pack(cls, header: Header, latent: NDArray[np.int8]) -> Compressed:
        """Compress a latent, int8 H×W×N."""
        planes = np.ascontiguousarray(latent.transpose(2, 0, 1))
        return cls(header, lzma.compress(planes.tobytes(), lzma.FORMAT_RAW, filters=FILTERS))

    def unpack(self) -> NDArray[np.int8]:
        """Decompress the latent, int8 H×W×N.

        Raises:
            SourceError: the payload is damaged, or of another length.
        """
        high, wide, channels = self.header.shape
        size = math.prod(self.header.shape)
        try:
            unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS)
            planes = unpacker.decompress(self.payload, size)
            # Where the payload ends, nothing is left to say; a longer one goes on.
            rest = b"" if unpacker.eof else unpacker.decompress(b"", 1)
        except lzma.LZMAError as error:
            raise SourceError(f"the compressed latent is damaged: {error}") from error
        if len(planes) != size or rest or not unpacker.eof or unpacker.unused_data:
            raise SourceError(
                f"the compressed latent is damaged: it is not that of {high}×{wide}×{channels}"
            )
        latent = np.frombuffer(planes, np.int8).reshape(channels, high, wide)
        return np.ascontiguousarray(latent.transpose(1, 2, 0))

    def to_bytes(self) -> bytes:
        """Return the bytes of the container."""
        of = self.header
        head = _HEADER.pack(
            MAGIC,
            VERSION,
            1 if of.gray else 3,
            of.width,
            of.height,
            of.shape[1],
            of.shape[0],
            of.shape[2],
            of.scale,
            of.zero,
            bytes.fromhex(of.whole),
            len(self.payload),
        )
        content = head + self.payload
        return content + _CHECKSUM.pack(zlib.crc32(content))

    @classmethod
    def from_bytes(cls, content: bytes) -> Compressed:
        """Read what :meth:`to_bytes` wrote; the payload stays packed.

        Raises:
            SourceError: it is no such container, of a newer version, damaged or cut.
        """
        if content[: len(MAGIC)] != MAGIC:
            raise SourceError("it is no picture that edgecae compress made")
        if len(content) < _HEADER.size + _CHECKSUM.size:
            raise SourceError("it is cut: its header is not whole")
        _, version, channels, width, height, wide, high, deep, scale, zero, whole, length = (
            _HEADER.unpack_from(content)
        )
        if version != VERSION:
            raise SourceError(f"it has version {version}, this edgecae reads {VERSION}")
        if len(content) != _HEADER.size + length + _CHECKSUM.size:
            raise SourceError("it is damaged or cut: it has another length than it says")
        (checksum,) = _CHECKSUM.unpack_from(content, len(content) - _CHECKSUM.size)
        if zlib.crc32(content[: -_CHECKSUM.size]) != checksum:
            raise SourceError("it is damaged: its checksum is another")
        if channels not in (1, 3):
            raise SourceError(f"its pictures can't have {channels} channels")
        if not (width > 0 and height > 0 and width * height <= MAX_PICTURE_AREA):
            raise SourceError(f"its picture can't be of {width}×{height}")
        shape = high, wide, deep
        if min(shape) < 1 or math.prod(shape) > MAX_LATENT_SIZE:
            raise SourceError(f"its latent can't be of {high}×{wide}×{deep}")
        if not (math.isfinite(scale) and scale > 0):
            raise SourceError(f"its latent can't have scale {scale:g}")
        header = Header(channels == 1, height, width, shape, scale, zero, whole.hex())
        return cls(header, content[_HEADER.size : -_CHECKSUM.size])


def compress(picture: NDArray[np.uint8], encoder: Encoder) -> Compressed:
    """Compress a picture.

    Args:
        picture: uint8; RGB H×W×3, or gray H×W.
        encoder: an open one.

    Raises:
        FrameError: it is no such picture, or too large.
        BackendError: the interpreter failed.
    """
    if math.prod(picture.shape[:2]) > MAX_PICTURE_AREA:
        raise FrameError(
            f"a picture has up to {MAX_PICTURE_AREA} pixels, this one is "
            f"{picture.shape[1]}×{picture.shape[0]}"
        )
    latent = encoder.encode(picture)
    header = Header(
        picture.ndim == 2,
        picture.shape[0],
        picture.shape[1],
        (latent.shape[0], latent.shape[1], latent.shape[2]),
        encoder.latent.scale,
        encoder.latent.zero,
        encoder.metadata.whole,
    )
    return Compressed.pack(header, latent)


def decompress(compressed: Compressed, decoder: Decoder) -> NDArray[np.uint8]:
    """Make the picture of a compressed one.

    Args:
        compressed: from any source; it is compared with the decoder before it is unpacked.
        decoder: an open one.

    Returns:
        uint8; RGB H×W×3, or gray H×W.

    Raises:
        SourceError: it belongs to another decoder, or is damaged.
        BackendError: the interpreter failed.
    """
    of = compressed.header
    if of.whole != decoder.metadata.whole:
        raise SourceError(
            f"it was made by the encoder of another model, {of.whole[:12]}…; {decoder.model.path} "
            f"is of {decoder.metadata.whole[:12]}…"
        )
    if (of.shape, of.zero) != (decoder.latent_shape(of.height, of.width), decoder.latent.zero) or (
        of.scale != decoder.latent.scale
    ):
        raise SourceError("it is damaged: its latent is not one that the decoder takes")
    return decoder.decode(compressed.unpack(), of.height, of.width, of.gray)
