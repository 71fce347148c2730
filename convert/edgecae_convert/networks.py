"""The forms of one network on its way into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.float_runner import Denoise, frame_denoiser
from edgecae_convert import calibrate as calibration
from edgecae_convert import export
from edgecae_convert.foreign.network import ForeignNetwork
from edgecae_convert.trained_model import TrainedModel
from edgecae_train import evaluate, weights
from edgecae_train.quantization.equalize import align
from edgecae_train.quantization.quantize import post_training, quantize

__all__ = ["Networks", "denoiser", "prepare", "to_tflite"]


@dataclass(frozen=True)
class Networks:
    """The forms of one network on its way into a file.

    Attributes:
        reference: the float network, which the file is held against.
        exact: the same with its channels scaled as the file has them, to compare tensor by tensor.
        converted: what goes into the converter.
        examples: for post-training quantization by the converter; None where ``converted``
            carries its roundings or has none.
        ranges: where activation ranges come from, in words.
        simulated: ``QAT`` or ``PTQ`` where ``converted`` carries its roundings, else nothing.
    """

    reference: Any
    exact: Any
    converted: Any
    examples: Callable[[], Iterable[NDArray[np.float32]]] | None
    ranges: str
    simulated: str = ""


def prepare(
    trained: TrainedModel,
    precision: str,
    after_training: bool,
    calibrate: str | None,
    shape: tuple[int, int] | None,
) -> Networks:
    """Prepare the forms of a network that conversion needs.

    Args:
        trained: what is converted.
        precision: of the file.
        after_training: whether ranges are set by post-training quantization.
        calibrate: folder of photos for that, or ``builtin``; None: the training data.
        shape: height and width, where the file takes no others.

    Raises:
        DataError: there is nothing to calibrate on.
    """
    reference, known = trained.network, trained.known
    if not after_training:
        if known is None or known.qat is None:
            return Networks(reference, reference, reference, None, "none: it computes in floats")
        converted = quantize(known.architecture)
        weights.load_weights(converted, known.qat)
        exact = known.float_network()
        align(exact, known.architecture.links, known.qat)
        steps = trained.settings.qat.steps
        ranges = f"set on training patches of the run, then QAT of {steps} steps"
        return Networks(reference, exact, converted, None, ranges, "QAT")
    examples = calibration.examples(calibrate, trained.settings)
    ranges = f"post-training, from {examples.source}"
    if known is None:
        return Networks(reference, reference, reference, lambda: examples.singles(shape), ranges)
    exact, rounded = post_training(known.architecture, known.values, examples.batches)
    if precision == "int8":
        return Networks(reference, exact, rounded, None, ranges, "PTQ")
    # The weights that int8 has, so that the activations make the difference.
    wide = known.architecture.build(training=False)
    weights.copy_weights(rounded, wide)
    converted = export.without_blocks(wide)
    return Networks(reference, exact, converted, lambda: examples.singles(shape), ranges)


def denoiser(network: Any, stride: int, border: int) -> Denoise:
    """Wrap a network for frames of 8 bits, wherever it runs.

    Args:
        network: of Keras, or one that runs in a process of its own.
        stride: frames are padded to multiples of this.
        border: pixels that are mirrored at each side, a multiple of the stride.
    """
    if isinstance(network, ForeignNetwork):
        return frame_denoiser(network, stride, border)
    return evaluate.keras_denoiser(network, stride, border)


def to_tflite(
    network: Any,
    precision: str,
    size: tuple[int, int] | None,
    examples: Callable[[], Iterable[NDArray[np.float32]]] | None = None,
) -> bytes:
    """Convert a network where it runs; see :func:`edgecae_convert.export.to_tflite`.

    Raises:
        QualityError: TFLite does not have the format for an operation of the network.
        RecipeError: one that runs in a process of its own takes too much memory or time there.
    """
    if isinstance(network, ForeignNetwork):
        return network.to_tflite(precision, size, examples)
    return export.to_tflite(network, precision, size, examples)
