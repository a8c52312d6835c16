"""A bundle there and back again, with an engine in memory: what arrives, what does not, and what a failure leaves."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import (
    BottleError,
    Conflict,
    EngineError,
    NeedsConsent,
    NotFound,
    PreflightRefused,
    StillPaused,
    VerificationFailed,
)
from bottle.launch import REQUESTS_MOUNT
from bottle.model import (
    Agent,
    ImageFacts,
    Lineage,
    MigrationPhase,
    MigrationRecord,
    Mount,
    MountKind,
    RequestStatus,
    Status,
)
from bottle.operations.commit import commit
from bottle.operations.remove import remove
from bottle.operations.requests import collect
from bottle.operations.resume import resume
from bottle.operations.stop import stop
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from bottle.testing import FakeEngine
from migrate.bundle.export import export
from migrate.bundle.file import BundleFile
from migrate.bundle.imports import Imported, ImportRequest, import_bundle
from tests.support.git import repository, view as git_view, worktree
from tests.support.trees import edit_while_packed, snapshot
from tests.support.world import BASE, Fate, Killed, World, every_moment

OTHER = "sha256:" + "0" * 64
SECRET = "secret DEMO_KEY, taken from your environment at each resume"
AGENT = Agent(
    name="demo",
    image=BASE,
    command=("cat",),
    transcript=("/root/.demo",),
    secrets=("DEMO_KEY",),
    network="none",
    volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/root/.cache"),),
)


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def elsewhere(tmp_path: Path) -> World:
    """Another host, whose engine has nothing of the first."""
    return World(tmp_path / "elsewhere")


def working(world: World) -> BottleState:
    """A running bottle with work of every kind."""
    (world.cwd / "plan.txt").write_text("the plan")
    (world.cwd / "bin").mkdir(mode=0o751)
    (world.cwd / "bin" / "run").write_text("#!/bin/sh\n")
    (world.cwd / "bin" / "run").chmod(0o755)
    os.link(world.cwd / "bin" / "run", world.cwd / "bin" / "again")
    (world.cwd / "link").symlink_to("bin/run")
    bottle = world.start(AGENT)
    world.work(bottle, "/root/installed", b"by hand")
    world.work(bottle, "/root/.demo/journal", b"step 1\n")
    world.work(bottle, "/root/.cache/entry", b"cached")
    return bottle


def agreed(asked: tuple[str, ...]) -> bool:
    return set(asked) <= {SECRET, "its own Dockerfile, which the next resume builds"}


def exported(world: World, bottle: BottleState) -> Path:
    file = world.folder / "demo.bottle"
    export(world.context, bottle, file)
    return file


def brought_in(world: World, file: Path) -> tuple[BottleState, Imported]:
    imported = import_bundle(world.context, ImportRequest(agree=agreed, file=file))
    return world.home.bottle(imported.identity), imported


def test_all_of_a_bottle_arrives_elsewhere(world: World, elsewhere: World) -> None:
    bottle = working(world)
    there, imported = brought_in(elsewhere, exported(world, bottle))
    assert there.identity != bottle.identity
    metadata = there.metadata()
    assert metadata.copied_from == Lineage(identity=bottle.identity, commit=1)
    assert metadata.cwd == imported.workspace == elsewhere.home.path / "workspaces" / str(there.identity)
    assert there.committed_image() == there.identity.committed(1)
    assert there.preserved
    assert [commit.tag for commit in there.commits()] == [there.identity.committed(1)]
    elsewhere.check_tidy(there)
    resumed = resume(elsewhere.context, there, ResumeRequest())
    assert "commit 1" in resumed.plan.row
    assert elsewhere.content(there, "/root/installed") == b"by hand"
    assert elsewhere.content(there, "/root/.demo/journal") == b"step 1\n"
    assert elsewhere.content(there, "/root/.cache/entry") == b"cached"
    assert (there.transcript / "files/root/.demo/journal").read_bytes() == b"step 1\n"
    assert imported.workspace is not None
    assert snapshot(imported.workspace) == snapshot(world.cwd)
    same = [(imported.workspace / "bin" / name).stat().st_ino for name in ("run", "again")]
    assert same[0] == same[1]
    assert imported.powers == (
        "secret DEMO_KEY, taken from your environment at each resume",
        f"image {BASE}, if it is ever rebuilt",
    )


def test_words_that_are_no_utf8_arrive_as_text(world: World, elsewhere: World) -> None:
    """A message, and the name of the bundle, come from a command line as they are."""
    bottle = world.start(AGENT)
    commit(world.context, bottle, message="caf\udce9")
    world.work(bottle, "/more", b"work")
    file = world.folder / "caf\udce9.bottle"
    export(world.context, bottle, file)
    there, _ = brought_in(elsewhere, file)
    assert [each.message for each in there.commits()] == ["caf\ufffd", "exported to caf\ufffd.bottle"]
    assert [each.message for each in bottle.commits()] == [each.message for each in there.commits()]


def test_what_is_edited_while_it_is_packed_is_in_the_bundle(
    world: World, elsewhere: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = working(world)
    edit_while_packed(monkeypatch, world.cwd / "bin" / "run", rounds=3)
    _, imported = brought_in(elsewhere, exported(world, bottle))
    assert imported.workspace is not None
    assert (imported.workspace / "bin" / "again").read_text() == "#!/bin/sh\n" + "more\n" * 3
    assert snapshot(imported.workspace) == snapshot(world.cwd)


def test_what_would_be_refused_is_refused_before_the_agent_is_paused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = working(world)
    paused: list[str] = []
    monkeypatch.setattr(world.engine, "pause", paused.append)
    world.work(bottle, "/root/.netrc", b"machine x login y password z")
    with pytest.raises(PreflightRefused, match=r"/root/\.netrc: logins"):
        exported(world, bottle)
    assert (paused, bottle.commits()) == ([], ())


def test_what_is_edited_without_end_keeps_a_bundle_from_being_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = working(world)
    edit_while_packed(monkeypatch, world.cwd / "journal", rounds=100)
    with pytest.raises(Conflict, match=r"somebody is working in .*: journal"):
        exported(world, bottle)
    assert world.status(bottle) is Status.RUNNING
    assert list(world.folder.glob("*.bottle*")) == []


def test_requests_are_decided_and_answered_where_they_arrive(world: World, elsewhere: World) -> None:
    bottle = working(world)
    for kind, text in (("reason", "jq"), ("Dockerfile", "FROM a"), ("ready", "")):
        world.work(bottle, f"{REQUESTS_MOUNT}/1.{kind}", text.encode())
    there, _ = brought_in(elsewhere, exported(world, bottle))
    (request,) = there.requests()
    assert (request.number, request.reason, request.dockerfile) == (1, "jq", "FROM a")
    assert bottle.requests() == (request,)
    there.write_request(replace(request, status=RequestStatus.DENIED, note="use python"))
    resume(elsewhere.context, there, ResumeRequest())
    answer = elsewhere.runtime / str(there.identity) / "answers" / "1"
    assert answer.read_text() == "denied\nuse python\n"
    with there.locked("a test"):
        assert collect(elsewhere.context, there) == there.requests()


def test_what_was_half_approved_elsewhere_is_undecided_where_it_arrives(world: World, elsewhere: World) -> None:
    bottle = working(world)
    for number in (1, 2):
        for kind, text in (("reason", "jq"), ("Dockerfile", f"FROM a{number}"), ("ready", "")):
            world.work(bottle, f"{REQUESTS_MOUNT}/{number}.{kind}", text.encode())
    with bottle.locked("a test"):
        requests = collect(world.context, bottle)
    for request in requests:
        bottle.write_request(replace(request, status=RequestStatus.APPROVING, note="fine"))
    there, _ = brought_in(elsewhere, exported(world, bottle))
    assert there.requests() == requests


def test_an_approved_dockerfile_is_built_where_it_arrives(world: World, elsewhere: World) -> None:
    bottle = working(world)
    stop(world.context, bottle)
    commit(world.context, bottle)
    bottle.write_own_dockerfile("FROM scratch\n")
    bottle.mark_rebuild()
    there, imported = brought_in(elsewhere, exported(world, bottle))
    assert there.rebuild_due
    assert imported.powers[-2] == "its own Dockerfile, which the next resume builds"


def test_the_bottle_goes_on_where_it_was(world: World) -> None:
    bottle = working(world)
    exported(world, bottle)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.migration.read() is None
    assert bottle.tombstone.read() is None
    world.check_tidy(bottle)
    assert world.engine.methods.index("pause") < world.engine.methods.index("commit")
    assert not (world.home.path / "outgoing" / str(bottle.identity)).exists()


def test_a_stopped_bottle_without_newer_work_is_not_committed_again(world: World) -> None:
    bottle = working(world)
    stop(world.context, bottle)
    assert export(world.context, bottle, world.folder / "one").committed
    assert not export(world.context, bottle, world.folder / "two").committed
    assert len(bottle.commits()) == 1


def test_a_copy_comes_back_after_the_bottle_was_deleted(world: World) -> None:
    bottle = working(world)
    file = exported(world, bottle)
    stop(world.context, bottle)
    remove(world.context, bottle, consent=True)
    there, _ = brought_in(world, file)
    resume(world.context, there, ResumeRequest())
    assert world.content(there, "/root/.cache/entry") == b"cached"
    assert world.content(there, "/root/installed") == b"by hand"


def test_both_go_on_side_by_side(world: World) -> None:
    bottle = working(world)
    file = exported(world, bottle)
    first, _ = brought_in(world, file)
    second, _ = brought_in(world, file)
    assert len({bottle.identity, first.identity, second.identity}) == 3
    resume(world.context, first, ResumeRequest())
    world.work(first, "/root/.cache/entry", b"other")
    assert world.content(bottle, "/root/.cache/entry") == b"cached"


def test_an_import_of_an_import_arrives(world: World, elsewhere: World, tmp_path: Path) -> None:
    first, _ = brought_in(elsewhere, exported(world, working(world)))
    third = World(tmp_path / "third", engine=FakeEngine())
    last, imported = brought_in(third, exported(elsewhere, first))
    assert imported.origin.identity == first.identity
    resume(third.context, last, ResumeRequest())
    assert third.content(last, "/root/installed") == b"by hand"


def test_what_a_volume_lost_does_not_come_back_from_the_image(world: World, elsewhere: World) -> None:
    world.engine.add_image(BASE, {"/bin/sh": b"", "/root/.cache/seed": b"from the image"}, Cmd=["bash"])
    bottle = working(world)
    assert world.content(bottle, "/root/.cache/seed") == b"from the image"
    world.engine.erase(bottle.identity.container, "/root/.cache/seed")
    there, _ = brought_in(elsewhere, exported(world, bottle))
    resume(elsewhere.context, there, ResumeRequest())
    assert elsewhere.content(there, "/root/.cache/seed") is None
    assert elsewhere.content(there, "/root/.cache/entry") == b"cached"


def test_the_file_is_private_and_whole_progress_is_told(world: World) -> None:
    file = exported(world, working(world))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    total = dict(world.progress.phases)[f"writing {file.name}"]
    assert total == world.progress.done[f"writing {file.name}"] == file.stat().st_size
    assert [path.name for path in file.parent.glob(".*")] == []
    assert dict(world.progress.phases)["checking the bundle"] == world.progress.done["checking the bundle"] > 0


def test_each_step_of_an_import_counts_its_bytes(world: World, elsewhere: World) -> None:
    brought_in(elsewhere, exported(world, working(world)))
    steps, done = dict(elsewhere.progress.phases), elsewhere.progress.done
    for step in ("checking the bundle", "loading the image", "unpacking the workspace", "unpacking the state"):
        assert steps[step] == done[step] > 0, step


def test_members_come_in_their_order(world: World) -> None:
    with BundleFile.open(exported(world, working(world))) as bundle:
        names = [member.name for member in bundle.manifest.members]
    assert names == [
        "image/config.json",
        "image/layer-000.tar.zst",
        "image/layer-001.tar.zst",
        "volumes/000.tar.zst",
        "workspace.tar.zst",
        "state.tar.zst",
    ]


def test_an_existing_file_is_left_alone(world: World) -> None:
    bottle = working(world)
    file = world.folder / "demo.bottle"
    file.write_text("mine")
    with pytest.raises(Conflict):
        export(world.context, bottle, file)
    assert file.read_text() == "mine"
    assert bottle.commits() == ()


def test_a_folder_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(NotFound, match="no folder"):
        export(world.context, working(world), world.folder / "nowhere" / "file")


def test_links_that_point_out_stay_behind_and_are_named(world: World, elsewhere: World) -> None:
    bottle = working(world)
    (world.cwd / "python").symlink_to("/usr/bin/python3")
    (world.cwd / "bin" / "up").symlink_to("../../other")
    file = world.folder / "demo.bottle"
    done = export(world.context, bottle, file)
    assert done.links == ("bin/up -> ../../other", "python -> /usr/bin/python3")
    _, imported = brought_in(elsewhere, file)
    assert imported.workspace is not None
    assert sorted(snapshot(imported.workspace)) == sorted(set(snapshot(world.cwd)) - {"python", "bin/up"})


def test_a_git_worktree_is_in_it_as_a_repository_of_its_own(world: World, elsewhere: World, tmp_path: Path) -> None:
    bottle = working(world)
    folder = worktree(repository(tmp_path / "main"), world.cwd / "try")
    seen = git_view(folder)
    file = world.folder / "demo.bottle"
    done = export(world.context, bottle, file)
    assert len(done.carried) == 1
    (tmp_path / "main").rename(tmp_path / "gone")
    _, imported = brought_in(elsewhere, file)
    assert imported.workspace is not None
    assert git_view(imported.workspace / "try") == seen


def test_what_the_workspace_needs_of_this_host_stays_behind_with_consent_only(world: World) -> None:
    bottle = working(world)
    (world.folder / "data").mkdir()
    (world.cwd / "data").symlink_to("../data")
    file = world.folder / "demo.bottle"
    with pytest.raises(NeedsConsent, match="data"):
        export(world.context, bottle, file)
    assert not file.exists()
    assert bottle.commits() == ()
    done = export(world.context, bottle, file, consent=True)
    assert done.left_behind == ("what a link leads to: data -> ../data",)
    assert done.links == ("data -> ../data",)


def test_a_missing_workspace_is_refused_before_anything_is_done(world: World) -> None:
    bottle = working(world)
    world.cwd.rename(world.folder / "moved")
    with pytest.raises(PreflightRefused, match="workspace"):
        export(world.context, bottle, world.folder / "demo.bottle")
    assert bottle.commits() == ()


def test_nothing_to_export(world: World) -> None:
    bottle = working(world)
    world.lose_container(bottle)
    with pytest.raises(NotFound, match="nothing to export"):
        export(world.context, bottle, world.folder / "demo.bottle")


def test_a_workspace_lands_where_it_is_told_to(world: World, elsewhere: World) -> None:
    file = exported(world, working(world))
    goal = elsewhere.folder / "new" / "place"
    import_bundle(elsewhere.context, ImportRequest(agree=agreed, file=file, workspace=goal))
    assert snapshot(goal) == snapshot(world.cwd)
    taken = elsewhere.folder / "taken"
    taken.mkdir()
    (taken / "file").write_text("mine")
    before = snapshot(elsewhere.folder)
    with pytest.raises(Conflict, match="never overwritten"):
        import_bundle(elsewhere.context, ImportRequest(agree=agreed, file=file, workspace=taken))
    assert snapshot(elsewhere.folder) == before


def test_a_copied_workspace_is_in_the_image_alone(world: World, elsewhere: World) -> None:
    (world.cwd / "plan.txt").write_text("the plan")
    bottle = world.start(AGENT, copy_cwd=True)
    there, imported = brought_in(elsewhere, exported(world, bottle))
    assert imported.workspace is None
    assert there.metadata().cwd is None
    resume(elsewhere.context, there, ResumeRequest())
    assert elsewhere.content(there, "/workspace/plan.txt") == b"the plan"


def test_a_running_bottle_is_held_still_and_the_note_of_a_move_is_left_alone(world: World) -> None:
    bottle = working(world)
    note = MigrationRecord(
        phase=MigrationPhase.STAGING, host="far", nonce="n", commit=2, started_at=world.engine.clock()
    )
    bottle.migration.write(note)
    for _ in range(2):
        world.engine.fail_next("unpause", EngineError("Too many open files"))
    exported(world, bottle)
    assert world.engine.methods.count("pause") == 1
    assert world.status(bottle) is Status.RUNNING
    assert (bottle.paused_by, bottle.migration.read()) == (None, note)


def test_an_agent_that_stays_frozen_after_an_export_is_told_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bottle.operations.pause._TRIES", ())
    bottle = working(world)
    world.engine.fail_next("unpause", EngineError("Too many open files"))
    with pytest.raises(StillPaused, match="cannot be let go on"):
        exported(world, bottle)
    exported(world, bottle)
    assert world.status(bottle) is Status.RUNNING


def test_another_architecture_is_refused(world: World, elsewhere: World) -> None:
    elsewhere_image = world.engine.add_image(BASE, {"/bin/sh": b""}, architecture="arm64", Cmd=["bash"])
    assert elsewhere_image.architecture == "arm64"
    with pytest.raises(PreflightRefused, match="arm64"):
        brought_in(elsewhere, exported(world, working(world)))


@pytest.mark.parametrize(
    "other", [{"diff_ids": ("sha256:" + "0" * 64,)}, {"config_digest": "sha256:" + "0" * 64}, None]
)
def test_an_image_that_the_engine_made_something_else_of_is_refused(
    world: World, elsewhere: World, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any] | None
) -> None:
    file = exported(world, working(world))
    true_image = elsewhere.engine.image

    def image(ref: str) -> ImageFacts | None:
        facts = true_image(ref)
        return replace(facts, **other) if facts is not None and other is not None else None

    with monkeypatch.context() as patch:
        patch.setattr(elsewhere.engine, "image", image)
        with pytest.raises(VerificationFailed, match="not the one that was committed"):
            brought_in(elsewhere, file)
    assert elsewhere.home.identities() == ()
    assert [tag for each in elsewhere.engine.images({}) for tag in each.tags] == [BASE]


@pytest.mark.parametrize("deadly", [False, True])
def test_an_export_that_ends_anywhere_leaves_the_bottle_whole(tmp_path: Path, deadly: bool) -> None:
    number = 0

    def run(fate: Fate) -> None:
        nonlocal number
        number += 1
        world = World(tmp_path / str(number))
        bottle = working(world)
        file = world.folder / "demo.bottle"
        with world.doomed(fate) as context:
            try:
                export(context, bottle, file)
            except (Killed, BottleError, OSError):
                assert fate.came
        assert [path.name for path in world.folder.glob(".*.part")] == []
        file.unlink(missing_ok=True)
        export(world.context, bottle, file)
        assert world.status(bottle) is Status.RUNNING
        assert (bottle.intent.read(), bottle.migration.read()) == (None, None)
        world.check(bottle)

    assert every_moment(run, deadly=deadly) > 20


def test_an_import_that_fails_anywhere_leaves_nothing(tmp_path: Path) -> None:
    source = World(tmp_path / "source")
    file = exported(source, working(source))
    number = 0

    def run(fate: Fate) -> None:
        nonlocal number
        number += 1
        world = World(tmp_path / str(number))
        with world.doomed(fate) as context:
            try:
                import_bundle(context, ImportRequest(agree=agreed, file=file))
            except (BottleError, OSError):
                assert fate.came
        if fate.came and not world.home.identities():
            left = (
                [path for path in world.home.path.rglob("*") if not path.is_dir()] if world.home.path.exists() else []
            )
            assert left == []
            assert world.engine.containers({"bottle.schema": None}) == ()
            assert world.engine.volumes({"bottle.schema": None}) == ()
            assert [tag for image in world.engine.images({}) for tag in image.tags] == [BASE]
        brought_in(world, file)

    assert every_moment(run, deadly=False) > 20
