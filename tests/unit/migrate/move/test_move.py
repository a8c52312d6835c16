"""A whole move, or one that breaks: real scripts on the far host, whose engine takes everything and proves nothing."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bottle.cli.far import settle_by_asking
from bottle.cli.moved import moved_document, moved_lines, plan_lines
from bottle.cli.movewords import SENDING
from bottle.cli.output import answer
from bottle.errors import (
    Conflict,
    EngineError,
    Locked,
    MovedAway,
    NeedsConsent,
    PreflightRefused,
    RemoteError,
    StateDamaged,
    VerificationFailed,
)
from bottle.files import tree
from bottle.model import (
    CommitRecord,
    ImageFacts,
    MigrationPhase,
    MigrationRecord,
    MissingKind,
    MoveAccount,
    Status,
    StayKind,
    Stays,
)
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context, examine, list_bottles, pause as pausing
from bottle.operations.commit import commit
from bottle.operations.doctor import Verdict
from bottle.operations.resume import resume
from bottle.operations.settle import settle
from bottle.operations.stop import Stopped, stop, stop_locked
from bottle.plan.resume import ResumeRequest
from bottle.store.document import StoredDocument
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from bottle.testing.tree import FakeNode
from migrate.contents.packing import packed_before
from migrate.host.destination import Destination
from migrate.host.probe import probe
from migrate.model import RemoteCommand, Reply
from migrate.move import execute, files, rehearsal
from migrate.move.execute import move, plan
from migrate.move.facts import Observed
from migrate.move.model import Moved, MovePlan
from migrate.move.transfer import Transfer
from migrate.pull.messages import report_from_json, report_to_json
from migrate.tar.compression import CompressingWriter
from migrate.transport.ssh import SshRemote
from tests.support.git import commit as commit_file, git, repository, view, worktree
from tests.support.moving import MoveRig as Rig
from tests.support.trees import edit_while_packed
from tests.support.world import AGENT, BASE, Killed, World


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_a_home_on_the_same_engine_is_no_other_host(rig: Rig, keep: bool) -> None:
    rig.answer_as(rig.world.engine.id)
    with pytest.raises(PreflightRefused, match="the very one"):
        rig.move(keep=keep)
    assert (rig.there, rig.bottle.tombstone.read(), rig.bottle.migration.read()) == ((), None, None)
    assert rig.world.content(rig.bottle, "/work.txt") == b"1"


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_a_second_name_goes_along_with_the_bottle_and_with_no_copy(rig: Rig, keep: bool) -> None:
    rig.bottle.write_metadata(replace(rig.bottle.metadata(), name="work"))
    arrived = rig.move(keep=keep).arrived_as
    assert StateHome(rig.far / ".bottle").bottle(arrived).metadata().name == (None if keep else "work")


def test_a_copy_holds_the_bottle_still_and_lets_it_go_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    world, bottle = rig.world, rig.bottle
    monkeypatch.setattr(world.engine, "pause", lambda _: None)
    with pytest.raises(EngineError, match="could not be paused"):
        rig.move(keep=True)
    monkeypatch.undo()
    world.engine.fail_next("unpause", EngineError("Too many open files"))
    world.engine.fail_next("commit", EngineError("no space left on device"))
    with pytest.raises(EngineError, match="no space left"):
        rig.move(keep=True)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None
    with monkeypatch.context() as patch:
        for module, name in ((files, "pack_beside"), (pausing, "let_go_on")):
            patch.setattr(module, name, lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            rig.move(keep=True)
    assert (world.status(bottle), bottle.paused_by) == (Status.PAUSED, "a copy")
    settle(world.context, bottle)
    assert (world.status(bottle), bottle.migration.read()) == (Status.RUNNING, None)


def test_a_home_on_another_engine_gets_the_bottle(rig: Rig) -> None:
    moved = rig.move()
    assert rig.there == (moved.arrived_as,) == (rig.bottle.identity,)
    assert rig.bottle.tombstone.read() is not None


def test_an_image_that_is_not_verified_ends_the_move(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(_: Destination, commit: CommitRecord, tag: str) -> ImageFacts:
        asked.append(tag)
        raise VerificationFailed("the image there is not the one that was committed")

    monkeypatch.setattr(Destination, "verify_image", refuse)
    with pytest.raises(VerificationFailed, match="not the one"):
        rig.move()
    assert asked == [rig.bottle.identity.committed(1)]
    assert (rig.there, rig.bottle.tombstone.read()) == ((), None)


def test_nobody_else_works_on_a_bottle_while_it_moves(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    run, holders = rig.remote.run, set()

    def noting(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        holders.add(rig.bottle.locked_by)
        return run(command, *args, **kwargs)

    monkeypatch.setattr(rig.remote, "run", noting)
    rig.move()
    assert None not in holders
    with rig.bottle.locked("another run"), pytest.raises(Locked):
        rig.move(keep=True)


def test_a_bottle_whose_commits_were_pruned_is_committed_once_more(rig: Rig) -> None:
    stop(rig.world.context, rig.bottle)
    commit(rig.world.context, rig.bottle)
    rig.world.lose_images(rig.bottle)
    assert rig.move().account.commit == 2
    assert rig.there == (rig.bottle.identity,)


def test_what_a_move_leaves_behind_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    (rig.world.cwd / "file").write_text("work")
    os.setxattr(rig.world.cwd / "file", "user.note", b"precious")

    def stopping(*args: Any, **kwargs: Any) -> Stopped:
        return replace(stop_locked(*args, **kwargs), notes=("a request was too large",))

    monkeypatch.setattr("bottle.operations.still.stop_locked", stopping)
    moved = rig.move()
    workspace = "workspace: 1 file with extended attributes: file (user.note)"
    by_docker = rig.bottle.commits()[-1].dropped
    assert "extended attributes" in by_docker[0]
    assert moved.account.dropped == (*by_docker, workspace)
    assert f"  dropped: {workspace}" in moved_lines(moved, SENDING, moved.host)
    assert moved_document(moved, SENDING, moved.host)["dropped"] == list(moved.account.dropped)
    assert "a request was too large" in rig.world.progress.notes


# --- what a workspace needs of this host ------------------------------------------------------------------------------


def test_a_git_worktree_arrives_as_a_repository_of_its_own(rig: Rig, tmp_path: Path) -> None:
    folder = worktree(repository(tmp_path / "main"), rig.world.cwd / "try")
    seen = view(folder)
    moved = rig.move()
    assert moved.account.left_behind == ()
    (line,) = moved.account.carried
    assert f"git worktree try of {tmp_path / 'main/.git'}" in line
    assert f"  went along: {line}" in moved_lines(moved, SENDING, moved.host)
    assert moved_document(moved, SENDING, moved.host)["carried"] == [line]
    (tmp_path / "main").rename(tmp_path / "gone")
    assert moved.account.workspace is not None
    assert view(Path(moved.account.workspace) / "try") == seen
    assert not (rig.world.home.path / "outgoing" / str(rig.bottle.identity)).exists()


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_what_would_be_left_behind_is_asked_about_while_the_agent_still_works(rig: Rig, keep: bool) -> None:
    (rig.world.folder / "data").mkdir()
    (rig.world.cwd / "data").symlink_to("../data")
    with pytest.raises(NeedsConsent, match=r"data -> \.\./data") as caught:
        rig.move(keep=keep)
    assert caught.value.left == "nothing was changed; the bottle goes on as it was"
    assert "--yes" in caught.value.next_step
    assert rig.world.status(rig.bottle) is Status.RUNNING
    assert rig.bottle.commits() == ()
    assert rig.bottle.migration.read() is None
    decided = plan(rig.world.context, rig.bottle, rig.remote, MoveOptions(workspace=rig.far / "w"))
    assert len(decided.left_behind) == 1
    assert any("data -> ../data" in line for line in plan_lines(decided, SENDING))
    moved = rig.move(keep=keep, consent=True)
    assert moved.account.left_behind == decided.left_behind


def test_a_worktree_that_cannot_be_carried_is_known_before_the_agent_is_stopped(rig: Rig, tmp_path: Path) -> None:
    folder = worktree(repository(tmp_path / "main"), rig.world.cwd / "try")
    blob = git(folder, "rev-parse", "HEAD:second").strip()
    (tmp_path / "main/.git/objects" / blob[:2] / blob[2:]).unlink()
    for attempt in (rig.plan, rig.move):
        with pytest.raises(PreflightRefused, match="cannot be made a repository"):
            attempt()
    assert not list((rig.world.home.path / "outgoing").iterdir())
    assert rig.world.status(rig.bottle) is Status.RUNNING
    assert rig.bottle.commits() == ()


def test_what_the_agent_came_to_need_before_it_stopped_is_not_left_behind_unsaid(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rig.world.folder / "data").mkdir()

    def stopping(context: Context, state: BottleState, *, grace: int) -> Stopped:
        (rig.world.cwd / "late").symlink_to("../data")
        return stop_locked(context, state, grace=grace)

    monkeypatch.setattr("bottle.operations.still.stop_locked", stopping)
    with pytest.raises(NeedsConsent, match="late"):
        rig.move()
    assert rig.there == ()
    assert rig.bottle.tombstone.read() is None
    assert rig.move(consent=True).account.left_behind == ("what a link leads to: late -> ../data",)


def planned_bytes(decided: MovePlan) -> int:
    """At most how much is to travel, which is known of all parts."""
    sizes = [part.most for part in decided.parts if part.most is not None]
    assert len(sizes) == len(decided.parts)
    return sum(sizes)


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_no_more_travels_than_the_plan_says(rig: Rig, keep: bool) -> None:
    rig.world.work(rig.bottle, "/cannot-be-compressed", os.urandom(3 << 20))
    (rig.world.cwd / "cannot-be-compressed").write_bytes(os.urandom(2 << 20))
    planned = planned_bytes(rig.plan(keep=keep))
    assert 5 << 20 < rig.move(keep=keep).account.staged <= planned


def test_a_plan_does_not_count_what_is_there(rig: Rig) -> None:
    whole = planned_bytes(rig.plan())
    base = rig.world.engine.image(BASE)
    assert base is not None
    assert base.size
    rig.hold(base)
    assert planned_bytes(rig.plan()) == pytest.approx(whole - base.size, abs=base.size // 50)


def test_a_plan_does_not_count_what_the_image_is_built_on_and_is_there(rig: Rig) -> None:
    base = rig.world.engine.image(BASE)
    assert base is not None
    rig.world.work(rig.bottle, "/tool", os.urandom(1 << 20))
    rig.world.engine.tag(commit(rig.world.context, rig.bottle).commit.tag, "agent:1")
    rig.bottle = rig.world.start(replace(AGENT, image="agent:1"))
    whole = planned_bytes(rig.plan())
    rig.hold(base)
    assert planned_bytes(rig.plan()) == pytest.approx(whole - base.size, abs=base.size // 50)


# --- what an earlier run left, and what a plan says of it -------------------------------------------------------------


def test_a_plan_of_a_copy_that_had_arrived_says_so_and_changes_nothing(rig: Rig) -> None:
    rig.die_after("register", keep=True, workspace=rig.far / "work")
    before = rig.bottle.migration.read()
    assert before is not None
    with pytest.raises(Conflict, match=f"commit 1 of {rig.bottle.identity} is on .*, as {before.arrives_as}") as caught:
        rig.plan(keep=True, workspace=None)
    assert type(caught.value) is Conflict
    assert "without --plan" in caught.value.next_step
    commit(rig.world.context, rig.bottle)
    decided = rig.plan(keep=True, workspace=None)
    assert (decided.commits, decided.refreshes) == (True, before.arrives_as)
    assert "it would be brought up to date" in rig.world.progress.notes[-1]
    assert (rig.there, rig.bottle.migration.read()) == ((before.arrives_as,), before)
    assert rig.plan(keep=True, new=True).refreshes is None
    assert rig.move(keep=True, workspace=None).arrived_as == before.arrives_as


def test_a_plan_of_a_move_that_was_cut_at_its_end_names_what_finishes_it(rig: Rig) -> None:
    rig.die_after("register")
    before = rig.bottle.migration.read()
    with pytest.raises(Conflict, match="was cut while it was handed over") as caught:
        rig.plan()
    assert caught.value.next_step.startswith(f"bottle migrate {rig.bottle.identity} {rig.remote.name}   (or, knowing")
    assert rig.bottle.migration.read() == before


def test_what_is_missing_there_names_the_copy(rig: Rig) -> None:
    script = (rig.programs / "docker").read_text().replace("#!/bin/sh\n", '#!/bin/sh\n[ -n "$ROOT" ] || exit 1\n')
    rig.program("docker", script)
    rig.program("sudo", '#!/bin/sh\nshift\nROOT=1 exec "$@"\n')
    moved = rig.move(keep=True)
    assert [each.identity for each in moved.account.missing_there if each.kind is MissingKind.RIGHTS] == [
        str(moved.arrived_as)
    ]


def test_what_an_earlier_run_staged_and_nobody_needs_any_more_goes(rig: Rig) -> None:
    def packed() -> int:
        return sum(tree.size_of(path) for path in packed_before(rig.world.context, rig.bottle.identity))

    sizes = []
    for number in range(3):
        (rig.world.cwd / "large").write_bytes(os.urandom(1 << 20))
        rig.die_after("verify")
        blobs = rig.far / ".bottle/incoming" / str(rig.bottle.identity) / "blobs"
        sizes.append((tree.size_of(blobs), packed()))
        if number == 0:
            assert probe(rig.remote, rig.bottle.identity, "").staged > 1 << 20
        resume(rig.world.context, rig.bottle, ResumeRequest())
    for there, here in sizes[1:]:
        assert there < sizes[0][0] + (1 << 18)
        assert here < sizes[0][1] + (1 << 18)


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
@pytest.mark.parametrize("kind", ["files", "layers"])
def test_a_disk_that_is_full_here_says_what_is_left_and_the_way_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, kind: str, keep: bool
) -> None:
    write = CompressingWriter.write

    def full(writer: CompressingWriter, chunk: bytes) -> None:
        if f"/{kind}-" in str(Path(f"/proc/self/fd/{writer._out.fileno()}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(writer, chunk)

    monkeypatch.setattr(CompressingWriter, "write", full)
    with pytest.raises(StateDamaged, match="No space left") as caught:
        rig.move(keep=keep)
    assert caught.value.left == (
        "this host still owns the bottle, which " + ("goes on as it was" if keep else "is stopped and committed")
    )
    assert "df -h" in caught.value.next_step
    assert "; then the same command again" in caught.value.next_step
    assert keep != (f"bottle resume {rig.bottle.identity}" in caught.value.next_step)
    assert rig.world.status(rig.bottle) is (Status.RUNNING if keep else Status.EXITED)
    monkeypatch.undo()


# --- a workspace that is edited while it travels ----------------------------------------------------------------------


def edit_after(rig: Rig, monkeypatch: pytest.MonkeyPatch, script: str, edit: Callable[[], object]) -> list[str]:
    """Have somebody edit the workspace whenever `script` has run there; returns the scripts that ran."""
    run, ran, alone = rig.remote.run, [], threading.Lock()

    def edited(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        reply = run(command, *args, **kwargs)
        ran.append(command.name)
        if command.name == script:
            with alone:  # pieces are sent side by side
                edit()
        return reply

    monkeypatch.setattr(rig.remote, "run", edited)
    return ran


@pytest.mark.parametrize("script", ["piece", "verify"])
def test_what_is_committed_in_a_git_worktree_while_it_travels_arrives(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    folder = worktree(repository(tmp_path / "main"), rig.world.cwd / "try")
    late = iter(("one", "two"))

    def work() -> None:
        name = next(late, None)
        if name is not None:
            git(folder, "stash", "pop", "--quiet") if name == "two" else commit_file(folder, name)

    edit_after(rig, monkeypatch, script, work)
    moved = rig.move()
    assert next(late, None) != "one"
    seen = view(folder)
    (tmp_path / "main").rename(tmp_path / "gone")
    assert moved.account.workspace is not None
    assert view(Path(moved.account.workspace) / "try") == seen


# Every script of a move, in the order in which they first run.
STEPS = ("probe", "images", "staged", "piece", "check", "load", "extract", "verify")


@pytest.mark.parametrize(("script", "keep"), [*((script, False) for script in STEPS), ("probe", True), ("piece", True)])
def test_what_is_edited_at_any_step_of_a_move_arrives(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, script: str, keep: bool
) -> None:
    cwd, edits = rig.world.cwd, []
    (cwd / "gone").write_text("old")
    (cwd / "untouched").write_bytes(os.urandom(1 << 20))

    def edit() -> None:
        if not edits:
            (cwd / "gone").unlink()
            (cwd / "folder").mkdir()
        edits.append(len(edits))
        (cwd / "folder" / "new").write_text(f"{edits}")

    ran = edit_after(rig, monkeypatch, script, lambda: edit() if len(edits) < 2 else None)
    moved = rig.move(keep=keep)
    assert [each for each in dict.fromkeys(ran) if each in STEPS] == list(STEPS)
    there = Path(moved.account.workspace or "")
    if keep and script == "piece":  # a copy is of the moment in which the bottle was held still
        assert (there / "gone").read_text() == "old"
        return
    assert moved.account.edited == ()
    assert not (there / "gone").exists()
    assert (there / "folder" / "new").read_text() == (cwd / "folder" / "new").read_text() == f"{edits}"
    assert (there / "untouched").read_bytes() == (cwd / "untouched").read_bytes()
    assert moved.account.staged < 1.5 * (1 << 20)


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_what_is_edited_while_it_is_packed_arrives(rig: Rig, monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    journal = rig.world.cwd / "journal"
    edit_while_packed(monkeypatch, journal, rounds=3)
    moved = rig.move(keep=keep)
    assert (Path(moved.account.workspace or "") / "journal").read_text() == journal.read_text() == "more\n" * 3


def test_what_is_lost_of_what_was_sent_later_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit() -> None:
        with (rig.world.cwd / "disk.img").open("wb") as file:
            file.truncate(4 << 20)

    edit_after(rig, monkeypatch, "extract", edit)
    assert "workspace: 1 sparse file, whose holes are written out: disk.img" in rig.move().account.dropped


def test_what_leads_out_of_a_workspace_since_it_was_packed_is_not_left_behind_unasked(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, link = tmp_path / "outside", rig.world.cwd / "link"
    outside.mkdir()
    with monkeypatch.context() as patch:
        edit_after(rig, patch, "extract", lambda: link.is_symlink() or link.symlink_to(outside))
        with pytest.raises(Conflict, match=f"came to need .*link -> {outside}") as caught:
            rig.move()
    assert "still owns" in caught.value.left
    assert (rig.there, rig.bottle.tombstone.read()) == ((), None)
    with pytest.raises(NeedsConsent, match="link"):
        rig.move()
    assert rig.move(consent=True).account.left_behind


def test_a_copy_of_a_workspace_that_is_edited_without_end_is_none(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_while_packed(monkeypatch, rig.world.cwd / "journal", rounds=100)
    with pytest.raises(Conflict, match=r"somebody is working in .*: journal") as caught:
        rig.move(keep=True)
    assert "goes on as it was" in caught.value.left
    assert rig.world.status(rig.bottle) is Status.RUNNING
    assert rig.there == ()


def test_what_was_sent_later_counts_as_staged(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    late = rig.world.cwd / "late"
    edit_after(rig, monkeypatch, "verify", lambda: late.exists() or late.write_bytes(os.urandom(3 << 20)))
    assert rig.move().account.staged > 3 << 20


def test_a_workspace_that_is_edited_without_end_stays_and_the_same_command_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = rig.world.cwd / "journal"
    with monkeypatch.context() as patch:
        edit_after(rig, patch, "verify", lambda: journal.open("a").write("more\n"))
        with pytest.raises(Conflict, match=r"somebody is working in .*: journal") as caught:
            rig.move()
    assert "still owns" in caught.value.left
    assert (rig.there, rig.bottle.tombstone.read()) == ((), None)
    moved = rig.move()
    assert (Path(moved.account.workspace or "") / "journal").read_text() == journal.read_text()


def test_what_is_edited_during_the_hand_over_is_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_after(rig, monkeypatch, "register", lambda: (rig.world.cwd / "late").write_text("x"))
    moved = rig.move()
    assert moved.account.edited == ("late",)
    told = "  WARNING: edited during the hand-over, so newer here than there: late"
    lines = moved_lines(moved, SENDING, moved.host)
    assert lines[lines.index(told) + 1].startswith(f"  bring them to {moved.account.workspace} there")
    answer("text", {}, lines)
    assert "|" not in capsys.readouterr().out  # no line of it passes for one of an error
    assert moved_document(moved, SENDING, moved.host)["newer_here"] == ["late"]
    assert report_from_json(report_to_json(moved), Moved, "owner").account.edited == moved.account.edited
    assert rig.move().account.edited == ("late",)  # the same command once more says so too


def by_the_clock(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the times of moves and of files be of one clock, without a doubt between them."""
    monkeypatch.setattr("migrate.contents.index.GRAIN", 0)
    rig.world.engine.clock = lambda: datetime.now(UTC)  # type: ignore[assignment]


def settle_by_resuming(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `bottle resume` does first after a cut."""
    monkeypatch.setattr(SshRemote, "connect", lambda *_, **__: nullcontext(rig.remote))
    settle_by_asking(rig.world.context, rig.bottle)


def settle_by_a_run_that_fails(rig: Rig, _: pytest.MonkeyPatch) -> None:
    rig.program("bottle", "#!/bin/sh\n[ $1 = --version ]\n")
    with pytest.raises(RemoteError, match="`bottle resume` failed there"):
        rig.move(resume=True)


@pytest.mark.parametrize("first", [None, settle_by_resuming, settle_by_a_run_that_fails])
def test_what_is_edited_after_a_hand_over_that_was_cut_is_told(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: Callable[[Rig, pytest.MonkeyPatch], None] | None,
) -> None:
    (rig.world.cwd / "early").write_text("x")
    (rig.world.cwd / "sub").mkdir()
    (rig.world.cwd / "sub" / "gone").write_text("x")
    by_the_clock(rig, monkeypatch)

    def edit() -> None:
        (rig.world.cwd / "late").write_text("x")
        (rig.world.cwd / "sub" / "gone").unlink()

    with monkeypatch.context() as patch:
        edit_after(rig, patch, "register", edit)
        rig.die_after("register")
    if first is not None:
        first(rig, monkeypatch)
    if first is settle_by_resuming:
        told = capsys.readouterr().err
        assert "WARNING: edited during the hand-over, so newer here than there: late\n" in told
        assert "bring them to" in told
    for _ in range(2):
        assert rig.move().account.edited == ("late", "sub")


def test_what_is_done_in_a_worktrees_repository_after_a_hand_over_that_was_cut_is_told(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = worktree(repository(tmp_path / "main"), rig.world.cwd / "try")
    worktree(tmp_path / "main", tmp_path / "other")
    by_the_clock(rig, monkeypatch)
    time.sleep(0.02)
    rig.die_after("register")
    time.sleep(0.02)
    commit_file(tmp_path / "other", "of no concern")  # on a branch that went along, though
    git(folder, "commit", "--allow-empty", "--quiet", "--message", "late")
    edited = rig.move().account.edited
    common = tmp_path / "main" / ".git"
    assert {f"{common}/worktrees/try/logs/HEAD", f"{common}/refs/heads/try", f"{common}/refs/heads/other"} <= set(
        edited
    )
    assert not [path for path in edited if "objects" in path or "worktrees/other" in path or not path.startswith("/")]


def test_a_hand_over_that_another_run_settled_meanwhile_is_not_settled_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the record and the lock, another run ends that move and begins one to another host."""
    rig.die_after("register")
    record, locked = rig.bottle.migration.read(), BottleState.locked
    assert record is not None
    newer = replace(record, nonce="another", host="elsewhere", started_at=datetime.now(UTC))

    def meanwhile(state: BottleState, purpose: str) -> object:
        state.migration.write(newer)
        return locked(state, purpose)

    monkeypatch.setattr(BottleState, "locked", meanwhile)
    settle_by_resuming(rig, monkeypatch)
    assert (rig.bottle.migration.read(), rig.bottle.tombstone.read()) == (newer, None)


def test_an_arrival_that_is_called_a_failure_keeps_its_account(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    run = rig.remote.run

    def failing(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        reply = run(command, *args, **kwargs)
        return replace(reply, status=1) if command.name == "register" else reply

    monkeypatch.setattr(rig.remote, "run", failing)
    moved = rig.move()
    tombstone = rig.bottle.tombstone.read()
    assert tombstone is not None
    assert tombstone.account is not None
    assert tombstone.account.staged == moved.account.staged > 0


def test_a_workspace_that_went_during_the_hand_over_does_not_undo_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_after(rig, monkeypatch, "register", lambda: shutil.rmtree(rig.world.cwd))
    assert rig.move().arrived_as == rig.bottle.identity
    assert rig.bottle.tombstone.read() is not None
    assert "is not known" in rig.world.progress.notes[-1]


# --- what is refused is refused while the agent works ----------------------------------------------------------------

KEY = b"ghp_" + b"a1B2c3D4e5F6g7H8i9J0" * 2


def still_works(rig: Rig) -> bool:
    """Whether the bottle runs, and neither a commit nor a note of a move was made of it."""
    untouched = (rig.bottle.commits(), rig.bottle.migration.read(), rig.there) == ((), None, ())
    return untouched and rig.world.status(rig.bottle) is Status.RUNNING


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_a_credential_is_found_before_the_agent_is_stopped(rig: Rig, keep: bool) -> None:
    rig.world.work(rig.bottle, "/root/.claude/.credentials.json", b"{}")
    for attempt in (rig.move, rig.plan):
        with pytest.raises(PreflightRefused, match=r"/root/\.claude/\.credentials\.json: a Claude login") as caught:
            attempt(keep=keep)
        assert "goes on as it was" in caught.value.left
        assert still_works(rig)
    assert rig.plan(keep=keep, carry=("/root/.claude",)).along == ("/root/.claude/.credentials.json: a Claude login",)
    assert rig.move(keep=keep, carry=("/root/.claude",)).account.along
    assert not (rig.world.home.path / "outgoing" / str(rig.bottle.identity)).exists()


def test_a_credential_of_an_earlier_commit_is_found_before_the_agent_is_stopped(rig: Rig) -> None:
    rig.world.work(rig.bottle, "/root/key", KEY)
    commit(rig.world.context, rig.bottle)
    stop(rig.world.context, rig.bottle)
    rig.world.engine.remove_container(rig.bottle.identity.container)
    resume(rig.world.context, rig.bottle, ResumeRequest())
    rig.world.engine.erase(rig.bottle.identity.container, "/root/key")
    with pytest.raises(PreflightRefused, match=r"/root/key: a GitHub token \(deleted"):
        rig.move()
    assert rig.world.status(rig.bottle) is Status.RUNNING


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
@pytest.mark.parametrize("where", ["image", "agent"])
def test_a_credential_in_the_environment_is_found_before_the_agent_is_stopped(rig: Rig, where: str, keep: bool) -> None:
    rig.world.engine.add_image("leaky", {"/bin/sh": b""}, Env=[f"TOKEN={KEY.decode()}"] if where == "image" else [])
    env = (("TOKEN", KEY.decode()),) if where == "agent" else ()
    rig.bottle = rig.world.start(replace(AGENT, image="leaky", env=env))
    line = "the image's config, Env TOKEN: a GitHub token"
    for attempt in (rig.move, rig.plan):
        with pytest.raises(PreflightRefused) as caught:
            attempt(keep=keep)
        assert caught.value.details == (line,)
        assert still_works(rig)
    assert (
        rig.plan(keep=keep, allow_secrets=True).along
        == rig.move(keep=keep, allow_secrets=True).account.along
        == (line,)
    )


def test_what_comes_after_the_look_is_found_all_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    halt = rig.world.engine.stop

    def writing(ref: str, grace: int) -> None:
        rig.world.work(rig.bottle, "/root/key", KEY)
        halt(ref, grace)

    monkeypatch.setattr(rig.world.engine, "stop", writing)
    with pytest.raises(PreflightRefused, match="/root/key: a GitHub token") as caught:
        rig.move()
    assert "which is stopped and committed" in caught.value.left
    assert "bottle resume" in caught.value.next_step


def test_what_cannot_be_committed_is_found_before_the_agent_is_stopped(rig: Rig) -> None:
    rig.world.work(rig.bottle, "/root/.wh.file", b"")
    for attempt in (rig.move, rig.plan):
        with pytest.raises(PreflightRefused, match=r"\.wh\."):
            attempt()
        assert still_works(rig)


def test_a_workspace_that_cannot_be_read_is_found_before_the_agent_is_stopped(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rig.world.cwd / "theirs").write_text("x")
    monkeypatch.setattr(os, "access", lambda name, *_, **__: name != "theirs")
    for attempt in (rig.move, rig.plan):
        with pytest.raises(PreflightRefused, match="may not read: theirs"):
            attempt()
        assert still_works(rig)


@pytest.mark.parametrize(("name", "mode"), [("file", 0), ("file", 0o277), ("folder", 0o477), ("folder", 0o377)])
def test_what_its_owner_could_not_check_there_is_found_before_the_agent_is_stopped(
    rig: Rig, name: str, mode: int
) -> None:
    (rig.world.cwd / "folder").mkdir()
    (rig.world.cwd / "file").write_text("x")
    (rig.world.cwd / name).chmod(mode)
    rig.program("id", "#!/bin/sh\necho 1000\n")
    for attempt in (rig.move, rig.plan):
        with pytest.raises(PreflightRefused, match=f"its own owner may not read.*: {name}") as caught:
            attempt()
        assert "chmod" in caught.value.next_step
        assert still_works(rig)
    rig.program("id", "#!/bin/sh\necho 0\n")
    rig.plan()


def test_a_container_that_cannot_be_looked_into_is_looked_through_when_it_is_committed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.world.work(rig.bottle, "/root/key", KEY)

    def failing(*_: object) -> None:
        raise EngineError("no")

    with monkeypatch.context() as patch:
        patch.setattr(rehearsal, "written_layer", failing)
        with pytest.raises(PreflightRefused, match="/root/key: a GitHub token"):
            rig.move()
    assert any("only when it is committed: no" in note for note in rig.world.progress.notes)


def test_who_else_works_in_what_travels_is_told(rig: Rig) -> None:
    second = rig.world.start()
    line = f"bottle {second.identity} runs in the workspace {rig.world.cwd} too, and keeps what is here"
    decided = rig.plan()
    assert decided.shared == (line,)
    assert f"shared:          {line}" in plan_lines(decided, SENDING)
    pulled = report_from_json(report_to_json(decided), MovePlan, "owner")
    assert pulled.shared == (line.replace("what is here", "what is there"),)
    rig.move()
    assert f"WARNING: {line}" in rig.world.progress.notes


# --- the same command once more ---------------------------------------------------------------------------------------


def test_a_bottle_that_moved_away_is_not_there_to_be_copied(rig: Rig) -> None:
    rig.move()
    with pytest.raises(MovedAway):
        rig.move(keep=True)
    assert rig.there == (rig.bottle.identity,)


def test_a_move_that_was_handed_over_when_it_was_cut_is_finished_before_a_copy_is_made(rig: Rig) -> None:
    rig.die_after("register")
    with pytest.raises(Conflict, match="cut while it was handed over"):
        rig.move(keep=True)
    assert rig.move().arrived_as == rig.bottle.identity
    assert rig.there == (rig.bottle.identity,)


def test_a_bottle_of_its_name_that_another_move_brought_there_is_not_the_one_that_went(rig: Rig) -> None:
    rig.move()
    assert rig.move().arrived_as == rig.bottle.identity
    noted = rig.far / ".bottle" / "state" / str(rig.bottle.identity) / "arrived"
    noted.write_text("c" * 32 + "\n")
    with pytest.raises(MovedAway):
        rig.move()


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
@pytest.mark.parametrize("again", [1, 2])
def test_the_run_that_finishes_a_cut_move_tells_all_that_it_did(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, keep: bool, again: int
) -> None:
    rig.world.work(rig.bottle, "/root/.netrc", b"machine x login y password secretsecret")
    by_the_clock(rig, monkeypatch)
    time.sleep(0.02)
    told: list[MoveAccount] = []
    write = StoredDocument.write

    def noted(document: StoredDocument[object], value: object) -> None:
        if isinstance(value, MigrationRecord) and value.account is not None:
            told.append(value.account)
        write(document, value)

    monkeypatch.setattr(StoredDocument, "write", noted)
    rig.die_after("register", keep=keep, allow_secrets=True)
    for _ in range(1 if keep else again):  # once its end is told, a copy is no move in flight any more
        moved = rig.move(keep=keep)
    (account,) = told
    assert account.staged > 0
    assert account.workspace is not None
    assert any("/root/.netrc" in line for line in account.along)
    assert moved.account == account


def test_the_end_of_a_move_of_an_earlier_version_says_what_is_not_known(rig: Rig) -> None:
    rig.die_after("register")
    record = rig.bottle.migration.read()
    assert record is not None
    rig.bottle.migration.write(replace(record, account=None))
    moved = rig.move()
    assert (moved.account.commit, moved.account.workspace, moved.account.staged) == (1, None, 0)
    assert any("did not write down what it sent" in note for note in rig.world.progress.notes)


def test_a_copy_that_arrived_before_the_cut_is_finished_and_called_what_it_is(rig: Rig) -> None:
    rig.die_after("register", keep=True)
    copy = rig.move(keep=True)
    assert (rig.there, copy.account.commit, rig.bottle.migration.read()) == ((copy.arrived_as,), 1, None)
    assert "what was done after that commit is not in it" in rig.world.progress.notes[-1]


@pytest.mark.parametrize("script", ["register", "clear", "resume"])
def test_a_copy_that_is_cut_once_it_is_there_is_finished_and_made_no_second_time(rig: Rig, script: str) -> None:
    rig.program("bottle", "#!/bin/sh\n[ $1 = --version ] || echo it runs\n")
    rig.die_after(script, keep=True, resume=True)
    assert rig.bottle.migration.read() is not None
    copy = rig.move(keep=True, resume=True)
    assert (rig.there, copy.resumed, rig.bottle.migration.read()) == ((copy.arrived_as,), "it runs", None)


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_that_it_is_there_is_said_before_what_follows(rig: Rig, keep: bool) -> None:
    known: list[Identity] = []
    run, before = rig.remote.run, dict[str, int]()

    def noted(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        before[command.name] = len(known)
        return run(command, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig.remote, "run", noted)
        moved = move(rig.world.context, rig.bottle, rig.remote, MoveOptions(keep=keep), known.append)
    assert known == [moved.arrived_as]
    assert (before["register"], before["clear"]) == (0, 1)


@pytest.mark.parametrize("stopped", [False, True], ids=["a newer commit", "newer work"])
@pytest.mark.parametrize("new", [False, True], ids=["the same", "another"])
def test_a_copy_is_brought_up_to_date_when_work_went_on_since_the_cut(rig: Rig, stopped: bool, new: bool) -> None:
    rig.die_after("register", keep=True, workspace=rig.far / "work")
    (old,) = rig.there
    rig.world.work(rig.bottle, "/work.txt", b"2")
    if stopped:
        stop(rig.world.context, rig.bottle)
    else:
        commit(rig.world.context, rig.bottle)
    copy = rig.move(keep=True, new=new, workspace=rig.far / "other" if new else None)
    assert (copy.arrived_as == old, copy.account.refreshed) == (not new, not new)
    assert set(rig.there) == {old, copy.arrived_as}
    assert copy.account.commit == rig.bottle.commits()[-1].number > 1
    state = StateHome(rig.far / ".bottle").bottle(copy.arrived_as)
    assert state.committed_image() == copy.arrived_as.committed(copy.account.commit)
    assert any(f"the copy of commit 1 of {rig.bottle.identity}" in note for note in rig.world.progress.notes)


def test_a_host_that_pulls_is_told_that_its_copy_is_old_and_gets_another_the_next_time(rig: Rig) -> None:
    rig.die_after("register", keep=True, pulled_by="a" * 32)
    commit(rig.world.context, rig.bottle)
    with pytest.raises(Conflict, match="work has gone on since"):
        rig.move(keep=True, pulled_by="a" * 32)
    assert rig.move(keep=True, pulled_by="a" * 32).account.commit == 3
    assert len(rig.there) == 2


def test_a_copy_for_one_host_is_not_gone_on_with_for_another_of_its_name(rig: Rig) -> None:
    rig.die_after("load", keep=True, pulled_by="a" * 32)
    note = rig.bottle.migration.read()
    assert note is not None
    assert note.phase is MigrationPhase.STAGING
    copy = rig.move(keep=True, pulled_by="b" * 32)
    assert copy.arrived_as != note.arrives_as


def test_a_bottle_that_could_not_be_started_there_is_started_by_the_same_command(rig: Rig) -> None:
    rig.program("bottle", "#!/bin/sh\n[ $1 = --version ] && exit\n[ -e ready ] || exit 1\necho it runs\n")
    with pytest.raises(RemoteError, match="`bottle resume` failed there"):
        rig.move(resume=True)
    (rig.far / "ready").touch()
    assert rig.move(resume=True).resumed == "it runs"
    assert rig.move().resumed is None


# --- what the far host refuses ----------------------------------------------------------------------------------------


def test_a_disk_that_is_full_is_named_and_nothing_is_sent_once_more(rig: Rig) -> None:
    base = rig.world.engine.image(BASE)
    assert base is not None
    rig.hold(base)
    rig.program("cat", '#!/bin/sh\n[ $# -gt 0 ] && exec /bin/cat "$@"\necho "No space left" >&2\nexit 1\n')
    with pytest.raises(RemoteError, match=r"staging a piece failed on local\.test: .*No space left"):
        rig.move()
    assert not [note for note in rig.world.progress.notes if "are sent too" in note]


def test_layers_that_only_seemed_to_be_there_are_sent_too(rig: Rig) -> None:
    base = rig.world.engine.image(BASE)
    assert base is not None
    rig.hold(base)
    once = 'if [ -e ~/loaded ]; then cat >/dev/null; else touch ~/loaded; echo "no such layer" >&2; exit 1; fi'
    rig.program("docker", (rig.programs / "docker").read_text().replace("cat >/dev/null", once))
    assert rig.move().arrived_as == rig.bottle.identity
    assert "no such layer | docker load failed; layers that seemed" in "\n".join(rig.world.progress.notes)


def test_an_image_that_only_seemed_to_be_there_is_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(rig.world.context, rig.bottle)
    made = commit(rig.world.context, rig.bottle)
    image = rig.world.engine.image(made.commit.tag)
    assert image is not None
    rig.hold(image)
    answers = iter([VerificationFailed("no container can be made of it"), None])

    def verify(*_: object) -> None:
        if (refusal := next(answers)) is not None:
            raise refusal

    monkeypatch.setattr(Destination, "verify_image", verify)
    assert rig.move().account.staged > 0
    assert "no container can be made of it; the image that seemed" in "\n".join(rig.world.progress.notes)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_what_moved_does_not_come_back_by_itself(rig: Rig, running: bool) -> None:
    world, name = rig.world, rig.bottle.identity.container
    if not running:
        stop(world.context, rig.bottle)
    world.engine.update(name, restart="always")
    rig.move()
    world.engine.reboot()
    assert world.status(rig.bottle) is Status.EXITED
    assert any("restart policy 'always'" in note for note in world.progress.notes)


def test_a_copy_leaves_the_policy_of_what_stays_here(rig: Rig) -> None:
    name = rig.bottle.identity.container
    rig.world.engine.update(name, restart="always")
    rig.move(keep=True)
    container = rig.world.engine.container(name)
    assert container is not None
    assert container.restart == "always"


def test_what_was_started_since_it_was_looked_at_is_neither_stopped_nor_moved(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, name = rig.world, rig.bottle.identity.container
    stop(world.context, rig.bottle)
    commit(world.context, rig.bottle)

    def looked(transfer: Transfer, plan: MovePlan, seen: Observed) -> None:
        world.engine.start(name)

    with monkeypatch.context() as patch:
        patch.setattr(execute, "drop_what_is_stale", looked)
        with pytest.raises(Conflict, match="was started by something else"):
            rig.move()
    assert world.status(rig.bottle) is Status.RUNNING
    assert rig.there == ()


def test_what_was_started_while_it_travelled_is_not_handed_over(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    world, name = rig.world, rig.bottle.identity.container

    def started(*_: object) -> None:
        world.engine.start(name)
        world.work(rig.bottle, "/work.txt", b"since")

    with monkeypatch.context() as patch:
        patch.setattr(Destination, "verify_image", started)
        with pytest.raises(Conflict, match="was started by something else"):
            rig.move()
    assert (rig.there, rig.bottle.tombstone.read()) == ((), None)
    assert rig.move().account.commit == 2
    assert rig.there == (rig.bottle.identity,)


def test_a_bottle_that_runs_on_both_hosts_is_told_of_everywhere(rig: Rig) -> None:
    world, bottle = rig.world, rig.bottle
    rig.move()
    (moved,) = (check for check in examine(world.context, world.cwd) if check.name == "bottles")
    assert moved.verdict is Verdict.GOOD
    world.engine.update(bottle.identity.container, restart="always")
    (check,) = (check for check in examine(world.context, world.cwd) if check.name == str(bottle.identity))
    assert check.verdict is Verdict.WARNING
    world.engine.reboot()
    (check,) = (check for check in examine(world.context, world.cwd) if check.name == str(bottle.identity))
    assert (check.verdict, check.next_step) == (Verdict.BAD, f"bottle stop {bottle.identity}")
    (view,) = list_bottles(world.context)
    assert (view.state, view.runs_here) == ("moved", True)
    assert f"bottle stop {bottle.identity}" in view.detail
    stop(world.context, bottle)
    (view,) = list_bottles(world.context)
    assert (view.state, view.runs_here) == ("moved", False)
    assert all(check.name != str(bottle.identity) for check in examine(world.context, world.cwd))


def test_a_transcript_that_is_a_link_to_itself_moves(rig: Rig) -> None:
    world = rig.world
    loop = FakeNode(type=tarfile.SYMTYPE, target="/root/.demo")
    world.engine.write(rig.bottle.identity.container, "/root/.demo", node=loop)
    moved = rig.move()
    assert rig.there == (rig.bottle.identity,)
    assert any("too many links" in note for note in (*moved.account.dropped, *world.progress.notes))


def test_bottles_own_home_in_a_workspace_stays_and_holds_nothing_up(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for somebody who starts an agent in their home folder: what the move itself writes there is no edit."""
    (rig.world.cwd / "file").write_text("work")
    rig.world.home.path.rename(rig.world.cwd / ".bottle")
    home = StateHome(rig.world.cwd / ".bottle")
    monkeypatch.setattr(World, "home", home)
    rig.bottle = home.bottle(rig.bottle.identity)
    own = Stays(kind=StayKind.HOME, name=str(home.path))
    assert own in rig.plan().stays
    moved = rig.move()
    assert own in moved.account.stays
    assert moved.account.workspace is not None
    assert [each.name for each in Path(moved.account.workspace).iterdir()] == ["file"]


def test_each_long_step_of_a_move_shows_itself_with_its_bytes_where_they_are_known(rig: Rig) -> None:
    rig.move()
    steps, there = dict(rig.world.progress.phases), rig.remote.name
    assert {
        "packing what lies beside the image",
        f"checking what arrived on {there}",
        f"loading the image on {there}",
        f"unpacking the workspace on {there}",
        f"unpacking the state on {there}",
    } <= steps.keys()
    for step in ("reading the image's layers", "looking for credentials", f"sending to {there}"):
        assert steps[step]
        assert rig.world.progress.done[step] > 0
