"""The web server of a view: aiohttp in a thread and an event loop of its own (extra ``view``).

Nobody who connects can slow the stream or another viewer: each connection makes one request or
becomes one websocket, has so many seconds for it, and there are only so many of them. A websocket's
client asks for each message with the word ``next`` and gets the newest picture, or after a second
without one just the figures; so never more than one is on its way.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler, Middleware

from edgecae.errors import SettingError
from edgecae.media.sinks.base import Control
from edgecae.media.sinks.view.access import Access, Allowance, bearer
from edgecae.media.sinks.view.address import Listener
from edgecae.media.sinks.view.pictures import Feed, message

__all__ = ["Server"]

log = logging.getLogger(__name__)

CLIENTS = 8
"""How many may look at once."""

CONNECTIONS, CONNECTIONS_EACH = 64, 32
"""Open ones at most, of all clients and of one address."""

DEADLINE = 20.0
"""Seconds that a request may take from its connection to the last byte of its answer."""

SEND_DEADLINE = 10.0
"""Seconds that a viewer may take to receive one picture."""

IDLE = 15.0
"""Seconds after which a viewer who asks for nothing has gone."""

PATIENCE = 1.0
"""Seconds that a viewer waits for a picture before it gets just the figures."""

MAX_REQUEST = 1024
"""Bytes of a request's body, and of a message from a viewer."""

STATUS_AGE = 0.25
"""Seconds that figures are good for: they cost the stream some work."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_LOCKED = "Not without a token: open the address that was printed when the stream began.\n"


class Server:
    """Serves one feed until it is closed.

    Args:
        listener: closed together with the server.
        feed: what is shown.
        control: of the stream; None: there is nothing to say of it or to set.
    """

    def __init__(self, listener: Listener, feed: Feed, control: Control | None) -> None:
        self._listener, self._feed, self._control = listener, feed, control
        self._access = Access(listener.token, listener.names, listener.loopback)
        port = listener.socket.getsockname()[1]
        self._cookie = f"edgecae-view-{port}"  # cookies are shared by all ports of a machine
        self._page = resources.files(__package__).joinpath("page.html").read_text("utf-8")
        self._policy = f"{_NOTHING}; {_hashes(self._page)}; img-src 'self' data:"
        self._connects = Allowance(burst=60, rate=30)
        self._posts = Allowance(burst=20, rate=10)
        self._wrong = Allowance(burst=20, rate=0.5)
        self._open: dict[asyncio.BaseTransport, str] = {}
        self._viewers: set[asyncio.BaseTransport] = set()
        self._status: tuple[float, dict[str, Any]] = (-math.inf, {})
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)
        self._thread.start()

    @property
    def viewers(self) -> int:
        """How many look at this moment."""
        return len(self._viewers)

    def close(self) -> None:
        """Stop, whatever clients do; takes a second at most."""
        with contextlib.suppress(RuntimeError):  # it has stopped by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(2)
        self._listener.socket.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application(client_max_size=MAX_REQUEST, middlewares=[self._guard()])
        app.on_response_prepare.append(self._finish_headers)
        app.router.add_get("/", self._show)
        app.router.add_get("/status", self._tell)
        app.router.add_get("/snapshot.jpg", self._snapshot)
        app.router.add_get("/frames", self._watch)
        app.router.add_post("/strength", self._set_strength)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, logger=log, shutdown_timeout=0.2
        )
        await runner.setup()
        tasks = [
            asyncio.create_task(self._accept(runner.server)),
            asyncio.create_task(self._feed.pump()),
        ]
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stop):
            task.cancel()
        for transport in self._open:
            _abort(transport)
        await runner.cleanup()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("the view has ended", exc_info=result)

    # Connections

    async def _accept(self, server: Callable[[], asyncio.BaseProtocol] | None) -> None:
        """Take connections, as many as there may be."""
        assert server is not None
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listener.socket)
            except OSError:  # no descriptors left, or the client has gone already
                await asyncio.sleep(0.1)
                continue
            who = str(peer[0])
            self._open = {t: w for t, w in self._open.items() if not t.is_closing()}
            crowded = len(self._open) >= CONNECTIONS or (
                sum(w == who for w in self._open.values()) >= CONNECTIONS_EACH
            )
            if crowded or not self._connects.spend(who):
                connection.close()
                continue
            try:
                transport, _ = await loop.connect_accepted_socket(server, connection)
            except OSError:
                connection.close()
                continue
            self._open[transport] = who
            loop.call_later(DEADLINE, self._expire, transport)

    def _expire(self, transport: asyncio.BaseTransport) -> None:
        if transport not in self._viewers:
            _abort(transport)

    # Every request

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._refuse(request)
            return await handler(request) if refusal is None else refusal

        return guard

    def _refuse(self, request: web.Request) -> web.Response | None:
        """An answer for who may not have what is asked for."""
        host = request.headers.get("Host", "")
        if not self._access.host(host):
            return _text(403, "This is not the name of this machine.\n")
        who = request.remote or ""
        query = request.query.get("token") if request.path == "/" else None
        authorization = bearer(request.headers.get("Authorization"))
        cookie = request.cookies.get(self._cookie)
        if self._wrong.left(who) < 1:
            return _text(429, "Too many wrong tokens; wait a minute.\n")
        if not self._access.credential(bearer=authorization, cookie=cookie, query=query):
            if (authorization, cookie, query) != (None, None, None):
                self._wrong.spend(who)
            return _text(401, _LOCKED)
        if request.method not in ("GET", "HEAD") or request.path == "/frames":
            origin, site = (request.headers.get(name) for name in ("Origin", "Sec-Fetch-Site"))
            if not self._access.origin(origin, site, host):
                return _text(403, "This comes from another page.\n")
        return None

    async def _finish_headers(
        self,
        request: web.BaseRequest,  # noqa: ARG002
        response: web.StreamResponse,
    ) -> None:
        response.headers.update(_HEADERS)
        response.headers.setdefault("Content-Security-Policy", _NOTHING)
        if not isinstance(response, web.WebSocketResponse):
            response.force_close()

    # What there is

    async def _show(self, request: web.Request) -> web.Response:
        """The page."""
        response = web.Response(text=self._page, content_type="text/html")
        host = request.host  # found good; Safari before 16 does not take 'self' for websockets
        response.headers["Content-Security-Policy"] = (
            f"{self._policy}; connect-src 'self' ws://{host} wss://{host}"
        )
        if self._access.token is not None:
            response.set_cookie(
                self._cookie, self._access.cookie, httponly=True, samesite="Strict", path="/"
            )
        return response

    async def _tell(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """The stream's figures."""
        return web.json_response(self._figures()[1])

    async def _snapshot(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """The newest picture."""
        picture = await self._feed.newest()
        if picture is None:
            return _text(503, "There is no picture yet.\n")
        return web.Response(body=picture.jpeg, content_type="image/jpeg")

    async def _set_strength(self, request: web.Request) -> web.Response:
        """Take ``{"strength": 0.5}``; null: by the estimated noise."""
        if not self._posts.spend(request.remote or ""):
            return _text(429, "Too many changes at once.\n")
        if request.content_type != "application/json":  # no form of another page can send that
            return _text(415, "Send application/json.\n")
        try:
            value = (await request.json())["strength"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return _text(400, 'Send {"strength": 0.5}, or null for automatic.\n')
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (value is None or (number and 0 <= value <= 1)):
            return _text(400, "A strength lies between 0 and 1; null is automatic.\n")
        if self._control is None:
            return _text(409, "This stream has no strength to set.\n")
        try:
            self._control.set_strength(None if value is None else float(value))
        except SettingError as error:
            return _text(400, f"{error}\n")
        self._status = (-math.inf, {})
        return web.json_response(self._figures()[1])

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """Pictures, one for each time that the client asks."""
        socket = web.WebSocketResponse(
            timeout=1.0, autoping=False, max_msg_size=MAX_REQUEST, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        if len(self._viewers) >= CLIENTS or transport is None:
            reason = f"{CLIENTS} are looking already".encode()
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason)
            return socket
        self._viewers.add(transport)
        try:
            await self._converse(socket)
        except (TimeoutError, ConnectionError):
            _abort(transport)
        finally:
            self._viewers.discard(transport)
        return socket

    async def _converse(self, socket: web.WebSocketResponse) -> None:
        asks = Allowance(burst=60, rate=60)
        seen, told = 0, -math.inf
        while (heard := await socket.receive(timeout=IDLE)).type in (
            WSMsgType.TEXT,
            WSMsgType.PING,
            WSMsgType.PONG,
        ):
            if not asks.spend(""):
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
                return
            if heard.type == WSMsgType.PING:
                async with asyncio.timeout(SEND_DEADLINE):
                    await socket.pong(heard.data)
            if heard.type != WSMsgType.TEXT:
                continue
            picture = await self._feed.after(seen, PATIENCE)
            seen = seen if picture is None else picture.number
            when, figures = self._figures()
            content = message(figures if when > told else None, picture)
            told = when
            async with asyncio.timeout(SEND_DEADLINE):
                await socket.send_bytes(content)

    def _figures(self) -> tuple[float, dict[str, Any]]:
        """When they were taken, and the figures."""
        now = time.monotonic()
        if now - self._status[0] > STATUS_AGE:
            snapshot = {} if self._control is None else dict(self._control.snapshot())
            self._status = (now, snapshot)
        return self._status


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)


def _hashes(page: str) -> str:
    """The page's own script and style, for its content security policy."""

    def allow(tag: str) -> str:
        contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = (hashlib.sha256(content.encode()).digest() for content in contents)
        return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)

    return f"script-src {allow('script')}; style-src {allow('style')}"
