"""The pages as they were built: complete, without errors, and with nothing missing that they point to."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import tinycss2
from bs4 import BeautifulSoup
from page import pruned
from sphinx_external_toc.parsing import parse_toc_yaml
from sphinxcontrib.katex import katex_version

from helpers import exhibits

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build" / "html"
PAGES = list(parse_toc_yaml(ROOT / "_toc.yml"))
CHAPTERS = [page for page in PAGES if (ROOT / f"{page}.ipynb").is_file()]
LOADERS = {"link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src", "object": "data"}
POINTERS = {"a": "href", **LOADERS}


@cache
def soup(path: Path) -> BeautifulSoup:
    if not path.is_file():
        pytest.fail(f"{path} is not there: run make book", pytrace=False)
    return BeautifulSoup(path.read_text(encoding="utf8"), "html.parser")


@cache
def anchors(path: Path) -> set[str]:
    return {element.get("id") or element.get("name") for element in soup(path).select("[id], a[name]")}


@pytest.fixture(params=[*PAGES, "search"])
def path(request):
    return BOOK / f"{request.param}.html"


@pytest.fixture
def page(path):
    return soup(path)


def test_no_cell_ended_in_an_error_that_was_not_meant(page):
    assert page.select("h1")
    assert not page.select(".cell:not(.tag_raises-exception) .traceback")


def test_every_formula_was_rendered(page):
    assert not page.select('.katex-error, [mathcolor="#cc0000"]')  # KaTeX's red for commands that it doesn't know
    raw = [text for text in page.find_all(string=re.compile(r"\\[(\[]")) if not text.find_parent(["code", "pre", "script"])]
    assert not raw


def test_everything_a_page_points_to_within_the_book_is_there(path, page):
    missing = []
    for tag, attribute in POINTERS.items():
        for pointer in (element[attribute] for element in page.find_all(tag, {attribute: True})):
            url = urlsplit(pointer)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file() or (url.fragment and tag == "a" and unquote(url.fragment) not in anchors(target)):
                missing.append(pointer)
    assert not missing


def test_every_figure_has_a_description_and_a_caption(page):
    for figure in page.select("figure"):
        assert figure.select_one("img")["alt"].strip(), figure
        assert figure.select_one("figcaption").get_text().strip(), figure


def test_a_page_loads_nothing_from_elsewhere(page):
    loaded = [element.get(attribute, "") for tag, attribute in LOADERS.items() for element in page.find_all(tag)]
    assert not [url for url in loaded if urlsplit(url).netloc or urlsplit(url).scheme not in ("", "data")]


def test_no_stylesheet_loads_anything_from_elsewhere_or_that_is_missing():
    stylesheets = list(BOOK.glob("_static/**/*.css"))
    assert len(stylesheets) > 5
    for path in stylesheets:
        css = path.read_text(encoding="utf8")
        assert "@import" not in css
        for url in re.findall(r"""url\(["']?((?!data:)[^"')]+)""", css):
            fallback = url.endswith((".woff", ".ttf"))  # KaTeX's, for browsers older than these pages can be read with
            assert fallback or (path.parent / url).is_file(), (path, url)


def test_no_script_holds_a_page_up(page):
    assert page.select("script[src]")
    assert not page.select("script[src]:not([defer])")


def test_a_page_says_what_it_is_about_once(page):
    [description] = page.select("meta[name=description]")
    assert 20 <= len(description["content"]) <= 160
    assert len(page.select("title")) == len(page.select("meta[name=viewport]")) == len(page.select("h1")) == 1
    assert page.html["lang"] == "en"


def test_every_image_says_its_size(page):
    assert not page.select("img:not([width][height])")


def test_every_table_has_headers_that_say_what_they_head(page):
    for table in page.find_all("table"):
        assert table.find("th"), table
    assert not page.select("th:not([scope])")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_links_the_terms_of_the_glossary_once(chapter):
    links = [link["href"] for link in soup(BOOK / f"{chapter}.html").select("a:has(> .term)")]
    assert len(links) >= 2
    assert len(set(links)) == len(links)
    assert all(link.startswith("notation.html#term-") for link in links)


def test_every_helper_is_linked_from_a_chapter_and_links_back():
    linked = {link["href"] for chapter in CHAPTERS for link in soup(BOOK / f"{chapter}.html").select("article a[href]")}
    entries = soup(BOOK / "chapters" / "helpers-reference.html").select("dl.py > dt[id]")
    # what belongs to a class goes with it, and figures are drawn, not explained
    helpers = [entry for entry in entries if entry["id"].count(".") == 2 and not entry["id"].startswith("helpers.figures.")]
    assert len(helpers) > 30
    assert [entry["id"] for entry in helpers if "In the chapters: " not in entry.find_next_sibling("dd").get_text()] == []
    assert [entry["id"] for entry in helpers if f"helpers-reference.html#{entry['id']}" not in linked] == []


def test_every_published_number_is_in_the_index_of_exhibits():
    tables = [value for name, value in vars(exhibits).items() if name.isupper()]
    published = re.findall(r"'(-?[\d.]+(?:e[-+]\d+)?|inf)'", str(tables))
    index = soup(BOOK / "chapters" / "figures-and-exhibits.html")
    assert len(published) > 30
    assert set(published) <= {row.td.get_text() for row in index.select("tbody tr")}


def test_the_site_holds_no_icon_font_and_no_map_of_its_scripts():
    assert not [path for pattern in ("fa-*", "fontawesome*", "*.map") for path in BOOK.rglob(pattern) if path.is_file()]


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".a, .b > p { x: y }", ".a{ x: y }"),
        (".b { x: y } #d:not(.b) { x: y }", "#d:not(.b) { x: y }"),
        ("@media print { .b { x: y } h1 { x: y } }", "@media print {h1 { x: y }}"),
        ("@media print { .b { x: y } }", ""),
        ("/*! license */ /* note */ :is(.b, p) { x: y }", "/*! license */:is(.b, p) { x: y }"),
    ],
)
def test_pruning_keeps_the_rules_that_a_page_can_use(css, kept):
    assert "".join(pruned(tinycss2.parse_stylesheet(css), {"a", "d"}).split()) == "".join(kept.split())


def test_the_stylesheet_of_formulas_is_of_the_version_that_renders_them():
    css = (ROOT / "_static" / "katex" / "katex.min.css").read_text(encoding="utf8")
    assert re.search(r'\.katex-version:after\{content:"([^"]+)"\}', css)[1] == katex_version


def test_the_picture_of_the_readme_is_the_figure_of_the_first_page():
    def drawing(svg: Path) -> list[float]:
        paths = re.findall(r'\bd="([^"]*)"', svg.read_text(encoding="utf8"))
        return [float(number) for path in paths for number in re.findall(r"-?[\d.]+", path)]

    figure = soup(BOOK / "index.html").select_one("figure img")
    expected, picture = drawing(BOOK / figure["src"]), drawing(ROOT / "_static" / "overflow.svg")
    assert len(picture) == len(expected) > 1000
    # half a point: where exp rounds differently, on another processor, a float16 moves by less than that on the page
    np.testing.assert_allclose(picture, expected, atol=0.5, err_msg="copy the figure again: see CONTRIBUTING.md")
