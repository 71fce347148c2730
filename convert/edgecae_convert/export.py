"""From a Keras network to the bytes of a TFLite file that keeps edgecae's contract.

The converter turns the roundings of the QAT network into int8 tensors. What it leaves open is
settled afterwards in the flatbuffer: names, a stored frame size at which a file can be allocated,
an output scale of exactly 1/255, and the metadata.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import native
from edgecae.errors import QualityError
from edgecae.tflite import writer
from edgecae.tflite.graph import DENOISED, FRAME, Graph, Tensor, decode, from_model
from edgecae.tflite.metadata import Metadata
from edgecae_convert.frames import FrameNetwork, one_channel
from edgecae_train import weights
from edgecae_train._tf import keras, tf
from edgecae_train.architectures.layers import DepthToSpace, SpaceToDepth

__all__ = ["STORED_SIDE", "encode", "finish", "settle", "to_tflite", "without_blocks"]

STORED_SIDE = 64
"""Stored height and width: small, and a multiple of every stride in use."""

OPERATION = re.compile(r"'(?:tf|tfl)\.(\w+)' op")
"""How the converter names an operation that it can't convert."""

FRAME_SCALE = np.float32(1 / 255)
FRAME_ZERO = -128


def to_tflite(
    model: Any,
    precision: str = "int8",
    size: tuple[int, int] | None = None,
    examples: Callable[[], Iterable[NDArray[np.float32]]] | None = None,
) -> bytes:
    """Convert a network.

    Args:
        model: N×H×W×3 in [0, 1] to the same; for int8 the QAT network, which carries its
            roundings, or with ``examples`` the float one. Of a network of gray frames, the file
            takes and gives 1×H×W×1.
        precision: one of :data:`edgecae.tflite.metadata.PRECISIONS`.
        size: height and width; None leaves them open. Where they are fixed, no arithmetic on
            shapes is left in the graph.
        examples: noisy pictures, 1×H×W×3 in [0, 1], for the converter's own post-training
            quantization, which int16x8 always is.

    Returns:
        A TFLite file as the converter makes it.

    Raises:
        QualityError: TFLite does not have the format for an operation of the network.
    """
    foreign = isinstance(model, FrameNetwork)
    channels = model.channels if foreign else 3
    call = model.single if foreign else model

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([1, *(size or (None, None)), channels], tf.float32, name="frame")
        ],
        autograph=foreign,  # layers of others may branch in Python on tensors
    )
    def denoise(frame: Any) -> Any:
        return {"denoised": call(frame, training=False)}

    _keep_biases(model.network if foreign else model)
    # The converter saves all of this. Given the network, it would trace each of its layers thrice.
    export = tf.Module()
    export.denoise = denoise
    function = denoise.get_concrete_function()
    export.variables_of_model = list(function.graph.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], export)
    _set_precision(converter, precision)
    if examples is not None:
        if precision == "int8":  # else what it can't round stays a float
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        chosen = (lambda: one_channel(examples())) if channels == 1 else examples
        converter.representative_dataset = lambda: ([each] for each in chosen())
    with warnings.catch_warnings(), native.quiet():
        # It expects calibration statistics, which a QAT network carries itself.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
        try:
            content: bytes = converter.convert()
        except Exception as error:  # of whatever kind its many stages raise
            text = str(error)
            if names := sorted(set(OPERATION.findall(text))):
                reason = f"it can't convert {', '.join(names)}"
            else:
                reason = (text.strip() or type(error).__name__).split("\n")[0]
            raise QualityError(
                f"TFLite has no {precision} form of this network: {reason[:300]}"
            ) from error
    return content


def _keep_biases(model: Any) -> None:
    """Make all-zero biases of transposed convolutions 10⁻⁹, in place, which rounds to zero.

    The converter drops what adds zero, and then does not see that the convolution before it is
    followed by its activation's rounding: it would leave all three in float.
    """
    for layer in getattr(model, "layers", ()):  # a SavedModel has none
        inner = getattr(layer, "layer", layer)  # of a layer that QAT has wrapped
        transposed = isinstance(inner, keras.layers.Conv2DTranspose) and inner.use_bias
        if transposed and not inner.bias.numpy().any():
            inner.bias.assign(tf.fill(inner.bias.shape, 1e-9))


def _set_precision(converter: Any, precision: str) -> None:
    if precision == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif precision == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    else:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        converter.inference_input_type = converter.inference_output_type = tf.int16


def _rearranging_kernel(block: int, channels: int) -> NDArray[np.float32]:
    """What makes a convolution of stride ``block`` a space-to-depth, and transposed its inverse."""
    kernel = np.zeros((block, block, channels, block * block * channels), np.float32)
    for place, (row, column, channel) in enumerate(np.ndindex(block, block, channels)):
        kernel[row, column, channel, place] = 1
    return kernel


def without_blocks(model: Any) -> Any:
    """Put convolutions in the place of space-to-depth and depth-to-space.

    TFLite has no kernels of 16 bits for these two. The convolutions copy pixels, and compute the
    same.

    Args:
        model: a float network of edgecae.
    """
    values = {name: variable.numpy() for name, variable in weights.named_weights(model).items()}

    def clone(layer: Any) -> Any:
        if not isinstance(layer, SpaceToDepth):
            config = layer.get_config()
            config.pop("kernel_initializer", None)  # the weights come from elsewhere
            return layer.__class__.from_config(config)
        up = isinstance(layer, DepthToSpace)
        kind = keras.layers.Conv2DTranspose if up else keras.layers.Conv2D
        channels = int((layer.output if up else layer.input).shape[-1])
        values[f"{layer.name}/kernel"] = _rearranging_kernel(layer.block, channels)
        filters = channels * (1 if up else layer.block**2)
        return kind(filters, layer.block, strides=layer.block, use_bias=False, name=layer.name)

    twin = keras.models.clone_model(model, clone_function=clone)
    weights.load_weights(twin, values)
    return twin


def _shapes_at(content: bytes, side: int, channels: int) -> list[list[int]]:
    """Shapes of the tensors, in the file's order, when a frame has this height and width."""
    from ai_edge_litert import interpreter as litert

    # A delegate would keep the shapes of what it runs to itself.
    plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = litert.Interpreter(model_content=content, experimental_op_resolver_type=plain)
    (frame,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(frame["index"], [1, side, side, channels])
    interpreter.allocate_tensors()
    interpreter.invoke()  # behind a transposed convolution, shapes are only known then
    return [details["shape"].tolist() for details in interpreter.get_tensor_details()]


def settle(content: bytes, int8: bool) -> Graph:
    """Settle what the converter leaves open.

    Args:
        content: from :func:`to_tflite`.
        int8: whether input and output must have the scale of a frame.

    Returns:
        The graph of the file, which has no metadata yet.
    """
    graph = decode(content)
    model = graph.model
    subgraph = model.subgraphs[0]
    if graph.open_size:
        channels = graph.frame.shape[3]
        small, large = (_shapes_at(content, n * STORED_SIDE, channels) for n in (1, 2))
        # The interpreter may append tensors of its own to those of the file.
        for tensor, shape, other in zip(subgraph.tensors, small, large, strict=False):
            signature = [a if a == b else -1 for a, b in zip(shape, other, strict=True)]
            if -1 in signature:
                tensor.shape = np.array(shape, np.int32)
                tensor.shape_signature = np.array(signature, np.int32)
    if int8:
        if not _has_frame_scale(graph.frame):
            _requantize(model, graph.frame, at_end=False)
        if not _has_frame_scale(graph.denoised):
            _requantize(model, graph.denoised, at_end=True)
    model.description = b"edgecae"
    writer.sign(model, (FRAME, DENOISED))
    writer.set_metadata(model, None)
    return from_model(model, graph.foreign)


def finish(content: bytes, int8: bool, metadata: Metadata | None) -> bytes:
    """Settle what the converter leaves open, and put metadata into the file.

    Args:
        content: from :func:`to_tflite`.
        int8: whether input and output must have the scale of a frame.
        metadata: None: the file has none.

    Returns:
        The finished file. Equal arguments give equal bytes.
    """
    return encode(settle(content, int8), metadata)


def encode(graph: Graph, metadata: Metadata | None) -> bytes:
    """Encode a graph as a file with metadata."""
    model = writer.copy_model(graph.model)
    writer.set_metadata(model, metadata)
    return writer.encode(model)


def _has_frame_scale(tensor: Tensor) -> bool:
    return bool(tensor.scale.tolist() == [FRAME_SCALE] and tensor.zero.tolist() == [FRAME_ZERO])


def _requantize(model: SimpleNamespace, inner: Tensor, at_end: bool) -> None:
    """Add a QUANTIZE operation that brings the output, or the input, to the scale of a frame.

    A sigmoid's int8 result has scale 1/256 by TFLite's definition, and the converter drops the
    rounding that follows it; ranges of its own post-training quantization are what was seen.
    """
    subgraph = model.subgraphs[0]
    given = subgraph.tensors[inner.index]  # as it is by now
    outer = writer.add_tensor(
        model,
        "requantized",
        inner.dtype,
        given.shape,
        signature=given.shape_signature,
        scale=[float(FRAME_SCALE)],
        zero=FRAME_ZERO,
    )
    source, target = (inner.index, outer) if at_end else (outer, inner.index)
    place = None if at_end else 0
    writer.add_operator(model, "QUANTIZE", [source], target, "QuantizeOptions", 2, place)
    if at_end:
        subgraph.outputs = np.array([outer], np.int32)
    else:
        given.name = b"frame_requantized"
        subgraph.inputs = np.array([outer], np.int32)
