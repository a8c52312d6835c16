"""Shells that tests run. One that is not installed is skipped by its name; `scripts/test` installs them all."""

import shutil
from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet


def shells(names: Iterable[str]) -> list[ParameterSet]:
    """Parameters, one for each shell."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
        for name in names
    ]
