"""Read a SavedModel and write a copy that is safe to load.

``tf.saved_model.load`` runs parts of a file while it loads it. So ``saved_model.pb`` is parsed by
protobuf alone and every operation of it compared with the allowlist: of the graph, of all
functions, of every signature, of what initializes and restores. The copy holds the objects and
functions that are left, and the checkpoint. Files of TensorFlow 1 have one graph and no objects;
their serving signature is cut out of it, with the variables as constants, and nothing else is run.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from edgecae.errors import RecipeError
from edgecae_convert.foreign.keras_file import MAX_BYTES
from edgecae_convert.foreign.layers import UnsafeError
from edgecae_convert.foreign.operations import OPERATIONS, SAVER
from edgecae_train._tf import tf

__all__ = [
    "SIGNATURE",
    "chosen_output",
    "constant_graph",
    "is_of_tensorflow_1",
    "no_signature",
    "read",
    "safe_copy",
]

SIGNATURE = "serving_default"
MAX_GRAPH = 256 * 2**20
"""Bytes of ``saved_model.pb``."""
MAX_CONSTANTS = 256 * 2**20
"""Bytes of all constants: one number can stand for a large array."""
OBJECTS = (
    "bare_concrete_function",
    "captured_tensor",
    "constant",
    "function",
    "user_object",
    "variable",
)
"""Kinds of objects that load without running anything; assets and resources do not."""
CONTAINERS = (
    "signature_map",
    "trackable_dict_wrapper",
    "trackable_list_wrapper",
    "trackable_tuple_wrapper",
)
"""Objects that TensorFlow needs as they are; others become plain ones."""
STARTED = ("asset_filepaths", "saved_model_assets", "table_initializer")
"""Collections of files to read and tables to fill."""

Nodes = Iterable[Any]


def read(path: Path) -> Any:
    """Parse ``saved_model.pb`` and check all that it holds.

    Args:
        path: the folder.

    Returns:
        Its ``MetaGraphDef``.

    Raises:
        UnsafeError: it holds something that is not allowed.
        Exception: whatever damaged bytes lead a parser to.
    """
    file = path / "saved_model.pb"
    if not file.is_file() or file.stat().st_size > MAX_GRAPH:
        raise UnsafeError(f"has a graph of more than {MAX_GRAPH} bytes")
    parsed = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    if len(parsed.meta_graphs) != 1:
        raise ValueError(f"it holds {len(parsed.meta_graphs)} graphs, not one")
    (graph,) = parsed.meta_graphs
    _check_operations(graph)
    _check_constants(graph.graph_def)
    if graph.asset_file_def or any(
        graph.collection_def[each].ByteSize() for each in STARTED if each in graph.collection_def
    ):
        raise UnsafeError("reads files or fills tables when it is loaded")
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind not in OBJECTS or node.saveable_objects or node.registered_saver:
            raise UnsafeError(f"holds an object that acts when it is loaded ({kind})")
    return graph


def is_of_tensorflow_1(graph: Any) -> bool:
    """Return whether a checked ``MetaGraphDef`` has a graph alone, without objects."""
    return not graph.HasField("object_graph_def")


def safe_copy(graph: Any, path: Path, folder: Path) -> None:
    """Write a copy of a SavedModel of TensorFlow 2 that holds what is loaded and nothing else.

    Args:
        graph: from :func:`read`; it is changed.
        path: the folder that it comes from.
        folder: for the copy.
    """
    _copy_variables(path, folder)
    del graph.graph_def.node[:]
    graph.collection_def.clear()
    functions = graph.graph_def.library.function
    loaded = _of_objects(graph)
    kept = [each for each in functions if each.signature.name in loaded]
    del functions[:]
    functions.extend(kept)
    for node in graph.object_graph_def.nodes:
        node.ClearField("slot_variables")
        node.ClearField("registered_name")
        node.ClearField("serialized_user_proto")
        if (
            node.WhichOneof("kind") == "user_object"
            and node.user_object.identifier not in CONTAINERS
        ):
            node.user_object.Clear()
            node.user_object.identifier = "_generic_user_object"
    copy = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[graph])
    (folder / "saved_model.pb").write_bytes(copy.SerializeToString())


def no_signature(path: Path, key: str, names: Iterable[str]) -> str:
    """Say which signatures there are in place of the one that is wanted."""
    there = ", ".join(sorted(names)) or "none"
    return f"{path} has no signature {key!r}; there are {there}: choose with --signature NAME"


def chosen_output(
    path: Path, key: str, inputs: Collection[str], outputs: Collection[str], wanted: str
) -> str:
    """Choose the output of a signature.

    Args:
        path: of the file.
        key: of the signature.
        inputs: names of its inputs.
        outputs: names of its outputs.
        wanted: the one to choose; empty: the only one.

    Raises:
        RecipeError: it has more than one input, or the output is not there or not the only one.
    """
    if len(inputs) != 1:
        raise RecipeError(f"{path}: the signature {key!r} has {len(inputs)} inputs, not one")
    if (not wanted and len(outputs) == 1) or wanted in outputs:
        return wanted or next(iter(outputs))
    raise RecipeError(
        f"{path}: the signature {key!r} has the outputs {', '.join(sorted(outputs))}; choose with "
        f"--signature {key}:OUTPUT"
    )


def constant_graph(
    graph: Any, path: Path, folder: Path, key: str = SIGNATURE, output: str = ""
) -> tuple[Any, str, str]:
    """Cut a signature out of a SavedModel of TensorFlow 1, with variables as constants.

    Args:
        graph: from :func:`read`.
        path: the folder that it comes from.
        folder: for the checkpoint.
        key: of the signature.
        output: name of the output that denoises; empty: the only one.

    Returns:
        A ``GraphDef``, and the names of the input and the output tensor.

    Raises:
        RecipeError: there is no such signature or output.
        ValueError: it has variables without values.
    """
    if key not in graph.signature_def:
        raise RecipeError(no_signature(path, key, graph.signature_def))
    signature = graph.signature_def[key]
    output = chosen_output(path, key, signature.inputs, signature.outputs, output)
    (given,), made = signature.inputs.values(), signature.outputs[output]
    prefix = _copy_variables(path, folder)
    variables = None if prefix is None else tf.train.load_checkpoint(str(prefix))
    cut = tf.compat.v1.graph_util.extract_sub_graph(graph.graph_def, [made.name.split(":")[0]])
    whole = graph_pb2.GraphDef(versions=graph.graph_def.versions, library=graph.graph_def.library)
    for node in cut.node:
        new = whole.node.add(name=node.name, op=node.op)
        if node.op in ("Variable", "VariableV2", "VarHandleOp"):
            if variables is None:
                raise ValueError("it has variables without values")
            key = node.attr["shared_name"].s.decode() or node.name
            key = key if variables.has_tensor(key) else node.name
            value = tf.make_tensor_proto(variables.get_tensor(key))
            new.op = "Const"
            new.attr["value"].tensor.CopyFrom(value)
            new.attr["dtype"].type = value.dtype
        elif node.op == "ReadVariableOp":
            new.op = "Identity"
            new.input.append(node.input[0])
            new.attr["T"].type = node.attr["dtype"].type
        else:
            new.input.extend(node.input)
            for name, value in node.attr.items():
                if not name.startswith("_"):  # such as places beside variables that are gone
                    new.attr[name].CopyFrom(value)
    return whole, given.name, made.name


def _check_operations(graph: Any) -> None:
    """Refuse a file that holds an operation which is not allowed.

    Those of the saver may be where only the saver leads, which is not loaded.
    """
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    nodes = {each.name: each for each in graph.graph_def.node}
    whole = graph.graph_def
    if len(functions) != len(whole.library.function) or len(nodes) != len(whole.node):
        raise UnsafeError("has two functions or operations of one name")
    saver = graph.saver_def
    saving = _behind([saver.save_tensor_name, saver.restore_op_name], nodes)
    others = [each for name, each in nodes.items() if name not in saving]
    network = _of_objects(graph) | _reached(others, functions)
    only_saving = _reached([nodes[each] for each in saving], functions) - network
    used = {each.op for each in others}
    for name, each in functions.items():
        operations = {node.op for node in each.node_def}
        used |= operations - SAVER if name in only_saving else operations
    used |= {nodes[each].op for each in saving} - SAVER
    if unknown := sorted(used - OPERATIONS):
        raise UnsafeError(f"has operations that are not allowed ({', '.join(unknown)[:160]})")


def _of_objects(graph: Any) -> set[str]:
    """Name the functions that objects hold, and those that these call."""
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    objects = graph.object_graph_def
    named = {name for each in objects.nodes for name in each.function.concrete_functions}
    named |= {each.bare_concrete_function.concrete_function_name for each in objects.nodes}
    named |= {each.captured_tensor.concrete_function for each in objects.nodes}
    named |= set(objects.concrete_functions)
    return (named & set(functions)) | _reached(_bodies(named, functions), functions)


def _bodies(names: Iterable[str], functions: dict[str, Any]) -> Iterator[Any]:
    for name in names:
        if name in functions:
            yield from functions[name].node_def


def _called(node: Any) -> Iterator[str]:
    """Name the functions that an operation calls, in whichever attribute it says so."""
    yield node.op
    values = list(node.attr.values())
    while values:
        value = values.pop()
        for function in (value.func, *value.list.func):
            yield function.name
            values += function.attr.values()


def _reached(nodes: Nodes, functions: dict[str, Any]) -> set[str]:
    """Name the functions that nodes call, and those that these call."""
    pending, found = list(nodes), set[str]()
    while pending:
        new = {name for name in _called(pending.pop()) if name in functions} - found
        found |= new
        pending += _bodies(new, functions)
    return found


def _behind(tensors: Iterable[str], nodes: dict[str, Any]) -> set[str]:
    """Name the nodes that tensors are made by: they, their inputs and so on."""
    pending, found = list(tensors), set[str]()
    while pending:
        name = pending.pop().removeprefix("^").split(":")[0]
        if name in nodes and name not in found:
            found.add(name)
            pending += nodes[name].input
    return found


def _check_constants(graph: Any) -> None:
    left = MAX_CONSTANTS
    every = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    for node in every:
        for value in node.attr.values():
            for tensor in (value.tensor, *value.list.tensor):
                sides = [each.size for each in tensor.tensor_shape.dim]
                left -= 8 * math.prod(max(0, each) for each in sides)
    if left < 0:
        raise UnsafeError(f"has constants of more than {MAX_CONSTANTS} bytes")


def _copy_variables(path: Path, folder: Path) -> Path | None:
    """Copy the checkpoint, if there is one, and check what it says of its size.

    Returns:
        Where TensorFlow finds it.
    """
    target, left = folder / "variables", MAX_BYTES
    target.mkdir()
    files = sorted((path / "variables").glob("variables.*"))
    for file in files:
        left -= file.stat().st_size
        if not file.is_file() or left < 0:
            raise UnsafeError(f"has variables of more than {MAX_BYTES} bytes")
        shutil.copyfile(file, target / file.name)
    if not files:
        return None
    reader = tf.train.load_checkpoint(str(target / "variables"))
    stored = MAX_BYTES - left
    for name, shape in reader.get_variable_to_shape_map().items():
        kind = reader.get_variable_to_dtype_map()[name]
        stored -= 0 if kind == tf.string else math.prod(shape) * kind.size
    if stored < 0:
        raise UnsafeError("has more variables than bytes")
    return target / "variables"
