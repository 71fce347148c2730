"""The client's side of RTSP that publishes: ANNOUNCE, SETUP, RECORD (RFC 2326).

FFmpeg has such a client, too. But PyAV calls it with Python's global lock held, so that a server
that accepts and then says nothing would stop all threads of the process. Here each step has a time
limit, and other threads go on. Packets go over the connection of the session itself (interleaved,
section 10.12): they need no further port, and none is lost.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

from edgecae.errors import SinkError, SinkRefusedError
from edgecae.media.host_port import bracketed
from edgecae.redact import redacted

__all__ = ["Address", "Session", "parse"]

PORTS = {"rtsp": 554, "rtsps": 322}
"""Where a server listens unless its URL says otherwise."""

KEEPALIVE = 20.0
"""Seconds between two signs of life; a server may forget a session after a minute without one."""

SEND_BUFFER = 2**18
"""Bytes that the kernel may hold back: what is in there is late, and not dropped any more."""

GOODBYE = 0.5
"""Seconds that a server gets at the end to take what is on its way, and to say so."""

MAX_ANSWER = 2**16
"""Bytes of an answer."""

_STATUS = re.compile(rb"RTSP/\d\.\d +(\d{3}) *([^\r\n]*)\r?\n")


@dataclass(frozen=True)
class Address:
    """A URL taken apart.

    Attributes:
        url: without user and password, as requests name it.
        name: for people, without any secret.
        host: name or address of the server.
        port: of the server.
        tls: whether the connection is encrypted.
        user: None where there is none.
        password: likewise.
    """

    url: str = field(repr=False)
    name: str
    host: str
    port: int
    tls: bool
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)


def parse(url: str) -> Address:
    """Take a URL apart.

    Raises:
        SinkError: it has no host, or a port that is none.
    """
    name = redacted(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or re.search(r"[\s\x00-\x1f]", url):
        raise SinkError(f"sink {name!r} is no URL such as rtsp://HOST:8554/PATH")
    scheme = parts.scheme.lower()
    where = bracketed(host) + (f":{port}" if port else "")
    query = f"?{parts.query}" if parts.query else ""
    return Address(
        f"{scheme}://{where}{parts.path.rstrip('/')}{query}",
        name,
        host,
        port or PORTS[scheme],
        scheme == "rtsps",
        None if parts.username is None else unquote(parts.username),
        None if parts.username is None else unquote(parts.password or ""),
    )


class Session:
    """A connection over which packets are published; opened by making it.

    Args:
        address: of what is published.
        sdp: what it is (RFC 4566); each medium has the attribute ``control:streamid=N``.
        tracks: how many media it has.
        timeout: seconds that opening may take, and each :meth:`send`.

    Raises:
        SinkRefusedError: the user or password is wrong.
        SinkError: nobody answers in time, or with a refusal.
    """

    def __init__(self, address: Address, sdp: str, tracks: int, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._received = bytearray()
        self._count, self._id = 0, ""
        self._failed = False
        self._challenge: str | None = None
        self._until = time.monotonic() + timeout
        self._said = time.monotonic()
        try:
            self._socket = self._connect()
        except (OSError, UnicodeError) as error:  # such as a host "a..b"
            raise self._failure(error) from None
        try:
            self._ask("ANNOUNCE", body=sdp)
            for track in range(tracks):
                channels = f"{2 * track}-{2 * track + 1}"
                transport = f"RTP/AVP/TCP;unicast;interleaved={channels};mode=record"
                self._ask("SETUP", f"/streamid={track}", {"Transport": transport})
            self._ask("RECORD", headers={"Range": "npt=0.000-"})
        except OSError as error:
            self._socket.close()
            raise error if isinstance(error, SinkError) else self._failure(error) from None

    def _connect(self) -> socket.socket:
        address = self._address
        connected = socket.create_connection((address.host, address.port), self._timeout)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if address.tls:
                context = ssl.create_default_context()
                return context.wrap_socket(connected, server_hostname=address.host)
        except OSError:
            connected.close()
            raise
        return connected

    def _failure(self, error: Exception) -> SinkError:
        # Whether the last bytes were read before the server went decides which of these it is.
        if isinstance(error, ConnectionResetError | BrokenPipeError):
            return SinkError(f"{self._address.name} hung up")
        if isinstance(error, TimeoutError):
            said = f"no answer within {self._timeout:g} s"
        else:
            said = str(getattr(error, "strerror", None) or type(error).__name__)
        return SinkError(f"{self._address.name}: {said}")

    # Requests

    def _ask(
        self, method: str, path: str = "", headers: Mapping[str, str] = {}, body: str = ""
    ) -> None:
        """Make a request, a second time with user and password where the server wants them."""
        status, reason = self._request(method, path, headers, body)
        if status == 401 and self._address.user is not None:
            status, reason = self._request(method, path, headers, body)
        if status in (401, 403):
            what = "check user and password in the URL"
            if self._address.user is None:
                what = "it wants a user and a password: rtsp://USER:PASSWORD@HOST/PATH"
            raise SinkRefusedError(f"{self._address.name}: {reason}; {what}")
        if status != 200:
            raise SinkError(f"{self._address.name}: {method} was refused: {status} {reason}")

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: str
    ) -> tuple[int, str]:
        self._send_request(method, path, headers, body)
        head, status, reason = self._answer()
        for name, value in head:
            if name == "session":
                self._id = value.partition(";")[0].strip()
        challenges = [value for name, value in head if name == "www-authenticate"]
        if challenges:  # the one that does not show the password, if it can be answered
            digests = [each for each in challenges if each.lower().startswith("digest")]
            digests.sort(key=lambda each: "sha" in each.lower())
            self._challenge = (digests or challenges)[0]
        return status, reason

    def _send_request(
        self, method: str, path: str = "", headers: Mapping[str, str] = {}, body: str = ""
    ) -> None:
        base, question, query = self._address.url.partition("?")
        url = f"{base}{path}{question}{query}"
        self._count += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._count}", "User-Agent: edgecae"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self._id:
            lines.append(f"Session: {self._id}")
        if self._challenge is not None:
            lines.append(f"Authorization: {self._credentials(method, url)}")
        if body:
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body.encode())}"]
        self._socket.settimeout(self._timeout)
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _credentials(self, method: str, url: str) -> str:
        """What proves user and password to the server (RFC 7616, RFC 7617)."""
        user, password = self._address.user or "", self._address.password or ""
        scheme, _, parameters = (self._challenge or "").partition(" ")
        if scheme.lower() == "digest":
            known = SimpleNamespace(
                add_password=None, find_user_password=lambda realm, uri: (user, password)
            )
            digest = urllib.request.AbstractDigestAuthHandler(known)  # type: ignore[arg-type]
            request = SimpleNamespace(
                full_url=url, selector=url, get_method=lambda: method, data=None
            )
            asked = urllib.request.parse_keqv_list(urllib.request.parse_http_list(parameters))
            try:
                made = digest.get_authorization(request, asked)  # type: ignore[arg-type]
            except (ValueError, KeyError):
                made = None
            if made:
                return f"Digest {made}"
            raise SinkError(f"{self._address.name} wants a kind of digest that edgecae lacks")
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _answer(self) -> tuple[list[tuple[str, str]], int, str]:
        """The next answer's head, status and reason; packets before it are passed over."""
        while True:
            self._drop_packets()
            end = self._received.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(self._received) > MAX_ANSWER:
                raise SinkError(f"{self._address.name} answers, but not by RTSP")
            self._receive()
        content = bytes(self._received[: end + 4])
        first = _STATUS.match(content)
        if first is None:
            raise SinkError(f"{self._address.name} answers, but not by RTSP")
        lines = content[first.end() :].decode(errors="replace").splitlines()
        pairs = [line.partition(":") for line in lines if line.strip()]
        head = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        end += sum(int(v) for name, v in head if name == "content-length" and v.isdecimal())
        while len(self._received) < end + 4 <= MAX_ANSWER:
            self._receive()
        del self._received[: end + 4]
        reason = "".join(c for c in first[2].decode(errors="replace") if c.isprintable())
        return head, int(first[1]), reason.strip()

    def _receive(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        content = self._socket.recv(4096)
        if not content:
            raise SinkError(f"{self._address.name} hung up")
        self._received += content

    def _drop_packets(self) -> None:
        """Pass over what receivers report: ``$``, channel, length (2 bytes), content."""
        while self._received[:1] == b"$" and len(self._received) >= 4:
            size = 4 + int.from_bytes(self._received[2:4], "big")
            if len(self._received) < size:
                return
            del self._received[:size]

    # Packets

    def send(self, packets: Sequence[tuple[int, bytes]]) -> None:
        """Send packets, each with its channel: even for RTP, the next for its RTCP.

        A slow server may take any time, as long as it takes something.

        Raises:
            SinkError: the server is gone, or took nothing for too long.
        """
        content = b"".join(
            b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet
            for channel, packet in packets
        )
        try:
            self._socket.settimeout(self._timeout)
            left = memoryview(content)
            while left:
                left = left[self._socket.send(left) :]
            if time.monotonic() - self._said > KEEPALIVE:
                self._said = time.monotonic()
                self._send_request("OPTIONS")
            self._look()
        except OSError as error:
            self._failed = True
            raise error if isinstance(error, SinkError) else self._failure(error) from None

    def _look(self) -> None:
        """Read what the server says meanwhile, and notice where it has gone; waits for nothing."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while content := self._socket.recv(4096):
                del content
            raise SinkError(f"{self._address.name} hung up")

    def abort(self) -> None:
        """Have whoever waits for the server in another thread wait no longer."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Say that it is over; wait for the answer, but not for long.

        A socket that is closed while there is something to read drops what it has not sent yet.
        """
        if not self._failed:
            with contextlib.suppress(OSError):
                self._timeout, self._until = GOODBYE, time.monotonic() + GOODBYE
                self._request("TEARDOWN", "", {}, "")
        self._socket.close()
