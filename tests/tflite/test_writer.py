"""What is written is what was decoded, and LiteRT's own schema reads the same."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecae import models
from edgecae.errors import ModelFileError
from edgecae.tflite import graph as graphs
from edgecae.tflite import model_file, quantization, writer


def test_a_file_that_is_written_again_is_the_same_model(shipped: str) -> None:
    first = model_file.read(models.find_model(shipped))
    content = writer.encode(writer.copy_model(first.graph.model))
    second = graphs.decode(content)
    assert model_file.check(second) == first.metadata
    assert writer.encode(second.model) == content
    for one, two in zip(first.graph.tensors, second.tensors, strict=True):
        assert (one.name, one.dtype, one.shape) == (two.name, two.dtype, two.shape)
        assert one.same_quantization(two)
        assert (one.data is None) == (two.data is None)
        assert one.data is None or np.array_equal(one.data, two.data)
    theirs = schema.ModelT.InitFromPackedBuf(bytearray(content))
    assert len(theirs.subgraphs[0].operators) == len(second.operators)
    for tensor, known in zip(theirs.subgraphs[0].tensors, second.tensors, strict=True):
        assert tensor.shape is None or tuple(tensor.shape) == known.shape


def test_data_begin_at_multiples_of_16_bytes() -> None:
    """As TFLite's schema asks for."""
    content = writer.encode(
        writer.copy_model(model_file.read(models.find_model("nano")).graph.model)
    )
    start = np.frombuffer(content, np.uint8).ctypes.data
    places = [
        buffer.data.ctypes.data - start
        for buffer in graphs.decode(content).model.buffers
        if buffer.data is not None and len(buffer.data)
    ]
    assert len(places) > 10
    assert {place % 16 for place in places} == {0}


def test_options_that_edgecae_does_not_know_survive() -> None:
    model = writer.copy_model(model_file.read(models.find_model("nano")).graph.model)
    options = schema.SoftmaxOptionsT()
    options.beta = 0.25
    theirs = schema.ModelT.InitFromPackedBuf(bytearray(writer.encode(model)))
    operator = theirs.subgraphs[0].operators[1]
    operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    operator.builtinOptions = options
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(theirs.Pack(builder), b"TFL3")
    foreign = graphs.decode(bytes(builder.Output()))
    with pytest.raises(ModelFileError, match="options of type 9"):
        model_file.check(foreign)
    again = schema.ModelT.InitFromPackedBuf(bytearray(writer.encode(foreign.model)))
    assert again.subgraphs[0].operators[1].builtinOptions.beta == 0.25


def test_values_survive_quantization() -> None:
    for op in model_file.read(models.find_model("base")).graph.operators:
        for tensor in op.inputs:
            if tensor.dtype == "int8" and tensor.data is not None:
                stored = tensor.data.reshape(tensor.shape)
                numbers = quantization.dequantize(tensor, stored)
                np.testing.assert_array_equal(quantization.quantize(tensor, numbers), stored)
    frame = model_file.read(models.find_model("nano")).graph.frame
    assert quantization.representable(frame) == pytest.approx((0, 1))
    assert quantization.quantize(frame, np.array([[-1.0, 0.6, 2.0]])).tolist() == [[-128, 25, 127]]


def test_an_operation_that_is_added_is_decoded_as_it_was_made() -> None:
    """In the graph of the changed model, and in the file that is written of it."""
    model = writer.copy_model(model_file.read(models.find_model("nano")).graph.model)
    end = int(model.subgraphs[0].outputs[0])
    shape = model.subgraphs[0].tensors[end].shape
    added = writer.add_tensor(model, "added", "int8", shape, scale=[0.5], zero=3)
    writer.add_operator(model, "QUANTIZE", [end], added, "QuantizeOptions", version=2)
    model.subgraphs[0].outputs = np.array([added], np.int32)
    for graph in (graphs.from_model(model), graphs.decode(writer.encode(model))):
        assert graph.operators[-1].name == "QUANTIZE"
        assert (graph.denoised.name, graph.denoised.zero.tolist()) == ("added", [3])
