"""The browser that opens the pages: the machine's own Chromium or Chrome, if it has one."""

import os
import shutil

import pytest
from playwright.sync_api import Error

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
BROWSERS += ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def browser(launch_browser):
    """Start the machine's Chromium or Chrome, or else Playwright's own, in the place of pytest-playwright's browser."""
    for path in [*filter(None, map(shutil.which, BROWSERS)), None]:
        try:
            started = launch_browser(executable_path=path, args=QUIET)
        except Error:  # not there, or not able to run
            continue
        yield started
        started.close()
        return
    excuse = "No Chromium or Chrome starts here, so what needs a browser was not tested."
    pytest.fail(excuse, pytrace=False) if os.environ.get("CI") else pytest.skip(excuse)
