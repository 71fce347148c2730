"""A look into a model file: what it is made of, what it costs, where it can run.

What edgecae runs, int8 and float32 alike, is described at any frame size and timed. What it made
for other runtimes is described as it is stored, and says why it isn't run.
"""

from __future__ import annotations

from edgecae.tflite.inspect.comparison import Difference, OpChange, compare_models
from edgecae.tflite.inspect.drawing import draw
from edgecae.tflite.inspect.inspection import (
    DEFAULT_SIZE,
    End,
    Inspection,
    Memory,
    inspect,
    inspect_file,
)
from edgecae.tflite.inspect.profiling import Profile, profile
from edgecae.tflite.inspect.targets import TARGETS, Problem, Target, problems

__all__ = [
    "DEFAULT_SIZE",
    "TARGETS",
    "Difference",
    "End",
    "Inspection",
    "Memory",
    "OpChange",
    "Problem",
    "Profile",
    "Target",
    "compare_models",
    "draw",
    "inspect",
    "inspect_file",
    "problems",
    "profile",
]
