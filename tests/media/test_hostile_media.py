"""Pictures and videos that others made: what they may reach, and how much memory they may take."""

from __future__ import annotations

import http.server
import io
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip
from conftest import ROOT
from memory import PEAK
from PIL import Image, ImageOps
from ports import free_port

from edgecae import Denoiser
from edgecae.errors import SinkError, SourceError
from edgecae.media import images, sinks, sources
from edgecae.media.frame import MAX_PIXELS
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sources.video_file import VideoFile
from edgecae.stream import batch

FRAMES = [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(4)]


def edgecae(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, cwd=cwd, env={**os.environ, **environment},
    )  # fmt: skip


def png_header(width: int, height: int) -> bytes:
    """A PNG without a pixel that announces a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


# Formats


def test_a_picture_starts_no_program(tmp_path: Path) -> None:
    """PostScript, whatever it is called: Pillow hands it to Ghostscript where it finds one."""
    picture, program, ran = tmp_path / "a.png", tmp_path / "bin" / "gs", tmp_path / "ran"
    picture.write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    )
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    done = edgecae("denoise", picture, "-o", tmp_path / "out.png", PATH=path)
    assert done.returncode == 1
    assert "its format is unknown" in done.stderr
    assert not ran.exists()
    code = f"from PIL import Image; Image.open({str(picture)!r}).load()"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PATH": path}, stderr=-3)
    assert ran.exists(), "Pillow alone would run it"


@pytest.mark.parametrize("kind", ["TGA", "PCX", "ICO", "SGI", "DDS", "PDF"])
def test_other_formats_of_pillow_can_not_be_reached(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (16, 16)).save(path, kind)
    with pytest.raises(SourceError, match="its format is unknown"):
        images.read(path)


def test_decoders_are_opened_in_one_place_each() -> None:
    """Whatever opens a picture or a container elsewhere has none of the limits."""
    found = {
        (str(path.relative_to(ROOT)), call)
        for package in ("runtime", "train", "convert")
        for path in (ROOT / package).rglob("*.py")
        for call in ("Image.open(", "Image.OPEN[", "av.open(", "tf.io.decode", "imread(")
        if call in path.read_text()
    }
    assert found == {
        ("runtime/edgecae/media/images/formats.py", "Image.OPEN["),
        ("runtime/edgecae/media/images/reading.py", "Image.OPEN["),
        ("runtime/edgecae/media/containers.py", "av.open("),
        ("runtime/edgecae/media/sound.py", "av.open("),  # for writing, in memory
        ("runtime/edgecae/noise/camera/coding.py", "Image.open("),  # what it has encoded itself
    }


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """The port of a web server, and what it was asked for."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            requests.append(self.requestline)
            self.send_error(404)

        do_POST = do_PUT = do_GET  # noqa: N815

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], requests
    server.shutdown()
    server.server_close()


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("name", ["a.m3u8", "a.mkv", "a.mp4", "pipe"])
def test_a_playlist_opens_nothing(name: str, tmp_path: Path, asked: tuple[int, list[str]]) -> None:
    port, requests = asked
    content = PLAYLIST.format(f"http://127.0.0.1:{port}/x.ts").encode()
    path = tmp_path / name
    path.write_bytes(content)
    pipe = io.BytesIO(content) if name == "pipe" else None
    with pytest.raises(SourceError, match=r"no video|neither an image nor a video"):
        VideoFile(path, pipe)
    assert requests == []


def test_a_concat_script_and_an_sdp_open_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "secret.mkv", FRAMES)
    script = tmp_path / "a.ffconcat"
    script.write_text("ffconcat version 1.0\nfile secret.mkv\n")
    port = free_port(socket.SOCK_DGRAM)
    session = tmp_path / "a.sdp"
    session.write_text(
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 33\n"
    )
    for path in (script, session):
        with pytest.raises(SourceError, match="neither an image nor a video"):
            sources.open_source(str(path))


@pytest.mark.parametrize("scheme", ["http", "tcp", "concat", "data", "pipe"])
def test_a_folder_that_is_called_like_a_scheme_is_a_folder(
    scheme: str, tmp_path: Path, asked: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, requests = asked
    monkeypatch.chdir(tmp_path)
    folder = Path(f"{scheme}:/127.0.0.1:{port}")
    folder.mkdir(parents=True)
    target = folder / "out.mkv"
    with VideoSink(target) as sink:
        for frame in FRAMES:
            sink.write(sources.base.Frame(frame, 0.0))
    with VideoFile(target) as source:
        assert len(list(source)) == len(FRAMES)
    assert requests == []


@pytest.mark.parametrize("name", ["out.m3u8", "out.mpd", "out.sdp", "out.tee", "out%03d.jpg"])
def test_a_sink_of_several_files_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="can't be written as a video"):
        VideoSink(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# Sizes


@pytest.mark.parametrize("max_pixels", [MAX_PIXELS, 1000])
def test_a_size_is_looked_at_before_decoding(max_pixels: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    side = round(max_pixels**0.5) + 1
    path.write_bytes(png_header(side, side))
    settings = sources.SourceSettings(max_pixels=max_pixels)
    with pytest.raises(SourceError, match=rf"{side}×{side}, more than {max_pixels:,} pixels"):
        list(sources.open_source(str(path), settings))
    with pytest.raises(SourceError, match="more than"):
        images.read(path, max_pixels)


@pytest.mark.slow
def test_the_option_is_the_parameter(photos: Path, tmp_path: Path) -> None:
    for command in (
        ["denoise", photos / "face.png", "-o", tmp_path / "out.png"],
        ["noise", photos / "face.png"],
        ["stream", "--source", photos / "face.png", "--sink", "null:"],
        ["stream", "--source", "test:64x64?frames=1", "--sink", "null:"],
    ):
        done = edgecae(*command, "--max-pixels", 999)
        assert done.returncode == 1, done.stderr
        assert "more than 999 pixels" in done.stderr


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi"])
def test_video_has_the_same_limit(codec: str, suffix: str, tmp_path: Path) -> None:
    """Where frames refer to others, a quarter of it."""
    pixels = {"mjpeg": "yuvj420p", "mpeg4": "yuv420p"}[codec]
    clip = make_clip(tmp_path / f"a.{suffix}", FRAMES, codec=codec, pix_fmt=pixels)
    enough = 64 * 48 * (1 if codec == "mjpeg" else 4)
    settings = sources.SourceSettings(max_pixels=enough)
    with sources.open_source(str(clip), settings) as source:
        assert len(list(source)) == len(FRAMES)
    with pytest.raises(SourceError, match="64×48, more than"):
        sources.open_source(str(clip), sources.SourceSettings(max_pixels=enough - 4))


def jpeg(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (90, 90, 90)).save(file, "JPEG")
    return file.getvalue()


def test_a_camera_that_grows_is_limited_and_goes_on(tmp_path: Path) -> None:
    """A packet whose size has changed is refused, and those after it are shown."""
    stream = tmp_path / "a.mjpeg"
    stream.write_bytes(jpeg(64, 48) * 3 + jpeg(640, 480) * 2 + jpeg(64, 48) * 3)
    settings = sources.SourceSettings(max_pixels=10_000)
    with sources.open_source(str(stream), settings) as source:
        assert {frame.pixels.shape for frame in source} == {(48, 64, 3)}
        assert source.broken == 2


def test_a_tile_larger_than_its_picture_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tags = {322: 30_000, 323: 30_000, 324: 8, 325: 100}
    Image.new("RGB", (8, 8)).save(path, tiffinfo=tags)
    entries = [
        (256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 5), (262, 3, 1, 1),
        (277, 3, 1, 1), (322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 8), (325, 4, 1, 9),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in entries
    )
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0))
    with pytest.raises(SourceError, match=r"a tile of .* more than"):
        images.read(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode", "size"),
    [("a.png", "RGB", 4), ("a.jpg", "RGB", 4), ("a.png", "RGBA", 4), ("a.png", "RGB;16", 8)],
)
def test_a_picture_is_in_memory_twice_at_most(
    name: str, mode: str, size: int, tmp_path: Path
) -> None:
    """With four bytes a pixel, as Pillow holds it, or eight: by how much more one of 25 megapixels
    takes than one of 9, in small tiles, so that what the network takes counts for little."""
    code = PEAK + (
        "import sys\n"
        "from pathlib import Path\n"
        "from edgecae import Denoiser\n"
        "from edgecae.stream import batch\n"
        "source, target = map(Path, sys.argv[1:])\n"
        "with Denoiser('nano', 2, largest_area=200_000) as denoiser:\n"
        "    batch.run_batch(batch.plan_batch([source], target), denoiser)\n"
        "print(peak())"
    )

    def peak(side: int) -> int:
        """The most that the command's process took for a picture of side×side, in bytes."""
        if mode == "RGB;16":
            pixels = np.full((side, side, 3), 90, np.uint8)
            picture = images.Picture(pixels, fine=np.zeros(pixels.shape, np.int16))
            images.write(tmp_path / name, picture)
        else:
            image = Image.new(mode, (side, side), (90, 120, 60, 255)[: len(mode)])
            if mode == "RGBA":
                image.paste((0, 0, 0, 0), (0, 0, 100, side))
            image.save(tmp_path / name, **({"compress_level": 1} if name == "a.png" else {}))
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / name, tmp_path / f"out-{side}-{name}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(done.stdout) * 1024

    more = (peak(5000) - peak(3000)) / (5000**2 - 3000**2)
    assert more < 2 * size * 1.1, "bytes per pixel"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    turned = images.upright(images.read(path)).pixels
    assert (turned == expected).all()
    assert turned.flags.c_contiguous


# Files


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
@pytest.mark.parametrize("kind", ["png", "mkv"])
def test_a_result_has_the_permissions_of_its_source(
    mode: int, kind: str, denoiser: Denoiser, tmp_path: Path
) -> None:
    source, target = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    if kind == "png":
        Image.fromarray(FRAMES[1]).save(source)
    else:
        make_clip(source, FRAMES)
    source.chmod(mode)
    batch.run_batch(batch.plan_batch([source], target), denoiser)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    target.chmod(0o666)  # of an older result, say: its content was not this
    batch.run_batch(batch.plan_batch([source], target), denoiser, overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_nobody_else_can_read_a_file_while_it_is_written(tmp_path: Path) -> None:
    from edgecae import atomic

    with atomic.writing(tmp_path / "a", mode=0o600) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    with atomic.writing(tmp_path / "a") as temporary:  # as the one that it will replace
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600


def test_a_link_where_a_result_is_written_is_not_followed(
    denoiser: Denoiser, tmp_path: Path
) -> None:
    """Whoever can write into the folder, /tmp say, may have guessed each name."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    clip = make_clip(tmp_path / "in.mkv", FRAMES)
    for name in (".in.part.mkv", ".in.mkv.tmp", f".in.{'0' * 12}.tmp.mkv"):
        (out / name).symlink_to(victim)
    batch.run_batch(batch.plan_batch([clip], out / "in.mkv"), denoiser)
    assert victim.read_text() == "precious"
    assert (out / "in.mkv").is_file()


def test_a_recording_follows_no_dead_link(tmp_path: Path) -> None:
    """Such a link looks like a free name, and leads to a file that would be made."""
    victim = tmp_path / "victim.mkv"
    (tmp_path / "door-0001.mkv").symlink_to(victim)
    with pytest.raises(SinkError, match="exists"):
        VideoSink(tmp_path / "door-0001.mkv")
    with sources.open_source("test:64x48?frames=2") as source:
        settings = sinks.SinkSettings(source, segment=60.0)
        with sinks.open_sink(str(tmp_path / "door.mkv"), settings) as sink:
            for frame in source:
                sink.write(frame)
    assert not victim.exists()
    assert (tmp_path / "door-0002.mkv").is_file()


# Terminals


@pytest.mark.slow
def test_names_send_nothing_to_a_terminal(tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07\x9b31m\u202egnp.txt\nedgecae: done"
    (tmp_path / "in").mkdir()
    for file in (f"{name}.png", "b\udcff.png"):
        (tmp_path / "in" / file).write_bytes(b"none")
    commands = [
        ["denoise", tmp_path / "in", "-o", tmp_path / "out"],
        ["denoise", tmp_path / "in" / f"{name}.png", "-o", tmp_path / "x.png"],
        ["stream", "--source", tmp_path / "in" / f"{name}.png", "--sink", "null:"],
        ["inspect", tmp_path / "in" / f"{name}.png"],
        ["inspect", "--no-such-\x1b[31m"],
    ]
    for command in commands:
        done = edgecae(*command)
        assert done.returncode != 0
        told = done.stdout + done.stderr
        assert not set(told) & set(map(chr, (*range(10), *range(11, 32), *range(127, 160)))), told
        assert "\u202e" not in told
        assert "\nedgecae: done" not in told
        assert "\\x1b" in told
        assert "Traceback" not in told


def test_json_has_names_as_they_are(tmp_path: Path) -> None:
    import json

    name = "a\x1b[31m\u202e.png"
    done = edgecae("--log-format", "json", "denoise", tmp_path / name, "-o", tmp_path / "x.png")
    assert "\x1b" not in done.stderr
    assert name in json.loads(done.stderr.splitlines()[-1])["message"]


@pytest.mark.slow
def test_a_pipe_called_a_picture_is_refused_at_once(tmp_path: Path, photos: Path) -> None:
    """Opening it would wait for somebody who writes, and no signal would end that."""
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "a.png")
    shutil.copy(photos / "face.png", folder / "b.png")
    with pytest.raises(SourceError, match="no ordinary file"):
        images.read(folder / "a.png")
    with sources.open_source(str(folder)) as source:
        assert len(list(source)) == 1
    for command in ("denoise", "decompress"):
        more = ["--model", "nano"] if command == "denoise" else ["--model", "none.tflite"]
        done = subprocess.run(
            [sys.executable, "-m", "edgecae", command, str(folder / "a.png"),
             "-o", str(tmp_path / "out.png"), *more],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 1
        assert "no ordinary file" in done.stderr
        assert "Traceback" not in done.stderr
