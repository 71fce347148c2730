"""Sphinx' settings: Markdown pages, the API from docstrings, the command line from click."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import Path

from sphinx.ext.autodoc import mock

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / part) for part in ("runtime", "train", "convert"))]

project = "edgecae"
author = "the authors of edgecae"
release = version = importlib.metadata.version("edgecae")

extensions = [
    "myst_parser",
    "settings_table",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]
exclude_patterns = ["_build"]

# The names of headings can be linked to, page.md#heading, as on a code host.
myst_heading_anchors = 3

# Of blocks that name no language: the pages' are commands.
highlight_language = "sh"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
# Only imported, for what is written beside it: the site is built without TensorFlow.
autodoc_mock_imports = [
    "ai_edge_litert",
    "h5py",
    "jinja2",
    "matplotlib",
    "rich",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
]
# These packages import their names when they are first used, which autodoc does without its mocks.
with mock(autodoc_mock_imports):
    for package in map(importlib.import_module, ("edgecae_train", "edgecae_convert")):
        for name in package.__all__:
            getattr(package, name)

napoleon_use_ivar = True

# A reference to something of edgecae must lead somewhere. Those to other projects can't be
# followed without network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!edgecae(_train|_convert)?\b).*"),
    # Internals that public docstrings and signatures name; the reference does not list them.
    ("py:.*", r"edgecae\.(denoise\.(blend|tiling)|stream\.watchdog|timeout)\..*"),
    ("py:.*", r"edgecae\.tflite\.(graph|interpreter|operators)\..*"),
    ("py:.*", r"edgecae_train\.(architectures|channels)\b.*"),
    ("py:.*", r"edgecae_convert\.(report\.analysis|trained_model|verify)\..*"),
]

html_theme = "furo"
html_title = f"edgecae {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path: list[str] = []
templates_path: list[str] = []

# For `make links` alone: what needs the network.
linkcheck_timeout = 10
linkcheck_retries = 2
linkcheck_ignore = [r"https?://$", r"http://(localhost|127\.0\.0\.1|HOST)"]
