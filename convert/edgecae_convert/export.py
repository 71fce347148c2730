"""From a Keras network to the bytes of a TFLite file that keeps edgecae's contract.

The converter turns the roundings of the QAT network into int8 tensors. What it leaves open is
settled afterwards in the flatbuffer: names, a stored frame size at which a file can be allocated,
an output scale of exactly 1/255, and the metadata.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import native
from edgecae.errors import QualityError
from edgecae.tflite.metadata import METADATA_NAME, Metadata
from edgecae.tflite.model_file import parse_flatbuffer
from edgecae_train import weights
from edgecae_train._tf import keras, tf
from edgecae_train.architectures import Architecture
from edgecae_train.architectures.layers import DepthToSpace, SpaceToDepth

__all__ = ["STORED_SIDE", "finish", "halo", "to_tflite", "without_blocks"]

STORED_SIDE = 64
"""Stored height and width: small, and a multiple of every stride in use."""

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
            roundings, or with ``examples`` the float one.
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

    class Export(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec([1, *(size or (None, None)), 3], tf.float32, name="frame")
            ]
        )
        def denoise(self, frame: Any) -> Any:
            return {"denoised": self.model(frame, training=False)}

    _keep_biases(model)
    export = Export()
    function = export.denoise.get_concrete_function()
    # Of a Keras 3 model, which tf.Module does not look into.
    export.variables_of_model = list(function.graph.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], export)
    _set_precision(converter, precision)
    if examples is not None:
        if precision == "int8":  # else what it can't round stays a float
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([each] for each in examples())
    with warnings.catch_warnings(), native.quiet():
        # It expects calibration statistics, which a QAT network carries itself.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
        try:
            content: bytes = converter.convert()
        except Exception as error:  # of whatever kind its many stages raise
            reason = str(error).strip().split("\n")[0]
            raise QualityError(
                f"TFLite has no {precision} form of this network: {reason}"
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


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def _shapes_at(content: bytes, side: int) -> list[list[int]]:
    """Shapes of the tensors, in the file's order, when a frame has this height and width."""
    from ai_edge_litert import interpreter as litert

    # A delegate would keep the shapes of what it runs to itself.
    plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = litert.Interpreter(model_content=content, experimental_op_resolver_type=plain)
    (frame,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(frame["index"], [1, side, side, 3])
    interpreter.allocate_tensors()
    interpreter.invoke()  # behind a transposed convolution, shapes are only known then
    return [details["shape"].tolist() for details in interpreter.get_tensor_details()]


def _frame_quantization(schema: Any) -> Any:
    return schema.QuantizationParametersT(
        scale=np.array([FRAME_SCALE], np.float32), zeroPoint=np.array([FRAME_ZERO], np.int64)
    )


def _requantize(schema: Any, model: Any, at_end: bool) -> None:
    """Add a QUANTIZE operation that brings the output, or the input, to the scale of a frame.

    A sigmoid's int8 result has scale 1/256 by TFLite's definition, and the converter drops the
    rounding that follows it; ranges of its own post-training quantization are what was seen.
    """
    graph = model.subgraphs[0]
    inner = int(graph.outputs[0] if at_end else graph.inputs[0])
    tensor = graph.tensors[inner]
    model.buffers.append(schema.BufferT())
    graph.tensors.append(
        schema.TensorT(
            shape=tensor.shape,
            shapeSignature=tensor.shapeSignature,
            type=tensor.type,
            buffer=len(model.buffers) - 1,
            name=b"requantized",
            quantization=_frame_quantization(schema),
            hasRank=tensor.hasRank,
        )
    )
    code = schema.BuiltinOperator.QUANTIZE
    model.operatorCodes.append(
        schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=2)
    )
    outer = len(graph.tensors) - 1
    source, target = (inner, outer) if at_end else (outer, inner)
    operation = schema.OperatorT(
        opcodeIndex=len(model.operatorCodes) - 1,
        inputs=np.array([source], np.int32),
        outputs=np.array([target], np.int32),
        builtinOptionsType=schema.BuiltinOptions.QuantizeOptions,
        builtinOptions=schema.QuantizeOptionsT(),
    )
    graph.operators.insert(len(graph.operators) if at_end else 0, operation)
    if at_end:
        graph.outputs = np.array([outer], np.int32)
    else:
        tensor.name = b"frame_requantized"
        graph.inputs = np.array([outer], np.int32)


def _is_frame(tensor: Any) -> bool:
    quantization = tensor.quantization
    return bool(
        np.float32(quantization.scale[0]) == FRAME_SCALE
        and int(quantization.zeroPoint[0]) == FRAME_ZERO
    )


def _open(tensor: Any) -> bool:
    return tensor.shapeSignature is not None and -1 in tensor.shapeSignature


def finish(content: bytes, int8: bool, metadata: Metadata | None) -> bytes:
    """Settle what the converter leaves open.

    Args:
        content: from :func:`to_tflite`.
        int8: whether input and output must have the scale of a frame.
        metadata: to put into the file; a preliminary file may go without.

    Returns:
        The finished file. Equal arguments give equal bytes.
    """
    import flatbuffers

    schema = _schema()
    model = parse_flatbuffer(content)
    graph = model.subgraphs[0]
    if _open(graph.tensors[graph.inputs[0]]):
        small, large = (_shapes_at(content, side) for side in (STORED_SIDE, 2 * STORED_SIDE))
        # The interpreter may append tensors of its own to those of the file.
        for tensor, shape, other in zip(graph.tensors, small, large, strict=False):
            signature = [a if a == b else -1 for a, b in zip(shape, other, strict=True)]
            if -1 in signature:
                tensor.shape = np.array(shape, np.int32)
                tensor.shapeSignature = np.array(signature, np.int32)
    if int8:
        for at_end, (end,) in ((False, graph.inputs), (True, graph.outputs)):
            if not _is_frame(graph.tensors[end]):
                _requantize(schema, model, at_end)
    graph.tensors[graph.inputs[0]].name = b"frame"
    graph.tensors[graph.outputs[0]].name = b"denoised"
    model.description = b"edgecae"
    model.signatureDefs = [
        schema.SignatureDefT(
            inputs=[schema.TensorMapT(name=b"frame", tensorIndex=int(graph.inputs[0]))],
            outputs=[schema.TensorMapT(name=b"denoised", tensorIndex=int(graph.outputs[0]))],
            signatureKey=b"serving_default",
            subgraphIndex=0,
        )
    ]
    model.metadata, model.metadataBuffer = [], None
    if metadata is not None:
        text = np.frombuffer(metadata.to_json().encode(), np.uint8)
        model.buffers.append(schema.BufferT(data=text))
        model.metadata = [
            schema.MetadataT(name=METADATA_NAME.encode(), buffer=len(model.buffers) - 1)
        ]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def halo(architecture: Architecture) -> int:
    """Measure how many pixels around a pixel its result depends on.

    The same graph with all kernels one and all biases zero spreads a single bright pixel over
    exactly what it can reach: sums of positive numbers never cancel. Tried for each place of the
    bright pixel within a stride.

    Returns:
        The largest distance, in rows or columns.
    """
    stride = architecture.stride
    probe = architecture.build(training=False)
    for variable in probe.weights:
        kernel = variable.name.split(":")[0].endswith("kernel")
        variable.assign(tf.ones_like(variable) if kernel else tf.zeros_like(variable))
    side = 16 * stride
    while True:
        dark = np.asarray(probe(np.zeros((1, side, side, 3), np.float32), training=False))
        reach = 0
        for offset in range(stride):
            centre = side // 2 + offset
            frame = np.zeros((1, side, side, 3), np.float32)
            frame[0, centre, centre] = 1
            lit = np.asarray(probe(frame, training=False))
            rows, columns = np.nonzero((lit != dark).any(axis=(0, 3)))
            reach = max(reach, int(np.abs(np.stack([rows, columns]) - centre).max()))
        if reach < side // 2 - stride:
            return reach
        side *= 2
