"""Timestamps as files have them, missing, twice or out of order, made into a clock that rises."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["PacketTimes", "RisingClock"]

MAX_SETBACK = 1
"""Seconds that a timestamp may lie before the latest one and still be meant; one that lies further
back begins a new count, as in files that were joined."""


_REORDERED = 2
"""How many frames a decoder is taken to hold back where a file doesn't say when to decode them."""


class RisingClock:
    """Gives each frame or packet of a stream a time later than the one before.

    Good timestamps stay as they are. Where presentation times go back more often than decoding
    times (H.264 with B-frames in AVI, where the former are guesses), the latter count, as in
    FFmpeg's decoders.

    Args:
        time_base: of the timestamps, seconds.
        step: how long a frame lasts where nothing else is known, seconds.
        dts_only: presentation times are guesses from the start.
    """

    def __init__(self, time_base: Fraction, step: Fraction, dts_only: bool = False) -> None:
        self._step = max(1, round(step / time_base))
        self._setback = MAX_SETBACK / time_base
        self._dts_only = dts_only
        self._last: int | None = None
        self._offset = 0
        self._last_pts = self._last_dts = self._wrong_pts = self._wrong_dts = 0
        self._first_dts: int | None = None

    def next(self, pts: int | None, dts: int | None, step: int | None = None) -> int:
        """The time of the next frame, in units of the time base.

        Args:
            pts: when it is to be shown, as the file says; None: it doesn't.
            dts: when it was to be decoded, likewise.
            step: how long the one before lasts; None: the clock's own step.
        """
        step = step or self._step
        chosen = self._choose(pts, dts)
        if chosen is not None:
            chosen += self._offset
        if self._last is None:
            self._last = chosen or 0
        elif chosen is None:
            self._last += step
        elif chosen > self._last:
            self._last = chosen
        elif self._last - chosen > self._setback:
            self._offset += self._last + step - chosen
            self._last += step
        else:
            self._last += 1
        return self._last

    def _choose(self, pts: int | None, dts: int | None) -> int | None:
        """The timestamp to trust; see ``guess_correct_pts`` in FFmpeg's libavcodec/decode.c."""
        if self._dts_only:
            if dts is None:
                return None
            if self._first_dts is None:  # what the decoder held back until the first frame came
                self._first_dts = dts
            return dts - self._first_dts
        if dts is not None:
            self._wrong_dts += self._last_dts >= dts if self._last is not None else 0
            self._last_dts = dts
        if pts is not None:
            self._wrong_pts += self._last_pts >= pts if self._last is not None else 0
            self._last_pts = pts
        if pts is not None and (dts is None or self._wrong_pts <= self._wrong_dts):
            return pts
        return dts


class PacketTimes:
    """Gives packets that are copied times that an output takes.

    Args:
        time_base: of the timestamps, seconds.
        step: how long a packet lasts where nothing else is known, seconds.
    """

    def __init__(self, time_base: Fraction, step: Fraction) -> None:
        self._clock = RisingClock(time_base, step)
        self._begun = False

    def next(
        self, pts: int | None, dts: int | None, duration: int | None, reordered: bool
    ) -> tuple[int, int]:
        """When a packet is shown and when it is decoded: the latter rises, and comes first.

        Args:
            pts: when it is shown, as the file says; None: it doesn't.
            dts: when it is decoded, likewise.
            duration: how long it lasts; 0 or None: unknown.
            reordered: whether packets may be shown in another order than they are decoded in.
        """
        if dts is None and not reordered:
            dts = pts
        elif dts is None and not self._begun and pts is not None:
            dts = pts - _REORDERED * (duration or 1)
        self._begun = True
        made = self._clock.next(dts, None, duration)
        moved = 0 if dts is None else made - dts
        return made if pts is None else max(made, pts + moved), made
