"""``camera:/dev/video2``: a virtual camera that other programs see, through pyvirtualcam.

It needs the kernel module v4l2loopback. pyvirtualcam is under the GPL, which is why no extra of
edgecae brings it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import FALLBACK_RATE, SinkSettings
from edgecae.redact import redacted

__all__ = ["VirtualCamera", "open_sink"]


class VirtualCamera:
    """Shows each frame on a device of v4l2loopback; opened again when frames change their size.

    Args:
        device: ``/dev/video2`` or the like.
        rate: nominal frames a second.

    Raises:
        SinkError: pyvirtualcam is not installed; or, with the first frame, the device can't be
            opened.
    """

    needs_original = False
    wants_slates = True
    recovers = True

    def __init__(self, device: str, rate: float) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise SinkError(
                f"virtual camera {device} needs pyvirtualcam (GPL): pip install pyvirtualcam"
            ) from error
        self.name = f"virtual camera {device}"
        self._library: Any = pyvirtualcam
        self._device, self._rate = device, rate
        self._camera: Any = None
        self._size: tuple[int, int] | None = None

    def _open(self, size: tuple[int, int]) -> None:
        self._close()
        height, width = size
        try:
            self._camera = self._library.Camera(width, height, self._rate, device=self._device)
        except (RuntimeError, OSError, ValueError) as error:
            raise SinkError(
                f"{self.name} can't show {width}×{height}: {error}; "
                f"sudo modprobe v4l2loopback makes one"
            ) from error
        self._size = size

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: the device can't be opened or written.
        """
        pixels = frame.pixels
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        height, width = pixels.shape[:2]
        if self._size != (height, width):
            self._open((height, width))
        try:
            self._camera.send(pixels)
        except (RuntimeError, OSError, ValueError) as error:
            self._close()  # the next frame opens it anew
            raise SinkError(f"{self.name} can't be written: {error}") from error

    def _close(self) -> None:
        camera, self._camera, self._size = self._camera, None, None
        if camera is not None:
            camera.close()

    def __enter__(self) -> VirtualCamera:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()


def open_sink(spec: str, settings: SinkSettings) -> VirtualCamera | None:
    """Open ``camera:DEVICE``; None for any other description.

    Raises:
        SinkError: no device is named.
    """
    if not spec.startswith("camera:"):
        return None
    device = spec.removeprefix("camera:")
    if not device.startswith("/dev/"):
        raise SinkError(
            f"sink {redacted(spec)!r}: a virtual camera is described as camera:/dev/video2"
        )
    return VirtualCamera(device, float(settings.source.rate or FALLBACK_RATE))
