"""PyAV's containers: which formats and protocols FFmpeg may use for which source and sink.

FFmpeg chooses both by itself: a playlist, an SDP or a concat script is a list of further addresses
to open, and a path may be a URL. Here each is named, by where the content comes from. Whatever is
not named is refused before it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecae.errors import SinkError, SourceError
from edgecae.media.frame import MAX_PIXELS, check_size

__all__ = [
    "limit_frames",
    "open_device",
    "open_file",
    "open_network",
    "open_output",
    "open_written",
]

_STREAMS = "mpegts", "h264", "hevc", "m4v", "mpegvideo", "obu", "ivf", "mjpeg", "jpeg_pipe"
_CONTAINERS = (
    "mov", "matroska", "avi", "flv", "asf", "ogg", "nut", "mxf", "mpeg", "gif", "yuv4mpegpipe",
)  # fmt: skip
_FILE = (*_CONTAINERS, *_STREAMS)
"""FFmpeg's names of the formats of a file or a pipe. None of them names another file."""

_RTSP = ("rtsp",), ("rtsp", "rtsps", "rtp", "srtp", "udp", "tcp", "tls")
_HTTP = (
    (*_FILE, "mpjpeg", "hls", "aac", "mp3", "webvtt"),
    ("http", "https", "httpproxy", "tls", "tcp", "crypto"),
)

_NETWORK: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "http": _HTTP,
    "https": _HTTP,
    "udp": (_FILE, ("udp",)),
    "tcp": (_FILE, ("tcp",)),
}
"""Formats and protocols by the scheme of a URL: a playlist that a stranger wrote can't name a
file."""

_OUTPUT = (
    "matroska", "webm", "mp4", "mov", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "nut", "mxf",
    "ipod", "3gp", "3g2", "gif", "ivf", "h264", "hevc", "mjpeg", "m4v", "yuv4mpegpipe",
)  # fmt: skip
"""FFmpeg's names of the formats of a video that is written, each a single file."""

_INTER_SHARE = 4
"""What a frame may have less of where frames refer to others: a decoder holds up to 17 of them."""

_PADDING = 2**20
"""Pixels that a decoder may add to a frame: FFmpeg compares its limit with aligned sides."""


def _options(
    formats: tuple[str, ...], protocols: tuple[str, ...], more: Mapping[str, str]
) -> dict[str, str]:
    return {
        **more,
        "format_whitelist": ",".join(formats),
        "protocol_whitelist": ",".join(protocols),
    }


def _probing(max_pixels: int) -> dict[str, str]:
    """Options of the decoders with which FFmpeg looks at a few frames of each stream."""
    return {"max_pixels": str(max_pixels // _INTER_SHARE + _PADDING)}


def open_file(
    reader: Any, max_pixels: int, container: str | None = None, options: Mapping[str, str] = {}
) -> Any:
    """Open a file or a pipe that Python reads.

    Args:
        reader: see :class:`edgecae.media.file_reader.FileReader`.
        max_pixels: of a frame.
        container: FFmpeg's name of the format; None: recognized, among those that are meant.
        options: of the container, as FFmpeg names them.

    Raises:
        av.FFmpegError, OSError, ValueError: it is no video, or of another format.
    """
    import av

    formats = (container,) if container else _FILE
    return av.open(
        reader,
        format=container,
        options=_probing(max_pixels),
        container_options=_options(formats, (), options),
    )


def open_network(
    url: str, scheme: str, max_pixels: int, options: Mapping[str, str], timeout: float
) -> Any:
    """Open a URL.

    Args:
        url: to open.
        scheme: of the URL, in lower case, one of the six of :mod:`.sources.network`.
        max_pixels: of a frame.
        options: of the container, as FFmpeg names them.
        timeout: of opening it, and of each read, seconds.

    Raises:
        av.FFmpegError, OSError, ValueError: it can't be opened, or is of another format.
    """
    import av

    return av.open(
        url,
        options=_probing(max_pixels),
        container_options=_options(*_NETWORK[scheme], options),
        timeout=timeout,
    )


def open_device(device: str, options: Mapping[str, str], timeout: float) -> Any:
    """Open a Video4Linux2 device by its path; see :func:`open_network`."""
    import av

    return av.open(
        device,
        format="v4l2",
        options=_probing(MAX_PIXELS),
        container_options=_options(("v4l2",), (), options),
        timeout=timeout,
    )


def open_output(path: Path, options: Mapping[str, str] = {}) -> Any:
    """Open a file for writing, whose suffix says the format.

    Raises:
        av.FFmpegError, OSError, ValueError: there is no such format.
        SinkError: it is none of a single video file.
    """
    import av

    # A path that begins like a URL is one to FFmpeg: "http:/host/video.mkv" sends requests.
    container = av.open(f"file:{path}", "w", container_options=dict(options))
    if container.format.name not in _OUTPUT:  # nothing is opened before the first frame
        container.close()
        raise SinkError(
            f"{path} can't be written as a video: {container.format.name} is not "
            f"a format of one video file"
        )
    return container


def open_written(file: Any, container: str, options: Mapping[str, str] = {}) -> Any:
    """Open what Python writes.

    Args:
        file: has ``write``, which takes all of what it gets.
        container: FFmpeg's name of the format.
        options: of the container, as FFmpeg names them.

    Raises:
        av.FFmpegError, ValueError: the format does not take such options.
    """
    import av

    return av.open(file, "w", format=container, container_options=dict(options))


def limit_frames(stream: Any, name: str, max_pixels: int) -> int:
    """Have the decoder of a stream refuse larger frames, whenever they change their size.

    Args:
        stream: PyAV's video stream, of which nothing has been decoded.
        name: of the source, for messages.
        max_pixels: of a frame that refers to no other; else a quarter of it.

    Returns:
        Pixels that a frame may have.

    Raises:
        SourceError: its frames are larger, or there is no decoder.
    """
    context = stream.codec_context
    if context is None:
        raise SourceError(f"{name}: FFmpeg has no decoder for its video")
    largest = max_pixels if context.codec.intra_only else max_pixels // _INTER_SHARE
    if stream.width or stream.height:  # some formats tell it only with the first frame
        check_size(f"the video of {name}", stream.width, stream.height, largest)
    context.options = {"max_pixels": str(largest + _PADDING)}
    return largest
