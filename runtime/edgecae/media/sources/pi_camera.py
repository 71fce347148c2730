"""A camera of the Raspberry Pi as a source: libcamera, through picamera2.

``picamera2:`` is the first camera, ``picamera2:1`` the second. picamera2 comes from the system's
packages, not from pip: a virtual environment must be made with ``--system-site-packages``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from edgecae.errors import OfflineError, SourceError
from edgecae.media.frame import Frame
from edgecae.media.sources.base import SourceSettings
from edgecae.timeout import call_with_timeout

__all__ = ["PiCamera", "open_source"]

_SPEC = re.compile(r"picamera2:(?P<index>[0-9]{0,2})")

SIZE, RATE = (640, 480), Fraction(30)
"""What the camera gives where the user asks for nothing."""


class PiCamera:
    """A camera that libcamera knows.

    Args:
        index: of the camera, from 0.
        settings: what the user asks.

    Raises:
        OfflineError: it is not there, or, while it is read, silent for ``settings.stall``.
        SourceError: picamera2 is not installed.
    """

    live = True
    broken = 0

    def __init__(self, index: int, settings: SourceSettings) -> None:
        self.name = f"Pi camera {index}"
        self.rate = settings.rate or RATE
        self._settings = settings
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise SourceError(
                f"{self.name} needs picamera2: sudo apt install python3-picamera2, and a virtual "
                f"environment made with --system-site-packages"
            ) from error
        try:
            self._camera = call_with_timeout(
                settings.stall,
                lambda: self._start(Picamera2, index),
                _close,
                key=self.name,
                pending=settings.pending,
            )
        except Exception as error:  # libcamera and picamera2 raise whatever comes to hand
            raise OfflineError(
                f"{self.name} can't be opened: {error} (rpicam-hello --list-cameras)"
            ) from error

    def _start(self, picamera2: Any, index: int) -> Any:
        camera = picamera2(index)
        try:
            period = round(1e6 / self.rate)
            # picamera2 names a format by the order in a 32-bit word: its BGR888 is R, G, B in
            # memory, and its RGB888 is B, G, R.
            main = {"size": self._settings.size or SIZE, "format": "BGR888"}
            controls = {"FrameDurationLimits": (period, period)}
            camera.configure(camera.create_video_configuration(main=main, controls=controls))
            camera.start()
        except BaseException:
            _close(camera)
            raise
        return camera

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                # Not wait=SECONDS: older versions take any number for "wait for ever".
                job = self._camera.capture_request(wait=False)
                request = self._camera.wait(job, timeout=self._settings.stall)
            except TimeoutError:
                raise OfflineError(f"{self.name}: silent for {self._settings.stall:g} s") from None
            except Exception as error:
                raise OfflineError(f"{self.name}: {error}") from error
            try:
                picture = request.make_array("main")
                pixels = self._settings.buffers.take(picture.shape)
                pixels[...] = picture
            finally:
                request.release()  # or the camera runs out of buffers
            yield Frame(pixels, time.monotonic())

    def __enter__(self) -> PiCamera:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            # With the same key: while it is being closed, it can't be opened again either.
            call_with_timeout(
                self._settings.stall,
                lambda: _close(self._camera),
                key=self.name,
                pending=self._settings.pending,
            )
        except Exception as failure:
            if error[0] is None:
                raise OfflineError(f"{self.name} can't be closed: {failure}") from failure


def _close(camera: Any) -> None:
    """Stop a camera and give it back."""
    # A frame that is still asked for would keep it from stopping.
    if hasattr(camera, "cancel_all_and_flush"):
        camera.cancel_all_and_flush()
    camera.close()


def open_source(spec: str, settings: SourceSettings) -> PiCamera | None:
    """Open ``picamera2:``; None for any other description."""
    match = _SPEC.fullmatch(spec)
    return PiCamera(int(match["index"] or 0), settings) if match else None
