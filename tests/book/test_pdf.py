"""The PDF: whole, with numbers of pages that are right, bookmarks, and links that lead somewhere."""

import re
import subprocess
import sys
from collections import Counter
from ctypes import POINTER, c_double, c_ushort, cast, create_string_buffer
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup
from pypdfium2 import PdfDocument, raw
from sphinx_external_toc.parsing import parse_toc_yaml

from paper import PDF, ROOT, places

A4 = (595, 842)  # points
PROSE = 14.25  # pixels: 9/8 of the 9.5 points of paper/paper.css
PAGES = list(parse_toc_yaml(ROOT / "_toc.yml"))


def squeezed(text: str) -> str:
    """Return a text without the white space, since lines are broken anew, and with plain hyphens."""
    return re.sub(r"[\s\u200b]+", "", text.replace("\ufffe", "-"))  # a hyphen at the end of a line, as PDFium gives it


@pytest.fixture(scope="module")
def pdf(book, browser):
    """Print the book, unless it was printed since it was built."""
    subprocess.run([sys.executable, "-m", "paper"], cwd=ROOT, check=True)
    with PdfDocument(PDF) as document:
        yield document


@pytest.fixture(scope="module")
def sheets(pdf):
    """Return the lines of each sheet: its running head, its number, and then its text."""
    return [[squeezed(line) for line in page.get_textpage().get_text_range().splitlines()] for page in pdf]


@pytest.fixture(scope="module")
def whole(sheets):
    """Return the text of all sheets."""
    return "".join("".join(lines[2:]) for lines in sheets)


@pytest.fixture(scope="module")
def source(pdf):
    """Return the joined pages that were printed."""
    return BeautifulSoup(PDF.with_suffix(".html").read_text(encoding="utf8"), "html.parser")


def test_every_sheet_but_the_cover_is_numbered_a4(pdf):
    assert len(pdf) > 200
    assert {tuple(map(round, page.get_size())) for page in pdf} == {A4}
    feet = [squeezed(page.get_textpage().get_text_bounded(bottom=0, top=50)) for page in pdf]
    assert feet == ["", *(str(number) for number in range(2, len(pdf) + 1))]


def test_every_chapter_begins_where_the_contents_say_and_stands_in_the_running_head(pdf, sheets, source):
    begins = places(pdf)
    heads = [lines[0] for lines in sheets]
    contents = "".join("".join(lines) for lines in sheets[1 : begins["index--"] - 1])
    links = source.select("nav > ul > li > a")
    assert [link["href"] for link in links] == [f"#{page.rpartition('/')[2]}--" for page in PAGES[1:]]
    for link in links:
        title, first = squeezed(link.get_text()), begins[link["href"][1:]]
        assert f"{title}{first}" in contents
        assert (heads.index(title) + 1, heads[first - 2] == title) == (first, False)


def test_every_heading_is_a_bookmark(pdf, source):
    headings = [squeezed(heading.get_text()) for heading in source.select("h1, h2, h3, h4")]
    assert len(headings) > 400
    assert [squeezed(bookmark.get_title()) for bookmark in pdf.get_toc()] == headings


def test_no_heading_ends_a_sheet(pdf):
    for bookmark in pdf.get_toc():
        place = bookmark.get_dest()
        top = place.get_view()[1][1]
        below = squeezed(pdf[place.get_index()].get_textpage().get_text_bounded(bottom=50, top=top + 3))
        assert not below.endswith(squeezed(bookmark.get_title())[-20:])  # the end of it, if it takes two lines


def test_lists_that_lead_to_pages_name_the_sheets(pdf, whole, source):
    begins = places(pdf)
    links = source.select(".leading :is(td, li) a[href^='#']:not(:has(.katex, .term))")
    assert len(links) > 150
    assert [link for link in links if squeezed(f"{link.get_text()}p.{begins[link['href'][1:]]}") not in whole] == []


def test_no_link_is_dead(pdf, source):
    targets = {link["href"][1:] for link in source.select("a[href^='#']")}
    assert len(targets) > 500
    assert targets <= places(pdf).keys()
    elsewhere = {link["href"] for link in source.select("a[href]:not([href^='#'])")}
    assert [address for address in elsewhere if not address.startswith(("https://", "http://", "mailto:"))] == []


def test_it_is_tagged_and_has_a_title_and_a_language(pdf):
    assert raw.FPDFCatalog_IsTagged(pdf)
    language = create_string_buffer(20)
    raw.FPDFCatalog_GetLanguage(pdf, cast(language, POINTER(c_ushort)), len(language))
    assert language.raw.decode("utf-16-le").partition("\0")[0] == "en"
    assert pdf.get_metadata_value("Title") == "Cross-Entropy Without Overflow"


def test_nothing_wide_has_shrunk_the_sheets(pdf):
    """Chromium prints all sheets smaller if one line is too long for them, so the space between lines of prose tells."""
    gaps, y = Counter(), c_double()
    for page in pdf:
        text = page.get_textpage()
        prose = [i for i in range(text.count_chars()) if abs(raw.FPDFText_GetFontSize(text, i) - PROSE) < 0.01]
        heights = {round(y.value, 1) for i in prose if raw.FPDFText_GetCharOrigin(text, i, c_double(), y)}
        gaps.update(round(above - below, 1) for below, above in pairwise(sorted(heights)))
    # 1.45 times the size is 20.7 pixels, so two of three lines stand 21 apart, and the others 20; 1 % is not seen
    assert gaps.most_common(1)[0][0] == pytest.approx(21 * 0.75, rel=0.012)


def test_no_cell_of_a_table_covers_another_and_outputs_have_one_size(pdf, browser):
    page = browser.new_page()
    page.emulate_media(media="print")
    page.goto(PDF.with_suffix(".html").as_uri(), timeout=0)
    style = "elements => [...new Set(elements.map(element => getComputedStyle(element)[{!r}]))]"
    assert page.eval_on_selector_all("td, th", style.format("position")) == ["static"]
    assert len(page.eval_on_selector_all(".cell_output pre", style.format("fontSize"))) == 1
    page.close()


def test_every_line_of_code_and_every_word_of_a_table_is_printed(whole, source):
    for formula in source.select("td .katex, th .katex"):
        formula.decompose()
    lines = {line for code in source.select("pre") for line in code.get_text().splitlines() if line.strip()}
    words = {word for cell in source.select("td, th") for word in cell.get_text(" ").split()}
    assert len(lines) > 3000
    assert len(words) > 1000
    assert [line for line in lines if squeezed(line) not in whole] == []
    assert [word for word in words if squeezed(word) not in whole] == []


def test_solutions_end_each_chapter_and_nothing_is_folded(source):
    assert not source.select("details")
    chapters = source.select("article:has(.exercise)")
    assert len(chapters) == 20
    for chapter in chapters:
        *_, last = chapter.select("section:has(> h2)")
        assert len(last.select(".solution")) == len(chapter.select(".solution")) == len(chapter.select(".exercise"))


def test_explorers_are_pictures_that_say_where_they_can_be_changed(whole, source):
    explorers = source.find_all(re.compile("-explorer$"))
    assert len(explorers) >= 4
    assert whole.count(squeezed("This figure can be changed")) == len(explorers)
    for explorer in explorers:
        assert squeezed(explorer.get_text()) not in whole  # the sentence that stands where scripts don't run
