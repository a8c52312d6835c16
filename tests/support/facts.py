"""Facts that plans are made of: of one bottle, at one noon."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bottle.model import (
    Agent,
    CommitRecord,
    ContainerFacts,
    ContainerMark,
    ImageDefaults,
    ImageFacts,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    Status,
)
from bottle.naming import LABEL_COMMIT, Identity

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDENTITY = Identity.parse("demo-abcde")
RUNS = ("agent", "--new")
PULLED = Agent(name="demo", image="debian", command=RUNS)
BUILT = Agent(name="demo", dockerfile=Path("/src/Dockerfile"), command=RUNS)


def metadata(agent: Agent = PULLED, backend: str = "docker") -> Metadata:
    return Metadata(identity=IDENTITY, agent=agent, backend=backend, started_at=NOON)


def container(status: Status, *, started: datetime | None = NOON, commit: str = "") -> ContainerFacts:
    return ContainerFacts(
        id="c1",
        name=IDENTITY.container,
        image="sha256:base",
        status=status,
        created_at=NOON,
        started_at=started,
        finished_at=None,
        exit_code=None,
        labels={LABEL_COMMIT: commit} if commit else {},
    )


def commit(number: int, *, of: str = "c1", running: bool = False, started: datetime | None = NOON) -> CommitRecord:
    return CommitRecord(
        number=number,
        tag=IDENTITY.committed(number),
        config_digest="sha256:config",
        diff_ids=("sha256:base", f"sha256:{number}"),
        created_at=NOON,
        mark=ContainerMark(container_id=of, started_at=started, running=running),
    )


def image(*diff_ids: str) -> ImageFacts:
    return ImageFacts(
        id="sha256:image",
        tags=(),
        diff_ids=diff_ids,
        config_digest="sha256:config",
        architecture="amd64",
        os="linux",
        size=1,
        created_at=NOON,
        labels={},
        defaults=ImageDefaults(),
    )


MIGRATION = MigrationRecord(
    phase=MigrationPhase.HANDING_OFF, host="far.example", nonce="n", commit=1, started_at=NOON, identity_files=()
)
