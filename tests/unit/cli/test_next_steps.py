"""What somebody is told to type is there to be typed: each command, and each of its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from bottle.cli.main import main

ROOT = Path(__file__).parents[3]
# The command, as it is told: at the beginning of a text, or set apart in one.
_TOLD = re.compile(r"(?:^|[`:;(,]\s*|\bor\s+)bottle ([a-z][a-z-]*)((?: [^;()`\n]*)?)")
_OPTION = re.compile(r"(?<!\S)(--[a-z][a-z-]*|-[a-z])(?![\w-])")
# Where a colon or a comma stands before the noun.
_PROSE = {"goes", "was", "is", "that", "has", "itself", "comes", "there"}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module that are no docstrings, with `…` for what is put into them, and their lines."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def told() -> list[tuple[str, str, str]]:
    """Where, which command, and what stands behind it."""
    found = []
    for path in sorted((*ROOT.glob("bottle/**/*.py"), *ROOT.glob("migrate/**/*.py"))):
        for line, text in texts(ast.parse(path.read_text())):
            for match in _TOLD.finditer(text):
                if match[1] not in _PROSE:
                    found.append((f"{path.relative_to(ROOT)}:{line}", match[1], match[2]))
    return found


def command(name: str, rest: str) -> click.Command | None:
    context = click.Context(main)
    found = main.get_command(context, name)
    if isinstance(found, click.Group) and not rest.startswith(" …"):
        return found.get_command(context, rest.split(maxsplit=1)[0]) if rest.split() else found
    return found


def unknown(name: str, rest: str) -> set[str]:
    """What of it is not there."""
    meant = command(name, rest)
    if meant is None:
        return {name}
    own = rest.partition(" -- ")[0].partition("&&")[0]
    return set(_OPTION.findall(own)) - {"--help", *(option for param in meant.params for option in param.opts)}


def test_all_of_it_can_be_typed() -> None:
    found = told()
    assert len(found) > 80
    assert {"resume", "commit", "rm", "list", "migrate", "capability"} <= {name for _, name, _ in found}
    wrong = {f"{where}: bottle {name}{rest}": unknown(name, rest) for where, name, rest in found}
    assert {told: parts for told, parts in wrong.items() if parts} == {}


def test_what_cannot_be_typed_is_found() -> None:
    assert unknown("vanish", "") == {"vanish"}
    assert unknown("rm", " claude-x7k2p --forever") == {"--forever"}
    assert unknown("capability", " grant x") == {"capability"}
