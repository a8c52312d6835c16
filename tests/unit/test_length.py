"""Files and functions of the product stay short. What a function says of itself is not counted: `--help` prints it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import bottle
import migrate

FILES = [path for package in (bottle, migrate) for path in Path(package.__file__).parent.rglob("*.py")]
FILE, FUNCTION = 400, 40  # lines


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(each, clean=False) or ""
            assert each.end_lineno is not None
            yield f"{path}:{each.name}", each.end_lineno - each.lineno + 1 - len(text.splitlines())


def test_files_are_short() -> None:
    assert {str(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) > FILE} == {}


def test_functions_are_short() -> None:
    found = dict(each for path in FILES for each in functions(path))
    assert len(found) > 2000
    assert {name: lines for name, lines in found.items() if lines > FUNCTION} == {}
