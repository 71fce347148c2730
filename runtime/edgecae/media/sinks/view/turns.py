"""Pictures of several feeds for one viewer, who gets them one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from edgecae.media.sinks.view.pictures import Feed, Picture

__all__ = ["Turns"]


class Turns:
    """Takes the next picture from the feed that waited longest, of those that have a new one."""

    def __init__(self) -> None:
        self._seen: dict[Feed, int] = {}
        self._order: list[str] = []  # the one that waited longest comes first

    async def next(self, feeds: Mapping[str, Feed], patience: float) -> tuple[str, Picture | None]:
        """The next picture, and the name of its feed.

        Args:
            feeds: by name; some may be others than the time before.
            patience: seconds.

        Returns:
            An empty name and None: no picture came for so long.
        """
        known = [name for name in self._order if name in feeds]
        self._order = [*(name for name in feeds if name not in known), *known]
        self._seen = {feed: self._seen.get(feed, 0) for feed in feeds.values()}
        tasks = {
            name: asyncio.create_task(feeds[name].after(self._seen[feeds[name]], patience))
            for name in self._order
        }
        try:
            if tasks:
                await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(patience)
            for name, task in tasks.items():
                if task.done() and (picture := task.result()) is not None:
                    self._seen[feeds[name]] = picture.number
                    self._order.remove(name)
                    self._order.append(name)
                    return name, picture
            return "", None
        finally:
            for task in tasks.values():
                task.cancel()
