"""Build the book into _build/html, by ``python -m _ext.build [JOBS]``.

A digest tells whether anything that the pages are made of has changed. Then all pages are written anew, aside, and take the
place of the old ones when they are complete. A chapter runs again only if its own code changed, or what its code uses.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import psutil

BUILD = Path("_build")
STAMP, DRAFT, BOOK, OLD, LOG = (BUILD / name for name in ("digests", "draft", "html", "html.old", "sphinx.log"))
# What the cells use, and what the pages are made of.
CODE = ["requirements.txt", *(f"{top}/**/*.{end}" for top in ("helpers",) for end in ("py", "js", "json"))]
PAGES = ["chapters/*", "*index.md", "LICENSE", "references.bib", "_*.yml", "_ext/*.py", "_static/**/*", "_templates/*"]
SPHINX = ["jupyter-book", "build", ".", "--quiet", "-W", "-n", "--keep-going", "--path-output", DRAFT]


def digest(patterns: list[str], *settings: str) -> str:
    """Return a digest of the files that the patterns name, of their names, and of settings."""
    paths = (path for pattern in patterns for path in Path().glob(pattern) if path.is_file())
    contents = sorted(f"{path} {sha256(path.read_bytes()).hexdigest()}" for path in paths)
    return sha256("\n".join([*contents, *settings]).encode()).hexdigest()


def build(jobs: list[int], lock: int) -> int:
    """Run the chapters and write the pages. Return 0, or 1 if something failed; then the old pages stay."""
    code, pages = digest(CODE, sys.version), digest(PAGES, os.environ.get("BOOK_REPOSITORY_URL", ""))
    done = STAMP.read_text().split() if STAMP.is_file() else []
    if done == [code, pages] and BOOK.is_dir():
        return 0
    from _ext import chapters  # slow to import, and needed only here

    if done[:1] != [code]:  # the cache knows a chapter by its own code alone
        shutil.rmtree(chapters.CACHE, ignore_errors=True)
    STAMP.write_text(code)
    if not chapters.run(sorted(Path("chapters").glob("*.ipynb")), *jobs):
        return 1
    shutil.rmtree(DRAFT, ignore_errors=True)
    with LOG.open("w") as log:  # Sphinx holds the lock too: if this process is killed, the next build waits for Sphinx
        failed = subprocess.run(SPHINX, stdout=log, stderr=log, pass_fds=[lock], check=False).returncode
    if failed:
        sys.stderr.write(LOG.read_text())
        return 1
    shutil.rmtree(OLD, ignore_errors=True)
    if BOOK.exists():
        BOOK.rename(OLD)
    (DRAFT / "_build" / "html").rename(BOOK)
    STAMP.write_text(f"{code} {pages}")
    return 0


def stop(number: int, frame: object) -> None:
    """End the build at once, with all that it has started: kernels, what the chapters have started in them, and Sphinx."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended by itself
            process.kill()
    os._exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another build is running in this folder: waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        sys.exit(build([int(jobs) for jobs in sys.argv[1:]], lock.fileno()))
