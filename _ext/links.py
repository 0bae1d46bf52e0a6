"""Sphinx extension: link a chapter's words to where they are explained, and the helpers to the chapters that explain them.

The notebooks stay plain text: the first use of each term of the glossary, and each helper that a chapter names, become links
when a page is written; below each helper stand the chapters that name it.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

REFERENCE = "chapters/helpers-reference"
HELPER = re.compile(r"(?:helpers\.)?([a-z]+\.\w+)")
NO_PROSE = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math)


def is_prose(node: nodes.Node) -> bool:
    """Tell whether a node stands in a paragraph, and not in a link, a formula or code there."""
    paragraph = False
    while node := node.parent:
        if isinstance(node, NO_PROSE):
            return False
        paragraph |= isinstance(node, nodes.paragraph)
    return paragraph


class Links(SphinxPostTransform):
    """Make the links of one page."""

    default_priority = 500

    def run(self, **options: object) -> None:
        """Link the helpers from a chapter, or the chapters from the helpers."""
        self.helpers = self.env.get_domain("py").objects
        if self.env.docname == REFERENCE:
            self.link_chapters()
        elif self.is_chapter(self.env.docname):
            self.link_helpers()
            self.link_terms()

    def is_chapter(self, page: str) -> bool:
        return self.env.doc2path(page).endswith(".ipynb")

    def link(self, page: str, place: str, *words: nodes.Node) -> nodes.reference:
        return make_refnode(self.app.builder, self.env.docname, page, place, list(words))

    def link_helpers(self) -> None:
        for literal in list(self.document.findall(nodes.literal)):
            name = HELPER.match(literal.astext())
            helper = name and self.helpers.get(f"helpers.{name[1]}")
            if helper and is_prose(literal):
                literal.replace_self(self.link(helper.docname, helper.node_id, literal.deepcopy()))

    def link_terms(self) -> None:
        objects = self.env.get_domain("std").objects
        terms = {plain(name): place for (kind, name), place in objects.items() if kind == "term"}
        longest_first = sorted(terms, key=len, reverse=True)
        names = (r"\s+".join(map(re.escape, name.split())) for name in longest_first)
        uses = re.compile(rf"(?<![\w-])({'|'.join(names)})s?(?![\w-])")
        for text in filter(is_prose, list(self.document.findall(nodes.Text))):
            pieces, end = [], 0
            for use in uses.finditer(plain(text)):
                target = terms.pop(" ".join(use[1].split()), None)
                if target:  # not linked yet
                    word = nodes.inline("", text[use.start() : use.end()], classes=["term"])
                    pieces += [nodes.Text(text[end : use.start()]), self.link(*target, word)]
                    end = use.end()
            if pieces:
                text.parent.replace(text, [*pieces, nodes.Text(text[end:])])

    def link_chapters(self) -> None:
        numbers = self.env.toc_secnumbers
        chapters = sorted(filter(self.is_chapter, self.env.found_docs), key=lambda page: numbers[page][""])
        doctrees = {page: self.env.get_doctree(page) for page in chapters}
        prose, code = (
            {page: "\n".join(node.astext() for node in tree.findall(kind)) for page, tree in doctrees.items()}
            for kind in (nodes.literal, nodes.literal_block)
        )
        for entry in self.document.findall(addnodes.desc):
            name = entry[0]["ids"][0].removeprefix("helpers.")
            uses = re.compile(rf"\b{re.escape(name)}\b")
            for texts in (prose, code):  # where it is only used, not named, the code tells
                pages = [page for page in chapters if uses.search(texts[page])]
                if pages and pages != chapters:  # what every chapter uses, none explains
                    links = [self.link(page, "", self.env.titles[page][0].deepcopy()) for page in pages]
                    separated = [node for link in links for node in (nodes.Text(", "), link)][1:]
                    entry[-1] += nodes.paragraph("", "In the chapters: ", *separated)
                    break


def plain(text: str) -> str:
    """Return a text in lower case, with the apostrophes of a typewriter."""
    return text.lower().replace("’", "'")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_post_transform(Links)
    app.connect("env-updated", lambda app, env: env.found_docs & {REFERENCE})  # its links depend on every chapter
    return {"parallel_read_safe": True, "parallel_write_safe": True}
