"""The web server of a view (extra ``view``).

Nobody who connects can slow the stream or another viewer: the limits are those of
:mod:`edgecae.media.http_server`, and a connection that becomes a websocket has its own. A
websocket's client asks for each message with the word ``next`` and gets the newest picture, or
after a second without one just the figures; so never more than one is on its way. MJPEG has no such
word: there, the next picture is chosen when the one before has gone to the kernel.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import re
import time
from importlib import resources
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from aiohttp.typedefs import Handler, Middleware

from edgecae.errors import SettingError
from edgecae.media.allowance import Allowance, client
from edgecae.media.http_server import MAX_REQUEST, HttpServer, text
from edgecae.media.sinks.base import Control
from edgecae.media.sinks.view.access import Access, bearer, password
from edgecae.media.sinks.view.address import Listener
from edgecae.media.sinks.view.pictures import Feed, message

__all__ = ["Server"]

CLIENTS = 8
"""How many may look at once."""

SEND_DEADLINE = 10.0
"""Seconds that a viewer may take to receive one picture."""

IDLE = 15.0
"""Seconds after which a viewer who asks for nothing has gone."""

PATIENCE = 1.0
"""Seconds that a viewer waits for a picture before it gets just the figures."""

STATUS_AGE = 0.25
"""Seconds that figures are good for: they cost the stream some work."""

REFUSAL_DELAY = 1.0
"""Seconds that a client waits for one more refusal, once it had many."""

_PICTURES = "/snapshot.jpg", "/stream.mjpeg"
"""What programs read that know of no tokens, but of a user and a password."""

_BOUNDARY = "edgecae-picture"
"""Between two pictures of MJPEG; clients take its length from here, so any would do."""

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
        self._feed, self._control = feed, control
        self._access = Access(listener.token, listener.names, listener.loopback)
        port = listener.socket.getsockname()[1]
        self._cookie = f"edgecae-view-{port}"  # cookies are shared by all ports of a machine
        self._page = resources.files(__package__).joinpath("page.html").read_text("utf-8")
        self._policy = f"{_NOTHING}; {_hashes(self._page)}; img-src 'self' data:"
        self._posts = Allowance(burst=20, rate=10)
        self._refusals = Allowance(burst=20, rate=0.5)
        self._viewers: set[asyncio.BaseTransport] = set()
        self._status: tuple[float, dict[str, Any]] = (-math.inf, {})
        app = web.Application(client_max_size=MAX_REQUEST, middlewares=[self._guard()])
        app.router.add_get("/", self._show)
        app.router.add_get("/status", self._tell)
        app.router.add_get("/snapshot.jpg", self._snapshot)
        app.router.add_get("/stream.mjpeg", self._stream)
        app.router.add_get("/frames", self._watch)
        app.router.add_post("/strength", self._set_strength)
        self._server = HttpServer("view", listener.socket, app, [feed.pump])

    @property
    def viewers(self) -> int:
        """How many look at this moment."""
        return len(self._viewers)

    def close(self) -> None:
        """Stop, whatever clients do; takes a second at most."""
        self._server.close()

    # Every request

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._refuse(request)
            if refusal is None:
                return await handler(request)
            if not self._refusals.spend(client(request.remote or "")):
                # Whoever has what opens the view never comes here. A page that asks on and on from
                # inside a viewer's browser waits, and takes up no connection of the viewer's.
                await asyncio.sleep(REFUSAL_DELAY)
                if hdrs.WWW_AUTHENTICATE not in refusal.headers:
                    return text(429, "Too many requests that were refused; wait a minute.\n")
            return refusal

        return guard

    def _refuse(self, request: web.Request) -> web.Response | None:
        """An answer for who may not have what is asked for."""
        header = request.headers.get
        host = header("Host", "")
        # A request line may name a host as well, and aiohttp believes that one.
        if not self._access.host(host) or request.host != host:
            return text(403, "This is not the name of this machine.\n")
        query = request.query.get("token") if request.path == "/" else None
        authorization = bearer(header("Authorization"))
        if authorization is None and request.path in _PICTURES:
            authorization = password(header("Authorization"))
        cookie = request.cookies.get(self._cookie)
        if not self._access.credential(bearer=authorization, cookie=cookie, query=query):
            refusal = text(401, _LOCKED)
            if request.path in _PICTURES and "Authorization" not in request.headers:
                # Programs of FFmpeg's keep the password of their URL until they are asked for it.
                refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="edgecae", charset="UTF-8"'
            return refusal
        opened = request.path != "/frames" and self._access.opened(
            request.method, header("Sec-Fetch-Mode"), header("Sec-Fetch-Dest")
        )
        if not opened and not self._access.origin(header("Origin"), header("Sec-Fetch-Site"), host):
            return text(403, "This comes from another page.\n")
        return None

    # What there is

    async def _show(self, request: web.Request) -> web.Response:
        """The page."""
        response = web.Response(text=self._page, content_type="text/html")
        host = request.headers[
            "Host"
        ]  # found good; Safari before 16 does not take 'self' for websockets
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
            return text(503, "There is no picture yet.\n")
        return web.Response(body=picture.jpeg, content_type="image/jpeg")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Pictures without end, each in place of the one before: MJPEG."""
        transport = request.transport
        if len(self._viewers) >= CLIENTS or transport is None:
            return text(503, f"{CLIENTS} are looking already.\n")
        response = web.StreamResponse()
        response.content_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        self._viewers.add(transport)
        try:
            with self._server.lasting(transport):
                await response.prepare(request)
                if request.method == "GET":  # no HEAD
                    await self._send_pictures(response, transport)
        except (TimeoutError, ConnectionError):
            transport.abort()
        finally:
            self._viewers.discard(transport)
        return response

    async def _send_pictures(
        self, response: web.StreamResponse, transport: asyncio.BaseTransport
    ) -> None:
        """Send pictures, each as a part, until the client goes; a slow one misses some."""
        seen = 0
        while not transport.is_closing():
            picture = await self._feed.after(seen, PATIENCE)
            if picture is None:
                continue
            seen = picture.number
            head = (
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                f"Content-Length: {len(picture.jpeg)}\r\n\r\n"
            )
            async with asyncio.timeout(SEND_DEADLINE):
                await response.write(head.encode() + picture.jpeg + b"\r\n")

    async def _set_strength(self, request: web.Request) -> web.Response:
        """Take ``{"strength": 0.5}``; null: by the estimated noise."""
        if not self._posts.spend(client(request.remote or "")):
            return text(429, "Too many changes at once.\n")
        if request.content_type != "application/json":  # no form of another page can send that
            return text(415, "Send application/json.\n")
        try:
            value = json.loads(await request.read())["strength"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return text(400, 'Send {"strength": 0.5}, or null for automatic.\n')
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (value is None or (number and 0 <= value <= 1)):
            return text(400, "A strength lies between 0 and 1; null is automatic.\n")
        if self._control is None:
            return text(409, "This stream has no strength to set.\n")
        try:
            self._control.set_strength(None if value is None else float(value))
        except SettingError as error:
            return text(400, f"{error}\n")
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
            with self._server.lasting(transport):
                await self._converse(socket)
        except (TimeoutError, ConnectionError):
            transport.abort()
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


def _hashes(page: str) -> str:
    """The page's own script and style, for its content security policy."""

    def allow(tag: str) -> str:
        contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = (hashlib.sha256(content.encode()).digest() for content in contents)
        return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)

    return f"script-src {allow('script')}; style-src {allow('style')}"
