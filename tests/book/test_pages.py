"""The pages as they were built: complete, without errors, and with nothing missing that they point to."""

import re
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from sphinxcontrib.katex import katex_version

from helpers import exhibits, figures

ROOT = Path(__file__).parents[2]
CHAPTERS = [f"chapters/{path.stem}" for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
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


def test_in_every_figure_each_color_has_its_dash(book):
    curve = re.compile(r'clip-path="[^"]*" style="fill: none;(?: stroke-dasharray: ([\d.,]+);[^"]*?)? stroke: (#\w+)')
    pages = [read(book / f"{page}.html") for page in CHAPTERS]
    pictures = {book / "chapters" / image["src"] for html in pages for image in html.select("figure img[src$='.svg']")}
    found = {match for path in pictures for match in curve.findall(path.read_text(encoding="utf8"))}
    kinds = {1: "-", 2: "--", 4: "-."}  # by the number of lengths in the pattern; the dots of ":" are shorter than its gaps
    dashes = {color.upper(): set() for _, color in found}
    for pattern, color in found:
        lengths = [float(length) for length in pattern.split(",")] if pattern else [0]
        dashes[color.upper()].add(":" if len(lengths) == 2 and lengths[0] < lengths[1] else kinds[len(lengths)])
    assert {color: dashes[color] for color in figures.DASHES} == {color: {dash} for color, dash in figures.DASHES.items()}


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
    # those to elsewhere are there where the book is published with its repository's address
    links = [link["href"] for link in html.select(".launch a") if not link["href"].startswith("https://")]
    assert links == ([f"../_sources/chapters/{path.stem}.ipynb"] if f"chapters/{path.stem}" in CHAPTERS else [])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_links_each_term_once(book, chapter):
    links = [link["href"] for link in read(book / f"{chapter}.html").select("a:has(> .term)")]
    assert len(links) >= 2
    assert len(set(links)) == len(links)
    assert all(link.startswith("notation.html#term-") for link in links)


def test_every_link_to_a_term_or_an_equation_has_its_text_on_the_page(html):
    texts = {template["id"]: template for template in html.select("article > template[id^=preview-]")}
    links = html.select('a.reference.internal:is([href*="#term-"], [href*="#equation-"])')
    wanted = {f"preview-{unquote(urlsplit(link['href']).fragment)}" for link in links}
    assert wanted == set(texts)
    assert all(text.select(".katex-display" if "-equation-" in name else "p") for name, text in texts.items())
    assert not html.select("template a, template [id]")


def test_the_index_sorts_numbers_as_numbers_and_names_the_chapter_of_each_hit(book):
    html = read(book / "genindex.html")
    numbers = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
    found = [numbers.match(entry.find(string=True)) for entry in html.select("section > .genindex > li")]
    values = [float(number[0].replace(",", "")) for number in found if number]
    assert len(values) > 60
    assert values == sorted(values)
    titles = {read(path).h1.get_text().removesuffix("¶") for path in book.glob("chapters/*.html")}
    assert {re.sub(r"^[\d.]+ ", "", title) for title in titles} >= {link.get_text() for link in html.select(".genindex a")}


def test_every_helper_is_linked_from_a_chapter_and_links_back(book):
    linked = {link["href"] for chapter in CHAPTERS for link in read(book / f"{chapter}.html").select("article a[href]")}
    entries = read(book / "chapters" / "helpers-reference.html").select("dl.py > dt[id]")
    # What belongs to a class goes with it, and figures are drawn, not explained. The classes of helpers.trial come from its
    # functions, and the mutants from their two tables: readers use them without writing their names.
    made = re.compile(r"helpers\.(figures\..*|trial\.[A-Z]\w+|mutants\.(Mutant|MUTANTS|GOOD))")
    helpers = [entry for entry in entries if entry["id"].count(".") == 2 and not made.fullmatch(entry["id"])]
    assert len(helpers) > 40
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


def listed(name: str) -> set[str]:
    """Return the characters of a list in the Makefile."""
    codes = re.search(rf"{name} := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(encoding="utf8"))[1]
    ranges = [[int(end, 16) for end in part.split("-")] for part in re.findall(r"U\+([\dA-F-]+)", codes)]
    return {chr(code) for ends in ranges for code in range(ends[0], ends[-1] + 1)}


def test_the_font_has_the_characters_of_the_prose(html):
    prose = html.select_one("article").find_all(string=True)
    prose = [text for text in prose if not text.find_parent(["pre", "code", "script", "style", "svg", "math"])]
    prose = [text for text in prose if not text.find_parent(class_="katex")]
    missing = set("".join(prose)) - listed("CHARACTERS")
    assert missing <= set("\n○◐●\u202f\u2009"), "add to CHARACTERS in the Makefile, then make fonts"


def test_the_fonts_of_formulas_have_their_characters(html):
    signs = {sign for formula in html.select(".katex-html") for sign in formula.get_text()}
    assert signs <= listed("SIGNS"), "add to SIGNS in the Makefile, then make katex"


def test_the_picture_of_the_readme_is_the_figure_of_the_first_page(book):
    def drawing(svg: Path) -> list[float]:
        paths = re.findall(r'\bd="([^"]*)"', svg.read_text(encoding="utf8"))
        return [float(number) for path in paths for number in re.findall(r"-?[\d.]+", path)]

    figure = read(book / "index.html").select_one("figure img")
    expected, picture = drawing(book / figure["src"]), drawing(ROOT / "_static" / "overflow.svg")
    assert len(picture) == len(expected) > 1000
    # half a point: where exp rounds differently, on another processor, a float16 moves by less than that on the page
    np.testing.assert_allclose(picture, expected, atol=0.5, err_msg="copy the figure again: see CONTRIBUTING.md")


def test_the_foot_says_which_book_it_is_and_how_to_cite_it(html):
    foot = html.select_one("footer .provenance")
    assert f"version {CITATION['version']} of {CITATION['date-released']}" in foot.get_text()
    assert len(foot.select("p a[href*=licen]")) == 2
    entry = dict(re.findall(r"(\w+) = \{(.*)\},", foot.select_one("pre").get_text()))
    assert entry["title"] == CITATION["title"]
    assert entry["author"] == f"{{{CITATION['authors'][0]['name']}}}"
    assert (entry["year"], entry["note"]) == (str(CITATION["date-released"].year), f"Version {CITATION['version']}")


def test_the_book_has_one_version_of_which_it_says_what_changed():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["version"] == CITATION["version"]
    changes = (ROOT / "CHANGES.md").read_text(encoding="utf8")
    assert re.search(r"^## (.*)", changes, re.MULTILINE)[1] == f"Version {CITATION['version']}, {CITATION['date-released']}"
