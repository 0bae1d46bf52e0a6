"""Each module of the package imports what its place allows, and none but the recipes imports a framework."""

import ast
import platform
import sys
from pathlib import Path

import pytest

import helpers
from measure import machine

FOLDER = Path(helpers.__file__).parent
NUMPY, PLOT = {"numpy"}, {"IPython", "matplotlib", "matplotlib_inline"}
# What each module may import, beside Python's own: libraries, and modules of the package.
ALLOWED = {
    "_checks": NUMPY,
    "_rows": NUMPY | {"_checks"},
    "binary": NUMPY | {"_checks", "_rows"},
    "categorical": NUMPY | {"_checks", "_rows"},
    "streaming": NUMPY | {"_checks", "_rows"},
    "information": NUMPY | {"_checks", "_rows"},
    "exhibits": set(),
    "symbolic": {"sympy"},
    "precision": NUMPY | {"mpmath", "_checks"},
    "records": set(),
    "trial": NUMPY | {"ml_dtypes", "mpmath", "_checks", "precision", "records"},
    "mutants": NUMPY,
    "explorer": {"_checks"},
    "figures": NUMPY | PLOT,
    "recipes.calls": set(),
}
MODULES = {".".join(path.relative_to(FOLDER).with_suffix("").parts): path for path in FOLDER.rglob("*.py")}
MODULES = {
    name.removesuffix(".__init__"): path for name, path in MODULES.items() if name not in ("__init__", "recipes.__init__")
}


def imported(path: Path, standard: frozenset[str] = sys.stdlib_module_names) -> set[str]:
    """Return the libraries that a module imports, and the modules of the package by their names in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"helpers.{name.name}" for name in node.names} if node.module == "helpers" else {node.module}
    names = {name.removeprefix("helpers.") if name.startswith("helpers.") else name.partition(".")[0] for name in names}
    return names - standard


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_its_place_allows(name):
    library, _, recipe = name.removeprefix("recipes.").partition("_")  # a recipe imports its own library alone
    allowed = {library} if name.startswith("recipes.") and recipe else ALLOWED[name]
    assert imported(MODULES[name]) <= allowed


def test_the_arrows_between_modules_run_one_way():
    waiting = {name: imported(path) & MODULES.keys() for name, path in MODULES.items()}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {name: needs for name, needs in waiting.items() if name not in free}
    assert waiting == {}


def test_nothing_imports_what_windows_lacks():
    of_posix = {"fcntl", "grp", "pwd", "pty", "resource", "syslog", "termios", "tty"}
    folders = [FOLDER.parent / name for name in ("_ext", "helpers", "measure", "tests")]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(paths) > 60
    assert {path.name: names for path in paths if (names := imported(path, frozenset()) & of_posix)} == {}


def test_without_glibc_the_machine_is_told_and_the_memory_is_not(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert machine.machine()["processor"]
    assert machine.peak_bytes(list) is machine.peak_bytes_alive(list) is None
