"""A headless Chromium for tests of pages, driven by Selenium; without one its tests are skipped with the reason."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)


def _program(names: tuple[str, ...]) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no {' or '.join(names)} on this machine (Debian: apt-get install chromium chromium-driver)")
    return found


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A driver of a fresh browser whose profile and downloads are in a folder, and which opens no connection."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed (the dev extra has it)")
    options = webdriver.ChromeOptions()
    options.binary_location = _program(BROWSERS)
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1400,900",
        f"--user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    (folder / "downloads").mkdir(parents=True, exist_ok=True)
    service = webdriver.ChromeService(executable_path=_program(DRIVERS))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()
