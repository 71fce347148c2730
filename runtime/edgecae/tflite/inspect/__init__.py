"""A look into a model file: what it is made of, what it costs, where it can run.

Everything here reads files that ``edgecae.tflite.verify`` has let pass, int8 and float32 alike.
"""

from __future__ import annotations

from edgecae.tflite.inspect.comparison import Difference, OpChange, compare
from edgecae.tflite.inspect.drawing import draw
from edgecae.tflite.inspect.profiling import Profile, profile
from edgecae.tflite.inspect.report import DEFAULT_SIZE, Memory, Report, Tensor, inspect
from edgecae.tflite.inspect.targets import TARGETS, Problem, Target, problems

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
