"""The documentation as a site: it builds without a warning, and names all that there is."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest
from conftest import ROOT
from sphinx.util.inventory import InventoryFile
from training import TINY

from edgecae import models, quality
from edgecae.commands import cli
from edgecae.stream.cameras import settings
from edgecae_train import recipe

DOCS = ROOT / "docs"
PUBLIC = ("edgecae", "edgecae.errors", "edgecae.media.images", "edgecae.media.sinks",
          "edgecae.media.sources", "edgecae.models", "edgecae.noise", "edgecae.quality",
          "edgecae.stream", "edgecae.tflite.inspect", "edgecae_convert",
          "edgecae_train")  # fmt: skip
"""Modules whose every name in ``__all__`` is for programs that use edgecae."""

TEXTS = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


WITHOUT_TENSORFLOW = """
import sys
from sphinx.cmd.build import main
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tf_keras"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
sys.exit(main(sys.argv[1:]))
"""
"""Sphinx where TensorFlow is not installed: the extra ``docs`` does not bring it."""


def build(pages: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, "-b", "html", "-W", "--keep-going", "-q",
         "-c", str(DOCS), "-d", str(out / "cache"), str(pages), str(out / "site")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built where every warning is an error."""
    out = tmp_path_factory.mktemp("docs")
    done = build(DOCS, out)
    assert done.returncode == 0, done.stderr
    return out / "site"


def parameters(name: str) -> list[click.Parameter]:
    module, _, attribute = cli.COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    return command.params


def options(name: str) -> set[str]:
    found = {flag for p in parameters(name) for flag in (*p.opts, *p.secondary_opts)}
    return {flag for flag in found if flag.startswith("-")}


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    listed = set(inventory["std:cmdoption"])
    for name in cli.COMMANDS:
        assert {f"edgecae-{name}.{flag}" for flag in options(name)} <= listed, name
    assert {"edgecae.-v", "edgecae.--log-format"} <= listed


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    listed = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    for module in PUBLIC:
        public = importlib.import_module(module).__all__
        assert {f"{module}.{name}" for name in public} <= listed


def test_every_setting_of_a_recipe_is_in_the_reference(site: Path) -> None:
    page = (site / "formats.html").read_text(encoding="utf-8")
    settings = msgspec.to_builtins(recipe.Recipe())
    for table, values in [("", settings), ("float.", settings["float"]), ("qat.", settings["qat"])]:
        for name, value in values.items():
            if not isinstance(value, dict):
                assert f">{table}{name}</span>" in page, f"{table}{name}"


def test_every_shipped_model_has_its_card_on_the_site(site: Path) -> None:
    page = (site / "cards.html").read_text(encoding="utf-8")
    for name in models.names():
        assert f'id="{name}"' in page


def run_examples(text: str, folder: Path) -> None:
    """The Python in a page, one after the other, as one program."""
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_python_examples_run(tmp_path: Path, photos: Path) -> None:
    """Those that a device can run, and then those that need TensorFlow."""
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    device, training = text.split("\n## Training and converting\n")
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copy(photos / "face.png", tmp_path / "photo.png")
    run_examples(device, tmp_path)
    assert (tmp_path / "clean.mkv").exists()
    tiny = recipe.with_changes(recipe.Recipe(), TINY)
    (tmp_path / "recipe.toml").write_text(recipe.dumps(tiny))
    run_examples(training, tmp_path)
    assert (tmp_path / "run" / "qat.weights.h5").exists()


def test_examples_of_video_run(tmp_path: Path) -> None:
    run_examples((DOCS / "video.md").read_text(encoding="utf-8"), tmp_path)
    assert (tmp_path / "video.tflite").exists()


@pytest.mark.slow  # the options of training are where TensorFlow is
@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_options_that_pages_show_exist(page: Path) -> None:
    """In every ``edgecae COMMAND …``, up to the end of the line, a pipe or a backtick."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    shown = re.findall(r"\bedgecae (?:-\S+ (?:json )?)*([a-z]+)\b([^|`#\n]*)", text)
    for name, rest in shown:
        if name in cli.COMMANDS:
            used = set(re.findall(r"(?<=[\s\[])(--?[a-z][a-z0-9-]*)", rest))
            assert used <= options(name) | {"--help"}, f"edgecae {name}{rest}"


BROKEN = {
    "[a page](nowhere.md)": "nowhere.md",
    "[a heading](other.md#nothing)": "nothing",
    "[here](#absent)": "absent",
    "![a picture](unseen.png)": "unseen.png",
    "{py:func}`edgecae.unheard`": "edgecae.unheard",
    "{py:func}`edgecae_train.unseen`": "edgecae_train.unseen",
}
"""What must not pass, and the word by which the complaint about it is known."""


@pytest.mark.slow
def test_what_leads_nowhere_is_refused(tmp_path: Path) -> None:
    """Each in a paragraph of its own, beside a page that no table of contents lists."""
    pages = tmp_path / "pages"
    pages.mkdir()
    text = "\n\n".join(["# Index", *BROKEN, "```{toctree}\nother\n```", ""])
    (pages / "index.md").write_text(text)
    (pages / "other.md").write_text("# Other\n")
    (pages / "lost.md").write_text("# Lost\n")
    done = build(pages, tmp_path)
    assert done.returncode == 1
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    for complaint in [*BROKEN.values(), "lost.md"]:
        assert sum(complaint in line for line in warnings) == 1, (complaint, done.stderr)


def test_the_readme_leads_somewhere_and_shows_what_it_is_about() -> None:
    """Not a page of the site: its links, a picture, and the command behind its figures."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if "://" not in link]
    assert any(link.endswith(".png") for link in local)
    assert [link for link in local if not (ROOT / link).exists()] == []
    assert "python benchmarks/figures.py" in text


def test_the_first_page_says_what_its_picture_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    clean, *shown = importlib.import_module("pictures").portrait()
    said = re.findall(r"([\d.]+) dB", (DOCS / "index.md").read_text(encoding="utf-8"))
    real = [quality.psnr(clean, picture) for picture in shown]
    assert [float(text) for text in said] == pytest.approx(real, abs=0.1), (
        "run: python benchmarks/pictures.py, and write down what it prints"
    )


def test_every_setting_of_a_file_of_cameras_is_in_the_reference(site: Path) -> None:
    page = (site / "cameras.html").read_text(encoding="utf-8")
    for field in msgspec.structs.fields(settings.Camera):
        assert f">{field.encode_name}</span>" in page, field.encode_name
    for field in msgspec.structs.fields(settings.File):
        assert f">{field.encode_name}</span>" in page or f"[{field.encode_name}]" in page
