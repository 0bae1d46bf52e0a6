"""Sphinx extension: what sphinxcontrib-katex lacks to render a book's formulas unattended.

Its Node server is asked for a connection as soon as its socket exists, which on a busy machine is before it listens; and a
formula that KaTeX can't read becomes red text without a warning.
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging
from sphinxcontrib import katex

SECONDS = 60  # for the server to start, and for one formula
ATTEMPTS = 100

logger = logging.getLogger(__name__)
render = katex.render_latex


def start_server(app: Sphinx) -> None:
    """Start the rendering server before the first page needs it, and again if it was asked too early."""
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = SECONDS
    for attempt in range(ATTEMPTS):
        try:
            katex.KaTeXServer.get()
            return
        except ConnectionRefusedError:
            if attempt == ATTEMPTS - 1:
                raise


def render_or_warn(latex: str, options: dict[str, Any] | None = None) -> str:
    """Render a formula, and warn, which fails the build, if it isn't one."""
    try:
        return render(latex, {**(options or {}), "throwOnError": True})
    except katex.KaTeXError as error:
        logger.warning("%s", error)
        return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    katex.render_latex = render_or_warn
    app.connect("builder-inited", start_server, priority=900)  # after sphinxcontrib.katex has set its paths
    return {"parallel_read_safe": True, "parallel_write_safe": False}
