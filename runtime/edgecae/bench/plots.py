"""The plots of the report: what a method costs and gives, and PSNR over time (extra ``report``)."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Point", "draw_curves", "pareto_front", "pareto_plot", "time_plot"]

LINE_HEIGHT = 0.045
"""Height of a line of text, as a share of the plot's height."""

LETTER_WIDTH = 0.0125
"""Width of a letter, as a share of the plot's width."""

PLOT_HEIGHT = 290
"""Height of the plot, points."""

_COLOURS = {True: "#c0392b", False: "#2c3e50"}


@dataclass(frozen=True)
class Point:
    """A method in a plot.

    Attributes:
        name: of the method.
        cost: milliseconds or multiply-accumulates, more than 0.
        psnr: dB.
        ours: whether it is one of edgecae's models.
    """

    name: str
    cost: float
    psnr: float
    ours: bool


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the Pareto front: points that no other beats in both, the cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.psnr)):
        if not best or point.psnr > best[-1].psnr:
            best.append(point)
    return best


def pareto_plot(points: Sequence[Point], cost: str, floor: float | None = None) -> str:
    """Draw PSNR over cost, which has a logarithmic scale.

    Args:
        points: one a method, at least one.
        cost: label of the axis.
        floor: PSNR of the noisy image, drawn as a line.

    Returns:
        SVG, without a document's head.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlabel(cost)
    axes.set_ylabel("PSNR, dB")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    best = pareto_front(points)
    axes.plot([p.cost for p in best], [p.psnr for p in best], color="0.6", lw=1, zorder=1)
    for ours, marker in ((True, "o"), (False, "s")):
        of_kind = [p for p in points if p.ours == ours]
        costs, values = [p.cost for p in of_kind], [p.psnr for p in of_kind]
        axes.scatter(costs, values, c=_COLOURS[ours], marker=marker, s=34, zorder=2)
    low, high = min(p.psnr for p in points), max(p.psnr for p in points)
    if floor is not None:
        axes.axhline(floor, color="0.5", ls=":", lw=1)
        axes.annotate("noisy", (1, floor), xycoords=("axes fraction", "data"), xytext=(-4, 3),
                      textcoords="offset points", ha="right", color="0.4", size=8)  # fmt: skip
        low = min(low, floor)
    span = max(high - low, 0.5) * 1.2
    axes.set_ylim(low - 0.07 * span, low + 0.97 * span)
    costs = [p.cost for p in points]
    left, right = min(costs), max(costs)
    decades = math.log10(right / left) + 0.3
    axes.set_xlim(left / 10 ** (0.14 * decades), right * 10 ** (0.24 * decades))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.xaxis.set_minor_formatter("{x:g}" if decades < 2.5 else "")
    places = [(math.log10(p.cost) / (1.38 * decades), (p.psnr - low) / span) for p in points]
    labels = _labels(places, [point.name for point in points])
    for point, (left_of, up) in zip(points, labels, strict=True):
        axes.annotate(
            point.name, (point.cost, point.psnr), size=8, va="center", zorder=3,
            xytext=(-7 if left_of else 7, up * PLOT_HEIGHT), textcoords="offset points",
            ha="right" if left_of else "left", color=_COLOURS[point.ours],
        )  # fmt: skip
    return _svg(figure)


def _svg(figure: Any) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edgecae"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def draw_curves(axes: Any, curves: Mapping[str, Sequence[float | None]]) -> None:
    """Draw PSNR over the number of the frame, with a legend in the order of the last frames.

    Args:
        axes: of matplotlib.
        curves: by method, dB, one a frame from the first one on; None leaves a gap.
    """
    for number, (name, values) in enumerate(curves.items()):
        heights = [math.nan if value is None else value for value in values]
        axes.plot(
            range(1, len(heights) + 1), heights, label=name, lw=1.3,
            color=f"C{number % 10}", ls=("-", "--", ":")[number // 10 % 3],
        )  # fmt: skip
    axes.set(xlabel="frame", ylabel="PSNR, dB")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    lines = sorted(axes.lines, key=lambda line: -(line.get_ydata()[-1]))
    axes.legend(
        handles=lines, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
    )


def time_plot(curves: Mapping[str, Sequence[float | None]]) -> str:
    """Draw PSNR over time.

    Args:
        curves: as :func:`draw_curves` takes them, at least one.

    Returns:
        SVG, without a document's head.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    draw_curves(figure.add_subplot(), curves)
    return _svg(figure)


def _labels(
    places: Sequence[tuple[float, float]], names: Sequence[str]
) -> list[tuple[bool, float]]:
    """Where to write names: the first place near its point that nothing else has taken.

    Args:
        places: of the points, in shares of the plot's width and height.
        names: likewise.

    Returns:
        Whether it stands left of its point, and how far above it, in shares of the height.
    """
    taken = [(x - 0.01, x + 0.01, y) for x, y in places]
    found: list[tuple[bool, float]] = []
    ways = [(left, LINE_HEIGHT * up) for up in (0, 0.8, -0.8, 1.6, -1.6) for left in (False, True)]
    for (x, y), name in zip(places, names, strict=True):
        wide = LETTER_WIDTH * len(name)
        boxes = [
            (x - 0.015 - wide if left else x + 0.015, x - 0.015 if left else x + 0.015 + wide, up)
            for left, up in ways
        ]
        free = [
            index
            for index, (start, end, up) in enumerate(boxes)
            if not any(
                a < end and start < b and abs(y + up - at) < 0.8 * LINE_HEIGHT for a, b, at in taken
            )
        ]
        chosen = free[0] if free else 0
        start, end, up = boxes[chosen]
        taken.append((start, end, y + up))
        found.append(ways[chosen])
    return found
