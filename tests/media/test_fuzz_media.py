"""A short run of benchmarks/fuzz_media.py; docs/runtime.md has the long one."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    """``benchmarks/fuzz_media.py`` as a module."""
    spec = importlib.util.spec_from_file_location("fuzz_media", ROOT / "benchmarks/fuzz_media.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_damaged_media_are_decoded_or_refused(fuzzer: ModuleType) -> None:
    found = fuzzer.fuzz(240, seed=0, jobs=2)
    assert {kind: each["faults"] for kind, each in found.items()} == {kind: {} for kind in found}
    assert set(found) == {*fuzzer.IMAGES, *fuzzer.VIDEOS}
    for outcome in ("decoded", "refused"):
        assert sum(each[outcome] for each in found.values()) > 40


@pytest.mark.slow
def test_good_files_are_decoded_and_a_fault_is_seen(
    fuzzer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = fuzzer.Reader()
    try:
        for kind in fuzzer.KINDS:
            for content in fuzzer.samples(kind):
                assert reader(kind, content) == "decoded", kind
                assert fuzzer.PARTS[kind](content), kind
        monkeypatch.setattr(fuzzer, "MAX_SECONDS", 0.0)
        assert reader("png", fuzzer.samples("png")[0]) == "no end"
    finally:
        reader.close()
