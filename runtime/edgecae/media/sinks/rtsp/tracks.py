"""What RTSP publishes: encoded packets as RTP (FFmpeg's), and their description (SDP)."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Any

from edgecae.media import containers
from edgecae.media.sound import SoundKind

__all__ = ["RtpTrack", "describe_h264", "describe_sound", "sdp"]

MAX_PACKET = 1400
"""Bytes of a packet: readers that get it by UDP receive it in one piece."""

_START_CODE = re.compile(b"\x00\x00\x00?\x01")
_SPS, _PPS = 7, 8
"""Kinds of H.264's units that a decoder begins with."""

_NAMES = {"pcm_alaw": "PCMA", "pcm_mulaw": "PCMU", "aac": "MPEG4-GENERIC", "opus": "opus"}
"""Of kinds of sound, by FFmpeg's."""

FIRST_PAYLOAD_TYPE = 96
"""Numbers from here on mean what the SDP says."""


class RtpTrack:
    """A container of PyAV's that turns packets of one stream into RTP and RTCP.

    Args:
        number: of the track; its channels are twice that, and the next.
        wall_time: microseconds since 1970 at timestamp zero, the same for tracks that belong
            together.

    Attributes:
        container: PyAV's, for one stream.
    """

    def __init__(self, number: int, wall_time: int) -> None:
        self.number = number
        self._packets: list[tuple[int, bytes]] = []
        options = {
            "packetsize": str(MAX_PACKET),
            "payload_type": str(FIRST_PAYLOAD_TYPE + number),
            "start_time_realtime": str(wall_time),
            "ssrc": str(secrets.randbits(31)),
        }
        self.container: Any = containers.open_written(self, "rtp", options)

    def write(self, content: bytes) -> int:
        """Take one packet, as FFmpeg made it; see :meth:`rtp`."""
        is_report = 200 <= content[1] <= 204  # RFC 5761, section 4
        self._packets.append((2 * self.number + is_report, bytes(content)))
        return len(content)

    def rtp(self, packets: Any) -> list[tuple[int, bytes]]:
        """Packets of RTP, and reports of RTCP among them, each with its channel.

        Raises:
            av.FFmpegError, ValueError: FFmpeg can't make any of it.
        """
        self.container.mux(packets)
        made, self._packets = self._packets, []
        return made

    def close(self) -> None:
        """Free what FFmpeg holds."""
        self.container.close()


def describe_h264(payload_type: int, content: bytes) -> list[str]:
    """Lines of an SDP for H.264 (RFC 6184).

    Args:
        payload_type: of its packets.
        content: a packet to start from, Annex B.
    """
    units = [unit for unit in _START_CODE.split(content) if unit]
    sets = [unit.rstrip(b"\0") for unit in units if unit[0] & 31 in (_SPS, _PPS)]
    settings = ["packetization-mode=1"]
    if sets:
        settings.append("sprop-parameter-sets=" + ",".join(_base64(each) for each in sets))
    settings += [f"profile-level-id={each[1:4].hex()}" for each in sets if each[0] & 31 == _SPS][:1]
    return [
        f"m=video 0 RTP/AVP {payload_type}",
        f"a=rtpmap:{payload_type} H264/90000",
        f"a=fmtp:{payload_type} {'; '.join(settings)}",
    ]


def describe_sound(payload_type: int, kind: SoundKind) -> list[str]:
    """Lines of an SDP for sound.

    Args:
        payload_type: of its packets.
        kind: of the sound; AAC, Opus or G.711.
    """
    rate, channels = (48000, 2) if kind.codec == "opus" else (kind.rate, kind.channels)  # RFC 7587
    lines = [
        f"m=audio 0 RTP/AVP {payload_type}",
        f"a=rtpmap:{payload_type} {_NAMES[kind.codec]}/{rate}/{channels}",
    ]
    if kind.codec == "aac":  # RFC 3640
        lines.append(
            f"a=fmtp:{payload_type} profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;"
            f"indexdeltalength=3;config={kind.extradata.hex().upper()}"
        )
    return lines


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def sdp(media: list[list[str]]) -> str:
    """The description of a session (RFC 4566).

    Args:
        media: of each track, its lines.
    """
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=edgecae", "c=IN IP4 0.0.0.0", "t=0 0"]
    for number, each in enumerate(media):
        lines += [*each, f"a=control:streamid={number}"]
    return "\r\n".join(lines) + "\r\n"
