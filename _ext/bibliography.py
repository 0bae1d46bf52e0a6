"""Sphinx extension: a bibliography that is sorted and labelled by author and year, which is how the text cites it."""

from collections.abc import Iterator
from unicodedata import normalize

from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as Plain
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx


class AuthorAndYear(BaseLabelStyle):
    def sort(self, entries: list) -> list:  # an ä as an a, and groups, whose names stand in braces, among the persons
        return sorted(entries, key=lambda e: normalize("NFD", f"{e.persons}{e.fields['year']}".replace("{", "").lower()))

    def format_labels(self, sorted_entries: list) -> Iterator[str]:
        """Yield labels such as "Lin et al., 2017", with a letter after the year from the second of equal ones on."""
        labels: dict[str, int] = {}
        for entry in sorted_entries:
            first, *others = (str(name) for person in entry.persons["author"] for name in person.rich_last_names)
            others = f" and {others[0]}" if others[:1] != ["others"] and len(others) == 1 else " et al." if others else ""
            label = f"{first}{others}, {entry.fields['year']}"
            count = labels[label] = labels.get(label, -1) + 1
            yield label + (chr(ord("a") + count) if count else "")


class Style(Plain):
    default_label_style = default_sorting_style = AuthorAndYear


def setup(app: Sphinx) -> None:
    """Name the style for the settings."""
    register_plugin("pybtex.style.formatting", "author_and_year", Style)
