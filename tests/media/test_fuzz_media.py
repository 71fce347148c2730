"""A short run of benchmarks/fuzz_media.py; docs/runtime.md has the long one."""

from __future__ import annotations

from types import ModuleType

import pytest
from benchmark_modules import load


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    """``benchmarks/fuzz_media.py`` as a module."""
    return load("fuzz_media")


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
