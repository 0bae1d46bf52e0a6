"""What builds the book: build.py runs the chapters and Sphinx, and Sphinx loads the other modules as its extensions."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Load the theme, which defines the setting for dark code, and the extensions."""
    for extension in ("furo", "_ext.formulas", "_ext.links", "_ext.page"):
        app.setup_extension(extension)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
