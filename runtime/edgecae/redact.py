"""URLs as people may see them: without user, password or token."""

from __future__ import annotations

import re
import urllib.parse

__all__ = ["is_url", "redacted", "secrets_in"]

_OWN = ("test", "raw", "mpegts", "view", "camera", "picamera2")
"""No schemes but words for sources and sinks: an ``@`` may stand before a rate, or in a token."""

_ONE_SLASH = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>[^/].*[@?=].*)", re.DOTALL)
"""A URL that lost a slash, mistyped or taken for a path, with a place where secrets stand."""

_NO_SLASH = re.compile(r"(?P<user>(//)?[^./:][^:]*):.*@.*", re.DOTALL)
"""The same without the other, or a bare ``user:password@host``."""

_SETTING = re.compile(
    r"(?P<key>(?<![A-Za-z])(?:token|passwd|password|pwd|secret)=)(?P<value>[^&\s]+)", re.IGNORECASE
)
"""A secret in what is no URL, such as ``view:8080?token=TOKEN`` with a mistake in it."""

_MIN_SECRET = 4
"""Characters; a shorter one stands in too many other words to be looked for there."""


def is_url(text: str) -> bool:
    """Whether what might be a path is a URL, well written or not; ``./a:b@c`` is none."""
    if text.startswith((".", "/")) or text.partition(":")[0] in _OWN:
        return False
    return "://" in text or redacted(text) != text


def redacted(url: str) -> str:
    """A URL for names, logs, errors and metrics; any other text but for values of ``token=``.

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
            return _SETTING.sub(r"\g<key>…", url)
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


def secrets_in(text: str) -> set[str]:
    """Find what :func:`redacted` leaves out of an argument, to look for it in other texts.

    Returns:
        User, password, values of a query and of ``token=``, as they stand there and unquoted;
        nothing shorter than four characters.
    """
    found = {match["value"] for match in _SETTING.finditer(text)}
    if text.partition(":")[0] not in _OWN and redacted(text) != text:
        rest = text.partition("://")[2] or text.partition(":/")[2] or text
        before, at, _ = rest.rpartition("@")
        if at:
            found |= {before, *before.split(":", 1)}
        query = rest.partition("?")[2].partition("#")[0]
        found |= {part.rpartition("=")[2] for part in query.split("&")}
        if path_value := rest.partition("?")[0].partition("=")[2]:
            found.add(path_value)
        if fragment := rest.partition("#")[2]:
            found.add(fragment)
    found |= {urllib.parse.unquote(each) for each in found}
    return {each for each in found if len(each) >= _MIN_SECRET}
