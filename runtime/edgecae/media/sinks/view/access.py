"""Who may look: host names, tokens and origins. No network in here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass

__all__ = ["Access", "bearer", "password"]

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")


@dataclass(frozen=True)
class Access:
    """The rules of one view.

    Attributes:
        token: None: whoever reaches it may look.
        names: of the machine, lower case.
        loopback: whether it only listens to the machine itself.
    """

    token: str | None
    names: frozenset[str]
    loopback: bool

    @property
    def cookie(self) -> str:
        """What a browser keeps in place of the token.

        It follows from the token, so that a page finds its way back after a restart, and the token
        does not from it: a browser sends cookies to every port of a machine.
        """
        return hmac.new((self.token or "").encode(), b"edgecae view", hashlib.sha256).hexdigest()

    def host(self, header: str) -> bool:
        """Whether a request's ``Host`` is this machine.

        A page of somebody else's whose name was made to point here (DNS rebinding) sends its own
        name. An IP address can't be made to point elsewhere.
        """
        match = _HOST.fullmatch(header)
        if match is None:
            return False
        name = match["name"].lower().rstrip(".")
        try:
            ip = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self.names
        return ip.is_loopback or not self.loopback

    def credential(self, *, bearer: str | None, cookie: str | None, query: str | None) -> bool:
        """Whether one of these opens the view: compared in constant time."""
        if self.token is None:
            return True
        return _equal(bearer, self.token) | _equal(query, self.token) | _equal(cookie, self.cookie)

    @staticmethod
    def origin(origin: str | None, site: str | None, host: str) -> bool:
        """Whether a request comes from the view's own page, or from no page at all.

        Args:
            origin: header ``Origin``; every browser sends it with a POST and a websocket.
            site: header ``Sec-Fetch-Site``; browsers send it with every request.
            host: header ``Host``, found good.
        """
        if site not in (None, "same-origin", "none"):
            return False
        if origin is None:
            return True
        parts = origin.split("://", 1)
        return len(parts) == 2 and parts[0] in ("http", "https") and parts[1] == host.lower()

    @staticmethod
    def opened(method: str, mode: str | None, target: str | None) -> bool:
        """Whether a request opens the page in a tab, which any page's link may do.

        Args:
            method: of the request.
            mode: header ``Sec-Fetch-Mode``.
            target: header ``Sec-Fetch-Dest``.
        """
        return method == "GET" and mode == "navigate" and target == "document"


def _equal(given: str | None, wanted: str) -> bool:
    return hmac.compare_digest((given or "").encode(errors="replace"), wanted.encode())


def bearer(header: str | None) -> str | None:
    """The token of a header ``Authorization: Bearer TOKEN``."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def password(header: str | None) -> str | None:
    """The password of a header ``Authorization: Basic …``, whoever the user is (RFC 7617)."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return None
