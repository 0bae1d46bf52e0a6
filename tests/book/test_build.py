"""`make book`, run on a copy of the project whose chapters are small: never hangs, never stale, never needless."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from _ext.chapters import digests

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="make, and groups of processes, are not everywhere")

ROOT = Path(__file__).parents[2]
IGNORED = (ROOT / ".gitignore").read_text(encoding="utf8").replace("/", "").splitlines()

TOC = "format: jb-book\nroot: index\nchapters:\n"
WORDS = """\
# Words

What the words mean.

```{glossary}
logit
  A number.
```

```{bibliography}
```
"""
WARNING = "import sys\n\nprint('a trapdoor', file=sys.stderr)"
FIGURE = {"figure": {"name": "fig-line", "caption": "A line."}, "image": {"alt": "A line."}}
ONE = [
    new_markdown_cell("The logit and the `helpers.answer.ANSWER`, by {cite:t}`goldberg1991`, for $x$."),
    new_code_cell("from helpers import answer\n\nprint(answer.ANSWER)"),
    new_code_cell("import matplotlib.pyplot as plt\n\nplt.plot([0, 1])\nplt.show()", metadata={"mystnb": FIGURE}),
    new_code_cell(WARNING, metadata={"mystnb": {"output_stderr": "show"}}),
]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")


def write_chapter(path: Path, *cells: nbformat.NotebookNode) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_markdown_cell(f"# Chapter {path.stem}\n\nOne sentence."), *cells]
    write(path, nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})))


def command(project: Path, *arguments: str) -> dict:
    """Return what subprocess needs to build a project with this environment, without looking at its age."""
    # what comes from make test does not count: libraries that read without an encoding would write to a cell's stderr
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHONWARN"))}
    # MPLBACKEND is set on many machines without a screen; the chapters' figures must not depend on it
    environment |= {"MPLBACKEND": "agg"}
    arguments = ["make", "book", f"VENV={sys.prefix}", "-o", "environment", *arguments]
    return {"args": arguments, "cwd": project, "env": environment, "encoding": "utf8"}


def make_book(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(**command(project, *arguments), capture_output=True, timeout=120, check=False)


def start_book(project: Path, *arguments: str) -> subprocess.Popen:
    """Start a build as a terminal does, in a group of its own that Ctrl-C reaches."""
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(**command(project, *arguments), **output, start_new_session=True)


def files(project: Path) -> dict[Path, bytes]:
    book = project / "_build" / "html"
    return {path.relative_to(book): path.read_bytes() for path in book.rglob("*") if path.is_file()}


def copy(source: Path, target: Path) -> Path:
    return shutil.copytree(source, target, ignore=shutil.ignore_patterns(".git", *IGNORED))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make the small project: two chapters, a glossary, and the book's own everything else."""
    root = tmp_path_factory.mktemp("build") / "template"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".git", "chapters", "tests", *IGNORED))
    write(root / "_toc.yml", TOC + "".join(f"  - file: chapters/{name}\n" for name in ("one", "two", "words")))
    write(root / "index.md", "# A small book\n\nOne sentence.\n")
    write(root / "helpers/answer.py", "ANSWER = 'forty-one'\n")
    write(root / "chapters/words.md", WORDS)
    write_chapter(root / "chapters/one.ipynb", *ONE)
    write_chapter(root / "chapters/two.ipynb", new_code_cell("1 + 1"))
    return root


@pytest.fixture(scope="module")
def built(template):
    """Build the small project once; the tests that change it work on copies with its cache and its pages."""
    first = make_book(template)
    assert first.returncode == 0, first.stderr
    return template, first.stdout


@pytest.fixture
def project(built, tmp_path):
    return shutil.copytree(built[0], tmp_path / "project")


def test_a_build_says_what_it_runs_and_where_the_book_is(built):
    root, output = built
    assert "2 of 2 chapters to run" in output
    for name in ("one", "two"):
        assert f"running {name}.ipynb\n" in output
        assert f"  {name}.ipynb: " in output
    assert f"file://{root}/_build/html/index.html" in output


def test_a_planned_warning_and_a_figure_are_on_the_page(built):
    text = (built[0] / "_build/html/chapters/one.html").read_text(encoding="utf8")
    assert "a trapdoor" in text
    assert "_images/" in text


def test_a_build_after_no_change_does_nothing(project):
    before = {path: path.stat().st_mtime_ns for path in (project / "_build").rglob("*.*")}
    again = make_book(project)
    assert again.stdout.endswith("Nothing has changed.\n")
    after = {path: path.stat().st_mtime_ns for path in (project / "_build").rglob("*.*")}
    assert {path for path in after if before[path] != after[path]} == set()


CHANGES = {
    "a term added": lambda root: write(root / "chapters/words.md", WORDS.replace("logit", "sentence\n  Words.\n\nlogit")),
    "a helper changed": lambda root: write(root / "helpers/answer.py", "ANSWER = 'forty-two'\n"),
    "a helper added": lambda root: write(root / "helpers/question.py", "QUESTION = 'Why?'\n"),
    "a deep static file changed": lambda root: write(root / "_static/katex/katex.min.css", ".katex { color: red }"),
    "a chapter removed": lambda root: write(root / "_toc.yml", TOC + "  - file: chapters/one\n  - file: chapters/words\n"),
    "another version": lambda root: write(root / "CITATION.cff", (root / "CITATION.cff").read_text("utf8") + "# next\n"),
    "references changed": lambda root: (root / "references.bib").write_bytes(
        (root / "references.bib").read_bytes().replace(b"Goldberg", b"Silverberg")
    ),
}
URL = "BOOK_REPOSITORY_URL=https://github.com/someone/losses/"


def restore(project: Path, template: Path) -> None:
    """Undo the changes, which removes the term and the helper that they added."""
    changed = ("chapters/words.md", "helpers/answer.py", "_static/katex/katex.min.css", "_toc.yml", "references.bib")
    for name in (*changed, "CITATION.cff"):
        shutil.copy(template / name, project / name)
    (project / "helpers/question.py").unlink()


def test_a_changed_book_equals_a_clean_one_and_a_restored_book_the_first(project, template, tmp_path):
    for change in CHANGES.values():
        change(project)
    changed, clean = make_book(project, URL), make_book(copy(project, tmp_path / "clean"), URL)
    assert (changed.returncode, clean.returncode) == (0, 0), changed.stderr + clean.stderr
    assert files(project) == files(tmp_path / "clean")
    page = (project / "_build/html/chapters/one.html").read_text(encoding="utf8")
    for part in (
        "forty-two",
        'class="term">sentence',
        "Silverberg",
        "gh/someone/losses/main?",
        "github/someone/losses/blob/",
        "losses/issues/new?template=error.yml&amp;version=",
    ):
        assert part in page
    assert not (project / "_build/html/chapters/two.html").exists()
    restore(project, template)
    restored = make_book(project)
    assert restored.returncode == 0, restored.stderr
    assert files(project) == files(template)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_alone_is_noticed(project, change):
    before = digests(project)
    change(project)
    assert digests(project) != before


def test_the_repositorys_address_is_noticed(built, monkeypatch):
    before = digests(built[0])
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "https://github.com/someone/losses")
    assert digests(built[0]) != before


NO_PAGE = [
    "ruff.toml",
    "pyproject.toml",
    "README.md",
    "tests/test_it.py",
    "_ext/__pycache__/a.pyc",
    "chapters/scratch.ipynb",
]


@pytest.mark.parametrize("path", NO_PAGE)
def test_what_the_pages_are_not_made_of_builds_nothing(project, path):
    before = digests(project)
    write(project / path, "changed")
    assert digests(project) == before


FAILURES = {"[].pop()": "IndexError: pop from empty list", "import os; os._exit(1)": "DeadKernelError: Kernel died"}


@pytest.mark.parametrize(("cell", "words"), FAILURES.items(), ids=["error", "dead kernel"])
def test_a_chapter_that_fails_is_named_and_the_book_stays(project, cell, words):
    before = files(project)
    write_chapter(project / "chapters/two.ipynb", new_code_cell(cell))
    write_chapter(project / "chapters/one.ipynb", new_code_cell("2 + 2"))
    build = make_book(project, "JOBS=1")
    assert build.returncode != 0
    assert "2 of 2 chapters to run, 1 at a time" in build.stdout
    assert "  two.ipynb: failed" in build.stdout
    assert "chapters/two.ipynb failed:" in build.stderr
    assert words in build.stderr
    assert "  one.ipynb: failed" not in build.stdout
    assert files(project) == before


def test_a_warning_a_dead_link_and_a_broken_formula_fail_every_build(project):
    before = files(project)
    mistakes = new_markdown_cell(r"See {ref}`nowhere`, and $\nonsense$.")
    write_chapter(project / "chapters/two.ipynb", new_code_cell(WARNING), mistakes)
    write(project / "chapters/scratch.ipynb", "no notebook, and on no page")
    first, second = make_book(project), make_book(project)
    assert "1 of 2 chapters to run" in first.stdout
    assert "0 of 2 chapters to run" in second.stdout
    for build in (first, second):
        assert build.returncode != 0
        complaints = [line for line in build.stderr.splitlines() if "chapters/two.ipynb" in line]
        assert any("stderr was found in the cell outputs" in line for line in complaints)
        assert any("undefined label: 'nowhere'" in line for line in complaints)
        assert r"KaTeX parse error: Undefined control sequence: \nonsense" in build.stderr
    assert files(project) == before


SLEEPER = """\
import subprocess, sys

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("PROJECT/running", "w").close()
child.wait()
"""


def wait_for(path: Path, build: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert build.poll() is None, f"the build ended before {path} appeared: {build.communicate()[0]}"
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def seconds_to_interrupt(project: Path, sign: int) -> float:
    """Start a build that runs a chapter, interrupt it, check that nothing of it is left, and return how long that took."""
    (project / "running").unlink(missing_ok=True)
    build = start_book(project)
    wait_for(project / "running", build)
    family = psutil.Process(build.pid).children(recursive=True)
    assert len(family) >= 3  # the build, the kernel, and what the cell has started
    start = time.monotonic()
    os.killpg(build.pid, sign)
    build.communicate(timeout=10)
    assert build.returncode != 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not list(filter(is_alive, alive))
    return time.monotonic() - start


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_ends_within_five_seconds_and_leaves_nothing(project, sign):
    before = files(project)
    write_chapter(project / "chapters/two.ipynb", new_code_cell(SLEEPER.replace("PROJECT", str(project))))
    # Another program on the machine can delay a process, but not speed it up: the fastest of three counts.
    assert any(seconds_to_interrupt(project, sign) < 5 for _ in range(3))
    assert files(project) == before


def test_a_second_build_says_that_it_waits(project):
    cell = f"import time\n\nopen('{project}/running', 'w')\ntime.sleep(5)"
    write_chapter(project / "chapters/two.ipynb", new_code_cell(cell))
    first = start_book(project)
    wait_for(project / "running", first)
    second = make_book(project)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == second.returncode == 0, output + second.stderr
    assert "Another build is running in this folder: waiting for it." in second.stdout
    assert "chapters to run" not in second.stdout


def test_a_killed_build_leaves_a_whole_book(project):
    page, before = Path("chapters/one.html"), files(project)
    draft = project / "_build/draft"
    running = "print(open('PROJECT/running', 'w'))\n\nimport time; time.sleep(60)".replace("PROJECT", str(project))
    for phase in (project / "running", draft / "chapters/one.html"):  # while chapters run, and while the pages are written
        answer = f"{phase.name} and forty"
        write(project / "helpers/answer.py", f"ANSWER = '{answer}'\n")
        write_chapter(project / "chapters/two.ipynb", new_code_cell(running if phase.name == "running" else "1 + 1"))
        build = start_book(project)
        wait_for(phase, build)
        os.killpg(build.pid, signal.SIGKILL)  # make, and what it has started; kernels notice that their parent is gone
        build.communicate()
        assert files(project) == before
    # Or it was killed between its two renames, before it wrote the digest of the pages.
    (project / "_build/html").rename(project / "_build/html.old")
    again = make_book(project)
    assert again.returncode == 0, again.stderr
    after = files(project)
    assert answer.encode() in after[page]
    assert after.keys() == before.keys()


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0), None], ids=["older", "newer", "missing"])
def test_a_python_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, version):
    python = tmp_path / "python"
    if version:
        pretend = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{pretend}" "$2"\n', "utf8")  # $1 is -c
        python.chmod(0o755)
    make = ["make", "environment", f"PYTHON={python}", f"VENV={tmp_path}/venv"]
    refusal = subprocess.run(make, cwd=ROOT, capture_output=True, encoding="utf8", check=False)
    assert refusal.returncode != 0
    said = [line for line in refusal.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert said[0].startswith(f"The book needs Python 3.11, 3.12 or 3.13, and {python} is none of them. Install one")
    assert not (tmp_path / "venv").exists()


PYTHON = """\
#!/bin/sh
echo "{name} $*" >>calls
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") cp uv-to-install "${{0%/*}}/uv" ;;
  "-c "*) exec {python} -c "import sys; sys.version_info = {version}; exec(sys.argv[1])" "$2" ;;
esac
"""
UV = """\
#!/bin/sh
echo "uv $*" >>calls
if [ "$1" = venv ]; then mkdir -p "$5/bin" && cp "${0%/*}/python3" "$5/bin/python"; fi
"""


UV_INSTALL = "pip sync --quiet --compile-bytecode --python venv requirements.txt"


@pytest.fixture
def machine(tmp_path):
    """Make a machine whose Pythons and uv are scripts that note what they are asked for, and whose lock names a uv."""
    for tool in ("sh", "cp", "grep", "mkdir", "rm", "touch"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    write(tmp_path / "requirements.txt", "uv==1.2.3 \\\n    # a lock\n")

    def install(name: str, script: str) -> None:
        write(tmp_path / name, script)
        (tmp_path / name).chmod(0o755)

    install("uv-to-install", UV)

    def program(name: str, *version: int) -> None:
        install(name, PYTHON.format(name=name, python=shlex.quote(sys.executable), version=version) if version else UV)

    def environment(**variables: str) -> list[str]:
        write(tmp_path / "calls", "")
        variables |= {"PATH": str(tmp_path)}
        subprocess.run([ROOT / ".ci" / "environment", "venv"], cwd=tmp_path, env=variables, check=True, capture_output=True)
        return [call for call in (tmp_path / "calls").read_text(encoding="utf8").splitlines() if " -c " not in call]

    return program, environment


def test_the_first_python_that_fits_makes_the_environment(machine):
    program, environment = machine
    program("python3", 3, 14)
    program("python3.13", 3, 10)
    program("python3.12", 3, 12)
    made, *installed = environment()
    assert made == "python3.12 -m venv venv"
    assert [call.split(" ", 1)[1] for call in installed] == ["-m pip install --quiet uv==1.2.3", UV_INSTALL]
    assert environment() == []  # nothing to do


def test_an_environment_of_another_python_is_made_again(machine):
    program, environment = machine
    program("python3", 3, 12)
    program("python3.11", 3, 11)
    environment()
    assert environment(PYTHON="python3") == []
    assert environment(PYTHON="python3.11")[0] == "python3.11 -m venv venv"


def test_an_environment_in_a_renamed_folder_is_made_again(machine, tmp_path):
    program, environment = machine
    program("python3", 3, 12)
    environment()
    (tmp_path / "venv/.installed").write_text(f"{tmp_path}/before/venv\n{tmp_path}\n", encoding="utf8")
    assert environment()[0] == "python3 -m venv venv"
    assert environment() == []


def test_an_environment_that_served_another_checkout_is_installed_again(machine, tmp_path):
    program, environment = machine
    program("python3", 3, 12)
    environment()
    (tmp_path / "venv/.installed").write_text(f"{tmp_path}/venv\n{tmp_path}/another\n", encoding="utf8")
    assert environment() == [f"uv {UV_INSTALL}"]
    assert environment() == []


def test_uv_provides_a_python_where_none_fits(machine):
    program, environment = machine
    program("python3", 3, 14)
    program("uv")
    assert environment() == ["uv venv --quiet --python >=3.11,<3.14 venv", f"uv {UV_INSTALL}"]
