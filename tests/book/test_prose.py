"""No number stands in the prose that no cell shows: the chapter's own, or any chapter's for the pages around them."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?:e[-+]?\d+)?(?![\w.]*\d)")
NUMBER = re.compile(r"\d[\d_]*\.?\d*(?:e[-+]?\d+)?")


def prose(page: Path) -> str:
    """Return the text of a page without its code, options, links and citations."""
    if page.suffix == ".md":
        text = re.sub(r"\A---.*?^---$|^```\{code-cell\}.*?^```$", "", page.read_text("utf8"), flags=re.DOTALL | re.MULTILINE)
    else:
        text = "\n".join(cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "markdown")
    text = re.sub(r"\{cite\}`[^`]*`|\]\([^)]*\)|^:\w+:.*$", " ", text, flags=re.MULTILINE)
    return re.sub(r"\s*\\cdot\s*10\^\{?(-?\d+)\}?", r"e\1", text)


@cache
def evidence(chapter: Path) -> list[float]:
    """Return every number of a chapter's code, hidden cells included, and of what its cells printed."""
    notebook = nbformat.read(chapter, as_version=4)
    page = BeautifulSoup((ROOT / "_build" / "html" / "chapters" / f"{chapter.stem}.html").read_text("utf8"), "html.parser")
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    texts += [output.get_text() for output in page.select(".cell_output pre")]
    return [float(number.replace("_", "")) for text in texts for number in NUMBER.findall(text)]


def is_shown(number: str, shown: list[float]) -> bool:
    """Tell whether a number of the prose is one of those shown, rounded to as many digits."""
    mantissa, _, exponent = number.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return any(abs(float(number) - value) <= 0.5001 * unit for value in shown)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_every_decimal_of_the_prose_is_computed_or_asserted(chapter):
    shown = evidence(chapter)
    assert [number for number in DECIMAL.findall(prose(chapter)) if not is_shown(number, shown)] == []


@pytest.mark.parametrize("page", ["index.md", "chapters/notation.md"])
def test_every_decimal_outside_the_chapters_is_one_of_theirs(page):
    shown = [number for chapter in CHAPTERS for number in evidence(chapter)]
    numbers = DECIMAL.findall(prose(ROOT / page).replace("CC BY 4.0", ""))
    assert numbers
    assert [number for number in numbers if not is_shown(number, shown)] == []


def test_the_index_of_exhibits_takes_every_number_from_the_exhibits():
    assert DECIMAL.findall((ROOT / "chapters" / "figures-and-exhibits.md").read_text(encoding="utf8")) == []
