"""A stream of frames on its way to an RTSP server."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import SinkSettings
from edgecae.media.sinks.rtsp.session import Address, Session, parse
from edgecae.media.sinks.rtsp.tracks import (
    FIRST_PAYLOAD_TYPE,
    RtpTrack,
    describe_h264,
    describe_sound,
    sdp,
)
from edgecae.media.sound import SoundQueue
from edgecae.media.video.encoder import FrameEncoder
from edgecae.media.video.sound_track import SoundTrack, open_track, zero_of
from edgecae.timeout import PendingCalls, StillRunningError, call_with_timeout

__all__ = ["RtspSink"]

TIMEOUT = 4.0
"""Seconds that a server may take for an answer, or may take nothing: less than a stream waits for
its sinks at the end."""


class RtspSink:
    """Publishes frames under a URL, and connects anew where that broke off.

    Args:
        url: with user and password, if the server wants them.
        settings: ``source``, ``codec``, ``encoding`` and ``sound`` are used.

    Raises:
        SinkError: PyAV is not installed, the URL is none, or the encoder can't do what is asked.
    """

    needs_original = False
    wants_slates = True
    recovers = True
    reconnects = True  # for as long as it takes, even if there is no other sink
    watched = True  # by people: a file is published at its own pace

    def __init__(self, url: str, settings: SinkSettings) -> None:
        self._address = parse(url)
        self.name = self._address.name
        try:
            import av
        except ImportError as error:
            raise SinkError(f"{self.name}: needs PyAV: pip install 'edgecae[video]'") from error
        self._failures = av.FFmpegError, ValueError
        self._settings = settings
        self._pending = PendingCalls()
        self._lock = threading.Lock()
        self._publication: _Publication | None = None
        self._ended = False
        self._sound = settings.listen()
        self._try_encoder()

    def _try_encoder(self) -> None:
        """Find out now what no waiting will help."""
        frame = Frame(np.zeros((48, 64, 3), np.uint8), 0.0)
        try:
            trial = _Publication(self._address, self._settings, frame, None)
            try:
                trial.write(frame, lambda description, tracks: _NoSession())
            finally:
                trial.close()
        except self._failures as error:
            raise SinkError(f"{self.name}: {error}") from error

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`; after a failure, connects anew.

        Raises:
            SinkRefusedError: the server refuses the user or password.
            SinkError: the server is not there, or took nothing for :data:`TIMEOUT` seconds.
        """
        with self._lock:
            frame = _plain(frame)
            kind = frame.pixels.shape, self._sound.kind if self._sound is not None else None
            if self._publication is not None and self._publication.kind != kind:
                self._close()
            try:
                if self._publication is None:
                    self._publication = _Publication(
                        self._address, self._settings, frame, self._sound
                    )
                self._publication.write(frame, self._connect)
            except self._failures as error:
                self._close()
                why = getattr(error, "strerror", None) or error
                raise SinkError(f"{self.name}: {why}") from error
            except BaseException:  # a lack of memory too leaves what can't be gone on with
                self._close()
                raise
            if self._ended:
                self._close()

    def _connect(self, description: str, tracks: int) -> Session:
        """Open a session in time, even if no server says what address a name has."""
        failure: SinkError
        try:
            return call_with_timeout(
                TIMEOUT + 0.5,
                lambda: Session(self._address, description, tracks, TIMEOUT),
                lambda session: session.close(),
                key=self._address.url,
                pending=self._pending,
            )
        except StillRunningError as error:
            failure = SinkError(f"{self.name}: {error}")
        except SinkError:
            raise
        except TimeoutError:
            failure = SinkError(f"{self.name}: no answer within {TIMEOUT:g} s")
        try:
            raise failure
        finally:
            del failure  # else it and its traceback keep each other in memory

    def _close(self) -> None:
        publication, self._publication = self._publication, None
        if publication is not None:
            publication.close()

    def __enter__(self) -> RtspSink:
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        if self._sound is not None:
            self._sound.close()
        publication = self._publication
        if not self._lock.acquire(timeout=0.1):
            if publication is not None:  # whose server takes nothing
                publication.abort()
            if not self._lock.acquire(timeout=1):
                return  # whoever writes closes it
        try:
            self._close()
        finally:
            self._lock.release()


class _Publication:
    """One connection's worth: an encoder, what makes packets, and the session.

    Args:
        address: of the server.
        settings: see :class:`RtspSink`.
        frame: the first one, not written yet.
        sound: that goes along; None: none.

    Attributes:
        kind: shape of the frames, and kind of the sound: others need another session.
    """

    def __init__(
        self, address: Address, settings: SinkSettings, frame: Frame, sound: SoundQueue | None
    ) -> None:
        self.kind = frame.pixels.shape, sound.kind if sound is not None else None
        self._session: Session | None = None
        now = round(time.time() * 1e6)
        self._track = RtpTrack(0, now)
        self._audio: RtpTrack | None = None
        self._sound: SoundTrack | None = None
        try:
            self._encoder = FrameEncoder(
                address.name,
                self._track.container,
                settings.codec,
                settings.source.rate,
                True,
                settings.encoding,
            )
            self._encoder.open(frame)
            if self.kind[1] is not None:
                self._audio = RtpTrack(1, now)
                self._sound = open_track(sound, self._audio.container, address.name)
        except BaseException:
            self.close()
            raise
        self._begin = frame.pts

    def write(self, frame: Frame, connect: Any) -> None:
        """Encode and send a frame; the first one opens the session, which is told what it is."""
        if frame.pts is not None:
            frame = replace(frame, pts=frame.pts - (self._begin or 0))
        packets = self._encoder.encode(frame)
        if self._session is None:
            if not packets:
                return
            self._session = connect(*self._description(bytes(packets[0])))
        made = self._track.rtp(packets)
        if self._audio is not None and self._sound is not None:
            made += self._audio.rtp(self._sound.packets(zero_of(frame)))
        self._session.send(made)

    def _description(self, content: bytes) -> tuple[str, int]:
        """What the server is told of the tracks, and how many there are."""
        media = [describe_h264(FIRST_PAYLOAD_TYPE, content)]
        if self._sound is not None:
            media.append(describe_sound(FIRST_PAYLOAD_TYPE + 1, self._sound.kind))
        return sdp(media), len(media)

    def abort(self) -> None:
        """See :meth:`Session.abort`."""
        if self._session is not None:
            self._session.abort()

    def close(self) -> None:
        """End the session; what the encoder holds back is lost, which is nothing."""
        if self._session is not None:
            self._session.close()
        for track in (self._track, self._audio):
            if track is not None:
                track.close()


class _NoSession(Session):
    """What takes packets and sends them nowhere."""

    def __init__(self) -> None: ...

    def send(self, packets: Sequence[tuple[int, bytes]]) -> None:
        """See :class:`Session`."""

    def close(self) -> None:
        """See :class:`Session`."""


def _plain(frame: Frame) -> Frame:
    """The frame as most readers can show it: 8 bits, 4:2:0.

    An odd side loses its last row or column, since 4:2:0 has none.
    """
    height, width = (side - side % 2 for side in frame.pixels.shape[:2])
    if (height, width) != frame.pixels.shape[:2]:
        frame = replace(frame, pixels=frame.pixels[:height, :width].copy())
    if frame.stored is not None and frame.stored.picture is not None:
        frame = replace(frame, stored=replace(frame.stored, picture=None))
    return frame
