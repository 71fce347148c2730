"""Noise: its models, its strength in one frame, and how to measure a camera's."""

from edgecae.noise.estimation import estimate
from edgecae.noise.model import (
    Noise,
    Normals,
    fast_normals,
    gaussian,
    parse,
    standard_normals,
)

__all__ = [
    "Noise",
    "Normals",
    "estimate",
    "fast_normals",
    "gaussian",
    "parse",
    "standard_normals",
]
