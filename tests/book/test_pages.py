"""The pages as they were built: complete, without errors, and with nothing missing that they point to."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from bs4 import BeautifulSoup
from sphinxcontrib.katex import katex_version

from helpers import exhibits

ROOT = Path(__file__).parents[2]
CHAPTERS = [f"chapters/{path.stem}" for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
LOADERS = {"link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src", "object": "data"}
POINTERS = {"a": "href", **LOADERS}


@cache
def read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf8"), "html.parser")


@cache
def anchors(path: Path) -> set[str]:
    return {element.get("id") or element.get("name") for element in read(path).select("[id], a[name]")}


@pytest.fixture
def path(book, name):
    return book / f"{name}.html"


@pytest.fixture
def html(path):
    return read(path)


def test_no_cell_ended_in_an_error_that_was_not_meant(html):
    assert html.select("h1")
    assert not html.select(".cell:not(.tag_raises-exception) .traceback")


def test_the_page_is_as_its_template_mends_it(html):
    """Each of the template's replacements shows, so a theme that writes its pages in other words is noticed."""
    landmarks = {aside["aria-label"] for aside in html.select("aside.sidebar-drawer, aside.toc-drawer")}
    assert landmarks == {"Book", "On this page"}
    assert html.select("p.caption")
    assert not html.select('[role="heading"], [role="doc-biblioentry"], .citation-list[role], summary[aria-label]')


def test_every_formula_was_rendered(html):
    assert not html.select('.katex-error, [mathcolor="#cc0000"]')  # KaTeX's red for commands that it doesn't know
    raw = [text for text in html.find_all(string=re.compile(r"\\[(\[]")) if not text.find_parent(["code", "pre", "script"])]
    assert not raw


def test_everything_a_page_points_to_within_the_book_is_there(path, html):
    missing = []
    for tag, attribute in POINTERS.items():
        for pointer in (element[attribute] for element in html.find_all(tag, {attribute: True})):
            url = urlsplit(pointer)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            fragment = "" if pointer.startswith("#svg-") else url.fragment
            if not target.is_file() or (fragment and tag == "a" and unquote(fragment) not in anchors(target)):
                missing.append(pointer)
    assert not missing


def test_next_and_previous_lead_through_the_book(book, pages):
    def target(page: str, link: str) -> Path:
        return (book / page).parent.joinpath(read(book / f"{page}.html").select_one(link)["href"]).resolve()

    for earlier, later in pairwise(pages[:-1]):  # the last is the index, to which Sphinx gives no neighbors
        assert target(earlier, ".next-page") == book / f"{later}.html"
        assert target(later, ".prev-page") == book / f"{earlier}.html"


def test_every_figure_has_a_description_and_a_caption(html):
    for figure in html.select("figure"):
        explorer = figure.find(re.compile("-explorer$"))  # whose script describes its picture
        assert explorer or figure.select_one("img")["alt"].strip(), figure
        assert figure.select_one("figcaption").get_text().strip(), figure


def test_a_page_loads_nothing_from_elsewhere(html):
    loaded = [element.get(attribute, "") for tag, attribute in LOADERS.items() for element in html.find_all(tag)]
    assert not [url for url in loaded if urlsplit(url).netloc or urlsplit(url).scheme not in ("", "data")]


def test_no_stylesheet_loads_what_is_elsewhere_or_missing(book):
    stylesheets = list(book.glob("_static/**/*.css"))
    assert len(stylesheets) > 5
    for path in stylesheets:
        css = path.read_text(encoding="utf8")
        assert not re.search(r"@import (?!url\([\"']basic\.css)", css)
        for url in re.findall(r"""url\(["']?((?!data:)[^"')]+)""", css):
            fallback = url.endswith((".woff", ".ttf"))  # KaTeX's, for browsers older than these pages can be read with
            assert fallback or (path.parent / url).is_file(), (path, url)


def test_a_page_says_what_it_is_about_once(html):
    [description] = html.select("meta[name=description]")
    assert 5 <= len(description["content"]) <= 160
    assert not re.search(r"[\\{}^]", description["content"])  # a formula in words makes no description
    assert len(html.select("head > title")) == len(html.select("h1")) == 1
    assert html.html["lang"] == "en"


def test_every_image_says_its_size(html):
    assert not html.select("img:not([width][height])")


def test_every_table_has_headers_with_words(html):
    for table in html.select("table:not(.indextable)"):  # which Sphinx lays its index out with
        assert table.find("th"), table
    assert all(header.get_text(strip=True) for header in html.find_all("th"))


def test_only_a_chapter_can_be_downloaded_and_only_as_a_notebook(html, path):
    links = [link["href"] for link in html.select(".launch a")]
    expected = [f"../_sources/chapters/{path.stem}.ipynb"] if f"chapters/{path.stem}" in CHAPTERS else []
    assert links == expected  # more are there where the book is published with its repository's address


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_links_each_term_once(book, chapter):
    links = [link["href"] for link in read(book / f"{chapter}.html").select("a:has(> .term)")]
    assert len(links) >= 2
    assert len(set(links)) == len(links)
    assert all(link.startswith("notation.html#term-") for link in links)


def test_every_helper_is_linked_from_a_chapter_and_links_back(book):
    linked = {link["href"] for chapter in CHAPTERS for link in read(book / f"{chapter}.html").select("article a[href]")}
    entries = read(book / "chapters" / "helpers-reference.html").select("dl.py.function > dt[id]")
    # classes and data go with the functions that return or take them, and figures are drawn, not explained
    helpers = [entry for entry in entries if entry["id"].count(".") == 2 and not entry["id"].startswith("helpers.figures.")]
    assert len(helpers) > 30
    assert [entry["id"] for entry in helpers if "In the chapters: " not in entry.find_next_sibling("dd").get_text()] == []
    assert [entry["id"] for entry in helpers if f"helpers-reference.html#{entry['id']}" not in linked] == []


def test_every_published_number_is_in_the_index_of_exhibits(book):
    tables = [value for name, value in vars(exhibits).items() if name.isupper()]
    published = re.findall(r"'(-?[\d.]+(?:e[-+]\d+)?|inf)'", str(tables))
    index = read(book / "chapters" / "figures-and-exhibits.html")
    assert len(published) > 30
    assert set(published) <= {row.td.get_text() for row in index.select("tbody tr")}


def test_the_stylesheet_of_formulas_is_of_the_version_that_renders_them():
    css = (ROOT / "_static" / "katex" / "katex.min.css").read_text(encoding="utf8")
    assert re.search(r'\.katex-version:after\{content:"([^"]+)"\}', css)[1] == katex_version


def test_the_picture_of_the_readme_is_the_figure_of_the_first_page(book):
    def drawing(svg: Path) -> list[float]:
        paths = re.findall(r'\bd="([^"]*)"', svg.read_text(encoding="utf8"))
        return [float(number) for path in paths for number in re.findall(r"-?[\d.]+", path)]

    figure = read(book / "index.html").select_one("figure img")
    expected, picture = drawing(book / figure["src"]), drawing(ROOT / "_static" / "overflow.svg")
    assert len(picture) == len(expected) > 1000
    # half a point: where exp rounds differently, on another processor, a float16 moves by less than that on the page
    np.testing.assert_allclose(picture, expected, atol=0.5, err_msg="copy the figure again: see CONTRIBUTING.md")
