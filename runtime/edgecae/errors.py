"""The errors that edgecae raises on purpose.

Each is an :class:`EdgecaeError` and also the builtin that a caller would catch, so that both
``except EdgecaeError`` and ``except OSError`` do what they say. A message names what was given,
what was expected and what to do about it, in one line: the command line prints it as it is.
"""

from __future__ import annotations

import errno

__all__ = [
    "BackendError",
    "DataError",
    "EdgecaeError",
    "FrameError",
    "ModelFileError",
    "NoiseError",
    "OfflineError",
    "QualityError",
    "RecipeError",
    "RefusedError",
    "SettingError",
    "SinkError",
    "SinkRefusedError",
    "SourceError",
    "shortage",
]


class EdgecaeError(Exception):
    """Base of every error that edgecae raises on purpose."""


class ModelFileError(EdgecaeError, ValueError):
    """A model file that is missing, damaged, not fully int8 or not made for edgecae."""


class BackendError(EdgecaeError, RuntimeError):
    """The TFLite interpreter is missing, or it refused a model or a frame."""


class FrameError(EdgecaeError, ValueError):
    """An array that is not a frame: wrong dtype, rank, channels or an empty side."""


class NoiseError(EdgecaeError, ValueError):
    """A noise string that does not parse, or numbers out of range."""


class DataError(EdgecaeError, ValueError):
    """Training data that cannot be used."""


class RecipeError(EdgecaeError, ValueError):
    """A training recipe, a run directory or weights that do not fit what was asked."""


class QualityError(EdgecaeError, ValueError):
    """A converted model that lost more than it may."""


class SettingError(EdgecaeError, ValueError):
    """A setting that is out of its range."""


class SourceError(EdgecaeError, OSError):
    """A source of frames that cannot be opened or read."""


class OfflineError(SourceError):
    """A live source that gives no frames now and may give some later: worth another try."""


class RefusedError(SourceError):
    """A source that refuses the user or password: another try may lock a user out."""


class SinkError(EdgecaeError, OSError):
    """A sink of frames that cannot be opened or written."""


class SinkRefusedError(SinkError):
    """A server that refuses the user or password of a sink: another try may lock a user out."""


_SHORTAGES = {
    errno.EAGAIN: "the system has no more threads or memory",
    errno.EMFILE: "the process has no more file descriptors",
    errno.ENFILE: "the system has no more file descriptors",
    errno.ENOMEM: "there is no more memory",
}


def shortage(error: BaseException | None) -> str | None:
    """Say what an error, or what caused it, says that there is too little of now.

    Returns:
        Words for people, such as "there is no more memory"; None: the error means something else.
    """
    while error is not None:
        number = getattr(error, "errno", None)
        if number in _SHORTAGES:
            return _SHORTAGES[number]
        said = str(error)
        if isinstance(error, MemoryError) or (
            # A shared library that can't be loaded; glibc has no number for it.
            isinstance(error, ImportError) and ("allocate" in said or "failed to map" in said)
        ):
            return _SHORTAGES[errno.ENOMEM]
        if isinstance(error, RuntimeError) and said == "can't start new thread":
            return _SHORTAGES[errno.EAGAIN]
        error = error.__cause__
    return None
