"""Who may look: host names, tokens, origins, and how often somebody may ask. No network in here."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["Access", "Allowance", "bearer"]

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_REMEMBERED = 1024


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
            site: header ``Sec-Fetch-Site``.
            host: header ``Host``, found good.
        """
        if site not in (None, "same-origin", "none"):
            return False
        if origin is None:
            return True
        parts = origin.split("://", 1)
        return len(parts) == 2 and parts[0] in ("http", "https") and parts[1] == host.lower()


class Allowance:
    """So many at once, so many a second, for each client (a token bucket).

    Args:
        burst: at once.
        rate: a second, over time.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, who: str) -> float:
        """How many ``who`` may still do now."""
        left, then = self._left.get(who, (self._burst, 0.0))
        return min(self._burst, left + self._rate * (time.monotonic() - then))

    def spend(self, who: str) -> bool:
        """Take one; False: there is none left."""
        left = self.left(who)
        allowed = left >= 1
        self._left[who] = (left - allowed, time.monotonic())
        self._left.move_to_end(who)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return allowed


def _equal(given: str | None, wanted: str) -> bool:
    return hmac.compare_digest((given or "").encode(errors="replace"), wanted.encode())


def bearer(header: str | None) -> str | None:
    """The token of a header ``Authorization: Bearer TOKEN``."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
