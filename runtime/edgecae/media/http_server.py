"""An HTTP server that strangers may reach: aiohttp, in a thread and an event loop of its own.

The view and the metrics answer through it (extras ``view`` and ``metrics``). Nobody who connects
can take more than a share of the process: each connection makes one request and has so many seconds
for it, there are only so many connections, and where there is no room, the oldest one that is not
done makes room for the newest. What goes wrong with a request is one line, and seldom.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgecae.media.allowance import Allowance, client

__all__ = ["HttpServer", "text"]

log = logging.getLogger(__name__)

MAX_CONNECTIONS, MAX_CONNECTIONS_EACH = 64, 32
"""Open ones at most, of all clients and of one."""

DEADLINE = 20.0
"""Seconds that a request may take from its connection to the last byte of its answer."""

MAX_REQUEST = 1024
"""Bytes of a request's body."""

QUIET = 60.0
"""Seconds between two lines about the same kind of trouble."""

_RETRY = 1.0
"""Seconds until work that failed begins anew."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class HttpServer:
    """Serves an application until it is closed.

    Args:
        name: for logs.
        listening: a socket that listens; closed together with the server.
        app: not started yet. Its answers get headers that forbid a browser what it need not do.
        work: is run beside it, and again when it fails.
    """

    def __init__(
        self,
        name: str,
        listening: socket.socket,
        app: web.Application,
        work: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._name, self._socket, self._app, self._work = name, listening, app, work
        app.middlewares.insert(0, self._guard())
        app.on_response_prepare.append(_finish_headers)
        self._connects = Allowance(burst=60, rate=30)
        self._open: dict[asyncio.BaseTransport, str] = {}  # and whose; the oldest first
        self._lasting: set[asyncio.BaseTransport] = set()
        self._said: dict[str, tuple[float, int]] = {}
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(
            lambda _, context: self._say("a connection", context.get("exception"))
        )
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def lasting(self, transport: asyncio.BaseTransport) -> Iterator[None]:
        """The connection has no deadline and makes no room for others while the block runs."""
        self._lasting.add(transport)
        try:
            yield
        finally:
            self._lasting.discard(transport)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the thread of the server, soon; not at all where it has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """Stop, whatever clients do; takes a second at most."""
        self.call(self._stop.set)
        self._thread.join(2)
        self._socket.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        runner = web.AppRunner(
            self._app,
            access_log=None,
            handle_signals=False,
            logger=self._logger(),
            shutdown_timeout=0.2,
            auto_decompress=False,  # nothing that is asked here needs it
        )
        await runner.setup()
        assert runner.server is not None
        server = runner.server
        works = [lambda: self._accept(server), *self._work]
        tasks = [asyncio.create_task(self._keep_on(work)) for work in works]
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        for transport in self._open:
            _abort(transport)
        await runner.cleanup()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_on(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something that has no end; what ends it, such as a lack of memory, passes."""
        while True:
            try:
                await work()
            except Exception as error:
                self._say("a task", error)
            await asyncio.sleep(_RETRY)

    # Connections

    async def _accept(self, server: Callable[[], asyncio.BaseProtocol]) -> None:
        """Take connections, as many as there may be."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._socket)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    self._say("a connection", error)
                await asyncio.sleep(0.1)  # or the client has gone already
                continue
            who = client(str(peer[0]))
            if not self._connects.spend(who) or not self._make_room(who):
                connection.close()
                continue
            try:
                transport, _ = await loop.connect_accepted_socket(server, connection)
            except OSError:
                connection.close()
                continue
            self._open[transport] = who
            loop.call_later(DEADLINE, self._expire, transport)

    def _make_room(self, who: str) -> bool:
        """End the oldest connection of a client that has too many; False: none can be ended."""
        self._open = {t: w for t, w in self._open.items() if not t.is_closing()}
        owners = list(self._open.values())
        if owners.count(who) >= MAX_CONNECTIONS_EACH:
            crowding = who
        elif len(owners) >= MAX_CONNECTIONS:
            crowding = max(owners, key=owners.count)
        else:
            return True
        for transport, owner in self._open.items():
            if owner == crowding and transport not in self._lasting:
                _abort(transport)
                return True
        return False

    def _expire(self, transport: asyncio.BaseTransport) -> None:
        if transport not in self._lasting:
            _abort(transport)

    # Answers and words

    def _guard(self) -> Middleware:
        """Let nothing that a request causes become a traceback."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await handler(request)
            except (web.HTTPException, ConnectionError):
                raise
            except web.RequestPayloadError:
                return text(400, "This body can't be read.\n")
            except Exception as error:
                self._say("a request", error)
                return text(503, "This can't be answered now.\n")

        return guard

    def _logger(self) -> logging.Logger:
        """Make what aiohttp logs its errors to, with tracebacks."""
        logger = logging.Logger(self._name, logging.ERROR)
        handler = logging.Handler()
        handler.emit = lambda record: self._say(  # type: ignore[method-assign]
            "a request", record.exc_info[1] if record.exc_info else None
        )
        logger.addHandler(handler)
        return logger

    def _say(self, what: str, error: BaseException | None) -> None:
        """Log that something failed: one line, and none of what a client sent."""
        if isinstance(error, ConnectionError):  # the client has gone
            return
        now = time.monotonic()
        then, untold = self._said.get(what, (-math.inf, 0))
        if now - then < QUIET:
            self._said[what] = then, untold + 1
            return
        self._said[what] = now, 0
        more = f"; {untold} more since the last such line" if untold else ""
        reason = type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        log.warning("%s: %s failed: %s%s", self._name, what, reason, more)


async def _finish_headers(
    request: web.BaseRequest,  # noqa: ARG001
    response: web.StreamResponse,
) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not isinstance(response, web.WebSocketResponse):
        response.force_close()


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def text(status: int, words: str) -> web.Response:
    """Make an answer of plain text."""
    return web.Response(status=status, text=words)
