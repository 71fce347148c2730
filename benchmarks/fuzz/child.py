"""A child process that reads mutants, so that a mutant which does harm ends that alone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

__all__ = ["LATE", "Child"]

LATE = "late"
"""The answer of a child that gave none within its time."""


class Child:
    """A process that answers each message with one line, and a new one when it dies.

    Args:
        program: a Python program; it gets ``--worker`` and then the arguments.
        seconds: that it has for an answer.
        arguments: more of them.
        seconds_to_start: that it has to say ``ready`` first; None: it does not say so.
    """

    def __init__(
        self,
        program: str,
        seconds: float,
        arguments: tuple[Path, ...] = (),
        seconds_to_start: float | None = None,
    ) -> None:
        self.command = [sys.executable, program, "--worker", *map(str, arguments)]
        self.seconds, self.seconds_to_start = seconds, seconds_to_start
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, message: bytes) -> str:
        """Send a message and return the answer.

        Returns:
            The line; ``late``; or how the process died: ``signal NAME`` or ``exit STATUS``. After
            the last three, the next message goes to a new process.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(message)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has no answer, either
        answer = self._answer(process, self.seconds)
        if answer == LATE:
            self.close()
        if answer:
            return answer
        code = self.close()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if self.seconds_to_start is not None:
            answer = self._answer(process, self.seconds_to_start)
            assert answer == "ready", f"the process did not start: {answer}"
        return process

    @staticmethod
    def _answer(process: subprocess.Popen[bytes], seconds: float) -> str:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline().decode().strip() if ready else LATE

    def close(self) -> int:
        """End the process, and return its status: 0 if there is none."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            process.wait(0.5)  # one that died has a status to tell
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        return process.returncode
