"""URLs as people may see them: without user, password or token."""

from __future__ import annotations

import re

__all__ = ["redacted"]


def redacted(url: str) -> str:
    """A URL for names, logs, errors and metrics; any other text comes back as it is.

    Left out are user and password, the fragment, the path from its first ``=`` on and every value
    in the query, since cameras disagree on which key is secret and where it stands. What is left
    out shows as ``…``. Where an ``@`` stands behind the host, that could be a host itself, behind a
    password with a bare ``/`` in it: then only the scheme is left.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(authority) :]:
        return f"{scheme}://…"
    if "@" in authority:
        rest = "…@" + rest.rpartition("@")[2]
    rest = rest.partition("#")[0]
    path, question, query = rest.partition("?")
    path, equals, _ = path.partition("=")
    keys = [part.partition("=") for part in query.split("&")] if query else []
    shown = "&".join(f"{key}=…" if sign else "…" for key, sign, _ in keys)
    return f"{scheme}://{path}{'=…' if equals else ''}{question}{shown}"
