"""What figures depend on: the machine, what else it did, and versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass

from edgecae.device import machine

__all__ = ["Conditions", "current_conditions"]

PACKAGES = (
    "edgecae",
    "ai-edge-litert",
    "tflite-runtime",
    "numpy",
    "av",
    "bm3d",
    "opencv-python-headless",
    "scikit-image",
    "tensorflow",
)


@dataclass(frozen=True)
class Conditions:
    """What figures depend on.

    Attributes:
        machine: the board or computer; None where it doesn't say.
        cpu: its name, and what it has for int8.
        cores: that this process may use.
        governors: of the CPU's frequency; empty where the kernel tells none.
        throttled: what slows the CPU down, or did since boot.
        celsius: of the hottest sensor.
        load: mean number of running processes over the last minute, before measuring; 0 on Windows.
        date: of the measurement, UTC.
        versions: of Python and the packages that may have computed.
    """

    machine: str | None
    cpu: str
    cores: int
    governors: tuple[str, ...]
    throttled: tuple[str, ...]
    celsius: float | None
    load: float
    date: str
    versions: dict[str, str]

    @property
    def warnings(self) -> list[str]:
        """What makes the times worth less, in words."""
        found = []
        if self.load > 0.3:
            found.append(f"the machine was busy: a load of {self.load:.1f} before anything began")
        if "powersave" in self.governors or "ondemand" in self.governors:
            found.append(f"the CPU's frequency was not fixed: {', '.join(self.governors)}")
        if self.throttled:
            found.append(f"the CPU was slowed down: {', '.join(self.throttled)}")
        return found

    def __str__(self) -> str:
        runtime = self.versions.get("ai-edge-litert")
        return f"{self.cpu}, {self.cores} cores" + (f", LiteRT {runtime}" if runtime else "")


def current_conditions(packages: Sequence[str] = PACKAGES) -> Conditions:
    """Read the conditions of this machine and moment.

    Args:
        packages: whose versions are read, where they are installed.
    """
    here = machine.read_this_machine()
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Conditions(
        machine=here.name,
        cpu=str(here.cpu),
        cores=here.cpu.usable,
        governors=here.cpu.governors,
        throttled=here.throttled,
        celsius=here.celsius,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        versions=versions,
    )
