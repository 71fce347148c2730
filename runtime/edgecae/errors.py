"""The errors that edgecae raises on purpose.

Each is an :class:`EdgecaeError` and also the builtin that a caller would catch, so that both
``except EdgecaeError`` and ``except OSError`` do what they say. A message names what was given,
what was expected and what to do about it, in one line: the command line prints it as it is.
"""

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
    "SourceError",
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
