"""Run the chapters whose code changed, side by side, into the cache that the book is built from.

    python _ext/run_chapters.py CACHE CHAPTER...

jupyter-cache's local-parallel executor does the work. Added here: a line for each chapter as it ends, and, for one that
raises, the chapter, the cell's error, and a non-zero exit.
"""

import multiprocessing
import re
import sys
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import ProjectNb
from jupyter_cache.executors.basic import ExecutionWorkerLocalMProc, JupyterExecutorLocalMproc, ProcessData
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution

ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")
CELL_TIMEOUT = 600  # seconds; the same as in _config.yml


def chapter(uri: str) -> str:
    """Return a chapter's path as the reader of the terminal knows it."""
    return Path(uri).relative_to(Path.cwd()).as_posix()


class Worker(ExecutionWorkerLocalMProc):
    """Says when a chapter starts; errors are reported once, by the executor."""

    def __call__(self, data: ProcessData) -> tuple[int, str]:
        status, uri = super().__call__(data)
        # 2: not a cell failed but what runs them, as when two kernels are given the same port at once. It is tried again.
        return super().__call__(data) if status == 2 else (status, uri)

    def log_info(self, msg: str) -> None:
        event, _, uri = msg.partition(": ")
        if event == "Executing":
            print(f"  running {chapter(uri)}\n", end="", flush=True)  # one write: two workers print here

    @staticmethod
    def execute(project_nb: ProjectNb, data: ProcessData) -> ExecutionResult:
        # A kernel's word on its own transport is no news; what a cell prints in pieces belongs together.
        options = {"extra_arguments": ["--IPKernelApp.log_level=ERROR"], "coalesce_streams": True}
        cwd = str(Path(project_nb.uri).parent)
        return single_nb_execution(project_nb.nb, cwd, data.timeout, data.allow_errors, **options)


class Executor(JupyterExecutorLocalMproc):
    """The local-parallel executor, reporting each chapter when it ends instead of all of them at the end."""

    def run_and_cache(self, *, filter_uris: list[str], timeout: int) -> list[str]:
        records = self.get_records(filter_uris)
        if records:
            print(f"{len(records)} of {len(filter_uris)} chapters to run, {multiprocessing.cpu_count()} at a time")
        failed = []
        jobs = [ProcessData(record.pk, record.uri, self.cache, timeout, False) for record in records]
        with multiprocessing.Pool() as pool:
            for done, (status, uri) in enumerate(pool.imap_unordered(Worker(), jobs), start=1):
                failed += [uri] if status else []
                seconds = "failed" if status else f"{self.cache.get_cached_project_nb(uri).data['execution_seconds']:.1f} s"
                print(f"  [{done}/{len(jobs)}] {chapter(uri)}: {seconds}\n", end="", flush=True)
        return failed


def main(cache_path: str, *chapters: str) -> int:
    """Run what is not in the cache; return 1 if a chapter raised."""
    multiprocessing.get_logger().setLevel("ERROR")  # a cell that raises is reported below, once
    cache = get_cache(cache_path)
    uris = [str(Path(path).resolve()) for path in chapters]
    for uri in uris:
        cache.add_nb_to_project(uri)
    failed = Executor(cache).run_and_cache(filter_uris=uris, timeout=CELL_TIMEOUT)
    for uri in failed:
        traceback = cache.get_project_record(uri).traceback or "no traceback: the kernel died"
        _, _, cell_and_error = traceback.partition("nbclient.exceptions.")  # what precedes it is nbclient
        print(f"\n{chapter(uri)} failed:\n{ANSI_COLOR.sub('', cell_and_error or traceback)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
