"""Every entry of the field guide has the cure first, then why, what shows it, where and threads, and the grid finds it."""

import re
from pathlib import Path

import nbformat
import pytest

GUIDE = Path(__file__).parents[2] / "chapters" / "why-is-my-loss-nan.ipynb"
CELLS = nbformat.read(GUIDE, as_version=4).cells
TEXT = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
HEADING = re.compile(r"\A\(guide-([\w-]+)\)=\n### (.+)\n\n(?:```\{index\} .+\n```\n\n)?\*\*Cure\.\*\* \S")
THREAD = re.compile(r"\[([\w.-]+)#(\d+)\]\(https://github\.com/[\w-]+/([\w.-]+)/issues/(\d+)\)")
TABS = re.compile(r'^<div class="tabs">\n(.+?)^</div>$', re.DOTALL | re.MULTILINE)
PANEL = re.compile(r'<section data-tab="(\w+)">\n\n```python\n(.+?)```\n\n</section>', re.DOTALL)
BACK = "[Back to what you see](#guide-table)"
START = re.compile(r"\(guide-([\w-]+)\)=\n### ")
STARTS = [i for i, cell in enumerate(CELLS) if cell.cell_type == "markdown" and START.match(cell.source)]
NAMES = [START.match(CELLS[i].source)[1] for i in STARTS]


@pytest.fixture(params=STARTS, ids=NAMES)
def entry(request):
    """Return the cells of an entry: heading, cure and cause; what shows it; a table in one entry; where and threads."""
    end = next(i for i in range(request.param, len(CELLS)) if BACK in CELLS[i].source)
    return CELLS[request.param : end + 1]


def words(path):
    """Count words as a reader does: no fences, formulas, link targets, labels and tags."""
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    text = re.sub(r"(?sm)^```.*?^```\s*$|\$\$.*?\$\$", " ", text)
    text = re.sub(r"\$[^$\n]*\$|\]\([^)]*\)|</?\w[^>]*>|^\([\w-]+\)=$", " ", text, flags=re.MULTILINE)
    return len(re.findall(r"\S*\w\S*", text))


def test_entries_are_many_and_each_has_a_name_of_its_own():
    assert len(set(NAMES)) == len(NAMES) >= 43
    assert len({HEADING.search(CELLS[i].source)[2] for i in STARTS}) == len(NAMES)


def test_what_one_sees_stands_under_the_title_and_leads_to_every_entry_in_order():
    grid = CELLS[1].source
    assert grid.startswith("(guide-table)=\n## What do you see?\n")
    linked = re.findall(r"^  - \[.+\]\(#guide-([\w-]+)\)$", grid, re.MULTILINE)
    assert list(dict.fromkeys(linked)) == NAMES


def test_every_link_within_the_guide_finds_its_place():
    sections = re.findall(r"^\(guide-([\w-]+)\)=\n##", TEXT, re.MULTILINE)
    assert set(re.findall(r"\(#guide-([\w-]+)\)", TEXT)) <= {*NAMES, *sections}


def test_an_entry_has_the_cure_first_then_why_what_shows_it_where_and_threads(entry):
    first, *shown, last = entry
    assert HEADING.search(first.source)
    assert len(re.split(r"^\*\*Why\.\*\* \S", first.source, flags=re.MULTILINE)) == 2
    assert {cell.cell_type for cell in shown} == {"code"}
    where, _, threads = last.source.partition(" **Threads.** ")
    assert where.startswith("**Where.** ")
    assert THREAD.search(threads)
    assert last.source.endswith(f"\n\n{BACK}")


def test_what_shows_it_is_short_and_folded_beyond_six_lines(entry):
    lines = [line for line in entry[1].source.splitlines() if line.strip()]
    assert len(lines) <= 15
    assert ("hide-input" in entry[1].metadata.get("tags", [])) == (len(lines) > 6)
    assert any(line.lstrip().startswith("print(") for line in lines)
    assert any(re.match(r"\s*(assert |np\.testing\.assert_)", line) for line in lines)


def test_lines_to_copy_come_for_three_libraries_each_under_its_name():
    blocks = TABS.findall(TEXT)
    assert len(blocks) >= 14
    for block in blocks:
        panels = PANEL.findall(block)
        assert [name for name, _ in panels] == ["Keras", "PyTorch", "JAX"]
        assert all(code.startswith(f"# {name}") for name, code in panels)  # on paper all are shown
        assert max(len(line) for _, code in panels for line in code.splitlines()) <= 85  # what a line of the page holds


def test_the_guide_calls_functions_by_the_names_that_a_reader_can_look_up():
    code = "\n".join(cell.source for cell in CELLS)
    assert not re.search(r"\b(sigmoid|softmax|sparse)_op\b", code)


def test_a_thread_is_called_by_the_repository_and_number_that_it_links_to():
    assert TEXT.count("https://github.com/") == len(THREAD.findall(TEXT))
    assert not [link for link in THREAD.findall(TEXT) if link[:2] != link[2:]]


LIMITS = {"why-is-my-loss-nan": 5500, "which-loss-to-call": 1100, "when-lost-digits-stop-a-training": 1800}


def test_no_chapter_is_long_and_the_book_is_not():
    lengths = {path.stem: words(path) for path in GUIDE.parent.glob("*.ipynb")}
    assert {name: length for name, length in lengths.items() if length > LIMITS.get(name, 2300)} == {}
    assert sum(lengths.values()) <= 41_000
