"""Files of recurrent networks: what they say, what they cost, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from benchmark_modules import load
from recurrent import video_model

from edgecae import models
from edgecae.denoise.float_runner import file_denoiser
from edgecae.errors import ModelFileError
from edgecae.tflite import graph as graphs
from edgecae.tflite import inspect, interpreter, model_file, writer
from edgecae.tflite.receptive_field import halo

NAMES = ["state_high", "state_low", "state_gain"]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.tflite"
    path.write_bytes(video_model(watchful=True))
    return path


def test_states_are_decoded_in_pairs(video: Path) -> None:
    graph = model_file.read(video).graph
    assert [state.name for state in graph.states] == NAMES
    assert [state.after.name for state in graph.states] == [f"new_{name}" for name in NAMES]
    assert [state.before.shape[3] for state in graph.states] == [12, 12, 1]
    for state in graph.states:
        assert state.before.shape == state.after.shape
        assert state.before.same_quantization(state.after)
    assert [end.name for end in graph.inputs] == ["frame", *NAMES]


def test_it_is_written_as_it_was(video: Path) -> None:
    file = model_file.read(video)
    content = writer.encode(writer.copy_model(file.graph.model))
    again = graphs.decode(content)
    assert model_file.check(again) == file.metadata
    assert writer.encode(again.model) == content


def test_litert_reads_the_same_signature(video: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(video)).get_signature_runner()
    assert set(runner.get_input_details()) == {"frame", *NAMES}
    found = runner.get_output_details()
    assert {name: about["name"] for name, about in found.items()} == {
        "denoised": "denoised",
        **{name: f"new_{name}" for name in NAMES},
    }


def test_inspection_names_the_states_and_counts_the_front(video: Path) -> None:
    report = inspect.inspect(video, (640, 480))
    assert [state.name for state in report.states] == NAMES
    assert report.states[0].shape == (1, -1, -1, 12)
    about = report.to_dict()
    assert [each["name"] for each in about["states"]] == NAMES
    json.dumps(about)
    still = inspect.inspect("nano", (640, 480))
    gate = {
        op.inputs[1].name: op.inputs[1].shape
        for op in report.graph.operators
        if op.name == "CONV_2D" and op.inputs[1].name.endswith("/kernel")
    }
    assert report.file.macs_per_pixel > still.file.macs_per_pixel
    # A kernel at a quarter of a frame's sides costs a sixteenth of its weights for a pixel.
    per_pixel = {"changed": 16, "seen": 16, "coarse": 64, "both/low": 64, "q": 16, "gain_each": 4}
    more = sum(np.prod(gate[f"{name}/kernel"]) / area for name, area in per_pixel.items())
    assert report.file.macs_per_pixel - still.file.macs_per_pixel == pytest.approx(more)
    # States go in and come out: at least 25 bytes for a block of four pixels, twice.
    assert report.memory.peak > still.memory.peak
    assert report.memory.total - still.memory.total > 2 * 25 * 640 * 480 / 4
    assert "state_low" in inspect.draw(report)


def test_operations_are_timed(video: Path) -> None:
    profile = inspect.profile(inspect.inspect(video, (64, 64)))
    assert profile.model > 0


def test_the_interpreter_keeps_what_it_gives_while_inputs_are_written(video: Path) -> None:
    """The next states are copied from the outputs into the inputs, with nothing between."""
    runner = interpreter.Interpreter(video.read_bytes(), 1, interpreter.find_backend())
    runner.resize(96, 160)
    assert [runner.input(n).shape for n in range(4)] == [
        (1, 96, 160, 3),
        (1, 48, 80, 12),
        (1, 48, 80, 12),
        (1, 48, 80, 1),
    ]
    rng = np.random.default_rng(0)
    for number in range(4):
        runner.input(number)[...] = rng.integers(-128, 128, runner.input(number).shape)
    runner.invoke()
    before = [runner.output(number).copy() for number in range(4)]
    for number in range(4):
        runner.input(number)[...] = 7
    for number, kept in enumerate(before):
        np.testing.assert_array_equal(runner.output(number), kept)


def test_the_halo_is_that_of_one_step(video: Path) -> None:
    """What differs further away than the halo, in frame or states, changes no result."""
    file = model_file.read(video)
    reach = file.metadata.halo
    assert reach == halo(file.graph) > model_file.read(models.find_model("nano")).metadata.halo
    runner = interpreter.Interpreter(video.read_bytes(), 1, interpreter.find_backend())
    side, middle = 256, 128
    runner.resize(side, side)
    rng = np.random.default_rng(0)
    given = [rng.integers(-128, 128, runner.input(n).shape) for n in range(4)]
    results = []
    for changed in (False, True):
        for number, values in enumerate(given):
            values = values.copy()
            if changed:
                block = side // values.shape[1]
                near = slice((middle - reach) // block, -(-(middle + 1 + reach) // block))
                far = np.ones(values.shape[1:3], bool)
                far[near, near] = False
                values[0, far] = rng.integers(-128, 128, (far.sum(), values.shape[3]))
            runner.input(number)[...] = values
        runner.invoke()
        results.append([runner.output(n)[0].copy() for n in range(4)])
    for one, other in zip(*results, strict=True):
        place = middle * one.shape[0] // side
        np.testing.assert_array_equal(one[place, place], other[place, place])


def test_frames_of_a_recurrent_model_do_not_stand_alone(video: Path) -> None:
    with pytest.raises(ModelFileError, match="is a recurrent model"):
        file_denoiser(model_file.read(video), 1)


def rebuilt(change: Callable[[Any], Any]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(bytearray(video_model(watchful=True)))
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def end(what: str, number: int) -> Callable[[Any], Any]:
    """The tensor of an input or output."""
    return lambda m: m.subgraphs[0].tensors[getattr(m.subgraphs[0], what)[number]]


def says(**values: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        buffer = model.buffers[model.metadata[0].buffer]
        text = json.dumps({**json.loads(bytes(buffer.data)), **values})
        buffer.data = np.frombuffer(text.encode(), np.uint8)

    return change


def states(**values: Any) -> Callable[[Any], None]:
    good = model_file.check(graphs.decode(video_model(watchful=True))).states
    return says(states={**good, **values})


def scaled(model: Any) -> None:
    end("outputs", 2)(model).quantization.scale = np.array([1 / 1000], np.float32)


def repeated(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.inputs = graph.inputs[[0, 1, 1, 3]]


def passed_on(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = np.array([*graph.outputs[:3], graph.inputs[3]], np.int32)


def crossed(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = graph.outputs[[0, 2, 1, 3]]


def misnamed(model: Any) -> None:
    model.signatureDefs[0].inputs[1].name = b"state_else"


def logarithm_of_less_than_nothing(model: Any) -> None:
    for what in ("inputs", "outputs"):
        end(what, 3)(model).quantization.zeroPoint = np.array([0], np.int64)


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "one output less": (
        lambda m: vars(m.subgraphs[0]).update(outputs=m.subgraphs[0].outputs[:3]), "one of each",
    ),
    "another scale": (scaled, "another quantization|change"),
    "the same input twice": (repeated, "there twice"),
    "a state that nothing renews": (passed_on, "there twice"),
    "outputs in another order": (crossed, "another quantization"),
    "another name": (misnamed, "its signature"),
    "another shape": (
        lambda m: vars(end("inputs", 1)(m)).update(shape=np.array([1, 16, 32, 12], np.int32)),
        "another shape",
    ),
    "a fixed state": (
        lambda m: [vars(end(w, 2)(m)).update(shapeSignature=None) for w in ("inputs", "outputs")],
        "not both open",
    ),
    "a logarithm of less than nothing": (
        logarithm_of_less_than_nothing, "may be negative|another scale"
    ),
    "no states in the metadata": (says(states={}), "other states"),
    "another channel": (states(state_low=[2, 13, 0.0]), "other states"),
    "one state more": (states(more=[2, 12, 0.0]), "other states"),
    "no such start": (states(state_low=[2, 12, "noise"]), "states can't be"),
    "a start out of range": (states(state_low=[2, 12, 1.0]), "can't begin as 1.0"),
    "a frame of another scale": (states(state_low=[2, 12, "frame"]), "can't begin as 'frame'"),
    "an infinite start": (states(state_low=[2, 12, float("inf")]), "states can't be"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(HOSTILE))
def test_a_hostile_state_is_refused(what: str, tmp_path: Path) -> None:
    change, why = HOSTILE[what]
    file = tmp_path / "hostile.tflite"
    file.write_bytes(rebuilt(change))
    with pytest.raises(ModelFileError, match=why) as caught:
        model_file.read(file)
    assert str(caught.value).isprintable()


def test_a_file_that_is_only_put_together_again_passes(tmp_path: Path) -> None:
    file = tmp_path / "same.tflite"
    file.write_bytes(rebuilt(lambda model: None))
    assert model_file.read(file).metadata.name == "nano-video"


@pytest.mark.slow
def test_damage_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "video.tflite"
    file.write_bytes(video_model(watchful=True))
    result = load("fuzz/model_files").fuzz(150, seed=1, files=[file])
    assert not result["holes"], result
    assert result["refused"] > 75
    assert result["ran"] > 5
