"""No decimal number stands in the prose that no cell prints or asserts: the chapter's own cells, or any for other pages."""

import ast
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


def asserted(code: str) -> list[str]:
    """Return the assertions of a cell: those of Python, and those of NumPy's testing functions."""
    found = []
    for node in ast.walk(ast.parse(code)):
        called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Assert) or called.startswith("assert_"):
            found.append(ast.get_source_segment(code, node))
    return found


@cache
def evidence(chapter: Path) -> list[float]:
    """Return every number that a chapter's cells assert, hidden cells included, and that its page prints."""
    notebook = nbformat.read(chapter, as_version=4)
    page = BeautifulSoup((ROOT / "_build" / "html" / "chapters" / f"{chapter.stem}.html").read_text("utf8"), "html.parser")
    texts = [text for cell in notebook.cells if cell.cell_type == "code" for text in asserted(cell.source)]
    texts += [output.get_text(" ") for output in page.select(".cell_output")]
    return [float(number.replace("_", "")) for text in texts for number in NUMBER.findall(text)]


def is_shown(number: str, shown: list[float]) -> bool:
    """Tell whether a number of the prose is one of those shown, rounded to as many digits."""
    mantissa, _, exponent = number.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return any(abs(float(number) - value) <= 0.5001 * unit for value in shown)


def test_a_literal_of_the_code_is_no_evidence():
    code = "x = 1.25\nassert f'{x:.2f}' == '2.25'\nnp.testing.assert_allclose(x, 3.25)\nprint(4.25)"
    assert asserted(code) == ["assert f'{x:.2f}' == '2.25'", "np.testing.assert_allclose(x, 3.25)"]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_every_decimal_of_the_prose_is_printed_or_asserted(book, chapter):
    shown = evidence(chapter)
    assert [number for number in DECIMAL.findall(prose(chapter)) if not is_shown(number, shown)] == []


@pytest.mark.parametrize("page", ["index.md", "chapters/notation.md"])
def test_every_decimal_outside_the_chapters_is_one_of_theirs(book, page):
    shown = [number for chapter in CHAPTERS for number in evidence(chapter)]
    numbers = DECIMAL.findall(prose(ROOT / page).replace("CC BY 4.0", ""))
    assert numbers
    assert [number for number in numbers if not is_shown(number, shown)] == []


def test_the_index_of_exhibits_takes_every_number_from_the_exhibits():
    assert DECIMAL.findall((ROOT / "chapters" / "figures-and-exhibits.md").read_text(encoding="utf8")) == []
