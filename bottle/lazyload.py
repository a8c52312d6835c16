"""Public names of a package that are loaded with their modules, when somebody first asks for them (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
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


def loaded_from(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for `package` that finds in each of its `modules` the names that are listed behind it.

    `__all__` of the package has the same names.
    """
    sys.modules[package].__class__ = _Package
    places = {name: f"{package}.{module}" for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
