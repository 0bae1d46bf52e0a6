"""Sphinx extension: make the theme's pages light, and usable by everyone.

Each page is mended as the theme has written it: what it need not load is dropped, and what a keyboard, a screen reader, a
phone or a search engine misses is added. Where the theme has a setting for something, it is in _config.yml instead.
"""

import re
import shutil
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import tinycss2
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.util import logging

logger = logging.getLogger(__name__)

# What a page loads only if it has what the selector finds; None: never.
LOADED_FOR = {
    "fontawesome": None,  # draws icons, which are in the page
    "bootstrap": None,  # opens menus and tooltips, which no page has
    "searchtools": "#search-results",
    "language_data": "#search-results",
    "searchindex": "#search-results",
    "clipboard": "div.highlight",
    "copybutton": "div.highlight",
    "katex": ".katex",
    "mystnb": ".cell",
    "exercise": ".exercise, .solution",
    "proof": ".proof",
}
UNUSED_FILES = ["scripts/*.map", "scripts/bootstrap.*", "scripts/fontawesome.*", "styles/*.map", "styles/theme.css"]
UNUSED_FILES += ["*.html", "locales", "vendor"]
# The theme decides on light or dark at the end, and a page that is dark would flash.
THEME = """{
  const mode = localStorage.getItem("mode") || "auto";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  Object.assign(document.documentElement.dataset, { mode, theme: mode === "auto" ? system : mode });
}"""
# On a grid of 24 by 24, by the theme's names.
ICONS = {
    "angle-left": "M15 5l-7 7l7 7",
    "angle-right": "M9 5l7 7l-7 7",
    "bars": "M4 6h16M4 12h16M4 18h16",
    "chevron-down": "M5 9l7 7l7-7",
    "circle-half-stroke": "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 3v18M14.5 4v16M17 5.5v13",
    "download": "M12 4v11M7 10l5 5l5-5M5 20h14",
    "list": "M9 6h11M9 12h11M9 18h11M4 6h1M4 12h1M4 18h1",
    "magnifying-glass": "M10 4a6 6 0 1 0 0 12a6 6 0 1 0 0-12M14.5 14.5L20 20",
    "moon": "M20 14.5A8.5 8.5 0 1 1 9.5 4a6.8 6.8 0 0 0 10.5 10.5z",
    "sun": "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1 1M18 18l1 1M19 5l-1 1M6 18l-1 1",
}
LABELS = {
    "#pst-primary-sidebar": "Book",
    "#pst-primary-sidebar-modal": "Book",
    "#pst-secondary-sidebar-modal": "Contents of this page",
    "#pst-search-dialog": "Search",
    "nav.bd-docs-nav": "Chapters",
    ".primary-toggle": "Chapters",
    ".secondary-toggle": "Contents of this page",
}


def drop_what_is_not_used(page: BeautifulSoup) -> None:
    """Drop scripts and stylesheets that the page has no use for, or has twice."""
    seen = set()
    for element in page.select("script[src], link[rel=stylesheet], meta[name=viewport]"):
        what = element.get("src") or element.get("href") or "viewport"
        unused = any(name in what and not (selector and page.select_one(selector)) for name, selector in LOADED_FOR.items())
        if unused or what in seen:
            element.decompose()
        seen.add(what)
    nowhere = "" if page.select_one("#pst-secondary-sidebar") else ", .secondary-toggle"
    for element in page.select(f"link[rel=preload], #jb-print-docs-body, #searchbox, .pst-async-banner-revealer{nowhere}"):
        element.decompose()


def hold_nothing_up(page: BeautifulSoup) -> None:
    """Let the page show before its scripts run, and spare it a stylesheet that only imports another."""
    for script in page.find_all("script"):
        if script.get("src"):
            script["defer"] = None
        elif "dataset.theme" in script.text:
            script.string = THEME
        elif script.text.startswith("DOCUMENTATION_OPTIONS"):  # for a switch between versions, and search while typing
            script.decompose()
    for link in page.select('link[href*="styles/theme.css"]'):
        link["href"] = link["href"].replace("styles/theme.css", "basic.css")


def describe(page: BeautifulSoup) -> None:
    """Give search engines the first paragraph, or as many whole words of it as they show."""
    paragraph = page.select_one("article p") or page.title
    paragraph = BeautifulSoup(str(paragraph), "html.parser")
    for double in paragraph.select(".katex-html, annotation"):
        double.decompose()
    words = " ".join(paragraph.get_text().split())
    page.head.append(page.new_tag("meta", attrs={"name": "description", "content": re.match(r".{0,160}(?!\S)", words)[0]}))


def label(page: BeautifulSoup) -> None:
    """Name what has no name, and unname what says its name: speech control goes by what is on the screen."""
    for selector, name in LABELS.items():
        for element in page.select(selector):
            element["aria-label"] = name
            if element.name == "button":
                element["title"] = name
    for sidebar in page.select("#pst-primary-sidebar"):
        sidebar["role"] = "complementary"
    for element in page.select(".search-button-field, .theme-switch, summary"):
        del element["aria-label"], element["title"]
    for download in page.select('a.btn[href*="_sources/"]'):
        del download["target"]
        download["download"] = None
    for source in page.select(".citation-list > .citation"):
        source["role"] = "listitem"  # docutils' doc-biblioentry is deprecated


def draw_icons(page: BeautifulSoup) -> None:
    """Draw what Font Awesome would, with a script of half a megabyte or a font of 150 KB."""
    for icon in page.select('[class*="fa-"]'):
        drawings = [ICONS[name] for name in ICONS if f"fa-{name}" in icon["class"]]
        if not drawings:
            logger.warning("there is no drawing for the icon %s", icon)
        svg = page.new_tag("svg", attrs={"viewBox": "0 0 24 24", "aria-hidden": "true"})
        svg.extend(page.new_tag("path", attrs={"d": drawing}) for drawing in drawings)
        icon.append(svg)


def fold_solutions(page: BeautifulSoup) -> None:
    """Fold boxes with <details>, which opens by keyboard, by a search in the page, and without a script."""
    for box in page.select("div.admonition.dropdown"):
        title = box.select_one(".admonition-title")
        box.name, title.name = "details", "summary"
        box["class"].remove("dropdown")


def head_tables(page: BeautifulSoup) -> None:
    """Say which cells a header heads; an empty one heads none."""
    for header in page.find_all("th"):
        if not header.get_text(strip=True):
            header.name = "td"
        else:
            header["scope"] = "col" if header.find_parent("thead") else "row"


MENDS: list[Callable[[BeautifulSoup], None]] = [
    drop_what_is_not_used,
    hold_nothing_up,
    describe,
    label,
    draw_icons,
    fold_solutions,
    head_tables,
]


def image_size(path: Path) -> tuple[int, int]:
    """Return an image's width and height in CSS pixels."""
    if path.suffix != ".svg":
        with Image.open(path) as image:
            return image.size
    svg = re.search(r"<svg\b[^>]*>", path.read_text(encoding="utf8"))[0]
    lengths = [re.search(rf'\b{side}="([\d.]+)(pt|px)?"', svg) for side in ("width", "height")]
    return tuple(round(float(length[1]) * (4 / 3 if length[2] == "pt" else 1)) for length in lengths)


def size_images(page: BeautifulSoup, builder: StandaloneHTMLBuilder) -> None:
    """Tell each image's size, so that the text below doesn't move when it arrives."""
    sources = {f"_images/{name}": uri for uri, name in builder.images.items()}
    for image in page.select('img:not([src^="data:"])'):
        target = re.sub(r"^(\.\./)*", "", image["src"])
        try:
            image["width"], image["height"] = image_size(Path(builder.srcdir, sources.get(target, target)))
        except (OSError, TypeError):  # no such file; an SVG without a size
            logger.warning("the size of %s, which %s shows, can't be read", target, page.title.text)


class Templates(BuiltinTemplateLoader):
    """The theme's templates, their pages mended."""

    def init(self, builder: StandaloneHTMLBuilder, *arguments: Any) -> None:
        super().init(builder, *arguments)
        self.builder = builder

    def render(self, template: str, context: dict[str, Any]) -> str:
        html = super().render(template, context)
        if not html.lstrip().lower().startswith("<!doctype html"):
            return html
        page = BeautifulSoup(html, "html.parser")
        for mend in MENDS:
            mend(page)
        size_images(page, self.builder)
        return str(page)


def names_in_use(site: Path) -> set[str]:
    """Return the classes and ids that the pages have, and the words by which their scripts may add others."""
    names, scripts = [], set()
    for path in site.rglob("*.html"):
        html = path.read_text(encoding="utf8")
        names += re.findall(r'\b(?:class|id)="([^"]*)"', html)
        scripts.update(re.findall(r'<script[^>]* src="[^"]*(_static/[^"?]*)', html))
    words = (re.findall(r"[\w-]+", (site / script).read_text(encoding="utf8")) for script in scripts)
    return set(" ".join(names).split()).union(*words)


def asked_for(selector: list[Any]) -> set[str]:
    """Return the classes and ids that an element must have; those in :not() and its like are not among them."""
    classes = {name.value for dot, name in pairwise(selector) if dot == "." and name.type == "ident"}
    return classes | {token.value for token in selector if token.type == "hash"}


def pruned(rules: list[Any], names: set[str]) -> str:
    """Return the rules without the selectors that ask for a class or an id that no page has."""
    css = ""
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [list(tokens) for comma, tokens in groupby(rule.prelude, lambda token: token == ",") if not comma]
            wanted = [tinycss2.serialize(selector) for selector in selectors if asked_for(selector) <= names]
            css += f"{','.join(wanted)}{{{tinycss2.serialize(rule.content)}}}" if wanted else ""
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            content = pruned(tinycss2.parse_rule_list(rule.content), names)
            css += f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{content}}}" if content.strip() else ""
        elif rule.type != "comment" or rule.value.startswith("!"):  # licenses stay
            css += "" if "fontawesome/webfonts" in rule.serialize() else rule.serialize()
    return css


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Take out of the built site what none of its pages uses: nine tenths of the theme's rules, and whole files."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for path in {path for pattern in UNUSED_FILES for path in static.glob(pattern)}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    names = names_in_use(Path(app.outdir))
    for path in static.rglob("*.css"):
        path.write_text(pruned(tinycss2.parse_stylesheet(path.read_text(encoding="utf8")), names), encoding="utf8")


def show_buttons(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Show the buttons that the theme hides in menus, on notebooks; other pages have nothing to run."""
    groups = {group.get("label"): group.get("buttons", []) for group in context["header_buttons"]}
    context["header_buttons"] = []
    if context.get("page_source_suffix") == ".ipynb":
        download = {"text": "Notebook", "tooltip": "Download this chapter as a notebook", "icon": "fa-download"}
        context["header_buttons"].append({**groups["download-buttons"][0], **download})
        for button in groups.get("launch-buttons", []):
            launch = {"tooltip": f"Run this chapter on {button['text']}", "icon": None}
            context["header_buttons"].append({**button, **launch})


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.config.template_bridge = "page.Templates"
    app.connect("html-page-context", show_buttons, priority=900)  # after the theme has added its own
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
