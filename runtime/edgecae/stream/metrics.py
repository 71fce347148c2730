"""Figures of a stream for Prometheus, through prometheus-client (extra ``metrics``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edgecae.errors import SettingError
from edgecae.media import host_port

__all__ = ["address", "serve", "serve_cameras"]

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


_CAMERA_GAUGES = {"up": "1 while the camera's frames are denoised, else 0."}
_CAMERA_COUNTERS = {"restarts": "How often the camera was begun again after a failure."}


class _Collector:
    """Asks the streams when Prometheus asks.

    Args:
        snapshots: returns the figures of each stream by its camera.
        labelled: whether that is a label; else there is just one stream.
    """

    def __init__(
        self, snapshots: Callable[[], Mapping[str, dict[str, Any]]], labelled: bool
    ) -> None:
        self._snapshots, self._labelled = snapshots, labelled

    def collect(self) -> Iterator[Any]:
        """See prometheus-client's custom collectors."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = self._snapshots()
        counters, gauges = dict(_COUNTERS), dict(_GAUGES)
        if self._labelled:
            now = {name: {**each, "up": each["state"] == "running"} for name, each in now.items()}
            counters |= _CAMERA_COUNTERS
            gauges |= _CAMERA_GAUGES
        for kind, families in ((CounterMetricFamily, counters), (GaugeMetricFamily, gauges)):
            for key, text in families.items():
                family = kind(f"edgecae_{key}", text, labels=self._labels())
                for name, each in now.items():
                    family.add_metric(self._values(name), float(each[key] or 0.0))
                yield family
        for key, text in _QUANTILES.items():
            labels = [*self._labels(), "quantile"]
            family = GaugeMetricFamily(f"edgecae_{key}_seconds", text, labels=labels)
            for name, each in now.items():
                for percent in (50, 95, 99):
                    values = [*self._values(name), f"0.{percent}"]
                    family.add_metric(values, each[f"{key}_p{percent}_ms"] / 1000)
            yield family

    def _labels(self) -> list[str]:
        return ["camera"] if self._labelled else []

    def _values(self, name: str) -> list[str]:
        return [name] if self._labelled else []


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


def serve(
    text: str, snapshot: Callable[[], dict[str, Any]]
) -> contextlib.AbstractContextManager[str]:
    """Answer ``/metrics`` at an address while the block runs; yields its URL.

    Args:
        text: see :func:`address`.
        snapshot: of :class:`edgecae.media.sinks.base.Control`.

    Raises:
        SettingError: prometheus-client or aiohttp is not installed, or the address can't be used.
    """
    return _serve(text, _Collector(lambda: {"": snapshot()}, False))


def serve_cameras(
    text: str, snapshots: Callable[[], Mapping[str, dict[str, Any]]]
) -> contextlib.AbstractContextManager[str]:
    """Do the same for several streams, each figure with the label ``camera``.

    Args:
        text: see :func:`address`.
        snapshots: by camera; those of :class:`edgecae.stream.cameras.camera.CameraStream`.

    Raises:
        SettingError: as :func:`serve`.
    """
    return _serve(text, _Collector(snapshots, True))


@contextlib.contextmanager
def _serve(text: str, collector: _Collector) -> Iterator[str]:
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
    registry.register(collector)

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
