"""The file of several cameras: what it says, and what it refuses."""

from __future__ import annotations

import dataclasses
import datetime
from fractions import Fraction
from pathlib import Path

import click
import msgspec
import pytest

from edgecae.commands import stream
from edgecae.errors import SettingError
from edgecae.stream.cameras import settings
from edgecae.stream.cameras.hours import parse_hours

FULL = """
threads = 3
view = "0.0.0.0:8080"
metrics = "9100"

[defaults]
model = "nano"
sink = "{camera}-%H.mkv"
strength = "auto"

[cameras.door]
source = "rtsp://user:sesame@10.0.0.5/live"
stall = 3
segment = 600
crf = 20
bitrate = "4M"
preset = "fast"
active = ["06:00-22:00"]
timezone = "Europe/Berlin"

[cameras.yard-2]
source = "/dev/video0"
size = "1280x720"
fps = "30000/1001"
pixel-format = "mjpeg"
max-pixels = 2000000
model = "small"
sink = ["null:", "yard/"]
strength = 0.5
hang = 10
codec = "h264"
overwrite = true
no-audio = true
backend = "litert"
"""


def read(folder: Path, text: str) -> settings.Cameras:
    (folder / "cameras.toml").write_text(text)
    return settings.read(folder / "cameras.toml")


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SettingError) as caught:
        read(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_setting_arrives(tmp_path: Path) -> None:
    file = read(tmp_path, FULL)
    assert (file.threads, file.view, file.metrics) == (3, "0.0.0.0:8080", "9100")
    assert list(file.cameras) == ["door", "yard-2"]
    door, yard = (each.session for each in file.cameras.values())
    assert (door.model, door.sinks, door.strength) == ("nano", ["door-%H.mkv"], None)
    assert (door.camera.stall, door.segment) == (3, 600)
    assert dataclasses.astuple(door.encoding)[:3] == (20, 4_000_000, "fast")
    assert (yard.model, yard.sinks, yard.strength) == ("small", ["null:", "yard/"], 0.5)
    assert yard.camera.size == (1280, 720)
    assert yard.camera.rate == Fraction(30000, 1001)
    assert (yard.camera.pixel_format, yard.camera.max_pixels) == ("mjpeg", 2_000_000)
    assert (yard.hang, yard.codec, yard.overwrite, yard.backend) == (10, "h264", True, "litert")
    assert (door.encoding.audio, yard.encoding.audio) == (True, False)
    assert file.cameras["door"].hours.zone is not None
    assert not file.cameras["yard-2"].hours.parts


def test_the_settings_are_the_options_of_the_command() -> None:
    """A new option is a setting as well, unless it belongs to the process."""
    options = {
        option.opts[0].removeprefix("--")
        for option in stream.command.params
        if isinstance(option, click.Option)
    }
    process = {"threads", "metrics", "token-file", "json", "config", "max-latency"}
    known = {field.encode_name for field in msgspec.structs.fields(settings.Camera)}
    assert options - process == known - {"active", "timezone"}


def test_cameras_are_equal_if_they_were_written_alike(tmp_path: Path) -> None:
    before = read(tmp_path, FULL).cameras
    after = read(tmp_path, FULL.replace("stall = 3", "stall = 4")).cameras
    assert before["yard-2"] == after["yard-2"]
    assert before["door"] != after["door"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it has no cameras: give 1 to 64 tables [cameras.NAME]"),
        ("cameras = 3", "cameras are tables: [cameras.NAME]"),
        ("[cameras.a", "Expected ']' at the end of a table declaration"),
        ("[cameras.a]", "camera 'a': Object missing required field `source`"),
        ("[cameras.a]\nsource = 'test:'\nmodle = 'nano'", "did you mean 'model'?"),
        ("[cameras.a]\nsource = 'test:'\nthreads = 2", "unknown field `threads`; there are "),
        ("[cameras.a]\nsource = 'test:'\npixel_format = 'x'", "did you mean 'pixel-format'?"),
        ("[defaults]\nstrenght = 1\n[cameras.a]\nsource = 'test:'", "did you mean 'strength'?"),
        ("thread = 1\n[cameras.a]\nsource = 'test:'", "did you mean 'threads'?"),
        ("xyz = 1\n[cameras.a]\nsource = 'test:'", "threads, view, metrics, defaults, cameras"),
        ("threads = 0\n[cameras.a]\nsource = 'test:'", "`int` >= 1 - at `$.threads`"),
        ("[cameras.a]\nsource = 'test:'\nstrength = 2", "<= 1.0 - at `$.strength`"),
        ("[cameras.a]\nsource = 'test:'\nsize = 'big'", "'big' is no WIDTHxHEIGHT"),
        ("[cameras.a]\nsource = 'test:'\nfps = 'x'", "'x' is no number of frames a second"),
        ("[cameras.a]\nsource = 'test:'\nbitrate = '4G'", "'4G' is no bit rate"),
        ("[cameras.a]\nsource = 'test:'\nmodel = 'big'", "camera 'a': model 'big' is neither"),
        ("[cameras.a]\nsource = 'test:'", "camera 'a': it has no sink"),
        ("[cameras.a]\nsource = '-'\nsink = 'null:'", "standard input can't be shared"),
        ("[cameras.a]\nsource = 'test:'\nsink = 'raw:'", "standard output can't be shared"),
        ("[cameras.a]\nsource = 'test:'\nsink = 'mpegts:-'", "standard output can't be shared"),
        ("[cameras.a]\nsource = 'test:'\nsink = 'view:'", "give view = 'PORT' at the top"),
        ("[cameras.'a b']\nsource = 'test:'\nsink = 'null:'", "letters, digits, - and _"),
        ("[defaults]\nsink='a.mkv'\n[cameras.a]\nsource='test:'\n[cameras.b]\nsource='test:'",
         "camera 'b': 'a.mkv' is a sink of camera 'a' already"),
        ("[cameras.a]\nsource = 'test:'\nactive = ['6-22']", "no part of a day such as"),
        ("[cameras.a]\nsource = 'test:'\ntimezone = 'Berlin'", "no time zone 'Berlin'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, says: str, tmp_path: Path) -> None:
    said = refused(tmp_path, text)
    assert str(tmp_path / "cameras.toml") in said
    assert says in said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="can't be read: No such file"):
        settings.read(tmp_path / "none.toml")


def test_descriptions_are_expanded(tmp_path: Path) -> None:
    (tmp_path / "cameras.toml").write_text(
        "view = '@view'\n[cameras.a]\nsource = '@source'\nsink = ['@sink']"
    )
    file = settings.read(tmp_path / "cameras.toml", lambda text: text.replace("@", "expanded-"))
    session = file.cameras["a"].session
    assert (file.view, session.source) == ("expanded-view", "expanded-source")
    assert session.sinks == ["expanded-sink"]


@pytest.mark.parametrize(
    ("parts", "moment", "active"),
    [
        ([], "12:00", True),
        (["06:00-22:00"], "06:00", True),
        (["06:00-22:00"], "05:59", False),
        (["06:00-22:00"], "22:00", False),
        (["22:00-06:00"], "23:59", True),
        (["22:00-06:00"], "05:59", True),
        (["22:00-06:00"], "12:00", False),
        (["00:00-24:00"], "23:59", True),
        (["06:00-08:00", "17:30-24:00"], "17:30", True),
        (["06:00-08:00", "17:30-24:00"], "12:00", False),
    ],
)
def test_hours(parts: list[str], moment: str, active: bool) -> None:
    hours = parse_hours(parts, "Europe/Berlin")
    when = datetime.datetime.fromisoformat(f"2026-03-03T{moment}:30").replace(tzinfo=hours.zone)
    assert hours.active(when) is active
    assert hours.active(when.astimezone(datetime.UTC)) is active


@pytest.mark.parametrize(
    "part", ["6:00-22:00", "06:00", "06:60-07:00", "24:00-25:00", "06:00-06:00", "x"]
)
def test_what_is_no_part_of_a_day(part: str) -> None:
    with pytest.raises(ValueError, match="no part of a day"):
        parse_hours([part])


def test_hours_follow_the_clock_on_the_wall_through_a_change_to_summer_time() -> None:
    hours = parse_hours(["03:00-04:00"], "Europe/Berlin")
    winter = datetime.datetime(2026, 3, 28, 2, 30, tzinfo=datetime.UTC)  # 03:30 in Berlin
    summer = datetime.datetime(2026, 3, 29, 1, 30, tzinfo=datetime.UTC)  # 03:30 in Berlin
    assert hours.active(winter)
    assert hours.active(summer)
    assert not hours.active(summer.replace(hour=2))
