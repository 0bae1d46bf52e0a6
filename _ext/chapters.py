"""Sphinx extension: run the chapters whose code changed before any page is written, and write all pages or none.

Digests tell whether anything that pages are made of has changed. If so, the chapters run side by side, each in an empty
folder, with this checkout's helpers, and what they print goes into MyST-NB's cache. All pages are written anew, aside, and
take the place of the old ones when they are complete.
"""

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path

import nbformat
import psutil
from filelock import FileLock, Timeout
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from nbclient import NotebookClient
from sphinx.application import Sphinx
from sphinx_external_toc.parsing import parse_toc_yaml

# What the cells use, and what pages are made of beside the files of the table of contents.
CODE = ["requirements.txt", *(f"helpers/**/*.{end}" for end in ("py", "js", "json"))]
PAGES = ["LICENSE", "CITATION.cff", "references.bib", "_*.yml", "_ext/*.py", "_static/**/*", "_templates/**/*"]
# Prints in one piece, no times, which the cache would compare, and no warning of the kernel about its sockets.
OPTIONS = {"coalesce_streams": True, "record_timing": False, "extra_arguments": ["--IPKernelApp.log_level=ERROR"]}


def digests(root: Path) -> list[str]:
    """Return a digest of what the cells use, and one of all else that pages are made of, names of files included."""
    written, address = [f"{page}.*" for page in parse_toc_yaml(root / "_toc.yml")], os.environ.get("BOOK_REPOSITORY_URL", "")
    found = []
    for patterns, setting in ((CODE, sys.version), (PAGES + written, address)):
        paths = sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})
        contents = [f"{path.relative_to(root)} {sha256(path.read_bytes()).hexdigest()}" for path in paths]
        found.append(sha256("\n".join([*contents, setting]).encode()).hexdigest())
    return found


def read(path: Path) -> nbformat.NotebookNode | None:
    """Return the cells of a chapter, or of a page in Markdown that has some."""
    text = path.read_text(encoding="utf8")
    if path.suffix == ".ipynb":
        return nbformat.reads(text, as_version=4)
    return read_myst_markdown_notebook(text) if is_myst_markdown_notebook(text) else None


def is_cached(cache: JupyterCacheAbstract, path: Path) -> bool:
    """Tell whether the cache holds what a chapter's cells print. What a kill has left half written does not count."""
    with contextlib.suppress(KeyError, ValueError):
        return bool(cache.merge_match_into_notebook(read(path)))
    return False


def execute(path: Path, timeout: int) -> CacheBundleIn:
    """Run one chapter in a kernel of its own. In a thread, nbclient leaves Ctrl-C alone."""
    print(f"  running {path.name}\n", end="", flush=True)  # in one write, since chapters run side by side
    notebook, start = read(path), time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        NotebookClient(notebook, timeout=timeout, **OPTIONS).execute(cwd=folder)
    print(f"  {path.name}: {time.monotonic() - start:.1f} s\n", end="", flush=True)
    return CacheBundleIn(notebook, str(path))


def run(chapters: list[Path], cache: JupyterCacheAbstract, timeout: int) -> bool:
    """Run what is not in the cache, and tell whether all of it went well."""
    from dask.system import CPU_COUNT  # slow to import, and needed only here
    from distributed.system import MEMORY_LIMIT

    # as far as this process may use them; 2 GiB are more than a chapter takes with the processes that it starts
    jobs = int(os.environ.get("JOBS") or max(1, min(CPU_COUNT, MEMORY_LIMIT // 2**31)))
    waiting, errors = [path for path in chapters if not is_cached(cache, path)], {}
    waiting.sort(key=lambda path: -path.stat().st_size)  # the longest first, so that the last ones end together
    print(f"{len(waiting)} of {len(chapters)} chapters to run, {jobs} at a time", flush=True)
    pool = ThreadPoolExecutor(jobs)  # not as a context, which would wait for the chapters after Ctrl-C
    runs = {pool.submit(execute, path, timeout): path for path in waiting}
    for finished in as_completed(runs):
        try:
            cache.cache_notebook_bundle(finished.result(), overwrite=True)
        except Exception as error:  # a cell raised or took too long, or a kernel died: the other chapters still run
            errors[runs[finished]] = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")
            print(f"  {runs[finished].name}: failed\n", end="", flush=True)
    sys.stderr.writelines(f"\n{path} failed:\n{error}\n" for path, error in errors.items())
    return not errors


def stop(number: int, _: object) -> None:
    """End the build at once, with all that it has started: kernels, what the chapters have started in them, and servers."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended by itself
            process.kill()
    os._exit(128 + number)


def start(app: Sphinx, _: object) -> None:
    """End a build that has nothing to do. Else run the chapters, and let Sphinx write the pages aside."""
    root, folder = Path(app.srcdir), Path(app.srcdir, "_build")
    folder.mkdir(exist_ok=True)
    lock, stamp, book, cache = (folder / name for name in (".lock", "digests", "html", ".jupyter_cache"))
    try:
        app.lock = FileLock(lock, timeout=0).acquire()  # until this process ends
    except Timeout:
        print("Another build is running in this folder: waiting for it.", flush=True)
        app.lock = FileLock(lock).acquire()
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    # The helpers of this checkout, wherever the environment's own come from, in this process and in the kernels. They set
    # the variables that printed digits depend on.
    sys.path.insert(0, str(root))
    import helpers  # noqa: F401

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    os.environ.pop("MPLBACKEND", None)  # one for machines without a screen would leave the figures out
    now, done = digests(root), stamp.read_text("utf8").split() if stamp.is_file() else []
    if Path(app.outdir) == book and done == now and (book / "index.html").is_file():
        print("Nothing has changed.", flush=True)
        sys.exit()
    if done[:1] != now[:1]:  # the cache knows a chapter by its own code alone
        shutil.rmtree(cache, ignore_errors=True)
    stamp.write_text(now[0], "utf8")
    pages = [path for page in parse_toc_yaml(root / "_toc.yml") for path in root.glob(f"{page}.*")]
    if not run(list(filter(read, pages)), get_cache(cache), app.config.nb_execution_timeout):
        sys.exit(1)
    app.config.nb_execution_cache_path = str(cache)  # for every builder, wherever it writes
    if Path(app.outdir) == book:
        shutil.rmtree(app.doctreedir, ignore_errors=True)  # an old page may link to what is gone
        app.outdir = type(app.outdir)(folder / "draft")
        shutil.rmtree(app.outdir, ignore_errors=True)
        app.outdir.mkdir()
        app.connect("build-finished", lambda app, error: error or finish(app, book, stamp, now), priority=999)


def finish(app: Sphinx, book: Path, stamp: Path, now: list[str]) -> None:
    """Let the new pages take the place of the old ones, unless a warning counts as an error."""
    if app.builder.name == "html" and not (app._warncount and app.keep_going):
        with tempfile.TemporaryDirectory(dir=book.parent) as old:
            if book.exists():
                book.rename(Path(old, "html"))
            Path(app.outdir).rename(book)
        stamp.write_text("\n".join(now[: 1 if app._warncount else 2]), "utf8")


def setup(app: Sphinx) -> None:
    """Connect to Sphinx, before all that reads where the pages go."""
    app.connect("config-inited", start, priority=0)
