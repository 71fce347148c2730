"""Noise files: TOML with what was measured of a camera."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import atomic
from edgecae.errors import NoiseError, SinkError
from edgecae.noise.base import Noise
from edgecae.noise.camera import CameraNoise, parse_camera
from edgecae.noise.curve import Curve
from edgecae.noise.encoded import LikeCamera
from edgecae.noise.measure import Measurement
from edgecae.noise.measured import LEVELS, measured_noise
from edgecae.noise.mixture import mixture
from edgecae.noise.numbers import MAX_LEVEL
from edgecae.noise.poisson_gaussian import of_channels
from edgecae.noise.spectrum import FREQUENCIES, PAIRS, PLANES, Spectrum
from edgecae.noise.tone import MAX_GAMMA

__all__ = ["parse_file", "read_warnings", "require_writable", "write_noise_file"]

_CHANNELS = ("red", "green", "blue")
_MAX_DENSITY = 1000.0

ENCODED_SHARE = 0.8
"""Of the noise of a file with cameras: a denoiser sees still scenes as well, but moving ones are
where video keeps its noise."""


def require_writable(path: Path, overwrite: bool = False) -> None:
    """See whether :func:`write_noise_file` would write, before the time is spent to measure.

    Raises:
        SinkError: it has another suffix than ``.toml``, or is there already.
    """
    if path.suffix != ".toml":
        raise SinkError(f"{path}: a noise file ends in .toml")
    if path.exists() and not overwrite:
        raise SinkError(f"{path} exists; --overwrite replaces it")


def write_noise_file(
    path: Path,
    measured: Measurement,
    source: str,
    overwrite: bool = False,
    cameras: Sequence[LikeCamera] = (),
) -> None:
    """Write a file that :func:`edgecae.noise.parse` reads, whole or not at all.

    Args:
        path: ends in ``.toml``.
        measured: what to write.
        source: where the frames came from, for people.
        overwrite: replace a file that is there.
        cameras: whose video looks like the frames.

    Raises:
        SinkError: it is there already, has another suffix, or can't be written.
    """
    require_writable(path, overwrite)
    numbers = measured.to_dict()
    shown = "".join(letter if letter.isprintable() else "?" for letter in source)
    lines = [
        f"# Noise of {shown}: {measured.method}, frames used: {measured.frames}.",
        "# The best line: variance = gain · mean + read², red, green, blue, 0–255 scale.",
        f"gain = {numbers['gain']}",
        f"read = {numbers['read']}",
    ]
    for name in _CHANNELS:
        lines += ["", f"[curve.{name}]"]
        if name == "red":
            lines.append("# σ over brightness, 0–255 scale; error: relative, one standard error.")
        lines += [f"{key} = {values}" for key, values in numbers["curve"][name].items()]
    lines += [
        "",
        "[tone]",
        "# Noise is added to light, and display = light^(1/gamma): the mean of frames is off by",
        "# what that shifts. 1: noise is added to display values.",
        f"gamma = {numbers['tone']['gamma']}",
        "",
        "[spectrum]",
        "# Densities of luma and chroma, 1 for white noise of variance 1; rows are vertical",
        "# frequencies, columns horizontal ones, in cycles per pixel. luma_cb, luma_cr and cb_cr:",
        "# coherence, −1 to 1.",
        f"frequency = {numbers['spectrum'].pop('frequency')}",
        f"error = {numbers['spectrum_error']}",
    ]
    for key, rows in numbers["spectrum"].items():
        lines += [f"{key} = [", *(f"  {row}," for row in rows), "]"]
    lines += [
        "",
        "[correlation]",
        "# Of red, green and blue in one pixel; of neighbouring pixels; of the next frames.",
        f"channels = {numbers['channels']}",
        f"neighbours = {numbers['correlation']}",
        f"time = {numbers['time']}",
        "",
        "[found]",
        "# Shares: noise that rows have in common; blocks that were left out because something",
        "# moves; blocks that lost their noise; pixels at black or white. Hot pixels per million.",
    ]
    lines += [f"{key} = {numbers[key]}" for key in ("rows", "moving", "eaten", "clipped", "hot")]
    lines.append(f"warnings = {json.dumps(numbers['warnings'], ensure_ascii=False)}")
    if cameras:
        lines += [
            "",
            "[encoded]",
            "# Cameras whose video looks like these frames, and how unalike it is. Four fifths",
            "# of the noise that this file stands for is theirs, encoded again; the rest is that",
            "# above.",
            "cameras = [",
            *(f'  "{camera.spec}",' for camera in cameras),
            "]",
            f"distance = {[round(camera.distance, 3) for camera in cameras]}",
        ]
    atomic.write_text(path, "\n".join(lines) + "\n", overwrite)


def parse_file(path: Path) -> Noise:
    """Read a file that ``edgecae noise`` wrote, of this version or an earlier one.

    Without curve and spectrum, it is white noise with ``gain`` and ``read``.

    Raises:
        NoiseError: it is missing, no TOML, or a number is missing or out of range.
    """
    values = _read(path)
    lines = []
    for key in ("gain", "read"):
        numbers = _numbers(values.get(key), (3,), 0, MAX_LEVEL)
        if numbers is None:
            raise NoiseError(f"noise file {path}: {key} must be three numbers from 0 to 255")
        lines.append(numbers)
    if "curve" not in values and "spectrum" not in values:
        return of_channels(*(tuple(float(each) for each in line) for line in lines))
    sigma = np.stack(
        [
            _curve(path, values, name).at(np.array(LEVELS), float(gain), float(read))
            for name, gain, read in zip(_CHANNELS, *lines, strict=True)
        ]
    )
    measured = measured_noise(sigma, _spectrum(path, values), _gamma(path, values))
    cameras = _cameras(path, values)
    if not cameras:
        return measured
    share = ENCODED_SHARE / len(cameras)
    shares = (round(1 - ENCODED_SHARE, 6), *(share for _ in cameras))
    return mixture((measured, *cameras), shares)


def read_warnings(path: Path) -> tuple[str, ...]:
    """What :func:`write_noise_file` was told to know before the numbers are used.

    Raises:
        NoiseError: the file is missing or no TOML.
    """
    found = _read(path).get("found")
    warnings = found.get("warnings") if isinstance(found, dict) else None
    return tuple(str(each) for each in warnings) if isinstance(warnings, list) else ()


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NoiseError(f"noise file {path}: {error}") from error


def _gamma(path: Path, values: dict[str, Any]) -> float:
    table = values.get("tone")
    if table is None:  # of an earlier version
        return 1.0
    gamma = _numbers([table.get("gamma")] if isinstance(table, dict) else None, (1,), 1, MAX_GAMMA)
    if gamma is None:
        raise NoiseError(f"noise file {path}: tone.gamma must be a number from 1 to {MAX_GAMMA:g}")
    return float(gamma[0])


def _cameras(path: Path, values: dict[str, Any]) -> list[CameraNoise]:
    """Cameras whose video looks like the frames; none in most files."""
    table = values.get("encoded")
    if table is None:
        return []
    specs = table.get("cameras") if isinstance(table, dict) else None
    if not isinstance(specs, list) or not specs:
        raise NoiseError(f"noise file {path}: encoded.cameras must be a list of descriptions")
    found = []
    for spec in specs:
        kind, _, settings = str(spec).partition(":")
        if kind != "camera":
            raise NoiseError(f"noise file {path}: {str(spec)[:40]!r} does not begin with camera:")
        try:
            found.append(parse_camera(settings, str(spec)))
        except NoiseError as error:
            raise NoiseError(f"noise file {path}: {error}") from error
    return found


def _numbers(
    value: Any, shape: tuple[int, ...], low: float, high: float
) -> NDArray[np.float64] | None:
    """An array of a shape with numbers in a range, or None; a length −1 is any from 1 on."""
    if not isinstance(value, list):
        return None
    flat: Iterable[Any] = value
    if len(shape) == 2:
        if not all(isinstance(row, list) for row in value):
            return None
        flat = [each for row in value for each in row]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in flat):
        return None
    try:
        array = np.array(value, np.float64)
    except (ValueError, OverflowError):
        return None
    fits = array.ndim == len(shape) and array.size > 0
    fits = fits and all(want in (-1, is_) for want, is_ in zip(shape, array.shape, strict=True))
    return array if fits and bool(((array >= low) & (array <= high)).all()) else None


def _curve(path: Path, values: dict[str, Any], name: str) -> Curve:
    table = values.get("curve")
    points = table.get(name) if isinstance(table, dict) else None
    points = points if isinstance(points, dict) else {}
    level = _numbers(points.get("level"), (-1,), 0, MAX_LEVEL)
    sigma = None
    if level is not None:
        sigma = _numbers(points.get("sigma"), level.shape, 0, MAX_LEVEL)
    if level is None or sigma is None or (np.diff(level) < 0).any():
        raise NoiseError(
            f"noise file {path}: curve.{name} needs level, numbers from 0 to 255 that rise, and "
            "sigma, as many numbers from 0 to 255"
        )
    return Curve(tuple(level), tuple(sigma), (0.0,) * len(level))


def _spectrum(path: Path, values: dict[str, Any]) -> Spectrum:
    table = values.get("spectrum")
    table = table if isinstance(table, dict) else {}
    side = len(FREQUENCIES)
    if table.get("frequency") != list(FREQUENCIES):
        raise NoiseError(f"noise file {path}: spectrum.frequency must be {list(FREQUENCIES)}")
    wanted = [(name, 0.0, _MAX_DENSITY) for name in PLANES]
    wanted += [(f"{PLANES[i]}_{PLANES[j]}", -1.0, 1.0) for i, j in PAIRS]
    maps = []
    for name, low, high in wanted:
        found = _numbers(table.get(name), (side, side), low, high)
        if found is None:
            raise NoiseError(
                f"noise file {path}: spectrum.{name} must be {side} rows of {side} numbers from "
                f"{low:g} to {high:g}"
            )
        maps.append(found)
    return Spectrum(np.stack(maps[:3]), np.stack(maps[3:]))
