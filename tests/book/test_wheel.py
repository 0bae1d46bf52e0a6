"""The package as it is installed: chapters run on it in an empty folder, without the checkout."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf8", check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the Python of a fresh environment with the package, made from a wheel of this checkout.

    The libraries are those of the environment that runs the tests. A path in a .pth file brings them, but not the package
    that was installed from the checkout, because Python reads no .pth files there.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, since building leaves files behind
    shutil.copytree(ROOT / "helpers", source / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run("uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, source)
    [wheel] = folder.glob("*.whl")
    run("uv", "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = Path(run(python, "-c", SITE).strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf8")
    run("uv", "pip", "install", "--quiet", "--no-deps", "--python", python, wheel)
    where = run(python, "-c", "import helpers; print(helpers.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(site)
    return python


# A chapter that reads records and shows an explorer, one that shows recipes, and one that needs neither.
@pytest.mark.parametrize("chapter", ["the-last-digits", "which-loss-to-call", "deriving-the-stable-form"])
def test_a_chapter_runs_in_an_empty_folder_on_the_installed_package(installed, chapter, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    shutil.copy(ROOT / "chapters" / f"{chapter}.ipynb", tmp_path)  # nbconvert runs a notebook where it lies
    run(installed, "-m", "nbconvert", "--execute", "--to", "notebook", "--stdout", f"{chapter}.ipynb", cwd=tmp_path)
