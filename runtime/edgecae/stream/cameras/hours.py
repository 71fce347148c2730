"""Hours of the day in which a camera is active."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Hours", "parse_hours"]

_FORM = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = 24 * 60


@dataclass(frozen=True)
class Hours:
    """Parts of each day.

    Attributes:
        parts: first and last minute of the day; the last one is not part of it. Where it is not
            after the first, it is that of the next day. Nothing at all: always.
        zone: where it is that time; None: the machine's own zone.
    """

    parts: tuple[tuple[int, int], ...] = ()
    zone: zoneinfo.ZoneInfo | None = None

    def active(self, moment: datetime.datetime) -> bool:
        """Whether a moment, which knows its time zone, is in one of the parts.

        The clock on the wall counts, so that a change to summer time moves them as it moves people.
        """
        if not self.parts:
            return True
        there = moment.astimezone(self.zone)
        minute = there.hour * 60 + there.minute
        return any(
            first <= minute < last if first < last else minute >= first or minute < last
            for first, last in self.parts
        )


def parse_hours(texts: Sequence[str], zone: str | None = None) -> Hours:
    """Read ``HH:MM-HH:MM``; ``22:00-06:00`` goes past midnight.

    Args:
        texts: the parts of a day.
        zone: as the IANA database names it, such as ``Europe/Berlin``; None: the machine's own.

    Raises:
        ValueError: a part has another form, or there is no such zone.
    """
    parts = []
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no part of a day such as 06:00-22:00")
        hours = [int(each) for each in match.groups()]
        first, last = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if hours[1] > 59 or hours[3] > 59 or first >= _DAY or last > _DAY or first == last:
            raise ValueError(f"{text!r} is no part of a day such as 06:00-22:00")
        parts.append((first, last))
    try:
        return Hours(tuple(parts), None if zone is None else zoneinfo.ZoneInfo(zone))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {zone!r}; one is Europe/Berlin") from None
