"""What the tests of the built book share: its pages, and a browser."""

import os
import shutil
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Error
from sphinx_external_toc.parsing import parse_toc_yaml

from paper import PROGRAMS, QUIET

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def book() -> Path:
    """Return the folder of the built book."""
    if fault := what_is_wrong():
        pytest.fail(fault, pytrace=False)
    return ROOT / "_build" / "html"


@cache
def what_is_wrong() -> str:
    """Return what keeps the built book from being tested, or nothing."""
    from _ext.chapters import digests  # slow to import, and needed only here

    stamp = ROOT / "_build" / "digests"
    if not (ROOT / "_build" / "html" / "index.html").is_file():
        return "The book is not built, so its tests cannot run: run make book."
    if not stamp.is_file() or stamp.read_text(encoding="utf8").split() != digests(ROOT):
        return "The book is older than what it is made of, so its tests cannot run: run make book."
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the tests that need the book keep one, which says so, where there is none or an old one."""
    _, *others = [item for item in items if "book" in getattr(item, "fixturenames", ())] or [None]
    if others and what_is_wrong():
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def pages() -> list[str]:
    """Return the names of the pages, in the book's order, as they stand in _toc.yml."""
    return list(parse_toc_yaml(ROOT / "_toc.yml"))


@pytest.fixture(scope="session")
def browser(launch_browser):
    """Start the machine's Chromium or Chrome, or else Playwright's own, in the place of pytest-playwright's browser."""
    for path in [*filter(None, map(shutil.which, PROGRAMS)), None]:
        try:
            started = launch_browser(executable_path=path, args=QUIET)
        except Error:  # not there, or not able to run
            continue
        yield started
        started.close()
        return
    excuse = "No Chromium or Chrome starts here, so what needs a browser was not tested."
    pytest.fail(excuse, pytrace=False) if os.environ.get("CI") else pytest.skip(excuse)


def pytest_generate_tests(metafunc):
    """Run the tests that ask for `name` on one page after the other, which is parsed once, and on the page of the search."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", [*parse_toc_yaml(ROOT / "_toc.yml"), "search"], scope="module")
