"""The C header, compiled."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from edgecae import models
from edgecae.tflite import model_file
from edgecae_convert import c_header

PROGRAM = r"""
#include <stdio.h>
#include "{file}"
int main(void) {{
    if ((uintptr_t){name}_model % 16) return 3;
    if (sizeof {name}_model != {name}_model_size) return 4;
    fwrite({name}_model, 1, {name}_model_size, stdout);
    fwrite(&{name}_input_scale, sizeof(float), 1, stdout);
    fwrite(&{name}_output_scale, sizeof(float), 1, stdout);
    fprintf(stdout, "%d %d %d %d %d", (int){name}_input_zero_point, (int){name}_output_zero_point,
            {upper}_WIDTH, {upper}_HEIGHT, {upper}_CHANNELS);
    return 0;
}}
"""


@pytest.mark.parametrize(("suffix", "standard"), [("c", "c11"), ("cc", "c++11")])
@pytest.mark.parametrize("file", ["nano.h", "9 days-of.x.h"])
def test_a_compiler_gives_the_bytes_back(
    tmp_path: Path, file: str, suffix: str, standard: str
) -> None:
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    model = model_file.read(models.find_model("nano"))
    c_header.write(tmp_path / file, model)
    name = {"nano.h": "nano", "9 days-of.x.h": "model_9_days_of_x"}[file]
    source = tmp_path / f"main.{suffix}"
    source.write_text(PROGRAM.format(file=file, name=name, upper=name.upper()))
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["cc", *flags, source, "-o", tmp_path / "main"], check=True, timeout=120)
    out = subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout
    size = len(model.content)
    assert out[:size] == model.content
    assert out[size : size + 8] == struct.pack("<2f", 1 / 255, 1 / 255)
    assert out[size + 8 :] == b"-128 -128 64 64 3"


def test_the_comment_can_not_be_ended(tmp_path: Path) -> None:
    import dataclasses

    model = model_file.read(models.find_model("nano"))
    named = dataclasses.replace(model.metadata, name="a */ int b; /* c")
    text = c_header.header(dataclasses.replace(model, metadata=named), "nano")
    assert text.split("\n")[0].count("*/") == 1
