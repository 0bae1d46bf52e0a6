"""Run the chapters whose code changed, side by side, into the cache that the book is built from."""

import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient import NotebookClient

CACHE = Path("_build/.jupyter_cache")  # as in _config.yml, and so is the timeout
OPTIONS = {
    "timeout": 600,  # seconds
    "coalesce_streams": True,  # what a cell prints in pieces belongs together
    "record_timing": False,  # times would be part of what the cache knows a chapter by
    "extra_arguments": ["--IPKernelApp.log_level=ERROR"],  # the kernel's warning about its sockets belongs on no page
}
# Both as far as this process may use them; 2 GiB are more than a chapter takes with the processes that it starts.
JOBS = max(1, min(CPU_COUNT, MEMORY_LIMIT // 2**31))


def is_cached(cache: JupyterCacheAbstract, path: Path) -> bool:
    """Tell whether the cache holds what a chapter's cells print. What a kill has left half written does not count."""
    try:
        return bool(cache.merge_match_into_notebook(nbformat.read(path, as_version=4)))
    except (KeyError, ValueError):
        return False


def execute(path: Path) -> CacheBundleIn:
    """Run one chapter in a kernel of its own. In a thread, nbclient leaves Ctrl-C alone."""
    print(f"  running {path}\n", end="", flush=True)  # in one write, since chapters run side by side
    notebook, start = nbformat.read(path, as_version=4), time.monotonic()
    NotebookClient(notebook, **OPTIONS).execute(cwd=str(path.parent))
    print(f"  {path}: {time.monotonic() - start:.1f} s\n", end="", flush=True)
    return CacheBundleIn(notebook, str(path.resolve()))


def run(chapters: list[Path], jobs: int = JOBS) -> bool:
    """Run what is not in the cache, ``jobs`` chapters at a time, and tell whether all of it went well."""
    cache, errors = get_cache(CACHE), {}
    waiting = [path for path in chapters if not is_cached(cache, path)]
    print(f"{len(waiting)} of {len(chapters)} chapters to run, {jobs} at a time", flush=True)
    pool = ThreadPoolExecutor(jobs)  # not as a context, which would wait for the chapters after Ctrl-C
    runs = {pool.submit(execute, path): path for path in waiting}
    for finished in as_completed(runs):
        try:
            cache.cache_notebook_bundle(finished.result(), overwrite=True)
        except Exception as error:  # a cell raised or took too long, or a kernel died: the other chapters still run
            errors[runs[finished]] = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")
            print(f"  {runs[finished]}: failed\n", end="", flush=True)
    sys.stderr.writelines(f"\n{path} failed:\n{error}\n" for path, error in errors.items())
    return not errors
