"""State folders: what is kept comes back, and what cannot be read is an error that changes nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bottle.errors import (
    AmbiguousIdentity,
    InvalidIdentity,
    NameTaken,
    NotFound,
    StateDamaged,
    StateTooNew,
)
from bottle.model import Agent, CommitRecord, Metadata
from bottle.naming import Identity
from bottle.store import document
from bottle.store.document import StoredDocument
from bottle.store.home import StateHome
from bottle.store.state import BottleState, leftover_of
from bottle.transcript import read_index
from tests.support import values
from tests.support.trees import snapshot

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LENIENT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def metadata(identity: str = "demo-abcde") -> Metadata:
    parsed = Identity.parse(identity)
    return Metadata(identity=parsed, agent=Agent(name=parsed.agent, image="debian"), started_at=NOON)


def record(number: int) -> CommitRecord:
    return CommitRecord(number=number, tag=f"t:{number}", config_digest="d", diff_ids=("x",), created_at=NOON)


@pytest.fixture
def home(tmp_path: Path) -> StateHome:
    return StateHome(tmp_path / "home")


@pytest.fixture
def bottle(home: StateHome) -> BottleState:
    return home.create(metadata())


def test_a_new_bottle_is_private_and_holds_what_it_is(home: StateHome) -> None:
    bottle = home.create(metadata())
    assert bottle.metadata() == metadata()
    assert bottle.path.stat().st_mode & 0o777 == 0o700
    assert home.states.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in bottle.path.iterdir()} == {"lock", "metadata.json"}
    with pytest.raises(NameTaken):
        home.create(metadata())


def test_what_was_never_written_is_not_there(bottle: BottleState) -> None:
    assert (
        bottle.commits(),
        bottle.committed_image(),
        bottle.intent.read(),
        bottle.tombstone.read(),
        bottle.migration.read(),
    ) == (
        (),
        None,
        None,
        None,
        None,
    )
    assert not bottle.preserved
    assert bottle.own_dockerfile is None


@LENIENT
@given(data=st.data())
def test_what_was_written_comes_back_and_goes_again(tmp_path: Path, data: st.DataObject) -> None:
    written = data.draw(values.metadata())
    folder = tmp_path / str(written.identity)
    folder.mkdir(exist_ok=True)
    bottle = BottleState(written.identity, folder)
    bottle.write_metadata(written)
    assert bottle.metadata() == written
    documents: tuple[tuple[st.SearchStrategy[Any], StoredDocument[Any]], ...] = (
        (values.INTENTS, bottle.intent),
        (values.RESUME_INTENTS, bottle.resume_intent),
        (values.TOMBSTONES, bottle.tombstone),
        (values.COPIES, bottle.copies),
        (values.STANDBYS, bottle.standby),
        (values.MIGRATIONS, bottle.migration),
    )
    for strategy, kept in documents:
        value = data.draw(strategy)
        kept.write(value)
        assert kept.read() == value
        kept.clear()
        kept.clear()
        assert kept.read() is None
    bottle.delete()
    assert not folder.exists()


@LENIENT
@given(history=values.HISTORIES)
def test_a_history_grows_in_order(home: StateHome, history: tuple[CommitRecord, ...]) -> None:
    bottle = home.create(metadata(str(Identity.fresh("demo"))))
    for each in history:
        bottle.append_commit(each)
    assert bottle.commits() == history


def test_the_image_that_resume_uses_and_the_marks(bottle: BottleState) -> None:
    assert bottle.committed_image() is None
    bottle.write_committed_image("image:1")
    assert bottle.committed_image() == "image:1"
    assert (bottle.path / "committed-image").read_text() == "image:1\n"
    assert not bottle.preserved
    bottle.mark_preserved()
    assert bottle.preserved


FILES: dict[str, Callable[[BottleState], object]] = {
    "metadata.json": BottleState.metadata,
    "commits.json": BottleState.commits,
    "commit-intent.json": lambda bottle: bottle.intent.read(),
    "resume-intent.json": lambda bottle: bottle.resume_intent.read(),
    "moved-to.json": lambda bottle: bottle.tombstone.read(),
    "migration.json": lambda bottle: bottle.migration.read(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b'{"schema": 1, "identity": "de', StateDamaged, "damaged"),
        (b"", StateDamaged, "damaged"),
        (b"\xff\xfe\x00", StateDamaged, "damaged"),
        (b"[]", StateDamaged, "damaged"),
        (b'{"schema": 1}', StateDamaged, "missing"),
        (b"[" * 100_000, StateDamaged, "damaged"),
        (b'{"schema": 2, "new": "things"}', StateTooNew, "schema 2"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_and_left_alone(
    bottle: BottleState, name: str, content: bytes, error: type[StateDamaged], words: str
) -> None:
    (bottle.path / name).write_bytes(content)
    before = snapshot(bottle.path)
    with pytest.raises(error) as caught:
        FILES[name](bottle)
    assert str(bottle.path / name) in caught.value.what
    assert words in caught.value.what
    assert caught.value.next_step
    assert caught.value.exit_code == 1
    assert snapshot(bottle.path) == before


@LENIENT
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_damage(tmp_path: Path, cut: float) -> None:
    bottle = BottleState(metadata().identity, tmp_path)
    bottle.write_metadata(metadata())
    whole = (tmp_path / "metadata.json").read_bytes().rstrip()
    (tmp_path / "metadata.json").write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(StateDamaged):
        bottle.metadata()


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "a\nb\n"])
def test_a_committed_image_that_is_no_tag_is_damage(bottle: BottleState, content: str) -> None:
    (bottle.path / "committed-image").write_text(content)
    with pytest.raises(StateDamaged, match="committed-image"):
        bottle.committed_image()


def test_a_history_out_of_order_is_damage(bottle: BottleState) -> None:
    bottle.append_commit(record(2))
    bottle.append_commit(record(2))
    with pytest.raises(StateDamaged, match="rise"):
        bottle.commits()


def test_a_folder_with_the_papers_of_another_is_damage(bottle: BottleState, home: StateHome) -> None:
    other = home.create(metadata("demo-fghij"))
    (bottle.path / "metadata.json").write_bytes((other.path / "metadata.json").read_bytes())
    with pytest.raises(StateDamaged, match="speaks of demo-fghij"):
        bottle.metadata()


def test_a_folder_without_papers_is_damage(bottle: BottleState) -> None:
    (bottle.path / "metadata.json").unlink()
    with pytest.raises(StateDamaged, match=r"has no metadata\.json"):
        bottle.metadata()


def test_a_file_too_large_or_no_file_is_an_error(bottle: BottleState) -> None:
    with (bottle.path / "commits.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StateDamaged, match="too large"):
        bottle.commits()
    (bottle.path / "moved-to.json").mkdir()
    with pytest.raises(StateDamaged, match="cannot read"):
        bottle.tombstone.read()


@pytest.fixture
def impatient() -> Iterator[None]:
    """Fail instead of waiting for ever."""
    signal.alarm(20)
    yield
    signal.alarm(0)


def a_link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(path.read_bytes() if path.exists() else b"{}")
    path.unlink(missing_ok=True)
    path.symlink_to("elsewhere")


def a_fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


READ: dict[str, Callable[[BottleState], object]] = {
    "metadata.json": BottleState.metadata,
    "commits.json": BottleState.commits,
    "committed-image": BottleState.committed_image,
    "commit-intent.json": lambda bottle: bottle.intent.read(),
    "resume-intent.json": lambda bottle: bottle.resume_intent.read(),
    "migration.json": lambda bottle: bottle.migration.read(),
    "moved-to.json": lambda bottle: bottle.tombstone.read(),
    "requests/1.json": BottleState.requests,
    "transcript/index.json": lambda bottle: read_index(bottle.transcript),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("plant", [a_fifo, a_link, lambda path: (path.unlink(missing_ok=True), path.mkdir())])
@pytest.mark.parametrize("name", READ)
def test_what_is_no_regular_file_is_damage_and_nothing_waits_for_it(
    bottle: BottleState, name: str, plant: Callable[[Path], object]
) -> None:
    (bottle.path / name).parent.mkdir(exist_ok=True)
    plant(bottle.path / name)
    with pytest.raises(StateDamaged, match="cannot read"):
        READ[name](bottle)


@pytest.mark.usefixtures("impatient")
def test_a_fifo_in_the_place_of_a_lock_holds_nobody_up(bottle: BottleState) -> None:
    a_fifo(bottle.path / "lock")
    assert bottle.locked_by is None
    with pytest.raises(StateDamaged, match="no regular file"), bottle.locked("bottle commit"):
        pass


@pytest.mark.usefixtures("impatient")
def test_a_fifo_in_the_place_of_a_dockerfile_is_none(bottle: BottleState, home: StateHome) -> None:
    a_fifo(bottle.path / "Dockerfile")
    assert bottle.own_dockerfile is None
    a_fifo(bottle.path / "arrived")
    with pytest.raises(StateDamaged, match="no regular file"):
        home.keep_arrivals(bottle.identity)


def test_a_bottle_is_found_by_what_is_unambiguous(home: StateHome) -> None:
    for identity in ("demo-abcde", "demo-abxyz", "demo-abcde-fghij", "other-00000"):
        home.create(metadata(identity))
    assert str(home.find("demo-abcde").identity) == "demo-abcde"
    assert str(home.find("o").identity) == "other-00000"
    assert str(home.find("demo-abcde-f").identity) == "demo-abcde-fghij"
    with pytest.raises(AmbiguousIdentity, match="fits 3 bottles: demo-abcde, demo-abxyz, demo-abcde-fghij"):
        home.find("demo-ab")
    with pytest.raises(NotFound):
        home.find("demo-zzzzz")


@pytest.mark.parametrize(
    "text", ["../../etc", "; rm -rf /", "", "-x", "/", ".", "..", "a/b", "demo-abcde\n", "\x1b[2J"]
)
def test_what_can_be_no_identity_is_refused_and_nothing_is_looked_for(home: StateHome, text: str) -> None:
    with pytest.raises(InvalidIdentity):
        home.find(text)
    assert not home.path.exists()


def test_folders_that_are_not_ours_are_no_bottles(home: StateHome, bottle: BottleState) -> None:
    for name in (".demo-fghij.deleted", "notes", "Demo-abcde"):
        (home.states / name).mkdir()
    (home.states / "demo-00000").touch()
    assert home.identities() == (bottle.identity,)
    assert StateHome(home.path / "missing").identities() == ()


def test_a_bottle_whose_papers_cannot_be_written_leaves_no_folder(
    home: StateHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StateDamaged("cannot write: No space left on device")

    monkeypatch.setattr(document, "write_atomic", full)
    with pytest.raises(StateDamaged):
        home.create(metadata())
    assert list(home.states.iterdir()) == []


def test_deleting_is_one_step_for_who_looks_on(bottle: BottleState, home: StateHome) -> None:
    leftover = home.states / ".demo-abcde.deleted"
    leftover.mkdir()
    (leftover / "half").touch()
    bottle.delete()
    assert list(home.states.iterdir()) == []
    with pytest.raises(StateDamaged):
        bottle.delete()


def test_the_schema_stands_in_every_document(bottle: BottleState) -> None:
    bottle.append_commit(record(1))
    for name in ("metadata.json", "commits.json"):
        assert json.loads((bottle.path / name).read_bytes())["schema"] == 1


def test_a_draft_is_no_bottle_until_it_is_adopted(tmp_path: Path) -> None:
    home = StateHome(tmp_path / "home")
    made = home.create(Metadata(identity=Identity("demo", "aaaaa"), agent=Agent(name="demo"), started_at=NOON))
    draft = home.draft(Identity("demo", "bbbbb"))
    draft.path.mkdir()
    draft.write_metadata(Metadata(identity=draft.identity, agent=Agent(name="demo"), started_at=NOON))
    for name in (".demo-ccccc.deleted", ".other.draft", ".demo-ddddd.old"):
        (home.states / name).mkdir()
    assert home.identities() == (made.identity,)
    assert home.leftovers() == (draft.path, home.states / ".demo-ccccc.deleted")
    adopted = home.adopt(draft)
    assert adopted.metadata().identity == draft.identity
    assert home.identities() == (made.identity, draft.identity)
    again = home.draft(draft.identity)
    again.path.mkdir()
    with pytest.raises(NameTaken):
        home.adopt(again)


def test_a_new_bottle_that_is_cut_is_no_bottle_and_no_damage(home: StateHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is there before it has its name is a draft, which `prune` knows."""

    def die(_: Path, __: Path) -> None:
        assert home.identities() == ()
        assert [leftover_of(path.name) for path in home.leftovers()] == [metadata().identity]
        raise OSError("killed")

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(StateDamaged):
        home.create(metadata())
    assert list(home.states.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cpus", 1e308),
        ("cpus", 0),
        ("keep", {"commits": None, "days": 800_000}),
        ("keep", {"commits": 0, "days": None}),
    ],
)
def test_numbers_that_nothing_can_reckon_with_are_damage(home: StateHome, key: str, value: object) -> None:
    state = home.create(metadata())
    path = state.path / "metadata.json"
    document = json.loads(path.read_text())
    document["agent"][key] = value
    path.write_text(json.dumps(document))
    with pytest.raises(StateDamaged, match=f"`{key}`: expected"):
        state.metadata()
