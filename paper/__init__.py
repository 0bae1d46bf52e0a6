"""The book on paper: one PDF of all pages, printed by Chromium."""

import shutil
from ctypes import byref, c_long, create_string_buffer
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright
from pypdfium2 import PdfDocument, raw

ROOT = Path(__file__).parents[1]
HTML, PDF = ROOT / "_build" / "html", ROOT / "_build" / "pdf" / "cross-entropy-without-overflow.pdf"
PROGRAMS = ["chromium-headless-shell"]  # the quickest
PROGRAMS += ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
PROGRAMS += ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-component-update", "--disable-sync"]


def start(playwright: Playwright) -> Browser:
    """Start the machine's Chromium or Chrome, or else Playwright's own."""
    for path in [*filter(None, map(shutil.which, PROGRAMS)), None]:
        try:
            return playwright.chromium.launch(executable_path=path, args=QUIET)
        except Error:  # not there, or not able to run
            continue
    raise SystemExit("No Chromium or Chrome starts here, and the PDF needs one: .venv/bin/playwright install chromium")


def places(pdf: PdfDocument) -> dict[str, int]:
    """Return the number of the page of each place to which a link of the PDF leads."""
    found, name = {}, create_string_buffer(1000)
    for index in range(raw.FPDF_CountNamedDests(pdf)):
        size = c_long(len(name))
        place = raw.FPDF_GetNamedDest(pdf, index, name, byref(size))
        found[name.raw[: size.value - 2].decode("utf-16-le")] = raw.FPDFDest_GetDestPageIndex(pdf, place) + 1
    return found
