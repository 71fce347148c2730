"""The command line as a person uses it: a process, its exit status, its two outputs, its files."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, make_clip
from PIL import Image

from edgecae import models
from edgecae.commands import cli
from edgecae.tflite import model_file


def edgecae(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, timeout=300,
    )  # fmt: skip


def test_help_names_every_command() -> None:
    done = edgecae("--help")
    assert done.returncode == 0
    for name in ("train", "convert", "denoise", "stream"):
        assert f"\n  {name}" in done.stdout


def test_denoise_an_image(photos: Path, tmp_path: Path) -> None:
    done = edgecae("denoise", photos / "face.png", "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "litert" in done.stderr  # which runtime it used
    assert "INFO" not in done.stderr
    before, after = (np.array(Image.open(p)) for p in (photos / "face.png", tmp_path / "out.png"))
    assert 0 < np.abs(before.astype(int) - after).mean() < 10


def test_stream_prints_figures_as_json(tmp_path: Path) -> None:
    done = edgecae("stream", "--source", "test:64x48?frames=9", "--sink", "null:", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["frames"] == 9
    assert 0 < figures["latency_p50_ms"] <= figures["latency_p99_ms"]


ONE_BY_ONE = """
import json, sys
from edgecae.commands.cli import main
for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        for output in (sys.stdout, sys.stderr):
            print("\\0", end.code, file=output, flush=True)
"""
"""Command lines that fail, one after the other in a process: a start takes longer than they do."""


def errors(every: list[list[str | Path]]) -> list[tuple[int, str, str]]:
    """Exit status, standard output and standard error of each command line."""
    lines = json.dumps([[str(argument) for argument in arguments] for arguments in every])
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, lines], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    ends = re.compile(r"\0 (\d+)\n")
    (*said, _), (*complaints, _) = (ends.split(text) for text in (done.stdout, done.stderr))
    assert said[1::2] == complaints[1::2]
    return list(zip(map(int, said[1::2]), said[::2], complaints[::2], strict=True))


def check_errors(every: list[tuple[list[str | Path], int]]) -> None:
    """Each ends with its status and one line about what is wrong, and says nothing else of it."""
    got = errors([arguments for arguments, _ in every])
    for (arguments, expected), (status, said, complaint) in zip(every, got, strict=True):
        assert status == expected, (arguments, complaint)
        assert "Traceback" not in complaint, arguments
        assert said == ""
        lines = complaint.splitlines()
        assert [line for line in lines if line.startswith("edgecae: ")] == lines[-1:], complaint


@pytest.mark.slow
def test_errors_are_one_line_and_leave_nothing(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("text")
    (tmp_path / "file").write_text("")
    face, out = photos / "face.png", tmp_path / "out"
    clip = make_clip(tmp_path / "real.mkv", [np.zeros((48, 64, 3), np.uint8)] * 3)
    null = ["--sink", "null:"]
    check_errors([
        (["denoise", tmp_path / "none.png", "-o", out], 1),
        (["denoise", tmp_path / "clip.mp4", "-o", out / "x.mp4"], 1),
        (["denoise", face, "-o", out / "x.png", "--model", "none"], 1),
        (["denoise", face, "-o", out / "x.png", "--model", face], 1),
        (["denoise", face, "-o", tmp_path / "file" / "x.png"], 1),
        (["denoise", clip, "-o", tmp_path / "file" / "x.mkv"], 1),
        (["denoise", face], 2),
        (["denoise", face, "-o", out, "--threads", "0"], 2),
        (["stream", "--source", tmp_path / "clip.mp4", *null], 1),
        (["stream", "--source", "test:x", *null], 1),
        (["stream", "--source", "test:8x8", "--sink", tmp_path / "file" / "x.mkv"], 1),
        (["stream", *null], 2),
        (["none"], 2),
    ])  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "file", "real.mkv"]


@pytest.mark.slow
def test_errors_of_training_and_conversion_are_one_line(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    check_errors([
        (["convert", tmp_path], 2),
        (["convert", tmp_path / "none", "--int8"], 1),
        (["train", "--out", out, "--data", tmp_path / "none"], 1),
        (["train", "--out", out, "--data", tmp_path], 1),
        (["train", "--out", out, "--noise", "salt"], 1),
        (["train", "--out", out, "--model", "none"], 2),
        (["train", "--out", out, "--resume", "--seed", "1"], 2),
        (["train", "--out", out, "--resume"], 1),
        (["train", "--out", out, "--init", photos / "face.png"], 1),
    ])  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_float_model_can_not_stream(float_file: Path) -> None:
    done = edgecae("stream", "--source", "test:", "--sink", "null:", "--model", float_file)
    assert done.returncode == 1
    assert "float model" in done.stderr


@pytest.mark.slow
def test_train_then_convert_then_denoise(photos: Path, tmp_path: Path) -> None:
    done = edgecae(
        "train", "--model", "nano", "--data", photos, "--out", tmp_path / "run",
        "--steps", "20", "--qat-steps", "4", "--batch", "2", "--patch", "32",
        "--validate-every", "10", "--noise", "gaussian:5-50", "--tensorboard", "--seed", "3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "OneDeviceStrategy" in done.stderr
    assert "float step 20/20" in done.stderr
    assert not [line for line in done.stderr.splitlines() if "absl" in line or "cuda" in line]
    assert done.stdout.strip() == str(tmp_path / "run")
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    model = tmp_path / "m.tflite"
    done = edgecae("convert", tmp_path / "run", "--int8", "-o", model, "--max-drop", "50")
    assert done.returncode == 0, done.stderr
    assert model_file.read(model).metadata.noise == "gaussian:5-50"
    assert (
        edgecae(
            "denoise", photos / "hat.png", "-o", tmp_path / "x.png", "--model", model
        ).returncode
        == 0
    )


def wait_for(file: Path, size: int = 200_000) -> None:
    """Until a recording has grown to a size; its name may be a pattern."""
    deadline = time.monotonic() + 60
    while not any(one.stat().st_size >= size for one in file.parent.glob(file.name)):
        assert time.monotonic() < deadline, f"{file} does not grow"
        time.sleep(0.05)


NOISY = [
    "--source", "test:96x64?noise=gaussian:60&frames=100000", "--model", "nano", "--strength", "0"
]  # fmt: skip
"""A stream for ``edgecae stream`` of which a recording grows fast: noise does not compress."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "name"),
    [
        (signal.SIGINT, 130, "out.mkv"),
        (signal.SIGTERM, 0, "out.mp4"),
        pytest.param(signal.SIGINT, 130, "out.mp4", marks=pytest.mark.faults),
        pytest.param(signal.SIGTERM, 0, "out.mkv", marks=pytest.mark.faults),
    ],
)
def test_a_signal_ends_with_a_playable_file(
    number: signal.Signals, status: int, name: str, tmp_path: Path
) -> None:
    import av

    process = subprocess.Popen(
        [sys.executable, "-m", "edgecae", "stream", *NOISY, "--sink", str(tmp_path / name)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(tmp_path / name)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    with av.open(str(tmp_path / name)) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert count >= 10
    assert f" frames in, {count} out" in errors


@pytest.mark.faults
def test_a_recording_that_is_killed_plays(tmp_path: Path) -> None:
    import av

    out = tmp_path / "out.mkv"
    process = subprocess.Popen(
        [sys.executable, "-m", "edgecae", "stream", *NOISY, "--sink", str(out)],
        stderr=subprocess.DEVNULL,
    )
    wait_for(out, 1_000_000)
    process.kill()
    process.wait()
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 10


@pytest.mark.faults
def test_a_folder_of_videos_that_is_killed_is_done_again(tmp_path: Path) -> None:
    """What is not whole is not there, so that the next run makes it."""
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(8)]
    make_clip(tmp_path / "in" / "a.mkv", noise * 80, codec="libx264", pix_fmt="yuv420p")
    arguments = [
        "denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", "nano",
        "--strength", "0",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "edgecae", *arguments], stderr=subprocess.DEVNULL
    )
    wait_for(tmp_path / "out" / ".a.*.tmp.mkv")
    process.kill()
    process.wait()
    assert not (tmp_path / "out" / "a.mkv").exists()
    done = edgecae(*arguments)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.mkv"]
    assert len(frames_of(tmp_path / "out" / "a.mkv")[0]) == 640


def test_the_device_needs_no_training_extra(tmp_path: Path) -> None:
    """With TensorFlow hidden, training says what is missing and the rest works."""
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['h5py'] = None\n"
        "from edgecae.commands.cli import main\n"
        "sys.argv = ['edgecae', 'train', '--out', 'x']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'edgecae[train]'" in done.stderr


def test_shipped_models_are_listed() -> None:
    assert models.DEFAULT in models.names()


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    """Standard error of ``--log-format json``: every line of it is an object."""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    for record in found:
        assert {"time", "level", "logger", "message"} <= record.keys()
        time = datetime.datetime.fromisoformat(record["time"])
        assert time.utcoffset() == datetime.timedelta(0)
    return found


@pytest.mark.slow
def test_all_of_standard_error_can_be_json(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_text("text")
    done = edgecae("--log-format", "json", "denoise", tmp_path / "in", "-o", tmp_path / "out")
    assert done.returncode == 1
    found = records(done)
    warning = next(r for r in found if r["level"] == "WARNING")
    assert warning["logger"] == "edgecae.stream.batch"
    assert "clip.mp4" in warning["message"]
    assert any(r["level"] == "INFO" and "litert" in r["message"] for r in found)
    assert found[-1]["level"] == "ERROR"
    assert "could not be denoised" in found[-1]["message"]
    assert not any("exception" in record for record in found)

    done = edgecae("--log-format", "json", "stream", "--source", "test:64x48?frames=3", "--sink",
                   "null:", "--json")  # fmt: skip
    assert json.loads(done.stdout)["frames"] == 3
    assert {r["level"] for r in records(done)} == {"INFO"}

    done = edgecae("--log-format", "json", "stream", "--sink", "null:")
    assert done.returncode == 2
    assert [r["level"] for r in records(done)] == ["ERROR"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_comes_before_the_last_line_or_in_it(style: str, photos: Path) -> None:
    done = edgecae("-vv", "--log-format", style, "denoise", "none.png", "-o", "x.png")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    if style == "json":
        assert "Traceback" in records(done)[-1]["exception"]
        assert "none.png" in json.loads(last)["message"]
    else:
        assert last.startswith("edgecae: ")
        assert "none.png" in last
        assert "Traceback" in done.stderr


def test_a_bug_is_a_record_too() -> None:
    code = (
        "import sys, edgecae.models\n"
        "edgecae.models.card = lambda name: 1 / 0\n"
        "from edgecae.commands.cli import main\n"
        "sys.argv = ['edgecae', '--log-format', 'json', 'models', 'small']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    (record,) = records(done)
    assert record["level"] == "CRITICAL"
    assert "ZeroDivisionError" in record["message"]
    assert "Traceback" in record["exception"]


def complete(line: str, *flags: str) -> tuple[list[str], str]:
    """What a shell is told about the last word of a line, and standard error."""
    done = subprocess.run(
        [sys.executable, *flags, "-m", "edgecae"],
        env={
            **os.environ,
            "_EDGECAE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        },
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr


@pytest.mark.slow
def test_a_shell_completes_a_line() -> None:
    assert complete("edgecae str") == (["plain,stream"], "")
    assert complete("edgecae --log") == (["plain,--log-format"], "")
    assert complete("edgecae --log-format j")[0] == ["plain,json"]
    assert "plain,--sink" in complete("edgecae stream --")[0]
    assert complete("edgecae stream --model n")[0] == ["file,n", "plain,nano", "plain,nano-video"]
    assert complete("edgecae stream --source /dev/v")[0] == ["file,/dev/v"]
    assert complete("edgecae denoise pic")[0] == ["file,pic"]
    assert complete("edgecae none x")[0] in ([], [""])


def test_completing_a_command_imports_none() -> None:
    found, imported = complete("edgecae ", "-X", "importtime")
    assert [f"plain,{name}" for name in cli.COMMANDS] == found
    assert "click" in imported
    rooms = ("edgecae.denoise", "edgecae.media", "edgecae.stream", "edgecae.tflite")
    for name in (*rooms, "numpy", "edgecae_train", "tensorflow"):
        assert name not in imported


@pytest.mark.slow
def test_bash_completes(tmp_path: Path) -> None:
    """The script that bash is given, run by bash."""
    program = tmp_path / "edgecae"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgecae "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_EDGECAE_COMPLETE=bash_source edgecae)"\n'
        "complete -p edgecae\n"
        "compopt() { :; }\n"  # works in an interactive shell alone
        "COMP_WORDS=(edgecae stream --model sma) COMP_CWORD=3\n"
        "_edgecae_completion edgecae\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    shown, *replies = done.stdout.splitlines()
    assert "_edgecae_completion edgecae" in shown
    assert replies == ["small", "small-video"]


def test_what_the_program_says_is_not_silenced_with_its_libraries() -> None:
    program = (
        "import logging, os, sys\n"
        "from edgecae.commands import logs\n"
        "from edgecae.commands.stderr import silenced\n"
        "with logs.set_up(), silenced():\n"
        "    logging.getLogger('edgecae.sink').warning('said')\n"
        "    print('printed', file=sys.stderr)\n"
        "    os.write(2, b'chatter')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "said\nprinted\n"
