"""Sphinx extension: what folds and its name, images with sizes, and the repository's address, from BOOK_REPOSITORY_URL."""

import os
import re
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node


def name_repository(app: Sphinx, _: object) -> None:
    """Give the templates the repository's address, and the page on running the notebooks the lines to copy."""
    url = os.environ.get("BOOK_REPOSITORY_URL", "").rstrip("/")
    clone = f"git clone {url}\ncd {url.rsplit('/', 1)[-1]}\n" if url else ""
    install = f"%pip install -q {f'git+{url}' if url else '.'}"
    app.config.html_context["repository_url"] = url
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


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.setup_extension("furo")  # before the settings are read: the style of code on dark pages is one of them
    app.connect("config-inited", name_repository)
    app.connect("doctree-read", name_folds)
    app.add_node(solution_node, override=True, html=(visit_solution, lambda self, node: self.body.append("</details>\n")))
    app.connect("html-page-context", size_images)
