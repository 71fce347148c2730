"""Frames on their way into a stream of a container that PyAV writes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from edgecae import naming, native
from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import DEFAULT_CODEC, FALLBACK_RATE, Encoding
from edgecae.media.video.deep_pixels import add_change, layout_of
from edgecae.media.video.encoding import choose_encoder, choose_format, configure
from edgecae.media.video.filters import filter_graph
from edgecae.media.video.stored import (
    BT601,
    RGB,
    TOP_FIRST,
    Stored,
    colour_matrix,
    from_rgb,
    reformatted,
)

__all__ = ["FrameEncoder"]

log = naming.logger(__name__)

_X265_DELAY = 2
"""Frames by which x265 decodes ahead. It learns from the next one how long that is: the decoding
times of a shorter video are whatever was in memory."""


class FrameEncoder:
    """Encodes frames of one size into a new stream of a container.

    Args:
        name: of the output, for messages.
        container: PyAV's, for writing; nothing is written yet.
        codec: as FFmpeg names it; ``auto``: see :data:`DEFAULT_CODEC`.
        rate: nominal frames a second; None: :data:`FALLBACK_RATE`.
        live: hold nothing back; timestamps that do not rise are made to; a picture to start from
            each second, however few frames come.
        encoding: what the user asks of the encoder.

    Attributes:
        stream: PyAV's; None until :meth:`open`.
        count: frames so far.
        lost: names of the side data of :meth:`open` that the encoder does not take.

    Raises:
        SinkError: there is no such encoder, or the container does not hold what it makes.
    """

    def __init__(
        self,
        name: str,
        container: Any,
        codec: str = DEFAULT_CODEC,
        rate: Fraction | None = None,
        live: bool = False,
        encoding: Encoding | None = None,
    ) -> None:
        import av

        self._failures = av.FFmpegError, ValueError
        choose_encoder(name, container, codec)
        self.name, self._container, self._codec = name, container, codec
        self._rate, self._live, self._encoding = rate or FALLBACK_RATE, live, encoding or Encoding()
        self.stream: Any = None
        self.count, self._latest = 0, -1
        self.lost: list[str] = []
        self._matrix, self._full, self._interlaced = "ITU601", False, False
        self._marked: Any = None
        self._started: Fraction | None = None  # seconds, the latest picture to start from

    def open(self, frame: Frame, side_data: Mapping[str, bytes] = {}) -> Any:
        """Set the stream up, now that the frames' size is known; return it.

        Args:
            frame: the first one; it is not encoded yet.
            side_data: of it, see :class:`edgecae.media.sources.video_file.VideoFile`.

        Raises:
            SinkError: the encoder can't do what the user asks, or has no fitting pixel format.
        """
        height, width = frame.pixels.shape[:2]
        stored, rate = frame.stored, self._rate.limit_denominator(65535)
        encoder = choose_encoder(self.name, self._container, self._codec, stored)
        form, lost = choose_format(
            self.name, encoder, self._container, self._encoding, (height, width), stored
        )
        if lost:
            log.warning("%s: %s", self.name, lost)
        stream: Any = self._container.add_stream(encoder, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, form
        context = stream.codec_context
        context.time_base = frame.time_base or 1 / self._rate
        self._interlaced = stored is not None and stored.field_order is not None
        self.lost = configure(
            self.name, stream, self._encoding, rate, self._live, self._interlaced, side_data
        )
        self._set_colours(context, stored, form)
        self.stream = stream
        return stream

    def _set_colours(self, context: Any, stored: Stored | None, form: str) -> None:
        """Tag the colours as they were; where RGB becomes YCbCr, say by which matrix."""
        kind = layout_of(form)[0]
        tagged = stored.matrix if stored is not None else RGB
        if kind == "rgb":
            tagged = RGB
        elif tagged == RGB:
            tagged = BT601
        self._matrix = colour_matrix(tagged)
        context.colorspace = tagged
        if stored is not None:
            context.color_primaries, context.color_trc = stored.primaries, stored.transfer
        deep = stored is not None and stored.picture is not None
        self._full = form.startswith("yuvj") or (deep and stored is not None and stored.full_range)
        if kind != "rgb":
            context.color_range = 2 if self._full else 1

    def _picture(self, frame: Frame) -> Any:
        """The frame as PyAV's picture, in the pixel format of the stream."""
        stored, form = frame.stored, self.stream.pix_fmt
        if stored is not None and stored.picture is not None and frame.before is not None:
            picture = add_change(
                stored.picture,
                frame.before,
                frame.pixels,
                stored.matrix,
                stored.full_range,
                self._interlaced,
            )
            if picture.format.name != form:
                picture = reformatted(picture, form, self._matrix)
        else:
            picture = from_rgb(frame.pixels, form, self._matrix, self._full, self._interlaced)
        return picture

    def encode(self, frame: Frame) -> list[Any]:
        """Encode a frame; its packets, none where the encoder holds it back.

        Raises:
            SinkError: the frame's size differs from the first one's, or encoding failed.
        """
        from av.video.frame import PictureType

        stream = self.stream
        height, width = frame.pixels.shape[:2]
        if (height, width) != (stream.height, stream.width):
            raise SinkError(
                f"{self.name}: a frame of {width}×{height} in a video of "
                f"{stream.width}×{stream.height}"
            )
        try:
            picture = self._picture(frame)
        except self._failures as error:
            raise SinkError(f"{self.name}: frames can't be made {stream.pix_fmt}") from error
        if frame.pts is None:
            picture.pts, picture.time_base = self.count, 1 / self._rate
        else:
            # Two frames of a live source may arrive within one tick.
            self._latest = max(self._latest + 1, frame.pts) if self._live else frame.pts
            picture.pts, picture.time_base = self._latest, frame.time_base
        self.count += 1
        if self._interlaced and frame.stored is not None:
            picture = self._marked_interlaced(picture, frame.stored.field_order or TOP_FIRST)
        if not self._live:
            return self._encoded(picture)
        now = picture.pts * picture.time_base
        if self._started is not None and now - self._started >= 1:  # the encoder counts frames
            picture.pict_type = PictureType.I
        packets = self._encoded(picture)
        if any(packet.is_keyframe for packet in packets):
            self._started = now
        return packets

    def _marked_interlaced(self, picture: Any, order: str) -> Any:
        """The picture with the mark which of its fields comes first, that encoders look at."""
        if self._marked is None:
            self._marked = filter_graph(picture, [("setfield", f"mode={order}")])
        self._marked.push(picture)
        return self._marked.pull()

    def rest(self) -> list[Any]:
        """Packets of what the encoder still holds back.

        Raises:
            SinkError: encoding failed.
        """
        packets = self._encoded(None)
        if self.stream.codec_context.codec.name == "libx265" and self.count <= _X265_DELAY:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _encoded(self, picture: Any) -> list[Any]:
        try:
            with native.scheduling_kept():  # the first picture opens the encoder
                return list(self.stream.encode(picture))
        except self._failures as error:
            encoder = self.stream.codec_context.codec.name
            raise SinkError(f"{self.name}: {encoder} failed: {error}") from error
