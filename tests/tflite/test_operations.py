"""Operations that networks of others bring, and networks of gray frames: small files, run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as litert

from edgecae import Denoiser
from edgecae.denoise.float_runner import file_denoiser
from edgecae.errors import ModelFileError, SettingError
from edgecae.tflite import inspect, model_file, writer
from edgecae.tflite.metadata import Metadata
from edgecae.tflite.receptive_field import halo

FRAME = {"scale": [1 / 255], "zero": -128}
SIDE = 64
ABOUT: dict[str, Any] = {
    "name": "test",
    "architecture": {"kind": "outside"},
    "precision": "int8",
    "stride": 1,
    "halo": 8,
    "noise": "gaussian:25",
    "quality": {},
    "recipe": "unknown",
    "made_with": {},
}


def frame_tensor(model: Any, name: str, channels: int, **quantization: Any) -> int:
    shape, signature = (1, SIDE, SIDE, channels), (1, -1, -1, channels)
    given = quantization or FRAME
    return writer.add_tensor(model, name, "int8", shape, signature=signature, **given)


def written(
    folder: Path,
    build: Callable[[Any, int], tuple[int, int]],
    channels: int = 3,
    **about: Any,
) -> Path:
    """A file of what ``build`` adds behind a frame; it returns the output and the stride."""
    model = writer.new_model()
    frame = frame_tensor(model, "frame", channels)
    denoised, stride = build(model, frame)
    writer.set_ends(model, [frame], [denoised])
    writer.sign(model, ("frame", "denoised"))
    metadata = {**ABOUT, "stride": stride, "colour": "gray" if channels == 1 else "rgb", **about}
    writer.set_metadata(model, Metadata(**metadata))
    path = folder / "made.tflite"
    path.write_bytes(writer.encode(model))
    return path


def plain(model: Any, name: str, inputs: list[int], output: int) -> None:
    """Add an operation that has no options."""
    writer.add_operator(model, name, inputs, output, "QuantizeOptions", 1)
    model.subgraphs[0].operators[-1].options_type = 0
    model.subgraphs[0].operators[-1].options = None


def pooled(model: Any, frame: int) -> tuple[int, int]:
    """The largest of 3×3 pixels: what becomes of a frame is plain to see."""
    out = frame_tensor(model, "out", model.subgraphs[0].tensors[frame].shape[3])
    sizes = {"stride_h": 1, "stride_w": 1, "filter_h": 3, "filter_w": 3, "padding": 0}
    writer.add_operator(model, "MAX_POOL_2D", [frame], out, "Pool2DOptions", 2, **sizes)
    return out, 1


def largest(plane: np.ndarray) -> np.ndarray:
    around = np.pad(plane, 1, mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(around, (3, 3)).max(axis=(2, 3))


def random_frame(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    return written(tmp_path, pooled, channels=1, halo=1)


def test_a_gray_network_denoises_gray_frames(gray: Path) -> None:
    frame = random_frame(37, 50)
    with Denoiser(gray) as denoiser:
        np.testing.assert_array_equal(denoiser.process(frame), largest(frame))
        np.testing.assert_array_equal(denoiser.process(frame[..., None])[..., 0], largest(frame))


def test_a_gray_network_denoises_colour_channel_by_channel(gray: Path) -> None:
    frame = random_frame(37, 50, 3)
    expected = np.stack([largest(frame[..., channel]) for channel in range(3)], axis=2)
    with Denoiser(gray) as denoiser:
        np.testing.assert_array_equal(denoiser.process(frame), expected)
    with Denoiser(gray, largest_area=400) as tiled:
        np.testing.assert_array_equal(tiled.process(frame), expected)
        in_place = frame.copy()
        tiled.process(in_place, in_place)
        np.testing.assert_array_equal(in_place, expected)
    np.testing.assert_array_equal(file_denoiser(model_file.read(gray), 1)(frame), expected)


def test_a_gray_network_blends(gray: Path) -> None:
    frame = random_frame(37, 50, 3)
    with Denoiser(gray, strength=0.5) as denoiser:
        mixed = denoiser.process(frame).astype(int)
    expected = np.stack([largest(frame[..., channel]) for channel in range(3)], axis=2)
    assert np.abs(mixed - (frame + expected.astype(int)) / 2).max() <= 1
    noisy = np.clip(np.random.default_rng(0).normal(128, 25, (64, 64, 3)), 0, 255).astype(np.uint8)
    with Denoiser(gray, strength=None) as denoiser:
        denoiser.process(noisy)
        assert 0 < denoiser.share <= 1


def test_what_a_gray_file_may_say(tmp_path: Path) -> None:
    path = written(tmp_path, pooled, channels=1, colour="rgb")
    with pytest.raises(ModelFileError, match="its frames are rgb, not gray"):
        model_file.read(path)
    path = written(tmp_path, pooled, channels=2, colour="rgb")
    with pytest.raises(ModelFileError, match="gray 1×H×W×1"):
        model_file.read(path)


def leaky(slope: float) -> Callable[[Any, int], tuple[int, int]]:
    """Frames less a half, through a leaky ReLU, as frames again."""

    def build(model: Any, frame: int) -> tuple[int, int]:
        out = frame_tensor(model, "out", 3)
        shifted = frame_tensor(model, "shifted", 3, scale=[1 / 255], zero=-1)
        through = frame_tensor(model, "through", 3, scale=[1 / 255], zero=-1)
        half = writer.add_tensor(
            model, "half", "int8", (1,), data=np.array([127], np.int8), scale=[0.5 / 127]
        )
        writer.add_operator(model, "SUB", [frame, half], shifted, "SubOptions", 2)
        writer.add_operator(
            model, "LEAKY_RELU", [shifted], through, "LeakyReluOptions", 2, alpha=slope
        )
        writer.add_operator(model, "ADD", [through, half], out, "AddOptions", 2)
        return out, 1

    return build


def prelu(model: Any, frame: int) -> tuple[int, int]:
    """The same with a slope for each channel."""
    out, stride = leaky(0.5)(model, frame)
    slopes = np.array([[[0, 32, 127]]], np.int8)
    given = writer.add_tensor(model, "slopes", "int8", (1, 1, 3), data=slopes, scale=[1 / 127])
    operators = model.subgraphs[0].operators
    through = int(operators[1].outputs[0])
    plain(model, "PRELU", [int(operators[1].inputs[0]), given], through)
    operators[1:] = [operators[3], operators[2]]
    return out, stride


def expected_leaky(frame: np.ndarray, slopes: Any) -> np.ndarray:
    shifted = frame / 255 - 0.5
    return (np.where(shifted < 0, shifted * np.array(slopes), shifted) + 0.5) * 255


def test_leaky_relu(tmp_path: Path) -> None:
    frame = random_frame(20, 30, 3)
    with Denoiser(written(tmp_path, leaky(0.25))) as denoiser:
        made = denoiser.process(frame).astype(float)
    assert np.abs(made - expected_leaky(frame, 0.25)).max() <= 1.5


@pytest.mark.parametrize("slope", [float("nan"), float("inf"), -1e9, 17.0])
def test_slopes_that_are_none(tmp_path: Path, slope: float) -> None:
    with pytest.raises(ModelFileError, match="a slope of"):
        model_file.read(written(tmp_path, leaky(slope)))


def test_prelu_has_a_slope_for_each_channel(tmp_path: Path) -> None:
    frame = random_frame(20, 30, 3)
    with Denoiser(written(tmp_path, prelu)) as denoiser:
        made = denoiser.process(frame).astype(float)
    assert np.abs(made - expected_leaky(frame, [0, 32 / 127, 1])).max() <= 2


def test_prelu_whose_slopes_are_all_zero(tmp_path: Path) -> None:
    """As before training: any scale stands for zeros."""

    def build(model: Any, frame: int) -> tuple[int, int]:
        out, stride = prelu(model, frame)
        slopes = model.subgraphs[0].tensors[int(model.subgraphs[0].operators[1].inputs[1])]
        model.buffers[slopes.buffer].data = np.zeros(3, np.uint8)
        slopes.quantization.scale = np.array([1e-12], np.float32)
        return out, stride

    frame = random_frame(20, 30, 3)
    with Denoiser(written(tmp_path, build)) as denoiser:
        made = denoiser.process(frame).astype(float)
    assert np.abs(made - expected_leaky(frame, 0)).max() <= 1.5


def tanh(model: Any, frame: int) -> tuple[int, int]:
    made = frame_tensor(model, "tanh", 3, scale=[1 / 128], zero=0)
    out = frame_tensor(model, "out", 3)
    plain(model, "TANH", [frame], made)
    writer.add_operator(model, "QUANTIZE", [made], out, "QuantizeOptions", 2)
    return out, 1


def test_tanh(tmp_path: Path) -> None:
    frame = random_frame(20, 30, 3)
    with Denoiser(written(tmp_path, tanh)) as denoiser:
        made = denoiser.process(frame).astype(float)
    assert np.abs(made - np.tanh(frame / 255) * 255).max() <= 2.5


def bilinear(**options: Any) -> Callable[[Any, int], tuple[int, int]]:
    """The mean of 2×2 pixels, and twice the size again."""

    def build(model: Any, frame: int) -> tuple[int, int]:
        half, signature = (1, SIDE // 2, SIDE // 2, 3), (1, -1, -1, 3)
        small = writer.add_tensor(model, "small", "int8", half, signature=signature, **FRAME)
        out = frame_tensor(model, "out", 3)
        sizes = {"stride_h": 2, "stride_w": 2, "filter_h": 2, "filter_w": 2, "padding": 0}
        writer.add_operator(model, "AVERAGE_POOL_2D", [frame], small, "Pool2DOptions", 2, **sizes)
        shape = writer.add_tensor(model, "shape", "int32", (4,))
        writer.add_operator(model, "SHAPE", [frame], shape, "ShapeOptions", 1, out_type=2)
        one, three = (
            writer.add_tensor(model, "at", "int32", (1,), data=np.array([n], np.int32))
            for n in (1, 3)
        )
        step = writer.add_tensor(model, "step", "int32", (1,), data=np.array([1], np.int32))
        size = writer.add_tensor(model, "size", "int32", (2,))
        writer.add_operator(
            model, "STRIDED_SLICE", [shape, one, three, step], size, "StridedSliceOptions", 1
        )
        writer.add_operator(
            model, "RESIZE_BILINEAR", [small, size], out, "ResizeBilinearOptions", 3, **options
        )
        return out, 2

    return build


def twice(rows: np.ndarray) -> np.ndarray:
    """Twice as many rows, each three quarters of the nearest and a quarter of the next."""
    padded = np.pad(rows, ((1, 1), (0, 0), (0, 0)), mode="symmetric")
    near = 0.75 * rows
    both = np.stack([near + 0.25 * padded[:-2], near + 0.25 * padded[2:]], 1)
    return both.reshape(-1, *rows.shape[1:])


def test_bilinear_up_sampling(tmp_path: Path) -> None:
    path = written(tmp_path, bilinear(half_pixel_centers=True))
    frame = random_frame(40, 60, 3)
    small = frame.reshape(20, 2, 30, 2, 3).mean(axis=(1, 3))
    expected = twice(twice(small).swapaxes(0, 1)).swapaxes(0, 1)
    for area in (10**6, 600):
        with Denoiser(path, largest_area=area) as denoiser:
            assert np.abs(denoiser.process(frame) - expected).max() <= 1.5
    file = model_file.read(path)
    assert halo(file.graph) == 2  # pixel 0 depends on −2 to 1, pixel 1 on 0 to 3


def test_corners_that_are_aligned_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="aligns the corners"):
        model_file.read(written(tmp_path, bilinear(align_corners=True)))


def elu(model: Any, frame: int) -> tuple[int, int]:
    out = frame_tensor(model, "out", 3)
    plain(model, "ELU", [frame], out)
    return out, 1


def test_a_file_that_is_not_run_is_described(tmp_path: Path) -> None:
    path = written(tmp_path, elu)
    with pytest.raises(ModelFileError, match="operation 0 is ELU, which edgecae does not run"):
        Denoiser(path)
    found = inspect.inspect(path)
    assert "ELU" in found.refused
    assert found.to_dict()["refused"] == found.refused
    assert [op.op for op in found.file.ops] == ["ELU"]
    assert found.memory.peak == 2 * SIDE * SIDE * 3
    assert inspect.draw(found).startswith("<svg")
    with pytest.raises(ModelFileError, match=r"can't be timed.*ELU"):
        inspect.profile(found)
    with pytest.raises(SettingError, match="leave --size out"):
        inspect.inspect(path, (64, 64))


def test_an_operation_with_options_of_its_own_is_named(tmp_path: Path) -> None:
    """Whatever edgecae's schema knows of them."""
    file = model_file.read(written(tmp_path, pooled))
    model = litert.ModelT.InitFromPackedBuf(bytearray(file.content))
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = litert.BuiltinOperator.PAD
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType = litert.BuiltinOptions.PadOptions
    operator.builtinOptions = litert.PadOptionsT()
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    file.path.write_bytes(bytes(builder.Output()))
    found = inspect.inspect(file.path)
    assert found.refused == "operation 0 is PAD, which edgecae does not run"
    assert [op.op for op in found.file.ops] == ["PAD"]
    assert inspect.draw(found).startswith("<svg")


def test_a_convolution_without_a_kernel_is_not_described(tmp_path: Path) -> None:
    def build(model: Any, frame: int) -> tuple[int, int]:
        out = frame_tensor(model, "out", 3)
        writer.add_operator(model, "CONV_2D", [frame], out, "Conv2DOptions", 3)
        return out, 1

    with pytest.raises(ModelFileError, match="has 1 inputs"):
        inspect.inspect(written(tmp_path, build))


def test_the_halo_of_up_sampling_is_that_of_its_network(tmp_path: Path) -> None:
    """Against the interpreter: one bright pixel, and where the result is bright."""
    file = model_file.read(written(tmp_path, bilinear(half_pixel_centers=True), halo=8))
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[32, 33] = 255
    with Denoiser(file.path) as denoiser:
        rows, columns = np.nonzero(denoiser.process(frame)[..., 0])
    reach = max(*(abs(rows - 32)), *(abs(columns - 33)))
    assert reach == halo(file.graph) == 2
