"""A picture of measured noise: σ over brightness, and the spectrum."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from edgecae import atomic
from edgecae.errors import SettingError
from edgecae.noise.measure import Measurement
from edgecae.noise.spectrum import FREQUENCIES

__all__ = ["require_plot", "write_plot"]

_COLOURS = ("tab:red", "tab:green", "tab:blue")


def require_plot(path: Path, overwrite: bool = False) -> None:
    """See whether :func:`write_plot` would write, before the time is spent to measure.

    Raises:
        SettingError: matplotlib is not installed.
        SinkError: the file has another suffix than ``.png``, is there already, or has no folder.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise SettingError("--plot needs matplotlib: pip install 'edgecae[report]'") from error
    if path.suffix != ".png":
        raise SettingError(f"{path}: a picture of the noise ends in .png")
    atomic.check(path, overwrite)


def write_plot(path: Path, measured: Measurement, title: str, overwrite: bool = False) -> None:
    """Draw curve and spectrum, and write them as PNG, whole or not at all.

    Args:
        path: ends in ``.png``.
        measured: what to draw. The bands around the curves are two standard errors wide on each
            side.
        title: of the picture.
        overwrite: replace a file that is there.

    Raises:
        SettingError: matplotlib is not installed.
        SinkError: the file is there already, or can't be written.
    """
    require_plot(path, overwrite)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    every = np.linspace(0, 255, 256)
    names = ("red", "green", "blue")
    lines = zip(names, _COLOURS, measured.curves, measured.gain, measured.read, strict=True)
    for name, colour, curve, gain, read in lines:
        level, sigma, error = (np.array(each) for each in vars(curve).values())
        left.plot(every, curve.at(every, gain, read), color=colour, linewidth=0.8, linestyle=":")
        left.plot(level, sigma, color=colour, label=name, marker=".", markersize=4)
        left.fill_between(
            level, sigma * (1 - 2 * error), sigma * (1 + 2 * error), color=colour, alpha=0.15
        )
    left.set(xlabel="brightness, 0–255", ylabel="σ, 0–255 scale", xlim=(0, 255))
    left.set_ylim(bottom=0)
    left.set_title("σ over brightness (dotted: beyond what was measured)", fontsize=10)
    left.legend(frameon=False)
    luma, *chroma = measured.spectrum.power
    for each, colour, name in ((luma, "black", "luma"), (sum(chroma) / 2, "tab:purple", "chroma")):
        right.semilogy(FREQUENCIES, each[0], color=colour, label=f"{name}, along rows")
        right.semilogy(
            FREQUENCIES, each[:, 0], color=colour, linestyle="--", label=f"{name}, along columns"
        )
        right.semilogy(
            FREQUENCIES, np.diag(each), color=colour, linestyle=":", label=f"{name}, diagonal"
        )
    right.set(xlabel="cycles per pixel", ylabel="density (white noise: a level line)")
    right.set_title(f"spectrum, sure to {100 * measured.spectrum_error:.0f} %", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    printable = "".join(letter if letter.isprintable() else "?" for letter in title)
    figure.suptitle(printable.replace("$", r"\$"), fontsize=11)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    atomic.write_bytes(path, content.getvalue(), overwrite)
