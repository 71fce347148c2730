"""Noise: its models, its strength in one frame, and how to measure a camera's."""

from edgecae.noise.base import Noise
from edgecae.noise.estimation import estimate
from edgecae.noise.measured import MeasuredNoise
from edgecae.noise.mixture import Mixture
from edgecae.noise.normals import Normals, fast_normals, standard_normals
from edgecae.noise.parse import parse
from edgecae.noise.poisson_gaussian import PoissonGaussian, gaussian

__all__ = [
    "MeasuredNoise",
    "Mixture",
    "Noise",
    "Normals",
    "PoissonGaussian",
    "estimate",
    "fast_normals",
    "gaussian",
    "parse",
    "standard_normals",
]
