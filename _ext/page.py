"""Sphinx extension: solutions that fold, images with sizes, and the repository's address, from BOOK_REPOSITORY_URL."""

import os
import re
from html import escape

from sphinx.application import Sphinx
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node

NAME_PART = re.compile(r"(?<=[a-z0-9\])][_./(])(?=[a-z])", re.IGNORECASE)


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


def size_images(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Write the size of each image, so that the text below does not move when the image arrives."""
    for source, name in app.builder.images.items():
        if name in context.get("body", ""):
            width, height = get_image_size(f"{app.srcdir}/{source}")
            context["body"] = context["body"].replace(f'/{name}"', f'/{name}" width="{width}" height="{height}"')


def let_names_break(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Let a narrow page break a long name in code after `_`, `.`, `/` and `(`, and nowhere else."""
    names = re.compile(r'(?<=<span class="pre">)[^<]+')
    context["body"] = names.sub(lambda name: NAME_PART.sub("<wbr>", name[0]), context.get("body", ""))


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.setup_extension("furo")  # before the settings are read: the style of code on dark pages is one of them
    app.connect("config-inited", name_repository)
    app.add_node(solution_node, override=True, html=(visit_solution, lambda self, node: self.body.append("</details>\n")))
    app.connect("html-page-context", size_images)
    app.connect("html-page-context", let_names_break)
