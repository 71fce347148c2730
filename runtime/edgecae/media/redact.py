"""URLs as people may see them: without user, password or token."""

from __future__ import annotations

import re

__all__ = ["is_url", "redacted"]

_OWN = ("test", "raw", "view", "camera", "picamera2")
"""No schemes but words for sources and sinks: an ``@`` may stand before a rate, or in a token."""

_ONE_SLASH = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>[^/].*[@?=].*)", re.DOTALL)
"""A URL that lost a slash, mistyped or taken for a path, with a place where secrets stand."""

_NO_SLASH = re.compile(r"(?P<user>(//)?[^./:][^:]*):.*@.*", re.DOTALL)
"""The same without the other, or a bare ``user:password@host``."""


def is_url(text: str) -> bool:
    """Whether what might be a path is a URL, well written or not; ``./a:b@c`` is none."""
    if text.startswith((".", "/")) or text.partition(":")[0] in _OWN:
        return False
    return "://" in text or redacted(text) != text


def redacted(url: str) -> str:
    """A URL for names, logs, errors and metrics; any other text comes back as it is.

    Left out are user and password, the fragment, the path from its first ``=`` on and every value
    in the query, since cameras disagree on which key is secret and where it stands. What is left
    out shows as ``…``. Where an ``@`` stands behind the host, that could be a host itself, behind a
    password with a bare ``/`` in it: then only the scheme is left. Mistyped URLs hold passwords as
    well: ``rtsp:/user:password@host``, and of ``rtsp:user:password@host`` and
    ``user:password@host`` what follows the ``@``.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        if match := _ONE_SLASH.fullmatch(url):
            scheme, separator, rest = match["scheme"], ":/", match["rest"]
        elif (match := _NO_SLASH.fullmatch(url)) and match["user"] not in _OWN:
            scheme, rest = "", url
        else:
            return url
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(authority) :]:
        return f"{scheme}{separator}…"
    if "@" in authority:
        rest = "…@" + rest.rpartition("@")[2]
    rest = rest.partition("#")[0]
    path, question, query = rest.partition("?")
    path, equals, _ = path.partition("=")
    keys = [part.partition("=") for part in query.split("&")] if query else []
    shown = "&".join(f"{key}=…" if sign else "…" for key, sign, _ in keys)
    return f"{scheme}{separator}{path}{'=…' if equals else ''}{question}{shown}"
