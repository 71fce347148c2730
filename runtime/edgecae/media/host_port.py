"""Where a server listens, as users write it."""

from __future__ import annotations

import re

from edgecae.media.redact import redacted

__all__ = ["bracketed", "parse"]

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
