"""The roofline: one convolution made from nothing, and what a profile says beside it."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgecae.bench import roofline
from edgecae.bench.measure import measure_all
from edgecae.bench.options import BenchOptions
from edgecae.bench.roofline import Convolution
from edgecae.errors import ModelFileError
from edgecae.tflite import inspect
from edgecae.tflite import interpreter as backend
from edgecae.tflite.macs import CONVOLUTIONS


def test_the_large_convolution_computes_one() -> None:
    """Against the sum of products at one place, requantized by hand."""
    of = Convolution(6, 8, 3)
    interpreter = Interpreter(model_content=roofline.convolution(of), num_threads=1)
    interpreter.allocate_tensors()
    frame = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 8), np.int8)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], frame)
    interpreter.invoke()
    got = interpreter.get_tensor(made["index"])
    weights = next(t for t in interpreter.get_tensor_details() if t["name"] == "weights")
    kernel = interpreter.get_tensor(weights["index"]).astype(np.int64)
    sums = np.einsum("hwc,nhwc->n", frame[0, 1:4, 2:5].astype(np.int64) + 128, kernel)
    scale = given["quantization"][0] * weights["quantization_parameters"]["scales"][0]
    expected = np.clip(np.rint(sums * scale / made["quantization"][0]) - 128, -128, 127)
    assert np.abs(got[0, 2, 3] - expected).max() <= 1
    assert np.unique(got).size > 20


def test_the_best_rate_is_that_of_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """10⁹ multiply-accumulates a second, of the convolution that reaches most of them."""
    of = [Convolution(24, 32, 3), Convolution(8, 8, 1)]
    for times in ([0.5, 0.25], [1000.0, 0.25]):
        monkeypatch.setattr(roofline, "medians_ms", lambda runs, times=times: times[: len(runs)])
        rates = [24**2 * 32**2 * 9 / times[0] / 1e6, 8**2 * 8**2 / times[1] / 1e6]
        assert roofline.best_rate(1, backend.find_backend(), of) == pytest.approx(max(rates))


def test_what_a_profile_says() -> None:
    report = inspect.inspect("nano", (128, 96))
    ops = tuple(None if op.dtype == "int32" else 1.0 for op in report.file.ops)
    profile = inspect.Profile("litert 2.3.0", 1, 128, 96, ops, 20.0)
    found = roofline.roofline_of_profile("nano", report, profile, 100.0)
    macs = report.file.macs_per_pixel * 128 * 96
    convolutions = sum(op.macs > 0 for op in report.file.ops)
    assert found.floor_ms == convolutions
    assert found.over_floor == 20 / convolutions
    assert found.ideal_ms == pytest.approx(macs / 100e9 * 1e3)
    assert sum(step.macs for step in found.steps) == pytest.approx(macs)
    assert sum(step.share for step in found.steps) == pytest.approx(1)
    others = len(found.steps) - convolutions
    assert sum(found.others.values()) == pytest.approx(others / len(found.steps))
    assert not found.others.keys() & CONVOLUTIONS
    first = found.steps[1]
    assert first.gmacs == pytest.approx(first.macs / 1e6)
    assert first.output_shape[1:3] == (48, 64)


def test_a_model_is_measured() -> None:
    found = roofline.measure_roofline("classic", (64, 64), best_gmacs=50.0)
    report = inspect.inspect("classic", (64, 64))
    assert found.ideal_ms == pytest.approx(report.file.macs_per_pixel * 64 * 64 / 50e9 * 1e3)
    convolutions = [step for step in found.steps if step.macs]
    assert len(convolutions) == 4
    assert found.floor_ms == pytest.approx(sum(step.ms for step in convolutions))
    assert 0 < found.floor_ms < sum(step.ms for step in found.steps)
    assert found.model_ms > 0
    assert "RESIZE_NEAREST_NEIGHBOR" in found.others
    with pytest.raises(ModelFileError, match="neither a file"):
        roofline.measure_roofline("nothing")


def test_models_are_held_against_one_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best rate is measured once for each number of threads, not again for each model."""
    rates = iter([100.0, 200.0])
    monkeypatch.setattr(roofline, "best_rate", lambda threads, backend: next(rates))
    options = BenchOptions(("nano", "classic"), ((64, 64),), (1, 2), rounds=0, roofline=True)
    results, _, _ = measure_all(options)
    found = [(each.model, each.threads, each.best_gmacs) for each in results.roofline]
    assert found == [
        ("nano", 1, 100), ("nano", 2, 200), ("classic", 1, 100), ("classic", 2, 200)
    ]  # fmt: skip
