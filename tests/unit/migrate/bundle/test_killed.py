"""What an import, an export or an arrival leaves that is killed: all of it is found, and nothing else is taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bottle.errors import BottleError
from bottle.model import MigrationPhase, MigrationRecord, Status
from bottle.naming import Identity
from bottle.operations import Context, plan_for, prune, remove, stop
from bottle.operations.settle import settle
from bottle.plan.garbage import Area, GarbageKind
from bottle.store import temporary
from bottle.store.home import StateHome
from bottle.testing import FakeEngine
from migrate.bundle.export import export
from migrate.bundle.imports import ImportRequest, import_bundle
from migrate.host.arguments import Nonce, Workspace
from migrate.host.commands import Register
from migrate.image.save_stream import SaveStreamSource
from migrate.transport.testing import LocalRemote
from tests.support.trees import snapshot
from tests.support.world import Fate, Killed, World, every_moment
from tests.unit.migrate.bundle.test_bundle import agreed, exported, working

NOW = timedelta(0)
_DIED = 9


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def killed(run: Callable[[], object]) -> bool:
    """Run it in a process of its own, which ends without any clean-up where its fate has it die; whether it did."""
    child = os.fork()
    if not child:
        try:
            run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _DIED


class Death(Fate):
    """A fate after which not even a `finally` is run."""

    def _step(self, name: str, error: Callable[[str], BaseException]) -> None:
        self.done += 1
        if self.done == self.moment + 1:
            os._exit(_DIED)


def everything(folder: Path) -> set[str]:
    """All files and links below a folder, and the folders that are not empty or not bottle's."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_killed_import_leaves_is_seen_by_prune(tmp_path: Path, elsewhere: bool) -> None:
    source = World(tmp_path / "source")
    file = exported(source, working(source))
    halves, placed = 0, 0
    for moment in range(200):
        world = World(tmp_path / str(moment))
        goal = world.folder / "mine" / "place" if elsewhere else None
        request = ImportRequest(agree=agreed, file=file, workspace=goal)
        before = everything(world.folder)

        def run(world: World = world, request: ImportRequest = request, moment: int = moment) -> None:
            with world.doomed(Death(moment=moment, deadly=True)) as context:
                import_bundle(context, request)

        if not killed(run):
            break
        if world.home.identities():
            (identity,) = world.home.identities()  # its name was the last thing: it is whole
            with world.home.bottle(identity).locked("a test"):
                settle(world.context, world.home.bottle(identity))
            assert not (world.home.bottle(identity).path / temporary.OUTSIDE).exists()
            continue
        plan = plan_for(world.context, NOW)
        halves += any("bottle-import" in each.why for each in plan.garbage)
        asked = [each for each in plan.garbage if each.consent]
        placed += bool(asked)
        prune(world.context, plan, consent=False)
        assert bool(everything(world.folder) - before) == bool(asked), moment
        prune(world.context, plan_for(world.context, NOW), consent=True)
        assert everything(world.folder) == before, moment
    assert halves > 5
    assert placed >= 1
    assert moment > 20


def record() -> MigrationRecord:
    return MigrationRecord(
        phase=MigrationPhase.STAGING,
        host="me@there",
        nonce="n",
        commit=1,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        arrives_as=Identity.parse("demo-copy1"),
    )


@pytest.mark.parametrize("deadly", [False, True])
def test_an_export_leaves_the_record_of_a_move_as_it_is_wherever_it_ends(tmp_path: Path, deadly: bool) -> None:
    number = 0

    def run(fate: Fate) -> None:
        nonlocal number
        number += 1
        world = World(tmp_path / str(number))
        bottle = working(world)
        bottle.migration.write(record())
        with world.doomed(fate) as context:
            try:
                export(context, bottle, world.folder / "demo.bottle")
            except (Killed, BottleError, OSError):
                assert fate.came
        assert bottle.migration.read() == record(), fate.last
        with bottle.locked("a test"):
            settle(world.context, bottle)
        assert bottle.migration.read() == record(), fate.last
        assert (world.status(bottle), bottle.paused_by) == (Status.RUNNING, None), fate.last

    assert every_moment(run, deadly=deadly) > 20


def test_the_part_of_a_bundle_that_a_killed_export_leaves_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "world")
    bottle = working(world)
    stop(world.context, bottle)
    before = everything(world.folder)
    away = world.folder / "away"
    away.mkdir()

    def die(*_: object) -> None:
        os._exit(_DIED)

    def run() -> None:
        monkeypatch.setattr("migrate.bundle.export.inspect_bundle", die)
        export(world.context, bottle, away / "demo.bottle")

    assert killed(run)
    (part,) = away.iterdir()
    assert temporary.BUNDLE.matches(part.name)
    (garbage,) = [each for each in plan_for(world.context, NOW).garbage if each.kind is GarbageKind.FOLDER]
    assert str(part) in garbage.why
    assert not garbage.consent
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert list(away.iterdir()) == []

    assert killed(run)
    assert len(list(away.iterdir())) == 1
    monkeypatch.undo()
    done = export(world.context, bottle, away / "demo.bottle")
    assert list(away.iterdir()) == [done.file]
    assert not (world.home.path / "outgoing").exists() or not list((world.home.path / "outgoing").iterdir())
    assert before <= everything(world.folder)


@pytest.mark.parametrize("at", ["first", "second"])
def test_a_workspace_that_was_arriving_is_seen_by_prune(
    tmp_path: Path, far: Path, programs: Path, remote: LocalRemote, identity: Identity, at: str
) -> None:
    """register.sh is killed after the first `mv` of the workspace, or the second, which gives it its place."""
    incoming, goal = far / ".bottle" / "incoming" / str(identity), far / "deep" / "goal"
    for kind in ("state", "workspace"):
        (incoming / f"{kind}-n1").mkdir(parents=True)
        (incoming / f"{kind}-n1" / "file").write_text("work")
    count, last = programs.parent / "count", 1 if at == "first" else 2
    (programs / "mv").write_text(
        f'#!/bin/sh\n/bin/mv "$@"\necho >>{count}\n[ $(wc -l <{count}) -lt {last} ] || kill -9 $PPID\n'
    )
    (programs / "mv").chmod(0o755)
    register = Register(identity=identity, nonce=Nonce("n1"), workspace=Workspace(goal))
    assert remote.run(register.command()).status != 0
    near = goal.parent / f".bottle-incoming-{identity}"
    assert (near.exists(), goal.exists()) == (at == "first", at == "second")
    engine, home = FakeEngine(), StateHome(far / ".bottle")
    layers = SaveStreamSource(engine)
    context = Context(home=home, engine=engine, layers=layers, environ={}, runtime=tmp_path)
    (garbage,) = plan_for(context, NOW).garbage
    assert str(near if at == "first" else goal) in garbage.why
    assert garbage.consent == (at == "second")
    prune(context, plan_for(context, NOW), consent=False)
    assert (near.exists(), goal.exists()) == (False, at == "second")
    prune(context, plan_for(context, NOW), consent=True)
    assert not near.exists()
    assert not goal.exists()
    assert not incoming.exists()


def test_what_has_a_bottle_is_never_taken_for_left_over(world: World) -> None:
    """The staging of a bottle that arrived says where its workspace was put: that is no rest of anything."""
    bottle = world.start()
    incoming = world.home.path / Area.INCOMING.value / str(bottle.identity)
    incoming.mkdir(parents=True)
    (incoming / temporary.PLACED).write_text(f"{world.cwd.stat().st_ino} {world.cwd}\n")
    (garbage,) = plan_for(world.context, NOW).garbage
    assert not garbage.consent
    prune(world.context, plan_for(world.context, NOW), consent=True)
    assert not incoming.exists()
    assert world.cwd.is_dir()


def test_a_workspace_that_outlives_its_bottle_is_not_taken_for_left_over(world: World) -> None:
    """It had arrived, and the staging of its move was never cleared; then its bottle was deleted."""
    bottle = world.start()
    incoming = world.home.path / Area.INCOMING.value / str(bottle.identity)
    incoming.mkdir(parents=True)
    (incoming / temporary.PLACED).write_text(f"{world.cwd.stat().st_ino} {world.cwd}\n")
    stop(world.context, bottle)
    remove(world.context, bottle, consent=True)
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    (garbage,) = plan_for(world.context, NOW).garbage
    assert not garbage.consent
    prune(world.context, plan_for(world.context, NOW), consent=True)
    assert not incoming.exists()
    assert world.cwd.is_dir()


@pytest.mark.parametrize("note", ["/etc/passwd", "relative/.bottle-import-demo-00000", "", "/x\0y"])
def test_a_note_is_believed_only_where_it_names_what_bottle_names_so(world: World, note: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    for folder, name in (
        (world.home.states / ".demo-00000.draft", temporary.OUTSIDE),
        (world.home.path / "outgoing" / "demo-00000" / "export", temporary.OUTSIDE),
        (world.home.path / "incoming" / "demo-00000", temporary.LANDING),
    ):
        folder.mkdir(parents=True)
        (folder / name).write_text(note.replace("/etc/passwd", str(victim)))
    (world.home.path / "incoming" / "demo-00000" / temporary.PLACED).write_text(f"1 {victim}\n")
    plan = plan_for(world.context, NOW)
    assert len(plan.garbage) == 3
    assert not any(each.consent for each in plan.garbage)
    prune(world.context, plan, consent=True)
    assert victim.read_text() == "mine"


def test_halves_that_older_versions_left_below_the_home_are_seen(world: World) -> None:
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    workspaces, arrived = world.home.path / "workspaces", world.home.path / "arrived"
    for path in (
        workspaces / ".bottle-import-demo-00000",
        workspaces / ".bottle-incoming-demo-00000.part",
        workspaces / "demo-00001",
        arrived,
    ):
        path.mkdir(parents=True)
        (path / "file").write_text("x" * 10)
    for loose in (world.home.path / ".host-id.0123456789ab.tmp", arrived / "demo-00000.new", arrived / "demo-00000"):
        loose.write_text("n1\n")
    assert plan_for(world.context, timedelta(days=99999)).garbage == ()
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert everything(world.home.path) == {"workspaces/demo-00001/file", "arrived/demo-00000", "arrived/file"}
    assert snapshot(workspaces / "demo-00001")
