"""Every entry of the field guide shows its symptom, why, the cure, where and threads, and is found by the table."""

import re
from pathlib import Path

import nbformat
import pytest

GUIDE = Path(__file__).parents[2] / "chapters" / "why-is-my-loss-nan.ipynb"
CELLS = nbformat.read(GUIDE, as_version=4).cells
TEXT = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
HEADING = re.compile(r"\A\(guide-([\w-]+)\)=\n### (.+)(?:\n\n```\{index\} .+\n```)?\Z")
PARTS = ["Why", "Cure", "Where", "Threads"]
THREAD = re.compile(r"\[([\w.-]+)#(\d+)\]\(https://github\.com/[\w-]+/([\w.-]+)/issues/(\d+)\)")
STARTS = [i for i, cell in enumerate(CELLS) if cell.cell_type == "markdown" and HEADING.search(cell.source)]
NAMES = [HEADING.search(CELLS[i].source)[1] for i in STARTS]


@pytest.fixture(params=STARTS, ids=NAMES)
def entry(request):
    """Return the heading of an entry, the reproduction and the explanation; a table may follow."""
    return CELLS[request.param : request.param + 3]


def test_entries_are_many_and_each_has_a_name_of_its_own():
    assert len(set(NAMES)) == len(NAMES) >= 30
    assert len({HEADING.search(CELLS[i].source)[2] for i in STARTS}) == len(NAMES)


def test_the_table_leads_to_every_entry_in_their_order():
    table = TEXT[TEXT.index("## What do you see?") : TEXT.index("## The commonest causes")]
    linked = re.findall(r"\]\(#guide-([\w-]+)\)", table)
    assert list(dict.fromkeys(linked)) == NAMES


def test_every_link_within_the_guide_finds_its_place():
    sections = re.findall(r"^\(guide-([\w-]+)\)=\n##", TEXT, re.MULTILINE)
    assert set(re.findall(r"\(#guide-([\w-]+)\)", TEXT)) <= {*NAMES, *sections}


def test_an_entry_is_a_heading_a_reproduction_and_an_explanation(entry):
    assert [cell.cell_type for cell in entry] == ["markdown", "code", "markdown"]


def test_a_reproduction_is_short_prints_what_is_seen_and_asserts_it(entry):
    lines = [line for line in entry[1].source.splitlines() if line.strip()]
    assert len(lines) <= 15
    assert any(line.lstrip().startswith("print(") for line in lines)
    assert any(re.match(r"\s*(assert |np\.testing\.assert_)", line) for line in lines)


def test_an_explanation_has_its_four_parts_each_with_something_to_say(entry):
    pieces = re.split(r"^\*\*(\w+)\.\*\* ", entry[2].source, flags=re.MULTILINE)
    assert pieces[0] == ""
    assert pieces[1::2] == PARTS
    assert all(len(piece.strip()) >= 6 for piece in pieces[2::2])


def test_an_entry_ends_in_threads(entry):
    _, _, threads = entry[2].source.partition("**Threads.**")
    assert THREAD.search(threads)


def test_a_thread_is_called_by_the_repository_and_number_that_it_links_to():
    assert TEXT.count("https://github.com/") == len(THREAD.findall(TEXT))
    assert not [link for link in THREAD.findall(TEXT) if link[:2] != link[2:]]


@pytest.mark.parametrize(("page", "words"), [(GUIDE, 5500), (GUIDE.with_stem("which-loss-to-call"), 1100)])
def test_a_page_to_start_from_is_short(page, words):
    cells = nbformat.read(page, as_version=4).cells
    texts = [re.sub(r"```\{index\} .+\n```", "", cell.source) for cell in cells if cell.cell_type == "markdown"]
    assert sum(len(text.split()) for text in texts) <= words
