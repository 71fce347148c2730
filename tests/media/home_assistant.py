"""A process that is Home Assistant with one camera of its integration MJPEG IP Camera.

    PYTHON home_assistant.py PORT MJPEG_URL STILL_URL PASSWORD

Adds the camera as its form in the browser does. Prints as JSON what became of the form; and of what
Home Assistant then serves on that port: how many pictures its stream had in two seconds, and the
size of a still image. It needs a Python with homeassistant, aiohttp-cors, PyTurboJPEG and janus.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from typing import Any

import aiohttp
from homeassistant import auth, config_entries, loader
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry,
    device_registry,
    entity,
    entity_registry,
    issue_registry,
    restore_state,
    translation,
)
from homeassistant.setup import async_setup_component


async def started(folder: str, port: int) -> HomeAssistant:
    """As much of Home Assistant as a camera needs."""
    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    translation.async_setup(hass)
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    for each in (area_registry, device_registry, entity_registry, issue_registry):
        await each.async_load(hass)
    entity.async_setup(hass)
    await hass.config_entries.async_initialize()
    await restore_state.async_load(hass)
    hass.auth = await auth.auth_manager_from_config(hass, [], [])
    where = {"server_host": ["127.0.0.1"], "server_port": port}
    assert await async_setup_component(hass, "http", {"http": where})
    await hass.async_start()
    return hass


async def look(hass: HomeAssistant, port: int) -> dict[str, Any]:
    """What somebody gets who looks at the camera in Home Assistant."""
    (state,) = hass.states.async_all("camera")
    where = f"http://127.0.0.1:{port}/api/camera_proxy{{}}/{state.entity_id}"
    token = {"token": state.attributes["access_token"]}
    content = b""
    async with aiohttp.ClientSession() as session:
        async with session.get(where.format(""), params=token) as answer:
            still = await answer.read()
        async with session.get(where.format("_stream"), params=token) as answer:
            try:
                async with asyncio.timeout(2):
                    async for part in answer.content.iter_any():
                        content += part
            except TimeoutError:
                pass
    return {"still": len(still), "pictures": content.count(b"\xff\xd8\xff")}


async def main(port: int, mjpeg: str, still: str, password: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hass = await started(folder, port)
        flows = hass.config_entries.flow
        form = await flows.async_init("mjpeg", context={"source": "user"})
        filled = {"name": "door", "mjpeg_url": mjpeg, "still_image_url": still}
        filled |= {"username": "edgecae", "password": password, "verify_ssl": True}
        result = await flows.async_configure(form["flow_id"], filled)
        await hass.async_block_till_done()
        seen = await look(hass, port) if result["type"] == "create_entry" else {}
        print(json.dumps({"form": result["type"], "errors": result.get("errors"), **seen}))
        await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
