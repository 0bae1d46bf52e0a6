"""Sphinx extension: when a page is written, link terms to the glossary, and helpers to chapters."""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

HELPER = re.compile(r"(?:helpers\.)?([a-z]+\.\w+)")
NO_PROSE = {nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math}


def is_prose(node: nodes.Node) -> bool:
    """Tell whether a node stands in a paragraph, and not in a link, a formula or code there."""
    above = set()
    while node := node.parent:
        above.add(type(node))
    return nodes.paragraph in above and not above & NO_PROSE


class Links(SphinxPostTransform):
    """Make the links of one page."""

    default_priority = 500

    def run(self, **options: object) -> None:
        """Link the chapters from the reference, or the helpers and the terms from a chapter."""
        chapters = [page for page in self.env.found_docs if self.env.doc2path(page).endswith(".ipynb")]
        if self.env.docname == "chapters/helpers-reference":
            self.link_chapters(sorted(chapters, key=lambda page: self.env.toc_secnumbers.get(page, {}).get("", ())))
        elif self.env.docname in chapters:
            self.link_helpers()
            self.link_terms()

    def link(self, page: str, place: str, word: nodes.Node) -> nodes.reference:
        return make_refnode(self.app.builder, self.env.docname, page, place, [word])

    def link_helpers(self) -> None:
        helpers = self.env.get_domain("py").objects
        for literal in list(self.document.findall(nodes.literal)):
            name = HELPER.match(literal.astext())
            helper = name and helpers.get(f"helpers.{name[1]}")
            if helper and is_prose(literal):
                literal.replace_self(self.link(helper.docname, helper.node_id, literal.deepcopy()))

    def link_terms(self) -> None:
        objects = self.env.get_domain("std").objects
        terms = {name.lower().replace("'", "’"): place for (kind, name), place in objects.items() if kind == "term"}
        names = (r"\s+".join(map(re.escape, name.split())) for name in sorted(terms, key=len, reverse=True))
        uses = re.compile(rf"(?<![\w-])({'|'.join(names)})s?(?![\w-])")  # of two terms that fit, the longer
        for text in filter(is_prose, list(self.document.findall(nodes.Text))):
            pieces, end = [], 0
            for use in uses.finditer(text.lower()):
                if target := terms.pop(" ".join(use[1].split()), None):  # not linked yet
                    word = nodes.inline("", text[use.start() : use.end()], classes=["term"])
                    pieces += [nodes.Text(text[end : use.start()]), self.link(*target, word)]
                    end = use.end()
            if pieces:
                text.parent.replace(text, [*pieces, nodes.Text(text[end:])])

    def link_chapters(self, chapters: list[str]) -> None:
        """Name below each helper the chapters whose prose names it, or else those whose code uses it."""
        doctrees = {page: self.env.get_doctree(page) for page in chapters}
        texts = [
            {page: "\n".join(node.astext() for node in tree.findall(kind)) for page, tree in doctrees.items()}
            for kind in (nodes.literal, nodes.literal_block)
        ]
        for entry in self.document.findall(addnodes.desc):
            uses = re.compile(rf"\b{re.escape(entry[0]['ids'][0].removeprefix('helpers.'))}\b")
            found = ([page for page in chapters if uses.search(kind[page])] for kind in texts)
            pages = next(filter(None, found), [])
            if pages and pages != chapters:  # what every chapter uses, none explains
                links = [self.link(page, "", self.env.titles[page][0].deepcopy()) for page in pages]
                separated = [node for link in links for node in (nodes.Text(", "), link)][1:]
                entry[-1] += nodes.paragraph("", "In the chapters: ", *separated)


def write_previews(app: Sphinx, error: Exception | None) -> None:
    """Write into each page what its links to terms and equations lead to: book.js shows it beside the link."""
    pages = {} if error else {path: path.read_text("utf8") for path in Path(app.outdir).rglob("*.html")}
    book = "".join(pages.values())
    texts = dict(re.findall(r'(?s)<dt id="(term-[^"]+)"(?=.*?<dd>(.*?)</dd>)', book))
    texts |= re.findall(r'(?s)<div class="math[^"]*" id="(equation-[^"]+)">.*?(<span class="katex-display">.*?)</div>', book)
    for path, page in pages.items():
        names = sorted(set(re.findall(r'class="reference internal" href="[^"]*#((?:term|equation)-[^"]+)"', page)))
        found = [f'<template id="preview-{name}">{re.sub("</?a[^>]*>", "", texts[name])}</template>' for name in names]
        path.write_text(page.replace("</article>", "".join([*found, "</article>"]), 1), "utf8")


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.add_post_transform(Links)
    app.connect("build-finished", write_previews)
