"""The doctor, on trees of files like those of two Raspberry Pis and a mini-PC, and here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from edgecae import Denoiser, models
from edgecae.commands.doctor import render
from edgecae.device import doctor, machine, speeds
from edgecae.errors import BackendError
from edgecae.tflite import interpreter

ARM_CORE = "processor\t: {}\nFeatures\t: {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def frequency(governor: str, driver: str, cores: int = 4) -> dict[str, str]:
    cpu = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_{}"
    return {
        cpu.format(core, key): f"{value}\n"
        for core in range(cores)
        for key, value in (("governor", governor), ("driver", driver))
    }


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    core = "fp asimd evtstrm crc32 cpuid"
    return tree(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/cpuinfo": "".join(ARM_CORE.format(i, core, "0xd08") for i in range(4)),
            "proc/meminfo": "MemTotal:        1884000 kB\nMemAvailable:     150000 kB\n",
            "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
            "sys/class/thermal/thermal_zone0/temp": "81300\n",
            **frequency("powersave", "cpufreq-dt"),
            "sys/class/video4linux/video0/name": "HD Pro Webcam C920\n",
            "sys/class/video4linux/video0/index": "0\n",
            "sys/class/video4linux/video1/name": "HD Pro Webcam C920\n",
            "sys/class/video4linux/video1/index": "1\n",
            "sys/class/video4linux/video10/name": "bcm2835-codec-decode\n",
            "sys/class/video4linux/video13/name": "bcm2835-isp-output0\n",
            "sys/class/video4linux/video2/name": "unicam-image\n",
            "sys/class/video4linux/video3/name": "unicam-embedded\n",
            "dev/video0": "",
            "dev/video2": "",
        },
    )


def look(root: Path, architecture: str = "aarch64", cores: int = 4) -> machine.Machine:
    return machine.read_machine(root, architecture, cores)


def by_name(findings: list[doctor.Finding]) -> dict[str, doctor.Finding]:
    return {finding.about: finding for finding in findings}


def test_a_raspberry_pi_4_in_trouble(pi4: Path) -> None:
    facts = look(pi4)
    assert facts.name == "Raspberry Pi 4 Model B Rev 1.4"
    assert facts.cpu.name == "4× Cortex-A72"
    assert facts.cpu.features == ()
    assert facts.cpu.usable == 4
    assert facts.throttled == (
        "undervoltage now", "throttled now", "undervoltage since boot", "throttled since boot",
    )  # fmt: skip
    findings = doctor.of_machine(facts)
    found = by_name(findings)
    assert "no dot-product" in found["int8"].found
    assert found["governor"].found == "powersave"
    assert "scaling_governor" in str(found["governor"].remedy)
    assert found["temperature"].found == "81 °C"
    assert found["memory"].found == "146 of 1840 MiB free"
    warned = [f.about for f in findings if f.grade == "warning"]
    assert set(warned) == {"governor", "throttling", "temperature", "memory"}
    remedies = {f.found: f.remedy for f in findings if f.about == "throttling"}
    assert "power supply" in str(remedies["undervoltage now"])
    assert "fan" in str(remedies["throttled now"])


def test_cameras_of_a_raspberry_pi(pi4: Path) -> None:
    cameras = look(pi4).cameras
    assert [(c.device, c.name, c.csi) for c in cameras] == [
        ("/dev/video0", "HD Pro Webcam C920", False),
        ("/dev/video2", "unicam-image", True),
    ]
    webcam, ribbon = doctor.of_cameras(cameras, has_picamera2=False, in_group=True)
    assert webcam.grade == "ok"
    assert "python3-picamera2" in str(ribbon.remedy)
    _, ribbon = doctor.of_cameras(cameras, has_picamera2=True, in_group=True)
    assert ribbon.grade == "ok"


def test_a_raspberry_pi_5_in_order(tmp_path: Path) -> None:
    core = "fp asimd crc32 atomics asimddp"
    alarm = "sys/class/hwmon/hwmon1/in0_lcrit_alarm"
    files = {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": "".join(ARM_CORE.format(i, core, "0xd0b") for i in range(4)),
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        alarm: "0\n",
        "sys/class/thermal/thermal_zone0/temp": "48700\n",
        **frequency("ondemand", "cpufreq-dt"),
    }
    facts = look(tree(tmp_path, files))
    assert facts.cpu.name == "4× Cortex-A76"
    assert facts.cpu.features == ("asimddp",)
    assert facts.throttled == ()
    assert all(finding.grade == "ok" for finding in doctor.of_machine(facts))
    (none,) = doctor.of_cameras(facts.cameras, False, True)
    assert (none.found, none.grade) == ("none", "absent")
    assert look(tree(tmp_path, {alarm: "1\n"})).throttled == ("undervoltage now",)


def test_a_mini_pc(tmp_path: Path) -> None:
    flags = "fpu sse4_2 avx avx2 avx_vnni"
    facts = look(
        tree(
            tmp_path,
            {
                "sys/class/dmi/id/sys_vendor": "Some Maker\n",
                "sys/class/dmi/id/product_name": "NUC 11\n",
                "proc/cpuinfo": f"model name\t: Intel(R)   N100\nflags\t\t: {flags}\n" * 4,
                **frequency("powersave", "intel_pstate"),
                "sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count": "17\n",
                "sys/class/thermal/thermal_zone0/temp": "-274000\n",
                "sys/class/thermal/thermal_zone1/temp": "55000\n",
            },
        ),
        "x86_64",
    )
    assert facts.name == "Some Maker NUC 11"
    assert facts.cpu.name == "Intel(R) N100"
    assert facts.cpu.features == ("avx2", "avx_vnni")
    assert facts.celsius == 55
    assert facts.throttled == ("throttled since boot",)
    # Intel's driver chooses the frequency itself under this name.
    assert by_name(doctor.of_machine(facts))["governor"].grade == "ok"


def test_two_kinds_of_cores_share_what_both_can(tmp_path: Path) -> None:
    big, little = ("asimd asimddp i8mm", "0xd41"), ("asimd asimddp", "0xd05")
    text = "".join(ARM_CORE.format(i, *(little if i < 4 else big)) for i in range(6))
    cpu = look(tree(tmp_path, {"proc/cpuinfo": text})).cpu
    assert cpu.name == "4× Cortex-A55 + 2× Cortex-A78"
    assert cpu.features == ("asimddp",)


@pytest.mark.parametrize(
    ("files", "quota", "usable"),
    [
        ({}, None, 4),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, None, 4),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5, 1),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
            },
            2.0,
            2,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000\n"}, 0.2, 1),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n1:memory:/docker/x\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            2,
        ),
    ],
)
def test_a_control_group_limits_the_cores(
    files: dict[str, str], quota: float | None, usable: int, tmp_path: Path
) -> None:
    facts = look(tree(tmp_path, files))
    assert facts.cpu.quota == quota
    assert facts.cpu.usable == usable
    assert (by_name(doctor.of_machine(facts))["cores"].grade == "warning") == (quota is not None)


def test_nothing_is_told(tmp_path: Path) -> None:
    facts = look(tmp_path, "riscv64")
    assert facts.name is facts.celsius is facts.memory_total is None
    assert facts.cpu.name == "unknown CPU"
    assert {f.grade for f in doctor.of_machine(facts)} == {"ok"}


def test_a_camera_that_can_not_be_used() -> None:
    def remedy(there: bool, in_group: bool) -> str:
        camera = machine.Camera("/dev/video0", "Webcam", False, there, readable=False)
        (finding,) = doctor.of_cameras([camera], False, in_group)
        assert finding.grade == "warning"
        return str(finding.remedy)

    assert "usermod -aG video" in remedy(True, False)
    assert "ls -l /dev/video0" in remedy(True, True)
    assert "--device /dev/video0" in remedy(False, True)


def test_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {"broken_package.py": "raise RuntimeError('compiled for another numpy\\nx')"})
    monkeypatch.syspath_prepend(tmp_path)
    packages = [
        ("click", "commands", "a"),
        ("no_such_package", "dreams", "pip install dreams"),
        ("broken_package", "trouble", "pip install trouble"),
    ]
    found = by_name(doctor.of_software(packages))
    assert {"interpreter", "Python", "numpy"} < found.keys()
    assert all(found[name].grade == "ok" for name in ("interpreter", "click"))
    assert found["click"].found[0].isdigit()
    assert found["no_such_package"].grade == "absent"
    assert found["no_such_package"].remedy == "pip install dreams"
    assert found["broken_package"].grade == "warning"
    assert "another numpy" in found["broken_package"].found


@pytest.mark.slow
def test_without_an_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str = "auto") -> interpreter.Backend:
        raise BackendError("no TFLite interpreter can be imported")

    monkeypatch.setattr(interpreter, "find_backend", none)
    report = doctor.examine(quick=True)
    assert not report.usable
    assert report.speeds == report.advice == ()
    assert "✗ interpreter" in click.unstyle(render(report))
    fatal = by_name(doctor.of_software((), "x86_64"))["interpreter"]
    assert fatal.remedy == "pip install ai-edge-litert"
    assert "64-bit" in str(by_name(doctor.of_software((), "armv7l"))["interpreter"].remedy)


class Clock:
    """Seconds that pass only when something is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowDenoiser(Denoiser):
    """One on a CPU that does a million pixels a second."""

    clock: Clock
    frames: list[int]

    def process(self, frame, out=None):
        self.clock.now += frame.size / 3 / 1e6
        self.frames.append(frame.size // 3)
        return frame


def test_what_would_take_too_long_is_scaled() -> None:
    SlowDenoiser.clock, SlowDenoiser.frames = Clock(), []
    found = speeds.measure_speeds(
        ["nano", "small"], 1, speeds.SIZES, 12, SlowDenoiser.clock, SlowDenoiser
    )
    assert len(found) == 6
    for speed in found:
        assert speed.fps == pytest.approx(1e6 / (speed.width * speed.height), abs=0.01)
    assert [speed.scaled for speed in found] == [False, False, True] * 2
    assert SlowDenoiser.clock() < 15
    assert set(SlowDenoiser.frames) == {640 * 480, 1280 * 720}


def test_advice() -> None:
    good = {"nano": 35.0, "small": 36.0, "base": 37.0}
    fps = {"nano": (100, 37, 7), "small": (40, 12, 3), "base": (30, 5, 1)}
    found = [
        speeds.Speed(model, *size, rate)
        for model, rates in fps.items()
        for size, rate in zip(speeds.SIZES, rates, strict=True)
    ]
    # base is as fast as the camera, and leaves nothing for the rest of a stream.
    assert [str(advice) for advice in speeds.advise(found, good)] == [
        "640x480 at 30 frames/s: small",
        "1280x720 at 30 frames/s: nano",
        "1920x1080 at 5 frames/s: nano",
    ]
    assert speeds.advise(found, {}) == []


def test_models_that_another_beats_are_not_measured() -> None:
    chosen = speeds.candidates()
    assert chosen[0] == "nano"
    assert "classic" not in chosen
    assert {models.DEFAULT, "base"} <= set(chosen)


@pytest.mark.slow
def test_here() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgecae", "doctor", "--quick", "--json", "--threads", "1"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["usable"] is True
    assert report["threads"] == 1
    assert report["facts"]["cpu"]["cores"] == len(os.sched_getaffinity(0))
    measured = [speed for speed in report["speeds"] if not speed["scaled"]]
    assert {(s["width"], s["height"]) for s in measured} == {(640, 480)}
    assert {s["model"] for s in measured} == set(speeds.candidates())
    assert len(report["speeds"]) == 3 * len(measured)
    assert all(np.isfinite(s["fps"]) and s["fps"] > 0 for s in report["speeds"])


@pytest.mark.slow
def test_the_report_for_people(pi4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = [speeds.Speed("nano", 640, 480, 61.5), speeds.Speed("nano", 1280, 720, 3.0, True)]
    monkeypatch.setattr(speeds, "measure_speeds", lambda *arguments: fast)
    text = click.unstyle(render(doctor.examine(threads=3, root=pi4)))
    assert "Raspberry Pi 4" in text
    assert "→ a stronger power supply" in text
    assert "3 threads" in text
    assert "~3.0" in text
    assert "640x480 at 30 frames/s: nano" in text
    assert "1280x720: no model holds 5 frames/s" in text
    assert text.endswith("edgecae can run here.")
