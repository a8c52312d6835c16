"""What is written today is what an earlier version wrote, key for key, and reads as it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bottle import transcript
from bottle.errors import StateDamaged
from bottle.model import Missing, MissingKind, StayKind, Stays, Tombstone
from bottle.store.forms import Forms, dump
from bottle.store.kept import KEPT, CommitHistory
from migrate.bundle import format as bundle
from migrate.pull import messages
from migrate.pull.session import offer
from tests.support import written

GOLDEN = Path(__file__).parent / "golden"
PATH = Path("/home/state/demo-abcde/file.json")

DOCUMENTS: dict[str, tuple[Forms, Any]] = {
    "metadata.json": (KEPT, written.METADATA),
    "metadata-bare.json": (KEPT, written.BARE),
    "commits.json": (KEPT, CommitHistory(commits=(written.FIRST, written.COMMIT))),
    "commit-intent.json": (KEPT, written.INTENT),
    "resume-intent.json": (KEPT, written.RESUME_INTENT),
    "migration.json": (KEPT, written.MIGRATION),
    "moved-to.json": (KEPT, written.TOMBSTONE),
    "copies.json": (KEPT, written.COPIES),
    "standby.json": (KEPT, written.STANDBY),
    "request.json": (KEPT, written.REQUEST),
    "index.json": (transcript.INDEX, transcript.TranscriptIndex(entries=written.ENTRIES)),
    "bottle-bundle.json": (bundle.FORMS, written.MANIFEST),
}
# What an owner of a bottle says to the host that pulls it.
SAID: dict[str, Callable[[], Any]] = {
    "offer.json": lambda: offer(written.METADATA, rebuild=True),
    "plan.json": lambda: messages.report_to_json(written.PLAN),
    "moved.json": lambda: messages.report_to_json(written.MOVED),
}
# The keys that came later, which older documents lack; a document that lacks any other is damaged.
LATER_OF_AGENT = ("user", "remote_control", "shm_size", "gpus", "ports", "hosts", "keep", "carry", "build_args")
LATER_OF_METADATA = ("name", "generation", *(f"agent.{key}" for key in LATER_OF_AGENT))
LATER_OF_ACCOUNT = (
    "account",
    *(f"account.{key}" for key in ("skipped", "stays", "missing_there", "along", "dropped", "carried", "left_behind")),
    *("account.edited", "account.history", "account.history_stays", "account.refreshed"),
    *("account.stays.name", "account.stays.place", "account.missing_there.name", "account.missing_there.identity"),
)
LATER = {
    "metadata.json": LATER_OF_METADATA,
    "metadata-bare.json": LATER_OF_METADATA,
    "commits.json": tuple(f"commits.{key}" for key in ("expired", "defaults", "volumes", "base")),
    "resume-intent.json": tuple(f"metadata.{key}" for key in LATER_OF_METADATA),
    "moved-to.json": ("arrived", "nonce", "standby", "generation", "starts", *LATER_OF_ACCOUNT),
    "migration.json": ("stopped", *LATER_OF_ACCOUNT),
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
    forms, value = DOCUMENTS[name]
    assert json.loads(forms.dump(value)) == json.loads((GOLDEN / name).read_bytes())


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_is_as_it_was(name: str) -> None:
    assert dump(SAID[name]()) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_reads_as_it_was_meant(name: str) -> None:
    forms, value = DOCUMENTS[name]
    assert forms.load((GOLDEN / name).read_bytes(), PATH, type(value)) == value


def test_what_earlier_versions_wrote_in_words_is_kept() -> None:
    found = KEPT.load((GOLDEN / "moved-to-in-words.json").read_bytes(), PATH, Tombstone)
    stays, lacks = Stays(kind=StayKind.LINE, name="a bind"), Missing(kind=MissingKind.LINE, name="a secret")
    told = replace(written.ACCOUNT, stays=(stays,), missing_there=(lacks,))
    told = replace(told, history=(), history_stays=(), refreshed=False)
    assert found.account == told


def test_a_bundle_of_an_earlier_version_is_read() -> None:
    """Only what would be written again is taken, byte for byte."""
    assert bundle.parse_manifest((GOLDEN / "bottle-bundle.json").read_bytes()) == written.MANIFEST


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_lacks_only_what_came_later(name: str) -> None:
    forms, value = DOCUMENTS[name]
    document = json.loads((GOLDEN / name).read_bytes())
    for holder, key, path in [*fields_of(document)]:
        kept = [*holder.items()]
        del holder[key]
        if path in LATER.get(name, ()):
            forms.load(json.dumps(document).encode(), PATH, type(value))
        else:
            with pytest.raises(StateDamaged, match=rf"{key}\W+ is missing"):
                forms.load(json.dumps(document).encode(), PATH, type(value))
        holder.clear()
        holder.update(kept)
