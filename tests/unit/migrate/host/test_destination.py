"""The end of a move, on the real scripts: what is put into place, what never is, and who owns the bottle."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import RemoteError, VerificationFailed
from bottle.facts import config_digest, image_facts
from bottle.model import Agent, CommitRecord, Metadata, MigrationPhase, MigrationRecord, Store, Tombstone
from bottle.naming import Identity
from bottle.operations import Context, remove
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from bottle.testing import FakeEngine, RecordingProgress
from migrate.contents.archive import Tarball, pack_folder
from migrate.host.arguments import CommitTag, Count, Digest, Filler, MountPoint, Nonce, VolumeName, Workspace
from migrate.host.commands import Register, Volume, Withdraw
from migrate.host.destination import Destination, shown
from migrate.host.payload import Payload
from migrate.host.probe import probe
from migrate.image.save_stream import SaveStreamSource
from migrate.image.spool import DirectorySpool
from migrate.model import Codec, Reply
from migrate.move.handoff import settle_handoff
from migrate.tar.compression import digest_of
from migrate.transport.testing import LocalRemote
from tests.support.uploading import make_uploader

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Rig:
    """A bottle here, a host there, and what is needed to bring the one to the other."""

    def __init__(self, tmp_path: Path, far: Path, remote: LocalRemote, identity: Identity) -> None:
        self.far = far
        self.remote = remote
        self.identity = identity
        self.home = StateHome(tmp_path / "here")
        engine = FakeEngine()
        layers = SaveStreamSource(engine)
        self.context = Context(
            home=self.home, engine=engine, layers=layers, environ={}, runtime=tmp_path, now=lambda: NOW
        )
        self.state: BottleState = self.home.create(
            Metadata(identity=identity, agent=Agent(name="demo", image="x"), started_at=NOW)
        )
        self.workspace = tmp_path / "workspace"
        self.workspace.mkdir()
        (self.workspace / "file").write_text("work")
        self.goal = far / "deep" / "goal"
        self.spool = DirectorySpool(tmp_path / "spool", Codec.GZIP)
        self.progress = RecordingProgress()
        self.uploader = make_uploader(remote, identity, self.progress)

    @cached_property
    def destination(self) -> Destination:
        return Destination(
            shell=self.remote,
            host=probe(self.remote, self.identity, ""),
            identity=self.identity,
            uploader=self.uploader,
            progress=self.progress,
        )

    @property
    def incoming(self) -> Path:
        return self.far / ".bottle" / "incoming" / str(self.identity)

    @property
    def far_state(self) -> Path:
        return self.far / ".bottle" / "state" / str(self.identity)

    def pack(self, folder: Path) -> Tarball:
        return pack_folder(folder, self.spool, leave_out=frozenset({"lock", "migration.json", "moved-to.json"}))

    def ship(self, tarball: Tarball) -> None:
        blob = tarball.blob
        self.uploader.send([Payload.of(blob)], "sending")

    def bring(self, folder: Path, kind: str, nonce: str) -> None:
        tarball = self.pack(folder)
        self.ship(tarball)
        self.destination.unpack(tarball, kind, nonce)

    def stage(self, nonce: str) -> None:
        """All that comes before `register`."""
        self.bring(self.workspace, "workspace", nonce)
        self.bring(self.state.path, "state", nonce)

    def register(self, nonce: str) -> Reply:
        script = Register(identity=self.identity, nonce=Nonce(nonce), workspace=Workspace(self.goal))
        return self.remote.run(script.command())

    def withdraw(self, nonce: str) -> bytes:
        return self.remote.run(Withdraw(identity=self.identity, nonce=Nonce(nonce)).command()).out.strip()

    def handing_off(self, nonce: str) -> MigrationRecord:
        record = MigrationRecord(
            phase=MigrationPhase.HANDING_OFF, host=self.remote.name, nonce=nonce, commit=1, started_at=NOW
        )
        self.state.migration.write(record)
        return record


@pytest.fixture
def rig(tmp_path: Path, far: Path, remote: LocalRemote, identity: Identity) -> Rig:
    return Rig(tmp_path, far, remote, identity)


def slow(programs: Path, name: str, seconds: float) -> None:
    """Have a program of the far host take its time."""
    real = shutil.which(name)
    (programs / name).write_text(f'#!/bin/sh\nsleep {seconds}\nexec {real} "$@"\n')
    (programs / name).chmod(0o755)


@pytest.mark.parametrize("answer", [b"", b"[]", b"[{}]", b"[" * 200_000])
def test_an_image_that_is_described_as_none_can_be_is_not_believed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    commit = CommitRecord(number=1, tag="x", config_digest="", diff_ids=(), created_at=NOW)
    monkeypatch.setattr(Destination, "_done", lambda *_, **__: Reply(status=0, out=answer, err=""))
    with pytest.raises(RemoteError, match="makes no sense"):
        rig.destination.verify_image(commit, "x")


DIFF_IDS = ("sha256:" + "a" * 64, "sha256:" + "b" * 64)
CONFIG = b"{}"
INSPECTED = {
    "Id": "sha256:" + "0" * 64, "RootFS": {"Layers": list(DIFF_IDS)}, "Architecture": "amd64", "Os": "linux",
    "Config": {"Cmd": ["agent"], "Labels": {"a": "b"}},
}  # fmt: skip
COMMITTED = CommitRecord(
    number=1, tag="x", config_digest=config_digest(INSPECTED), diff_ids=DIFF_IDS, created_at=NOW
)  # fmt: skip


def verify(rig: Rig, monkeypatch: pytest.MonkeyPatch, inspected: dict[str, Any]) -> None:
    reply = Reply(status=0, out=json.dumps([inspected]).encode(), err="")
    monkeypatch.setattr(Destination, "_done", lambda *_, **__: reply)
    rig.destination.verify_image(COMMITTED, "x")


@pytest.mark.parametrize(("config", "store", "is_it"), [
    (CONFIG, Store.CLASSIC, True),
    (CONFIG + b" ", Store.CLASSIC, False),
    (CONFIG + b" ", Store.CONTAINERD, True),  # which calls an image by its manifest
])  # fmt: skip
def test_an_older_image_has_the_very_same_config(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, config: bytes, store: Store, is_it: bool
) -> None:
    reply = Reply(status=0, out=json.dumps([INSPECTED | {"Id": digest_of(CONFIG)}]).encode(), err="")
    monkeypatch.setattr(Destination, "_done", lambda *_, **__: reply)
    there = replace(rig.destination, host=replace(rig.destination.host, store=store))
    with nullcontext() if is_it else pytest.raises(VerificationFailed, match="its config differ"):
        there.verify_image(COMMITTED, "x", config=config)


SHOWN = json.loads(shown(image_facts(INSPECTED)))[0]  # by a host that pulls


@pytest.mark.parametrize("described", [INSPECTED, SHOWN])
def test_the_image_that_was_committed_is_verified(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, described: dict[str, Any]
) -> None:
    verify(rig, monkeypatch, described)


@pytest.mark.parametrize("key", SHOWN)
def test_another_image_is_not_that_a_host_that_pulls_shows(rig: Rig, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    with pytest.raises(VerificationFailed):
        verify(rig, monkeypatch, SHOWN | {key: SHOWN["diff_ids"][:1]})


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("layers", {"RootFS": {"Layers": list(reversed(DIFF_IDS))}}),
        ("layers", {"RootFS": {"Layers": list(DIFF_IDS[:1])}}),
        ("layers", {"RootFS": {"Layers": [*DIFF_IDS, DIFF_IDS[0]]}}),
        ("layers", {"RootFS": {"Layers": [DIFF_IDS[0], "sha256:" + "c" * 64]}}),
        ("config", {"Config": {"Cmd": ["another"], "Labels": {"a": "b"}}}),
        ("config", {"Config": {"Cmd": ["agent"], "Labels": {"a": "c"}}}),
        ("config", {"Architecture": "arm64"}),
    ],
)
def test_another_image_is_not(rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str, changed: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed, match=f"its {what} differ"):
        verify(rig, monkeypatch, INSPECTED | changed)


# --- unpacking --------------------------------------------------------------------------------------------------------


def test_a_folder_is_unpacked_and_checked(rig: Rig) -> None:
    weird = ("new\nline", "back\\slash", "cr\r", "-dash", "ünï", "a b", "*")
    for name in weird:
        (rig.workspace / name).write_bytes(name.encode())
    Path(os.fsdecode(os.fsencode(rig.workspace) + b"/\xff")).write_text("raw")
    os.link(rig.workspace / "file", rig.workspace / "again")
    (rig.workspace / "link").symlink_to("file")
    (rig.workspace / "file").chmod(0o4711)
    rig.bring(rig.workspace, "workspace", "n1")
    there = rig.incoming / "workspace-n1"
    assert {each.name for each in there.iterdir()} == {each.name for each in rig.workspace.iterdir()}
    assert all((there / name).read_bytes() == name.encode() for name in weird)
    assert (there / "again").samefile(there / "file")
    assert (there / "file").stat().st_mode == (rig.workspace / "file").stat().st_mode
    assert (there / "link").is_symlink()


def test_a_folder_with_no_name_that_can_be_spelt_passes_by_its_counts(rig: Rig) -> None:
    (rig.workspace / "file").rename(rig.workspace / "new\nline")
    rig.bring(rig.workspace, "workspace", "n1")
    assert (rig.incoming / "workspace-n1" / "new\nline").read_text() == "work"


def test_an_empty_folder_arrives(rig: Rig) -> None:
    (rig.workspace / "file").unlink()
    rig.bring(rig.workspace, "workspace", "n1")
    assert list((rig.incoming / "workspace-n1").iterdir()) == []


@pytest.mark.parametrize("missing", ["content", "file", "link", "folder"])
def test_what_differs_from_what_was_sent_is_found(rig: Rig, missing: str) -> None:
    tarball = rig.pack(rig.workspace)
    rig.ship(tarball)
    wrong = {
        "content": replace(tarball, sums=b"0" * 64 + tarball.sums[64:]),
        "file": replace(tarball, files=tarball.files + 1),
        "link": replace(tarball, links=1),
        "folder": replace(tarball, folders=tarball.folders + 1),
    }[missing]
    with pytest.raises(VerificationFailed, match=r"FAILED|were sent"):
        rig.destination.unpack(wrong, "workspace", "n1")
    rig.destination.unpack(tarball, "workspace", "n1")


# --- putting it into place --------------------------------------------------------------------------------------------


def test_what_was_staged_is_put_into_place_once(rig: Rig) -> None:
    rig.stage("n1")
    rig.destination.register("n1", str(rig.goal))
    assert (rig.goal / "file").read_text() == "work"
    assert json.loads((rig.far_state / "metadata.json").read_text())["identity"] == str(rig.identity)
    assert oct(rig.far_state.stat().st_mode) == "0o40700"
    assert probe(rig.remote, rig.identity, "").presence.value == "owned"
    (rig.goal / "file").write_text("worked on")
    rig.destination.register("n1", str(rig.goal))  # its first answer was lost
    assert (rig.goal / "file").read_text() == "worked on"
    rig.destination.clear()
    assert not rig.incoming.exists()
    assert (rig.goal / "file").exists()


def test_what_is_put_into_place_is_flushed_before_and_after(rig: Rig, programs: Path, tmp_path: Path) -> None:
    """The answer says that the bottle is here: by then its name is on the disk, and what it names was before it."""
    said = tmp_path / "syncs"
    here = f'[ -e "{rig.far_state}" ] && echo here || echo "not yet"'
    (programs / "sync").write_text(f'#!/bin/sh\n{{ printf "%s " "$@"; {here}; }} >>"{said}"\n')
    (programs / "sync").chmod(0o755)
    rig.stage("n1")
    said.unlink(missing_ok=True)
    rig.destination.register("n1", str(rig.goal))
    assert said.read_text().splitlines() == [
        f"-f {rig.incoming} not yet", f"-f {rig.goal} not yet", f"-f {rig.far_state} here"
    ]  # fmt: skip


def test_a_bottle_that_is_there_is_not_overwritten(rig: Rig) -> None:
    rig.far_state.mkdir(parents=True)
    (rig.far_state / "metadata.json").write_text("theirs")
    rig.stage("n1")
    with pytest.raises(RemoteError, match="here already"):
        rig.destination.register("n1", str(rig.goal))
    assert (rig.far_state / "metadata.json").read_text() == "theirs"
    assert not rig.goal.exists()


def test_one_that_had_moved_away_comes_back_and_its_arrivals_are_remembered(rig: Rig) -> None:
    rig.far_state.mkdir(parents=True)
    (rig.far_state / "moved-to.json").write_text("{}")
    (rig.far_state / "arrived").write_text("n0\n")
    rig.stage("n1")
    rig.destination.register("n1", str(rig.goal))
    assert not (rig.far_state / "moved-to.json").exists()
    assert rig.withdraw("n0") == b"arrived"
    assert rig.withdraw("n1") == b"arrived"
    assert rig.withdraw("n") == b"withdrawn"


@pytest.mark.parametrize("there", ["file", "link"])
def test_a_place_that_is_taken_since_it_was_looked_at_stays_as_it_is(rig: Rig, there: str) -> None:
    rig.stage("n1")
    rig.goal.parent.mkdir()
    if there == "file":
        rig.goal.mkdir()
        (rig.goal / "theirs").write_text("theirs")
    else:
        rig.goal.symlink_to("/nowhere")
    with pytest.raises(RemoteError, match="not empty"):
        rig.destination.register("n1", str(rig.goal))
    assert rig.goal.is_symlink() or (rig.goal / "theirs").read_text() == "theirs"
    assert not rig.far_state.exists()


def test_an_empty_folder_makes_room(rig: Rig) -> None:
    rig.stage("n1")
    rig.goal.mkdir(parents=True)
    rig.destination.register("n1", str(rig.goal))
    assert (rig.goal / "file").read_text() == "work"


def test_a_workspace_that_an_earlier_run_had_placed_is_replaced(rig: Rig, programs: Path) -> None:
    rig.stage("n1")
    # The first run is killed between the workspace and the state.
    script(programs, "mv", f'case $1 in state-*) kill -9 $PPID; exit ;; esac\nexec {shutil.which("mv")} "$@"')
    assert rig.register("n1").status != 0
    assert (rig.goal / "file").read_text() == "work"
    assert not rig.far_state.exists()
    (programs / "mv").unlink()
    assert probe(rig.remote, rig.identity, str(rig.goal)).workspace is not None
    assert probe(rig.remote, rig.identity, str(rig.goal)).workspace.value == "ours"  # type: ignore[union-attr]
    (rig.workspace / "file").write_text("newer work")
    rig.stage("n2")
    rig.destination.register("n2", str(rig.goal))
    assert (rig.goal / "file").read_text() == "newer work"


def test_what_somebody_put_where_an_earlier_run_had_placed_a_workspace_is_theirs(rig: Rig, programs: Path) -> None:
    test_a_workspace_that_an_earlier_run_had_placed_is_replaced(rig, programs)
    shutil.rmtree(rig.far_state)
    rig.goal.rename(rig.goal.with_name("kept"))  # so that the number of the folder is not given to the next one
    rig.goal.mkdir()
    (rig.goal / "theirs").write_text("theirs")
    assert probe(rig.remote, rig.identity, str(rig.goal)).workspace.value == "full"  # type: ignore[union-attr]
    rig.stage("n3")
    with pytest.raises(RemoteError, match="not empty"):
        rig.destination.register("n3", str(rig.goal))
    assert (rig.goal / "theirs").read_text() == "theirs"


def elsewhere(programs: Path) -> None:
    """Have the workspace's goal be on another filesystem, as far as programs of the far host can tell."""
    script(programs, "ln", "exit 1")
    # As `mv` does it between filesystems, on a host that goes down while what was copied is deleted.
    real = shutil.which("mv")
    script(programs, "mv", f'case $1 in workspace-*) cp -a "$@"; rm "$1/file"; kill -9 $PPID ;; esac\nexec {real} "$@"')


def script(programs: Path, name: str, text: str) -> None:
    """Put a program on the far host."""
    (programs / name).write_text(f"#!/bin/sh\n{text}\n")
    (programs / name).chmod(0o755)


def contents(folder: Path) -> set[tuple[str, int, int]]:
    """Names, modes and sizes below a folder."""
    found = {each.relative_to(folder): each.lstat() for each in folder.rglob("*")}
    return {(str(name), facts.st_mode, facts.st_size) for name, facts in found.items()}


def test_a_workspace_for_another_filesystem_arrives_whole_whenever_the_host_goes_down(rig: Rig, programs: Path) -> None:
    (rig.workspace / "sub").mkdir(0o750)
    (rig.workspace / "sub" / "link").symlink_to("../file")
    os.link(rig.workspace / "file", rig.workspace / "again")
    whole = contents(rig.workspace)
    rig.stage("n1")
    elsewhere(programs)
    real = shutil.which("cp")
    script(programs, "cp", f'[ "$1" != -a ] || {{ {real} "$2/file" "$3"; rm {programs}/cp; kill -9 $PPID; exit; }}')
    for _ in range(2):  # the copy is cut
        if rig.register("n1").status == 0:
            break
        assert not rig.goal.exists()
    assert contents(rig.goal) == whole
    assert (rig.goal / "again").samefile(rig.goal / "file")
    assert rig.far_state.exists()
    rig.destination.clear()
    assert [each.name for each in rig.goal.parent.iterdir()] == [rig.goal.name]


def test_a_copy_of_it_that_was_cut_is_replaced_by_a_newer_one(rig: Rig, programs: Path) -> None:
    elsewhere(programs)
    rig.stage("n1")
    script(programs, "sync", "kill -9 $PPID")
    assert rig.register("n1").status != 0
    (programs / "sync").unlink()
    (rig.workspace / "file").write_text("newer work")
    rig.stage("n2")
    rig.destination.register("n2", str(rig.goal))
    assert (rig.goal / "file").read_text() == "newer work"


def test_what_was_checked_survives_a_power_cut(rig: Rig, programs: Path) -> None:
    log = rig.far / "flushed"
    script(programs, "sync", f'echo "$(pwd)" >>{log}')
    rig.stage("n1")
    assert log.read_text().splitlines() == [str(rig.incoming / f"{kind}-n1") for kind in ("workspace", "state")]


def test_two_runs_of_it_at_once_end_as_one(rig: Rig, programs: Path) -> None:
    rig.stage("n1")
    slow(programs, "sync", 0.3)
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda _: rig.register("n1"), range(3)))
    assert [reply.status for reply in replies] == [0, 0, 0], [reply.err for reply in replies]
    assert (rig.goal / "file").read_text() == "work"
    rig.destination.clear()
    assert (rig.goal / "file").read_text() == "work"


# --- who owns it ------------------------------------------------------------------------------------------------------


def test_what_was_withdrawn_never_arrives(rig: Rig) -> None:
    rig.stage("n1")
    assert rig.withdraw("n1") == b"withdrawn"
    with pytest.raises(RemoteError, match="gone"):
        rig.destination.register("n1", str(rig.goal))
    assert not rig.far_state.exists()


def test_a_late_command_of_an_earlier_run_puts_nothing_into_place(rig: Rig) -> None:
    rig.stage("n1")
    rig.stage("n2")
    assert rig.register("n1").status != 0
    assert not rig.far_state.exists()
    assert rig.register("n2").status == 0


@pytest.mark.parametrize("locks", [True, False], ids=["flock", "no flock"])
def test_asked_in_its_midst_the_answer_is_the_one_that_holds(rig: Rig, programs: Path, locks: bool) -> None:
    rig.stage("n1")
    slow(programs, "sync", 0.5)
    if not locks:
        # `command -v` finds no program that cannot be executed; this one lets everybody pass.
        (programs / "flock").write_text("#!/bin/sh\nexit 0\n")
        (programs / "flock").chmod(0o755)
    replies: list[Reply] = []
    late = threading.Thread(target=lambda: replies.append(rig.register("n1")))
    late.start()
    while not (rig.incoming / "placed").exists():
        time.sleep(0.01)
    said = rig.withdraw("n1")
    late.join()
    assert (said == b"arrived") == (replies[0].status == 0) == rig.far_state.exists()
    assert said == (b"arrived" if locks else b"withdrawn")


def test_a_move_that_arrived_is_remembered_when_the_bottle_moved_on_and_was_deleted(rig: Rig) -> None:
    rig.stage("n1")
    rig.destination.register("n1", None)
    there = replace(rig.context, home=StateHome(rig.far / ".bottle"))
    for nonce in ("n2", "n3"):
        rig.destination.clear()
        moved_on = there.home.bottle(rig.identity)
        moved_on.tombstone.write(Tombstone(host="third", moved_at=NOW))
        remove(there, moved_on, consent=False)
        assert rig.withdraw("n1") == b"arrived"
        assert rig.withdraw(nonce) == b"withdrawn"
        assert rig.register("n1").status == 0  # its answer was lost
        assert not rig.far_state.exists()
        rig.stage(nonce)
        rig.destination.register(nonce, None)
        # What an older source would look at.
        assert {"n1", nonce} <= set((rig.far_state / "arrived").read_text().split())
    assert [rig.withdraw(nonce) for nonce in ("n1", "n2", "n3")] == [b"arrived"] * 3


def test_a_move_that_is_cut_while_it_replaces_a_tombstone_forgets_no_other(rig: Rig, programs: Path) -> None:
    rig.far_state.mkdir(parents=True)
    (rig.far_state / "moved-to.json").write_text("{}")
    (rig.far_state / "arrived").write_text("n0\n")
    rig.stage("n1")
    script(programs, "mv", f'{shutil.which("mv")} "$@"; [ "$2" != replaced ] || kill -9 $PPID')
    assert rig.register("n1").status != 0
    assert not rig.far_state.exists()
    (programs / "mv").unlink()
    assert rig.withdraw("n1") == b"withdrawn"
    assert (rig.far_state / "moved-to.json").read_text() == "{}"
    assert rig.withdraw("n0") == b"arrived"
    rig.stage("n2")
    rig.destination.register("n2", None)
    assert [rig.withdraw(nonce) for nonce in ("n0", "n1", "n2")] == [b"arrived", b"withdrawn", b"arrived"]


def test_settling_writes_down_what_the_far_host_says(rig: Rig) -> None:
    rig.stage("n1")
    assert settle_handoff(rig.context, rig.state, rig.handing_off("n1"), rig.remote) is False
    assert (rig.state.migration.read(), rig.state.tombstone.read()) == (None, None)

    rig.stage("n2")
    rig.destination.register("n2", str(rig.goal))
    assert settle_handoff(rig.context, rig.state, rig.handing_off("n2"), rig.remote) is True
    tombstone = rig.state.tombstone.read()
    assert tombstone is not None
    assert tombstone.host == rig.remote.name
    assert rig.state.migration.read() is None


def test_a_host_that_does_not_answer_the_question_settles_nothing(rig: Rig, programs: Path) -> None:
    record = rig.handing_off("n1")
    (programs / "grep").write_text("#!/bin/sh\nprintf 'perhaps\\n'\nexit 0\n")
    (programs / "grep").chmod(0o755)
    with pytest.raises(RemoteError, match="does not say who owns"):
        settle_handoff(rig.context, rig.state, record, rig.remote)
    assert (rig.state.migration.read(), rig.state.tombstone.read()) == (record, None)


def test_a_move_that_was_not_handing_over_needs_no_answer(rig: Rig) -> None:
    record = replace(rig.handing_off("n1"), phase=MigrationPhase.STAGING)
    rig.remote.close()
    assert settle_handoff(rig.context, rig.state, record, rig.remote) is False
    assert rig.state.migration.read() is not None


# --- volumes ----------------------------------------------------------------------------------------------------------


def fill_a_volume(rig: Rig, programs: Path) -> Reply:
    """What `volume.sh` answers."""
    rig.stage("n1")
    blob = next((rig.incoming / "blobs").iterdir()).name
    script = Volume(
        identity=rig.identity,
        blob=Digest(blob),
        codec=Codec.GZIP,
        volume=VolumeName("v"),
        target=MountPoint("/v"),
        tag=CommitTag("image"),
        container=Filler("bottle-fill-0"),
        entries=Count(1),
        breaks=Count(0),
        content=Digest("0" * 64),
    )
    return rig.remote.run(script.command(replace(rig.destination.host, docker=str(programs / "docker"), sudo=False)))


def test_coming_back_only_the_containers_of_bottle_make_room_for_a_volume(rig: Rig, programs: Path) -> None:
    rig.far_state.mkdir(parents=True)
    (rig.far_state / "moved-to.json").write_text("{}")
    log = rig.far / "asked"
    (programs / "docker").write_text(f'#!/bin/sh\necho "$*" >>{log}\n[ "$1 $2" != "volume rm" ]\n')
    assert fill_a_volume(rig, programs).status == 27
    (asked,) = {line for line in log.read_text().splitlines() if "label=bottle.identity" in line}
    assert f"name=^/?bottle-{rig.identity}$" in asked


@pytest.mark.parametrize(
    ("state", "goes"),
    [
        ("false 2026-01-01T11:59:59.9Z", True),
        ("false 0001-01-01T00:00:00Z", True),
        ("false 2026-01-01T12:00:01.1Z", False),
        ("true 2026-01-01T11:59:59.9Z", False),
        (None, False),
    ],
    ids=["stopped", "never started", "started since", "running", "not told"],
)
def test_a_container_that_ran_since_the_bottle_left_is_not_removed_when_it_comes_back(
    rig: Rig, programs: Path, state: str | None, goes: bool
) -> None:
    there = StateHome(rig.far / ".bottle").create(rig.state.metadata())
    there.tombstone.write(Tombstone(host="third", moved_at=datetime(2026, 1, 1, 12, tzinfo=UTC)))
    there.write_container_id("c1")  # found by its id and by its name
    log = rig.far / "asked"
    answers = 'ps*label=bottle.identity*) echo c1 ;;\nversion*) echo amd64 ;;\n"volume rm"*) exit 1 ;;\n'
    answers += f'"inspect "*) echo /mine {state} ;;' if state else '"inspect "*) exit 1 ;;'
    (programs / "docker").write_text(f'#!/bin/sh\necho "$*" >>{log}\ncase "$*" in\n{answers}\nesac\n')
    reply = fill_a_volume(rig, programs)
    assert reply.status == 27
    name = "mine" if state else "c1"
    assert log.read_text().splitlines().count(f"rm {name}") == goes
    assert (f"{rig.identity} has run here" in reply.err and reply.err.endswith(f"docker rm {name}")) == (not goes)
    assert probe(rig.remote, rig.identity, "").ran_since == (() if goes else (name,))
    assert probe(rig.remote, Identity.parse("other-abc12"), "").ran_since == ()


@pytest.mark.parametrize("cut", [False, True])
def test_the_containers_of_before_are_not_those_of_a_bottle_that_came_back(rig: Rig, programs: Path, cut: bool) -> None:
    there = StateHome(rig.far / ".bottle").create(rig.state.metadata())
    there.tombstone.write(Tombstone(host="third", moved_at=NOW))
    there.write_container_id("c1")
    (there.path / "former").write_text("c0\n")
    rig.stage("n1")
    if cut:  # when the former state has gone, and the next has not come
        script(programs, "mv", f'{shutil.which("mv")} "$@"; [ "$2" != replaced ] || kill -9 $PPID')
        assert rig.register("n1").status != 0
        (programs / "mv").unlink()
        assert rig.withdraw("n1") == b"withdrawn"
        rig.stage("n1")
    rig.destination.register("n1", None)
    assert there.tombstone.read() is None
    assert there.container_id() is None
    assert there.former_containers() == {"c0", "c1"}
