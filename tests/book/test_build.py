"""`make book`, run on a copy of the project whose chapters are two small ones."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[2]
VENV = Path(sys.prefix)
IGNORED = (ROOT / ".gitignore").read_text(encoding="utf8").replace("/", "").splitlines()

TOC = """\
format: jb-book
root: index
chapters:
  - file: chapters/one
  - file: chapters/two
"""
ANSWER = new_code_cell("from helpers.answer import ANSWER\n\nprint(ANSWER)")
FIGURE = new_code_cell("import matplotlib.pyplot as plt\n\nplt.plot([0, 1])\nplt.show()")
WARNING = "import warnings\n\nwarnings.warn('a trapdoor', stacklevel=1)"
PLANNED = new_code_cell(WARNING, metadata={"mystnb": {"output_stderr": "show"}})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf8")


def write_chapter(path: Path, *cells: nbformat.NotebookNode) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_markdown_cell(f"# Chapter {path.stem}"), *cells]
    write(path, nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})))


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    # MPLBACKEND is set on many machines without a screen; the chapters' figures must not depend on it
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # from make test
    environment |= {"PYTHONPATH": str(project), "MPLBACKEND": "agg"}
    command = ["make", "book", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False)


def make_book(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    return make(project, f"VENV={VENV}", "-o", f"{VENV}/.installed", *arguments)


def pages(project: Path) -> dict[Path, str]:
    return {path: path.read_text(encoding="utf8") for path in project.glob("_build/html/**/*.html")}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("build") / "project"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".git", "chapters", *IGNORED))
    write(root / "_toc.yml", TOC)
    write(root / "index.md", "# Two small chapters\n")
    write(root / "helpers/answer.py", "ANSWER = 'forty-one'\n")
    write_chapter(root / "chapters/one.ipynb", ANSWER, FIGURE, PLANNED)
    write_chapter(root / "chapters/two.ipynb", new_code_cell("1 + 1"))
    return root


@pytest.fixture(scope="module")
def builds(project):
    first, again = make_book(project), make_book(project)
    assert first.returncode == 0, first.stderr
    return first, again


@pytest.fixture
def page(project, builds):
    return project / "_build/html/chapters/one.html"


def test_a_build_says_what_it_runs_and_where_the_book_is(project, builds):
    first, _ = builds
    output = first.stdout
    assert "2 of 2 chapters to run" in output
    for name in ("one", "two"):
        assert f"running chapters/{name}.ipynb\n" in output
        assert f"] chapters/{name}.ipynb: " in output
    assert output.endswith(f"The book is in {project}/_build/html/index.html\n")
    assert not first.stderr


def test_a_build_after_no_change_runs_nothing(project, builds):
    _, again = builds
    assert again.returncode == 0
    assert again.stdout == f"The book is in {project}/_build/html/index.html\n"


def test_a_planned_warning_and_a_figure_are_on_the_page(page):
    text = page.read_text(encoding="utf8")
    assert "UserWarning: a trapdoor" in text
    assert "_images/" in text


def test_a_changed_helper_changes_the_page(project, page):
    assert "forty-one" in page.read_text(encoding="utf8")
    write(project / "helpers/answer.py", "ANSWER = 'forty-two'\n")
    assert make_book(project).returncode == 0
    assert "forty-two" in page.read_text(encoding="utf8")


def test_a_cell_that_raises_fails_the_build_and_is_named_and_the_earlier_book_stays(project, builds):
    before = pages(project)
    write_chapter(project / "chapters/two.ipynb", new_code_cell("[].pop()"))
    build = make_book(project)
    assert build.returncode != 0
    assert "1 of 2 chapters to run" in build.stdout
    assert "chapters/two.ipynb: failed" in build.stdout
    assert "chapters/two.ipynb failed:" in build.stderr
    assert "IndexError: pop from empty list" in build.stderr
    assert pages(project) == before


def test_an_unplanned_warning_a_dead_reference_and_a_broken_formula_fail_the_build_every_time(project, builds):
    before = pages(project)
    mistakes = new_markdown_cell(r"See {ref}`nowhere`, and $\nonsense$.")
    write_chapter(project / "chapters/two.ipynb", new_code_cell(WARNING), mistakes)
    first, second = make_book(project), make_book(project)
    assert "1 of 2 chapters to run" in first.stdout
    assert "to run" not in second.stdout
    for build in (first, second):
        assert build.returncode != 0
        complaints = [line for line in build.stderr.splitlines() if "chapters/two.ipynb" in line]
        assert any("stderr was found in the cell outputs" in line for line in complaints)
        assert any("undefined label: 'nowhere'" in line for line in complaints)
        assert r"KaTeX parse error: Undefined control sequence: \nonsense" in build.stderr
    assert pages(project) == before


@pytest.mark.parametrize(("deaths", "code"), [(1, 0), (2, 1)])
def test_a_kernel_that_dies_is_started_once_more(tmp_path, deaths, code):
    die = "open(f'deaths/{os.getpid()}', 'x').close()\n    os._exit(1)"
    cell = f"import os\n\nif len(os.listdir('deaths')) < {deaths}:\n    {die}"
    write_chapter(tmp_path / "one.ipynb", new_code_cell(cell))
    (tmp_path / "deaths").mkdir()
    command = [sys.executable, ROOT / "_ext" / "run_chapters.py", "cache", "one.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert ("the kernel died" in run.stderr) == (code == 1)


def test_who_publishes_the_book_gives_its_pages_buttons_that_run_a_chapter(project, builds, page):
    services = ("mybinder.org/v2/gh/someone/losses/main", "colab.research.google.com/github/someone/losses/blob/main")
    assert not [service for service in services if service in page.read_text(encoding="utf8")]
    write_chapter(project / "chapters/two.ipynb", new_code_cell("2 + 2"))
    write_chapter(project / "chapters/one.ipynb", ANSWER, FIGURE)
    published = make_book(project, "BOOK_REPOSITORY_URL=https://github.com/someone/losses/")
    assert published.returncode == 0, published.stderr
    assert not [service for service in services if service not in page.read_text(encoding="utf8")]
    assert "chapters/one.ipynb" in page.read_text(encoding="utf8")


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0), None], ids=["older", "newer", "missing"])
def test_a_python_that_the_book_cannot_use_is_refused_in_one_sentence(project, tmp_path, version):
    python = tmp_path / "python"
    if version:
        pretend = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{pretend}" "$2"\n')  # $1 is -c
        python.chmod(0o755)
    refusal = make(project, f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert refusal.returncode != 0
    said = [line for line in refusal.stderr.splitlines() if not line.startswith("make:")]
    assert said == [f"The book needs Python 3.11, 3.12 or 3.13; '{python}' is not one. Name one: make PYTHON=python3.12"]
    assert not (tmp_path / "venv").exists()
