"""Looking into model files: figures counted by hand, operations run one by one, files compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgecae import models
from edgecae.commands.inspect import render
from edgecae.errors import ModelFileError, SettingError
from edgecae.tflite import inspect, model_file, writer
from edgecae.tflite.inspect.profiling import single
from edgecae.tflite.operators import OPERATOR_RULES, infer


def edgecae(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", "inspect", *map(str, arguments)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def rebuilt(name: str, change: Callable[[Any], Any], path: Path) -> Path:
    """A shipped file with something changed."""
    model = writer.copy_model(model_file.read(models.find_model(name)).graph.model)
    change(model)
    path.write_bytes(writer.encode(model))
    return path


def fixed(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shape_signature = None


def interpreted(content: bytes, *inputs: Any) -> np.ndarray:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for given, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.resize_tensor_input(given["index"], np.shape(value))
    interpreter.allocate_tensors()
    for given, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(given["index"], np.asarray(value, given["dtype"]))
    interpreter.invoke()
    result: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result


@pytest.mark.slow
def test_json_keeps_the_contract(shipped: str) -> None:
    done = edgecae(shipped, "--json")
    assert done.returncode == 0, done.stderr
    about = json.loads(done.stdout)
    file = model_file.read(models.find_model(shipped))
    assert about["macs_per_pixel"] == file.macs_per_pixel
    assert about["macs_per_pixel_padded"] == file.macs_per_pixel_padded
    assert about["parameters"] == file.parameters
    assert about["bytes"] == models.find_model(shipped).stat().st_size
    assert about["sha256"] == models.hashes()[shipped]
    assert about["shipped"] == shipped
    assert about["integer"]
    size = about["frame_size"]
    assert about["macs_per_pixel"] == pytest.approx(
        sum(op["macs"] for op in about["ops"]) / (size["width"] * size["height"])
    )
    assert len(about["ops"]) == len(file.ops)
    for op in about["ops"]:
        assert op["op"] in OPERATOR_RULES
        assert op["dtype"] in ("int8", "int32")
    assert about["ops"][-1]["output_shape"] == [1, size["height"], size["width"], 3]
    assert about["input"]["scale"] == pytest.approx(1 / 255)
    assert about["input"]["zero_point"] == -128
    assert about["metadata"]["stride"] == file.metadata.stride


def test_the_memory_of_small_adds_up() -> None:
    """By hand: where the last skip of 48 channels is added, the others wait at half resolution.

    With them waits the mean of the noisy frame, for the second network, of which each line has the
    second part.
    """
    pixels = 640 * 480
    memory = inspect.inspect("small").memory
    assert memory.peak == (48 + 48 + 48 + 12 + 3) * pixels // 4
    half = 12 + 48 + 48 + 48 + 26 + 38 + 12 + (3 + 3 + 6 + 3 + 12 + 12)
    quarter = 32 + 32 + 32 + 192 + (24 + 16 + 16 + 16 + 16 + 40 + 12)
    eighth = 48 + 48 + 128 + (24 + 24 + 24 + 64)
    sixteenth = 30 + 30 + 96
    each = half / 4 + quarter / 16 + eighth / 64 + sixteenth / 256
    assert memory.total == (3 + each + 3) * pixels
    padded = inspect.inspect("small", (641, 479)).memory
    assert (padded.width, padded.height) == (656, 480)


def test_text_names_what_there_is() -> None:
    text = render(inspect.inspect("classic"))
    about = ("7,488", "12,672", "49,344", "shipped as classic", "gaussian:0-55", "1×64×64×3")
    for expected in (*about, "TRANSPOSE_CONV", "all integer", "int8 1×-1×-1×3, scale 0.003921"):
        assert expected in text


@pytest.mark.parametrize("name", ["small", "classic"])
def test_the_operations_one_by_one_make_what_the_model_makes(name: str, photo: np.ndarray) -> None:
    """That what is timed is what runs."""
    report = inspect.inspect(name)
    frame = (photo[np.newaxis, :96, :80] ^ np.uint8(0x80)).view(np.int8)
    inferred = infer(report.graph, 96, 80)
    made: dict[int, Any] = {report.graph.frame.index: frame}
    for number, op in enumerate(report.graph.operators):
        read = dict.fromkeys(each.index for each in op.inputs if each.data is None)
        made[op.output.index] = interpreted(
            single(report.graph, number, inferred), *(made[index] for index in read)
        )
        assert made[op.output.index].shape == inferred[op.output.index].shape
    got = made[report.graph.denoised.index].astype(int)
    assert np.abs(got - interpreted(report.file.content, frame)).max() <= 1
    assert got.std() > 10


@pytest.mark.slow
def test_profile(shipped: str) -> None:
    report = inspect.inspect(shipped, (128, 96))
    profile = inspect.profile(report)
    assert len(profile.ops) == len(report.file.ops)
    for op, time in zip(report.file.ops, profile.ops, strict=True):
        assert (time is None) == (op.dtype == "int32")
        assert time is None or time > 0
    assert profile.model > 0
    assert profile.sum == pytest.approx(sum(time or 0 for time in profile.ops))
    # Widely: the machine may be busy with something else, and a frame this small takes 3 ms.
    assert profile.model / 10 < profile.sum < profile.model * 10
    assert "one by one" in render(report, profile)


def test_profile_from_the_command_line() -> None:
    done = edgecae("nano", "--profile", "--threads", "1", "--size", "64x48", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing of what XNNPACK says
    profile = json.loads(done.stdout)["profile"]
    assert (profile["width"], profile["height"], profile["threads"]) == (64, 48, 1)
    assert len(profile["ops"]) == 15


def test_a_model_and_itself() -> None:
    report = inspect.inspect("small")
    found = inspect.compare_models(report, report)
    assert found.metadata == {}
    assert found.ops == ()
    assert len(set(found.constants)) == 1
    assert found.constants[0] > 10


def test_one_weight_differs(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        largest = max(
            (buffer for buffer in model.buffers if buffer.data is not None),
            key=lambda buffer: len(buffer.data),
        )
        largest.data = largest.data.copy()
        largest.data[0] ^= 1

    path = rebuilt("small", change, tmp_path / "other.tflite")
    other = inspect.inspect(path)
    found = inspect.compare_models(inspect.inspect("small"), other)
    before, after, equal = found.constants
    assert before == after == equal + 1
    assert found.ops == ()
    assert found.metadata == {}
    assert other.shipped is None
    assert "no shipped file" in render(other)


@pytest.mark.slow
def test_two_models() -> None:
    one, two = inspect.inspect("nano"), inspect.inspect("base")
    changes = inspect.compare_models(one, two).ops
    kinds = [each.change for each in changes]
    assert len(two.file.ops) - len(one.file.ops) == kinds.count("added") - kinds.count("removed")
    for each in changes:
        assert each.before is None or one.file.ops[each.before[0]] == each.before[1]
        assert each.after is None or two.file.ops[each.after[0]] == each.after[1]
        assert each.change != "changed" or each.before[1].op == each.after[1].op
    done = edgecae("nano", "base", "--json")
    about = json.loads(done.stdout)
    assert about["macs_per_pixel"] == one.file.macs_per_pixel
    assert about["other"]["macs_per_pixel"] == two.file.macs_per_pixel
    assert about["difference"]["metadata"]["name"] == ["nano", "base"]
    assert len(about["difference"]["ops"]) == len(changes)
    grown = two.file.macs_per_pixel / one.file.macs_per_pixel - 1
    assert f"{grown:+.1%}" in edgecae("nano", "base").stdout


def test_what_tflite_micro_takes() -> None:
    """As its interpreter says itself: it runs small, and refuses classic for its up-sampling."""
    (note,) = inspect.problems(inspect.inspect("small").graph, "micro")
    assert not note.fatal
    assert "stored size" in note.reason
    fatal = [p for p in inspect.problems(inspect.inspect("classic").graph, "micro") if p.fatal]
    assert [each.where for each in fatal] == ["operation 14, RESIZE_NEAREST_NEIGHBOR"]


def test_what_the_edge_tpu_takes(tmp_path: Path) -> None:
    found = inspect.problems(inspect.inspect("small").graph, "edgetpu")
    assert found[0].where == "tensor frame"
    assert [each.where.split()[-1] for each in found[1:]] == ["DEPTH_TO_SPACE"] * 6
    assert all(each.fatal and each.source.startswith("https://") for each in found)
    path = rebuilt("classic", fixed, tmp_path / "fixed.tflite")
    left = inspect.problems(inspect.inspect(path).graph, "edgetpu")
    assert not any(each.fatal for each in left)
    assert {each.where.split()[-1] for each in left} == {
        "SHAPE", "STRIDED_SLICE", "MUL", "PACK", "SLICE", "RESIZE_NEAREST_NEIGHBOR"
    }  # fmt: skip
    with pytest.raises(SettingError, match="micro, edgetpu"):
        inspect.problems(inspect.inspect(path).graph, "toaster")


@pytest.mark.slow
def test_targets_from_the_command_line() -> None:
    done = edgecae("small", "--target", "edgetpu", "--json")
    assert done.returncode == 0
    target = json.loads(done.stdout)["target"]
    assert target["name"] == "edgetpu"
    assert {"where", "reason", "fatal", "source"} == set(target["problems"][0])
    assert "can't take it" in edgecae("small", "--target", "edgetpu").stdout
    assert "can take it" in edgecae("small", "--target", "micro").stdout


def test_a_fixed_size(tmp_path: Path) -> None:
    path = rebuilt("nano", fixed, tmp_path / "fixed.tflite")
    report = inspect.inspect(path)
    assert (report.memory.width, report.memory.height) == (64, 64)
    assert report.frame.shape == (1, 64, 64, 3)
    with pytest.raises(SettingError, match="64x64 alone, not 640x480"):
        inspect.inspect(path, (640, 480))


def test_a_float_file(float_file: Path) -> None:
    report = inspect.inspect(float_file)
    assert not report.integer
    assert report.frame.scale is None
    profile = inspect.profile(inspect.inspect(float_file, (64, 48)))
    assert profile.model > 0
    text = render(report, profile)
    assert "not all integer" in text
    found = inspect.problems(report.graph, "edgetpu")
    assert any("float32" in each.reason for each in found)


@pytest.mark.parametrize("size", [(0, 480), (640, 8193)])
def test_sizes_that_are_none(size: tuple[int, int]) -> None:
    with pytest.raises(SettingError, match=r"1 to 8192"):
        inspect.inspect("small", size)


@pytest.mark.slow
def test_files_that_are_none(tmp_path: Path) -> None:
    whole = models.find_model("small").read_bytes()
    for name, content in {
        "text": b"hello, this is a text",
        "cut": whole[:5000],
        "foreign": whole.replace(b"edgecae\0", b"another\0"),
    }.items():
        file = tmp_path / f"{name}.tflite"
        file.write_bytes(content)
        with pytest.raises(ModelFileError, match=name):
            inspect.inspect(file)
        done = edgecae(file)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
    done = edgecae("small", tmp_path / "text.tflite")
    assert done.returncode == 1
    assert done.stdout == ""


@pytest.mark.slow
def test_the_picture_has_every_operation_and_every_connection(shipped: str, tmp_path: Path) -> None:
    picture = tmp_path / "graph.svg"
    done = edgecae(shipped, "--picture", picture)
    assert done.returncode == 0, done.stderr
    space = "{http://www.w3.org/2000/svg}"
    svg = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    report = inspect.inspect(shipped)
    drawn = [op for op in report.graph.operators if op.output.dtype != "int32"]
    names = [text.text for text in svg.iter(f"{space}text") if text.get("class") != "small"]
    inputs = ["frame", *(state.name for state in report.graph.states)]
    assert names == [*inputs, *(op.name for op in drawn)]
    shapes = [text.text or "" for text in svg.iter(f"{space}text") if text.get("class") == "small"]
    for op, shape in zip(drawn, shapes[len(inputs) :], strict=True):
        assert shape.startswith("×".join(map(str, op.output.shape[1:])) + " int8")
    states = (state.before.index for state in report.graph.states)
    made = {report.graph.frame.index, *states, *(op.output.index for op in drawn)}
    read = [each for op in drawn for each in op.inputs if each.index in made]
    assert len(list(svg.iter(f"{space}path"))) == len(read)
    before = picture.read_bytes()
    again = edgecae(shipped, "--picture", picture)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    assert picture.read_bytes() == before


@pytest.mark.slow
def test_a_target_is_held_against_both_models() -> None:
    done = edgecae("classic", "nano", "--target", "micro", "--json")
    about = json.loads(done.stdout)
    assert any(problem["fatal"] for problem in about["target"]["problems"])
    assert not any(problem["fatal"] for problem in about["other"]["target"]["problems"])
    text = edgecae("classic", "nano", "--target", "micro").stdout
    assert "classic.tflite, TFLite Micro" in text
    assert "nano.tflite, TFLite Micro" in text
