"""A short run of benchmarks/fuzz/media.py; docs/runtime.md has the long one."""

from __future__ import annotations

from types import ModuleType

import pytest
from benchmark_modules import load


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    """``benchmarks/fuzz/media.py`` as a module."""
    return load("fuzz/media")


@pytest.mark.slow
def test_damaged_media_are_decoded_or_refused(fuzzer: ModuleType) -> None:
    found = fuzzer.fuzz(240, seed=0, jobs=2)
    assert {kind: each["faults"] for kind, each in found.items()} == {kind: {} for kind in found}
    assert set(found) == set(fuzzer.KINDS)
    for outcome in ("decoded", "refused"):
        assert sum(each[outcome] for each in found.values()) > 40


@pytest.mark.slow
def test_good_files_are_decoded_and_a_fault_is_seen(fuzzer: ModuleType) -> None:
    samples, parts = load("fuzz/media_samples").samples, load("fuzz/media_mutants").PARTS
    child = fuzzer.Child(fuzzer.__file__, fuzzer.MAX_SECONDS)
    try:
        for kind in fuzzer.KINDS:
            for content in samples(kind):
                assert child.ask(fuzzer.message(kind, content)) == "decoded", kind
                assert parts[kind](content), kind
        child.seconds = 0.0
        assert child.ask(fuzzer.message("png", samples("png")[0])) == "late"
    finally:
        child.close()
