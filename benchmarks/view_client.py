"""Somebody who looks at a view and takes every picture that it offers, in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from typing import Any


def _watch(url: str, ready: Any, received: Any) -> None:
    import asyncio

    import aiohttp

    async def client() -> None:
        async with aiohttp.ClientSession() as session:
            ready.set()
            while True:
                # The view may open later than this, and ends with the stream.
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.ws_connect(f"{url}frames") as socket:
                        await socket.send_str("next")
                        async for _ in socket:
                            received.value += 1
                            await socket.send_str("next")
                await asyncio.sleep(0.01)

    asyncio.run(client())


@contextlib.contextmanager
def watched(url: str) -> Iterator[Any]:
    """Look at the view of an address, which may open later.

    Yields:
        How many messages came, as ``.value``.
    """
    context = multiprocessing.get_context("spawn")
    ready, received = context.Event(), context.Value("q", 0)
    client = context.Process(target=_watch, args=(url, ready, received), daemon=True)
    client.start()
    try:
        ready.wait()
        yield received
    finally:
        client.terminate()
        client.join()
