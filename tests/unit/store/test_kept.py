"""The JSON of the state folder: it reads back as it was written, and whatever else is there is an error with a name."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bottle import transcript
from bottle.errors import StateDamaged, StateTooNew
from bottle.model import (
    MOST_COMMITS,
    Agent,
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    CopiesThere,
    Metadata,
    MigrationRecord,
    MoveAccount,
    ResumeIntent,
    Standby,
    Tombstone,
)
from bottle.naming import Identity
from bottle.store.forms import dump
from bottle.store.kept import KEPT
from bottle.store.state import BottleState
from bottle.store.values import moment, number
from tests.support import values, written
from tests.support.documents import JSON, is_typed, places

PATH = Path("/home/state/demo-abcde/file.json")
FORMS: dict[str, tuple[st.SearchStrategy[Any], type]] = {
    "metadata": (values.metadata(), Metadata),
    "commit": (values.COMMITS, CommitRecord),
    "intent": (values.INTENTS, CommitIntent),
    "resume intent": (values.RESUME_INTENTS, ResumeIntent),
    "tombstone": (values.TOMBSTONES, Tombstone),
    "copies": (values.COPIES, CopiesThere),
    "standby": (values.STANDBYS, Standby),
    "migration": (values.MIGRATIONS, MigrationRecord),
    "request": (values.REQUESTS, CapabilityRequest),
}


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_what_was_written_reads_back(form: str, data: st.DataObject) -> None:
    strategy, cls = FORMS[form]
    value = data.draw(strategy)
    assert KEPT.load(KEPT.dump(value), PATH, cls) == value


@given(values.agents())
def test_an_agent_reads_back(agent: Agent) -> None:
    assert KEPT.from_json(_written(KEPT.to_json(agent)), Agent) == agent


def test_an_agent_of_an_older_version_reads_back() -> None:
    agent = Agent(name="demo", image="debian")
    written = KEPT.to_json(agent)
    for added in ("remote_control", "keep", "carry", "user", "build_args", "ports", "gpus", "shm_size", "hosts"):
        del written[added]
    assert KEPT.from_json(written, Agent) == agent


def test_a_tombstone_of_an_older_version_does_not_say_what_arrived() -> None:
    tombstone = Tombstone(host="there", moved_at=datetime(2026, 1, 1, tzinfo=UTC))
    written = KEPT.to_json(tombstone)
    del written["arrived"], written["nonce"]
    assert KEPT.from_json(written, Tombstone) == tombstone


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_one_wrong_value_is_damage_and_nothing_else(form: str, data: st.DataObject) -> None:
    strategy, cls = FORMS[form]
    sound = data.draw(strategy)
    document = _written(KEPT.to_json(sound))
    holder, key = data.draw(st.sampled_from([*places(document)]))
    holder[key] = data.draw(JSON)
    try:
        value = KEPT.load(dump(document), PATH, cls)
    except StateDamaged as error:
        assert str(PATH) in error.what
        assert error.next_step
    else:
        assert is_typed(value, cls)
        assert _says_the_same(_written(KEPT.to_json(value)), document)
        assert KEPT.load(KEPT.dump(value), PATH, cls) == value


def _written(document: dict[str, Any]) -> Any:
    """As JSON has it, which knows lists and no tuples."""
    return json.loads(json.dumps(document))


def _says_the_same(one: Any, other: Any) -> bool:
    """Texts may be spelt otherwise, as times and paths are, and a number may get a point."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_says_the_same(one[key], other[key]) for key in one)
    if isinstance(one, dict) and isinstance(other, str):  # what stays was told in words by earlier versions
        return (one.get("kind"), one.get("name")) == ("line", other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_says_the_same, one, other))
    if isinstance(one, float) and isinstance(other, int) and not isinstance(other, bool):
        return one == other
    return type(one) is type(other) and (isinstance(one, str) or one == other)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_a_file_cut_short_is_damage(form: str, data: st.DataObject) -> None:
    strategy, cls = FORMS[form]
    written = KEPT.dump(data.draw(strategy)).rstrip()
    with pytest.raises(StateDamaged, match="damaged"):
        KEPT.load(written[: data.draw(st.integers(0, len(written) - 1))], PATH, cls)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_damage(written: bytes) -> None:
    with pytest.raises(StateDamaged):
        KEPT.load(written, PATH, Metadata)


@given(JSON)
def test_a_list_that_is_none_is_no_empty_one(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Lists that a document is nothing but: the history, and the index of a transcript."""
    folder = tmp_path_factory.mktemp("state")
    for file, key, read in (
        ("commits.json", "commits", BottleState(Identity.parse("demo-abcde"), folder).commits),
        ("index.json", "entries", lambda: transcript.read_index(folder)),
    ):
        (folder / file).write_bytes(dump({key: value}))
        if value == []:
            assert read() == ()
        else:
            with pytest.raises(StateDamaged):
                read()


@given(st.integers(2) | st.just(10**400))
def test_a_newer_schema_is_refused_as_such(schema: int) -> None:
    with pytest.raises(StateTooNew, match="schema") as caught:
        KEPT.load(json.dumps({"schema": schema, "anything": True}).encode(), PATH, Metadata)
    assert "upgrade" in caught.value.next_step


@pytest.mark.parametrize("schema", [None, "1", True, 1.0, [1], {}])
def test_a_schema_that_is_no_number_is_damage(schema: Any) -> None:
    with pytest.raises(StateDamaged):
        KEPT.load(json.dumps({"schema": schema}).encode(), PATH, Metadata)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400, True, 1.0, "1"])
def test_a_number_has_64_bits(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        number(value)


@pytest.mark.parametrize("number", [0, -1, MOST_COMMITS + 1, 10**18])
def test_a_commit_has_a_number_that_others_can_follow(number: int) -> None:
    with pytest.raises(ValueError, match="must be from 1 to"):
        KEPT.from_json({**KEPT.to_json(written.INTENT), "number": number}, CommitIntent)


def test_a_time_that_no_clock_shows_is_refused() -> None:
    with pytest.raises(OverflowError):
        moment("9999-12-31T23:59:59-23:00")


def test_an_account_without_lines_that_came_later_is_read() -> None:
    tombstone = KEPT.from_json(
        {
            "host": "far",
            "moved_at": "2026-01-01T00:00:00+00:00",
            "account": {"commit": 1, "workspace": None, "staged": 2},
        },
        Tombstone,
    )
    assert tombstone.account == MoveAccount(commit=1, staged=2)


def test_a_bottle_is_called_after_its_agent() -> None:
    document = KEPT.to_json(written.METADATA) | {"agent_name": "other"}
    with pytest.raises(StateDamaged, match="agent_name 'other' does not fit identity 'demo-abcde'"):
        KEPT.load(dump(document), PATH, Metadata)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"cwd": 1}, "`cwd` must be a text, not int"),
        ({"started_at": "2026-01-01T00:00:00"}, "`started_at` names no time zone"),
        ({"copied_from": {"identity": "demo-abcde", "commit": True}}, "`copied_from`: `commit` must be a whole number"),
        ({"copied_from": {"identity": "x", "commit": 1}}, "`copied_from`: `identity`: 'x' is no identity of a bottle"),
        ({"agent": []}, "`agent` must be an object, not list"),
        ({"agent_name": None}, "`agent`: `agent_name` must be a text, not NoneType"),
        ({"agent": {}}, "`agent`: `cap_add` is missing"),
    ],
)
def test_damage_is_told_with_the_field_that_it_is_in(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(StateDamaged, match=re.escape(f"{PATH} is damaged: {told}")):
        KEPT.load(dump(KEPT.to_json(written.METADATA) | wrong), PATH, Metadata)
