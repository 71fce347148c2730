"""systemd's notify protocol: "ready", "still alive", "ending", and a line of status.

A datagram to the socket that systemd names in the environment, as sd_notify(3) and
sd_watchdog_enabled(3) describe it. Outside of systemd every call does nothing.
"""

from __future__ import annotations

import os

__all__ = ["notify", "watchdog_interval"]

_PATIENCE = 1.0
"""Seconds that a full socket may hold up the caller."""


def notify(state: str) -> bool:
    """Tell systemd something.

    Args:
        state: lines such as ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1`` or ``STATUS=text``.

    Returns:
        Whether it was sent. False where systemd does not listen: a stream goes on all the same.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    import socket

    if address.startswith("@"):  # how an abstract address is written, which begins with a NUL
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(_PATIENCE)
        try:
            listener.connect(address)
            listener.send(state.encode())
        except OSError:
            return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between two ``WATCHDOG=1``: half of what systemd waits for, as it recommends.

    Returns:
        None where no watchdog is set, or where it is set for another process.
    """
    try:
        microseconds = int(os.environ["WATCHDOG_USEC"])
        process = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return microseconds / 2e6 if microseconds > 0 and process == os.getpid() else None
