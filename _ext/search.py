"""Sphinx extension: write what the search finds, and the numbers that name their cause, as a script for whoever searches."""

import json
import re
from pathlib import Path
from posixpath import dirname, join, normpath

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder

# By name or class: what readers do not see, see twice, or do not look for, such as code and formulas as drawn.
UNSEEN = {"script", "style", "annotation", "katex-html", "headerlink", "section-number", "eqno", "toctree-wrapper"}
UNSEEN |= {"above-input", "template", "cell_input", "doctest"}
LINES = {"p", "li", "tr", "caption", "figcaption", "dt", "dd", "div", "summary", "pre", "h4"}
SIGNS = {"msup": "^", "msub": "_", "mfrac": "/"}  # between the parts of a formula that stands in one line
UNREAD = re.compile(r"\s*(?:(>>> )?(import|from [\w.]+ import) |(Show|Hide) code cell|$)")


def sections(page: str, article: Tag, terms: list) -> list[tuple]:
    """Return a page's sections, glossary terms and helpers, in its order: address, page, title, index entries, text."""
    name, found = " ".join(article.h1.get_text().rstrip("¶").split()), []  # with the chapter's number
    for element in article.find_all(True):
        if UNSEEN & {element.name, *element.get("class", ())}:
            element.extract()
        elif element.name in SIGNS:
            element.find_all(True, recursive=False)[1].insert_before(SIGNS[element.name])
        elif element.name == "pre":
            element.string = element.get_text().replace("\n", "\f")
        if element.name in LINES | {"td", "th"}:
            element.append("\f" if element.name in LINES else " ")
    for element in reversed(article.select("section[id]:has(> h1, > h2, > h3), dt[id]")):  # inner first: each is removed
        places = [element["id"], *(inner["id"] for inner in element.find_all(id=True))]
        labels = [span["id"] for span in element.find_all("span", id=True, recursive=False) if "index-" not in span["id"]]
        words = dict.fromkeys(term for _, term, place, *_ in terms if place in places)
        heading = element.find(["h1", "h2", "h3"], recursive=False) or element
        title = element["id"] if "sig" in element.get("class", ()) else heading.get_text() if heading.name != "h1" else ""
        heading.clear()
        parts = [element.find_next_sibling("dd"), element] if element.name == "dt" else [element]
        lines = "\f".join(part.extract().get_text() for part in parts if part).split("\f")
        if text := "\n".join(" ".join(line.split()) for line in lines if not UNREAD.match(line)):
            found.append((f"{page}.html#{[*labels, *places][0]}", name, " ".join(title.split()), ", ".join(words), text))
    return found[::-1]


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the index from the pages as they were written, in the book's order, the first page last."""
    book, root = {"sections": [], "numbers": []}, app.config.root_doc
    pages = [*app.env.toctree_includes[root], root] if app.builder.name == "html" and not error else []
    for page in (page for page in pages if page in app.env.found_docs and page != "genindex"):
        article = BeautifulSoup(Path(app.outdir, f"{page}.html").read_text("utf8"), "html.parser").article
        if mark := article.find(id="loss-numbers"):  # what a loss is, because of what, and where to read on
            for row in mark.find_next("table").tbody("tr"):
                link = normpath(join(dirname(page), row("a")[-1]["href"]))
                book["numbers"].append([*(cell.get_text().strip() for cell in row("td")), link])
        book["sections"] += sections(page, article, app.env.get_domain("index").entries.get(page, []))
    script = f"const BOOK = {json.dumps(book, ensure_ascii=False, separators=(',', ':'))};\n"
    pages and Path(app.outdir, "_static/search/index.js").write_text(script, "utf8")


def choose_files(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Leave out what book.js loads for a search, Sphinx's marks of searched words, and what the page of results lacks."""
    needless = "search/|sphinx_highlight" + "|clipboard|copybutton|katex|mystnb|exercise|proof" * (page == "search")
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context[kind] if not re.search(needless, str(file.filename))]


def setup(app: Sphinx) -> None:
    """Connect to Sphinx, which writes no index of its own."""
    StandaloneHTMLBuilder.search = False
    app.connect("html-page-context", choose_files)
    app.connect("build-finished", write)
