"""The error of every tensor, and the page that shows it."""

from __future__ import annotations

import math
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgecae.errors import SettingError
from edgecae.tflite.graph import Graph
from edgecae_convert import export
from edgecae_convert.conversion import convert
from edgecae_convert.report import page
from edgecae_convert.report.analysis import Analysis, analyse
from edgecae_convert.report.results import ConversionResults
from edgecae_convert.trained_model import open_trained
from edgecae_train.quantization.equalize import align

pytestmark = pytest.mark.slow

ANY = 100.0
"""A loss that any conversion stays below."""


def float_twin(run: Path) -> Graph:
    """The float file of a run, its channels scaled as those of the int8 file."""
    known = open_trained(run, qat=True).known
    network = known.float_network()
    align(network, known.architecture.links, known.qat)
    return export.settle(export.to_tflite(network, "float32"), int8=False)


def analysed(made: ConversionResults, exact: Graph, photo: np.ndarray) -> Analysis:
    content = export.encode(exact, None)
    return analyse(made.model.content, made.model.graph, content, exact, [photo])


class Page(HTMLParser):
    """What a page holds and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.words = ""
        self.tables: list[list[list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        self.words += f" {data} "
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip()


def test_the_page(made: ConversionResults, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page.write(path, made)
    text = path.read_text()
    shown = Page(text)
    assert len(shown.fetched) == 4
    assert all(each.startswith("data:image/png;base64,") for each in shown.fetched)
    assert not re.search(r"url\(|@import|<script", text)
    for expected in ("QAT network", "int8 file", "SSIM", "ms for the whole model", "CONV_2D"):
        assert expected in shown.words
    measured = made.details.figures["int8 file"]["gaussian:15"]
    assert measured["psnr"] == pytest.approx(made.converted["gaussian:15"], abs=0.02)
    assert f"{measured['ssim']:.4f}" in shown.words


def test_the_tables_of_the_page(made: ConversionResults, tmp_path: Path) -> None:
    """Every operation with its time, every tensor with its error, the worst first."""
    path = tmp_path / "report.html"
    page.write(path, made)
    quality, operations, errors = Page(path.read_text()).tables
    forms = {row[1] for row in quality[1:]}
    assert forms == {"noisy", "float", "QAT network", "int8 file"}
    assert len(operations) == 1 + len(made.model.ops)
    times = operations[0].index("ms")
    for row, op in zip(operations[1:], made.model.ops, strict=True):
        assert row[1:3] == [op.op, op.dtype]
        if op.macs:
            assert row[4] == f"{op.macs:,}"
            assert float(row[times]) > 0
            assert row[times + 1].endswith("%")
    assert [row[0] for row in errors[1:]] == [each.name for each in made.details.analysis.errors]
    column = {name: number for number, name in enumerate(errors[0])}
    worst = [row[column["SQNR, dB"]] for row in errors[1:]]
    assert [float(x.replace("∞", "inf")) for x in worst] == sorted(
        float(x.replace("∞", "inf")) for x in worst
    )
    saturated = [row[column["saturated"]] for row in errors[1:]]
    assert sum(text.endswith("%") for text in saturated) >= sum(
        op.macs > 0 for op in made.model.ops
    )


def test_every_convolution_is_compared(made: ConversionResults) -> None:
    found = made.details.analysis
    convolutions = [op for op in made.model.ops if op.macs]
    weights = [each for each in found.errors if each.kind == "weights"]
    activations = [each for each in found.errors if each.kind == "activations"]
    assert len(weights) == len(convolutions)
    assert len(activations) >= len(convolutions)
    assert [each.sqnr for each in found.errors] == sorted(each.sqnr for each in found.errors)
    for each in weights:
        assert 20 < each.sqnr < 80
    assert all(each.sqnr > 10 for each in activations)
    (result,) = [each for each in activations if each.name.startswith("denoised")]
    difference = np.mean(np.square(found.exact - found.rounded, dtype=np.float64))
    assert result.mse == pytest.approx(difference, rel=1e-3)


def test_a_float_file_has_no_error(run: Path, photo: np.ndarray) -> None:
    exact = float_twin(run)
    content = export.encode(exact, None)
    found = analyse(content, exact, content, exact, [photo])
    assert {each.sqnr for each in found.errors} == {math.inf}
    assert {each.saturated for each in found.errors} == {0.0}


def test_clipped_ranges_show_as_saturation(run: Path, tmp_path: Path, photo: np.ndarray) -> None:
    spoilt = tmp_path / run.name
    shutil.copytree(run, spoilt)
    layer = "encode2" if run.name == "classic" else "down1_enter"
    with h5py.File(spoilt / "qat.weights.h5", "r+") as file:
        file[layer]["output_max"][()] /= 4
    made = convert(spoilt, max_drop=ANY)
    found = analysed(made, float_twin(spoilt), photo)
    (clipped,) = [
        each
        for each in found.errors
        if layer in each.name and each.kind == "activations" and "CONV" in each.name
    ]
    assert clipped.saturated > 0.01
    assert clipped.representable is not None
    assert clipped.seen[1] > 2 * clipped.representable[1]


def test_without_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    page.check()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SettingError, match=r"edgecae\[report\]"):
        page.check()
