"""The JSON of the state folder: it reads back as it was written, and whatever else is there is an error with a name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle import transcript
from bottle.errors import StateDamaged, StateTooNew
from bottle.model import (
    MOST_COMMITS,
    Agent,
    CommitIntent,
    CommitRecord,
    Metadata,
    MigrationRecord,
    MoveAccount,
    Tombstone,
)
from bottle.naming import Identity
from bottle.store import serial
from bottle.store.state import BottleState
from tests.support import values
from tests.support.documents import JSON, is_typed, places

PATH = Path("/home/state/demo-abcde/file.json")
FORMS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], serial.Json], Callable[[serial.Json], Any]]] = {
    "metadata": (values.metadata(), serial.metadata_to_json, serial.metadata_from_json),
    "commit": (values.COMMITS, serial.commit_to_json, serial.commit_from_json),
    "intent": (values.INTENTS, serial.intent_to_json, serial.intent_from_json),
    "resume intent": (values.RESUME_INTENTS, serial.resume_intent_to_json, serial.resume_intent_from_json),
    "tombstone": (values.TOMBSTONES, serial.tombstone_to_json, serial.tombstone_from_json),
    "migration": (values.MIGRATIONS, serial.migration_to_json, serial.migration_from_json),
    "request": (values.REQUESTS, serial.request_to_json, serial.request_from_json),
}


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_what_was_written_reads_back(form: str, data: st.DataObject) -> None:
    strategy, to_json, from_json = FORMS[form]
    value: Metadata | CommitRecord | CommitIntent | Tombstone | MigrationRecord = data.draw(strategy)
    assert serial.load(serial.dump(to_json(value)), PATH, from_json) == value


@given(values.agents())
def test_an_agent_reads_back(agent: Any) -> None:
    assert serial.agent_from_json(agent.name, json.loads(json.dumps(serial.agent_to_json(agent)))) == agent


def test_an_agent_of_an_older_version_reads_back() -> None:
    agent = Agent(name="demo", image="debian")
    written = serial.agent_to_json(agent)
    for added in ("remote_control", "keep", "carry", "user", "build_args", "ports", "gpus", "shm_size", "hosts"):
        del written[added]
    assert serial.agent_from_json("demo", written) == agent


def test_a_tombstone_of_an_older_version_does_not_say_what_arrived() -> None:
    tombstone = Tombstone(host="there", moved_at=datetime(2026, 1, 1, tzinfo=UTC))
    written = serial.tombstone_to_json(tombstone)
    del written["arrived"], written["nonce"]
    assert serial.tombstone_from_json(written) == tombstone


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_one_wrong_value_is_damage_and_nothing_else(form: str, data: st.DataObject) -> None:
    strategy, to_json, from_json = FORMS[form]
    sound = data.draw(strategy)
    document = _written(to_json(sound))
    holder, key = data.draw(st.sampled_from([*places(document)]))
    holder[key] = data.draw(JSON)
    try:
        value = serial.load(serial.dump(document), PATH, from_json)
    except StateDamaged as error:
        assert str(PATH) in error.what
        assert error.next_step
    else:
        assert is_typed(value, type(sound))
        assert _says_the_same(_written(to_json(value)), document)
        assert serial.load(serial.dump(to_json(value)), PATH, from_json) == value


def _written(document: serial.Json) -> Any:
    """As JSON has it, which knows lists and no tuples."""
    return json.loads(json.dumps(document))


def _says_the_same(one: Any, other: Any) -> bool:
    """Texts may be spelt otherwise, as times and paths are, and a number may get a point."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_says_the_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_says_the_same, one, other))
    if isinstance(one, float) and isinstance(other, int) and not isinstance(other, bool):
        return one == other
    return type(one) is type(other) and (isinstance(one, str) or one == other)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_a_file_cut_short_is_damage(form: str, data: st.DataObject) -> None:
    strategy, to_json, from_json = FORMS[form]
    written = serial.dump(to_json(data.draw(strategy))).rstrip()
    with pytest.raises(StateDamaged, match="damaged"):
        serial.load(written[: data.draw(st.integers(0, len(written) - 1))], PATH, from_json)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_damage(written: bytes) -> None:
    with pytest.raises(StateDamaged):
        serial.load(written, PATH, serial.metadata_from_json)


@given(JSON)
def test_a_list_that_is_none_is_no_empty_one(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Lists that a document is nothing but: the history, and the index of a transcript."""
    folder = tmp_path_factory.mktemp("state")
    for file, key, read in (
        ("commits.json", "commits", BottleState(Identity.parse("demo-abcde"), folder).commits),
        ("index.json", "entries", lambda: transcript.read_index(folder)),
    ):
        (folder / file).write_bytes(serial.dump({key: value}))
        if value == []:
            assert read() == ()
        else:
            with pytest.raises(StateDamaged):
                read()


@given(st.integers(2) | st.just(10**400))
def test_a_newer_schema_is_refused_as_such(schema: int) -> None:
    with pytest.raises(StateTooNew, match="schema") as caught:
        serial.load(json.dumps({"schema": schema, "anything": True}).encode(), PATH, serial.metadata_from_json)
    assert "upgrade" in caught.value.next_step


@pytest.mark.parametrize("schema", [None, "1", True, 1.0, [1], {}])
def test_a_schema_that_is_no_number_is_damage(schema: Any) -> None:
    with pytest.raises(StateDamaged):
        serial.load(json.dumps({"schema": schema}).encode(), PATH, serial.metadata_from_json)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400, True, 1.0, "1"])
def test_a_number_has_64_bits(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        serial.number({"size": value}, "size")


@pytest.mark.parametrize("number", [0, -1, MOST_COMMITS + 1, 10**18])
def test_a_commit_has_a_number_that_others_can_follow(number: int) -> None:
    with pytest.raises(ValueError, match="must be from 1 to"):
        serial.commit_number({"number": number}, "number")


def test_a_time_that_no_clock_shows_is_refused() -> None:
    with pytest.raises(OverflowError):
        serial.moment({"created_at": "9999-12-31T23:59:59-23:00"}, "created_at")


def test_an_account_without_lines_that_came_later_is_read() -> None:
    tombstone = serial.tombstone_from_json(
        {
            "host": "far",
            "moved_at": "2026-01-01T00:00:00+00:00",
            "account": {"commit": 1, "workspace": None, "staged": 2},
        }
    )
    assert tombstone.account == MoveAccount(commit=1, staged=2)
