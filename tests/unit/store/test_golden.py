"""What is written today is what an earlier version wrote, key for key, and reads as it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bottle import transcript
from bottle.errors import BottleError
from bottle.store import serial
from migrate.bundle import format as bundle
from migrate.pull import messages
from migrate.pull.session import offer
from tests.support import written

GOLDEN = Path(__file__).parent / "golden"
PATH = Path("/home/state/demo-abcde/file.json")

Write = Callable[[Any], bytes]
Read = Callable[[bytes], Any]


def form(to_json: Callable[[Any], serial.Json], from_json: Callable[[serial.Json], Any]) -> tuple[Write, Read]:
    return lambda value: serial.dump(to_json(value)), lambda data: serial.load(data, PATH, from_json)


HISTORY = form(
    lambda commits: {"commits": list(map(serial.commit_to_json, commits))},
    lambda data: tuple(map(serial.commit_from_json, serial.tables(data, "commits"))),
)
INDEX = form(
    lambda entries: {"entries": list(map(transcript.entry_to_json, entries))},
    lambda data: tuple(map(transcript._entry, serial.tables(data, "entries"))),
)
METADATA = form(serial.metadata_to_json, serial.metadata_from_json)
DOCUMENTS: dict[str, tuple[Any, tuple[Write, Read]]] = {
    "metadata.json": (written.METADATA, METADATA),
    "metadata-bare.json": (written.BARE, METADATA),
    "commits.json": ((written.FIRST, written.COMMIT), HISTORY),
    "commit-intent.json": (written.INTENT, form(serial.intent_to_json, serial.intent_from_json)),
    "resume-intent.json": (
        written.RESUME_INTENT,
        form(serial.resume_intent_to_json, serial.resume_intent_from_json),
    ),
    "migration.json": (written.MIGRATION, form(serial.migration_to_json, serial.migration_from_json)),
    "moved-to.json": (written.TOMBSTONE, form(serial.tombstone_to_json, serial.tombstone_from_json)),
    "request.json": (written.REQUEST, form(serial.request_to_json, serial.request_from_json)),
    "index.json": (written.ENTRIES, INDEX),
    "bottle-bundle.json": (written.MANIFEST, (bundle.render, bundle.parse)),
}
# What an owner of a bottle says to the host that pulls it.
SAID: dict[str, Callable[[], Any]] = {
    "offer.json": lambda: offer(written.METADATA, rebuild=True),
    "plan.json": lambda: messages.plan_to_json(written.PLAN),
    "moved.json": lambda: messages.moved_to_json(written.MOVED),
}
# The keys that came later, which older documents lack; a document that lacks any other is damaged.
LATER_OF_AGENT = ("user", "remote_control", "shm_size", "gpus", "ports", "hosts", "keep", "carry", "build_args")
LATER_OF_METADATA = ("name", *(f"agent.{key}" for key in LATER_OF_AGENT))
LATER_OF_ACCOUNT = (
    "account",
    *(f"account.{key}" for key in ("skipped", "stays", "missing_there", "along", "dropped", "carried", "left_behind")),
    "account.edited",
)
LATER = {
    "metadata.json": LATER_OF_METADATA,
    "metadata-bare.json": LATER_OF_METADATA,
    "commits.json": tuple(f"commits.{key}" for key in ("expired", "defaults", "volumes", "base")),
    "resume-intent.json": tuple(f"metadata.{key}" for key in LATER_OF_METADATA),
    "moved-to.json": ("arrived", "nonce", *LATER_OF_ACCOUNT),
    "migration.json": LATER_OF_ACCOUNT,
}
BY_NAME = ("agent.env", "agent.hosts", "agent.build_args")  # objects whose keys are no fields


def fields_of(document: Any, path: str = "") -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every field of a document, at any depth: what holds it, its key, and its path without numbers."""
    if isinstance(document, list):
        for each in document:
            yield from fields_of(each, path)
    if isinstance(document, dict) and not path.endswith(tuple(f"{each}." for each in BY_NAME)):
        for key, value in document.items():
            yield document, key, f"{path}{key}"
            yield from fields_of(value, f"{path}{key}.")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_written_as_it_was(name: str) -> None:
    value, (write, _) = DOCUMENTS[name]
    assert write(value) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_is_as_it_was(name: str) -> None:
    assert serial.dump(SAID[name]()) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_reads_as_it_was_meant(name: str) -> None:
    value, (_, read) = DOCUMENTS[name]
    assert read((GOLDEN / name).read_bytes()) == value


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_lacks_only_what_came_later(name: str) -> None:
    _, (_, read) = DOCUMENTS[name]
    document = json.loads((GOLDEN / name).read_bytes())
    for holder, key, path in [*fields_of(document)]:
        kept = [*holder.items()]
        del holder[key]
        if path in LATER.get(name, ()):
            read(json.dumps(document).encode())
        else:
            with pytest.raises(BottleError, match=rf"{key}\W+ is missing"):
                read(json.dumps(document).encode())
        holder.clear()
        holder.update(kept)
