"""Ports for servers that a test starts in a moment, or that shall not answer."""

from __future__ import annotations

import itertools
import os
import socket

__all__ = ["free_port"]

# Below the ports that systems give to connections: with one of those, which binding port 0 finds,
# a connection of another test can be faster than the server. Each worker of pytest has its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(range(12_000 + 1000 * (_WORKER % 20), 13_000 + 1000 * (_WORKER % 20)))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nothing listens on; another one at each call."""
    for port in itertools.islice(_PORTS, 1000):
        with socket.socket(type=kind) as taken:
            if kind is socket.SOCK_STREAM:  # what a server has just left is free
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError("no port is free")
