"""What the files beside the code say of it: bounds, versions, the worked example."""

from __future__ import annotations

import re
import sys
import tomllib
import types

import numpy as np
import pytest
from conftest import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_oldest_lists_the_lower_bounds_of_what_a_device_installs() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["video"], *extras["view"], *extras["metrics"]]
    bounds = {f"{r.name}=={next(iter(r.specifier)).version}" for r in map(Requirement, wanted)}
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert set(listed) == bounds
    assert listed == sorted(listed)


def test_the_changelog_has_this_version_and_what_is_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)$", text, re.M)
    assert titles[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title) for title in titles[1:])
    assert titles[1].startswith(f"[{PROJECT['version']}]")


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in local if not (ROOT / link).exists()] == []
    named = set(re.findall(r"`((?:runtime|train|convert|tests|docs|examples)/[\w/.]+)`", text))
    there = [path for path in sorted(named) if not path.endswith(("/NAME.py", "/tiny.py"))]
    assert [path for path in there if not (ROOT / path).exists()] == []


def test_the_architecture_of_the_walk_through_becomes_an_int8_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgecae_convert import export
    from edgecae_train.quantization import quantize

    (code,) = re.findall(r"```python\n(\"\"\"The smallest.*?)```", CONTRIBUTING, re.S)
    module = types.ModuleType("edgecae_train.architectures.tiny")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "tiny.py", "exec"), module.__dict__)
    architecture = module.Tiny()
    model = architecture.build()
    picture = np.random.default_rng(0).random((1, 32, 48, 3), np.float32)
    twin = quantize.quantize(architecture, quantize.calibrate(model, [picture]), model)
    graph = export.settle(export.to_tflite(twin, "int8"), int8=True)
    assert {tensor.dtype for tensor in (graph.frame, graph.denoised)} == {"int8"}
    expected, got = (np.asarray(each(picture, training=False)) for each in (model, twin))
    assert np.abs(expected - got).mean() < 0.01
