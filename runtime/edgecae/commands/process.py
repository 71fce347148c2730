"""What a command does with its process for a stream: tell systemd, end when inference hangs."""

from __future__ import annotations

import logging
import os

from edgecae.device import systemd
from edgecae.stream.watchdog import StreamHooks

__all__ = ["HUNG", "hooks"]

log = logging.getLogger(__name__)

HUNG = 70
"""Exit status after inference that hung (EX_SOFTWARE of sysexits.h)."""


def hooks() -> StreamHooks:
    """Make the hooks that tell systemd how a stream fares, and end the process when it hangs."""
    return StreamHooks(
        on_ready=lambda: systemd.notify("READY=1"),
        on_alive=lambda status: systemd.notify(f"WATCHDOG=1\nSTATUS={status}"),
        on_stopping=lambda: systemd.notify("STOPPING=1"),
        on_hang=_end,
        interval=min(systemd.watchdog_interval() or 10.0, 10.0),
    )


def _end(what: str) -> None:
    """End the process at once: a thread inside the interpreter can't be ended."""
    log.critical("%s: the process ends", what)
    logging.shutdown()
    os._exit(HUNG)
