"""A file of several cameras, TOML (extra ``cameras``)."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from edgecae import models
from edgecae.errors import ModelFileError, SettingError
from edgecae.media.numbers import parse_bits, parse_rate, parse_size
from edgecae.media.sinks.base import Encoding
from edgecae.media.sinks.pipe import is_pipe
from edgecae.media.sources.base import SourceSettings
from edgecae.nearest import nearest_setting
from edgecae.redact import redacted
from edgecae.stream.cameras.hours import Hours, parse_hours
from edgecae.stream.session import Session

__all__ = ["Camera", "CameraSettings", "Cameras", "Common", "File", "read"]

MAX_CAMERAS = 64

_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MAX_NAME = 40

Count = Annotated[int, msgspec.Meta(ge=1)]
Threads = Annotated[int, msgspec.Meta(ge=1, le=64)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Common(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, rename="kebab"):
    """What all cameras may have in common, ``[defaults]`` in a file.

    All settings but the last two are options of ``edgecae stream``.

    Attributes:
        sink: one description or a list of them; ``{camera}`` is the camera's name. Standard output
            and views are none: the one can't be shared, the other is ``view`` of the whole file.
        model: name of a shipped model, or a file.
        backend: TFLite interpreter.
        strength: share of the denoised picture; ``auto``: by the noise of each frame.
        size: ``WIDTHxHEIGHT`` that a camera shall give.
        fps: frames a second that a camera shall give, a number or ``30000/1001``.
        pixel_format: of a camera, as FFmpeg names it.
        stall: seconds; a source that is silent for so long is opened again.
        max_pixels: of a frame.
        segment: seconds after which a recording goes on in another file.
        hang: seconds that one frame may take before the camera begins anew.
        codec: of recordings.
        crf: their quality.
        bitrate: bits a second in its place, a number or ``4M``.
        preset: speed of their encoder.
        overwrite: whether a recording may replace a file that is there at the start.
        no_audio: whether the sound of a network stream is left out.
        active: hours of the day, a list such as ``["06:00-22:00"]``; none: always.
        timezone: of ``active``, such as ``Europe/Berlin``; unless given, the machine's own.
    """

    sink: str | list[str] | UnsetType = UNSET
    model: str | UnsetType = UNSET
    backend: Literal["auto", "litert", "tflite-runtime"] | UnsetType = UNSET
    strength: Literal["auto"] | Share | UnsetType = UNSET
    size: str | UnsetType = UNSET
    fps: str | Positive | UnsetType = UNSET
    pixel_format: str | UnsetType = UNSET
    stall: Positive | UnsetType = UNSET
    max_pixels: Count | UnsetType = UNSET
    segment: Seconds | UnsetType = UNSET
    hang: Positive | UnsetType = UNSET
    codec: str | UnsetType = UNSET
    crf: NotNegative | UnsetType = UNSET
    bitrate: str | Count | UnsetType = UNSET
    preset: str | UnsetType = UNSET
    overwrite: bool | UnsetType = UNSET
    no_audio: bool | UnsetType = UNSET
    active: list[str] | UnsetType = UNSET
    timezone: str | UnsetType = UNSET


class Camera(Common, forbid_unknown_fields=True, frozen=True, kw_only=True, rename="kebab"):
    """One camera, ``[cameras.NAME]`` in a file.

    Attributes:
        source: as ``edgecae stream --source`` takes it; standard input is none.
    """

    source: str


class File(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, rename="kebab"):
    """What belongs to the process, at the top of a file.

    Attributes:
        threads: CPU cores that the networks of all cameras together may use; unless given, all.
        view: ``[HOST:]PORT`` of a web page with all cameras; unless given, there is none.
        metrics: ``[HOST:]PORT`` of figures for Prometheus; unless given, there are none.
        defaults: what each camera has that does not say otherwise.
    """

    threads: Threads | UnsetType = UNSET
    view: str | UnsetType = UNSET
    metrics: str | UnsetType = UNSET
    defaults: Common = Common()


@dataclass(frozen=True)
class CameraSettings:
    """One camera; equal to another if both were written alike.

    Attributes:
        name: letters, digits, ``-`` and ``_``.
        written: its settings, with those that all cameras have.
        session: what streams it.
        hours: in which it is active.
    """

    name: str
    written: dict[str, Any] = field(repr=False)
    session: Session = field(compare=False)
    hours: Hours = field(compare=False, default_factory=Hours)


@dataclass(frozen=True)
class Cameras:
    """A whole file.

    Attributes:
        cameras: by name, in the order of the file.
        threads: see :class:`File`; None: all cores.
        view: likewise; None: there is none.
        metrics: likewise.
    """

    cameras: dict[str, CameraSettings]
    threads: int | None = None
    view: str | None = field(default=None, repr=False)
    metrics: str | None = None


def read(path: Path, expanded: Callable[[str], str] = lambda text: text) -> Cameras:
    """Read a file of cameras.

    Args:
        path: of the file.
        expanded: makes of a source, a sink or an address what it stands for, such as the first
            line of a file for ``@FILE``.

    Raises:
        SettingError: it can't be read, is no TOML, has a setting that does not exist or does not
            fit, or two cameras that write to the same place.
    """
    try:
        # Editors of Windows begin a file with a byte order mark, which TOML has not.
        tables = msgspec.toml.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise SettingError(f"cameras {path} can't be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"cameras {path}: {error}") from error
    try:
        return _parse(tables, expanded)
    except (ValueError, ModelFileError) as error:
        raise SettingError(f"cameras {path}: {error}") from error


def _parse(tables: dict[str, Any], expanded: Callable[[str], str]) -> Cameras:
    found = tables.pop("cameras", {})
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ValueError("cameras are tables: [cameras.NAME]")
    try:
        file = msgspec.convert(tables, File)
    except msgspec.ValidationError as error:
        near = nearest_setting(str(error), File)
        if not near.startswith("; did") and "unknown field" in str(error):
            near = f"{near}, cameras"
        raise ValueError(f"{error}{near}") from error
    if not 0 < len(found) <= MAX_CAMERAS:
        raise ValueError(
            f"it has {len(found) or 'no'} cameras: give 1 to {MAX_CAMERAS} tables [cameras.NAME]"
        )
    view = None if file.view is UNSET else expanded(file.view)
    cameras: dict[str, CameraSettings] = {}
    places: dict[str, str] = {}
    for name, table in found.items():
        try:
            camera = _camera(name, {**_given(file.defaults), **table}, expanded)
            if not camera.session.sinks and view is None:
                raise ValueError("it has no sink; give one, or view at the top of the file")
            for sink in camera.session.sinks:
                other = places.setdefault(sink, name) if sink != "null:" else name
                if other != name:
                    raise ValueError(
                        f"{redacted(sink)!r} is a sink of camera {other!r} already; "
                        "{camera} stands for the name of a camera"
                    )
        except (ValueError, ModelFileError) as error:
            raise ValueError(f"camera {redacted(name)!r}: {error}") from error
        cameras[name] = camera
    return Cameras(
        cameras,
        None if file.threads is UNSET else file.threads,
        None if view is None else view.removeprefix("view:"),
        None if file.metrics is UNSET else file.metrics,
    )


def _given(table: Common) -> dict[str, Any]:
    """The settings of a table that were given, as they stand in the file."""
    settings: dict[str, Any] = msgspec.to_builtins(table)
    return settings


def _camera(name: str, table: dict[str, Any], expanded: Callable[[str], str]) -> CameraSettings:
    """Check one camera.

    Raises:
        ValueError: its name or a setting does not fit.
        ModelFileError: there is no such model.
    """
    if not 0 < len(name) <= _MAX_NAME or set(name) - set(_NAME):
        raise ValueError(f"a name has up to {_MAX_NAME} letters, digits, - and _")
    try:
        given = msgspec.convert(table, Camera)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}{nearest_setting(str(error), Camera)}") from error
    source = expanded(given.source)
    if source == "-" or source.startswith("raw:"):
        raise ValueError("standard input can't be shared; stream it in a process of its own")
    written: str | list[str] = [] if given.sink is UNSET else given.sink
    listed = [written] if isinstance(written, str) else written
    sinks = [expanded(each).replace("{camera}", name) for each in dict.fromkeys(listed)]
    for sink in sinks:
        if is_pipe(sink):
            raise ValueError("standard output can't be shared; stream it in a process of its own")
        if sink.startswith("view:"):
            raise ValueError("a view shows all cameras: give view = 'PORT' at the top of the file")
    model = models.DEFAULT if given.model is UNSET else given.model
    models.find_model(model)
    session = Session(
        source,
        sinks,
        model,
        camera=SourceSettings(
            **_set(
                size=_read(given.size, parse_size),
                rate=_read(given.fps, lambda value: parse_rate(str(value))),
                pixel_format=given.pixel_format,
                stall=given.stall,
                max_pixels=given.max_pixels,
            )
        ),
        encoding=Encoding(
            **_set(
                crf=given.crf,
                bitrate=_read(given.bitrate, lambda value: parse_bits(str(value))),
                preset=given.preset,
                audio=_read(given.no_audio, lambda value: not value),
            )
        ),
        **_set(
            backend=given.backend,
            strength=_read(given.strength, lambda value: None if value == "auto" else value),
            segment=given.segment,
            hang=given.hang,
            codec=given.codec,
            overwrite=given.overwrite,
        ),
    )
    active = [] if given.active is UNSET else given.active
    hours = parse_hours(active, None if given.timezone is UNSET else given.timezone)
    return CameraSettings(name, {**table, "source": source, "sink": sinks}, session, hours)


def _set(**values: Any) -> dict[str, Any]:
    """Those of the values that were given."""
    return {name: value for name, value in values.items() if value is not UNSET}


def _read(value: Any, parse: Callable[[Any], Any]) -> Any:
    """Parse a value, if there is one."""
    return value if value is UNSET else parse(value)
