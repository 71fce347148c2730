"""From a Keras network to the bytes of a TFLite file that keeps edgecae's contract.

The converter turns the roundings of the QAT network into int8 tensors. What it leaves open is
settled afterwards in the flatbuffer: names, a stored frame size at which a file can be allocated,
an output scale of exactly 1/255, and the metadata.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from edgecae.runtime.model_file import METADATA_NAME, Metadata, parse_flatbuffer
from edgecae.train._tf import tf
from edgecae.train.architectures import Architecture

__all__ = ["STORED_SIDE", "finish", "halo", "to_tflite"]

STORED_SIDE = 64
"""Stored height and width: small, and a multiple of every stride in use."""

FRAME_SCALE = np.float32(1 / 255)
FRAME_ZERO = -128


def to_tflite(model: Any, int8: bool) -> bytes:
    """Convert a network with height and width left open.

    Args:
        model: the QAT network for int8, else the float one; N×H×W×3 in [0, 1].
        int8: whether input and output are int8.

    Returns:
        A TFLite file as the converter makes it.
    """

    class Export(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32, name="frame")]
        )
        def denoise(self, frame: Any) -> Any:
            return {"denoised": self.model(frame, training=False)}

    export = Export()
    function = export.denoise.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], export)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # It expects calibration statistics, which a QAT network carries itself.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
        content: bytes = converter.convert()
    return content


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


def _requantize_output(schema: Any, model: Any) -> None:
    """Append a QUANTIZE operation that brings the output to the scale of a frame.

    A sigmoid's int8 result has scale 1/256 by TFLite's definition, and the converter drops the
    rounding that follows it.
    """
    graph = model.subgraphs[0]
    source = graph.outputs[0]
    tensor = graph.tensors[source]
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
    target = len(graph.tensors) - 1
    graph.operators.append(
        schema.OperatorT(
            opcodeIndex=len(model.operatorCodes) - 1,
            inputs=np.array([source], np.int32),
            outputs=np.array([target], np.int32),
            builtinOptionsType=schema.BuiltinOptions.QuantizeOptions,
            builtinOptions=schema.QuantizeOptionsT(),
        )
    )
    graph.outputs = np.array([target], np.int32)


def _is_frame(tensor: Any) -> bool:
    quantization = tensor.quantization
    return bool(
        abs(float(quantization.scale[0]) - float(FRAME_SCALE)) < 1e-8
        and int(quantization.zeroPoint[0]) == FRAME_ZERO
    )


def finish(content: bytes, int8: bool, metadata: Metadata | None) -> bytes:
    """Settle what the converter leaves open.

    Args:
        content: from :func:`to_tflite`.
        int8: whether the output must have the scale of a frame.
        metadata: to put into the file; a preliminary file may go without.

    Returns:
        The finished file. Equal arguments give equal bytes.
    """
    import flatbuffers

    schema = _schema()
    model = parse_flatbuffer(content)
    graph = model.subgraphs[0]
    small, large = (_shapes_at(content, side) for side in (STORED_SIDE, 2 * STORED_SIDE))
    # The interpreter may append tensors of its own to those of the file.
    for tensor, shape, other in zip(graph.tensors, small, large, strict=False):
        signature = [a if a == b else -1 for a, b in zip(shape, other, strict=True)]
        if -1 in signature:
            tensor.shape = np.array(shape, np.int32)
            tensor.shapeSignature = np.array(signature, np.int32)
    if int8 and not _is_frame(graph.tensors[graph.outputs[0]]):
        _requantize_output(schema, model)
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
