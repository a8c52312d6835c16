"""One value of each kind that is written as a document, with nothing left out and a name that is no Unicode."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

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
from bottle.naming import Identity
from bottle.portbinding import PortBinding
from bottle.tar.items import ItemType
from bottle.transcript import TranscriptEntry
from migrate.bundle.format import BundledCommit, BundleManifest, BundleMember, MemberKind, VolumePlace, member_name
from migrate.model import Codec
from migrate.move.model import Moved, MovePlan, Part

NOON = datetime(2026, 1, 1, 12, 0, 0, 250, tzinfo=UTC)
EAST = datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
IDENTITY = Identity.parse("demo-abcde")
OTHER = Identity.parse("demo-fghij")
DIGEST = f"sha256:{7:064x}"
LAYERS = (f"sha256:{1:064x}", f"sha256:{2:064x}")
ODD = "odd \udcff ä\n"  # a name of bytes that are no UTF-8, as Python has it

AGENT = Agent(
    name="demo",
    dockerfile=Path("/agents/demo", ODD),
    command=("claude", ODD),
    resume_command=("claude", "--continue"),
    remote_control=("--remote-control",),
    workdir="/work",
    user="1000:1000",
    transcript=("/root/.claude",),
    env=(("B", "2"), ("A", ODD)),
    secrets=("TOKEN",),
    volumes=(
        Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),
        Mount(kind=MountKind.BIND, source="/data", target="/data", read_only=True),
    ),
    network="corp",
    memory=4 << 30,
    cpus=2.5,
    pids=100,
    shm_size=1 << 30,
    gpus="all",
    ports=(PortBinding.parse("127.0.0.1:8080:80"), PortBinding.parse("[::1]:53:53/udp")),
    hosts=(("db", "10.0.0.5"),),
    cap_add=("CHOWN",),
    keep=Retention(commits=3, days=None),
    carry=("/root/.netrc",),
    build_args=(("VERSION", "1"),),
)
METADATA = Metadata(
    identity=IDENTITY,
    name="my-bottle",
    agent=AGENT,
    backend="docker",
    cwd=Path("/home/dev", ODD),
    copy_cwd=True,
    started_at=NOON,
    image="bottle-demo:latest",
    defaults=ImageDefaults(entrypoint=("/init",), command=("sh", "-c"), user="root"),
    base=LAYERS,
    copied_from=Lineage(identity=OTHER, commit=2),
    generation=3,
)
BARE = Metadata(identity=IDENTITY, agent=Agent(name="demo", image="debian"), started_at=EAST)
COMMIT = CommitRecord(
    number=2,
    tag="bottle-committed-demo-abcde:2",
    config_digest=DIGEST,
    diff_ids=LAYERS,
    message=ODD,
    created_at=NOON,
    parent=1,
    mark=ContainerMark(container_id="c" * 64, started_at=EAST, running=True),
    dropped=("an ACL",),
    expired=True,
    defaults=METADATA.defaults,
    base=LAYERS[:1],
    volumes=("/data",),
)
FIRST = CommitRecord(number=1, tag="bottle-committed-demo-abcde:1", config_digest=DIGEST, diff_ids=(), created_at=NOON)
ACCOUNT = MoveAccount(
    commit=2,
    workspace="/home/dev/work",
    staged=1 << 40,
    skipped=("a socket",),
    stays=(Stays(kind=StayKind.FOLDER, name="/here", place="/there"),),
    missing_there=(Missing(kind=MissingKind.SECRET, name="KEY"),),
    along=("a key",),
    dropped=("an ACL",),
    carried=("a worktree",),
    left_behind=("a link",),
    edited=(ODD,),
    history=(1,),
    history_stays=(3, 4),
    refreshed=True,
)
REQUEST = CapabilityRequest(
    number=3,
    digest="d" * 64,
    reason="it needs curl",
    dockerfile="FROM debian\nRUN apt-get install curl\n",
    received_at=NOON,
    status=RequestStatus.APPROVING,
    note="yes",
    decided_at=EAST,
    superseded=("e" * 64,),
)
INTENT = CommitIntent(nonce="n", number=3, message=ODD, container_id="c", paused=True)
RESUME_INTENT = ResumeIntent(metadata=BARE, committed_image="t:1", container_id="c", unfilled=("v",))
MIGRATION = MigrationRecord(
    phase=MigrationPhase.HANDING_OFF,
    host="dev@far",
    nonce="n",
    commit=2,
    started_at=NOON,
    identity_files=(f"/keys/{ODD}",),
    arrives_as=OTHER,
    paused=True,
    pulled_by="h",
    account=ACCOUNT,
)
TOMBSTONE = Tombstone(
    host="dev@far",
    moved_at=NOON,
    arrived=Arrived(commits=(1, 2), volumes=("v",), workspace=Path("/home/dev", ODD)),
    account=ACCOUNT,
    nonce="n",
    standby=True,
    generation=3,
)
STANDBY = Standby(
    host="dev@spare",
    identity_files=(f"/keys/{ODD}",),
    commit=2,
    brought_at=NOON,
    failed_at=EAST,
    error="no route",
)
COPIES = CopiesThere(copies=(CopyThere(host="dev@far", identity=OTHER, commit=2, brought_at=EAST),))
ENTRIES = (
    TranscriptEntry(
        path=f"a/{ODD}", type=ItemType.FILE, mode=0o600, uid=0, gid=1000, mtime=-1, size=3, sha256="0" * 64
    ),
    TranscriptEntry(path="a/link", type=ItemType.SYMLINK, mode=0o777, uid=0, gid=0, mtime=7, target=f"../{ODD}"),
)


def member(kind: MemberKind, index: int, plain: str, place: VolumePlace | None = None) -> BundleMember:
    """A member of a bundle, compressed where such a one is."""
    codec = Codec.NONE if kind is MemberKind.CONFIG else Codec.ZSTD
    packed = (5, plain) if codec is Codec.NONE else (4, DIGEST)
    size, digest = packed
    return BundleMember(
        name=member_name(kind, index, codec),
        kind=kind,
        codec=codec,
        size=size,
        digest=digest,
        plain_size=5,
        plain_digest=plain,
        place=place,
    )


MANIFEST = BundleManifest(
    identity=IDENTITY,
    created_at=NOON,
    architecture="amd64",
    os="linux",
    commit=BundledCommit(number=2, tag=IDENTITY.committed(2), config_digest=DIGEST, diff_ids=LAYERS),
    members=(
        member(MemberKind.CONFIG, 0, DIGEST),
        member(MemberKind.LAYER, 0, LAYERS[0]),
        member(MemberKind.LAYER, 1, LAYERS[1]),
        member(MemberKind.VOLUME, 0, DIGEST, VolumePlace(volume="cache", target="/cache")),
        member(MemberKind.WORKSPACE, 0, DIGEST),
        member(MemberKind.STATE, 0, DIGEST),
    ),
)
PLAN = MovePlan(
    workspace="/home/dev/work",
    present=1,
    layers=2,
    layer_codec=Codec.ZSTD,
    file_codec=Codec.GZIP,
    parts=(Part(name="layer 2", size=5), Part(name="workspace", size=None)),
    stays=(Stays(kind=StayKind.FOLDER, name="/here", place="/there"),),
    missing_there=(Missing(kind=MissingKind.SECRET, name="KEY"),),
    running=True,
    stops=True,
    commits=False,
    needed_docker=1,
    needed_home=2,
    free_docker=3,
    free_home=4,
    along=("a key",),
    shared=("another",),
    left_behind=("a link",),
    history_stays=(3, 4),
)
MOVED = Moved(
    identity=IDENTITY,
    arrived_as=OTHER,
    host="far",
    account=replace(ACCOUNT, commit=2, workspace=None, edited=("a file\n",), history=(), refreshed=False),
)
