"""A model's graph as an SVG picture: operations top to bottom, a column for each resolution."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from edgecae.tflite.graph import Tensor
from edgecae.tflite.inspect.inspection import Inspection

__all__ = ["draw"]

BOX = 190, 34
"""Width and height of an operation, in the picture's units."""

GAP = 14
"""Between operations, from top to bottom."""

INDENT = 120
"""From a resolution to half of it."""

MARGIN = 20

STYLE = """
svg { background: #fff; font: 11px sans-serif; }
rect { fill: #eef2f6; stroke: #8a99a8; }
rect.macs { fill: #f2b880; stroke: none; }
path { fill: none; stroke: #5b6b7b; stroke-width: 1.3; }
path.skip { stroke: #3b7fb8; stroke-dasharray: 4 3; }
.small { font-size: 9px; fill: #44505c; }
@media (prefers-color-scheme: dark) {
  svg { background: #14181c; fill: #e6eaee; }
  rect { fill: #24303a; stroke: #6b7b8b; }
  rect.macs { fill: #8a5a24; }
  path { stroke: #9aa9b8; }
  .small { fill: #b6c1cc; }
}
"""


def draw(inspection: Inspection) -> str:
    """Draw what becomes of a frame.

    Each operation is a box with its output's shape at the stored frame size; the bar along its
    bottom is its share of the multiply-accumulates. Boxes move to the right where the resolution
    falls. Solid lines lead to the next operation, dashed ones past others. Constants and the
    arithmetic on shapes are left out.

    Returns:
        SVG, which browsers show and scale; it adapts to a dark page.
    """
    steps = [
        (op, about)
        for op, about in zip(inspection.graph.operators, inspection.file.ops, strict=True)
        if len(op.output.shape) == 4 and op.output.dtype != "int32"
    ]
    inputs = inspection.graph.inputs
    tensors = [*inputs, *(op.output for op, _ in steps)]
    places = {tensor.index: number for number, tensor in enumerate(tensors)}
    columns = _columns(tensors)
    width = max(columns) * INDENT + BOX[0] + 2 * MARGIN
    height = len(tensors) * (BOX[1] + GAP) - GAP + 2 * MARGIN
    svg = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
        },
    )
    ElementTree.SubElement(svg, "title").text = f"Graph of {inspection.file.metadata.name}"
    ElementTree.SubElement(svg, "style").text = STYLE
    corners = [(MARGIN + c * INDENT, MARGIN + n * (BOX[1] + GAP)) for n, c in enumerate(columns)]
    for number, (op, _) in enumerate(steps, len(inputs)):
        for tensor in op.inputs:
            if tensor.index in places:
                _line(svg, corners, places[tensor.index], number)
    total = sum(op.macs for op in inspection.file.ops) or 1
    for corner, tensor in zip(corners, inputs, strict=False):
        _box(svg, corner, tensor.name, tensor, 0.0)
    for number, (op, about) in enumerate(steps, len(inputs)):
        _box(svg, corners[number], op.name, op.output, about.macs / total)
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _columns(tensors: Sequence[Tensor]) -> list[int]:
    """How often the height of each was halved, about; of a decoder, counted from its result."""
    tallest = max(tensor.shape[1] for tensor in tensors)
    return [max(0, (tallest // max(1, tensor.shape[1])).bit_length() - 1) for tensor in tensors]


def _line(
    svg: ElementTree.Element, corners: Sequence[tuple[int, int]], start: int, end: int
) -> None:
    """A line from the box that makes a tensor to one that reads it."""
    (x1, y1), (x2, y2) = corners[start], corners[end]
    if end == start + 1:
        middle = BOX[0] / 2
        path = f"M{x1 + middle:g} {y1 + BOX[1]} L{x2 + middle:g} {y2}"
        ElementTree.SubElement(svg, "path", {"d": path})
        return
    y1, y2 = y1 + BOX[1] // 2, y2 + BOX[1] // 2
    out = min(x1, x2) - min(16, 4 + end - start)
    path = f"M{x1} {y1} C{out} {y1} {out} {y1} {out} {y1 + 12}"
    path += f" L{out} {y2 - 12} C{out} {y2} {out} {y2} {x2} {y2}"
    ElementTree.SubElement(svg, "path", {"d": path, "class": "skip"})


def _box(
    svg: ElementTree.Element, corner: tuple[int, int], name: str, tensor: Tensor, share: float
) -> None:
    """An operation, with the share of all multiply-accumulates that it takes."""
    x, y = corner
    width, height = BOX
    box = {"x": str(x), "y": str(y), "width": str(width), "height": str(height), "rx": "4"}
    ElementTree.SubElement(svg, "rect", {**box, "class": "op"})
    if share:
        bar = {"x": str(x + 1), "y": str(y + height - 5), "height": "4", "class": "macs"}
        ElementTree.SubElement(svg, "rect", {**bar, "width": f"{max(1, share * (width - 2)):.1f}"})
    ElementTree.SubElement(svg, "text", {"x": str(x + 8), "y": str(y + 13)}).text = name
    shape = f"{'×'.join(map(str, tensor.shape[1:]))} {tensor.dtype}"
    if share:
        shape += f", {share:.1%} of MACs"
    small = {"x": str(x + 8), "y": str(y + 25), "class": "small"}
    ElementTree.SubElement(svg, "text", small).text = shape
