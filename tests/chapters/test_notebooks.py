"""Every chapter is a clean notebook, written by the template."""

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from markdown_it import MarkdownIt
from myst_nb.core.config import NbParserConfig, Section
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]
LISTED = set(parse_toc_yaml(ROOT / "_toc.yml"))  # pages without their suffixes
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
START_HERE = {"which-loss-to-call", "why-is-my-loss-nan"}  # pages that one searches: the template is for the others

TAGS = {f"{what}-{part}" for what in ("hide", "remove") for part in ("input", "output", "cell")}
TAGS |= {"remove-stderr", "raises-exception"}
MYSTNB_KEYS = {
    field.metadata.get("cell_key", field.name)
    for field in dataclasses.fields(NbParserConfig)
    if Section.cell_lvl in field.metadata.get("sections", ())
}
CLOSING_PARTS = ["In practice", "Summary", "Exercises", "Further reading"]
EXERCISE = re.compile(r"^[`:]{3,}\{exercise(?:-start)?\}.*\n(?:(?::(?!label).*\n)*:label: *(\S+))?", re.MULTILINE)
SOLUTION = re.compile(r"^[`:]{3,}\{solution(?:-start)?\} *(\S+)", re.MULTILINE)
INDEX = ROOT / "chapters" / "figures-and-exhibits.md"
SHOWN = re.compile(r'\bname"?: "?(fig-[\w-]+)')
INDEXED = re.compile(r"^ +- \{numref\}`(.+)`: ", re.MULTILINE)


def read(path):
    return nbformat.v4.reads(path.read_text(encoding="utf8"))  # unlike nbformat.read, repairs nothing


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return read(request.param)


@pytest.fixture(params=[path for path in CHAPTERS if path.stem not in START_HERE], ids=lambda path: path.stem)
def lesson(request):
    return read(request.param)


def sources(chapter, kind):
    return [cell.source for cell in chapter.cells if cell.cell_type == kind]


def headings(markdown, tag):
    tokens = MarkdownIt().disable("lheading").parse(markdown)  # a line of = in a formula underlines no heading
    return [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open" and token.tag == tag]


def test_the_table_of_contents_lists_every_chapter_and_nothing_that_is_not_there():
    notebooks = {path.relative_to(ROOT).with_suffix("").as_posix() for path in CHAPTERS}
    assert notebooks <= LISTED
    assert not [page for page in LISTED - notebooks if not (ROOT / f"{page}.md").is_file()]


def test_a_chapter_is_a_valid_notebook_of_format_4_5_for_python3(chapter):
    nbformat.validate(chapter)
    assert (chapter.nbformat, chapter.nbformat_minor) == (4, 5)
    assert chapter.metadata.kernelspec.name == "python3"


def test_a_chapter_is_stored_without_outputs(chapter):
    assert not [cell.id for cell in chapter.cells if cell.get("outputs") or cell.get("execution_count")]


def test_cell_ids_are_unique(chapter):
    ids = [cell.id for cell in chapter.cells]
    assert len(set(ids)) == len(ids)


def test_code_cells_fit_on_a_screen(chapter):
    assert not [cell.id for cell in chapter.cells if cell.cell_type == "code" and len(cell.source.splitlines()) > 30]


def test_cells_carry_only_tags_and_settings_that_myst_nb_knows(chapter):
    for cell in chapter.cells:
        assert TAGS.issuperset(cell.metadata.get("tags", [])), cell.id
        assert MYSTNB_KEYS.issuperset(cell.metadata.get("mystnb", {})), cell.id


def test_a_chapter_opens_with_its_title_and_what_the_reader_will_be_able_to_do(lesson):
    first, second, *_ = sources(lesson, "markdown")
    assert lesson.cells[0].source == first
    assert headings(first, "h1")
    assert re.search(r"^\*\*You will be able to\*\*", f"{first}\n{second}", re.MULTILINE)


def test_a_chapter_has_one_title_and_closes_with_the_parts_of_the_template(lesson):
    text = "\n\n".join(sources(lesson, "markdown"))
    assert len(headings(text, "h1")) == 1
    assert headings(text, "h2")[-len(CLOSING_PARTS) :] == CLOSING_PARTS


def test_a_chapter_has_two_or_three_exercises_each_with_its_solution_and_one_that_asks_for_a_prediction(lesson):
    cells = sources(lesson, "markdown")
    text = "\n\n".join(cells)
    exercises = EXERCISE.findall(text)
    assert 2 <= len(exercises) <= 3
    assert sorted(exercises) == sorted(SOLUTION.findall(text))
    assert any(EXERCISE.search(cell) and re.search(r"\bpredict\b", cell, re.IGNORECASE) for cell in cells)


def test_the_answer_to_each_prediction_is_folded(lesson):
    for cell, answer in pairwise(lesson.cells):
        if cell.cell_type == "markdown" and not EXERCISE.search(cell.source):
            *before, last = cell.source.split("\n\n")
            asks = last.startswith("**Predict**")
            assert not re.search(r"\bPredict\b", "\n\n".join([*before, last.removeprefix("**Predict**")])), cell.id
            assert not asks or "hide-output" in answer.metadata.get("tags", []), answer.id


def test_the_imports_are_folded(lesson):
    imports = next(cell for cell in lesson.cells if cell.cell_type == "code")
    assert imports.source.startswith(("import ", "from "))
    assert "hide-input" in imports.metadata.tags


def test_every_figure_has_a_caption_a_name_and_a_description(chapter):
    for cell in chapter.cells:
        settings = cell.metadata.get("mystnb", {})
        explorer = cell.source.startswith("explorer.show")  # which describes itself
        if "figure" in settings or "plt.show()" in cell.source or explorer:
            assert settings["figure"]["caption"].strip(), cell.id
            assert settings["figure"]["name"].startswith("fig-"), cell.id
            assert explorer or len(settings["image"]["alt"]) >= 40, cell.id


def test_the_index_lists_every_figure_and_every_explorer_in_the_order_of_the_book():
    pages = [next(ROOT.glob(f"{page}.*")).read_text(encoding="utf8") for page in parse_toc_yaml(ROOT / "_toc.yml")]
    assert INDEXED.findall(INDEX.read_text(encoding="utf8")) == SHOWN.findall("\n".join(pages))


def test_a_chapter_imports_the_helpers_before_a_framework_and_sets_no_variable_of_tensorflow(chapter):
    code = "\n".join(sources(chapter, "code"))
    first = {
        name: code.find(f"{name}") for name in re.findall(r"^(?:import|from) (?:helpers|jax|keras|tensorflow)\b", code, re.M)
    }
    frameworks = [place for name, place in first.items() if "helpers" not in name]
    assert not frameworks or min(first.values()) < min(frameworks)
    assert not re.search(r"TF_\w+", code)
