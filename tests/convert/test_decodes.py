"""Every file is decoded once, however much is asked of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecae.commands.inspect import render
from edgecae.tflite import flatbuffer, inspect


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each content was decoded from now on; LiteRT's schema must not be used at all."""
    counts: Counter[bytes] = Counter()
    decode = flatbuffer.decode

    def counted(content: bytes, *arguments: Any) -> Any:
        counts[content] += 1
        return decode(content, *arguments)

    def refused(*_: Any) -> Any:
        raise AssertionError("LiteRT's schema decodes a file")

    monkeypatch.setattr(flatbuffer, "decode", counted)
    for name in ("InitFromObj", "InitFromBuf", "InitFromPackedBuf"):
        monkeypatch.setattr(schema.ModelT, name, refused)
    return counts


def test_an_inspection_decodes_its_file_once(decoded: Counter[bytes]) -> None:
    inspection = inspect.inspect("nano", (64, 64))
    text = render(inspection, inspect.profile(inspection))
    assert "MACs per pixel" in text
    assert inspect.draw(inspection).startswith("<svg")
    assert not inspect.compare_models(inspection, inspection).ops
    assert inspect.problems(inspection.graph, "edgetpu")
    assert decoded == {inspection.file.content: 1}


def test_a_conversion_with_its_page_decodes_each_file_once(
    decoded: Counter[bytes], some_run: Path, tmp_path: Path
) -> None:
    """What the converter makes of two networks, and the file before and after it is measured."""
    from edgecae_convert.conversion import convert
    from edgecae_convert.report import page

    results = convert(some_run, tmp_path / "model.tflite", max_drop=100.0, details=True)
    page.write(tmp_path / "page.html", results)
    assert set(decoded.values()) == {1}
    assert len(decoded) == 4
    assert results.model.path.read_bytes() in decoded
