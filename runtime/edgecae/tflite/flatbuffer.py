"""Decode a flatbuffer that nobody vouches for.

What ``flatbuffers::Verifier`` does in C++ and Python's package lacks: every offset is checked
before it is followed. Unlike there, what the schema does not name is refused, and no byte may
belong to two parts, so that time and memory are bounded by the length of the file.

A schema is a dictionary from the name of a table to its fields in the order of their slots, each
``name:kind`` or ``name:kind=default``, separated by spaces. Kinds: a number of :data:`NUMBERS`,
``str``, ``[number]``, ``[Table]``, ``Table``; ``union``, a table whose kind the number in the field
before it tells; ``-``, a field that must be absent.

Format: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgecae.errors import ModelFileError

__all__ = ["NUMBERS", "decode"]

NUMBERS = {
    "bool": "<?", "u8": "<B", "i8": "<b", "u16": "<H", "i32": "<i", "u32": "<I", "i64": "<q",
    "f32": "<f",
}  # fmt: skip
"""Kinds of numbers and how :mod:`struct` writes them."""

MOST_TABLES = 20_000
DEEPEST = 8


def decode(
    content: bytes, schema: Mapping[str, str], root: str, unions: Mapping[int, str]
) -> SimpleNamespace:
    """Decode a file.

    Args:
        content: the whole file.
        schema: see the module.
        root: name of the outermost table.
        unions: table by the number that stands before a union.

    Returns:
        The outermost table: an attribute for every field that may be there. A number is an int,
        a float or a bool, a string is bytes, a vector of numbers a numpy view into ``content``, a
        vector of tables a list; what may be absent is None where it is.

    Raises:
        ModelFileError: the bytes are no such file.
    """
    fields = {
        table: [_field(text, slot) for slot, text in enumerate(text.split())]
        for table, text in schema.items()
    }
    return _Reader(content, fields, unions).table(_Reader(content, {}, {}).offset(0), root, 0)


def _field(text: str, slot: int) -> tuple[int, str, str, Any]:
    """Slot, name, kind and default of a field."""
    name, _, rest = text.partition(":")
    kind, _, default = rest.partition("=")
    if kind in NUMBERS:
        return (
            slot,
            name,
            kind,
            type(struct.unpack(NUMBERS[kind], bytes(8)[: _size(kind)])[0])(int(default or 0)),
        )
    return slot, name, kind or "-", None


def _size(kind: str) -> int:
    return struct.calcsize(NUMBERS[kind])


class _Reader:
    def __init__(
        self,
        content: bytes,
        fields: Mapping[str, list[tuple[int, str, str, Any]]],
        unions: Mapping[int, str],
    ) -> None:
        self._content = content
        self._fields = fields
        self._unions = unions
        self._bytes_left = len(content)
        self._tables_left = MOST_TABLES

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
        if depth > DEEPEST or self._tables_left < 0:
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
        for slot, field, kind, default in fields:
            inside = slots[slot] if slot < len(slots) else 0
            if not inside:
                if kind == "union" and number:
                    raise ModelFileError(f"the file is damaged: a {name} lacks its {field}")
                values[field] = number = default
                continue
            if kind == "-":
                raise ModelFileError(f"it holds a {name} with {field}, which nothing streamed has")
            size = _size(kind) if kind in NUMBERS else 4
            if inside < 4 or inside + size > table_size:
                raise ModelFileError(f"the file is damaged: {field} lies outside its {name}")
            values[field] = self._value(at + inside, kind, number, depth)
            if kind in NUMBERS:
                number = values[field]
        return SimpleNamespace(**values)

    def _value(self, at: int, kind: str, number: int, depth: int) -> Any:
        if kind in NUMBERS:
            return self._number(at, kind)
        at = self.offset(at)
        if kind == "str":
            return self._string(at)
        if kind == "union":
            if number not in self._unions:
                raise ModelFileError(f"it holds options of type {number}, which edgecae never uses")
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
