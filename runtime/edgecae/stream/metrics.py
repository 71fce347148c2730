"""Figures of a stream for Prometheus, through prometheus-client (extra ``metrics``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from edgecae.errors import SettingError
from edgecae.media import host_port

__all__ = ["address", "serve"]

_COUNTERS = {
    "frames_in": "Frames that the source gave.",
    "frames_out": "Frames that were denoised.",
    "dropped": "Frames of a live source that a newer one replaced.",
    "sink_dropped": "Frames that a slow sink did not get.",
    "broken": "Frames that could not be decoded.",
    "reconnects": "How often the source was opened again.",
}
_GAUGES = {
    "fps": "Frames a second of late.",
    "noise": "Estimated standard deviation of the noise, 0-255 scale.",
    "strength": "Share of the denoised picture in the result.",
    "offline_seconds": "For how long the source has been away; 0 while it is there.",
}
_QUANTILES = {"process": "Seconds of the denoiser.", "latency": "Seconds from source to last sink."}


class _Collector:
    """Asks the stream when Prometheus asks."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Any]:
        """See prometheus-client's custom collectors."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = self._snapshot()
        for key, text in _COUNTERS.items():
            yield CounterMetricFamily(f"edgecae_{key}", text, now[key])
        for key, text in _GAUGES.items():
            yield GaugeMetricFamily(f"edgecae_{key}", text, now[key] or 0.0)
        for key, text in _QUANTILES.items():
            family = GaugeMetricFamily(f"edgecae_{key}_seconds", text, labels=["quantile"])
            for percent in (50, 95, 99):
                family.add_metric([f"0.{percent}"], now[f"{key}_p{percent}_ms"] / 1000)
            yield family


def address(text: str) -> tuple[str, int]:
    """Host and port of ``PORT`` or ``HOST:PORT``; the host is 127.0.0.1 unless given.

    Raises:
        SettingError: it is neither.
    """
    try:
        host, port = host_port.parse(text)
    except ValueError as error:
        raise SettingError(f"metrics: {error}") from error
    if port is None:
        raise SettingError("metrics: an address is PORT or HOST:PORT")
    return host or "127.0.0.1", port


@contextlib.contextmanager
def serve(text: str, snapshot: Callable[[], dict[str, Any]]) -> Iterator[str]:
    """Answer ``/metrics`` at an address while the block runs; yields its URL.

    Args:
        text: see :func:`address`.
        snapshot: of :class:`edgecae.media.sinks.base.Control`.

    Raises:
        SettingError: prometheus-client or aiohttp is not installed, or the address can't be used.
    """
    host, port = address(text)
    try:
        from aiohttp import web
        from prometheus_client import CollectorRegistry, exposition

        from edgecae.media.http_server import MAX_REQUEST, HttpServer
    except ImportError as error:
        raise SettingError(
            "metrics need aiohttp and prometheus-client: pip install 'edgecae[metrics]'"
        ) from error
    registry = CollectorRegistry()
    registry.register(_Collector(snapshot))

    async def answer(request: web.Request) -> web.Response:
        try:
            encode, kind = exposition.choose_encoder(request.headers.get("Accept", ""))
        except (LookupError, TypeError, ValueError):  # whatever it makes of a wrong header
            encode, kind = exposition.choose_encoder("")
        return web.Response(body=encode(registry), headers={"Content-Type": kind})

    app = web.Application(client_max_size=MAX_REQUEST)
    app.router.add_get("/metrics", answer)
    app.router.add_get("/", answer)
    try:
        listening = host_port.listen(host, port)
    except OSError as error:
        raise SettingError(f"metrics at {text!r}: {error.strerror}") from error
    url = f"http://{host_port.bracketed(host)}:{listening.getsockname()[1]}/metrics"
    with contextlib.closing(HttpServer("metrics", listening, app)):
        yield url
