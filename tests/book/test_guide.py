"""Every entry of the field guide shows its symptom, cause, cure and threads, and is found by the tree and the index."""

import re
from pathlib import Path

import nbformat
import pytest

GUIDE = Path(__file__).parents[2] / "chapters" / "why-is-my-loss-nan.ipynb"
CELLS = nbformat.read(GUIDE, as_version=4).cells
HEADING = re.compile(r"\A\(guide-(\w+)\)=\n### ([A-Z]\d): (.+)", re.MULTILINE)
PARTS = ["Cause", "Cure", "Threads"]
THREAD = re.compile(r"\[([\w.]+)#(\d+)\]\(https://github\.com/[\w-]+/([\w.]+)/issues/(\d+)\)")
INDEX_LINK = re.compile(r"\[([A-Z]\d): [^\]]+\]\(#guide-(\w+)\)")
# Where an entry starts, and where it ends: at the next heading.
STARTS = [i for i, cell in enumerate(CELLS) if cell.cell_type == "markdown" and HEADING.search(cell.source)]
ENTRIES = [HEADING.search(CELLS[i].source)[2] for i in STARTS]


def is_shown(cell) -> bool:
    return "remove-cell" not in cell.metadata.get("tags", [])


def text_of(cells) -> str:
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.fixture(params=STARTS, ids=ENTRIES)
def entry(request):
    """Return the cells of one entry: the heading, the reproduction, the explanation."""
    first = request.param
    ends = [i for i in range(first + 1, len(CELLS)) if re.search(r"^##", CELLS[i].source, re.MULTILINE)]
    return [cell for cell in CELLS[first : ends[0]] if is_shown(cell)]


def test_entries_are_named_once_in_order_and_can_be_linked_to():
    assert len(set(ENTRIES)) == len(ENTRIES) >= 15
    assert [HEADING.search(CELLS[i].source)[1] for i in STARTS] == [name.lower() for name in ENTRIES]
    for letter in {name[0] for name in ENTRIES}:
        numbers = [int(name[1:]) for name in ENTRIES if name[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1))


def test_an_entry_is_a_heading_a_reproduction_and_an_explanation(entry):
    assert [cell.cell_type for cell in entry] == ["markdown", "code", "markdown"]
    assert HEADING.fullmatch(entry[0].source)  # the symptom, and nothing before the code


def test_a_reproduction_is_short_prints_what_is_seen_and_asserts_it(entry):
    lines = [line for line in entry[1].source.splitlines() if line.strip()]
    assert len(lines) <= 12
    assert any(line.lstrip().startswith("print(") for line in lines)
    assert any(re.match(r"\s*(assert |np\.testing\.assert_)", line) for line in lines)


def test_an_explanation_gives_cause_cure_and_threads_each_with_something_to_say(entry):
    pieces = re.split(r"^\*\*(\w+)\.\*\* ", entry[2].source, flags=re.MULTILINE)
    assert pieces[0] == ""
    assert pieces[1::2] == PARTS
    assert all(len(piece.strip()) >= 20 for piece in pieces[2::2])


def test_an_entry_links_to_a_chapter_and_to_a_thread(entry):
    _, _, cure, _, threads = re.split(r"\*\*(Cure|Threads)\.\*\* ", entry[2].source)
    assert re.search(r"\]\([a-z-]+\.ipynb\)", cure)
    assert THREAD.search(threads)
    assert not THREAD.search(cure)


def test_a_thread_is_called_by_the_repository_and_number_that_it_links_to():
    text = text_of(CELLS)
    assert text.count("https://github.com/") == len(THREAD.findall(text))
    assert not [link for link in THREAD.findall(text) if link[:2] != link[2:]]


def test_the_tree_its_description_and_the_index_lead_to_every_entry():
    figure = next(
        cell for cell in CELLS if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == "fig-guide-tree"
    )
    tree = figure.source.split('"""')[1]
    index = [name for name, _ in INDEX_LINK.findall(text_of(CELLS))]
    assert sorted(set(re.findall(r" ([A-Z]\d)(?=[|\n]|\Z)", tree))) == sorted(ENTRIES)
    assert sorted(set(re.findall(r"\b([A-Z]\d)\b", figure.metadata.mystnb.image.alt))) == sorted(ENTRIES)
    assert sorted(set(index)) == sorted(ENTRIES)
    assert re.findall(r" ([A-Z]\d)(?=[|\n]|\Z)", tree) == index  # line by line the same
    assert all(name.lower() == target for name, target in INDEX_LINK.findall(text_of(CELLS)))
