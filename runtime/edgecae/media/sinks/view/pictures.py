"""The newest picture on its way from the stream's thread to those who look, as JPEG."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SinkError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import Frame

__all__ = ["MAX_JPEG_SIDE", "SHARE", "Feed", "Picture", "check_size", "encode", "message"]

MAX_JPEG_SIDE = 65500
"""Pixels: JPEG's own limit, as libjpeg has it."""

QUALITY = 80
FASTEST, SLOWEST = 1 / 15, 1 / 5
"""Seconds from one picture to the next for those who look."""

SHARE = 0.06
"""Of one core, that encoding may take, as far as ``SLOWEST`` lets it."""


def check_size(frame: Frame) -> None:
    """Refuse a frame that is larger than a JPEG can be.

    Raises:
        SinkError: it is.
    """
    if max(frame.pixels.shape[:2]) > MAX_JPEG_SIDE:
        height, width = frame.pixels.shape[:2]
        raise SinkError(
            f"sink view: a frame of {width}×{height} does not fit into a JPEG, whose sides end at "
            f"{MAX_JPEG_SIDE}"
        )


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of uint8 pixels, H×W×3 (RGB), H×W×1 or H×W (gray), sides up to 65 500."""
    import simplejpeg

    if pixels.ndim == 3 and pixels.shape[2] == 3:
        result = simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", "420")
    else:
        gray = pixels.reshape(*pixels.shape[:2], 1)
        result = simplejpeg.encode_jpeg(gray, QUALITY, "GRAY", "Gray")
    return bytes(result)


@dataclass(frozen=True)
class Picture:
    """One frame as JPEG.

    Attributes:
        number: counts the frames of a feed, from 1.
        jpeg: the denoised picture.
        jpeg_before: the picture as it came; empty where there is none, or nobody asked for it.
    """

    number: int
    jpeg: bytes
    jpeg_before: bytes


class _Raw(NamedTuple):
    """The same as pixels, as in a frame, in arrays of its own."""

    number: int
    pixels: NDArray[np.uint8]
    before: NDArray[np.uint8] | None


def _encoded(*pictures: NDArray[np.uint8] | None) -> tuple[list[bytes], float]:
    """JPEGs, an empty one of None; and the seconds that they took of a core."""
    start = time.thread_time()  # on a busy machine the clock on the wall says more
    jpegs = [b"" if each is None else encode(each) for each in pictures]
    return jpegs, time.thread_time() - start


class Feed:
    """Holds the newest frame, and hands it to any number of viewers at a pace that costs little.

    Frames are encoded one at a time, off the event loop, and no more often than that pace, whoever
    asks; the pictures before only for those who ask for them. ``put`` is for one thread, everything
    else for the event loop's.

    Attributes:
        share: of one core, that encoding may take.
    """

    def __init__(self) -> None:
        self.share = SHARE
        self._buffers = Buffers()
        self._lock = threading.Lock()
        self._count = 0
        self._fresh: _Raw | None = None  # the newest, until it is encoded
        self._ring: asyncio.AbstractEventLoop | None = None  # who waits for the next one
        self._current: Picture | None = None
        self._before: NDArray[np.uint8] | None = None  # of the current one, until it is encoded
        self._before_wanted = False  # of the next one
        self._adding = asyncio.Lock()
        self._due = -math.inf  # when the next may be encoded
        self._encoding: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[Picture] | None = None

    def put(self, frame: Frame) -> None:
        """Copy a frame: it is the newest now."""
        self._count += 1
        before = None if frame.before is None else self._copy(frame.before)
        raw = _Raw(self._count, self._copy(frame.pixels), before)
        with self._lock:
            missed, self._fresh = self._fresh, raw
            ring, self._ring = self._ring, None
        if missed is not None:
            self._recycle(missed.pixels, missed.before)
        if ring is not None:
            with contextlib.suppress(RuntimeError):  # the server has ended
                ring.call_soon_threadsafe(self._arrived.set)

    async def newest(self) -> Picture | None:
        """The newest picture; None before the first.

        One that is there is as good until the next may be encoded, ``SLOWEST`` at most.
        """
        if self._current is None or time.monotonic() >= self._due:
            await self._encode()
        return self._current

    async def after(self, number: int, patience: float, before: bool = False) -> Picture | None:
        """A picture newer than ``number``; None: none came for ``patience`` seconds.

        Args:
            number: of the picture that the viewer has.
            patience: seconds.
            before: whether the viewer wants it as it came, too.
        """
        self._before_wanted |= before
        newest = self._fresh is None and self._encoding is None
        picture = self._current
        if not newest or picture is None or picture.number <= number:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            self._wanted.set()
            try:
                picture = await asyncio.wait_for(asyncio.shield(self._next), patience)
            except TimeoutError:
                return None
        return await self._add_before(picture) if before else picture

    async def _add_before(self, picture: Picture) -> Picture:
        """The picture as it came, too, if it is still there: where it was encoded without."""
        async with self._adding:
            current, pixels = self._current, self._before
            if current is None or current.number != picture.number:
                return picture
            if pixels is None:  # there is none, or another viewer had it encoded
                return current
            self._before = None
            (jpeg,), cost = await asyncio.to_thread(_encoded, pixels)
            self._recycle(pixels)
            self._due = min(self._due + cost / self.share, time.monotonic() + SLOWEST)
            picture = replace(current, jpeg_before=jpeg)
            if self._current is current:
                self._current = picture
            return picture

    async def pump(self) -> None:
        """Hand each next picture to all who wait for it, without end."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._due - time.monotonic())
            await self._arrival()
            if self._wanted.is_set():  # else a snapshot's was theirs as well
                await self._encode()

    async def _encode(self) -> None:
        """Encode the newest frame, if it is not; wait for one that is being encoded."""
        if self._encoding is None:
            if self._fresh is None:
                return
            self._encoding = asyncio.create_task(self._work())
        await asyncio.shield(self._encoding)  # who asked may leave, others wait for the same

    async def _work(self) -> None:
        try:
            with self._lock:
                raw, self._fresh = self._fresh, None
            if raw is None:
                return
            start = time.monotonic()
            wanted, self._before_wanted = self._before_wanted, False
            before = raw.before if wanted else None
            (jpeg, jpeg_before), cost = await asyncio.to_thread(_encoded, raw.pixels, before)
            picture = self._current = Picture(raw.number, jpeg, jpeg_before)
            self._recycle(raw.pixels, self._before, before)
            self._before = None if wanted else raw.before
            self._due = start + min(SLOWEST, max(FASTEST, cost / self.share))
            self._wanted.clear()
            if self._next is not None:
                self._next.set_result(picture)
                self._next = None
        finally:
            self._encoding = None

    async def _arrival(self) -> None:
        """Wait until there is a frame that nobody has begun to encode."""
        self._arrived.clear()
        with self._lock:
            if self._fresh is not None:
                return
            self._ring = asyncio.get_running_loop()
        await self._arrived.wait()

    def _copy(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        copy = self._buffers.take(pixels.shape)
        np.copyto(copy, pixels)
        return copy

    def _recycle(self, *pictures: NDArray[np.uint8] | None) -> None:
        for pixels in pictures:
            if pixels is not None:
                self._buffers.give(pixels)


def message(
    status: dict[str, Any] | None, picture: Picture | None, camera: str | None = None
) -> bytes:
    """What a viewer is sent: three parts, each after its length (4 bytes, big-endian).

    They are figures as JSON, the denoised picture as JPEG, and the picture as it came; or, where
    there are several cameras, the name of the one that the picture is of. Each may be empty.
    """
    last = b"" if picture is None else picture.jpeg_before
    parts = (
        b"" if status is None else json.dumps(status).encode(),
        b"" if picture is None else picture.jpeg,
        last if camera is None else camera.encode(),
    )
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
