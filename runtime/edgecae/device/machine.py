"""What Linux says of the machine: its CPU, how much of it is to be had, heat, memory, cameras.

Every function reads files below a root, so that tests bring a tree of their own. Other systems
lack these files: what they would tell is then unknown.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Camera", "Cpu", "Machine", "available_cores", "read_machine", "read_this_machine"]

INT8_FEATURES = (
    "amx_int8", "avx512_vnni", "avx_vnni", "avx2",  # x86
    "i8mm", "asimddp",  # Arm: matrix products, dot products (SDOT)
)  # fmt: skip
"""CPU features, as /proc/cpuinfo names them, that XNNPACK has int8 kernels for, the best first."""

ARM = "0x41"
ARM_PARTS = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse N1", "0xd0d": "Cortex-A77", "0xd40": "Neoverse V1", "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710",
    "0xd49": "Neoverse N2", "0xd4d": "Cortex-A715", "0xd80": "Cortex-A520", "0xd81": "Cortex-A720",
}  # fmt: skip
"""Part numbers of Arm's cores, whose name cpuinfo leaves out (lscpu has the same table)."""

THROTTLED = {
    0: "undervoltage now", 1: "frequency capped now", 2: "throttled now", 3: "soft heat limit now",
    16: "undervoltage since boot", 17: "frequency capped since boot", 18: "throttled since boot",
    19: "soft heat limit since boot",
}  # fmt: skip
"""Bits of the Raspberry Pi's firmware, as its documentation of vcgencmd lists them."""

_FIRMWARE = ("sys/devices/platform/soc*/soc*firmware/get_throttled",
             "sys/devices/platform/*firmware/get_throttled")  # fmt: skip

_NO_CAMERA = re.compile(
    r"bcm2835-(codec|isp)|rpi-hevc|rpivid|pispbe|rkvdec|rkisp|rockchip-rga|hantro|cedrus"
)
"""Codecs and image processors of common boards, as their drivers name them."""
_CSI = re.compile(r"unicam|rp1-cfe")


@dataclass(frozen=True)
class Cpu:
    """The processor.

    Attributes:
        name: for people.
        architecture: as ``uname -m`` says.
        features: those that int8 inference gains from, sorted.
        cores: that this process may run on.
        quota: how many cores' time its control group has; None: no limit.
        governors: of the frequency, those in use; empty where the kernel tells none.
        governor_is_a_hint: whether the hardware chooses the frequency, whatever the governor.
    """

    name: str
    architecture: str
    features: tuple[str, ...]
    cores: int
    quota: float | None
    governors: tuple[str, ...]
    governor_is_a_hint: bool

    def __str__(self) -> str:
        best = next((kind for kind in INT8_FEATURES if kind in self.features), None)
        return f"{self.name} ({best})" if best else self.name

    @property
    def usable(self) -> int:
        """Threads that run at the same time."""
        return self.cores if self.quota is None else max(1, min(self.cores, int(self.quota)))


@dataclass(frozen=True)
class Camera:
    """A video device that frames may come from.

    Attributes:
        device: path.
        name: that its driver gives.
        csi: whether it is the raw end of a ribbon-cable camera, which libcamera must drive.
        there: whether the device file exists.
        readable: whether this process may read and write it.
    """

    device: str
    name: str
    csi: bool
    there: bool
    readable: bool


@dataclass(frozen=True)
class Machine:
    """All of it.

    Attributes:
        name: of the board or computer, if it tells.
        cpu: see :class:`Cpu`.
        throttled: what slows the CPU down, or did since boot, in words.
        celsius: of the hottest sensor.
        memory_total: bytes.
        memory_available: bytes that can be had without swapping.
        cameras: in the order of their numbers.
    """

    name: str | None
    cpu: Cpu
    throttled: tuple[str, ...]
    celsius: float | None
    memory_total: int | None
    memory_available: int | None
    cameras: tuple[Camera, ...]


def _text(path: Path) -> str:
    """A file's text, stripped; empty if it can't be read, as files in /sys may be."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n\t ")
    except OSError:
        return ""


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def _fields(cpuinfo: str, key: str) -> list[str]:
    return re.findall(rf"^{key}\s*:\s*(.*\S)\s*$", cpuinfo, re.MULTILINE)


def cpu_name(cpuinfo: str) -> str:
    """A name for the processor of ``/proc/cpuinfo``: x86's own, or the kinds of Arm's cores."""
    if names := _fields(cpuinfo, "model name"):
        return " ".join(names[0].split())
    makers, parts = _fields(cpuinfo, "CPU implementer"), _fields(cpuinfo, "CPU part")
    kinds = Counter(
        ARM_PARTS.get(part, f"Arm part {part}") if maker == ARM else f"CPU {maker} part {part}"
        for maker, part in zip(makers, parts, strict=False)
    )
    return " + ".join(f"{count}× {kind}" for kind, count in kinds.items()) or "unknown CPU"


def int8_features(cpuinfo: str) -> tuple[str, ...]:
    """Those of :data:`INT8_FEATURES` that every core has."""
    cores = [set(line.split()) for line in _fields(cpuinfo, "(?:flags|Features)")]
    return tuple(sorted(set(INT8_FEATURES).intersection(*cores))) if cores else ()


def cpu_quota(root: Path) -> float | None:
    """Cores' worth of time that this process's control group has, the tightest on the way up."""
    limits = [*_quotas(root)]
    return min(limits) if limits else None


def _quotas(root: Path) -> Iterator[float]:
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            top = root / "sys/fs/cgroup" / controllers
            top = top if top.is_dir() else root / "sys/fs/cgroup/cpu"
        else:
            continue
        here = top / path.strip("/")
        while True:
            if controllers:
                quota = _number(here / "cpu.cfs_quota_us")
                period = _number(here / "cpu.cfs_period_us")
            else:
                allowed = re.fullmatch(r"(\d+) (\d+)", _text(here / "cpu.max"))  # else "max …"
                quota, period = (int(allowed[1]), int(allowed[2])) if allowed else (None, None)
            if quota and period and quota > 0:
                yield quota / period
            if here == top:
                break
            here = here.parent


def _cpu(root: Path, architecture: str, cores: int) -> Cpu:
    info = _text(root / "proc/cpuinfo")
    policies = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    drivers = {_text(policy / "scaling_driver") for policy in policies}
    return Cpu(
        name=cpu_name(info),
        architecture=architecture,
        features=int8_features(info),
        cores=cores,
        quota=cpu_quota(root),
        governors=tuple(sorted({_text(p / "scaling_governor") for p in policies} - {""})),
        governor_is_a_hint=bool(drivers) and drivers <= {"intel_pstate", "amd-pstate-epp"},
    )


def throttling(root: Path) -> tuple[str, ...]:
    """What the firmware (Raspberry Pi), its voltage alarm or Intel's counters say, in words."""
    for pattern in _FIRMWARE:
        for file in sorted(root.glob(pattern)):
            bits = _number(file, 16)
            if bits is not None:
                return tuple(words for bit, words in THROTTLED.items() if bits >> bit & 1)
    found = []
    for monitor in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if _text(monitor / "name") == "rpi_volt" and _number(monitor / "in0_lcrit_alarm"):
            found.append("undervoltage now")
    counters = root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    if any(_number(file) for file in counters):
        found.append("throttled since boot")
    return tuple(found)


def _celsius(root: Path) -> float | None:
    read = (_number(zone / "temp") for zone in root.glob("sys/class/thermal/thermal_zone*"))
    sensible = [value / 1000 for value in read if value is not None and 0 < value < 150_000]
    return max(sensible, default=None)


def _memory(root: Path, key: str) -> int | None:
    found = re.search(rf"^{key}:\s*(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def cameras(root: Path) -> tuple[Camera, ...]:
    """Video devices that are cameras.

    Codecs and image processors are left out, as are the further devices of one camera: a webcam's
    second one hands out metadata, and a ribbon cable's receiver has up to eight.
    """
    found: list[tuple[int, Camera]] = []
    for entry in (root / "sys/class/video4linux").glob("video[0-9]*"):
        name, number = _text(entry / "name"), int(entry.name.removeprefix("video"))
        if _NO_CAMERA.match(name) or _number(entry / "index"):
            continue
        file = root / "dev" / entry.name
        allowed = os.access(file, os.R_OK | os.W_OK)
        csi = bool(_CSI.match(name))
        camera = Camera(f"/dev/{entry.name}", name or "no name", csi, file.exists(), allowed)
        found.append((number, camera))
    every = [camera for _, camera in sorted(found, key=lambda pair: pair[0])]
    receivers = [camera for camera in every if camera.csi]
    return tuple(camera for camera in every if not camera.csi or camera is receivers[0])


def read_machine(root: Path, architecture: str, cores: int) -> Machine:
    """Look at a machine.

    Args:
        root: ``/``, or the top of a tree that has ``proc``, ``sys`` and ``dev``.
        architecture: as :func:`platform.machine` has it.
        cores: that this process may run on, see :func:`available_cores`.
    """
    name = _text(root / "proc/device-tree/model") or " ".join(
        text
        for part in ("sys_vendor", "product_name")
        if (text := _text(root / "sys/class/dmi/id" / part))
    )
    return Machine(
        name=name or None,
        cpu=_cpu(root, architecture, cores),
        throttled=throttling(root),
        celsius=_celsius(root),
        memory_total=_memory(root, "MemTotal"),
        memory_available=_memory(root, "MemAvailable"),
        cameras=cameras(root),
    )


def read_this_machine(root: Path = Path("/")) -> Machine:
    """Look at this machine; ``root`` as for :func:`look`."""
    return read_machine(root, platform.machine(), available_cores())


def available_cores() -> int:
    """Count the cores that this process may run on: all cores, where the system sets no bounds."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
