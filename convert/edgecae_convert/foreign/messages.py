"""Messages between a process and its worker: a line of JSON, then the bytes of an array or a file.

No message holds an object that has to be built from a description, as a pickle would.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array", "brief", "pack", "unpack"]

MAX_REASON = 200


def brief(error: Exception) -> str:
    """Make one line of what TensorFlow, Keras or HDF5 say in many."""
    lines = [each.strip() for each in str(error).split("\n") if each.strip()]
    if not lines:
        return type(error).__name__
    # Under a heading such as "in user code:" comes a traceback, and what it says last.
    return (lines[-1] if lines[0].endswith(":") else lines[0])[:MAX_REASON]


def pack(about: dict[str, Any], payload: NDArray[np.float32] | bytes = b"") -> bytes:
    """Make a message of a dictionary and of numbers (float32) or bytes."""
    if isinstance(payload, np.ndarray):
        about = {**about, "shape": payload.shape}
        payload = np.ascontiguousarray(payload, np.float32).tobytes()
    return json.dumps(about).encode() + b"\n" + payload


def unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Take a message apart.

    Raises:
        ValueError: it is no message.
    """
    line, _, payload = message.partition(b"\n")
    about = json.loads(line)
    if not isinstance(about, dict):
        raise ValueError("no message")
    return about, payload


def array(about: dict[str, Any], payload: bytes) -> NDArray[np.float32]:
    """Return the numbers of a message.

    Raises:
        ValueError: shape and bytes don't go together.
    """
    return np.frombuffer(payload, np.float32).reshape(about["shape"])
