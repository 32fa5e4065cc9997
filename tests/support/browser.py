"""A real browser without a window: Debian's Chromium, driven by Selenium, that may load nothing but files."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager

import pytest

REQUIRED = "HATCH_LAMBDA_TESTS_NEED_BROWSER"
"""Set where a missing browser is a failure, such as in CI, and not a reason to skip."""

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser(profile, *arguments):
    """Give a Chromium with the new, empty folder *profile*, or skip where there is none."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        reason = "no chromium and chromedriver: apt-get install chromium chromium-driver"
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location, driver_path = programs
    for argument in (*_ARGUMENTS, *arguments, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        yield driver
    finally:
        driver.quit()


def pretend(driver, *, width, height=900, dark=False):
    """Let the page believe that the screen and the system's theme are these."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def requests(driver):
    """Return the addresses that the page has asked for since the last call."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    sent = (one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent")
    return [url for url in sent if not url.startswith(("data:", "blob:"))]


def complaints(driver):
    """Return what the page has written to the console since the last call."""
    return [entry["message"] for entry in driver.get_log("browser")]
