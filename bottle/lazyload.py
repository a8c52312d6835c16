"""Public names of a package that are loaded with their modules, when somebody first asks for them (PEP 562)."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """A package whose public names hide modules of the same name, as `commit` does `commit.py`.

    The import system sets each module that it has loaded on its package. (docs.python.org/3/reference/datamodel.html,
    "Customizing module attribute access")
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in self.__all__):
            super().__setattr__(name, value)


def public_names(package: str, file: str) -> tuple[Callable[[str], Any], list[str]]:
    """The `__getattr__` and the `__all__` of the `package` in `file`: of the names that the stub beside it imports.

    So they are said once, for type checkers and at run time (scientific-python.org/specs/spec-0001).
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = (each for each in stub.body if isinstance(each, ast.ImportFrom))
    places = {alias.name: str(each.module) for each in imports for alias in each.names}
    sys.modules[package].__class__ = _Package

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load, sorted(places)
