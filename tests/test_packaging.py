"""What the files beside the code say of it: bounds, versions, the worked example."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from packaging.markers import Marker
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_oldest_lists_the_lower_bounds_of_what_a_device_installs() -> None:
    extras = PROJECT["optional-dependencies"]
    rooms = ("cameras", "video", "view", "metrics")
    wanted = [*PROJECT["dependencies"], *(each for room in rooms for each in extras[room])]
    bounds = {f"{r.name}=={next(iter(r.specifier)).version}" for r in map(Requirement, wanted)}
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert set(listed) == bounds
    assert listed == sorted(listed)


def locked(name: str) -> dict[str, list[tuple[str, Marker | None, int]]]:
    """Version, marker and count of hashes of each package in a lock file; some have several."""
    found: dict[str, list[tuple[str, Marker | None, int]]] = {}
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        head, *hashes = entry.split("--hash=")
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64} *", each) for each in hashes)
        requirement = Requirement(head.strip())
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        place = found.setdefault(requirement.name, [])
        place.append((specifier.version, requirement.marker, len(hashes)))
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_has_what_an_image_installs_with_hashes(python: str) -> None:
    lock = locked("requirements.txt")
    assert all(count for entries in lock.values() for _, _, count in entries)
    extras = PROJECT["optional-dependencies"]
    rooms = ("cameras", "video", "view", "metrics")
    wanted = [*PROJECT["dependencies"], *(each for room in rooms for each in extras[room])]
    system = {"python_version": python, "python_full_version": f"{python}.0"}
    for requirement in map(Requirement, wanted):
        (version,) = [
            version
            for version, marker, _ in lock[requirement.name]
            if marker is None or marker.evaluate(system)
        ]
        assert requirement.specifier.contains(version), requirement


def test_the_lock_of_the_build_has_its_requirements() -> None:
    lock = locked("requirements-build.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in map(Requirement, project["build-system"]["requires"]):
        ((version, _, hashes),) = lock[requirement.name]
        assert requirement.specifier.contains(version)
        assert hashes


@pytest.mark.slow
def test_pip_resolves_the_lock_by_its_hashes(tmp_path: Path) -> None:
    """Against the package index: a file that was exchanged there would be refused."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    for name in ("requirements.txt", "requirements-build.txt"):
        file = ROOT / "deploy" / name
        done = subprocess.run(
            [*pip, "--require-hashes", "-r", str(file)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    changed = tmp_path / "changed.txt"
    text = (ROOT / "deploy" / "requirements-build.txt").read_text(encoding="utf-8")
    changed.write_text(re.sub(r"sha256:....", "sha256:0000", text), encoding="utf-8")
    done = subprocess.run(
        [*pip, "--require-hashes", "-r", str(changed)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "DO NOT MATCH" in done.stderr


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


@pytest.mark.slow
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
