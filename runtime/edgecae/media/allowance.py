"""How often each client of a port may do something. No network in here."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict

__all__ = ["Allowance", "client"]

MAX_CLIENTS = 1024
"""That are counted one by one."""

_REST = "all others"


class Allowance:
    """So many at once, so many a second, for each client (a token bucket).

    A client is forgotten once it may do as much as at first, and never before: whoever comes while
    :data:`MAX_CLIENTS` are counted shares one allowance with all others who do.

    Args:
        burst: at once.
        rate: a second, over time.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by the last spending

    def left(self, who: str) -> float:
        """Return how many ``who`` may still do now."""
        left, then = self._left.get(who, (self._burst, 0.0))
        return min(self._burst, left + self._rate * (time.monotonic() - then))

    def spend(self, who: str) -> bool:
        """Take one; False: there is none left."""
        if who not in self._left:
            self._forget()
            if len(self._left) >= MAX_CLIENTS:
                who = _REST
        left = self.left(who)
        allowed = left >= 1
        self._left[who] = (left - allowed, time.monotonic())
        self._left.move_to_end(who)
        return allowed

    def _forget(self) -> None:
        """Forget those who have all again, as far as they stand at the front."""
        while self._left and self.left(oldest := next(iter(self._left))) >= self._burst:
            del self._left[oldest]


def client(address: str) -> str:
    """Who is behind an IP address: of IPv6, the network of 64 bits that one client has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    return str(ip)
