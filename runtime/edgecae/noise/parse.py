"""Read the description of a noise, the same everywhere: training, the ``test:`` source, benchmarks.

===============================  ==================================================
``gaussian:25``                  white Gaussian noise, σ 25
``gaussian:0-55``                the same, σ drawn evenly from 0 to 55 for each image
``poisson-gaussian:GAIN,READ``   variance = gain · mean + read²; each number may be a range, or
                                 ``RED/GREEN/BLUE``
``camera.toml``                  what ``edgecae noise -o`` wrote: curve and spectrum of a camera,
                                 or only ``gain = […]`` and ``read = […]``, one number a channel
``measured:…``                   the same in one line, as recipes and models have it
``camera:``                      what a camera's processing leaves of noise; parameters as in
                                 ``camera:level=2-20,jpeg=0`` (:mod:`edgecae.noise.camera.model`);
                                 with ``seed=7`` those of one camera for all pictures, and with
                                 ``drawn=…`` of one that ``edgecae noise --encoded`` found
``0.4*gaussian:0-55 + 0.6*…``    a mixture: each image gets one kind, by its share
===============================  ==================================================

σ, gain, read and level are on the 0–255 scale.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgecae.errors import NoiseError
from edgecae.noise.base import Noise
from edgecae.noise.camera import FORM, parse_camera
from edgecae.noise.measured import parse_measured
from edgecae.noise.mixture import Mixture, mixture
from edgecae.noise.poisson_gaussian import parse_gaussian, parse_poisson_gaussian

__all__ = ["parse", "short_name"]

_KINDS = {
    "gaussian": parse_gaussian,
    "poisson-gaussian": parse_poisson_gaussian,
    "camera": parse_camera,
    "measured": parse_measured,
}
_FORMS = (
    f"gaussian:SIGMA, gaussian:LOW-HIGH, poisson-gaussian:GAIN,READ, {FORM}, a TOML file, or a "
    "mixture SHARE*NOISE + SHARE*NOISE"
)
_PART = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*\*\s*(.*?)\s*", re.DOTALL)
_MEASURED = re.compile(r"measured:[A-Za-z0-9_=-]+")
_DRAWN = re.compile(r"(drawn=[A-Za-z0-9_-]{6})[A-Za-z0-9_-]+")


def _mixture(spec: str) -> Mixture:
    matches = [_PART.fullmatch(part) for part in spec.split("+")]
    parts = [(float(match[1]), match[2]) for match in matches if match]
    if len(parts) < len(matches) or len(parts) < 2:
        raise NoiseError(f"noise {spec!r} is not a mixture: use SHARE*NOISE + SHARE*NOISE")
    shares = tuple(share for share, _ in parts)
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise NoiseError(f"noise {spec!r}: the shares must be above 0 and have the sum 1")
    return mixture(tuple(parse(kind) for _, kind in parts), shares)


def parse(spec: str) -> Noise:
    """Read a noise's description (see the table at the top of this module).

    Raises:
        NoiseError: the description has none of the known forms, or a number is out of range.
    """
    if "*" in spec:
        return _mixture(spec)
    kind, separator, numbers = spec.partition(":")
    if separator and kind in _KINDS:
        try:
            return _KINDS[kind](numbers, spec)
        except NoiseError as error:
            raise NoiseError(f"{error}; use {_FORMS}") from error
    if spec.endswith(".toml"):
        from edgecae.noise.noise_file import parse_file  # measures, which parse alone does not

        return parse_file(Path(spec))
    raise NoiseError(f"noise {spec!r} is not known; use {_FORMS}")


def short_name(spec: str) -> str:
    """A description for people, without the long numbers of measured noise and drawn cameras.

    Opens no file, whatever the text says; what is no description stays as it is.
    """

    def shortened(match: re.Match[str]) -> str:
        try:
            return parse_measured("", match[0]).name
        except NoiseError:
            return match[0]

    return _DRAWN.sub(r"\1…", _MEASURED.sub(shortened, spec))
