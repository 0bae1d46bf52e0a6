"""Sphinx extension: what folds and its name, sizes of images, chapters in the index, the address of BOOK_REPOSITORY_URL."""

import os
import re
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node

NAME_PART = re.compile(r"(?<=[a-z0-9\])][_./(])(?=[a-z])", re.IGNORECASE)


def name_repository(app: Sphinx, _: object) -> None:
    """Give the templates BOOK_REPOSITORY_URL and CITATION.cff, and the page on running the notebooks the lines to copy."""
    url = os.environ.get("BOOK_REPOSITORY_URL", "").rstrip("/")
    clone = f"git clone {url}\ncd {url.rsplit('/', 1)[-1]}\n" if url else ""
    install = f"%pip install -q {f'git+{url}' if url else '.'}"
    book = yaml.safe_load(Path(app.srcdir, "CITATION.cff").read_text("utf8"))
    app.config.html_context |= {"repository_url": url, "book": book}
    app.config.myst_substitutions = {"clone": f"```\n{clone}make lab\n```", "install": f"```\n{install}\n```"}


def visit_solution(self: HTML5Translator, node: solution_node) -> None:
    """Write a solution as <details>, which opens by keyboard, by a search in the page, and without a script."""
    summary = f'<summary class="admonition-title">{escape(node.pop(0).astext())}</summary>'
    self.body.append(self.starttag(node, "details", summary, CLASS="admonition"))


def name_folds(app: Sphinx, doctree: nodes.document) -> None:
    """Say at each folded cell what it hides, unless its metadata do, and mark each prediction, whose answer is folded."""
    for cell in doctree.findall(lambda node: isinstance(node, nodes.container) and node.get("hide_mode")):
        code = "code of the figure" if any(cell.findall(nodes.figure)) else "code"
        code = "imports" if re.match("import |from ", cell.astext()) else code
        for prompt in ("prompt_show", "prompt_hide"):
            cell[prompt] = cell[prompt].replace("{type}", "answer" if cell["hide_mode"] == "output" else code)
    for bold in doctree.findall(lambda node: isinstance(node, nodes.strong) and node.astext() == "Predict"):
        bold.parent["classes"].append("predict")


def size_images(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Write the size of each image, so that the text below does not move when the image arrives."""
    for source, name in app.builder.images.items():
        if name in context.get("body", ""):
            width, height = get_image_size(f"{app.srcdir}/{source}")
            context["body"] = context["body"].replace(f'/{name}"', f'/{name}" width="{width}" height="{height}"')


def name_chapters(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Give the index the titles of its hits, and sort its numbers as numbers, after the signs."""
    if templatename == "genindex.html":  # Sphinx writes the page twice, first from genindex.md
        uri = app.builder.get_relative_uri
        context["chapter_titles"] = {uri(pagename, page): title.astext() for page, title in app.env.titles.items()}
        number = re.compile(r"^-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
        for _, entries in context["genindexentries"]:
            entries.sort(key=lambda entry: [float(found.replace(",", "")) for found in number.findall(entry[0])[:1]])


def let_names_break(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Let a narrow page break a long name in code after `_`, `.`, `/` and `(`, and nowhere else."""
    names = re.compile(r'(?<=<span class="pre">)[^<]+')
    context["body"] = names.sub(lambda name: NAME_PART.sub("<wbr>", name[0]), context.get("body", ""))


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.setup_extension("furo")  # before the settings are read: the style of code on dark pages is one of them
    app.connect("config-inited", name_repository)
    app.connect("doctree-read", name_folds)
    app.add_node(solution_node, override=True, html=(visit_solution, lambda self, node: self.body.append("</details>\n")))
    app.connect("html-page-context", size_images)
    app.connect("html-page-context", name_chapters)
    app.connect("html-page-context", let_names_break)
