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
import contextlib
import hashlib
import json
import math
import re
import time
from collections.abc import AsyncGenerator, Mapping
from importlib import resources
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from aiohttp.typedefs import Handler, Middleware

from edgecae.errors import SettingError
from edgecae.media.allowance import Allowance, client
from edgecae.media.http_server import MAX_REQUEST, HttpServer, text
from edgecae.media.sinks.view.access import Access, bearer, password
from edgecae.media.sinks.view.address import Listener
from edgecae.media.sinks.view.pictures import Feed, message
from edgecae.media.sinks.view.shown import STATUS_AGE, Shown
from edgecae.media.sinks.view.turns import Turns

__all__ = ["Server"]

CLIENTS = 8
"""How many may look at once."""

SEND_DEADLINE = 10.0
"""Seconds that a viewer may take to receive one picture."""

IDLE = 15.0
"""Seconds after which a viewer who asks for nothing has gone."""

PATIENCE = 1.0
"""Seconds that a viewer waits for a picture before it gets just the figures."""

REFUSAL_DELAY = 1.0
"""Seconds that a client waits for one more refusal, once it had many."""

_PICTURES = "/snapshot.jpg", "/stream.mjpeg"
"""What programs read that know of no tokens, but of a user and a password."""

_CAMERA = re.compile(r"^/cameras/[^/]*(?=/)")
"""The part of a path that names one of several cameras."""

_BOUNDARY = "edgecae-picture"
"""Between two pictures of MJPEG; clients take its length from here, so any would do."""

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_LOCKED = "Not without a token: open the address that was printed when the stream began.\n"


class Server:
    """Serves the pictures of one stream, or of several, until it is closed.

    Args:
        listener: closed together with the server.
        shown: what is shown, by name; see :meth:`show`.
        several: whether there is a page of all streams, and each one's own below
            ``/cameras/NAME/``; else the only stream is called ``""``, and its page is ``/``.
    """

    def __init__(
        self, listener: Listener, shown: Mapping[str, Shown], several: bool = False
    ) -> None:
        self._shown = shown
        self._access = Access(listener.token, listener.names, listener.loopback)
        port = listener.socket.getsockname()[1]
        self._cookie = f"edgecae-view-{port}"  # cookies are shared by all ports of a machine
        self._posts = Allowance(burst=20, rate=10)
        self._refusals = Allowance(burst=20, rate=0.5)
        self._viewers: set[asyncio.BaseTransport] = set()  # of all streams together
        self._changed = asyncio.Event()
        app = web.Application(client_max_size=MAX_REQUEST, middlewares=[self._guard()])
        base = "/cameras/{camera}" if several else ""
        app.router.add_get(f"{base}/", self._page("page.html"))
        app.router.add_get(f"{base}/status", self._tell)
        app.router.add_get(f"{base}/snapshot.jpg", self._snapshot)
        app.router.add_get(f"{base}/stream.mjpeg", self._stream)
        app.router.add_get(f"{base}/frames", self._watch)
        app.router.add_post(f"{base}/strength", self._set_strength)
        if several:
            app.router.add_get("/", self._page("cameras.html"))
            app.router.add_get("/status", self._tell_all)
            app.router.add_get("/frames", self._watch_all)
        self._server = HttpServer("view", listener.socket, app, [self._pump])

    def show(self, shown: Mapping[str, Shown]) -> None:
        """Show these from now on; may be called from any thread."""
        self._shown = shown
        self._server.call(self._changed.set)

    @property
    def viewers(self) -> int:
        """How many look at this moment."""
        each = (len(shown.viewers) for shown in self._shown.values())
        return sum(each, len(self._viewers))

    def close(self) -> None:
        """Stop, whatever clients do; takes a second at most."""
        self._server.close()

    async def _pump(self) -> None:
        """Hand out the pictures of all that is shown, without end."""
        pumps: dict[Feed, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                feeds = {shown.feed for shown in self._shown.values()}
                for feed in pumps.keys() - feeds:
                    pumps.pop(feed).cancel()
                for feed in feeds - pumps.keys():
                    pumps[feed] = asyncio.create_task(feed.pump())
                change = asyncio.create_task(self._changed.wait())
                await asyncio.wait([change, *pumps.values()], return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
                for feed in [feed for feed, pump in pumps.items() if pump.done()]:
                    pumps.pop(feed).result()  # what it failed with; all begin anew
        finally:
            for pump in pumps.values():
                pump.cancel()

    # Every request

    def _asked(self, request: web.Request) -> Shown:
        """What a request is about.

        Raises:
            web.HTTPNotFound: there is no such camera, or not any more.
        """
        shown = self._shown.get(request.match_info.get("camera", ""))
        if shown is None:
            raise web.HTTPNotFound(text="There is no such camera.\n")
        return shown

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
        path = _CAMERA.sub("", request.path)
        query = request.query.get("token") if path == "/" else None
        authorization = bearer(header("Authorization"))
        if authorization is None and path in _PICTURES:
            authorization = password(header("Authorization"))
        cookie = request.cookies.get(self._cookie)
        if not self._access.credential(bearer=authorization, cookie=cookie, query=query):
            refusal = text(401, _LOCKED)
            if path in _PICTURES and "Authorization" not in request.headers:
                # Programs of FFmpeg's keep the password of their URL until they are asked for it.
                refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="edgecae", charset="UTF-8"'
            return refusal
        opened = path != "/frames" and self._access.opened(
            request.method, header("Sec-Fetch-Mode"), header("Sec-Fetch-Dest")
        )
        if not opened and not self._access.origin(header("Origin"), header("Sec-Fetch-Site"), host):
            return text(403, "This comes from another page.\n")
        return None

    # What there is

    def _page(self, name: str) -> Handler:
        """Make the handler that answers with a page."""
        page = resources.files(__package__).joinpath(name).read_text("utf-8")
        policy = f"{_NOTHING}; {_hashes(page)}; img-src 'self' data:"

        async def show(request: web.Request) -> web.StreamResponse:
            if request.match_info.get("camera"):
                self._asked(request)
            response = web.Response(text=page, content_type="text/html")
            # Found good; Safari before 16 does not take 'self' for websockets.
            host = request.headers["Host"]
            response.headers["Content-Security-Policy"] = (
                f"{policy}; connect-src 'self' ws://{host} wss://{host}"
            )
            if self._access.token is not None:
                response.set_cookie(
                    self._cookie, self._access.cookie, httponly=True, samesite="Strict", path="/"
                )
            return response

        return show

    async def _tell(self, request: web.Request) -> web.Response:
        """The stream's figures."""
        return web.json_response(self._asked(request).figures()[1])

    async def _tell_all(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """The figures of all streams."""
        return web.json_response(self._all_figures())

    def _all_figures(self) -> dict[str, Any]:
        return {"cameras": {name: shown.figures()[1] for name, shown in self._shown.items()}}

    async def _snapshot(self, request: web.Request) -> web.Response:
        """The newest picture."""
        picture = await self._asked(request).feed.newest()
        if picture is None:
            return text(503, "There is no picture yet.\n")
        return web.Response(body=picture.jpeg, content_type="image/jpeg")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Pictures without end, each in place of the one before: MJPEG."""
        shown, transport = self._asked(request), request.transport
        if len(shown.viewers) >= CLIENTS or transport is None:
            return text(503, f"{CLIENTS} are looking already.\n")
        response = web.StreamResponse()
        response.content_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        shown.viewers.add(transport)
        try:
            with self._server.lasting(transport):
                await response.prepare(request)
                if request.method == "GET":  # no HEAD
                    await self._send_pictures(shown, response, transport)
        except (TimeoutError, ConnectionError):
            transport.abort()
        finally:
            shown.viewers.discard(transport)
        return response

    async def _send_pictures(
        self, shown: Shown, response: web.StreamResponse, transport: asyncio.BaseTransport
    ) -> None:
        """Send pictures, each as a part, until the client goes; a slow one misses some."""
        seen = 0
        while not transport.is_closing():
            picture = await shown.feed.after(seen, PATIENCE)
            if picture is None:
                if shown not in self._shown.values():  # its camera went
                    return
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
        shown = self._asked(request)
        if shown.control is None:
            return text(409, "This stream has no strength to set.\n")
        try:
            shown.control.set_strength(None if value is None else float(value))
        except SettingError as error:
            return text(400, f"{error}\n")
        shown.forget()
        return web.json_response(shown.figures()[1])

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """Pictures of one stream, one for each time that the client asks."""
        shown = self._asked(request)
        return await self._converse(request, shown.viewers, self._messages(shown))

    async def _watch_all(self, request: web.Request) -> web.StreamResponse:
        """Pictures of all streams, one for each time that the client asks."""
        return await self._converse(request, self._viewers, self._messages_of_all())

    async def _messages(self, shown: Shown) -> AsyncGenerator[bytes, None]:
        """What one stream's viewer gets; ends when the stream is no longer shown."""
        seen, told = 0, -math.inf
        while shown in self._shown.values():
            picture = await shown.feed.after(seen, PATIENCE, before=True)
            seen = seen if picture is None else picture.number
            when, figures = shown.figures()
            yield message(figures if when > told else None, picture)
            told = when

    async def _messages_of_all(self) -> AsyncGenerator[bytes, None]:
        """What a viewer of all streams gets: in turns, of those that have something new."""
        turns, told = Turns(), -math.inf
        while True:
            feeds = {name: shown.feed for name, shown in self._shown.items()}
            name, picture = await turns.next(feeds, PATIENCE)
            now = time.monotonic()
            tell = now - told >= STATUS_AGE
            told = now if tell else told
            yield message(self._all_figures() if tell else None, picture, name)

    async def _converse(
        self,
        request: web.Request,
        viewers: set[asyncio.BaseTransport],
        messages: AsyncGenerator[bytes, None],
    ) -> web.StreamResponse:
        """Answer each ``next`` of a client with one message."""
        socket = web.WebSocketResponse(
            timeout=1.0, autoping=False, max_msg_size=MAX_REQUEST, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        if len(viewers) >= CLIENTS or transport is None:
            reason = f"{CLIENTS} are looking already".encode()
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason)
            return socket
        viewers.add(transport)
        try:
            with self._server.lasting(transport):
                async with contextlib.aclosing(messages):
                    await self._answer(socket, messages)
        except (TimeoutError, ConnectionError):
            transport.abort()
        finally:
            viewers.discard(transport)
        return socket

    async def _answer(
        self, socket: web.WebSocketResponse, messages: AsyncGenerator[bytes, None]
    ) -> None:
        asks = Allowance(burst=60, rate=60)
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
            content = await anext(messages, None)
            if content is None:
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"this camera went")
                return
            async with asyncio.timeout(SEND_DEADLINE):
                await socket.send_bytes(content)


def _hashes(page: str) -> str:
    """The page's own script and style, for its content security policy."""

    def allow(tag: str) -> str:
        contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = (hashlib.sha256(content.encode()).digest() for content in contents)
        return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)

    return f"script-src {allow('script')}; style-src {allow('style')}"
