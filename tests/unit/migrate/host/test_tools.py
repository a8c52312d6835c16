"""The scripts of a move on hosts with GNU's tools, and on hosts that have busybox alone."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bottle.errors import VerificationFailed
from bottle.files import tree
from bottle.model import Mount, MountKind
from bottle.naming import Identity
from bottle.testing import RecordingProgress
from migrate.contents.archive import Tarball, pack_folder, pack_stream
from migrate.contents.index import look
from migrate.contents.live_folder import FolderUpdate, LiveFolder, keep_up
from migrate.host import commands
from migrate.host.arguments import Count, Digest, FolderKind, Nonce, StagedWorkspace
from migrate.host.commands import Clear, Extract, Verify, Withdraw
from migrate.host.destination import Destination
from migrate.host.payload import Payload
from migrate.host.probe import probe
from migrate.host.script import PlainScript
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from migrate.transport.testing import LocalRemote
from tests.support.trees import make_deep, snapshot
from tests.support.uploading import make_uploader
from tests.support.users import AS_USER, as_user, lock_up, users_folder
from tests.unit.migrate.conftest import TOOLS, install

IDENTITY, LATER = Identity.parse("demo-abcde"), Nonce("2" * 32)
DOCKER = """#!/bin/sh
case "$1 $2" in
'volume inspect') exit 1 ;;
'cp -') exec {tar} -xpf - -C {disk} ;;
'cp '*) exec {tar} --format=pax --sort=name -cf - -C {disk} cache ;;
esac
"""


@pytest.fixture(params=TOOLS)
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of programs that come before all others on the far host; docker is one, with one volume on one disk."""
    folder, disk = tmp_path / "programs", tmp_path / "disk"
    folder.mkdir()
    disk.mkdir()
    install(request.param, folder)
    (folder / "docker").write_text(DOCKER.format(tar=shutil.which("tar"), disk=disk))
    (folder / "docker").chmod(0o755)
    return folder


@pytest.fixture
def destination(tmp_path: Path, programs: Path) -> Destination:
    (tmp_path / "far").mkdir()
    remote = LocalRemote(tmp_path / "far", path=f"{programs}:{os.environ['PATH']}")
    progress = RecordingProgress()
    return Destination(
        shell=remote,
        host=replace(probe(remote, IDENTITY, ""), docker=str(programs / "docker"), sudo=False),
        identity=IDENTITY,
        uploader=make_uploader(remote, IDENTITY, progress),
        progress=progress,
    )


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", Codec.GZIP)


def ship(destination: Destination, tarball: Tarball) -> None:
    blob = tarball.blob
    destination.uploader.send([Payload.of(blob)], "sending")


def volume_tar(folder: Path) -> bytes:
    """As the engine packs a volume that is mounted at `cache`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(folder, "cache")
    return buffer.getvalue()


NONCE = "0" * 32
CACHE = Mount(kind=MountKind.VOLUME, source="v", target="/home/agent/cache")


def a_volume(folder: Path) -> Path:
    folder.mkdir()
    for name in ("plain", "line\nfeed", "two\nline\nfeeds", "\n", "back\\slash", "ünï", "x" * 200):
        (folder / name).write_text(name)
    (folder / "sub\nfolder").mkdir()
    (folder / "sub\nfolder" / "leaf").write_text("leaf")
    (folder / "link").symlink_to("no\nwhere")
    return folder


def test_the_host_says_what_tar_it_has(destination: Destination, programs: Path) -> None:
    assert ("busybox-tar" in destination.host.tools) == (programs / "tar").exists()


def test_a_volume_with_any_names_arrives(destination: Destination, spool: DirectorySpool, tmp_path: Path) -> None:
    tarball = pack_stream([volume_tar(a_volume(tmp_path / "cache"))], spool, "volume v")
    assert tarball.entries == 11
    ship(destination, tarball)
    destination.fill(CACHE, tarball, "image:1")
    arrived = {node.path for node in tree.walk(tmp_path / "disk" / "cache")}
    assert arrived == {node.path for node in tree.walk(tmp_path / "cache")}


@pytest.mark.parametrize("change", [{"entries": 12}, {"entries": 10}, {"breaks": 5}, {"content": "0" * 64}])
def test_a_volume_that_is_not_what_was_sent_is_refused(
    destination: Destination, spool: DirectorySpool, tmp_path: Path, programs: Path, change: dict[str, object]
) -> None:
    tarball = pack_stream([volume_tar(a_volume(tmp_path / "cache"))], spool, "volume v")
    ship(destination, tarball)
    if "breaks" in change and not (programs / "tar").exists():
        return  # GNU's tar lists a line feed as two characters, so their number does not count there
    with pytest.raises(VerificationFailed):
        destination.fill(CACHE, replace(tarball, **change), "image:1")  # type: ignore[arg-type]


def test_a_deep_workspace_with_any_names_arrives_and_its_staging_can_be_cleared(
    destination: Destination, spool: DirectorySpool, tmp_path: Path, programs: Path
) -> None:
    workspace = a_volume(tmp_path / "workspace")
    # Busybox's tar makes each folder's parents from the top again: its time grows with the cube of the depth.
    make_deep(workspace, 300 if (programs / "tar").exists() else 1_100, "d")
    tarball = pack_folder(workspace, spool)
    ship(destination, tarball)
    for nonce in ("1" * 32, "2" * 32):  # the second takes away what the first had unpacked
        destination.unpack(tarball, "workspace", nonce)
    incoming = tmp_path / "far" / ".bottle" / "incoming" / str(IDENTITY)
    found = [node.path for node in tree.walk(incoming / f"workspace-{'2' * 32}")]
    assert found == [node.path for node in tree.walk(workspace)]
    (incoming / f"workspace-{'2' * 32}" / "plain").write_text("other")
    files, links, folders = map(Count, (tarball.files, tarball.links, tarball.folders))
    folder = FolderKind.WORKSPACE.folder("2" * 32)
    verify = Verify(identity=IDENTITY, folder=folder, files=files, links=links, folders=folders)
    reply = destination.shell.run(verify.command(), (tarball.sums,))
    assert reply.status == 23
    destination.clear()
    assert not incoming.exists()
    tree.discard(workspace)


def extract(blob: str, kind: FolderKind, nonce: Nonce) -> Extract:
    return Extract(identity=IDENTITY, blob=Digest(blob), codec=Codec.NONE, kind=kind, nonce=nonce)


@pytest.fixture(params=TOOLS)
def user(request: pytest.FixtureRequest) -> Iterator[tuple[LocalRemote, Path]]:
    """A host whose user there is not root, and the staging area of the bottle there."""
    with users_folder() as home:
        with as_user():
            (home / "programs").mkdir()
            install(request.param, home / "programs")
            staging = home / ".bottle" / "incoming" / str(IDENTITY)
            staging.mkdir(parents=True)
        shell, path = (*AS_USER, "sh"), f"{home / 'programs'}:{os.environ['PATH']}"
        yield LocalRemote(home, shell=shell, path=path), staging


@pytest.mark.parametrize(
    ("script", "left"),
    [
        (Clear(identity=IDENTITY), "workspace-1"),
        (Withdraw(identity=IDENTITY, nonce=LATER), "withdrawn-1"),
        (extract("none", FolderKind.WORKSPACE, LATER), "workspace-1"),
    ],
)
def test_what_an_earlier_run_left_goes_though_it_may_not_be_written(
    user: tuple[LocalRemote, Path], script: PlainScript, left: str
) -> None:
    remote, staging = user
    with as_user():
        (staging / "kept").mkdir(mode=0o555)
        lock_up(staging / left)
        (staging / left / "link").symlink_to("../kept")
    remote.run(script.command())
    assert not (staging / left).exists()
    assert isinstance(script, Clear) or (staging / "kept").stat().st_mode & 0o777 == 0o555


def test_a_state_that_arrives_is_the_users_alone_whatever_rights_it_had(user: tuple[LocalRemote, Path]) -> None:
    remote, staging = user
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, type_, mode in (
            # Busybox's tar gives a folder its rights at once.
            ("./locked/file", tarfile.REGTYPE, 0o4666),
            ("./file", tarfile.REGTYPE, 0o000),
            ("./locked", tarfile.DIRTYPE, 0o555),
            (".", tarfile.DIRTYPE, 0o000),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode = type_, mode
            archive.addfile(member)
    with as_user():
        (staging / "blobs" / "blob").mkdir(parents=True)
        (staging / "blobs" / "blob" / "0").write_bytes(buffer.getvalue())
    reply = remote.run(extract("blob", FolderKind.STATE, Nonce("1" * 32)).command())
    assert (reply.status, reply.err) == (0, "")
    state = staging / f"state-{'1' * 32}"
    modes = {str(path.relative_to(state)): path.stat().st_mode & 0o7777 for path in (state, *state.rglob("*"))}
    assert modes == {".": 0o700, "locked": 0o700, "locked/file": 0o600, "file": 0o600}


# --- what was there only while it was packed --------------------------------------------------------------------------


def a_link(folder: Path, victim: Path) -> None:
    folder.symlink_to(victim)


def a_file(folder: Path, _: Path) -> None:
    folder.write_text("for a moment")


def another_folder(folder: Path, victim: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "more" / "leaf").mkdir(parents=True)
    (folder / "sub" / "leaf").symlink_to(victim)
    (folder / "sub").chmod(0o555)


def nothing(_: Path, __: Path) -> None:
    pass


@pytest.mark.parametrize("moment", [a_link, a_file, another_folder, nothing])
@pytest.mark.parametrize("after", ["the same", "another file", "another folder", "a file goes"])
def test_what_stood_in_the_place_of_a_folder_while_it_was_packed_leads_nowhere(
    destination: Destination, tmp_path: Path, moment: Callable[[Path, Path], None], after: str
) -> None:
    """An agent, or whoever works in the workspace, exchanges a folder between two looks, and changes it back."""
    workspace, victim, aside = tmp_path / "workspace", tmp_path / "far" / "victim", tmp_path / "aside"
    for folder in (workspace / "folder", victim):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "leaf").write_text(f"of {folder.name}")
        (folder / "file").write_text(f"of {folder.name}")
    before = snapshot(victim)
    spool, folder = DirectorySpool(tmp_path / "spool", Codec.GZIP), workspace / "folder"

    def pack(wanted: frozenset[str] | None) -> Tarball:
        if wanted is not None:
            return pack_folder(workspace, spool, live=True, wanted=wanted)
        folder.rename(aside)
        moment(folder, victim)
        tarball = pack_folder(workspace, spool, live=True)
        if folder.exists() or folder.is_symlink():
            tree.remove(folder)
        aside.rename(folder)
        return tarball

    live = LiveFolder(workspace, pack, look=partial(look, workspace))
    ship(destination, live.tarball)
    destination.unpack(live.tarball, "workspace", NONCE)
    match after:
        case "another file":
            (folder / "file").write_text("newer")
        case "another folder":
            shutil.rmtree(folder / "sub")
            (folder / "sub").mkdir()
            (folder / "sub" / "new").write_text("new")
        case "a file goes":
            (folder / "sub" / "leaf").unlink()

    def take(update: FolderUpdate) -> None:
        ship(destination, update.tarball)
        destination.update(update, "workspace", NONCE)

    keep_up(live, take, left="", next_step="")
    there = tmp_path / "far" / ".bottle" / "incoming" / str(IDENTITY) / f"workspace-{NONCE}"
    assert snapshot(there) == snapshot(workspace)
    assert snapshot(victim) == before


@pytest.mark.parametrize("line", [b"-link/file", b"-link/sub", b"-folder/link/sub/leaf", b"+link/sub", b"+link"])
def test_no_update_goes_through_a_link(
    destination: Destination, spool: DirectorySpool, tmp_path: Path, line: bytes
) -> None:
    victim, workspace = tmp_path / "victim", tmp_path / "workspace"
    (victim / "sub").mkdir(parents=True)
    (victim / "sub" / "leaf").write_text("theirs")
    (victim / "file").write_text("theirs")
    (victim / "sub").chmod(0o500)
    (workspace / "folder").mkdir(parents=True)
    for link in (workspace / "link", workspace / "folder" / "link"):
        link.symlink_to(victim)
    before = snapshot(victim)
    tarball = pack_folder(workspace, spool)
    ship(destination, tarball)
    destination.unpack(tarball, "workspace", NONCE)
    update = commands.Update(
        identity=IDENTITY,
        blob=Digest(tarball.blob.digest.removeprefix("sha256:")),
        codec=Codec.GZIP,
        folder=StagedWorkspace(FolderKind.WORKSPACE.folder(NONCE)),
    ).command()
    reply = destination.shell.run(update, (line + b"\n",))
    assert reply.status == 26
    assert snapshot(victim) == before
    assert destination.shell.run(update, (b"-folder/link\n-link\n",)).status == 0
    assert snapshot(victim) == before
