"""A pull in one process: the real scripts in a home of their own, an honest owner, and owners that are none."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bottle.agent.admission import demands
from bottle.errors import BackendUnsupported, BottleError, ConnectionLost, NeedsConsent, VerificationFailed
from bottle.model import (
    Agent,
    CapabilityRequest,
    CommitRecord,
    ContainerMark,
    ImageDefaults,
    Metadata,
    Mount,
    MountKind,
    RequestStatus,
    Store,
    Tombstone,
)
from bottle.naming import Identity
from bottle.requests.request import digest_of
from bottle.store.home import StateHome
from bottle.store.kept import KEPT, CommitHistory
from bottle.store.state import BottleState
from bottle.tar.items import LONGEST_PATH
from bottle.testing import RecordingProgress
from migrate.admission.arrived_update import Instructions
from migrate.admission.image_archive import read_image
from migrate.admission.image_config import composed
from migrate.contents.archive import Tarball, pack_folder
from migrate.contents.index import look
from migrate.contents.left import listing
from migrate.host.payload import Payload
from migrate.host.script import Effect
from migrate.image.load_archive import Layer, compose
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec, RemoteCommand, Reply
from migrate.pull import site
from migrate.pull.perform import ArrivedBottle, Performer
from migrate.pull.policy import ASKED, Terms
from migrate.pull.receiver import Breach
from migrate.pull.site import Here
from tests.contract.duplex import Duplex
from tests.support.uploading import make_uploader

IDENTITY = Identity.parse("demo-abc12")
NAME, NONCE = str(IDENTITY), "b" * 32
NOW = datetime(2026, 1, 2, tzinfo=UTC)
USUAL = ("network bridge", "its own Dockerfile, which the next resume builds")  # what a user has agreed to


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


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


LAYER = tar(("file", {}))
ROOTFS = {"type": "layers", "diff_ids": [digest(LAYER)]}
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": ROOTFS}).encode()
COMMIT = CommitRecord(
    number=3, tag=IDENTITY.committed(3), config_digest=digest(CONFIG), diff_ids=(digest(LAYER),), created_at=NOW
)
# Says that all went well, and keeps what it was fed.
DOCKER = """#!/bin/sh
echo "$@" >>"$HOME/docker.log"
case "$1 $2" in
"volume inspect") exit 1 ;;
"cp -") cat >"$HOME/copied.tar" ;;
cp*) cat "$HOME/copied.tar" ;;
esac
exit 0
"""

LINK = {"type": tarfile.SYMTYPE}
HARD = {"type": tarfile.LNKTYPE}
FOLDER = {"type": tarfile.DIRTYPE}


class World:
    """A host that pulls `demo-abc12`: its home, and what its user agreed to."""

    def __init__(self, folder: Path, *, workspace: Path | None, agreed: Iterable[str], consent: bool = False) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.bottle_home = self.home / ".bottle"
        self.home.mkdir()
        docker = folder / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        self.image: Any = SimpleNamespace(diff_ids=COMMIT.diff_ids, config_digest=COMMIT.config_digest)
        terms = Terms(
            identity=IDENTITY, keep=False, looking=False, workspace=workspace, home=self.home,
            bottle_home=self.bottle_home, docker=str(docker), sudo=False, store=Store.CLASSIC, docker_root=str(folder),
            consent=consent,
        )  # fmt: skip
        here = Here(self.bottle_home, {"HOME": str(self.home), "PATH": os.environ["PATH"], "SECRET": "hush"})
        self.loaded: list[bytes] = []
        self.progress = RecordingProgress()
        self.engine: Any = SimpleNamespace(
            image=lambda _: self.image, load=lambda archive: self.loaded.append(b"".join(archive))
        )
        self.performer = Performer(terms, here, self.engine, self.progress, frozenset(agreed))

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
        payload = Payload.literal(data)
        make_uploader(self.remote, IDENTITY, RecordingProgress()).send([payload], "sending")
        return payload.digest

    def extract(self, data: bytes, kind: str = "workspace", codec: str = "none") -> Reply:
        return self.run("extract", NAME, self.stage(data), codec, kind, NONCE)


@pytest.fixture
def meet(tmp_path: Path) -> Callable[..., Any]:
    """Have an owner meet a fresh host; the errors that the user there sees are of type `sees`."""

    @contextmanager
    def meet(
        *,
        workspace: Path | None = None,
        agreed: Iterable[str] = USUAL,
        consent: bool = False,
        sees: type[BottleError] | None = None,
    ) -> Iterator[Owner]:
        world = World(tmp_path, workspace=workspace, agreed=agreed, consent=consent)
        with Duplex(world.performer) as duplex:
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


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def metadata(**more: Any) -> Metadata:
    agent = Agent(name="demo", image="debian", command=("sh",))
    return Metadata(identity=IDENTITY, agent=replace(agent, **more.pop("agent", {})), started_at=NOW, **more)


def state_folder(folder: Path, described: Metadata, commit: CommitRecord = COMMIT) -> Path:
    """A state folder as an honest owner has it."""
    folder.mkdir()
    (folder / "metadata.json").write_bytes(KEPT.dump(described))
    (folder / "commits.json").write_bytes(KEPT.dump(CommitHistory(commits=(commit,))))
    (folder / "committed-image").write_text(f"{commit.tag}\n")
    (folder / "transcript").mkdir()
    (folder / "transcript" / "index.json").write_text('{"schema": 1, "entries": []}')
    return folder


def packed(folder: Path, spool: Path) -> tuple[Tarball, bytes]:
    tarball = pack_folder(folder, DirectorySpool(spool, Codec.GZIP))
    return tarball, tarball.blob.path.read_bytes()


def deliver(owner: Owner, folder: Path, kind: str, spool: Path) -> Reply:
    """Stage, unpack and check a folder, as the mover does."""
    tarball, data = packed(folder, spool)
    assert owner.extract(data, kind, "gzip").status == 0
    counts = (str(tarball.files), str(tarball.links), str(tarball.folders))
    return owner.run("verify", NAME, f"{kind}-{NONCE}", *counts, stdin=tarball.sums)


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
        assert owner.world.performer.is_here()
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
        tarball, data = packed(tmp_path / "source", tmp_path / "spool")
        owner.extract(data, "workspace", "gzip")
        (owner.world.staging / f"workspace-{NONCE}" / "file").write_text("other")
        reply = owner.run("verify", NAME, f"workspace-{NONCE}", "1", "0", "1", stdin=tarball.sums)
        assert reply.status == 23


def archive(tag: str = COMMIT.tag, config: bytes = CONFIG) -> list[bytes]:
    """The parts of an archive for `docker load`, as `migrate.image.load_archive` makes it, with one small layer."""
    blob = Blob(
        diff_id=digest(LAYER), diff_size=len(LAYER), digest=digest(LAYER), size=len(LAYER), codec=Codec.NONE,
        path=Path("/nowhere"),
    )  # fmt: skip
    made = compose(config=config, diff_ids=COMMIT.diff_ids, blobs={blob.diff_id: blob}, tag=tag, store=Store.CLASSIC)
    return [LAYER if isinstance(part, Layer) else part.data for part in made.parts]


def load(owner: Owner, parts: list[bytes]) -> Reply:
    order = "".join(f"{owner.stage(part)}\n" for part in parts)
    return owner.run("load", "no", "docker", NAME, stdin=order.encode())


def repacked(parts: list[bytes], **documents: bytes) -> list[bytes]:
    """An archive in which documents are others, by the beginning of their names."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
        members = [(each, archive.extractfile(each)) for each in archive]
        contents = [(each, file.read() if file else b"") for each, file in members]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in contents:
            changed = documents.get(member.name.partition(".")[0], content)
            member.size = len(changed)
            archive.addfile(member, io.BytesIO(changed))
    before, _, after = buffer.getvalue().partition(LAYER)
    return [before, LAYER, after]


def expected() -> bytes:
    """What the engine here is to be fed for `archive()`, whatever else the owner's says."""
    return b"".join(archive(config=composed(CONFIG)))


def test_the_image_is_fed_to_the_engine_that_is_here(meet: Callable[..., Any]) -> None:
    with meet() as owner:
        assert load(owner, archive()).status == 0
        assert owner.world.loaded == [expected()]
        assert owner.run("inspect", "yes", "/evil", COMMIT.tag, "bottle-verify-0123456789ab").status == 0


LEGACY = {"Config": "blobs/sha256/" + digest(CONFIG)[7:], "RepoTags": [COMMIT.tag], "Layers": []}


def test_documents_of_an_archive_are_kept_up_to_a_limit() -> None:
    """Each may be small enough, and all together not: until the manifest comes, any of them may be the config."""
    drawn = 0

    def many() -> Iterator[bytes]:
        nonlocal drawn
        for number in range(20):
            document = b'{"a": %d' % number + bytes(4 << 20)[: (4 << 20) - 100] + b"}"
            member = tarfile.TarInfo(f"blobs/sha256/{digest(document).removeprefix('sha256:')}")
            member.size = len(document)
            yield member.tobuf(tarfile.GNU_FORMAT)
            yield document + bytes(-len(document) % 512)
            drawn += len(document)

    with pytest.raises(VerificationFailed, match="too many"):
        read_image(many(), IDENTITY, 1 << 40)
    assert drawn <= 36 << 20


ANNOTATIONS = {"io.containerd.image.name": "docker.io/library/victim:latest"}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("manifest", [{**LEGACY, "repotags": ["victim:latest"]}]),
        ("manifest", [{"REPOTAGS": ["victim:latest"], **LEGACY, "Parent": "sha256:" + "2" * 64}]),
        ("manifest", [{**LEGACY, "repotag\u017f": ["victim:latest"], "layers": ["blobs/sha256/" + "2" * 64]}]),
        ("index", {"manifests": [{"annotations": {}, "Annotations": ANNOTATIONS}]}),
        ("index", {"Manifests": [{"digest": "sha256:" + "2" * 64, "size": 2, "annotations": ANNOTATIONS}]}),
    ],
)
def test_what_only_another_reader_finds_in_an_archive_reaches_no_engine(
    meet: Callable[..., Any], name: str, document: Any
) -> None:
    evil = repacked(archive(), **{name: json.dumps(document, ensure_ascii=False).encode()})
    with meet() as owner:
        assert load(owner, evil).status == 0
        assert owner.world.loaded == [expected()]


@pytest.mark.parametrize(
    "config",
    [
        CONFIG.replace(b'"config": {}', b'"config": {}, "Config": {"Env": ["A=b"]}'),
        CONFIG.replace(b'"config": {}', b'"config": {}, "hi\xc5\xbftory": []'),
        CONFIG.replace(b'"config": {}', b'"config": {"env": ["A=b"]}'),
        CONFIG.replace(b'"config": {}', b'"config": {}, "config": {"Env": ["A=b"]}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Env": ["A\\u0000=b"]}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Env": ["\\ud800"]}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Env": ["\xff"]}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Env": "A=b"}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Healthcheck": {"Retries": 1e300}}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Healthcheck": {"Retries": 9223372036854775808}}'),
        CONFIG.replace(b'"config": {}', b'"config": {"Healthcheck": {"Retries": NaN}}'),
        CONFIG.replace(b'"diff_ids"', b'"DIFF_IDS"'),
        CONFIG.replace(b'"diff_ids"', b'"Diff_Ids": [], "diff_ids"'),
        CONFIG.replace(b'"layers"', b'"layers+base"'),
        CONFIG.replace(b'"amd64"', b'"amd64", "Architecture": "arm64"'),
        CONFIG + b"{}",
    ],
)
def test_a_config_that_readers_take_for_different_things_is_refused(meet: Callable[..., Any], config: bytes) -> None:
    assert config != CONFIG
    with meet(sees=VerificationFailed) as owner:
        load(owner, archive(config=config))


def test_a_layer_that_is_not_sent_by_itself_ends_it(meet: Callable[..., Any]) -> None:
    with meet(sees=Breach) as owner:
        load(owner, [b"".join(archive())])


def test_what_a_config_says_besides_does_not_reach_the_engine(meet: Callable[..., Any]) -> None:
    config = CONFIG.replace(b'"config": {}', b'"config": {"Image": "x"}, "container_config": {"a": 1}, "id": "x"')
    with meet() as owner:
        assert load(owner, archive(config=config)).status == 0
        assert owner.world.loaded == [expected()]


def test_a_volume_is_filled_from_a_tar_of_our_own_making(meet: Callable[..., Any]) -> None:
    came = tar(("cache", FOLDER), ("cache/file", {"pax_headers": {"comment": "for another reader"}}), content=b"x")
    with meet() as owner:
        blob = owner.stage(came)
        reply = owner.run(
            "volume", "no", "docker", NAME, blob, "none", f"bottle-{NAME}-cache", "/root/cache", COMMIT.tag,
            "bottle-fill-0123456789ab", "2", "0", digest(b"x")[7:],
        )  # fmt: skip
        assert reply.status == 0, reply.err
        copied = (owner.world.home / "copied.tar").read_bytes()
        with tarfile.open(fileobj=io.BytesIO(copied)) as archive:
            assert [each.name for each in archive] == ["cache", "cache/file"]
        assert b"comment" not in copied
        assert not (owner.world.staging / "blobs" / ".composed").exists()


@pytest.mark.parametrize(
    "members",
    [
        [("cache", FOLDER), ("other", {})],
        [("cache", FOLDER), ("cache/../../etc/passwd", {})],
        [("cache", LINK | {"linkname": "/etc"})],
        [("cache", FOLDER), ("cache/null", {"type": tarfile.CHRTYPE})],
        [("cache", FOLDER), ("cache/a", {}), ("cache/a", {})],
    ],
)
def test_a_volume_of_another_shape_is_refused(
    meet: Callable[..., Any], members: list[tuple[str, dict[str, Any]]]
) -> None:
    with meet(sees=VerificationFailed) as owner:
        owner.run(
            "volume", "no", "docker", NAME, owner.stage(tar(*members)), "none", f"bottle-{NAME}-cache", "/root/cache",
            COMMIT.tag, "bottle-fill-0123456789ab", "2", "0", "a" * 64,
        )  # fmt: skip


def test_a_path_as_long_as_any_may_be_spelt_is_brought_up_to_date(meet: Callable[..., Any]) -> None:
    deep = "/".join(["\\0303\\0274" * 100] * (LONGEST_PATH // 201))
    assert 60_000 < len(Instructions.parse([f"-{deep}\n".encode()]).removed[0].encode()) < LONGEST_PATH
    with meet() as owner:
        assert owner.extract(tar(("file", {}))).status == 0
        blob = owner.stage(tar(("new", {})))
        lines = f"+{deep}\n-{deep}\n-file\n".encode()
        assert owner.run("update", NAME, blob, "none", f"workspace-{NONCE}", stdin=lines).status == 0
        assert names(owner.world.staging / f"workspace-{NONCE}") == ["new"]


# --- images that are here --------------------------------------------------------------------------------------------


def test_an_image_that_was_here_keeps_its_tag(meet: Callable[..., Any]) -> None:
    with meet(sees=VerificationFailed) as owner:
        owner.world.image.diff_ids = ("sha256:" + "2" * 64,)
        load(owner, archive())


def test_an_image_that_was_here_gives_its_tag_to_no_other(meet: Callable[..., Any]) -> None:
    told = "sha256:" + "a" * 64
    with meet(sees=VerificationFailed) as owner:
        holds_images(owner)
        images = {told: owner.world.image, COMMIT.tag: SimpleNamespace(diff_ids=PRIVATE)}
        owner.world.engine.image = images.get
        owner.run("images", "no", "docker", stdin=f"{COMMIT.diff_ids[0]}\n".encode())
        owner.run("tag", "no", "docker", told, COMMIT.tag)


@pytest.mark.parametrize("was_here", [False, True])
def test_only_what_this_pull_brought_is_taken_away_again(meet: Callable[..., Any], *, was_here: bool) -> None:
    with meet() as owner:
        if not was_here:
            owner.world.image = None
        for _ in range(2):  # whoever sends may send more
            assert load(owner, archive()).status == 0
        assert owner.run("unload", "no", "docker", COMMIT.tag).status == 0
        log = owner.world.home / "docker.log"
        assert (log.exists() and "image rm" in log.read_text()) is not was_here


# --- what is told of this host ---------------------------------------------------------------------------------------

PRIVATE = ("sha256:" + "1" * 64, "sha256:" + "2" * 64)
HELD = {"sha256:" + "a" * 64: COMMIT.diff_ids, "sha256:" + "b" * 64: (*COMMIT.diff_ids, *PRIVATE)}


def holds_images(owner: Owner) -> None:
    """Have the engine here list the images `HELD`."""
    lines = "".join(f"{image} {json.dumps(chain, separators=(',', ':'))}\n" for image, chain in HELD.items())
    listing = f"cat <<'.'\n{lines}.\n;;\n"
    script = DOCKER.replace("esac\n", f'"image ls") {listing}"image inspect") {listing}esac\n')
    (owner.world.folder / "docker").write_text(script)


def test_no_layer_is_told_that_was_not_named(meet: Callable[..., Any]) -> None:
    with meet() as owner:
        holds_images(owner)
        assert owner.run("images", "no", "docker").out == b""
        said = owner.run("images", "no", "docker", stdin=f"{COMMIT.diff_ids[0]}\n".encode()).out.decode()
        assert [json.loads(line.split(" ")[1]) for line in said.splitlines()] == 2 * [list(COMMIT.diff_ids)]
        assert "sha256:" + "a" * 64 in said
        assert "sha256:" + "b" * 64 not in said
        assert owner.run("tag", "no", "docker", "sha256:" + "a" * 64, COMMIT.tag).status == 0


@pytest.mark.parametrize("image", ["b" * 64, "c" * 64])
def test_an_image_that_was_not_told_of_gets_no_name(meet: Callable[..., Any], image: str) -> None:
    with meet(sees=Breach) as owner:
        holds_images(owner)
        owner.run("images", "no", "docker", stdin=f"{COMMIT.diff_ids[0]}\n".encode())
        owner.run("tag", "no", "docker", f"sha256:{image}", COMMIT.tag)


def test_an_image_is_shown_to_who_knows_its_layers_and_of_it_no_config(meet: Callable[..., Any]) -> None:
    inspect = ("inspect", "no", "docker", COMMIT.tag, "bottle-verify-0123456789ab")
    with meet() as owner:
        owner.world.image.secret = "hush"
        assert owner.run(*inspect).out == b"[{}]"
        assert load(owner, archive()).status == 0
        shown = {"diff_ids": list(COMMIT.diff_ids), "config_digest": COMMIT.config_digest}
        assert json.loads(owner.run(*inspect).out) == [shown]
        owner.world.image = None
        assert owner.run(*inspect).out == b"[{}]"


# --- a bottle that lives here ----------------------------------------------------------------------------------------

LIVING = {
    "staged": (NAME,),
    "sink": (),
    "piece": (NAME, "a" * 64, "00000000", "a" * 64, "1"),
    "check": (NAME,),
    "load": ("no", "docker", NAME),
    "tag": ("no", "docker", "sha256:" + "a" * 64, COMMIT.tag),
    "inspect": ("no", "docker", COMMIT.tag, "bottle-verify-0123456789ab"),
    "unload": ("no", "docker", COMMIT.tag),
    "extract": (NAME, "a" * 64, "none", "state", NONCE),
    "update": (NAME, "a" * 64, "none", f"workspace-{NONCE}"),
    "verify": (NAME, f"state-{NONCE}", "1", "0", "1"),
    "volume": (
        *("no", "docker", NAME, "a" * 64, "none", f"bottle-{NAME}-cache", "/cache", COMMIT.tag),
        *("bottle-fill-0123456789ab", "1", "0", "a" * 64),
    ),
    "register": (NAME, NONCE, ""),
    "seed": (NAME, NONCE, ""),
}


def live(owner: Owner, tmp_path: Path, cwd: Path | None = None) -> BottleState:
    """Have the bottle here, whoever brought it."""
    owner.world.state.parent.mkdir(parents=True)
    state_folder(owner.world.state, metadata(cwd=cwd))
    return BottleState(IDENTITY, owner.world.state)


def test_all_scripts_but_those_that_look_or_settle_are_refused_for_a_bottle_that_lives_here() -> None:
    assert {name for name, script in ASKED.items() if script.effect is Effect.CHANGES} == LIVING.keys()


@pytest.mark.parametrize("script", LIVING)
def test_a_bottle_that_lives_here_is_left_alone(meet: Callable[..., Any], tmp_path: Path, script: str) -> None:
    with meet() as owner:
        here = live(owner, tmp_path)
        before = sorted(owner.world.folder.rglob("*"))
        with pytest.raises(ConnectionLost):
            owner.run(script, *LIVING[script])
        assert sorted(owner.world.folder.rglob("*")) == before
        assert here.metadata() == metadata()
    assert isinstance(owner.duplex.failure, Breach)
    assert "lives here" in owner.duplex.failure.what


def test_of_a_bottle_that_lives_here_may_be_asked_how_its_move_ended(meet: Callable[..., Any], tmp_path: Path) -> None:
    with meet() as owner:
        live(owner, tmp_path)
        assert b"presence=owned" in owner.run("probe", NAME, "").out
        assert owner.run("withdraw", NAME, NONCE).out == b"withdrawn\n"
        assert owner.run("clear", NAME).status == 0
        assert owner.world.performer.is_here()
        assert owner.world.performer.arrived() is None


def test_who_brought_it_knows_the_name_of_its_move(meet: Callable[..., Any], tmp_path: Path) -> None:
    with meet() as owner:
        (live(owner, tmp_path, Path("/work")).path / "arrived").write_text(f"{'a' * 32}\n{NONCE}\n")
        assert owner.run("withdraw", NAME, "c" * 32).out == b"withdrawn\n"
        assert owner.world.performer.arrived() is None
        assert owner.run("withdraw", NAME, NONCE).out == b"arrived\n"
        assert owner.world.performer.arrived() == ArrivedBottle(identity=IDENTITY, commit=3, workspace="/work")


def test_an_answer_that_was_lost_is_given_again(meet: Callable[..., Any], tmp_path: Path) -> None:
    with meet() as owner:
        assert deliver(owner, state_folder(tmp_path / "state", metadata()), "state", tmp_path / "spool").status == 0
        assert owner.world.performer.arrived() is None
        for _ in range(2):
            assert owner.run("register", NAME, NONCE, "").status == 0
            assert owner.world.performer.arrived() == ArrivedBottle(identity=IDENTITY, commit=3, workspace=None)


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
        ("images", b"sha256:x\n"),
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
        "images": ("no", "docker"),
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
        monkeypatch.setattr(site, "RESERVE", 1 << 62)
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


@pytest.mark.parametrize("special", [tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_devices_and_fifos_are_refused_as_in_a_bundle(meet: Callable[..., Any], special: bytes) -> None:
    with meet(sees=VerificationFailed) as owner:
        owner.extract(tar(("a", {}), ("special", {"type": special})))


def test_setuid_bits_do_not_arrive_and_times_do(meet: Callable[..., Any]) -> None:
    members = [
        ("su", {"mode": 0o4755}),
        ("timely", {"pax_headers": {"mtime": "1700000000.123456789"}}),
        ("early", {"pax_headers": {"mtime": "-1.25"}}),
    ]
    with meet() as owner:
        assert owner.extract(tar(*members)).status == 0
        folder = owner.world.staging / f"workspace-{NONCE}"
        assert names(folder) == ["early", "su", "timely"]
        assert (folder / "timely").stat().st_mtime_ns == 1_700_000_000_123_456_789
        assert (folder / "early").stat().st_mtime_ns == -1_250_000_000
        assert (folder / "su").stat().st_mode & 0o7777 == 0o755
        assert owner.world.progress.notes == ["WARNING: set-id bits were taken away: su"]


def bring_link(owner: Owner, text: str) -> None:
    """Bring a workspace with a link `a/link`, which is to land two folders deep in the home here."""
    owner.run("probe", NAME, str(owner.world.home / "deep" / "work"))
    owner.extract(tar(("a", FOLDER), ("in", LINK | {"linkname": "."}), ("a/link", LINK | {"linkname": text})))


TO_DOCKER = ["{folder}/docker", "../../../../docker", "../in/in/in/../../../docker", "/usr/..{folder}/docker"]


@pytest.mark.parametrize("text", TO_DOCKER)
def test_a_link_to_what_is_here_needs_consent(meet: Callable[..., Any], tmp_path: Path, text: str) -> None:
    with meet(sees=NeedsConsent) as owner:
        bring_link(owner, text.format(folder=tmp_path))


def test_an_update_brings_no_link_to_what_is_here(meet: Callable[..., Any], tmp_path: Path) -> None:
    with meet(sees=NeedsConsent) as owner:
        bring_link(owner, "/opt/only-in-the-image")
        blob = owner.stage(tar(("late", LINK | {"linkname": str(tmp_path / "docker")})))
        owner.run("update", NAME, blob, "none", f"workspace-{NONCE}")


@pytest.mark.parametrize("text", TO_DOCKER)
def test_links_to_what_is_here_arrive_with_consent(meet: Callable[..., Any], tmp_path: Path, text: str) -> None:
    with meet(consent=True) as owner:
        bring_link(owner, text.format(folder=tmp_path))
        assert (owner.world.staging / f"workspace-{NONCE}" / "a" / "link").is_symlink()


@pytest.mark.parametrize("text", ["/usr/bin/env", "/opt/only-in-the-image", "../in/a", "../../nothing", "link"])
def test_other_links_arrive(meet: Callable[..., Any], text: str) -> None:
    with meet() as owner:
        bring_link(owner, text)
        assert (owner.world.staging / f"workspace-{NONCE}" / "a" / "link").is_symlink()


def arrived(owner: Owner, folder: Path, spool: Path) -> BottleState:
    """Have a state come and be put into place."""
    assert deliver(owner, folder, "state", spool).status == 0
    assert owner.run("register", NAME, NONCE, "").status == 0
    return BottleState(IDENTITY, owner.world.state)


def test_no_commit_names_an_image_or_a_container_that_is_not_its_own(meet: Callable[..., Any], tmp_path: Path) -> None:
    foreign = ContainerMark(container_id="f" * 64, started_at=NOW, running=False)
    first = replace(COMMIT, number=1, tag="debian:latest", mark=foreign)
    folder = state_folder(tmp_path / "state", metadata())
    BottleState(IDENTITY, folder).write_commits((first, replace(COMMIT, mark=foreign)))
    with meet() as owner:
        assert arrived(owner, folder, tmp_path / "spool").commits() == (
            replace(COMMIT, number=1, tag=IDENTITY.committed(1)),
            COMMIT,
        )


def test_of_which_container_a_commit_was_made_is_for_the_host_of_that_container_to_say(
    meet: Callable[..., Any], tmp_path: Path
) -> None:
    ours = ContainerMark(container_id="0" * 64, started_at=NOW, running=False)
    folder = state_folder(tmp_path / "state", metadata())
    other = replace(COMMIT, number=4, tag=IDENTITY.committed(4), config_digest=COMMIT.config_digest)
    BottleState(IDENTITY, folder).write_commits((COMMIT, replace(other, mark=ours)))
    with meet() as owner:
        before = live(owner, tmp_path)
        before.write_commits((replace(COMMIT, mark=ours),))
        before.tombstone.write(Tombstone(host="owner.test", moved_at=NOW))
        here = arrived(owner, folder, tmp_path / "spool")
        assert [commit.mark for commit in here.commits()] == [ours, None]


def test_what_it_would_be_rebuilt_from_is_told(meet: Callable[..., Any], tmp_path: Path) -> None:
    folder = state_folder(tmp_path / "state", metadata())
    (folder / "Dockerfile").write_text("FROM a")
    with meet() as owner:
        arrived(owner, folder, tmp_path / "spool")
        assert owner.world.progress.notes == [
            "its agent has: image debian, if it is ever rebuilt",
            "its agent has: its own Dockerfile, if it is ever rebuilt",
        ]


@pytest.mark.parametrize("sparse", [False, True])
def test_a_bomb_does_not_fill_the_disk(
    meet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *, sparse: bool
) -> None:
    headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(64 << 20), "GNU.sparse.numblocks": "1"}
    bomb = tar(("zeros", {"pax_headers": headers} if sparse else {}), content=b"" if sparse else bytes(64 << 20))
    with meet(sees=VerificationFailed) as owner:
        monkeypatch.setattr(site, "_free", lambda _: 1 << 20)
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
        {"index": '{"schema": 1, "entries": [{"path": "../../etc/passwd"}]}'},
        {"index": '{"schema": 1, "entries": 5}'},
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
    if "index" in change:
        (folder / "transcript" / "index.json").write_text(change["index"])
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
    (folder / "requests" / f"{place}.json").write_bytes(KEPT.dump(request))


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


@pytest.mark.parametrize(
    ("here", "name", "kept"),
    [
        ({}, "work", "work"),
        ({"name": "other"}, "work", "work"),
        ({"name": "work"}, "work", None),
        ({}, "other-x", None),  # the beginning of an identity here, which it would hide
        ({}, "demo", "demo"),  # that of its own
    ],
)
def test_a_second_name_arrives_unless_it_means_another_bottle_here(
    meet: Callable[..., Any], tmp_path: Path, here: dict[str, Any], name: str, kept: str | None
) -> None:
    folder = state_folder(tmp_path / "state", metadata(name=name))
    with meet() as owner:
        agent = Agent(name="other", image="debian", command=("sh",))
        other = Metadata(identity=Identity.parse("other-x7k2p"), agent=agent, started_at=NOW, **here)
        StateHome(owner.world.bottle_home).create(other)
        assert deliver(owner, folder, "state", tmp_path / "spool").status == 0
        assert owner.run("register", NAME, NONCE, "").status == 0
        assert BottleState(IDENTITY, owner.world.state).metadata().name == kept
        told = [line for line in owner.world.progress.notes if "no second name any more" in line]
        assert len(told) == (kept is None)


WISHES = [
    {"agent": {"volumes": (Mount(kind=MountKind.BIND, source="/", target="/host"),)}},
    {"agent": {"cap_add": ("SYS_ADMIN",)}},
    {"agent": {"network": "corp"}},
    {"agent": {"secrets": ("AWS_SECRET",)}},
    {"agent": {"pids": 100_000}},
]


@pytest.mark.parametrize("wish", WISHES)
def test_what_nobody_agreed_to_does_not_arrive(meet: Callable[..., Any], tmp_path: Path, wish: dict[str, Any]) -> None:
    data = packed(state_folder(tmp_path / "state", metadata(**wish)), tmp_path / "spool")[1]
    with meet(sees=VerificationFailed) as owner:
        owner.extract(data, "state", "gzip")


@pytest.mark.parametrize("wish", WISHES)
def test_what_the_user_agreed_to_arrives(meet: Callable[..., Any], tmp_path: Path, wish: dict[str, Any]) -> None:
    with meet(agreed=demands(metadata(**wish), rebuild=False)) as owner:
        folder = state_folder(tmp_path / "state", metadata(**wish))
        assert deliver(owner, folder, "state", tmp_path / "spool").status == 0
        assert owner.run("register", NAME, NONCE, "").status == 0
        assert BottleState(IDENTITY, owner.world.state).metadata() == metadata(**wish)


@pytest.mark.parametrize(
    "flaw",
    [
        {"metadata": {"agent": {"pids": -1}}},
        {"metadata": {"agent": {"workdir": "/run/bottle"}}},
        {"metadata": {"agent": {"image": "--privileged"}}},
        {"metadata": {"defaults": ImageDefaults(command=("a\0b",))}},
        {"commit": {"number": 10**18, "tag": IDENTITY.committed(10**18)}},
        {"commit": {"number": 1_000_000, "tag": IDENTITY.committed(1_000_000)}},
        {"commit": {"volumes": ("/run/bottle",)}},
        {"commits": (COMMIT, replace(COMMIT, number=2, tag=IDENTITY.committed(2)))},
        {"commits": (COMMIT, COMMIT)},
        {"commit": {"defaults": ImageDefaults(user="\ud800")}},
    ],
)
def test_a_state_that_no_bottle_has_is_refused(meet: Callable[..., Any], tmp_path: Path, flaw: dict[str, Any]) -> None:
    described, commit = metadata(**flaw.get("metadata", {})), replace(COMMIT, **flaw.get("commit", {}))
    folder = state_folder(tmp_path / "state", described, commit)
    if "commits" in flaw:
        BottleState(IDENTITY, folder).write_commits(flaw["commits"])
    data = packed(folder, tmp_path / "spool")[1]
    with meet(agreed=demands(described, rebuild=False), sees=VerificationFailed) as owner:
        owner.extract(data, "state", "gzip")


def test_a_bottle_of_another_backend_is_refused(meet: Callable[..., Any], tmp_path: Path) -> None:
    data = packed(state_folder(tmp_path / "state", metadata(backend="kubernetes")), tmp_path / "spool")[1]
    with meet(sees=BackendUnsupported) as owner:
        owner.extract(data, "state", "gzip")


def test_folders_of_the_other_host_and_strange_files_are_not_taken_over(
    meet: Callable[..., Any], tmp_path: Path
) -> None:
    described = metadata(agent={"dockerfile": Path("/etc/Dockerfile"), "image": None}, cwd=Path("/etc"), copy_cwd=True)
    folder = state_folder(tmp_path / "state", described)
    (folder / "strange").write_text("x")
    (folder / "metadata.json").write_text((folder / "metadata.json").read_text().replace('"cwd"', '"CWD": "/", "cwd"'))
    with meet() as owner:
        assert deliver(owner, folder, "state", tmp_path / "spool").status == 0
        assert owner.run("register", NAME, NONCE, "").status == 0
        here = BottleState(IDENTITY, owner.world.state)
        assert here.metadata().cwd is None
        assert here.metadata().agent.dockerfile == here.path / "Dockerfile"
        assert "CWD" not in (here.path / "metadata.json").read_text()
        assert not (here.path / "strange").exists()


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


def layer_instead(layer: bytes) -> list[bytes]:
    blob = Blob(
        diff_id=digest(LAYER), diff_size=1, digest=digest(layer), size=len(layer), codec=Codec.NONE, path=Path("/x")
    )
    made = compose(
        config=CONFIG, diff_ids=COMMIT.diff_ids, blobs={blob.diff_id: blob}, tag=COMMIT.tag, store=Store.CLASSIC
    )
    return [layer if isinstance(part, Layer) else part.data for part in made.parts]


def foreign_archives() -> dict[str, list[bytes]]:
    entries = [("oci-layout", {}), ("index.json", {}), ("manifest.json", {})]
    return {
        "another tag": archive("debian:latest"),
        "another bottle": archive("bottle-committed-demo-abc13:1"),
        "the tag that people use": archive("bottle-committed-demo-abc12:latest"),
        "two images": rewritten(archive(), b'[{"Config"', b'[{},{"Conf"'),
        "a layer that is another": [archive()[0], bytes(len(archive()[1])), archive()[2]],
        "a layer that climbs": layer_instead(tar(("../../etc/passwd", {}))),
        "a layer of another image": layer_instead(tar(("another", {}))),
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


def test_which_files_somebody_has_worked_on_here_is_not_told(meet: Callable[..., Any], tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    with meet(workspace=place) as owner:
        world = owner.world
        world.state.mkdir(parents=True)
        (world.state / "moved-to.json").write_text("{}")
        BottleState(IDENTITY, world.state).note_workspace_left(listing(place, look(place)))
        (place / "mine\rroot=maybe").write_text("secret")
        reply = owner.run("probe", NAME, str(place))
        assert b"workspace=full\n" in reply.out
        assert b"differing=1\n" in reply.out
        assert b"mine" not in reply.out
        assert b"root=maybe" not in reply.out
        assert world.progress.notes == ["not as the bottle left it here: mine root=maybe"]


def test_only_what_the_bottle_left_here_is_begun_with(meet: Callable[..., Any], tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    with meet(workspace=place, sees=Breach) as owner:
        owner.run("seed", NAME, NONCE, str(place))
