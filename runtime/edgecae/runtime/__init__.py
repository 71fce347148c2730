"""The runtime: model files, the denoiser, sources and sinks of frames."""

from edgecae.runtime.denoiser import Denoiser

__all__ = ["Denoiser"]
