"""A real browser: headless Chromium, driven by Selenium."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and its driver are not installed",
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # small in containers, and Chromium hangs where it is full
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

ANSWER_SECONDS = 30
"""Selenium by itself waits for ever for a browser that hangs."""


@contextlib.contextmanager
def opened_browser(folder: Path, size: tuple[int, int]) -> Iterator[Any]:
    """A driver whose browser keeps its profile and its ``downloads`` in a folder.

    Args:
        folder: an empty one.
        size: of the window, width and height in pixels.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    downloads = folder / "downloads"
    downloads.mkdir()
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    sized = f"--window-size={size[0]},{size[1]}"
    for flag in (*FLAGS, sized, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(ANSWER_SECONDS)  # which the driver keeps
    try:
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    finally:
        socket.setdefaulttimeout(before)
    driver.downloads = downloads
    try:
        yield driver
    finally:
        driver.quit()
