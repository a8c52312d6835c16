"""A copy that nobody has worked on gives way to a newer one, whole, and to nothing else."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bottle.files import tree
from migrate.contents.index import GRAIN
from migrate.host.arguments import Nonce
from migrate.host.commands import Clear, Withdraw
from migrate.host.probe import probe
from migrate.model import HostFacts, Presence, WorkspacePlace
from tests.unit.migrate.conftest import IDENTITY, TOOLS
from tests.unit.migrate.host.conftest import Rig
from tests.unit.migrate.host.test_way_back import shim

GNU = pytest.mark.parametrize("tools", ["gnu"])


def stage(rig: Rig, nonce: str) -> None:
    """A copy, with its workspace, as a move stages it; whose state holds what only this one has."""
    rig.stage(nonce)
    state = rig.incoming / f"state-{nonce}"
    (state / "copy").touch()
    (state / "metadata.json").write_text(nonce)
    (state / "transcript" / "two words").mkdir(parents=True)
    (state / "transcript" / "two words" / "a\nline").write_text(nonce)
    (state / "transcript" / "link").symlink_to("/nowhere")


def bring(rig: Rig, nonce: str) -> None:
    stage(rig, nonce)
    reply = rig.register(nonce)
    assert (reply.status, reply.out) == (0, b""), reply.err
    rig.run(Clear(identity=IDENTITY))
    time.sleep(2 * GRAIN / 10**9)


def seen(rig: Rig) -> HostFacts:
    return probe(rig.remote, IDENTITY, str(rig.goal))


def require_whole(rig: Rig, nonce: str) -> None:
    """State and workspace are those of one copy, and nothing stands beside them."""
    rig.require_placed(nonce)
    assert (rig.state / "metadata.json").read_text() == nonce
    assert (rig.state / "transcript" / "two words" / "a\nline").read_text() == nonce
    facts = seen(rig)
    assert (facts.presence, facts.copied, facts.workspace) == (Presence.OWNED, True, WorkspacePlace.LEFT)
    assert [each.name for each in rig.state.parent.iterdir()] == [rig.state.name]


def require_untouched(rig: Rig) -> None:
    """What came first is where it was."""
    assert {each.read_text() for each in (rig.goal / "file", rig.goal / "mod" / "inner" / "cached")} == {"n1"}
    assert (rig.state / "metadata.json").read_text() == "n1"


@GNU
def test_a_newer_one_takes_its_place(rig: Rig) -> None:
    bring(rig, "n1")
    assert (rig.state / "copy").read_text().count("\n") == 5
    require_whole(rig, "n1")
    assert seen(rig).left == str(rig.goal)
    bring(rig, "n2")
    require_whole(rig, "n2")
    assert (rig.state / "arrived").read_text() == "n1\nn2\n"
    bring(rig, "n3")
    require_whole(rig, "n3")
    assert rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n2"))).out == b"arrived\n"
    require_whole(rig, "n3")


@pytest.mark.parametrize("tools", TOOLS)
def test_one_without_a_workspace_needs_no_special_tools(rig: Rig) -> None:
    for nonce in ("n1", "n2"):
        stage(rig, nonce)
        tree.discard(rig.incoming / f"workspace-{nonce}")
        reply = rig.register(nonce, "")
        assert reply.status == 0, reply.err
        rig.run(Clear(identity=IDENTITY))
        facts = probe(rig.remote, IDENTITY, "")
        assert (facts.copied, facts.left) == (True, None)
        assert (rig.state / "metadata.json").read_text() == nonce


@pytest.mark.parametrize("tools", TOOLS[1:])
def test_where_nobody_can_list_a_workspace_it_stays(rig: Rig) -> None:
    bring(rig, "n1")
    assert (seen(rig).copied, seen(rig).workspace, seen(rig).left) == (True, WorkspacePlace.FULL, None)
    stage(rig, "n2")
    assert rig.register("n2").status == 28
    require_untouched(rig)


def edit(state: Path) -> None:
    (state / "metadata.json").write_text("worked")


WORK: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "it was started": (lambda state: (state / "container").write_text("c1"), ("container",)),
    "a file was written": (edit, ("metadata.json",)),
    "a file has gone": (lambda state: (state / "transcript" / "link").unlink(), ("transcript",)),
    "a folder was made": (lambda state: (state / "trees").mkdir(), ("trees",)),
    "below": (lambda state: (state / "transcript" / "two words" / "a\nline").write_text("more"), ("transcript",)),
    "it is moving away": (lambda state: (state / "migration.json").write_text("{}"), ("migration.json",)),
    "what it held is unknown": (lambda state: (state / "copy").write_text(""), ("metadata.json", "transcript")),
}


@GNU
@pytest.mark.parametrize("work", WORK)
def test_one_that_somebody_worked_on_stays(rig: Rig, work: str) -> None:
    bring(rig, "n1")
    edit_, changed = WORK[work]
    edit_(rig.state)
    before = {path: path.read_bytes() for path in rig.state.rglob("*") if path.is_file() and path.name != "lock"}
    facts = seen(rig)
    assert (facts.copied, facts.changed) == (False, changed)
    stage(rig, "n2")
    assert rig.register("n2").status == 27
    assert {path: path.read_bytes() for path in before} == before
    rig.require_placed("n1")


@GNU
@pytest.mark.parametrize("name", ["lock", "arrived", "scanned.json", "former"])
def test_what_is_written_without_work_is_none(rig: Rig, name: str) -> None:
    bring(rig, "n1")
    with (rig.state / name).open("a") as file:
        file.write("n0\n")
    bring(rig, "n2")
    require_whole(rig, "n2")


@GNU
def test_a_workspace_that_somebody_worked_in_stays_and_so_does_the_state(rig: Rig) -> None:
    bring(rig, "n1")
    (rig.goal / "new").touch()
    assert (seen(rig).copied, seen(rig).workspace, seen(rig).differs) == (True, WorkspacePlace.FULL, ("new",))
    stage(rig, "n2")
    assert rig.register("n2").status == 28
    require_untouched(rig)
    assert (rig.goal / "new").exists()


@GNU
def test_a_workspace_that_has_gone_comes_again(rig: Rig) -> None:
    bring(rig, "n1")
    shutil.move(rig.goal, rig.far / "kept")
    bring(rig, "n2")
    require_whole(rig, "n2")


@GNU
def test_what_moved_away_from_there_is_no_copy_any_more(rig: Rig) -> None:
    bring(rig, "n1")
    (rig.state / "moved-to.json").write_text('{"moved_at": "2026-01-01T00:00:00"}')
    assert (seen(rig).presence, seen(rig).copied) == (Presence.MOVED, False)


@GNU
def test_a_bottle_that_is_no_copy_stays(rig: Rig) -> None:
    rig.stage("n1")
    assert rig.register("n1").status == 0
    assert not seen(rig).copied
    assert not (rig.state / "workspace-left").exists()
    stage(rig, "n2")
    assert rig.register("n2").status == 27
    rig.require_placed("n1")


@GNU
def test_one_that_somebody_works_on_at_this_moment_stays(rig: Rig) -> None:
    bring(rig, "n1")
    stage(rig, "n2")
    with (rig.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reply = rig.register("n2")
    assert (reply.status, "somebody is working on" in reply.err) == (27, True)
    require_untouched(rig)
    reply = rig.register("n2")
    assert reply.status == 0, reply.err
    rig.run(Clear(identity=IDENTITY))
    require_whole(rig, "n2")


@GNU
def test_one_that_is_started_at_the_last_moment_stays(rig: Rig) -> None:
    bring(rig, "n1")
    stage(rig, "n2")
    shim(rig, "sync", f'echo c1 >{rig.state}/container; exec "$real" "$@"')
    assert rig.register("n2").status == 27
    assert (rig.state / "container").read_text() == "c1\n"
    require_untouched(rig)


@GNU
def test_a_workspace_that_is_worked_in_at_the_last_moment_stays_with_the_copy(rig: Rig) -> None:
    bring(rig, "n1")
    stage(rig, "n2")
    shim(rig, "mv", f'case $2 in */.bottle-left-*) touch {rig.goal}/new ;; esac; exec "$real" "$@"')
    assert rig.register("n2").status == 28
    require_untouched(rig)
    assert (rig.goal / "new").exists()
    assert seen(rig).copied


STANDBY = '{\n  "schema": 1,\n  "standby": true\n}\n'


@GNU
def test_a_standby_gives_way_to_a_newer_one_unless_it_is_taken_over_at_the_last_moment(rig: Rig) -> None:
    for nonce in ("n1", "n2"):
        stage(rig, nonce)
        (rig.incoming / f"state-{nonce}" / "moved-to.json").write_text(STANDBY)
        reply = rig.register(nonce)
        assert reply.status == 0, reply.err
        rig.run(Clear(identity=IDENTITY))
        time.sleep(2 * GRAIN / 10**9)
        assert (seen(rig).presence, seen(rig).workspace) == (Presence.MOVED, WorkspacePlace.LEFT)
        assert (rig.state / "metadata.json").read_text() == nonce
    stage(rig, "n3")
    (rig.incoming / "state-n3" / "moved-to.json").write_text(STANDBY)
    with (rig.state / "lock").open("w") as lock:  # as `takeover` holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert rig.register("n3").status == 27
    shim(rig, "sync", f'rm -f {rig.state}/moved-to.json; echo taken >{rig.state}/metadata.json; exec "$real" "$@"')
    assert rig.register("n3").status == 27
    assert (rig.state / "metadata.json").read_text() == "taken\n"
    assert (rig.goal / "file").read_text() == "n2"


@GNU
@pytest.mark.parametrize("standby", [False, True], ids=["copy", "standby"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_killed_at_any_rename_the_older_comes_back_or_the_newer_is_there(
    rig: Rig, step: int, after: bool, standby: bool
) -> None:
    """The renames: what came ever, what came beside its place, the state aside, the workspace aside, and both anew."""
    bring(rig, "n1")
    stage(rig, "n2")
    if standby:
        for state in (rig.state, rig.incoming / "state-n2"):
            (state / "moved-to.json").write_text(STANDBY)
    steps, kill = rig.far / "steps", "kill -9 $PPID"
    way = f'"$real" "$@"; {kill}' if after else kill
    shim(rig, "mv", f'echo >>{steps}; [ "$(wc -l <{steps})" -eq {step} ] || exec "$real" "$@"\n{way}')
    assert rig.register("n2").status != 0
    (rig.programs / "mv").unlink()
    time.sleep(1.1)
    both = {each.read_text() for each in (rig.state / "metadata.json", rig.goal / "file") if each.exists()}
    assert len(both) == 1 or not rig.state.exists(), "a copy is never of two moments"
    arrived = step == 6 and after
    answer = rig.run(Withdraw(identity=IDENTITY, nonce=Nonce("n2"))).out
    assert answer == (b"arrived\n" if arrived else b"withdrawn\n")
    if arrived:
        rig.run(Clear(identity=IDENTITY))
    else:
        assert (rig.state / "metadata.json").read_text() == (rig.goal / "file").read_text() == "n1"
        assert (seen(rig).copied, seen(rig).workspace) == (not standby, WorkspacePlace.LEFT)
    bring(rig, "n3")
    require_whole(rig, "n3")
