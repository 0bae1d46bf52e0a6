"""Join the built pages into one, and print it: ``make pdf``.

The pages are printed as the site has them, so what the tests hold of the site holds of the paper. Chromium cannot write the
number of the page to which a link leads, so the book is printed twice: the first time to learn the numbers.
"""

import json
import os
import re
from io import BytesIO
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

import pikepdf
import yaml
from bs4 import BeautifulSoup, Tag
from filelock import FileLock
from playwright.sync_api import sync_playwright
from pypdfium2 import PdfDocument
from sphinx_external_toc.parsing import parse_toc_yaml

from paper import HTML, PDF, ROOT, places, start

COVER = """\
<section class="cover">
<h1>{title}</h1>
<p>{abstract}</p>
<p>Version {version}, {date-released}</p>
</section>
"""
LEADING = [
    "index",
    "why-is-my-loss-nan",
    "which-loss-to-call",
    "figures-and-exhibits",
]  # to other pages, by lists and tables
WIDTH = 642  # pixels between the margins of paper.css: 17 cm
NUMBER = """numbers => {
  const leading = ".leading :is(td, li, .doors, h1 + p) a[href^='#']:not(:has(.term))";
  for (const link of document.querySelectorAll(`.numbered a[href], ${leading}`))
    link.dataset.page = numbers[decodeURIComponent(link.hash.slice(1))];
}"""


def anchor(page: str, fragment: str = "") -> str:
    """Return the id of a place in the joined pages, in which each chapter may have a section "summary"."""
    return f"{page.rpartition('/')[2]}--{fragment}"


def point(root: Tag, page: str, pages: list[str]) -> Tag:
    """Let links and images lead to the same places from the joined pages. A link to what is no page becomes text."""
    for element in root.select("[id]"):
        element["id"] = anchor(page, element["id"])
    for name in ("href", "src"):
        for element in root.select(f"[{name}]"):
            url = urlsplit(element[name])
            path = normpath(join(dirname(page), unquote(url.path))) if url.path else f"{page}.html"
            target = path.removesuffix(".html")
            if url.scheme or url.netloc:
                continue
            if target in pages:
                element[name] = "#" + anchor(target, unquote(url.fragment))
            elif element.name == "a":
                del element[name]
            else:
                element[name] = f"../html/{path}"
    return root


def unfold(article: Tag) -> None:
    """Show what is folded, move the code of a figure below it, and the solutions to the end of the chapter."""
    solutions = article.select("details.solution")
    for code in article.select(".cell:has(figure) > .above-input"):
        code.parent.append(code)
    for box in article.select("details:not(.solution)"):
        box.name = "div"
        box.summary.decompose()
    if solutions:
        section = BeautifulSoup('<section id="solutions"><h2>Solutions</h2></section>', "html.parser").section
        for box in solutions:
            exercise = box.find_previous(class_="exercise").select_one(".caption-number").get_text(strip=True)
            box.summary.string = f"Solution of {exercise.lower()}"
            box.name, box.summary.name = "div", "p"
            section.append(box.extract())
        article.section.append(section)


def spell(article: Tag) -> None:
    """Let bookmarks hold the formulas of headings: Chromium leaves MathML out, and what is hidden from screen readers."""
    for formula in article.select(":is(h1, h2, h3, h4) .katex"):
        formula.select_one(".katex-mathml").decompose()
        del formula.select_one(".katex-html")["aria-hidden"]


def tell_where_to_explore(article: Tag, page: str) -> None:
    """Say below each figure that readers can change where they can do so."""
    owner, _, name = urlsplit(os.environ.get("BOOK_REPOSITORY_URL", "")).path.strip("/").partition("/")
    address = f"https://{owner.lower()}.github.io/{name}/{page}.html"
    place = f'at <a href="{address}">{address}</a>' if name else f"in the book's pages, in <code>{page}.html</code>"
    for figure in article.find_all(re.compile("-explorer$")):
        note = BeautifulSoup(f'<p class="explore">This figure can be changed {place}.</p>', "html.parser")
        figure.find_parent("figure").figcaption.append(note)


def contents(tree: Tag, sections: dict[str, Tag]) -> str:
    """Return the parts, chapters and sections, as the pages list them beside their text."""
    for link in tree.select("a"):
        if found := sections.get(link["href"]):
            for deeper in found.select("ul"):
                deeper.decompose()
            link.insert_after(found)
    return f'<nav class="numbered"><h1>Contents</h1>{tree.decode_contents()}</nav>'


def joined() -> str:
    """Return all pages as one, with a cover and the contents before them."""
    pages = list(parse_toc_yaml(ROOT / "_toc.yml"))
    articles, heads, sections = [], [], {}
    for number, page in enumerate(pages):
        soup = BeautifulSoup((HTML / f"{page}.html").read_text(encoding="utf8"), "html.parser")
        if page == "index":
            head, tree = point(soup.head, page, pages), point(soup.select_one(".sidebar-tree"), page, pages)
        title, article = soup.title.get_text().partition(" - ")[0], soup.article
        for field in article.select(".ask"):
            field.find_previous("p").extend([" The ", field.noscript.a, " lists error messages and numbers."])
        for element in article.select(".headerlink, .launch, .map, .letters, .ask"):
            element.decompose()
        unfold(article)
        spell(article)
        tell_where_to_explore(article, page)
        if page.rpartition("/")[2] in LEADING:
            article["class"] = "leading"
        if page == "genindex":
            article["class"] = "numbered"
            for link in article.find_all("a", string=re.compile(r"^\[\d+\]$")):
                link.clear()  # of its second place in the book and the next, of which the numbers of the pages are enough
        article["style"] = f"page: p{number}"
        point(article, page, pages)["id"] = anchor(page)
        articles.append(str(article))
        heads.append(f"@page p{number} {{ @top-right {{ content: {json.dumps(title, ensure_ascii=False)} }} }}")
        if found := soup.select_one(".toc-tree > ul > li > ul"):
            sections[f"#{anchor(page)}"] = point(found, page, pages)
    for script in head.select("script"):
        script.decompose()
    cover = COVER.format_map(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8")))
    return f"""<!doctype html>
<html lang="en"><head>{head.decode_contents()}<link rel="stylesheet" href="../../paper/paper.css">
<style>{" ".join(heads)}</style></head>
<body>{cover}{contents(tree, sections)}{"".join(articles)}</body></html>"""


def main() -> None:
    """Print the joined pages, unless they are printed already."""
    made_of = [ROOT / "_build" / "digests", *Path(__file__).parent.glob("*.*")]
    if PDF.is_file() and PDF.stat().st_mtime > max(path.stat().st_mtime for path in made_of):
        return
    source = PDF.with_suffix(".html")
    source.write_text(joined(), encoding="utf8")
    with sync_playwright() as playwright, start(playwright) as browser:
        tab, lost = browser.new_page(viewport={"width": WIDTH, "height": 900}), []
        tab.emulate_media(media="print")
        tab.on("requestfailed", lambda request: lost.append(request.url))
        tab.goto(source.as_uri(), timeout=0)
        tab.evaluate("document.fonts.ready")
        if lost:
            raise SystemExit(f"The PDF would lack {', '.join(lost)}")
        if (width := tab.evaluate("document.documentElement.scrollWidth")) > 1.01 * WIDTH:  # 1 % is not seen
            raise SystemExit(f"Something is {width} pixels wide, a sheet {WIDTH}: Chromium would shrink all sheets")
        numbers = dict.fromkeys(re.findall('href="#([^"]*)', source.read_text(encoding="utf8")), 999)
        tab.evaluate(NUMBER, numbers)  # as wide as the right ones
        with PdfDocument(tab.pdf(prefer_css_page_size=True)) as draft:
            tab.evaluate(NUMBER, places(draft))
        book = tab.pdf(prefer_css_page_size=True, tagged=True, outline=True)
    with pikepdf.open(BytesIO(book)) as packed:
        packed.save(PDF, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    print(f"file://{PDF}")


if __name__ == "__main__":
    PDF.parent.mkdir(exist_ok=True)
    with FileLock(PDF.with_suffix(".lock")):  # tests that run side by side ask for the same PDF
        main()
