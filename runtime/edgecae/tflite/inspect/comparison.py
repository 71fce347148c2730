"""What differs between two model files."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from edgecae.tflite.inspect.inspection import Inspection
from edgecae.tflite.macs import Op

__all__ = ["Difference", "OpChange", "compare_models"]


@dataclass(frozen=True)
class OpChange:
    """An operation that is not the same in both.

    Attributes:
        change: ``removed``, ``added`` or ``changed``.
        before: place in the first file and what stands there; None where it was added.
        after: in the second one; None where it was removed.
    """

    change: str
    before: tuple[int, Op] | None
    after: tuple[int, Op] | None


@dataclass(frozen=True)
class Difference:
    """What differs between two model files.

    Attributes:
        metadata: fields that differ, with the first file's value and the second's.
        cost: ``macs_per_pixel``, ``macs_per_pixel_padded``, ``parameters``, ``bytes`` and
            ``memory_peak`` of both, whether they differ or not.
        ops: operations that differ; those that are alike are left out.
        constants: number of constant tensors in the first file, in the second, and of those that
            are in both: equal in type, shape and every byte, whatever their name.
    """

    metadata: dict[str, tuple[Any, Any]]
    cost: dict[str, tuple[float, float]]
    ops: tuple[OpChange, ...]
    constants: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the attributes; a place and its operation are one object, with ``index``."""
        one, two, equal = self.constants
        return {
            "metadata": self.metadata,
            "cost": self.cost,
            "ops": [
                {
                    "change": each.change,
                    "before": _place(each.before),
                    "after": _place(each.after),
                }
                for each in self.ops
            ],
            "constants": {"before": one, "after": two, "equal": equal},
        }


def _place(given: tuple[int, Op] | None) -> dict[str, Any] | None:
    return None if given is None else {"index": given[0], **dataclasses.asdict(given[1])}


def compare_models(before: Inspection, after: Inspection) -> Difference:
    """Compare two model files."""
    one, two = (dataclasses.asdict(inspection.file.metadata) for inspection in (before, after))
    constants = [_constants(inspection) for inspection in (before, after)]
    return Difference(
        metadata={name: (one[name], two[name]) for name in one if one[name] != two[name]},
        cost={name: (_costs(before)[name], _costs(after)[name]) for name in _costs(before)},
        ops=tuple(_changes(before.file.ops, after.file.ops)),
        constants=(
            constants[0].total(),
            constants[1].total(),
            (constants[0] & constants[1]).total(),
        ),
    )


def _costs(inspection: Inspection) -> dict[str, float]:
    return {
        "macs_per_pixel": inspection.file.macs_per_pixel,
        "macs_per_pixel_padded": inspection.file.macs_per_pixel_padded,
        "parameters": inspection.file.parameters,
        "bytes": len(inspection.file.content),
        "memory_peak": inspection.memory.peak,
    }


def _constants(inspection: Inspection) -> Counter[tuple[str, tuple[int, ...], bytes]]:
    found = {
        tensor.index: (tensor.dtype, tensor.shape, tensor.data.tobytes())
        for op in inspection.graph.operators
        for tensor in op.inputs
        if tensor.data is not None
    }
    return Counter(found.values())


def _changes(before: tuple[Op, ...], after: tuple[Op, ...]) -> list[OpChange]:
    """Align what is alike in all, and between that what is of a kind."""
    changes: list[OpChange] = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        names = [op.op for op in before[i:j]], [op.op for op in after[k:m]]
        for inner, a, b, c, d in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
            olds = [(n, before[n]) for n in range(i + a, i + b)]
            news = [(n, after[n]) for n in range(k + c, k + d)]
            if inner == "equal":
                pairs = zip(olds, news, strict=True)
                changes += [OpChange("changed", old, new) for old, new in pairs]
                continue
            changes += [OpChange("removed", old, None) for old in olds]
            changes += [OpChange("added", None, new) for new in news]
    return changes
