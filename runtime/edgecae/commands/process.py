"""What a command does with its process for a stream: tell systemd, end when inference hangs."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

from edgecae.device import systemd
from edgecae.stream.watchdog import StreamHooks

__all__ = ["HUNG", "end_hung", "hooks", "leave"]

log = logging.getLogger(__name__)

HUNG = 70
"""Exit status after inference that hung (EX_SOFTWARE of sysexits.h)."""


def hooks() -> StreamHooks:
    """Make the hooks that tell systemd how a stream fares, and end the process when it hangs."""
    return StreamHooks(
        on_ready=lambda: systemd.notify("READY=1"),
        on_alive=lambda status: systemd.notify(f"WATCHDOG=1\nSTATUS={status}"),
        on_stopping=lambda: systemd.notify("STOPPING=1"),
        on_hang=end_hung,
        interval=min(systemd.watchdog_interval() or 10.0, 10.0),
    )


def end_hung(what: str) -> NoReturn:
    """End the process at once: a thread inside the interpreter can't be ended."""
    log.critical("%s: the process ends", what)
    logging.shutdown()
    os._exit(HUNG)


def leave(status: int) -> NoReturn:
    """End the process without a thread that waits for a source that says nothing.

    It waits in a system call and can't be ended, and may not wake in an interpreter that is being
    taken apart.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
