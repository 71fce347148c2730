"""Whether edgecae can run on this machine, what is missing, and which model holds which rate."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecae import models, native
from edgecae.device import speeds
from edgecae.device.machine import Camera, Machine, read_this_machine
from edgecae.device.speeds import Advice, Speed
from edgecae.errors import EdgecaeError
from edgecae.tflite import interpreter, model_file

__all__ = ["DoctorReport", "Finding", "examine", "of_cameras", "of_machine", "of_software"]

MAX_THREADS = 4
"""More help little at these sizes, and a stream has other threads to run."""

HOT = 80.0
"""Degrees Celsius at which a Raspberry Pi begins to slow down."""

LITTLE_MEMORY = 256 * 2**20

WHEELS = ("x86_64", "aarch64")
"""Linux architectures that ai-edge-litert has wheels for."""

PACKAGES = (
    ("av", "video files, cameras and network streams", "pip install 'edgecae[video]'"),
    ("aiohttp", "the viewer in a browser", "pip install 'edgecae[view]'"),
    ("simplejpeg", "the viewer in a browser", "pip install 'edgecae[view]'"),
    ("msgspec", "several cameras from a file", "pip install 'edgecae[cameras]'"),
    ("prometheus_client", "figures for Prometheus", "pip install 'edgecae[metrics]'"),
    ("picamera2", "ribbon-cable cameras of a Raspberry Pi",
     "sudo apt install python3-picamera2, and a venv made with --system-site-packages"),
    ("pyvirtualcam", "a virtual camera for other programs",
     "pip install pyvirtualcam, and the kernel module v4l2loopback"),
)  # fmt: skip
"""Module, what it is for, how to get it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what.
        found: how it is.
        remedy: what to do, where something can be better.
        grade: ``ok``; ``absent``, which is fine for who does not need it; ``warning``; or
            ``fatal``: edgecae can't run.
    """

    about: str
    found: str
    remedy: str | None = None
    grade: str = "ok"


@dataclass(frozen=True)
class DoctorReport:
    """All that is to be said.

    Attributes:
        software: findings.
        machine: findings.
        cameras: findings.
        threads: that the speeds hold for.
        speeds: by model and size; empty where nothing can run.
        advice: one a size, those that no model is fit for left out.
        facts: what the machine's findings rest on.
    """

    software: tuple[Finding, ...]
    machine: tuple[Finding, ...]
    cameras: tuple[Finding, ...]
    threads: int
    speeds: tuple[Speed, ...]
    advice: tuple[Advice, ...]
    facts: Machine

    @property
    def usable(self) -> bool:
        """Whether edgecae can run."""
        findings = (*self.software, *self.machine, *self.cameras)
        return all(finding.grade != "fatal" for finding in findings)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {"usable": self.usable, **dataclasses.asdict(self)}


def of_software(
    packages: Iterable[tuple[str, str, str]] = PACKAGES, architecture: str = "x86_64"
) -> list[Finding]:
    """Look at Python, the interpreter of models and the optional packages."""
    found = [_interpreter(architecture), Finding("Python", platform.python_version())]
    found.append(Finding("numpy", np.__version__))
    return found + [_package(*package) for package in packages]


def _interpreter(architecture: str) -> Finding:
    about = "interpreter"
    try:
        runtime = interpreter.find_backend()
        model_file.read(models.find_model(models.DEFAULT))
    except EdgecaeError as error:
        remedy = "pip install ai-edge-litert"
        if architecture not in WHEELS:
            remedy = f"a 64-bit system: there are wheels for {' and '.join(WHEELS)} alone"
        elif sys.version_info >= (3, 14):
            remedy = "Python 3.11 to 3.13, and there pip install ai-edge-litert"
        return Finding(about, str(error), remedy, "fatal")
    return Finding(about, str(runtime))


def _package(module: str, purpose: str, remedy: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(module, f"not installed: {purpose}", remedy, "absent")
    try:
        with native.quiet():
            importlib.import_module(module)
    except Exception as error:  # whatever a package that does not fit the others raises
        why = f"can't be imported: {type(error).__name__}: {error}".splitlines()[0]
        return Finding(module, why, f"install it again: {remedy}", "warning")
    package = importlib.metadata.packages_distributions().get(module, [module])[0]
    try:
        return Finding(module, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Finding(module, "installed")


def of_machine(facts: Machine) -> list[Finding]:
    """Judge the machine."""
    cpu = facts.cpu
    found = [Finding("machine", facts.name)] if facts.name else []
    found.append(Finding("CPU", f"{cpu.name}, {cpu.architecture}"))
    if cpu.features:
        found.append(Finding("int8", ", ".join(cpu.features)))
    elif cpu.architecture == "aarch64":
        what = "no dot-product instructions: half as fast as on a CPU that has them, or less"
        found.append(Finding("int8", what))
    else:
        what = "no instructions that help int8 inference were found: it will be slow"
        found.append(Finding("int8", what))
    if cpu.quota is not None and cpu.quota < cpu.cores:
        found.append(
            Finding(
                "cores",
                f"{cpu.cores}, of which the control group allows {cpu.quota:g}",
                "raise CPUQuota= of the unit, or --cpus of the container",
                "warning",
            )
        )
    else:
        found.append(Finding("cores", str(cpu.cores)))
    if cpu.governors:
        slow = "powersave" in cpu.governors and not cpu.governor_is_a_hint
        remedy = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        found.append(
            Finding("governor", ", ".join(cpu.governors), *((remedy, "warning") if slow else ()))
        )
    for words in facts.throttled:
        power = "voltage" in words
        remedy = "a stronger power supply and a short cable" if power else "a heat sink or a fan"
        found.append(Finding("throttling", words, remedy, "warning"))
    if facts.celsius is not None:
        hot = ("a heat sink or a fan", "warning") if facts.celsius >= HOT else ()
        found.append(Finding("temperature", f"{facts.celsius:.0f} °C", *hot))
    if facts.memory_total is not None and facts.memory_available is not None:
        text = f"{facts.memory_available / 2**20:.0f} of {facts.memory_total / 2**20:.0f} MiB free"
        little = ("end other programs, or stream smaller frames", "warning")
        found.append(
            Finding("memory", text, *(little if facts.memory_available < LITTLE_MEMORY else ()))
        )
    return found


def of_cameras(cameras: Sequence[Camera], has_picamera2: bool, in_group: bool) -> list[Finding]:
    """Judge the cameras.

    Args:
        cameras: that the kernel knows.
        has_picamera2: whether it can be imported.
        in_group: whether this process is in the group ``video``.
    """
    if not cameras:
        remedy = "plug one in; in a container, pass it on: --device /dev/video0"
        return [Finding("cameras", "none", remedy, "absent")]
    found = []
    for camera in cameras:
        name = f"{camera.name} (ribbon cable)" if camera.csi else camera.name
        trouble = _camera_remedy(camera, has_picamera2, in_group)
        if trouble is None:
            found.append(Finding(camera.device, name))
        else:
            found.append(Finding(camera.device, f"{name}: can't be used", trouble, "warning"))
    return found


def _camera_remedy(camera: Camera, has_picamera2: bool, in_group: bool) -> str | None:
    if not camera.there:
        return f"pass it on to the container: --device {camera.device}"
    if not camera.readable and not in_group:
        return "sudo usermod -aG video $USER, then log in again"
    if not camera.readable:
        return f"let the group video read and write it: ls -l {camera.device}"
    if camera.csi and not has_picamera2:
        return f"picamera2 drives it: {_how_to_get('picamera2')}"
    return None


def _how_to_get(module: str) -> str:
    return next(remedy for name, _, remedy in PACKAGES if name == module)


def _in_group_video() -> bool:
    try:
        import grp

        return os.geteuid() == 0 or grp.getgrnam("video").gr_gid in os.getgroups()
    except (ImportError, AttributeError, KeyError):  # Windows has no groups; or there is none
        return False


def examine(
    quick: bool = False,
    threads: int | None = None,
    root: Path = Path("/"),
    measure: bool = True,
) -> DoctorReport:
    """Look at this machine, and measure the shipped models on it.

    Args:
        quick: measure the smallest size alone and scale the others by their pixels.
        threads: of the interpreter; None: the cores that are to be had, four at most.
        root: where ``proc``, ``sys`` and ``dev`` are.
        measure: whether to measure at all.
    """
    architecture = platform.machine()
    facts = read_this_machine(root)
    threads = threads or min(MAX_THREADS, facts.cpu.usable)
    software = of_software(architecture=architecture)
    measured: list[Speed] = []
    if measure and all(finding.grade != "fatal" for finding in software):
        try:
            sizes, budget = speeds.SIZES, speeds.BUDGET
            if quick:
                sizes, budget = sizes[:1], budget / 4
            measured = speeds.measure_speeds(speeds.candidates(), threads, sizes, budget)
        except EdgecaeError as error:
            remedy = "pip install --force-reinstall edgecae ai-edge-litert"
            software.insert(0, Finding("models", str(error), remedy, "fatal"))
    if quick:
        measured = [speeds.scale(speed, size) for speed in measured for size in speeds.SIZES]
    return DoctorReport(
        software=tuple(software),
        machine=tuple(of_machine(facts)),
        cameras=tuple(
            of_cameras(
                facts.cameras,
                any(f.about == "picamera2" and f.grade == "ok" for f in software),
                _in_group_video(),
            )
        ),
        threads=threads,
        speeds=tuple(measured),
        advice=tuple(speeds.advise(measured, speeds.quality())),
        facts=facts,
    )
