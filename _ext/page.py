"""Sphinx extension: solutions that fold, images with sizes, the repository's address, and what CITATION.cff says."""

import os
from html import escape
from pathlib import Path

import yaml
from sphinx.application import Sphinx
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node


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
    app.add_node(solution_node, override=True, html=(visit_solution, lambda self, node: self.body.append("</details>\n")))
    app.connect("html-page-context", size_images)
