"""The exhibits are data and nothing else; tests/claims prints them again."""

import ast
from pathlib import Path

from helpers import exhibits


def test_exhibits_import_nothing():
    tree = ast.parse(Path(exhibits.__file__).read_text(encoding="utf8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
