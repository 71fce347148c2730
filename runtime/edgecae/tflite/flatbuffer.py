"""Decode a flatbuffer that nobody vouches for, and encode one.

Decoding does what ``flatbuffers::Verifier`` does in C++ and Python's package lacks: it checks every
offset before it follows it. No byte may belong to two parts, so that the length of the file bounds
time and memory.

A schema is a dictionary from the name of a table to its fields in the order of their slots, each
``name:kind`` or ``name:kind=default``, separated by spaces. Kinds: a number of :data:`NUMBERS`,
``str``, ``[number]``, ``[Table]``, ``Table``; ``union``, a table whose kind the number in the field
before it tells; ``-``, a field that must be absent; ``-kind``, a field that is decoded and reported
as foreign.

Format: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgecae.errors import ModelFileError

__all__ = ["NUMBERS", "ForeignTable", "decode", "encode", "new_table", "require"]

NUMBERS = {
    "bool": "<?", "u8": "<B", "i8": "<b", "u16": "<H", "i32": "<i", "u32": "<I", "i64": "<q",
    "f32": "<f",
}  # fmt: skip
"""Kinds of numbers and how :mod:`struct` writes them."""

MAX_TABLES = 20_000
MAX_DEPTH = 8
BYTES_ALIGNMENT = 16
"""Of vectors of bytes: TFLite's schema asks for it where tensors have their data."""


def require(condition: Any, problem: str) -> None:
    """Refuse a file.

    Raises:
        ModelFileError: ``problem``, unless ``condition`` holds.
    """
    if not condition:
        raise ModelFileError(problem)


@dataclass(frozen=True)
class ForeignTable:
    """A table of a union that the schema does not name, left undecoded.

    Attributes:
        content: the file that holds it.
        at: its place there, in bytes.
        number: what stands before the union.
    """

    content: bytes
    at: int
    number: int


@dataclass(frozen=True)
class _Field:
    slot: int
    name: str
    kind: str
    default: Any
    foreign: bool


def decode(
    content: bytes, schema: Mapping[str, str], root: str, unions: Mapping[int, str]
) -> tuple[SimpleNamespace, tuple[str, ...]]:
    """Decode a file.

    Args:
        content: the whole file.
        schema: see the module.
        root: name of the outermost table.
        unions: table by the number that stands before a union.

    Returns:
        The outermost table, an attribute for every field, and what the file holds that is foreign,
        in words. A number is an int, a float or a bool, a string is bytes, a vector of numbers a
        numpy view into ``content``, a vector of tables a list; a table of a union that ``unions``
        does not name is a :class:`ForeignTable`; what is absent and is no number is None.

    Raises:
        ModelFileError: the bytes are no such file.
    """
    reader = _Reader(content, _fields(schema), unions)
    model = reader.table(reader.offset(0), root, 0)
    return model, tuple(reader.foreign)


def encode(
    value: SimpleNamespace,
    schema: Mapping[str, str],
    root: str,
    unions: Mapping[int, str],
    identifier: bytes,
    encode_foreign: Callable[[Any, ForeignTable], int] | None = None,
) -> bytes:
    """Encode what :func:`decode` returns. Equal arguments give equal bytes.

    Args:
        value: the outermost table, its parts from :func:`decode` or :func:`new_table`.
        schema: see the module.
        root: name of the outermost table.
        unions: table by the number that stands before a union.
        identifier: 4 bytes that name the format.
        encode_foreign: puts a foreign table into a ``flatbuffers.Builder`` and returns its offset.

    Raises:
        ModelFileError: the package flatbuffers is not installed; it comes with ai-edge-litert.
    """
    try:
        import flatbuffers
    except ImportError as error:
        raise ModelFileError(
            "model files are written with flatbuffers, which comes with ai-edge-litert and is not "
            "installed"
        ) from error
    builder = flatbuffers.Builder(4096)
    writer = _Writer(builder, _fields(schema), unions, encode_foreign)
    builder.Finish(writer.table(value, root), identifier)
    return bytes(builder.Output())


def new_table(schema: Mapping[str, str], table: str, /, **values: Any) -> SimpleNamespace:
    """Make a table as :func:`decode` returns it; fields that are left out have their defaults."""
    fields = [_field(text, slot) for slot, text in enumerate(schema[table].split())]
    return SimpleNamespace(**({field.name: field.default for field in fields} | values))


def _fields(schema: Mapping[str, str]) -> dict[str, list[_Field]]:
    return {
        table: [_field(text, slot) for slot, text in enumerate(text.split())]
        for table, text in schema.items()
    }


def _field(text: str, slot: int) -> _Field:
    name, _, rest = text.partition(":")
    foreign = rest.startswith("-")
    kind, _, default = rest.removeprefix("-").partition("=")
    if kind not in NUMBERS:
        return _Field(slot, name, kind, None, foreign)
    number_type = type(struct.unpack(NUMBERS[kind], bytes(_size(kind)))[0])
    return _Field(slot, name, kind, number_type(int(default or 0)), foreign)


def _size(kind: str) -> int:
    return struct.calcsize(NUMBERS[kind])


class _Reader:
    def __init__(
        self,
        content: bytes,
        fields: Mapping[str, list[_Field]],
        unions: Mapping[int, str],
    ) -> None:
        self._content = content
        self._fields = fields
        self._unions = unions
        self._bytes_left = len(content)
        self._tables_left = MAX_TABLES
        self.foreign: list[str] = []

    def _number(self, at: int, kind: str) -> Any:
        size = _size(kind)
        if at < 0 or at % size or at + size > len(self._content):
            raise ModelFileError(f"the file is damaged: no {kind} can be at byte {at}")
        return struct.unpack_from(NUMBERS[kind], self._content, at)[0]

    def _claim(self, at: int, size: int) -> None:
        """Take ``size`` bytes from ``at`` for one part of the file, and for no other."""
        self._bytes_left -= size
        if at + size > len(self._content) or self._bytes_left < 0:
            raise ModelFileError("the file is damaged or cut: its parts are larger than it is")

    def offset(self, at: int) -> int:
        """Follow the offset that is at a place."""
        return at + int(self._number(at, "u32"))

    def table(self, at: int, name: str, depth: int) -> SimpleNamespace:
        """Decode the table at a place."""
        self._tables_left -= 1
        if depth > MAX_DEPTH or self._tables_left < 0:
            raise ModelFileError("the file is nested deeper or holds more than any model")
        vtable = at - self._number(at, "i32")
        vtable_size, table_size = self._number(vtable, "u16"), self._number(vtable + 2, "u16")
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > len(self._content):
            raise ModelFileError(f"the file is damaged: a {name} has no fields")
        self._claim(at, max(table_size, 4))
        slots = struct.unpack_from(f"<{vtable_size // 2 - 2}H", self._content, vtable + 4)
        fields = self._fields[name]
        if any(slots[len(fields) :]):
            raise ModelFileError(f"it holds a {name} with more than edgecae writes")
        values: dict[str, Any] = {}
        number = 0
        for field in fields:
            kind = field.kind
            inside = slots[field.slot] if field.slot < len(slots) else 0
            if not inside:
                if kind == "union" and number:
                    raise ModelFileError(f"the file is damaged: a {name} lacks its {field.name}")
                values[field.name] = number = field.default
                continue
            if field.foreign:
                problem = f"it holds a {name} with {field.name}, which nothing streamed has"
                require(kind, problem)
                self.foreign.append(problem)
            size = _size(kind) if kind in NUMBERS else 4
            if inside < 4 or inside + size > table_size:
                raise ModelFileError(f"the file is damaged: {field.name} lies outside its {name}")
            values[field.name] = self._value(at + inside, kind, number, depth)
            if kind in NUMBERS:
                number = values[field.name]
        return SimpleNamespace(**values)

    def _value(self, at: int, kind: str, number: int, depth: int) -> Any:
        if kind in NUMBERS:
            return self._number(at, kind)
        at = self.offset(at)
        if kind == "str":
            return self._string(at)
        if kind == "union":
            if number not in self._unions:
                self.foreign.append(f"it holds options of type {number}, which edgecae never uses")
                return ForeignTable(self._content, at, number)
            return self.table(at, self._unions[number], depth + 1)
        if not kind.startswith("["):
            return self.table(at, kind, depth + 1)
        inner = kind[1:-1]
        count, start = int(self._number(at, "u32")), at + 4
        if inner not in NUMBERS:
            self._claim(at, 4 + 4 * count)
            places = (self.offset(start + 4 * i) for i in range(count))
            return [self.table(place, inner, depth + 1) for place in places]
        size = _size(inner)
        if count and start % size:
            raise ModelFileError(f"the file is damaged: no {inner} can be at byte {start}")
        self._claim(at, 4 + size * count)
        return np.frombuffer(self._content, NUMBERS[inner], count, start)

    def _string(self, at: int) -> bytes:
        count, start = int(self._number(at, "u32")), at + 4
        self._claim(at, 4 + count + 1)
        if self._content[start + count]:
            raise ModelFileError("the file is damaged: a text does not end")
        return self._content[start : start + count]


class _Writer:
    def __init__(
        self,
        builder: Any,
        fields: Mapping[str, list[_Field]],
        unions: Mapping[int, str],
        encode_foreign: Callable[[Any, ForeignTable], int] | None,
    ) -> None:
        from flatbuffers import number_types

        self._builder = builder
        self._fields = fields
        self._unions = unions
        self._encode_foreign = encode_foreign
        self._flags = {
            "bool": number_types.BoolFlags, "u8": number_types.Uint8Flags,
            "i8": number_types.Int8Flags, "u16": number_types.Uint16Flags,
            "i32": number_types.Int32Flags, "u32": number_types.Uint32Flags,
            "i64": number_types.Int64Flags, "f32": number_types.Float32Flags,
        }  # fmt: skip

    def table(self, value: SimpleNamespace, name: str) -> int:
        """Encode a table and return its offset."""
        fields = self._fields[name]
        unknown = vars(value).keys() - {field.name for field in fields}
        if unknown:
            raise TypeError(f"a {name} has no {', '.join(sorted(unknown))}")
        numbers: dict[_Field, Any] = {}
        offsets: dict[_Field, int] = {}
        number = 0
        for field in fields:
            given = getattr(value, field.name)
            if field.kind in NUMBERS:
                numbers[field] = number = given
            elif given is not None:
                offsets[field] = self._offset(given, field.kind, number)
        self._builder.StartObject(len(fields))
        for field, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(field.slot, offset, 0)
        for field, given in numbers.items():
            flags = self._flags[field.kind]
            self._builder.PrependSlot(flags, field.slot, flags.py_type(given), field.default)
        offset = self._builder.EndObject()
        return int(offset)

    def _offset(self, value: Any, kind: str, number: int) -> int:
        """Encode what a table holds by its offset."""
        builder = self._builder
        if kind == "str":
            return int(builder.CreateString(value))
        if isinstance(value, ForeignTable):
            assert self._encode_foreign is not None
            return self._encode_foreign(builder, value)
        if kind == "union":
            return self.table(value, self._unions[number])
        if not kind.startswith("["):
            return self.table(value, kind)
        inner = kind[1:-1]
        if inner in NUMBERS:
            array = np.ascontiguousarray(value, NUMBERS[inner])
            if inner == "u8":
                builder.Prep(BYTES_ALIGNMENT, len(array))
            return int(builder.CreateNumpyVector(array))
        offsets = [self.table(each, inner) for each in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())
