"""Each module of the package imports what its place allows, and none but the recipes imports a framework."""

import ast
import sys
from pathlib import Path

import pytest

import helpers

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


def imported(path: Path) -> set[str]:
    """Return the libraries that a module imports, and the modules of the package by their names in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"helpers.{name.name}" for name in node.names} if node.module == "helpers" else {node.module}
    names = {name.removeprefix("helpers.") if name.startswith("helpers.") else name.partition(".")[0] for name in names}
    return names - set(sys.stdlib_module_names)


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
