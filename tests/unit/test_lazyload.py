"""Public names of packages: they are those of the stub, and a module of the same name hides none."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import bottle.docker_engine
import bottle.operations
import migrate

PACKAGES = (bottle.docker_engine, bottle.operations, migrate)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_public_name_is_what_type_checkers_take_it_for(package: ModuleType) -> None:
    assert package.__file__ is not None
    stub = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [each for each in stub.body if isinstance(each, ast.ImportFrom)]
    assert len(imports) == len(stub.body)
    public = {alias.asname: (str(each.module), alias.name) for each in imports for alias in each.names}
    assert sorted(package.__all__) == sorted(map(str, public))
    for asname, (module, name) in public.items():
        assert asname == name
        assert getattr(package, name) is getattr(import_module(module), name)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_not_public_is_no_attribute(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize(
    ("package", "name", "first"),
    [
        ("bottle.operations", "commit", "bottle.operations.commit"),
        ("bottle.operations", "stop", "bottle.operations.stop"),
        ("migrate", "move", "migrate.move.plan"),
        ("migrate", "pull", "migrate.pull.session"),
    ],
)
def test_a_module_hides_no_name(package: str, name: str, first: str) -> None:
    """Whether it was loaded before the name was asked for, or after."""
    asks = f"import {package}; print(callable({package}.{name}))"
    for script in (f"import {first}; {asks}", f"{asks}; import {first}; {asks}"):
        said = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, check=True).stdout
        assert set(said.split()) == {"True"}, script


def test_what_is_no_public_name_is_found_as_in_any_package() -> None:
    script = "from bottle.operations import finding; import bottle.operations as o; print(o.finding is finding)"
    said = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, check=True).stdout
    assert said == "True\n"
