"""The list of mutants is true: each fits the code as it is, and names tests that there are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    assert not mutant.is_stale(ROOT), f"{mutant.old!r} does not stand exactly once in {mutant.file}"
    assert mutant.old != mutant.new
    assert mutant.tests
    for test in mutant.tests:
        assert (ROOT / test).is_file(), test
    if mutant.file.endswith(".py"):
        ast.parse((ROOT / mutant.file).read_text().replace(mutant.old, mutant.new))


def test_there_are_some_sixty_under_titles_of_their_own() -> None:
    assert len({mutant.title for mutant in MUTANTS}) == len(MUTANTS) >= 60


def test_none_is_put_into_the_tree_itself(tmp_path: Path) -> None:
    mutant = Mutant("a fault", "code.py", "true", "false", ("test.py",))
    (tmp_path / "code.py").write_text("true\n")
    assert not mutant.is_stale(tmp_path)
    mutant.put_into(tmp_path)
    assert (tmp_path / "code.py").read_text() == "false\n"
    assert mutant.is_stale(tmp_path)
