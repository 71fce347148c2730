"""How a video is encoded: which encoder, pixel format, quality, and what a choice loses."""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from edgecae import naming
from edgecae.errors import SinkError
from edgecae.media.sinks.base import DEFAULT_CODEC, Encoding
from edgecae.media.video.deep_pixels import layout_of, planar_format
from edgecae.media.video.stored import Stored

__all__ = ["choose_encoder", "choose_format", "configure"]

log = naming.logger(__name__)

QUALITY = {
    "libx264": {"crf": "16", "preset": "veryfast"},
    "libx265": {"crf": "17", "preset": "veryfast"},
    "libvpx-vp9": {"crf": "22", "b": "0", "deadline": "realtime", "cpu-used": "8"},
    "libvpx": {"crf": "8", "b": "1G", "deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"crf": "11", "preset": "10"},
}
"""Options of encoders for one quality, nearly transparent: what noise is left shall be the
denoiser's, not the encoder's. Two clips of DAVIS 2016 come to 40 to 43 dB by all of them."""

QUANTIZER = 3
"""The same of encoders that have but a scale of quantizers (MPEG-2, MPEG-4, JPEG)."""

QUANTIZED = ("mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "msmpeg4", "wmv2", "flv", "h263")

_LIVE = {"libx264": {"tune": "zerolatency"}, "libx265": {"tune": "zerolatency"}}
"""Encoders hold nothing back; what is on the disk plays up to the last second."""

_LOSSLESS_RGB = {"ffv1": "bgr0"}

_DEEP = ("libx265", "libsvtav1", "libvpx-vp9", "prores_ks", "ffv1")
_DEEP_INTERLACED = ("libx264", "prores_ks", "ffv1")
"""Tried in this order for what 8-bit RGB does not hold; the one that loses least is taken."""

INTERLACED = ("libx264", "mpeg2video", "prores_ks", "ffv1", "mjpeg", "dvvideo")
"""Encoders that keep two fields apart and say which is first."""

_PRESETS = {
    "libx264": ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
                "veryslow", "placebo"),
    "libsvtav1": tuple(str(n) for n in range(14)),
}  # fmt: skip
_PRESETS["libx265"] = _PRESETS["libx264"]

_PALETTES = ("pal8", "rgb8", "bgr8", "rgb4_byte", "bgr4_byte", "monob", "monow")

_REFUSED = {
    "libvpx-vp9": ("gbrap", "yuva422p", "yuva444p"),
    "libvpx": ("yuva420p",),
    "libx265": ("yuva420p", "yuva420p10le"),
    "gif": ("gray",),
    "mjpeg": ("yuv420p", "yuv422p", "yuv444p"),
}
"""Pixel formats that an encoder lists, but does not open with."""

_HARDWARE = {"h264_v4l2m2m": "libx264", "hevc_v4l2m2m": "libx265"}
"""Encoders of a device's own (V4L2), and what takes their place where there is none."""

_HARDWARE_FORMATS = ["yuv420p"]
"""FFmpeg learns theirs from the device, which all take this one."""

_BITS_PER_PIXEL = 0.2
"""Of encoders that only know bit rates, where none was asked for."""

_MAX_CRF = {"libx264": 51, "libx265": 51, "libvpx-vp9": 63, "libvpx": 63, "libsvtav1": 63}


def _loss(kept: str, wanted: str) -> tuple[int, int, int, bool, int]:
    """What a pixel format loses of another: alpha, bits, chroma, its kind; then what it wastes."""
    kind, chroma, bits, alpha = layout_of(kept)
    wanted_kind, wanted_chroma, wanted_bits, wanted_alpha = layout_of(wanted)
    fineness = ("", "411", "420", "422", "440", "444")
    lost_chroma = max(0, fineness.index(wanted_chroma) - fineness.index(chroma))
    if kind == "gray" and wanted_kind != "gray":
        lost_chroma = len(fineness)
    waste = (bits - wanted_bits) + (alpha > wanted_alpha)
    waste += max(0, fineness.index(chroma) - fineness.index(wanted_chroma))
    lost_bits = max(0, wanted_bits - bits)
    return wanted_alpha > alpha, lost_bits, lost_chroma, kind != wanted_kind, abs(waste)


def _formats(encoder: str, container: Any) -> list[str]:
    """Pixel formats that an encoder takes and a container of PyAV's holds."""
    import av

    if encoder in _HARDWARE:
        return _HARDWARE_FORMATS
    unusable = [*_PALETTES, *_REFUSED.get(encoder, ())]
    if encoder == "libvpx-vp9" and not container.format.name.startswith(("matroska", "webm")):
        unusable.append("yuva420p")  # alpha is a second stream beside the first
    names = [f.name for f in av.Codec(encoder, "w").video_formats or []]
    return [n for n in names if n not in unusable and "f16" not in n and "f32" not in n]


@functools.cache
def _usable(encoder: str) -> str:
    """An encoder of the device's own, or what takes its place, which a line says once."""
    import av

    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.width, context.height, context.pix_fmt = 640, 480, _HARDWARE_FORMATS[0]
        context.time_base, context.framerate, context.bit_rate = Fraction(1, 30), 30, 1_000_000
        context.open()
    except (av.FFmpegError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        instead = _HARDWARE[encoder]
        log.warning("%s can't be used here (%s): %s encodes instead", encoder, why, instead)
        return instead
    return encoder


def choose_encoder(name: str, container: Any, codec: str, stored: Stored | None = None) -> str:
    """Name the encoder to use.

    Args:
        name: of the file, for messages.
        container: PyAV's, which has to hold what it encodes.
        codec: as FFmpeg names it, or :data:`DEFAULT_CODEC`; of a device's own, another one where
            there is none.
        stored: of the first frame, once it is known.

    Raises:
        SinkError: there is no such encoder, or the container does not hold it.
    """
    import av

    def checked(encoder: str) -> str:
        if not _formats(encoder, container):
            raise SinkError(
                f"{name}: {encoder} encodes palettes of 256 colours, which edgecae does not write; "
                f"choose another suffix, such as .mp4 or .webm, or another --codec"
            )
        return encoder

    def holds(canonical: str) -> bool:  # of MPEG-TS and RTP, FFmpeg has no list
        if container.format.name == "rtp":
            return canonical == "h264"
        held = container.supported_codecs
        return canonical in held or (container.format.name == "mpegts" and canonical != "prores")

    codec = _usable(codec) if codec in _HARDWARE else codec
    if codec != DEFAULT_CODEC:
        try:
            encoder: Any = av.Codec(codec, "w")
        except ValueError as error:
            raise SinkError(f"{name}: there is no encoder {codec!r}") from error
        if encoder.type != "video" or not holds(encoder.canonical_name):
            raise SinkError(f"{name}: this container does not hold {codec} video")
        return checked(encoder.name)
    plain = "libx264" if holds("h264") else str(container.default_video_codec)
    plain = {"hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}.get(plain, plain)
    if stored is None or stored.picture is None:
        return checked(plain)
    wanted = planar_format(stored.pixel_format)
    candidates = _DEEP_INTERLACED if stored.field_order else _DEEP
    held = []
    for each in (*candidates, plain):
        try:
            encoder = av.Codec(each, "w")
        except ValueError:  # of a build of FFmpeg without it
            continue
        if each != "ffv1" or container.format.name == "matroska":
            held += [each] if holds(encoder.canonical_name) else []
    if layout_of(wanted)[2] == 8 and not any(
        layout_of(form)[3] for each in held for form in _formats(each, container)
    ):
        return checked(plain)  # what is left without alpha is an ordinary picture
    best: str = min(
        held or [plain],
        key=lambda each: min(
            (_loss(f, wanted)[:4] for f in _formats(each, container)), default=(9,)
        ),
    )
    return best


def choose_format(
    name: str,
    encoder: str,
    container: Any,
    encoding: Encoding,
    size: tuple[int, int],
    stored: Stored | None,
) -> tuple[str, str]:
    """Name the pixel format to encode, and say what is lost.

    Args:
        name: of the file, for messages.
        encoder: as FFmpeg names it.
        container: PyAV's, which has to hold what it encodes.
        encoding: what the user asks.
        size: height and width.
        stored: of the first frame; None: it comes from no video.

    Returns:
        The format, as FFmpeg names it, and a line for people, empty where nothing is lost.

    Raises:
        SinkError: the encoder has no such format.
    """
    formats = _formats(encoder, container)
    if encoding.pixel_format is not None:
        if encoding.pixel_format not in formats:
            raise SinkError(
                f"{name}: {encoder} can't encode {encoding.pixel_format}; it encodes "
                f"{', '.join(formats)}"
            )
        return encoding.pixel_format, ""
    deep = stored is not None and stored.picture is not None
    if stored is not None and deep and layout_of(stored.pixel_format)[2] == 8:
        deep = any(layout_of(form)[3] for form in formats)
    if stored is not None and deep:
        wanted = planar_format(stored.pixel_format)
        best = min(formats, key=lambda each: _loss(each, wanted))
        return best, _what_is_lost(stored.pixel_format, best, encoder, formats)
    odd = size[0] % 2 or size[1] % 2
    wanted = _LOSSLESS_RGB.get(encoder, "yuv444p" if odd else "yuv420p")
    if encoder == "mjpeg":
        wanted = wanted.replace("yuv", "yuvj")
    if wanted not in formats:
        wanted = min(formats, key=lambda each: _loss(each, wanted))
        if odd and layout_of(wanted)[1] in ("420", "422"):
            raise SinkError(
                f"{name}: {encoder} can't encode frames of odd sides ({size[1]}×{size[0]}); "
                f"choose another --codec"
            )
    if stored is None or encoder in _LOSSLESS_RGB:
        return wanted, ""
    return wanted, _what_is_lost(stored.pixel_format, wanted, encoder, formats)


def _what_is_lost(source: str, target: str, encoder: str, formats: list[str]) -> str:
    """A line for people, empty where nothing is."""
    _, chroma, bits, _ = layout_of(source)
    _, kept_chroma, kept_bits, _ = layout_of(target)
    alpha_lost, bits_lost, chroma_lost, *_ = _loss(target, source)
    lost = []
    if alpha_lost:
        lost.append("transparency")
    if bits_lost:
        lost.append(f"{bits} bits (now {kept_bits})")
    if chroma_lost:
        now = f"4:{kept_chroma[1]}:{kept_chroma[2]}" if kept_chroma else "gray"
        lost.append(f"4:{chroma[1]}:{chroma[2]} colour (now {now})")
    if not lost:
        return ""
    finer = [f for f in formats if not any(_loss(f, source)[:3])]
    finer.sort(key=lambda each: _loss(each, source))
    how = f"--pixel-format {finer[0]} keeps it" if finer else f"{encoder} can't keep it"
    return f"left out: {', '.join(lost)}; {how}"


def configure(
    name: str,
    stream: Any,
    encoding: Encoding,
    rate: Fraction,
    live: bool,
    interlaced: bool,
    side_data: Mapping[str, bytes],
) -> list[str]:
    """Set quality and options of an encoder that is not open yet.

    Args:
        name: of the file, for messages.
        stream: PyAV's, of the output.
        encoding: what the user asks.
        rate: frames a second.
        live: hold nothing back; a picture to start from each second.
        interlaced: whether frames are two fields.
        side_data: of the first frame, see :class:`edgecae.media.sources.video_file.VideoFile`.

    Returns:
        What of ``side_data`` the encoder does not take, by name.

    Raises:
        SinkError: the encoder has no such option, or not that value.
    """
    context = stream.codec_context
    encoder = context.codec.name
    options = dict(QUALITY.get(encoder, {}))
    if encoding.crf is not None and encoding.bitrate is not None:
        raise SinkError(f"{name}: either --crf or --bitrate, not both")
    if encoding.crf is not None:
        if encoder not in _MAX_CRF:
            raise SinkError(f"{name}: {encoder} has no --crf{_instead(encoder)}")
        if not 0 <= encoding.crf <= _MAX_CRF[encoder]:
            raise SinkError(
                f"{name}: --crf of {encoder} is 0 to {_MAX_CRF[encoder]}, not {encoding.crf:g}"
            )
        options["crf"] = f"{encoding.crf:g}"
    if encoding.bitrate is not None:
        if encoder in ("ffv1", "prores_ks"):
            raise SinkError(f"{name}: {encoder} has no --bitrate")
        options = {k: v for k, v in options.items() if k not in ("crf", "b")}
        context.bit_rate = encoding.bitrate
    elif encoder in _HARDWARE:
        context.bit_rate = round(_BITS_PER_PIXEL * stream.width * stream.height * rate)
    elif encoder in QUANTIZED:
        context.qmin = context.qmax = QUANTIZER
    if encoding.preset is not None:
        presets = _PRESETS.get(encoder)
        if presets is None:
            raise SinkError(f"{name}: {encoder} has no --preset")
        if encoding.preset not in presets:
            raise SinkError(
                f"{name}: --preset of {encoder} is one of {', '.join(presets)}, "
                f"not {encoding.preset}"
            )
        options["preset"] = encoding.preset
    if stream.pix_fmt == "yuva444p10le":
        options["profile"] = "4444"
    elif encoder == "prores_ks":
        options["profile"] = "4444" if stream.pix_fmt == "yuv444p10le" else "hq"
    left_out = list(side_data)
    if encoder == "libx265":
        hdr = _x265_hdr(side_data)
        left_out = [each for each in side_data if each not in _X265_KEEPS]
        options["x265-params"] = ":".join(["log-level=error", *hdr])
    if live:
        options.update(_LIVE.get(encoder, {}))
        context.gop_size = max(1, round(rate))
    if interlaced:
        _set_interlaced(name, context, encoder)
    stream.options = options
    return left_out


def _instead(encoder: str) -> str:
    return "" if encoder in ("ffv1", "prores_ks") else "; --bitrate sets its size"


def _set_interlaced(name: str, context: Any, encoder: str) -> None:
    from av.codec.context import Flags

    if encoder not in INTERLACED:
        raise SinkError(
            f"{name}: {encoder} can't hold interlaced frames; --deinterlace makes them whole, or "
            f"choose another --codec, such as libx264"
        )
    context.flags |= Flags.interlaced_dct | Flags.interlaced_me


_X265_KEEPS = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")


def _x265_hdr(side_data: Mapping[str, bytes]) -> list[str]:
    """Options of x265 for the metadata of HDR10; x265 counts in 1/50000 and 1/10000 cd/m²."""
    options = []
    mastering = side_data.get("MASTERING_DISPLAY_METADATA", b"")
    if len(mastering) >= 88:  # AVMasteringDisplayMetadata: ten fractions, two flags
        *numbers, has_primaries, has_luminance = struct.unpack("=22i", mastering[:88])
        shares = [n / d if d else 0.0 for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
        if has_primaries and has_luminance:
            points = [round(50000 * share) for share in shares[:8]]
            red, green, blue, white = (points[i : i + 2] for i in range(0, 8, 2))
            least, most = (round(10000 * share) for share in shares[8:])
            options.append(
                f"master-display=G({green[0]},{green[1]})B({blue[0]},{blue[1]})"
                f"R({red[0]},{red[1]})WP({white[0]},{white[1]})L({most},{least})"
            )
    light = side_data.get("CONTENT_LIGHT_LEVEL", b"")
    if len(light) >= 8:
        most, average = struct.unpack("=2I", light[:8])
        options.append(f"max-cll={most},{average}")
    return [*options, "hdr10=1"] if options else []
