"""Where a view listens: the description's own words, the socket, and the URLs that lead there."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
import urllib.parse
from dataclasses import dataclass

from edgecae.errors import SinkError
from edgecae.media import host_port

__all__ = ["FORM", "Address", "Listener", "listen", "parse"]

FORM = "view:, view:PORT or view:HOST:PORT, and ?token=TOKEN after any of them"

MIN_TOKEN, MAX_TOKEN = 16, 200
"""Characters of a token: at least, where other machines reach the view, and at most."""

_TOKEN = re.compile(rf"[\x21-\x7e]{{1,{MAX_TOKEN}}}")


@dataclass(frozen=True)
class Address:
    """What a description asks for.

    Attributes:
        host: name or address, an IPv6 address without its brackets.
        port: 0 takes a free one.
        token: that opens the view; None: none was given.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None


@dataclass(frozen=True)
class Listener:
    """A socket that listens, and what leads to it.

    Attributes:
        socket: not blocking.
        loopback: whether only this machine reaches it.
        token: that opens the view; None: it is open.
        made: whether the token was made here, so that somebody must be told.
        names: that a browser may call the machine by, apart from IP addresses.
        where: URL without the token.
    """

    socket: socket.socket
    loopback: bool
    token: str | None
    made: bool
    names: frozenset[str]
    where: str

    @property
    def url(self) -> str:
        """What to open in a browser, with the token where there is one."""
        if self.token is None:
            return self.where
        return f"{self.where}?{urllib.parse.urlencode({'token': self.token})}"


def parse(spec: str, token: str | None = None) -> Address:
    """Read ``view:…``.

    Args:
        spec: the description.
        token: that opens the view where the description has none.

    Raises:
        SinkError: it has another form than :data:`FORM`.
    """
    where, _, query = spec.removeprefix("view:").partition("?")
    try:
        host, port = host_port.parse(where)
        if query:
            asked = urllib.parse.parse_qs(query, keep_blank_values=True)
            if asked.keys() != {"token"}:
                raise ValueError("its only setting is ?token=TOKEN")
            token = asked["token"][-1]
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError(
                f"a token has 1 to {MAX_TOKEN} characters: letters, digits, punctuation"
            )
    except ValueError as error:
        raise SinkError(f"sink view: {error}; the forms are {FORM}") from None
    return Address(host or Address.host, Address.port if port is None else port, token)


def listen(address: Address) -> Listener:
    """Bind the socket. An address that other machines reach always gets a token.

    Raises:
        SinkError: the name is unknown, the port is in use or not allowed, or the token is too short
            for an address that other machines reach.
    """
    where = f"sink view:{host_port.bracketed(address.host)}:{address.port}"
    try:
        listening = host_port.listen(address.host, address.port)
    except socket.gaierror as error:
        raise SinkError(f"{where}: there is no such address: {error.strerror}") from error
    except OSError as error:
        raise SinkError(f"{where} can't be opened: {error.strerror}; try another port") from error
    bound, port = listening.getsockname()[:2]
    ip = ipaddress.ip_address(bound.partition("%")[0])
    loopback = ip.is_loopback
    if not loopback and address.token is not None and len(address.token) < MIN_TOKEN:
        listening.close()
        raise SinkError(
            f"{where}: other machines reach this address: its token needs {MIN_TOKEN} characters "
            f"or more; without one, edgecae makes it"
        )
    made = address.token is None and not loopback
    machine = socket.gethostname().lower()
    names = {"localhost"} if loopback else {"localhost", machine, f"{machine}.local"}
    if not _is_ip(address.host):
        names.add(address.host.lower())
    shown = (_outward(listening.family) or machine) if ip.is_unspecified else address.host
    shown = f"[{shown}]" if ":" in shown else shown
    return Listener(
        listening,
        loopback,
        secrets.token_urlsafe(24) if made else address.token,
        made,
        frozenset(names),
        f"http://{shown}:{port}/",
    )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _outward(family: int) -> str | None:
    """The address that other machines are likely to see this one under; nothing is sent."""
    there = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
    for kind in dict.fromkeys((family, socket.AF_INET)):  # "::" listens to IPv4 as well
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((there[socket.AddressFamily(kind)], 9))
                return str(probe.getsockname()[0])
            except OSError:
                continue
    return None
