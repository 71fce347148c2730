"""The view of several cameras: who sees what of which, and what one costs the others."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
from collections import Counter

import av
import numpy as np
import pytest
from PIL import Image
from watching import Camera, Socket, ask, gallery, picture, showing

from edgecae.errors import SinkError
from edgecae.media.sinks.view import pictures, server

TOKEN = "0123456789abcdef0123"


def level(jpeg: bytes) -> int:
    return round(float(np.asarray(Image.open(io.BytesIO(jpeg))).mean()))


def test_each_camera_has_its_own_picture_figures_and_strength() -> None:
    with gallery("door", "yard") as shown:
        shown.sink("door").write(picture(40))
        shown.sink("yard").write(picture(120))
        for name, value in (("door", 40), ("yard", 120)):
            status, body, _ = ask(shown, "GET", f"/cameras/{name}/snapshot.jpg")
            assert status == 200
            assert level(body) == pytest.approx(value, abs=2)
            assert json.loads(ask(shown, "GET", f"/cameras/{name}/status")[1])["camera"] == name
        status, body, _ = ask(shown, "POST", "/cameras/yard/strength", {"strength": None})
        assert (status, json.loads(body)["strength_auto"]) == (200, True)
        every = json.loads(ask(shown, "GET", "/status")[1])["cameras"]
        assert list(every) == ["door", "yard"]
        assert (every["door"]["strength_auto"], every["yard"]["strength_auto"]) == (False, True)
        with (
            showing(shown.sink("yard")),
            av.open(f"{shown.name}cameras/yard/stream.mjpeg", timeout=5) as container,
        ):
            frames = itertools.islice(container.decode(video=0), 10)
            assert 640 in {frame.width for frame in frames}  # the other's has 64 columns


def test_who_is_not_shown_is_not_there() -> None:
    with gallery("door") as shown:
        for path in ("/cameras/yard/", "/cameras/yard/status", "/cameras/yard/frames", "/cameras/",
                     "/snapshot.jpg", "/stream.mjpeg", "/cameras/door/../yard/"):  # fmt: skip
            assert ask(shown, "GET", path)[0] == 404, path
        with pytest.raises(SinkError, match="no camera 'yard'"):
            shown.sink("yard")


def test_nothing_is_shown_without_the_token() -> None:
    with gallery("door", token=TOKEN) as shown:
        shown.sink("door").write(picture(40))
        paths = ("/", "/status", "/frames", "/cameras/door/", "/cameras/door/status",
                 "/cameras/door/snapshot.jpg", "/cameras/door/stream.mjpeg",
                 "/cameras/door/frames", "/cameras/nobody/")  # fmt: skip
        for path in paths:
            assert ask(shown, "GET", path)[0] == 401, path
        for path in ("/", "/cameras/door/"):  # what people open
            status, _, headers = ask(shown, "GET", f"{path}?token={TOKEN}")
            assert status == 200
            cookie = headers["Set-Cookie"].partition(";")[0]
            assert "Path=/" in headers["Set-Cookie"]
        assert ask(shown, "GET", f"/cameras/door/status?token={TOKEN}")[0] == 401
        for path in paths[1:2] + paths[4:6]:
            assert ask(shown, "GET", path, Cookie=cookie)[0] == 200, path
            assert ask(shown, "GET", path, Authorization=f"Bearer {TOKEN}")[0] == 200, path
        origin = {"Cookie": cookie, "Origin": "http://elsewhere.example"}
        assert ask(shown, "GET", "/cameras/door/status", **origin)[0] == 403


@pytest.mark.slow
def test_a_viewer_of_all_gets_pictures_of_each_in_turns() -> None:
    with gallery("door", "yard", "gate") as shown, Socket(shown) as viewer:
        sinks = {name: shown.sink(name) for name in ("door", "yard")}
        with showing(sinks["door"], 60), showing(sinks["yard"], 10):
            names, figures = Counter[str](), 0
            end = time.monotonic() + 2
            while time.monotonic() < end:
                told, jpeg, name = viewer.next()
                if jpeg:
                    names[name.decode()] += 1
                    Image.open(io.BytesIO(jpeg)).load()
                if told:
                    figures += 1
                    assert list(json.loads(told)["cameras"]) == ["door", "yard", "gate"]
        assert set(names) == {"door", "yard"}
        assert names["yard"] >= 0.3 * names["door"]
        assert 3 <= figures <= 9  # a few a second, however many pictures there are


def test_pictures_before_are_encoded_for_those_alone_who_see_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not for the page of all cameras, snapshots and MJPEG, which show what was denoised."""
    at_once, encoded = pictures.encode, list[int]()

    def encode(pixels: np.ndarray) -> bytes:
        encoded.append(int(pixels[0, 0, 0]))
        return at_once(pixels)

    monkeypatch.setattr(pictures, "encode", encode)
    with gallery("door") as shown, Socket(shown) as everywhere:
        door = shown.sink("door")
        for value in (10, 20, 30):
            door.write(picture(value))
            jpeg = b""
            while not jpeg:
                _, jpeg, _ = everywhere.next()
            assert level(jpeg) == pytest.approx(value, abs=2)
        assert ask(shown, "GET", "/cameras/door/snapshot.jpg")[0] == 200
        assert encoded == [10, 20, 30]

        # Somebody who comes later sees the newest one both ways, also if no other comes.
        with (
            Socket(shown, path="/cameras/door/frames") as viewer,
            Socket(shown, path="/cameras/door/frames") as another,
        ):
            for each in (viewer, another):
                _, jpeg, before = each.next()
                assert (level(jpeg), level(before)) == pytest.approx((30, 130), abs=2)
            assert encoded == [10, 20, 30, 130]
            threading.Timer(0.3, door.write, [picture(40)]).start()
            _, jpeg, before = viewer.next()
            assert (level(jpeg), level(before)) == pytest.approx((40, 140), abs=2)
            assert encoded == [10, 20, 30, 130, 40, 140]


def test_a_viewer_of_all_hears_of_cameras_that_say_nothing() -> None:
    with gallery("door") as shown, Socket(shown) as viewer:
        start = time.monotonic()
        told, jpeg, name = viewer.next()
        assert (bool(told), jpeg, name) == (True, b"", b"")
        assert 0.9 < time.monotonic() - start < 3


@pytest.mark.slow
def test_cameras_come_and_go_and_those_that_stay_keep_their_viewers() -> None:
    with gallery("door", "yard") as shown:
        shown.sink("door").write(picture(40))
        with (
            Socket(shown) as everybody,
            Socket(shown, path="/cameras/door/frames") as of_door,
            Socket(shown, path="/cameras/yard/frames") as of_yard,
        ):
            assert of_door.next()[1]
            shown.show({"door": Camera("door"), "roof": Camera("roof")})
            shown.sink("roof").write(picture(90))
            assert level(ask(shown, "GET", "/cameras/door/snapshot.jpg")[1]) == pytest.approx(
                40, abs=2
            )
            assert level(ask(shown, "GET", "/cameras/roof/snapshot.jpg")[1]) == pytest.approx(
                90, abs=2
            )
            shown.sink("door").write(picture(60))
            assert level(of_door.next()[1]) == pytest.approx(60, abs=2)
            of_yard.say()
            assert of_yard.is_closed()
            found = {everybody.next()[2] for _ in range(3)}
            assert {b"door", b"roof"} <= found
        with pytest.raises(SinkError):
            shown.sink("yard")


def test_places_of_one_camera_take_none_of_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLIENTS", 1)
    with gallery("door", "yard") as shown:
        paths = ("/cameras/door/frames", "/cameras/yard/frames", "/frames")
        viewers = [Socket(shown, path=path) for path in paths]
        for viewer in viewers:
            viewer.say()
        for path in paths:
            with Socket(shown, path=path) as refused:
                opcode, data = refused.hear()
                assert (opcode, data[2:]) == (8, b"1 are looking already")
        assert shown._server.viewers == 3
        for viewer in viewers:
            viewer.hear()
            viewer.raw.close()


@pytest.mark.slow
def test_a_viewer_who_is_slow_holds_up_no_camera() -> None:
    with gallery("door", "yard") as shown:
        door, yard = shown.sink("door"), shown.sink("yard")
        with Socket(shown, receive_buffer=4096) as slow, showing(door) as taken, showing(yard):
            for _ in range(20):
                slow.say()  # and reads nothing
            with Socket(shown) as quick:
                end = time.monotonic() + 1.5
                count = 0
                while time.monotonic() < end:
                    count += bool(quick.next()[1])
            assert count > 8
        assert max(taken) < 0.2
