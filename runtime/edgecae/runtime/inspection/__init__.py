"""A look into a model file: what it is made of, what it costs, where it can run.

Everything here reads files that ``edgecae.runtime.verify`` has let pass, int8 and float32 alike.
"""

from __future__ import annotations

from edgecae.runtime.inspection.comparison import Difference, OpChange, compare
from edgecae.runtime.inspection.drawing import draw
from edgecae.runtime.inspection.profiling import Profile, profile
from edgecae.runtime.inspection.report import DEFAULT_SIZE, Memory, Report, Tensor, inspect
from edgecae.runtime.inspection.targets import TARGETS, Problem, Target, problems

__all__ = [
    "DEFAULT_SIZE",
    "TARGETS",
    "Difference",
    "Memory",
    "OpChange",
    "Problem",
    "Profile",
    "Report",
    "Target",
    "Tensor",
    "compare",
    "draw",
    "inspect",
    "problems",
    "profile",
]
