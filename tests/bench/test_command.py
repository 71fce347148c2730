"""``edgecae bench`` as a process, and its page in a real browser."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_browser, opened_browser
from conftest import DATA
from PIL import Image

from edgecae.bench import comparison, peers, plots, report, results
from edgecae.bench.plots import Point
from edgecae.bench.text import format_results
from edgecae.commands.bench import command
from edgecae.errors import SettingError, SinkError

QUICK = ("--model", "nano", "--size", "96x64", "--threads", "1", "--seconds", "0.05")


def edgecae(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", "bench", *map(str, arguments)],
        capture_output=True, text=True, timeout=600, **more,
    )  # fmt: skip


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The command in this process: its exit status, and what it printed on standard output.

    TensorFlow, which runs float networks, is then imported once for several calls.
    """

    def call(*arguments: str | Path) -> tuple[int, str]:
        status = command.main([str(each) for each in arguments], standalone_mode=False)
        return status or 0, capsys.readouterr().out

    return call


KEPT = {"bilateral", "wavelet", "ffmpeg-nlmeans", "ffmpeg-atadenoise"}
WITHOUT = [word for name in sorted(peers.PEERS.keys() - KEPT) for word in ("--without", name)]
"""Peers of each kind stand for all; ``test_methods.py`` has every one."""


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "faces"
    folder.mkdir()
    shutil.copy(DATA / "face.png", folder / "a.png")
    shutil.copy(DATA / "hat.png", folder / "b.png")
    return folder


@pytest.fixture(scope="module")
def made(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """One run with all there is: JSON and the page."""
    page = tmp_path_factory.mktemp("report") / "page.html"
    done = edgecae(
        *QUICK, "--rounds", "2", "--quality", photo_folder, "--sigma", "25", "--peers",
        *WITHOUT, "--roofline", "--report", page, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), page


def test_json_has_all_of_it(made: tuple[dict, Path]) -> None:
    about, _ = made
    latency = {row["method"]: row for row in about["latency"]}
    assert {"nano", *KEPT} == latency.keys() | {"ffmpeg-atadenoise"}
    row = latency["nano"]
    assert (row["width"], row["height"], row["threads"]) == (96, 64, 1)
    assert row["median_ms"] <= row["p95_ms"] <= row["p99_ms"]
    assert row["fps"] == pytest.approx(1000 / row["median_ms"], rel=0.01)
    assert len(row["rounds"]) == 2
    assert row["peak_bytes"] > row["idle_bytes"] > 0
    quality = {row["method"]: row for row in about["quality"]}
    assert quality["nano"]["psnr"] > quality["bilateral"]["psnr"] > quality["noisy"]["psnr"]
    assert quality["nano"]["psnr_to_float"] > 40
    assert about["roofline"][0]["over_floor"] > 0.3
    assert about["macs_per_pixel"]["nano"] == pytest.approx(2380, abs=10)
    assert "on a clip" in about["failed"]["ffmpeg-atadenoise on faces at σ 25"]
    assert about["conditions"]["versions"]["ai-edge-litert"]


def test_json_comes_back(made: tuple[dict, Path], tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(made[0]))
    assert json.loads(json.dumps(results.read_results(path).to_dict())) == made[0]
    for text in ("{}", "[]", "nothing", json.dumps({**made[0], "format": 99})):
        path.write_text(text)
        with pytest.raises(SettingError, match="edgecae bench --json"):
            results.read_results(path)
    with pytest.raises(SettingError, match="No such file"):
        results.read_results(tmp_path / "none.json")


@pytest.mark.slow
def test_a_comparison_tells_slower_from_the_same(
    bench: Callable[..., tuple[int, str]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(logging.getLogger("edgecae"), "propagate", True)
    quick = (*QUICK, "--rounds", str(comparison.MIN_ROUNDS))
    saved = tmp_path / "saved.json"
    about = json.loads(bench(*quick, "--json")[1])
    (row,) = about["latency"]
    # What was a hundred times as fast and as slow: no noise reaches that far.
    for factor, status, verdict in ((0.01, 1, "slower"), (100, 0, "faster")):
        changed = {**row, "rounds": [ms * factor for ms in row["rounds"]]}
        saved.write_text(json.dumps({**about, "latency": [changed]}))
        caplog.clear()
        got, said = bench(*quick, "--compare", saved)
        assert got == status
        assert verdict in said
        assert ("slower or worse than before: nano at 96x64" in caplog.text) == bool(status)
    conditions = {**about["conditions"], "cpu": "a Raspberry Pi"}
    saved.write_text(json.dumps({**about, "conditions": conditions}))
    done = edgecae(*QUICK, "--rounds", "1", "--compare", saved)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "of another machine (a Raspberry Pi" in done.stderr


@pytest.mark.slow
def test_another_installation_is_timed_in_turn(tmp_path: Path) -> None:
    """Its clock runs a hundred times as fast as ours: no noise reaches that far."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time\nreal = time.perf_counter\ntime.perf_counter = lambda: 100 * real()\n"
    )
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    done = edgecae(*QUICK, "--against", other, "--json")
    assert done.returncode == 0, done.stderr
    (change,) = json.loads(done.stdout)["comparison"]["latency"]
    assert change["ratio"] < 1 / 10
    assert change["verdict"] == "faster"
    low, high = change["spread"]
    assert low <= change["ratio"] <= high


@pytest.mark.slow
def test_quality_alone_and_its_regression(
    bench: Callable[..., tuple[int, str]], photo_folder: Path, tmp_path: Path
) -> None:
    only = ("--model", "nano", "--rounds", "0", "--quality", photo_folder, "--sigma", "25")
    saved = tmp_path / "saved.json"
    about = json.loads(bench(*only, "--json")[1])
    assert about["latency"] == []
    saved.write_text(json.dumps(about))
    status, said = bench(*only, "--compare", saved)
    assert status == 0
    assert "3 are the same" in said
    about["quality"][1]["psnr"] += 0.5
    saved.write_text(json.dumps(about))
    status, said = bench(*only, "--compare", saved)
    assert status == 1
    assert "worse" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "nothing"), "neither a file nor shipped"),
        (("--quality", "nowhere"), "nowhere"),
        (("--compare", "nowhere.json"), "nowhere.json can't be read"),
        (("--report", "/nowhere/page.html"), "no folder /nowhere"),
        (("--against", "/nowhere/python", "--rounds", "1"), "/nowhere/python can't be run"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = edgecae(*QUICK, *arguments)
    assert done.returncode == 1
    assert said in done.stderr + done.stdout
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_text_names_what_there_is(
    bench: Callable[..., tuple[int, str]], photo_folder: Path
) -> None:
    status, said = bench(*QUICK, "--rounds", "1", "--quality", photo_folder, "--roofline")
    assert status == 0
    for expected in ("Latency", "96x64", "Quality on faces, 2 images", "int8 against float",
                     "Roofline of nano at 96x64", "times its convolutions", "CONV_2D"):  # fmt: skip
        assert expected in said


@pytest.mark.slow
def test_a_report_is_not_overwritten_and_nothing_is_measured_first(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    done = edgecae("--report", page)  # all sizes: it would take minutes
    assert done.returncode == 1
    assert "--overwrite replaces it" in done.stderr
    with pytest.raises(SinkError):
        report.write_page(page, "new")
    assert page.read_text() == "mine"
    report.write_page(page, "new", overwrite=True)
    assert page.read_text() == "new"


def test_without_its_packages_a_report_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SettingError, match=r"needs jinja2: pip install 'edgecae\[report\]'"):
        report.require_writable(tmp_path / "page.html", False)


def test_the_page_needs_nothing_else(made: tuple[dict, Path]) -> None:
    page = made[1].read_text(encoding="utf-8")
    for outside in ('src="http', 'href="http', "@import", "<script"):
        assert outside not in page
    assert page.count("data:image/png;base64,") == page.count("<img")


def test_names_of_files_are_escaped(made: tuple[dict, Path]) -> None:
    found = results.results_from_dict(made[0])
    renamed = results.results_from_dict(
        {**found.to_dict(), "failed": {"<img src=x>": "<b>"}, "quality": []}
    )
    page = report.render_page(renamed)
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page


@pytest.mark.slow
def test_the_front() -> None:
    points = [Point("a", 1, 20, True), Point("b", 2, 19, True), Point("c", 2, 30, True),
              Point("d", 3, 30, True), Point("e", 9, 31, False)]  # fmt: skip
    assert [point.name for point in plots.pareto_front(points)] == ["a", "c", "e"]
    assert plots.pareto_plot(points, "ms").startswith("<svg")
    assert plots.pareto_plot(points[:1], "ms", 10.0).startswith("<svg")


CLIP = "test:96x64@30?frames=12"


@pytest.fixture(scope="module")
def clip_results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str]:
    """One run over a clip, in which its first frame is left without any error: JSON and text."""
    done = edgecae("--model", "nano", "--rounds", "0", "--quality", CLIP, "--sigma", "25", "--json")
    assert done.returncode == 0, done.stderr
    about = json.loads(done.stdout)
    about["quality"][0]["over_time"]["psnr"][0] = None
    found = results.results_from_dict(about)
    return about, format_results(found)


@pytest.mark.slow
def test_a_clip_is_shown_over_time(clip_results: tuple[dict, str]) -> None:
    about, said = clip_results
    rows = {row["method"]: row["over_time"] for row in about["quality"]}
    assert len(rows["nano"]["psnr"]) == 12
    lines = [line.split() for line in said.splitlines()]
    place = next(number for number, words in enumerate(lines) if words[:1] == ["over"])
    head, noisy, nano = lines[place : place + 3]
    assert head == ["over", "time", "σ", "frame", "1", "frame", "10", "frame", "12", "flicker"]
    assert (noisy[:3], nano[:2]) == (["noisy", "25", "∞"], ["nano", "25"])
    first, tenth, last = (rows["nano"]["psnr"][index] for index in (0, 9, 11))
    expected = [f"{value:.2f}" for value in (first, tenth, last, rows["nano"]["flicker"])]
    assert nano[2:] == expected
    page = report.render_page(results.results_from_dict(about))
    table = page[page.index('<table class="time">') :]
    assert table.count("<td>") >= 2 * 6
    assert all(f"<td>{value}</td>" in table for value in ("∞", *expected))
    assert "PSNR over time: σ 25" in page


def test_what_an_earlier_edgecae_measured_has_no_time(made: tuple[dict, Path]) -> None:
    quality = [{k: v for k, v in row.items() if k != "over_time"} for row in made[0]["quality"]]
    found = results.results_from_dict({**made[0], "quality": quality})
    assert {row.over_time for row in found.quality} == {None}
    assert "over time" not in format_results(found)


@pytest.fixture
def browser(made: tuple[dict, Path], tmp_path: Path) -> Iterator[Any]:
    """Headless Chromium with the page open."""
    with opened_browser(tmp_path, (1200, 1000)) as driver:
        driver.get(made[1].as_uri())
        yield driver


@pytest.mark.browser
@needs_browser
def test_the_page_in_a_browser(made: tuple[dict, Path], browser: Any, tmp_path: Path) -> None:
    about, _ = made
    rows = browser.find_elements("css selector", "table.latency tr")
    assert len(rows) == 1 + len(about["latency"])
    pictures = browser.execute_script(
        "return [...document.images].map(i => [i.naturalWidth, i.clientWidth, i.alt])"
    )
    assert [alt for _, _, alt in pictures][:2] == ["clean", "noisy"]
    assert all(natural == 128 and shown > 100 for natural, shown, _ in pictures)
    plots_ = browser.find_elements("css selector", ".plots svg")
    assert len(plots_) == 2
    assert all(plot.size["width"] > 300 and plot.size["height"] > 200 for plot in plots_)
    names = {text.text for text in browser.find_elements("css selector", ".plots svg text")}
    assert {"nano", "bilateral", "kMAC per pixel", "noisy"} <= names
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 1200
    browser.save_screenshot(str(tmp_path / "page.png"))
    shown = np.asarray(Image.open(tmp_path / "page.png").convert("RGB"))
    # The points of edgecae's own models are red.
    red = (shown[..., 0] > 170) & (shown[..., 1] < 90) & (shown[..., 2] < 80)
    assert red.sum() > 30
