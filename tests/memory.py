"""How much memory a process took, told by itself."""

from __future__ import annotations

__all__ = ["PEAK"]

PEAK = r"""
import pathlib, re

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""
"""Code for ``python -c`` that defines ``peak()``: the most so far, resident, in kB.

Not getrusage, which counts what the parent had when it began: beside a large pytest, nothing grows.
"""
