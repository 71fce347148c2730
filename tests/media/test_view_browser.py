"""The view's page in a real browser: headless Chromium, driven by Selenium."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import needs_browser, opened_browser
from watching import Camera, Stream, gallery, picture, showing, view

pytestmark = [pytest.mark.browser, needs_browser]

PIXEL = """
const [x, y] = arguments, canvas = document.getElementById("picture");
return canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data[0];
"""
VISIBLE = """
Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
document.dispatchEvent(new Event("visibilitychange"));
"""


class Page:
    """What a test does with the page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def pixel(self, x: float, y: float = 0.5) -> int:
        """Red at a place of the canvas, in shares of its sides."""
        return int(self.driver.execute_script(PIXEL, x, y))

    def text(self, name: str) -> str:
        return str(self.driver.find_element("id", name).text)

    def wait(self, condition: Callable[[], object], seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not in {seconds} s; the page says {self.text('state')}"
            time.sleep(0.05)

    def moves(self, seconds: float = 1.5) -> bool:
        """Whether the picture changes in that time."""
        first, end = self.pixel(0.9), time.monotonic() + seconds
        while time.monotonic() < end:
            if abs(self.pixel(0.9) - first) > 5:
                return True
            time.sleep(0.03)
        return False

    def errors(self) -> list[str]:
        """What the browser complained of: exceptions, violations of the policy, and the like."""
        entries = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened_browser(tmp_path_factory.mktemp("browser"), (1200, 900)) as driver:
        yield driver


@pytest.fixture
def page(driver: Any) -> Iterator[Page]:
    driver.get_log("browser")
    page = Page(driver)
    yield page
    driver.get("about:blank")
    with contextlib.suppress(Exception):
        driver.delete_all_cookies()


def test_the_picture_moves_and_figures_are_shown(page: Page) -> None:
    with view(control=Stream()) as sink, showing(sink):
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
        assert page.moves()
        assert page.text("noise") == "24.6"
        assert page.text("latency").startswith("12.3")
        assert page.text("fps").startswith("30.0")
        assert page.text("dropped") == "1,234"
        assert page.text("what") == "a camera · small"
        assert page.errors() == []


def test_the_divider_shows_before_at_its_left_and_after_at_its_right(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    with view(control=Stream()) as sink:
        sink.write(picture(60))
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
        divider = page.driver.find_element("id", "divider")

        def sides() -> list[bool]:
            assert all(
                min(abs(v - 60), abs(v - 160)) < 5 for v in map(page.pixel, (0.1, 0.45, 0.9))
            )
            return [page.pixel(x) > 110 for x in (0.1, 0.3, 0.45, 0.65, 0.9)]

        assert sides() == [True, True, True, False, False]
        width = page.driver.find_element("id", "stage").size["width"]
        ActionChains(page.driver).drag_and_drop_by_offset(divider, -0.3 * width, 0).perform()
        assert sides() == [True, False, False, False, False]
        assert 18 <= int(divider.get_attribute("aria-valuenow")) <= 22
        ActionChains(page.driver).drag_and_drop_by_offset(divider, 0.5 * width, 0).perform()
        assert sides() == [True, True, True, True, False]
        divider.send_keys(Keys.HOME)
        assert sides() == [False] * 5
        divider.send_keys(Keys.END)
        assert sides() == [True] * 5
        divider.send_keys(*[Keys.ARROW_LEFT] * 20)
        assert sides() == [True, True, True, False, False]
        assert divider.get_attribute("aria-valuenow") == "60"


def test_a_finger_drags_the_divider_on_a_phone(page: Page) -> None:
    command = page.driver.execute_cdp_cmd
    shape = {"width": 390, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    command("Emulation.setDeviceMetricsOverride", shape)
    command("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        with view(control=Stream()) as sink:
            sink.write(picture(60))
            page.driver.get(sink.url)
            page.wait(lambda: page.text("state") == "Live")
            box = page.driver.find_element("id", "stage").rect
            wide = page.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide == 390
            y = box["y"] + box["height"] / 3
            for kind, x in (("touchStart", 200), ("touchMove", 150), ("touchMove", 78)):
                command(
                    "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]}
                )
            command("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            page.wait(lambda: page.pixel(0.15) > 110 > page.pixel(0.25))
    finally:
        command("Emulation.setTouchEmulationEnabled", {"enabled": False})
        command("Emulation.clearDeviceMetricsOverride", {})


def test_strength_reaches_the_stream(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    with view(control=(stream := Stream())) as sink, showing(sink):
        page.driver.get(sink.url)
        page.wait(lambda: page.text("share") == "100 %")
        slider = page.driver.find_element("id", "strength")
        ActionChains(page.driver).click(slider).perform()
        page.wait(lambda: stream.strength is not None and 0.4 < stream.strength < 0.6)
        slider.send_keys(Keys.HOME)
        page.wait(lambda: stream.strength == 0)
        slider.send_keys(*[Keys.ARROW_RIGHT] * 30)
        page.wait(lambda: stream.strength == 0.3)
        auto = page.driver.find_element("id", "auto")
        auto.send_keys(Keys.SPACE)
        page.wait(lambda: stream.strength is None)
        page.wait(lambda: page.text("share") == "70 %")  # what automatic came to
        slider.send_keys(Keys.ARROW_LEFT)
        page.wait(lambda: stream.strength == 0.69)
        assert not auto.is_selected()


def test_the_snapshot_button_saves_a_picture(page: Page) -> None:
    with view(control=Stream()) as sink, showing(sink):
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
        page.driver.find_element("id", "snapshot").click()
        folder: Path = page.driver.downloads
        page.wait(lambda: list(folder.glob("edgecae-*.jpg")))
        (path,) = folder.glob("edgecae-*.jpg")
        assert path.read_bytes().startswith(b"\xff\xd8\xff")


COLOURS = """
const style = getComputedStyle(document.body);
return [style.backgroundColor, style.color].map(
    (text) => text.match(/[0-9.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part) / 3, 0));
"""
"""Brightness of the page and of its text, 0 to 255."""


def test_the_page_is_light_or_dark_as_the_system_is(page: Page) -> None:
    def prefer(scheme: str) -> tuple[float, float]:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        ground, text = page.driver.execute_script(COLOURS)
        return ground, text

    try:
        with view(control=Stream()) as sink:
            page.driver.get(sink.url)
            for _ in range(2):  # while it is open
                ground, text = prefer("light")
                assert ground > 200 > 100 > text
                ground, text = prefer("dark")
                assert ground < 60 < 150 < text
            assert page.errors() == []
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_token_opens_the_page_and_leaves_the_address(page: Page) -> None:
    with view("view:0?token=correct-horse", Stream()) as sink, showing(sink):
        page.driver.get(sink.name)
        assert "Not without a token" in page.driver.page_source
        page.driver.get(f"{sink.name}?token=wrong")
        assert "Not without a token" in page.driver.page_source
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
        assert page.driver.current_url == sink.name
        assert page.driver.execute_script("return document.cookie") == ""
        page.driver.refresh()
        page.wait(lambda: page.text("state") == "Live")
        assert page.moves()


def test_a_hidden_page_takes_no_pictures(page: Page) -> None:
    with view(control=Stream()) as sink, showing(sink):
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
        page.driver.execute_script(VISIBLE, True)
        page.wait(lambda: not sink.viewers)
        page.wait(lambda: not page.moves(0.3))  # what was on its way is drawn
        assert not page.moves()
        page.driver.execute_script(VISIBLE, False)
        page.wait(lambda: page.text("state") == "Live")
        assert page.moves()
        assert sink.viewers == 1


def test_the_page_comes_back_by_itself(page: Page) -> None:
    with view("view:0?token=correct-horse", Stream()) as sink, showing(sink):
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
    page.wait(lambda: page.text("state") == "Reconnecting")
    port = urlsplit(sink.name).port
    with view(f"view:{port}?token=correct-horse", Stream()) as sink, showing(sink):
        page.wait(lambda: page.text("state") == "Live")
        assert page.moves()
    with view(f"view:{port}?token=another-horse", Stream()) as sink, showing(sink):
        page.wait(lambda: page.text("state") == "No access", seconds=25)


def test_it_says_since_when_the_source_is_offline(page: Page) -> None:
    with view(control=(stream := Stream())) as sink:
        page.driver.get(sink.url)
        page.wait(lambda: page.text("notice") == "Waiting for the first picture")
        sink.write(picture(60))
        page.wait(lambda: page.text("state") == "Live")
        stream.offline = 90.0
        page.wait(lambda: page.text("notice").startswith("Offline since "))
        shown = page.driver.execute_script(
            "return new Date(Date.now() - 90000).toLocaleTimeString([], "
            "{hour: '2-digit', minute: '2-digit'})"
        )
        minutes = page.text("notice").removeprefix("Offline since ")[:4]
        assert shown.startswith(minutes)
        stream.offline = None
        sink.write(picture(90))
        page.wait(lambda: page.text("state") == "Live")
        assert not page.text("notice")


def test_a_stream_without_control_is_shown_as_well(page: Page) -> None:
    with view() as sink, showing(sink):
        page.driver.get(sink.url)
        page.wait(lambda: page.text("state") == "Live")
        assert page.moves()
        assert page.text("noise") == "–"
        assert not page.driver.find_element("id", "strength").is_enabled()
        assert page.errors() == []


TILE = """
const tile = document.querySelector(`a[href="cameras/${arguments[0]}/"]`);
const canvas = tile.querySelector("canvas");
return {
  red: canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0],
  word: tile.querySelector(".word").textContent,
  rate: tile.querySelector(".rate").textContent,
  notice: tile.querySelector(".notice").textContent,
  width: tile.getBoundingClientRect().width,
  left: tile.getBoundingClientRect().left,
  top: tile.getBoundingClientRect().top,
};
"""


def tile(page: Page, name: str) -> dict[str, Any]:
    """What a camera's tile on the page of all shows, and where it is."""
    found: dict[str, Any] = page.driver.execute_script(TILE, name)
    return found


def test_all_cameras_are_on_one_page_and_each_on_its_own(page: Page) -> None:
    names = ("door", "yard", "gate", "roof")
    with gallery(*names, token="0123456789abcdef0123") as shown, contextlib.ExitStack() as stack:
        sinks = [shown.sink(name) for name in names[:3]]
        for sink, value in zip(sinks, (40, 90, 140), strict=True):
            sink.write(picture(value))
        page.driver.get(shown.url)
        page.wait(lambda: page.text("what") == "4 of 4 cameras live")
        page.wait(
            lambda: [tile(page, n)["red"] for n in names] == pytest.approx([40, 90, 140, 0], abs=3)
        )
        assert "token" not in page.driver.current_url
        first, second, third, fourth = (tile(page, name) for name in names)
        assert (first["word"], first["rate"]) == ("Live", "30.0/s")
        assert first["top"] == second["top"] < third["top"] == fourth["top"]  # two by two
        assert first["left"] == third["left"] < second["left"] == fourth["left"]
        stack.enter_context(showing(sinks[1]))
        seen: set[int] = set()
        page.wait(lambda: seen.add(tile(page, "yard")["red"]) or len(seen) > 3)

        page.driver.find_element("css selector", 'a[href="cameras/yard/"]').click()
        page.wait(lambda: page.text("state") == "Live")
        assert page.text("name") == "yard"
        assert page.moves()
        assert page.driver.find_element("id", "divider").is_displayed()
        page.driver.find_element("id", "all").click()
        page.wait(lambda: page.text("what") == "4 of 4 cameras live")
        assert page.errors() == []


def test_a_page_of_cameras_follows_them(page: Page) -> None:
    with gallery("door", "yard") as shown:
        door, yard, roof = Camera("door"), Camera("yard"), Camera("roof")
        shown.show({"door": door, "yard": yard})
        shown.sink("door").write(picture(90))
        page.driver.get(shown.url)
        page.wait(lambda: page.text("what") == "2 of 2 cameras live")
        door.state, door.error, door.offline = "waiting", "the disk is full", 5.0
        page.wait(lambda: tile(page, "door")["word"] == "Trying again")
        assert tile(page, "door")["notice"] == "the disk is full"
        yard.state = "asleep"
        page.wait(lambda: tile(page, "yard")["word"] == "Asleep")
        assert page.text("what") == "0 of 2 cameras live"
        shown.show({"yard": yard, "roof": roof})  # the file was read anew
        page.wait(lambda: page.text("what") == "1 of 2 cameras live")
        assert page.driver.execute_script(
            "return [...document.querySelectorAll('.name')].map(each => each.textContent)"
        ) == ["yard", "roof"]
        assert page.errors() == []


def test_the_page_of_cameras_fits_a_phone(page: Page) -> None:
    size = page.driver.get_window_size()
    with gallery("door", "yard") as shown:
        shown.sink("door").write(picture(90))
        try:
            page.driver.set_window_size(500, 900)  # no narrower without a phone's own settings
            page.driver.get(shown.url)
            page.wait(lambda: page.text("what") == "2 of 2 cameras live")
            first, second = tile(page, "door"), tile(page, "yard")
            wide = page.driver.execute_script("return document.documentElement.clientWidth")
            assert first["width"] == second["width"] == wide
            assert first["top"] < second["top"]
            scrolls = "return document.documentElement.scrollWidth > innerWidth"
            assert not page.driver.execute_script(scrolls)
        finally:
            page.driver.set_window_size(size["width"], size["height"])


def test_the_stream_of_mjpeg_moves(page: Page) -> None:
    """As an element of a page of the view's."""
    add = """
    const image = document.createElement("img"), canvas = document.createElement("canvas");
    image.src = "/stream.mjpeg";
    document.body.append(image);
    window.red = () => {
      if (!image.naturalWidth) return -1;
      canvas.width = image.naturalWidth, canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      return context.getImageData(9, 9, 1, 1).data[0];
    };
    """
    with view("view:0?token=0123456789abcdef0123", Stream()) as sink, showing(sink):
        page.driver.get(sink.url)
        page.driver.execute_script(add)
        seen: set[int] = set()
        page.wait(lambda: seen.add(page.driver.execute_script("return red()")) or len(seen) > 4)
        assert page.errors() == []
