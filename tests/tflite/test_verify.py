"""Files that were made to do harm, and files that were damaged by chance."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from benchmark_modules import load

from edgecae import models
from edgecae.errors import ModelFileError
from edgecae.tflite import flatbuffer, model_file, operators
from edgecae.tflite import schema as known

GOOD = models.find_model("classic").read_bytes()


def rebuilt(change: Callable[[Any], Any], name: str = "classic") -> bytes:
    """A shipped file with fields changed and put together again, its offsets all right."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(models.find_model(name).read_bytes()))
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def refused(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "hostile.tflite"
    file.write_bytes(content)
    start = time.process_time()
    with pytest.raises(ModelFileError, match=why) as caught:
        model_file.read(file)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert time.process_time() - start < 2


def find_op(model: Any, name: str) -> Any:
    code = getattr(schema.BuiltinOperator, name)
    ops = model.subgraphs[0].operators
    return next(op for op in ops if model.operatorCodes[op.opcodeIndex].builtinCode == code)


def a(name: str, field: str, value: Any) -> Callable[[Any], None]:
    """Set an option of the first operation of a kind."""
    return lambda model: setattr(find_op(model, name).builtinOptions, field, value)


def tensor(index: int, **fields: Any) -> Callable[[Any], None]:
    return lambda model: vars(model.subgraphs[0].tensors[index]).update(fields)


def scale(index: int, value: float, zero: int = 0) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        quantization = model.subgraphs[0].tensors[index].quantization
        quantization.scale = np.full(len(quantization.scale), value, np.float32)
        quantization.zeroPoint = np.full(len(quantization.scale), zero, np.int64)

    return change


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def custom_op(model: Any) -> None:
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32
    model.operatorCodes[0].customCode = b"FlexReadFile"


def times_a_lot(model: Any) -> None:
    """The constant that the first transposed convolution's height is multiplied by: 2^28."""
    operand = model.subgraphs[0].tensors[find_op(model, "MUL").inputs[1]]
    model.buffers.append(schema.BufferT(data=np.frombuffer(struct.pack("<i", 2**28), np.uint8)))
    operand.buffer = len(model.buffers) - 1


def area_for_height(model: Any) -> None:
    """Height times width, where the first transposed convolution's height is expected."""
    first, second = [
        op
        for op in model.subgraphs[0].operators
        if model.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.MUL
    ][:2]
    slices = {int(op.outputs[0]) for op in model.subgraphs[0].operators}
    assert int(first.inputs[0]) in slices
    second.inputs = int32(second.inputs[0], first.outputs[0])


def swapped(model: Any) -> None:
    operations = model.subgraphs[0].operators
    operations[0], operations[1] = operations[1], operations[0]


def two_graphs(model: Any) -> None:
    model.subgraphs *= 2


def written_twice(model: Any) -> None:
    operations = model.subgraphs[0].operators
    operations[2].outputs = operations[0].outputs


def constant_written(model: Any) -> None:
    operation = find_op(model, "MUL")
    operation.outputs = operation.inputs[1:2]


def metadata(text: bytes) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.buffers[model.metadata[0].buffer].data = np.frombuffer(text, np.uint8)

    return change


def says(**values: Any) -> Callable[[Any], None]:
    import json

    content = json.loads(model_file.read(models.find_model("classic")).metadata.to_json())
    return metadata(json.dumps({**content, **values}).encode())


def addends_far_from_their_sum(model: Any) -> None:
    """TFLite aborts the process where the sum's scale is 2^-19 of the addends'."""
    total = model.subgraphs[0].tensors[find_op(model, "ADD").outputs[0]]
    total.quantization.scale = np.array([1e-12], np.float32)


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "external buffer": (
        lambda m: vars(m.buffers[10]).update(data=None, offset=2**64 - 64, size=128),
        "a Buffer with offset",
    ),
    "external size": (lambda m: vars(m.buffers[1]).update(size=2**40), "a Buffer with size"),
    "custom operation": (custom_op, "custom_code"),
    "custom options": (
        lambda m: vars(m.subgraphs[0].operators[0]).update(customOptions=np.zeros(9, np.uint8)),
        "custom_options",
    ),
    "large custom options": (
        lambda m: vars(m.subgraphs[0].operators[0]).update(largeCustomOptionsOffset=2**63),
        "large_custom_options_offset",
    ),
    "unknown operation": (
        lambda m: vars(m.operatorCodes[1]).update(builtinCode=119, deprecatedBuiltinCode=119),
        "operation 0 is WHILE, which edgecae does not run",
    ),
    "code out of range": (
        lambda m: vars(m.subgraphs[0].operators[0]).update(opcodeIndex=999), "has no code",
    ),
    "two graphs": (two_graphs, "exactly one graph"),
    "two inputs": (lambda m: vars(m.subgraphs[0]).update(inputs=int32(12, 12)), "one input"),
    "no such tensor": (
        lambda m: vars(m.subgraphs[0].operators[3]).update(inputs=int32(2**31 - 1)), "no tensor",
    ),
    "negative tensor": (
        lambda m: vars(m.subgraphs[0].operators[3]).update(inputs=int32(-1)), "no tensor -1",
    ),
    "no input": (
        lambda m: vars(m.subgraphs[0]).update(inputs=int32(-1)), "is none of its tensors",
    ),
    "no output": (
        lambda m: vars(m.subgraphs[0]).update(outputs=int32(-1)), "is none of its tensors",
    ),
    "no such buffer": (tensor(13, buffer=2**32 - 1), "lies in buffer"),
    "order": (swapped, "which nothing wrote"),
    "written twice": (written_twice, "has its value already|no frame|not on int32"),
    "constant written": (constant_written, "has its value already"),
    "64 GiB of shape": (tensor(14, shape=int32(1, 131072, 131072, 4)), "has shape"),
    "negative shape": (tensor(14, shape=int32(1, -64, 64, 32)), "has shape"),
    "an empty shape": (tensor(14, shape=int32(1, 0, 64, 32)), "has shape"),
    "rank 5": (tensor(14, shape=int32(1, 1, 64, 64, 32)), "more than 4 dimensions"),
    "a shape that is not its own": (tensor(14, shape=int32(1, 64, 64, 64)), "another signature"),
    "a shape that does not follow": (
        tensor(14, shape=int32(1, 64, 65, 32), shapeSignature=None), "makes .* stored is",
    ),
    "short constant": (tensor(16, shape=int32(64, 3, 3, 64)), "its data are 18432 bytes"),
    "another type": (tensor(14, type=schema.TensorType.STRING), "type string, which edgecae never"),
    "variable": (tensor(14, isVariable=True), "is_variable"),
    "shape arithmetic": (times_a_lot, "can't make|no sizes"),
    "quadratic shape": (area_for_height, "can't make|no sizes"),
    "NaN": (scale(14, float("nan"), -128), "no positive number"),
    "infinite": (scale(14, float("inf"), -128), "no positive number"),
    "zero": (scale(14, 0, -128), "no positive number"),
    "zero point": (scale(14, 0.1, 128), "zero point outside int8"),
    "input scale": (scale(12, 0.0040, -128), "scale 1/255"),
    "output zero point": (scale(38, float(np.float32(1 / 255)), 0), "zero point -128"),
    "weights of another scale": (scale(16, 100.0), "bias of another scale"),
    "dilation": (a("CONV_2D", "dilationHFactor", 2**30), "dilated"),
    "no stride": (a("CONV_2D", "strideW", 0), "a stride of 0"),
    "large stride": (a("CONV_2D", "strideH", 2**30), "a stride of"),
    "padding": (a("CONV_2D", "padding", 7), "no padding 7"),
    "activation": (a("CONV_2D", "fusedActivationFunction", 9), "activation 9"),
    "large pool": (a("MAX_POOL_2D", "filterWidth", 2**20), "a window of"),
    "slice": (a("STRIDED_SLICE", "shrinkAxisMask", 255), "shrinks"),
    "metadata without end": (metadata(b" " * 70_000), "too long"),
    "metadata that nest": (metadata(b"[" * 60_000), "metadata can't be read"),
    "no JSON": (metadata(b"\xff{"), "metadata can't be read"),
    "another stride": (says(stride=1), "does not fit"),
    "a larger stride": (says(stride=3), "stored size"),
    "a name for the terminal": (says(name="\x1b[2J"), "name can't be"),
    "a field for the terminal": (says(**{"\x1b[2J": 1}), "metadata can't be read"),
    "signature": (
        lambda m: vars(m.signatureDefs[0].inputs[0]).update(tensorIndex=3), "its signature",
    ),
    "no signature": (lambda m: vars(m).update(signatureDefs=None), "one signature"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(HOSTILE))
def test_a_hostile_field_is_refused(what: str, tmp_path: Path) -> None:
    change, why = HOSTILE[what]
    refused(tmp_path, rebuilt(change), why)


@pytest.mark.parametrize(
    ("what", "why"),
    [("SPACE_TO_DEPTH", "has no blocks|a block"), ("DEPTH_TO_SPACE", "no blocks|a block")],
)
@pytest.mark.parametrize("block", [0, -2, 7, 2**30])
def test_blocks(what: str, why: str, block: int, tmp_path: Path) -> None:
    refused(tmp_path, rebuilt(a(what, "blockSize", block), "nano"), why)


def test_a_file_that_is_only_put_together_again_passes(shipped: str, tmp_path: Path) -> None:
    """The tests above fail for what they changed, not for being changed."""
    file = tmp_path / "same.tflite"
    file.write_bytes(rebuilt(lambda model: None, shipped))
    assert model_file.read(file).metadata.name == shipped


def test_the_cost_is_that_of_the_op_list(shipped: str) -> None:
    """Shapes that are inferred here, and those that LiteRT's converter wrote."""
    model = model_file.read(models.find_model(shipped))
    inferred = operators.infer(model.graph, *model.frame_size)
    assert sum(each.macs for each in inferred.values()) == sum(op.macs for op in model.ops)


def patched(place: int, value: int) -> bytes:
    return GOOD[:place] + struct.pack("<I", value % 2**32) + GOOD[place + 4 :]


ROOT_TABLE = struct.unpack_from("<I", GOOD)[0]


def slot_of(index: int) -> int:
    """Where the outermost table keeps its field."""
    vtable = ROOT_TABLE - struct.unpack_from("<i", GOOD, ROOT_TABLE)[0]
    return ROOT_TABLE + struct.unpack_from("<H", GOOD, vtable + 4 + 2 * index)[0]


def vector_of(index: int) -> int:
    return slot_of(index) + struct.unpack_from("<I", GOOD, slot_of(index))[0]


@pytest.mark.parametrize(
    "content",
    [
        patched(0, 2**32 - 4),
        patched(0, len(GOOD)),
        patched(0, 7),
        patched(ROOT_TABLE, 2**31),
        patched(ROOT_TABLE, 0),
        patched(slot_of(2), 2**32 - 16),
        patched(vector_of(2), 2**32 - 1),
        patched(vector_of(4), 2**30),
        # The first of the tensors' buffers is the outermost table: a circle.
        patched(vector_of(4) + 4, ROOT_TABLE - vector_of(4) - 4),
        patched(vector_of(2) + 4, ROOT_TABLE - vector_of(2) - 4),
        GOOD[:-1] if GOOD[-1] else GOOD[:-64],
    ],
)
def test_wild_offsets_are_refused(content: bytes, tmp_path: Path) -> None:
    refused(tmp_path, content, "hostile")


def nested(depth: int) -> bytes:
    """``depth`` tables, each the only field of the one before it."""
    parts = [struct.pack("<I", 16), b"TFL3", struct.pack("<HHHH", 6, 8, 4, 0)]
    for level in range(depth):
        at = 16 + 8 * level
        parts.append(struct.pack("<iI", at - 8, 4))
    return b"".join(parts)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ModelFileError, match="nested deeper"):
        flatbuffer.decode(nested(10_000), {"Node": "next:Node"}, "Node", {})


def test_the_same_bytes_twice_are_refused() -> None:
    """What makes a small file a large model: a thousand times the same vector."""
    schema_ = {"Root": "parts:[Part]", "Part": "data:[u8]"}
    for count in (1, 2):
        copy = flatbuffers.Builder(0)
        data = copy.CreateByteVector(bytes(10_000))
        parts = []
        for _ in range(count):
            copy.StartObject(1)
            copy.PrependUOffsetTRelativeSlot(0, data, 0)
            parts.append(copy.EndObject())
        copy.StartVector(4, count, 4)
        for part in parts:
            copy.PrependUOffsetTRelative(part)
        vector = copy.EndVector()
        copy.StartObject(1)
        copy.PrependUOffsetTRelativeSlot(0, vector, 0)
        copy.Finish(copy.EndObject())
        content = bytes(copy.Output())
        if count == 1:
            (part,) = flatbuffer.decode(content, schema_, "Root", {})[0].parts
            assert len(part.data) == 10_000
        else:
            with pytest.raises(ModelFileError, match="larger than it is"):
                flatbuffer.decode(content, schema_, "Root", {})


def test_the_schema_is_that_of_litert() -> None:
    """Slots, defaults and numbers by the code that LiteRT's wheel brings."""
    for number, table in known.OPTIONS.items():
        assert getattr(schema.BuiltinOptions, table) == number
    for number, name in enumerate(known.OPERATORS):
        assert getattr(schema.BuiltinOperator, name) == number
    assert set(operators.OPERATOR_RULES) <= set(known.OPERATORS)
    for number, name in known.DTYPES.items():
        assert getattr(schema.TensorType, name.upper()) == number
    for table, fields in known.SCHEMA.items():
        builder = flatbuffers.Builder(0)
        start = getattr(schema, f"{table}Start")
        start(builder)
        slots = len(builder.current_vtable)
        builder.EndObject()
        assert len(fields.split()) == slots, table


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "hostile.tflite"
    with file.open("wb") as opened:
        opened.truncate(2**40)
    with pytest.raises(ModelFileError, match="larger than"):
        model_file.read(file)


@pytest.fixture(scope="module")
def fuzz() -> Any:
    """``benchmarks/fuzz/model_files.py`` as a module."""
    return load("fuzz/model_files")


@pytest.mark.slow
def test_random_damage_does_no_harm(fuzz: Any) -> None:
    """The fuzzer for a few seconds; it is meant for longer runs."""
    result = fuzz.fuzz(400, seed=20)
    assert not result["holes"], result
    assert result["refused"] > 200
    assert result["ran"] > 20, "mutants that the interpreter sees"


def test_a_file_that_ends_the_process_is_refused(fuzz: Any, tmp_path: Path) -> None:
    """What the fuzzer would call a crash, if the verifier let it through."""
    content = rebuilt(addends_far_from_their_sum, "small")
    child = fuzz.Child(fuzz.__file__, fuzz.MAX_SECONDS)
    try:
        assert child.ask(fuzz.message(GOOD)) == "ran"
        assert child.ask(fuzz.message(content)).startswith("signal")
        assert child.ask(fuzz.message(GOOD)) == "ran"
    finally:
        child.close()
    refused(tmp_path, content, "worlds apart")


@pytest.mark.timing
def test_verifying_is_quick() -> None:
    """In a process of its own: start-up counts."""
    code = (
        "import time\n"
        "from edgecae import models\n"
        "from edgecae.tflite import model_file\n"
        "path = models.find_model('base')\n"
        "start = time.process_time()\n"
        "model_file.read(path)\n"
        "print(time.process_time() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1
