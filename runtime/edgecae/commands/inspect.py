"""``edgecae inspect``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgecae import atomic
from edgecae.commands import options
from edgecae.commands.terminal import printable
from edgecae.noise.parse import short_name
from edgecae.tflite import inspect
from edgecae.tflite.macs import Op

__all__ = ["command", "render"]


def _row(name: str, value: str) -> str:
    return f"  {printable(name, one_line=True):<14} {printable(value, one_line=True)}"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _summary(inspection: inspect.Inspection) -> Iterator[str]:
    file, memory = inspection.file, inspection.memory
    shipped = f"shipped as {inspection.shipped}" if inspection.shipped else "no shipped file"
    height, width = file.frame_size
    size = "open" if inspection.graph.open_size else "fixed"
    yield click.style(printable(str(file.path), one_line=True), bold=True)
    yield _row("bytes", f"{len(file.content):,}")
    yield _row("SHA-256", f"{inspection.sha256} ({shipped})")
    yield _row("parameters", f"{file.parameters:,}")
    yield _row(
        "MACs per pixel",
        f"{file.macs_per_pixel:,.0f}; {file.macs_per_pixel_padded:,.0f} with channels padded to "
        "Arm's tiles",
    )
    counts = ", ".join(f"{count} {dtype}" for dtype, count in inspection.tensors.items())
    yield _row("tensors", f"{counts}: {'all' if inspection.integer else 'not all'} integer")
    if inspection.refused:
        yield _row("not run here", inspection.refused)
    yield _row("frame size", f"{width}x{height} stored, {size}")
    ends = [("input", inspection.frame), ("output", inspection.denoised)]
    ends += [("state", state) for state in inspection.states]
    for name, tensor in ends:
        about = f"{tensor.name}: {tensor.dtype} {_shape(tensor.shape)}"
        if tensor.scale is not None:
            about += f", scale {tensor.scale:.9g}, zero point {tensor.zero_point}"
        yield _row(name, about)
    yield _row(
        "activations",
        f"{memory.peak:,} bytes at once, {memory.total:,} in all at {memory.width}x{memory.height} "
        "(computed from tensor sizes)",
    )


def _metadata(inspection: inspect.Inspection) -> Iterator[str]:
    yield click.style("Metadata", bold=True)
    for name, value in inspection.to_dict()["metadata"].items():
        yield _row(name, _text(value))


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return short_name(text)


def _ops(inspection: inspect.Inspection, profile: inspect.Profile | None) -> Iterator[str]:
    total = sum(op.macs for op in inspection.file.ops) or 1
    height, width = inspection.file.frame_size
    timed = "" if profile is None else f"{'ms':>9}{'share':>7}"
    yield click.style(f"Operations, at {width}x{height}", bold=True)
    yield f"  {'':>3} {'op':<24}{'dtype':<8}{'output shape':<16}{'MACs':>13}{'share':>7}{timed}"
    for number, op in enumerate(inspection.file.ops):
        row = f"  {number:>3} {op.op:<24}{op.dtype:<8}{_shape(op.output_shape):<16}"
        row += f"{op.macs:>13,}{op.macs / total:>7.1%}" if op.macs else f"{'':>20}"
        time = None if profile is None else profile.ops[number]
        if profile is not None and time is not None:
            row += f"{time:>9.3f}{time / profile.sum:>7.1%}"
        yield row.rstrip()


def _profile(profile: inspect.Profile) -> Iterator[str]:
    threads = f"{profile.threads} thread{'s' * (profile.threads > 1)}"
    yield (
        f"  {profile.sum:.2f} ms for the operations one by one, {profile.model:.2f} ms for the "
        f"whole model: medians at {profile.width}x{profile.height}, {threads}, {profile.backend}."
    )
    yield "  XNNPACK may fuse operations in the whole; arithmetic on shapes is not timed."


def _target(name: str, found: tuple[inspect.Problem, ...], model: str = "") -> Iterator[str]:
    title = model + inspect.TARGETS[name].title
    refused = any(each.fatal for each in found)
    verdict = "can't take it" if refused else "can take it"
    yield click.style(f"{title}: {verdict}{', as far as its lists say' * (not refused)}", bold=True)
    for each in found:
        mark = click.style("✗", fg="red") if each.fatal else click.style("!", fg="yellow")
        yield f"  {mark} {printable(f'{each.where}: {each.reason}')}"
    for source in dict.fromkeys(each.source for each in found):
        yield f"    {source}"


def _place(given: tuple[int, Op] | None) -> str:
    if given is None:
        return ""
    number, op = given
    return f"{number:>3} {op.op} {op.dtype} {_shape(op.output_shape)} {op.macs:,} MACs"


def _difference(found: inspect.Difference) -> Iterator[str]:
    yield click.style("Differences", bold=True)
    for name, (old, new) in found.cost.items():
        same = "the same" if old == new else f"{new / old - 1:+.1%}" if old else ""
        yield _row(name, f"{old:,.0f} → {new:,.0f} ({same})")
    one, two, equal = found.constants
    yield _row("constants", f"{one} → {two}, {equal} of them equal")
    yield from (
        _row(name, f"{_text(old)} → {_text(new)}") for name, (old, new) in found.metadata.items()
    )
    yield click.style(f"Operations that differ: {len(found.ops) or 'none'}", bold=True)
    for each in found.ops:
        if each.before is not None:
            yield f"  {'-' if each.after is None else '<'} {_place(each.before)}"
        if each.after is not None:
            yield f"  {'+' if each.before is None else '>'} {_place(each.after)}"


def render(inspection: inspect.Inspection, profile: inspect.Profile | None = None) -> str:
    """What is known of one model, for people."""
    parts = [*_summary(inspection), "", *_metadata(inspection), "", *_ops(inspection, profile)]
    return "\n".join(parts if profile is None else [*parts, *_profile(profile)])


@click.command()
@click.argument("model", shell_complete=options.complete_model)
@click.argument("other", required=False, shell_complete=options.complete_model)
@click.option(
    "--size",
    metavar="WxH",
    callback=options.size,
    help="Frame size for memory and times.  [default: 640x480]",
)
@click.option("--profile", "profiled", is_flag=True, help="Time each operation by itself.")
@options.threads
@click.option(
    "--target",
    type=click.Choice(list(inspect.TARGETS)),
    help="Name what TFLite Micro, or the compiler of the Edge TPU, can't take.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a picture of MODEL's graph, SVG.",
)
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: str,
    other: str | None,
    size: tuple[int, int] | None,
    profiled: bool,
    threads: int,
    target: str | None,
    picture: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Look into MODEL, a shipped name or a file; with OTHER, say what differs.

    Files for comparison and for other runtimes, which edgecae doesn't stream, are fine too. The
    exit status is 0 whatever --target says.
    """
    if picture is not None:
        atomic.check(picture, overwrite)
    inspection = inspect.inspect(model, size)
    profile = inspect.profile(inspection, threads) if profiled else None
    about, text = inspection.to_dict(), [render(inspection, profile)]
    models = [(inspection, about)]
    if profile is not None:
        about["profile"] = profile.to_dict()
    if other is not None:
        second = inspect.inspect(other, size)
        difference = inspect.compare_models(inspection, second)
        about |= {"other": second.to_dict(), "difference": difference.to_dict()}
        models.append((second, about["other"]))
        text = [*_summary(inspection), "", *_summary(second), "", *_difference(difference)]
        if profile is not None:
            after = inspect.profile(second, threads)
            about["other"]["profile"] = after.to_dict()
            text.append(_row("whole model", f"{profile.model:.2f} → {after.model:.2f} ms"))
    if target is not None:
        for each, into in models:
            found = inspect.problems(each.graph, target)
            into["target"] = {"name": target, "problems": [vars(problem) for problem in found]}
            which = f"{each.file.path.name}, " if len(models) > 1 else ""
            text += ["", *_target(target, found, which)]
    if picture is not None:
        atomic.write_text(picture, inspect.draw(inspection), overwrite)
    click.echo(json.dumps(about, indent=2) if as_json else "\n".join(text))
