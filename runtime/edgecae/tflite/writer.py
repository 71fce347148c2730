"""Write TFLite files: the only place that does.

A file is made of a *model*: a decoded file as :func:`edgecae.tflite.flatbuffer.decode` returns it,
or one that is built with the functions here. Names of its fields are those of :mod:`.schema`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.tflite import flatbuffer
from edgecae.tflite.flatbuffer import ForeignTable
from edgecae.tflite.graph import NEW, Graph
from edgecae.tflite.metadata import METADATA_NAME, Metadata
from edgecae.tflite.schema import DTYPES, IDENTIFIER, OPERATORS, OPTIONS, SCHEMA

__all__ = [
    "add_constant",
    "add_operator",
    "add_tensor",
    "copy_model",
    "cut",
    "encode",
    "new_model",
    "set_ends",
    "set_metadata",
    "sign",
]

Model = SimpleNamespace
FORMAT_VERSION = 3


def encode(model: Model) -> bytes:
    """Encode a model. Equal models give equal bytes.

    Raises:
        ModelFileError: flatbuffers is not installed.
    """
    return flatbuffer.encode(model, SCHEMA, "Model", OPTIONS, IDENTIFIER, _encode_foreign)


def _encode_foreign(builder: Any, table: ForeignTable) -> int:
    """Encode options that edgecae has no name for, by the schema that comes with LiteRT."""
    from ai_edge_litert import schema_py_generated as litert

    numbers = vars(litert.BuiltinOptions)
    name = next(name for name, number in numbers.items() if number == table.number)
    options = getattr(litert, f"{name}T").InitFromBuf(bytearray(table.content), table.at)
    return int(options.Pack(builder))


def copy_model(model: Model) -> Model:
    """Copy a model, to change it; the data of its buffers are shared."""
    shared = {id(buffer): buffer for buffer in model.buffers or ()}
    twin: Model = copy.deepcopy(model, shared)
    twin.buffers = [SimpleNamespace(**vars(buffer)) for buffer in twin.buffers or ()]
    return twin


def _table(table: str, /, **values: Any) -> SimpleNamespace:
    return flatbuffer.new_table(SCHEMA, table, **values)


def new_model() -> Model:
    """Make a model of nothing."""
    graph = _table("SubGraph", tensors=[], operators=[])
    return _table(
        "Model",
        version=FORMAT_VERSION,
        operator_codes=[],
        subgraphs=[graph],
        buffers=[_table("Buffer")],  # the first is empty by TFLite's definition
    )


def add_constant(model: Model, data: NDArray[Any]) -> int:
    """Add a buffer and return its number."""
    model.buffers.append(_table("Buffer", data=np.ascontiguousarray(data).ravel().view(np.uint8)))
    return len(model.buffers) - 1


def add_tensor(
    model: Model,
    name: str,
    dtype: str,
    shape: Sequence[int],
    *,
    signature: Sequence[int] | None = None,
    data: NDArray[Any] | None = None,
    scale: Sequence[float] = (),
    zero: int = 0,
) -> int:
    """Add a tensor and return its index.

    Args:
        model: that gets it.
        name: of it.
        dtype: as numpy names it.
        shape: at the stored frame size.
        signature: the same with -1 for open sides.
        data: of a constant.
        scale: one, or one for each element of the first dimension.
        zero: zero point of all.
    """
    quantization = _table(
        "QuantizationParameters",
        scale=np.array(scale, np.float32),
        zero_point=np.full(len(scale), zero, np.int64),
    )
    model.subgraphs[0].tensors.append(
        _table(
            "Tensor",
            name=name.encode(),
            type=next(number for number, known in DTYPES.items() if known == dtype),
            shape=np.array(shape, np.int32),
            shape_signature=None if signature is None else np.array(signature, np.int32),
            buffer=0 if data is None else add_constant(model, data),
            quantization=quantization if len(scale) else None,
        )
    )
    return len(model.subgraphs[0].tensors) - 1


def add_operator(
    model: Model,
    name: str,
    inputs: Sequence[int],
    output: int,
    options_table: str,
    version: int,
    place: int | None = None,
    **options: Any,
) -> None:
    """Add an operation.

    Args:
        model: that gets it.
        name: TFLite's name of it.
        inputs: indices of the tensors that it reads.
        output: index of the tensor that it writes.
        options_table: name of its options' table in the schema; empty: it has none.
        version: of its definition in TFLite.
        place: where in the order; None: at the end.
        options: by the names of the schema.
    """
    number = OPERATORS.index(name)
    model.operator_codes.append(
        _table(
            "OperatorCode",
            deprecated_builtin_code=min(number, 127),
            builtin_code=number,
            version=version,
        )
    )
    operators = model.subgraphs[0].operators
    operator = _table(
        "Operator",
        opcode_index=len(model.operator_codes) - 1,
        inputs=np.array(inputs, np.int32),
        outputs=np.array([output], np.int32),
        options_type=next((n for n, table in OPTIONS.items() if table == options_table), 0),
        options=_table(options_table, **options) if options_table else None,
    )
    operators.insert(len(operators) if place is None else place, operator)


def set_ends(model: Model, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    """Say which tensors go in and come out, without a signature."""
    graph = model.subgraphs[0]
    graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    model.signature_defs = None


def sign(model: Model, names: tuple[str, str], states: Sequence[str] = ()) -> None:
    """Name the inputs and the outputs of a model, and give it the signature that says so.

    Args:
        model: with its ends set.
        names: of the first input and the first output.
        states: names of the further inputs, in order. The signature calls the further outputs
            alike; their tensors, whose names must be others, begin with :data:`NEW`.
    """
    graph = model.subgraphs[0]
    maps = []
    for ends, first, prefix in zip((graph.inputs, graph.outputs), names, ("", NEW), strict=True):
        signed = []
        for index, name in zip(ends.tolist(), (first, *states), strict=True):
            tensor = name if index == ends[0] else prefix + name
            graph.tensors[index].name = tensor.encode()
            signed.append(_table("TensorMap", name=name.encode(), tensor_index=index))
        maps.append(signed)
    model.signature_defs = [
        _table(
            "SignatureDef",
            inputs=maps[0],
            outputs=maps[1],
            signature_key=b"serving_default",
            subgraph_index=0,
        )
    ]


def set_metadata(model: Model, metadata: Metadata | None) -> None:
    """Put edgecae's metadata into a model, in the place of all others; None: it has none then."""
    model.metadata, model.metadata_buffer = None, None
    if metadata is not None:
        buffer = add_constant(model, np.frombuffer(metadata.to_json().encode(), np.uint8))
        model.metadata = [_table("Metadata", name=METADATA_NAME.encode(), buffer=buffer)]


def cut(
    graph: Graph,
    numbers: Collection[int],
    inputs: Sequence[int],
    outputs: Sequence[int],
    shapes: Mapping[int, Sequence[int]] | None = None,
) -> Model:
    """Make a model of some of the operations of a graph.

    Args:
        graph: that is left as it is.
        numbers: of the operations.
        inputs: indices of the tensors that go in.
        outputs: and of those that come out.
        shapes: the only ones that the model takes, by the indices of tensors; None: it is as open
            as the graph.

    Returns:
        A model with those tensors and constants alone that its operations need, in the same order,
        without metadata and signature.
    """
    model = copy_model(graph.model)
    subgraph = model.subgraphs[0]
    operators = [op for number, op in enumerate(subgraph.operators) if number in numbers]
    used = {int(i) for op in operators for i in (*op.inputs, *op.outputs)} - {-1}
    place = {index: new for new, index in enumerate(sorted(used | {*inputs, *outputs}))}
    old_buffers, model.buffers = model.buffers, [_table("Buffer")]
    for index in place:
        tensor = subgraph.tensors[index]
        data = old_buffers[tensor.buffer].data
        tensor.buffer = 0 if data is None or not len(data) else add_constant(model, data)
        if shapes is not None:
            tensor.shape_signature = None
            tensor.shape = np.array(shapes.get(index, tensor.shape), np.int32)
    codes = list(dict.fromkeys(op.opcode_index for op in operators))
    for op in operators:
        op.opcode_index = codes.index(op.opcode_index)
        op.inputs = np.array([place.get(int(i), -1) for i in op.inputs], np.int32)
        op.outputs = np.array([place[int(i)] for i in op.outputs], np.int32)
    model.operator_codes = [model.operator_codes[code] for code in codes]
    subgraph.tensors = [subgraph.tensors[index] for index in place]
    subgraph.operators = operators
    set_metadata(model, None)
    set_ends(model, [place[i] for i in inputs], [place[i] for i in outputs])
    return model
