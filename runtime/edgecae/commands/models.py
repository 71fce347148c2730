"""``edgecae models``."""

from __future__ import annotations

import json
from typing import Any

import click

from edgecae import models
from edgecae.commands import terminal
from edgecae.tflite import model_file

__all__ = ["command", "describe"]

SHOWN_SET, SHOWN_SIGMAS = "kodak24", ("5", "15", "25", "50")


def describe(name: str) -> dict[str, Any]:
    """Cost and figures of a shipped model.

    Returns:
        ``name``, ``macs_per_pixel``, ``macs_per_pixel_padded``, ``parameters``, ``bytes``,
        ``sha256`` (of the file), ``noise`` (what it was trained for), ``milliseconds`` (of a
        640×480 frame, by threads), ``psnr`` (dB of the int8 file in the 8-bit protocol, by set and
        σ) and ``psnr_float`` (of the float network, noise neither rounded nor clipped).

    Raises:
        ModelFileError: the file is not the one that was shipped.
    """
    file = model_file.read(models.find_model(name))
    measured = models.figures()
    return {
        "name": name,
        "macs_per_pixel": file.macs_per_pixel,
        "macs_per_pixel_padded": file.macs_per_pixel_padded,
        "parameters": file.parameters,
        "bytes": len(file.content),
        "sha256": models.sha256(name),
        "noise": file.metadata.noise,
        "milliseconds": measured["milliseconds"].get(name, {}),
        "psnr": _of(name, measured["psnr"]["8-bit"]),
        "psnr_float": _of(name, measured["psnr"]["float"]),
    }


def _of(name: str, psnr: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {set_: methods[name] for set_, methods in psnr.items() if name in methods}


def _row(about: dict[str, Any]) -> str:
    quality = about["psnr"].get(SHOWN_SET, {})
    shown = " ".join(f"{quality[s]:6.2f}" if s in quality else "     -" for s in SHOWN_SIGMAS)
    time = about["milliseconds"].get("1")
    default = " (default)" if about["name"] == models.DEFAULT else ""
    return (
        f"{about['name'] + default:<16}{about['macs_per_pixel'] / 1000:>8.2f}"
        f"{about['macs_per_pixel_padded'] / 1000:>8.2f}{about['bytes'] / 1000:>8.0f}"
        f"{'-' if time is None else format(time, '.1f'):>8}  {shown}"
    )


def _sets(psnr: dict[str, dict[str, float]]) -> list[str]:
    lines = []
    for set_, quality in psnr.items():
        values = "  ".join(f"σ {sigma}: {value:.2f}" for sigma, value in quality.items())
        lines.append(f"{set_:<10}{values}")
    return lines


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, PSNR by set and σ included.")
@click.option(
    "--photos",
    is_flag=True,
    help="Print the photos that models learned from, or were chosen by: whom to credit.",
)
def command(name: str | None, as_json: bool, photos: bool) -> None:
    """List the shipped models, or show the card of the model NAME."""
    if photos:
        terminal.echo(models.photo_credits().rstrip())
        return
    if name is not None:
        text = models.card(name)
        about = describe(name)
        if as_json:
            print(json.dumps({**about, "card": text}, indent=2))
            return
        print(text.rstrip(), "", sep="\n")
        print(
            f"{about['macs_per_pixel'] / 1000:.2f} kMAC per pixel "
            f"({about['macs_per_pixel_padded'] / 1000:.2f} padded), "
            f"{about['parameters']:,} parameters, {about['bytes']:,} bytes"
        )
        if about["psnr"]:
            print("PSNR in dB of the int8 file, 8-bit noise:", *_sets(about["psnr"]), sep="\n  ")
            kind = "noise neither rounded nor clipped"
            print(f"and of the float network, {kind}:", *_sets(about["psnr_float"]), sep="\n  ")
        return
    every = [describe(each) for each in models.names()]
    if as_json:
        print(json.dumps(every, indent=2))
        return
    header = " ".join(f"{'σ ' + s:>6}" for s in SHOWN_SIGMAS)
    print(f"{'name':<16}{'kMAC':>8}{'padded':>8}{'kB':>8}{'ms':>8}  {header}")
    for about in every:
        print(_row(about))
    cpu = models.figures()["made_with"].get("cpu", "an unknown CPU")
    terminal.echo(
        f"kMAC per pixel; ms for 640x480 on one thread of {cpu}; PSNR in dB on Kodak24. "
        "edgecae models NAME says more.",
        err=True,
    )
