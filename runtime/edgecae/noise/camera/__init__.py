"""The noise that is left in pictures that a camera has made: :class:`CameraNoise`."""

from edgecae.noise.camera.model import FORM, CameraNoise, parse_camera

__all__ = ["FORM", "CameraNoise", "parse_camera"]
