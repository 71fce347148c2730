"""Whatever comes through a pipe: frames or a SourceError, and no more memory than it deserves.

    EDGECAE_EXAMPLES=20000 python -m pytest tests/media/test_hostile_pipes.py -k "any_ or damaged"

makes so many examples for each of the three tests that draw them, in place of a few hundred.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys

import av
import pytest
from av.video.format import VideoFormat
from av.video.format import names as pixel_formats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory import PEAK

from edgecae.errors import SourceError
from edgecae.media.frame import Frame
from edgecae.media.sources import pipe

PICTURE = bytes(range(256)) * 18  # 64×48, 4:2:0

LONG = int(os.environ.get("EDGECAE_EXAMPLES", "0"))
"""Examples for each test that draws them, where a long run is asked for."""


def frames(source: str, content: bytes) -> list[Frame] | None:
    """Frames of a pipe; None where it is refused."""
    file = io.BytesIO(content)
    try:
        opened = pipe.read_container(file) if source == "-" else pipe.read_raw(source, file)
        with opened:
            return list(opened)
    except SourceError as error:
        assert "\n" not in str(error)  # noqa: PT017 - frames are as good
        return None


EVERY_FORMAT = """
import io, sys
from edgecae.errors import SourceError
from edgecae.media.sources import pipe
for name in sys.stdin.read().split():
    print(name, end=" ", flush=True)
    try:
        with pipe.read_raw(f"raw:16x8:{name}@30", io.BytesIO(bytes(2048))) as source:
            frames = list(source)
        assert {frame.pixels.shape for frame in frames} <= {(8, 16, 3)}
        print(len(frames))
    except SourceError:
        print("refused")
"""

COUNTS = {"rgb24": 5, "bgra": 4, "gray": 16, "gray16le": 8, "yuv420p": 10, "nv12": 10,
          "yuyv422": 8, "yuv422p": 8, "yuv444p": 5, "yuv420p10le": 5, "bayer_rggb8": 16,
          "monob": 128}  # fmt: skip
"""Whole frames of 16×8 pixels that 2048 bytes hold."""


@pytest.mark.slow
def test_raw_frames_of_any_pixel_format() -> None:
    """In a process of its own: some formats abort it inside FFmpeg unless they are refused."""
    done = subprocess.run(
        [sys.executable, "-c", EVERY_FORMAT], input="\n".join(sorted(pixel_formats)),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    told = dict(line.split() for line in done.stdout.splitlines())
    assert done.returncode == 0, (done.stdout.splitlines()[-1:], done.stderr)
    assert told.keys() == pixel_formats
    assert {name: int(told[name]) for name in COUNTS} == COUNTS
    # Frames in the memory of a GPU are none that come through a pipe.
    on_devices = {name for name in pixel_formats if not VideoFormat(name).components}
    assert {name for name, count in told.items() if count == "refused"} == on_devices


@pytest.mark.parametrize(
    "spec",
    ["raw:99999x99999", "raw:16001x16000", "raw:0x8", "raw:8x0", "raw:8x8@0", "raw:8x8@0/1",
     "raw:8x8@1/0", "raw:8x8@nan", "raw:8x8@1..2", "raw:8x8@1/2/3", "raw:8x8@99999999",
     "raw:8x8:rgb24\0", "raw:8x8:" + "a" * 99, "raw:٣x٣", "raw:-1x8", "raw:"],
)  # fmt: skip
def test_raw_video_that_can_not_be(spec: str) -> None:
    assert frames(spec, bytes(10_000)) is None


@pytest.mark.slow
@settings(max_examples=LONG or 200, deadline=None)
@given(
    st.from_regex(r"raw:[0-9]{1,5}x[0-9]{1,5}(:[a-z0-9]{1,9})?(@[0-9./]{1,9})?", fullmatch=True)
    | st.text(max_size=20).map("raw:".__add__),
    st.binary(max_size=2000),
)
@example("raw:8192x8192", b"short")
def test_any_raw_description(spec: str, content: bytes) -> None:
    for frame in frames(spec, content) or ():
        assert frame.pixels.nbytes <= 3 * 8 * len(content)  # black and white has a bit a pixel


numbers = st.sampled_from([0, 1, 2, 47, 63, 8192, 16000, 16001, 99999, 2**31 - 1, 2**31, 2**64, -1])
headers = st.lists(
    st.one_of(
        st.builds("W{}".format, numbers),
        st.builds("H{}".format, numbers),
        st.builds("F{}:{}".format, numbers, numbers),
        st.builds("A{}:{}".format, numbers, numbers),
        st.sampled_from(["C420jpeg", "C444", "Cmono", "C420p10", "C444alpha", "Cnone", "Ip", "I?"]),
        st.text("WHFCIAX0123456789:= ", max_size=12),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=LONG or 300, deadline=None)
@given(headers, st.binary(max_size=40))
@example(["W99999", "H99999"], b"")
@example(["F0:0"], b"")
@example(["F1:0"], b"")
def test_any_y4m_header(header: list[str], damage: bytes) -> None:
    head = " ".join(["YUV4MPEG2", "W64", "H48", "F30:1", "C420jpeg", *header])
    content = head.encode() + b"\n" + (b"FRAME\n" + PICTURE) * 2 + damage
    for frame in frames("-", content) or ():
        assert frame.pixels.size <= 8 * len(content)


@settings(max_examples=LONG or 200, deadline=None)
@given(st.data())
def test_a_damaged_y4m(data: st.DataObject) -> None:
    content = bytearray(b"YUV4MPEG2 W64 H48 F30:1 Ip C420jpeg\n" + (b"FRAME\n" + PICTURE) * 2)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 50))] = data.draw(st.integers(0, 255))
    frames("-", bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_a_frame_larger_than_any_is_not_decoded() -> None:
    side = 16_001
    content = b"YUV4MPEG2 W%d H%d F30:1 Cmono\nFRAME\n" % (side, side) + bytes(1000)
    assert frames("-", content) is None
    with av.open(io.BytesIO(content)) as container:
        assert container.streams.video[0].width == side, "FFmpeg alone would take it"


@pytest.mark.parametrize(
    ("source", "head"),
    [
        ("-", b"YUV4MPEG2 W16001 H16000 F30:1 C444\nFRAME\n"),
        ("-", b"YUV4MPEG2 W99999 H99999 F30:1 C444\nFRAME\n"),
        ("raw:99999x99999", b""),
        ("raw:16001x16000", b""),
    ],
)
def test_a_large_header_takes_no_memory(source: str, head: bytes) -> None:
    """In a process of its own, whose memory at the end tells."""
    code = PEAK + (
        "import sys\n"
        "from edgecae.errors import SourceError\n"
        "from edgecae.media import sources\n"
        "from edgecae.media.sources import video_file\n"
        "import av\n"
        "before = peak()\n"
        "try:\n"
        "    with sources.open_source(sys.argv[1]) as source: list(source)\n"
        "except SourceError: print('refused')\n"
        "print(peak() - before)"
    )
    limit = 4 * 2**30
    done = subprocess.run(
        [sys.executable, "-c", code, source],
        input=head + bytes(1000),
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr
    said, grown = done.stdout.split()
    assert said == b"refused"
    assert int(grown) < 100_000, "kB"
