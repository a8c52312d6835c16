"""What an engine is asked of a container's files: parents first, no link followed, and not without end."""

from __future__ import annotations

import hashlib
import tarfile

import pytest

from bottle.diff.thing import Kind
from bottle.errors import TreeUnfit
from bottle.launch import bare_spec
from bottle.operations.asking import Asked
from bottle.testing import FakeEngine
from bottle.testing.tree import FakeNode


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image("base:1", {"/d/one": b"1", "/d/e/two": b"22", "/top": b"top"})
    engine.create(bare_spec("box", "base:1"))
    engine.write("box", "/link", node=FakeNode(type=tarfile.SYMTYPE, target="/d"))
    return engine


def asked(engine: FakeEngine, most: int | None = None, *, whole: str = "") -> Asked:
    return Asked(engine, "box", whole=lambda path: path == whole, most=most)


def test_what_is_there_and_nothing_through_a_link(engine: FakeEngine) -> None:
    found = asked(engine).at(["link/one", "d/e/two", "none/of/it", "top/x"])
    assert {path: (thing.kind, thing.size) for path, thing in found.items()} == {
        "link": (Kind.LINK, 0),
        "d": (Kind.FOLDER, 0),
        "d/e": (Kind.FOLDER, 0),
        "d/e/two": (Kind.FILE, 2),
        "top": (Kind.FILE, 3),
    }


def test_of_what_is_not_there_nothing_below_is_asked(engine: FakeEngine) -> None:
    engine.calls.clear()
    assert asked(engine, most=1).at([f"none/{number}" for number in range(100)]) == {}
    assert engine.methods.count("read_archive") == 1


def test_a_folder_that_is_wanted_whole_is_one_question(engine: FakeEngine) -> None:
    engine.calls.clear()
    found = asked(engine, most=1, whole="d").at(["d", "d/e", "d/e/two", "d/e/none", "d/none"])
    assert set(found) == {"d", "d/one", "d/e", "d/e/two"}
    assert engine.methods.count("read_archive") == 1


def test_too_many_are_too_many_but_contents_are_read_all_the_same(engine: FakeEngine) -> None:
    with pytest.raises(TreeUnfit):
        asked(engine, most=2).at(["d/e/two"])
    enough = asked(engine, most=3)
    enough.at(["d/e/two"])
    assert enough.digests(["d/e/two", "none"]) == {"d/e/two": hashlib.sha256(b"22").digest()}


def test_what_cannot_be_asked_is_unanswered(engine: FakeEngine) -> None:
    engine.write("box", "/loop", node=FakeNode(type=tarfile.SYMTYPE, target="/loop"))
    some = asked(engine)
    assert some.at(["d/\udcff", "loop"]).keys() == {"d"}
    assert some.unanswered == {"d/\udcff", "loop"}
