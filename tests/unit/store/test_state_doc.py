"""`docs/STATE.md` names every file of a state folder, and every field that is written into one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.model import (
    Agent,
    Arrived,
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    ContainerMark,
    Lineage,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    MoveAccount,
    RequestStatus,
    ResumeIntent,
    Tombstone,
)
from bottle.naming import Identity
from bottle.store import lock, state as states
from bottle.store.kept import KEPT, CommitHistory
from bottle.tar.items import ItemType
from bottle.transcript import INDEX, TranscriptEntry, TranscriptIndex

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
FILE = TranscriptEntry(path="a", type=ItemType.FILE, mode=0o600, uid=0, gid=0, mtime=0)
IDENTITY = Identity.parse("demo-abcde")
METADATA = Metadata(
    identity=IDENTITY,
    agent=Agent(name="demo", image="debian"),
    started_at=NOON,
    copied_from=Lineage(identity=IDENTITY, commit=1),
)
COMMIT = CommitRecord(
    number=1,
    tag="t:1",
    config_digest="d",
    diff_ids=(),
    created_at=NOON,
    mark=ContainerMark(container_id="c", started_at=NOON, running=True),
    defaults=METADATA.defaults,
)
ACCOUNT = MoveAccount(commit=1)
ARRIVED = Arrived(commits=(1,))
MOVE = MigrationRecord(phase=MigrationPhase.STAGING, host="h", nonce="n", commit=1, started_at=NOON, account=ACCOUNT)
REQUEST = CapabilityRequest(number=1, digest="d", reason="r", dockerfile="FROM x", received_at=NOON)

# What is described elsewhere: an agent's keys are the manifest's, and a resume intent's metadata are those above.
ELSEWHERE = {"agent", "metadata"}


def documents(tmp_path: Path) -> dict[str, object]:
    """Each file that holds JSON, as it is written with nothing left out."""
    with lock.hold(tmp_path / "lock", subject="x", purpose="y"):
        held = json.loads((tmp_path / "lock").read_bytes())
    return {
        states.METADATA: KEPT.to_json(METADATA),
        states.COMMITS: KEPT.to_json(CommitHistory(commits=(COMMIT,))),
        states.COMMIT_INTENT: KEPT.to_json(
            CommitIntent(nonce="n", number=1, message="", container_id="c", paused=True)
        ),
        states.RESUME_INTENT: KEPT.to_json(ResumeIntent(metadata=METADATA)),
        f"{states.REQUESTS}/<number>.json": KEPT.to_json(REQUEST),
        states.MIGRATION: KEPT.to_json(MOVE),
        states.TOMBSTONE: KEPT.to_json(Tombstone(host="h", moved_at=NOON, arrived=ARRIVED, account=ACCOUNT)),
        f"{states.TRANSCRIPT}/index.json": INDEX.to_json(TranscriptIndex(entries=(FILE,))),
        states.LOCK: held,
    }


def described(text: str) -> dict[str, str]:
    """What a listing says of each file of the state folder, by its name."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"  (\S+) +(\S.*)", line):
            name = match[1]
            found[name] = match[2]
        elif line.startswith("   ") and name:
            found[name] += f" {line.strip()}"
        else:
            name = ""
    return found


def keys(document: object) -> Iterator[str]:
    """All names of fields, those within others too."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            if key not in ELSEWHERE:
                yield from keys(value)
    elif isinstance(document, (list, tuple)):
        for value in document:
            yield from keys(value)


def test_every_field_is_described(tmp_path: Path) -> None:
    told = described((ROOT / "docs" / "STATE.md").read_text())
    for name, document in documents(tmp_path).items():
        words = set(re.findall(r"[a-z_0-9-]+", told[name]))
        above = {field.name for field in fields(MoveAccount)} if name == states.TOMBSTONE else set()
        assert set(keys(document)) <= words | above, name


@pytest.mark.parametrize("status", RequestStatus)
def test_every_status_of_a_request_is_described(status: RequestStatus) -> None:
    assert status.value in described((ROOT / "docs" / "STATE.md").read_text())[f"{states.REQUESTS}/<number>.json"]


@pytest.mark.parametrize("phase", MigrationPhase)
def test_every_phase_of_a_move_is_described(phase: MigrationPhase) -> None:
    assert phase.value in described((ROOT / "docs" / "STATE.md").read_text())[states.MIGRATION]


def test_every_file_is_described_in_the_document_and_in_the_module() -> None:
    names = {
        value
        for name, value in vars(states).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str) and not value.startswith(".")
    }
    assert {states.LOCK, states.METADATA, states.TRANSCRIPT} <= names
    for listing in ((ROOT / "docs" / "STATE.md").read_text(), states.__doc__ or ""):
        assert names <= {name.split("/")[0] for name in described(listing)}
