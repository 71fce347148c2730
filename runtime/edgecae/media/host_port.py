"""Where a server listens, as users write it."""

from __future__ import annotations

import re
import socket

from edgecae.redact import redacted

__all__ = ["bracketed", "listen", "parse"]

_BACKLOG = 32

_LOCATION = re.compile(r"(?:(?:(?P<host>\[[^\[\]]+\]|[^:\[\]]+):)?(?P<port>\d{1,5}))?")


def parse(text: str) -> tuple[str | None, int | None]:
    """Host and port of ``HOST:PORT``, ``PORT`` or nothing; None for what is not there.

    The host is a name or an address, an IPv6 address without the brackets that it needs here.

    Raises:
        ValueError: it has another form.
    """
    match = _LOCATION.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        raise ValueError(f"{redacted(text)!r} is no HOST:PORT")
    host, port = match["host"], match["port"]
    return host and host.strip("[]"), int(port) if port else None


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """Open a socket that listens, and does not block.

    Args:
        host: name or address; ``::`` listens to IPv4 as well.
        port: 0 takes a free one.

    Raises:
        OSError: there is no such address (``socket.gaierror``), or it is in use or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # such as "a..b"
        raise socket.gaierror(socket.EAI_NONAME, "this is no name of a machine") from error
    family, kind, protocol, _, name = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(name)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
