"""Damage to model files: to bytes, to fields, to several fields that agree, and to the metadata."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from edgecae.errors import ModelFileError

__all__ = ["Mutator"]

NUMBERS = (
    -(2**63), -(2**31), -(2**31) + 1, -65536, -129, -128, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16,
    17, 31, 32, 63, 64, 65, 127, 128, 255, 256, 257, 4096, 65535, 65536, 2**24, 2**30, 2**31 - 1,
    2**32 - 1, 2**32, 2**63 - 1,
)  # fmt: skip
REALS = (0.0, -1.0, 1e-45, 1e-30, 1e-9, 1e-6, 0.5, 1.0, 1e6, 1e30, 3e38, float("inf"), float("nan"))


_SHAPING = ("stri", "padd", "filt", "bloc", "fuse", "half", "alig")
"""How the names of options begin that decide on shapes and kernels."""


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


class Mutator:
    """Makes damaged files out of a good one: of bytes, and of fields put together again.

    LiteRT's schema puts them together: it also writes what edgecae's own writer knows nothing of.

    Args:
        content: a good file.
        rng: that decides.
    """

    def __init__(self, content: bytes, rng: random.Random) -> None:
        self.content, self.rng = content, rng
        model = _schema().ModelT.InitFromPackedBuf(bytearray(content))
        weights = {
            content.find(bytes(buffer.data)): len(buffer.data)
            for buffer in model.buffers
            if buffer.data is not None and len(buffer.data) >= 64
        }
        inside = {
            place
            for start, length in weights.items()
            if b'"stride"' not in content[start : start + length]
            for place in range(start, start + length)
        }
        self.places = [place for place in range(len(content)) if place not in inside]
        last = len(content) - 8
        self.words = [place for place in self.places if place % 4 == 0 and place <= last]

    def __call__(self) -> bytes:
        """One more damaged file."""
        kinds: tuple[Callable[[], bytes], ...] = (
            self._bytes,
            self._fields,
            self._consistent,
            self._metadata,
        )
        return self.rng.choices(kinds, (4, 6, 4, 1))[0]()

    def _bytes(self) -> bytes:
        rng, data = self.rng, bytearray(self.content)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            kind = rng.randrange(6)
            place, word = rng.choice(self.places), rng.choice(self.words)
            if kind == 0:
                data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[min(place, len(data) - 1)] = rng.randrange(256)
            elif kind == 2:
                data[word : word + 4] = struct.pack("<I", rng.choice(NUMBERS) % 2**32)
            elif kind == 3:
                near = struct.unpack_from("<I", self.content, word)[0]
                data[word : word + 4] = struct.pack("<I", (near + rng.randrange(-64, 65)) % 2**32)
            elif kind == 4:
                other = rng.choice(self.words)
                data[word : word + 4] = self.content[other : other + 4]
            elif rng.random() < 0.2:
                del data[rng.randrange(8, len(data)) :]
                break
        return bytes(data)

    def _fields(self) -> bytes:
        """Change fields of the parsed file, so that all offsets are right and the rest is not."""
        while True:
            model = _schema().ModelT.InitFromPackedBuf(bytearray(self.content))
            try:
                for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
                    self._change(model)
                return self._pack(model)
            except Exception:  # a field can't hold it, or an earlier change took it away
                continue

    def _metadata(self) -> bytes:
        """Change values of the metadata, which is JSON."""
        import numpy as np

        rng = self.rng
        model = _schema().ModelT.InitFromPackedBuf(bytearray(self.content))
        for buffer in model.buffers:
            if buffer.data is None or b'"stride"' not in bytes(buffer.data):
                continue
            metadata = json.loads(bytes(buffer.data))
            for _ in range(rng.choice((1, 1, 2))):
                place = metadata
                while True:
                    key = rng.choice(
                        sorted(place) if isinstance(place, dict) else range(len(place))
                    )
                    inner = place[key]
                    if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
                        break
                    place = inner
                new: tuple[Any, ...] = (
                    *NUMBERS,
                    *REALS,
                    None,
                    True,
                    "",
                    "a" * 10_000,
                    [],
                    {},
                    [[0] * 99] * 99,
                )
                if isinstance(place, dict) and rng.random() < 0.2:
                    del place[key]
                elif rng.random() < 0.2:
                    place[key] = metadata[rng.choice(sorted(metadata))] if metadata else None
                else:
                    place[key] = rng.choice(new)
                if not metadata:
                    break
            try:
                text = json.dumps(metadata)
            except ValueError:  # it holds itself
                text = "{" * 5000
            buffer.data = np.frombuffer(text.encode(), np.uint8)
        return self._pack(model)

    def _consistent(self) -> bytes:
        """Change a number and all that follow from it: what a knowing hand would write."""
        import numpy as np

        from edgecae.tflite import graph as graphs
        from edgecae.tflite import operators, verify

        rng = self.rng
        model = _schema().ModelT.InitFromPackedBuf(bytearray(self.content))
        graph = model.subgraphs[0]
        for _ in range(rng.choice((1, 1, 2))):
            operator = rng.choice([op for op in graph.operators if op.builtinOptions is not None])
            weighed = "Conv" in type(operator.builtinOptions).__name__
            if rng.random() < 0.4:
                names = [n for n in vars(operator.builtinOptions) if n[:4] in _SHAPING]
                if names:
                    name, value = rng.choice(names), rng.choice((0, 1, 1, 2, 3, 4, 7, 8, 16))
                    kind = type(getattr(operator.builtinOptions, name))
                    setattr(operator.builtinOptions, name, kind(value))
            elif weighed and rng.random() < 0.5:  # another kernel
                weights = graph.tensors[operator.inputs[1]]
                size = weights.shape.copy()
                size[1:3] = rng.choice((1, 2, 3, 5, 16)), rng.choice((1, 2, 3, 4, 16))
                data = np.random.default_rng(rng.randrange(2**32)).bytes(
                    int(np.prod(size)) * (4 if weights.type == 0 else 1)
                )
                weights.shape = size
                model.buffers.append(_schema().BufferT(data=np.frombuffer(data, np.uint8)))
                weights.buffer = len(model.buffers) - 1
            elif weighed:  # other scales, and the bias' with them
                factor = 10.0 ** rng.randrange(-45, 6)
                constants = [graph.tensors[i] for i in operator.inputs[1:]]
                for each in constants:
                    if each.quantization is not None and each.quantization.scale is not None:
                        each.quantization.scale = np.float32(each.quantization.scale * factor)
            else:  # another scale of the result
                result = graph.tensors[operator.outputs[0]].quantization
                if result is not None and result.scale is not None:
                    result.scale = np.float32(result.scale * 10.0 ** rng.randrange(-8, 8))
                    result.zeroPoint = result.zeroPoint * 0 + rng.randrange(-128, 128)
        try:
            parts = graphs.decode(self._pack(model))
            verify.check_graph(parts)
            _, height, width, _ = parts.frame.shape
            for index, inferred in operators.infer(parts, height, width).items():
                graph.tensors[index].shape = np.array(inferred.shape, np.int32)
        except ModelFileError:
            pass  # it is refused with these shapes or any
        return self._pack(model)

    @staticmethod
    def _pack(model: Any) -> bytes:
        import flatbuffers

        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _change(self, model: Any) -> None:
        rng, graph = self.rng, model.subgraphs[0]
        one = rng.choice(
            (
                rng.choice(graph.tensors),
                rng.choice(graph.tensors),
                rng.choice(graph.tensors).quantization,
                rng.choice(graph.operators),
                rng.choice(graph.operators).builtinOptions,
                rng.choice(graph.operators).builtinOptions,
                rng.choice(model.operatorCodes),
                rng.choice(model.buffers),
                rng.choice(model.metadata or [None]),
                rng.choice(model.signatureDefs or [None]),
                graph,
                model,
            )
        )
        if one is None or not vars(one):
            return
        name = rng.choice(sorted(vars(one)))
        value = getattr(one, name)
        if isinstance(value, bool):
            value = not value
        elif isinstance(value, int):
            value = rng.choice((rng.choice(NUMBERS), rng.randrange(12), value - 1, value + 1))
        elif isinstance(value, list) and value:
            value = list(value)
            one_, two = rng.randrange(len(value)), rng.randrange(len(value))
            if rng.random() < 0.5:
                value[one_], value[two] = value[two], value[one_]
            elif rng.random() < 0.5:
                del value[one_]
            else:
                value.insert(one_, value[two])
        elif hasattr(value, "dtype") and 0 < value.size <= 4096:
            value = value.copy()
            numbers = REALS if value.dtype.kind == "f" else NUMBERS
            where = slice(None) if rng.random() < 0.2 else rng.randrange(value.size)
            new: float = rng.choice(numbers)
            if value.dtype.kind != "f":
                bits = 8 * value.dtype.itemsize
                near = (int(value[0]) * 2, int(value[-1]) - 1)
                new = rng.choice((int(new), rng.randrange(12), *near))
                low = 0 if value.dtype.kind == "u" else 2 ** (bits - 1)
                new = (int(new) + low) % 2**bits - low
            value[where] = new
            if rng.random() < 0.1:
                value = value[:-1]
        setattr(one, name, value)
