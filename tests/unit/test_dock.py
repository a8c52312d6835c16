"""A pull in one process: the real scripts in a home of their own, an honest owner, and owners that are none."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bottle import serial
from bottle.capability import digest_of
from bottle.errors import BottleError, ConnectionLost, NeedsConsent, VerificationFailed
from bottle.model import Agent, CapabilityRequest, CommitRecord, Metadata, Mount, MountKind, RequestStatus, Store
from bottle.naming import Identity
from bottle.progress import Silent
from bottle.state import BottleState
from migrate.archive import Layer, compose
from migrate.dock import Dock, Here
from migrate.guard import Terms
from migrate.model import Blob, Codec, RemoteCommand, Reply
from migrate.parcels import Parcel, pack_folder
from migrate.receiver import Breach
from migrate.spool import DirectorySpool
from migrate.transfer import Cargo, Shipment
from tests.contract.duplex import Duplex

IDENTITY = Identity.parse("demo-abc12")
NAME, NONCE = str(IDENTITY), "b" * 32
NOW = datetime(2026, 1, 2, tzinfo=UTC)
CONFIG = json.dumps({"rootfs": {"diff_ids": ["sha256:" + "1" * 64]}}).encode()
COMMIT = CommitRecord(
    number=3,
    tag=IDENTITY.committed(3),
    config_digest="sha256:" + hashlib.sha256(CONFIG).hexdigest(),
    diff_ids=("sha256:" + "1" * 64,),
    created_at=NOW,
)
# Says that all went well, and keeps what it was fed.
DOCKER = """#!/bin/sh
echo "$@" >>"$HOME/docker.log"
case $1 in load) cat >"$HOME/loaded.tar" ;; esac
exit 0
"""


class World:
    """A host that pulls `demo-abc12`: its home, and what its user agreed to."""

    def __init__(self, folder: Path, *, workspace: Path | None, agree: bool) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.bottle_home = self.home / ".bottle"
        self.home.mkdir()
        docker = folder / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        self.image: Any = SimpleNamespace(diff_ids=COMMIT.diff_ids, config_digest=COMMIT.config_digest)
        self.asked: list[tuple[str, ...]] = []
        terms = Terms(
            identity=IDENTITY, keep=False, looking=False, workspace=workspace, home=self.home,
            bottle_home=self.bottle_home, docker=str(docker), sudo=False, docker_root=str(folder),
        )  # fmt: skip
        here = Here(self.bottle_home, {"HOME": str(self.home), "PATH": os.environ["PATH"], "SECRET": "hush"})
        engine: Any = SimpleNamespace(image=lambda _: self.image)

        def consent(asked: tuple[str, ...]) -> bool:
            self.asked.append(asked)
            return agree

        self.dock = Dock(terms, here, engine, Silent(), consent)

    @property
    def staging(self) -> Path:
        return self.bottle_home / "incoming" / NAME

    @property
    def state(self) -> Path:
        return self.bottle_home / "state" / NAME

    def outside(self) -> set[str]:
        """All that is here but the staging area."""
        found = {str(each) for each in self.folder.rglob("*") if not each.is_relative_to(self.staging)}
        return found - {str(self.staging), str(self.staging.parent), str(self.bottle_home)}


class Owner:
    """An owner's side of the conversation, with all that an honest one does, and a way to do anything else."""

    def __init__(self, duplex: Duplex, world: World) -> None:
        self.remote = duplex.remote
        self.world = world
        self.duplex = duplex
        self.run("probe", NAME, "")

    def run(self, script: str, *args: str, stdin: bytes = b"") -> Reply:
        return self.remote.run(RemoteCommand(script="", name=script, args=args), (stdin,))

    def stage(self, data: bytes) -> str:
        """Bring `data` there; its digest."""
        cargo = Cargo.literal(data)
        Shipment(self.remote, IDENTITY, Silent()).send([cargo], "sending")
        return cargo.digest

    def extract(self, data: bytes, kind: str = "workspace", codec: str = "none") -> Reply:
        return self.run("extract", NAME, self.stage(data), codec, kind, NONCE)


@pytest.fixture
def meet(tmp_path: Path) -> Callable[..., Any]:
    """Have an owner meet a fresh host; the errors that the user there sees are of type `sees`."""

    @contextmanager
    def meet(
        *, workspace: Path | None = None, agree: bool = False, sees: type[BottleError] | None = None
    ) -> Iterator[Owner]:
        world = World(tmp_path, workspace=workspace, agree=agree)
        with Duplex(world.dock) as duplex:
            owner = Owner(duplex, world)
            if sees is None:
                yield owner
            else:
                before = world.outside()
                with pytest.raises(ConnectionLost):
                    yield owner
                assert world.outside() <= before | {str(world.home / "docker.log")}
                assert not world.state.exists()
        if sees is not None:
            assert type(duplex.failure) is sees

    return meet


def tar(*members: tuple[str, dict[str, Any]], content: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, facts in members:
            member = tarfile.TarInfo(name)
            for key, value in facts.items():
                setattr(member, key, value)
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


LINK = {"type": tarfile.SYMTYPE}
HARD = {"type": tarfile.LNKTYPE}
FOLDER = {"type": tarfile.DIRTYPE}


def metadata(**more: Any) -> Metadata:
    agent = Agent(name="demo", image="debian", command=("sh",))
    return Metadata(identity=IDENTITY, agent=replace(agent, **more.pop("agent", {})), started_at=NOW, **more)


def state_folder(folder: Path, described: Metadata, commit: CommitRecord = COMMIT) -> Path:
    """A state folder as an honest owner has it."""
    folder.mkdir()
    (folder / "metadata.json").write_bytes(serial.dump(serial.metadata_to_json(described)))
    (folder / "commits.json").write_bytes(serial.dump({"commits": [serial.commit_to_json(commit)]}))
    (folder / "committed-image").write_text(f"{commit.tag}\n")
    (folder / "transcript").mkdir()
    (folder / "transcript" / "index.json").write_text("{}")
    return folder


def packed(folder: Path, spool: Path) -> tuple[Parcel, bytes]:
    parcel = pack_folder(folder, DirectorySpool(spool, Codec.GZIP))
    return parcel, parcel.blob.path.read_bytes()


def deliver(owner: Owner, folder: Path, kind: str, spool: Path) -> Reply:
    """Stage, unpack and check a folder, as the mover does."""
    parcel, data = packed(folder, spool)
    assert owner.extract(data, kind, "gzip").status == 0
    counts = (str(parcel.files), str(parcel.links), str(parcel.folders))
    return owner.run("verify", NAME, f"{kind}-{NONCE}", *counts, stdin=parcel.sums)


# --- an honest owner -------------------------------------------------------------------------------------------------


def test_a_bottle_arrives_with_its_workspace(meet: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "file").write_text("content")
    (source / "script").write_text("#!/bin/sh\n")
    (source / "script").chmod(0o751)
    (source / "again").hardlink_to(source / "script")
    (source / "dangling").symlink_to("/nowhere")
    (source / "locked").mkdir(mode=0o500)
    (source / os.fsdecode(b"raw-\xff")).write_text("raw")
    (source / "new\nline").write_text("odd")
    goal = tmp_path / "home" / "work"
    with meet() as owner:
        assert owner.run("probe", NAME, str(goal)).status == 0
        assert deliver(owner, source, "workspace", tmp_path / "spool").status == 0
        described = metadata(cwd=goal)
        assert deliver(owner, state_folder(tmp_path / "state", described), "state", tmp_path / "spool").status == 0
        assert owner.run("register", NAME, NONCE, str(goal)).status == 0
        assert owner.run("withdraw", NAME, NONCE).out.strip() == b"arrived"
        assert owner.run("clear", NAME).status == 0
        assert owner.world.dock.is_here()
        assert not owner.world.staging.exists()
    assert names(goal) == names(source)
    assert (goal / "deep" / "er" / "file").read_text() == "content"
    assert (goal / "script").stat().st_mode & 0o7777 == 0o751
    assert (goal / "script").stat().st_ino == (goal / "again").stat().st_ino
    assert (goal / "dangling").readlink() == Path("/nowhere")
    assert (goal / "locked").stat().st_mode & 0o7777 == 0o500
    assert int((goal / "script").stat().st_mtime) == int((source / "script").stat().st_mtime)


def test_what_was_changed_on_its_way_is_told_to_the_owner(meet: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    with meet() as owner:
        parcel, data = packed(tmp_path / "source", tmp_path / "spool")
        owner.extract(data, "workspace", "gzip")
        (owner.world.staging / f"workspace-{NONCE}" / "file").write_text("other")
        reply = owner.run("verify", NAME, f"workspace-{NONCE}", "1", "0", "1", stdin=parcel.sums)
        assert reply.status == 23


def archive(tag: str = COMMIT.tag) -> list[bytes]:
    """The parts of an archive for `docker load`, as `migrate.archive` makes it, with one small layer."""
    plain = tar(("file", {}))
    blob = Blob(
        diff_id=COMMIT.diff_ids[0], diff_size=len(plain), digest="sha256:" + hashlib.sha256(plain).hexdigest(),
        size=len(plain), codec=Codec.NONE, path=Path("/nowhere"),
    )  # fmt: skip
    made = compose(config=CONFIG, diff_ids=COMMIT.diff_ids, blobs={blob.diff_id: blob}, tag=tag, store=Store.CLASSIC)
    return [plain if isinstance(part, Layer) else part.data for part in made.parts]


def load(owner: Owner, parts: list[bytes]) -> Reply:
    order = "".join(f"{owner.stage(part)}\n" for part in parts)
    return owner.run("load", "no", "docker", NAME, stdin=order.encode())


def test_the_image_is_fed_to_the_engine_that_is_here(meet: Callable[..., Any]) -> None:
    with meet() as owner:
        assert load(owner, archive()).status == 0
        assert (owner.world.home / "loaded.tar").read_bytes() == b"".join(archive())
        assert owner.run("inspect", "yes", "/evil", COMMIT.tag, "bottle-verify-0123456789ab").status == 0


# --- others ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        ("resume", NAME),
        ("staged", "demo-abc13"),
        ("extract", NAME, "a" * 64, "none", "../../x", NONCE),
        ("piece", NAME, "../../../x", "00000000", "a" * 64, "1"),
        ("register", NAME, NONCE, "/etc/cron.d"),
        ("register", NAME, NONCE, ""),
    ],
)
def test_what_no_honest_owner_asks_for_ends_it(meet: Callable[..., Any], request_: tuple[str, ...]) -> None:
    with meet(sees=Breach) as owner:
        owner.run(*request_)


@pytest.mark.parametrize(
    ("script", "stdin"),
    [
        ("load", b"../../../../etc/passwd\n"),
        ("load", b"*\n"),
        ("check", b"..\n"),
        ("check", b"a" * 64),
        ("known", b"sha256:../../../../home/me/.docker/config.json\n"),
        ("staged", b"x"),
        ("known", b"x" * (2 << 20)),
        ("verify", b"a" * 64 + b"  ./../../../../../etc/shadow\n"),
        ("verify", b"a" * 64 + b"  ./not-sent\n"),
        ("verify", b"a" * 64 + b"  /etc/shadow\n"),
        ("sink", b"x" * (2 << 20)),
    ],
)
def test_a_script_is_fed_only_what_it_takes(meet: Callable[..., Any], script: str, stdin: bytes) -> None:
    args = {
        "load": ("no", "docker", NAME),
        "known": ("no", "docker", "/"),
        "verify": (NAME, f"workspace-{NONCE}", "1", "0", "1"),
        "sink": (),
    }.get(script, (NAME,))
    with meet(sees=Breach) as owner:
        owner.run(script, *args, stdin=stdin)


def test_a_piece_is_no_longer_than_it_says(meet: Callable[..., Any]) -> None:
    with meet(sees=Breach) as owner:
        owner.run("piece", NAME, "a" * 64, "00000000", "a" * 64, "10", stdin=b"x" * 11)


def test_pieces_do_not_fill_the_disk(meet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with meet() as owner:
        monkeypatch.setattr("migrate.dock.RESERVE", 1 << 62)
        reply = owner.run("piece", NAME, "a" * 64, "00000000", "a" * 64, "10", stdin=b"x" * 10)
        assert (reply.status, reply.err) == (21, f"the disk of {owner.world.bottle_home} is full")


@pytest.mark.parametrize(
    "members",
    [
        [("../escaped", {})],
        [("/etc/escaped", {})],
        [("a", LINK | {"linkname": "/etc"}), ("a/escaped", {})],
        [("a", FOLDER), ("a", LINK | {"linkname": "/etc"})],
        [("a", {}), ("a", {})],
        [("a", HARD | {"linkname": "../../../../../etc/passwd"})],
        [("a", LINK | {"linkname": "/etc/passwd"}), ("b", HARD | {"linkname": "a"})],
    ],
)
def test_a_tar_that_reaches_out_of_its_folder_is_refused(
    meet: Callable[..., Any], members: list[tuple[str, dict[str, Any]]]
) -> None:
    with meet(sees=VerificationFailed) as owner:
        owner.extract(tar(*members))


def test_a_time_that_no_file_can_have_is_refused(meet: Callable[..., Any]) -> None:
    with meet(sees=VerificationFailed) as owner:
        owner.extract(tar(("a", {"mtime": 1e30})))


def test_devices_fifos_and_setuid_bits_do_not_arrive(meet: Callable[..., Any]) -> None:
    members = [
        ("device", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        ("fifo", {"type": tarfile.FIFOTYPE}),
        ("su", {"mode": 0o4755}),
    ]
    with meet() as owner:
        assert owner.extract(tar(*members)).status == 0
        folder = owner.world.staging / f"workspace-{NONCE}"
        assert names(folder) == ["su"]
        assert (folder / "su").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("sparse", [False, True])
def test_a_bomb_does_not_fill_the_disk(
    meet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *, sparse: bool
) -> None:
    headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(64 << 20), "GNU.sparse.numblocks": "1"}
    bomb = tar(("zeros", {"pax_headers": headers} if sparse else {}), content=b"" if sparse else bytes(64 << 20))
    with meet(sees=VerificationFailed) as owner:
        monkeypatch.setattr("migrate.dock._free", lambda _: 1 << 20)
        try:
            owner.extract(gzip.compress(bomb), codec="gzip")
        finally:
            written = [each.stat().st_size for each in owner.world.staging.rglob("*") if each.is_file()]
            assert sum(written) < 4 << 20


@pytest.mark.parametrize(
    "change",
    [
        {"identity": Identity.parse("demo-abc13")},
        {"commit": replace(COMMIT, tag="debian:latest")},
        {"extra": "moved-to.json"},
        {"extra": "arrived"},
        {"extra": "requests/1.json"},
        {"extra": "requests/notes"},
        {"extra": "requests"},
        {"extra": "rebuild/x"},
        {"request": (1, 2)},
        {"request": (1, 1, "0" * 64)},
        {"link": "requests/1.json"},
        {"link": "committed-image"},
        {"link": "transcript/files"},
    ],
)
def test_a_state_that_is_not_this_bottles_is_refused(
    meet: Callable[..., Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    described = replace(metadata(), identity=change.get("identity", IDENTITY))
    folder = state_folder(tmp_path / "state", described, change.get("commit", COMMIT))
    (folder / str(change.get("extra", change.get("link", "x")))).parent.mkdir(exist_ok=True)
    if "request" in change:
        keep_request(folder, *change["request"])
    if "extra" in change:
        (folder / change["extra"]).write_text("x")
    if "link" in change:
        (folder / change["link"]).unlink(missing_ok=True)
        (folder / change["link"]).symlink_to("/etc/passwd")
    data = packed(folder, tmp_path / "spool")[1]
    with meet(sees=VerificationFailed) as owner:
        owner.extract(data, "state", "gzip")


def keep_request(folder: Path, place: int, number: int, digest: str = digest_of("jq", "FROM a")) -> None:
    """A capability request where number `place` is kept."""
    request = CapabilityRequest(number=number, digest=digest, reason="jq", dockerfile="FROM a", received_at=NOW)
    (folder / "requests").mkdir()
    (folder / "requests" / f"{place}.json").write_bytes(serial.dump(serial.request_to_json(request)))


def test_requests_and_the_marker_arrive(meet: Callable[..., Any], tmp_path: Path) -> None:
    folder = state_folder(tmp_path / "state", metadata())
    keep_request(folder, 1, 1)
    (folder / "rebuild").touch()
    (folder / "requests" / ".1.json.tmp").write_text("half")
    data = packed(folder, tmp_path / "spool")[1]
    with meet() as owner:
        assert owner.extract(data, "state", "gzip").status == 0


def test_what_is_for_this_host_to_say_does_not_arrive(meet: Callable[..., Any], tmp_path: Path) -> None:
    described = metadata(agent={"carry": ("/root/*",)})
    folder = state_folder(tmp_path / "state", described)
    origin = BottleState(IDENTITY, folder)
    for number, text in ((1, "FROM a"), (2, "FROM b")):
        digest = digest_of("jq", text)
        request = CapabilityRequest(number=number, digest=digest, reason="jq", dockerfile=text, received_at=NOW)
        origin.write_request(replace(request, status=RequestStatus.APPROVING, note="fine", decided_at=NOW))
    with meet() as owner:
        assert deliver(owner, folder, "state", tmp_path / "spool").status == 0
        assert owner.run("register", NAME, NONCE, "").status == 0
        here = BottleState(IDENTITY, owner.world.state)
        found = [(each.number, each.status, each.note, each.decided_at) for each in here.requests()]
        assert found == [(number, RequestStatus.PENDING, "", None) for number in (1, 2)]
        assert here.metadata() == metadata()


WISHES = [
    {"agent": {"volumes": (Mount(kind=MountKind.BIND, source="/", target="/host"),)}},
    {"agent": {"cap_add": ("SYS_ADMIN",)}},
    {"agent": {"network": "host"}},
    {"agent": {"dockerfile": Path("/etc/Dockerfile"), "image": None}},
    {"cwd": Path("/etc"), "copy_cwd": True},
]


@pytest.mark.parametrize("wish", WISHES)
def test_what_a_bottle_would_get_hold_of_is_asked_about(
    meet: Callable[..., Any], tmp_path: Path, wish: dict[str, Any]
) -> None:
    data = packed(state_folder(tmp_path / "state", metadata(**wish)), tmp_path / "spool")[1]
    with meet(sees=NeedsConsent) as owner:
        owner.extract(data, "state", "gzip")


@pytest.mark.parametrize("wish", WISHES)
def test_what_the_user_agrees_to_arrives(meet: Callable[..., Any], tmp_path: Path, wish: dict[str, Any]) -> None:
    with meet(agree=True) as owner:
        folder = state_folder(tmp_path / "state", metadata(**wish))
        assert deliver(owner, folder, "state", tmp_path / "spool").status == 0
        assert len(owner.world.asked) == 1
        assert owner.run("register", NAME, NONCE, "").status == 0


@pytest.mark.parametrize("cwd", ["/", "/etc", "/home"])
def test_a_state_does_not_mount_another_folder_than_the_one_that_came(
    meet: Callable[..., Any], tmp_path: Path, cwd: str
) -> None:
    data = packed(state_folder(tmp_path / "state", metadata(cwd=Path(cwd))), tmp_path / "spool")[1]
    with meet(sees=VerificationFailed) as owner:
        assert owner.extract(data, "state", "gzip").status == 0
        owner.run("register", NAME, NONCE, "")


def test_a_state_without_its_image_is_not_put_into_place(meet: Callable[..., Any], tmp_path: Path) -> None:
    data = packed(state_folder(tmp_path / "state", metadata()), tmp_path / "spool")[1]
    with meet(sees=VerificationFailed) as owner:
        owner.world.image = SimpleNamespace(diff_ids=("sha256:" + "2" * 64,), config_digest=COMMIT.config_digest)
        owner.extract(data, "state", "gzip")
        owner.run("register", NAME, NONCE, "")


def rewritten(parts: list[bytes], old: bytes, new: bytes) -> list[bytes]:
    assert any(old in part for part in parts)
    return [part.replace(old, new) for part in parts]


def foreign_archives() -> dict[str, list[bytes]]:
    entries = [("oci-layout", {}), ("index.json", {}), ("manifest.json", {})]
    return {
        "another tag": archive("debian:latest"),
        "another bottle": archive("bottle-committed-demo-abc13:1"),
        "the tag that people use": archive("bottle-committed-demo-abc12:latest"),
        "two images": rewritten(archive(), b'[{"Config"', b'[{},{"Conf"'),
        "a layer that is another": [archive()[0], bytes(len(archive()[1])), archive()[2]],
        "repositories": [tar(*entries, ("repositories", {}), content=b"{}")],
        "a link": [tar(("manifest.json", LINK | {"linkname": "/etc/passwd"}))],
        "a name that escapes": [tar(("../../x", {}))],
        "nonsense": [tar(*entries, content=b"[" * 1000)],
        "no tar": [b"x" * 4096],
        "half a tar": [archive()[0]],
    }


@pytest.mark.parametrize("kind", foreign_archives())
def test_an_archive_that_is_not_of_this_bottles_image_is_not_loaded(meet: Callable[..., Any], kind: str) -> None:
    with meet(sees=VerificationFailed) as owner:
        load(owner, foreign_archives()[kind])


def test_secrets_of_the_environment_do_not_reach_scripts(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    here = Here(tmp_path / "home", {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "SECRET": "hush"})
    assert b"hush" not in here.run(RemoteCommand(script="env")).out
