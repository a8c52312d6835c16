"""Values of the model, made up by hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import strategies as st

from bottle.model import (
    Agent,
    Arrived,
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    ContainerMark,
    CopiesThere,
    CopyThere,
    ImageDefaults,
    Lineage,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    Missing,
    MissingKind,
    Mount,
    MountKind,
    MoveAccount,
    RequestStatus,
    ResumeIntent,
    Retention,
    Standby,
    StayKind,
    Stays,
    Tombstone,
)
from bottle.naming import SUFFIX_ALPHABET, Identity, is_agent_name
from bottle.portbinding import PortBinding

AGENT_NAMES = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,2})[a-z0-9]{1,6}){0,3}", fullmatch=True).filter(is_agent_name)
SUFFIXES = st.text(SUFFIX_ALPHABET, min_size=5, max_size=5)
IDENTITIES = st.builds(Identity, AGENT_NAMES, SUFFIXES)

# Whatever can come from a terminal, a file system or a file: also bytes that are no UTF-8, as Python carries them.
TEXTS = st.text(st.one_of(st.characters(exclude_characters="\0"), st.sampled_from("\udc80\udcff")), max_size=20)
WORDS = st.lists(TEXTS, max_size=3).map(tuple)
PATHS = TEXTS.map(lambda text: Path("/", text))
TIMES = st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(UTC))
DIGESTS = st.integers(0, 2**256 - 1).map(lambda number: f"sha256:{number:064x}")

MOUNTS = st.builds(Mount, kind=st.sampled_from(MountKind), source=TEXTS, target=TEXTS, read_only=st.booleans())
DEFAULTS = st.builds(ImageDefaults, entrypoint=WORDS, command=WORDS, user=TEXTS)
ORIGINS = st.one_of(
    st.tuples(PATHS, st.none()),
    st.tuples(st.none(), TEXTS.filter(bool)),
)
RETENTIONS = st.builds(Retention, commits=st.none() | st.integers(1, 100), days=st.none() | st.integers(1, 1000))


PORTS = st.builds(
    PortBinding,
    address=st.ip_addresses().map(str).filter(lambda address: "%" not in address),
    host=st.integers(1, 65_535),
    container=st.integers(1, 65_535),
    protocol=st.sampled_from(["tcp", "udp"]),
)


@st.composite
def agents(draw: st.DrawFn, names: st.SearchStrategy[str] = AGENT_NAMES) -> Agent:
    dockerfile, image = draw(ORIGINS)
    return Agent(
        name=draw(names),
        dockerfile=dockerfile,
        image=image,
        command=draw(st.none() | WORDS),
        resume_command=draw(st.none() | WORDS),
        remote_control=draw(WORDS),
        workdir=draw(TEXTS),
        user=draw(st.none() | TEXTS),
        transcript=draw(WORDS),
        env=tuple(draw(st.dictionaries(TEXTS, TEXTS, max_size=3)).items()),
        secrets=draw(WORDS),
        volumes=draw(st.lists(MOUNTS, max_size=2).map(tuple)),
        network=draw(TEXTS),
        memory=draw(st.none() | st.integers(1, 2**62)),
        cpus=draw(st.none() | st.floats(0.01, 1000)),
        pids=draw(st.integers(1, 2**22)),
        shm_size=draw(st.none() | st.integers(1, 2**62)),
        gpus=draw(st.none() | TEXTS),
        ports=draw(st.lists(PORTS, max_size=2).map(tuple)),
        hosts=tuple(draw(st.dictionaries(TEXTS, TEXTS, max_size=2)).items()),
        cap_add=draw(WORDS),
        keep=draw(st.none() | RETENTIONS),
        carry=draw(WORDS),
        build_args=tuple(draw(st.dictionaries(TEXTS, TEXTS, max_size=3)).items()),
    )


LINEAGES = st.builds(Lineage, identity=IDENTITIES, commit=st.integers(1, 10_000))


@st.composite
def metadata(draw: st.DrawFn) -> Metadata:
    identity = draw(IDENTITIES)
    return Metadata(
        identity=identity,
        agent=draw(agents(st.just(identity.agent))),
        backend=draw(TEXTS),
        cwd=draw(st.none() | PATHS),
        copy_cwd=draw(st.booleans()),
        started_at=draw(TIMES),
        image=draw(TEXTS),
        defaults=draw(DEFAULTS),
        base=draw(st.lists(DIGESTS, max_size=2).map(tuple)),
        copied_from=draw(st.none() | LINEAGES),
        generation=draw(st.integers(1, 1000)),
    )


MARKS = st.builds(ContainerMark, container_id=TEXTS, started_at=st.none() | TIMES, running=st.booleans())
COMMITS = st.builds(
    CommitRecord,
    number=st.integers(1, 10_000),
    tag=TEXTS,
    config_digest=DIGESTS,
    diff_ids=st.lists(DIGESTS, max_size=3).map(tuple),
    message=TEXTS,
    created_at=TIMES,
    parent=st.none() | st.integers(1, 10_000),
    mark=st.none() | MARKS,
    dropped=WORDS,
    expired=st.booleans(),
    defaults=st.none() | DEFAULTS,
    base=st.lists(DIGESTS, max_size=2).map(tuple),
    volumes=st.none() | WORDS,
)
HISTORIES = st.lists(COMMITS, max_size=4, unique_by=lambda commit: commit.number).map(
    lambda commits: tuple(sorted(commits, key=lambda commit: commit.number))
)
INTENTS = st.builds(
    CommitIntent,
    nonce=TEXTS,
    number=st.integers(1, 10_000),
    message=TEXTS,
    container_id=TEXTS,
    paused=st.booleans(),
)
RESUME_INTENTS = st.builds(
    ResumeIntent,
    metadata=metadata(),
    committed_image=st.none() | TEXTS,
    container_id=st.none() | TEXTS,
    unfilled=WORDS,
)
ACCOUNTS = st.builds(
    MoveAccount,
    commit=st.integers(0, 100),
    workspace=st.none() | TEXTS,
    staged=st.integers(0, 1 << 40),
    skipped=WORDS,
    stays=st.lists(st.builds(Stays, kind=st.sampled_from(StayKind), name=TEXTS, place=TEXTS), max_size=3).map(tuple),
    missing_there=st.lists(st.builds(Missing, kind=st.sampled_from(MissingKind), name=TEXTS), max_size=3).map(tuple),
    along=WORDS,
    dropped=WORDS,
    carried=WORDS,
    left_behind=WORDS,
    edited=WORDS,
    history=st.lists(st.integers(1, 999), max_size=3).map(tuple),
    history_stays=st.lists(st.integers(1, 999), max_size=3).map(tuple),
    refreshed=st.booleans(),
)
ARRIVED = st.builds(
    Arrived,
    commits=st.lists(st.integers(1, 999), max_size=3).map(tuple),
    volumes=st.lists(TEXTS, max_size=3).map(tuple),
    workspace=st.none() | PATHS,
)
STANDBYS = st.builds(
    Standby,
    host=TEXTS,
    identity_files=WORDS,
    commit=st.none() | st.integers(1, 100),
    brought_at=st.none() | TIMES,
    failed_at=st.none() | TIMES,
    error=TEXTS,
)
COPIES = st.builds(
    CopiesThere,
    copies=st.lists(
        st.builds(CopyThere, host=TEXTS, identity=IDENTITIES, commit=st.integers(1, 100), brought_at=TIMES), max_size=3
    ).map(tuple),
)
TOMBSTONES = st.builds(
    Tombstone,
    host=TEXTS,
    moved_at=TIMES,
    arrived=st.none() | ARRIVED,
    account=st.none() | ACCOUNTS,
    standby=st.booleans(),
    generation=st.none() | st.integers(1, 1000),
)
MIGRATIONS = st.builds(
    MigrationRecord,
    phase=st.sampled_from(MigrationPhase),
    host=TEXTS,
    nonce=TEXTS,
    commit=st.none() | st.integers(1, 100),
    started_at=TIMES,
    identity_files=WORDS,
    arrives_as=st.none() | IDENTITIES,
    paused=st.booleans(),
    stopped=st.booleans(),
    pulled_by=st.none() | TEXTS,
    account=st.none() | ACCOUNTS,
)
REQUESTS = st.builds(
    CapabilityRequest,
    number=st.integers(1, 100),
    digest=TEXTS,
    reason=TEXTS,
    dockerfile=TEXTS,
    received_at=TIMES,
    status=st.sampled_from(RequestStatus),
    note=TEXTS,
    decided_at=st.none() | TIMES,
    superseded=st.lists(TEXTS, max_size=2).map(tuple),
)
