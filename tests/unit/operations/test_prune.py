"""`prune`: garbage goes, and nothing else, whatever is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bottle.errors import Conflict, EngineError
from bottle.files import tree
from bottle.launch import bare_spec
from bottle.model import (
    Arrived,
    CommitIntent,
    CommitSpec,
    ContainerSummary,
    ImageDefaults,
    ImageFacts,
    MigrationPhase,
    MigrationRecord,
    Mount,
    MountKind,
    Status,
    Tombstone,
    VolumeFacts,
)
from bottle.naming import HELPER_IMAGE, LABEL_PART, LABEL_SCHEMA, Identity
from bottle.operations import ForkRequest, commit, fork, plan_for, prune, resume, stop
from bottle.operations.arriving import touched_at, undisturbed
from bottle.plan.garbage import Area, BottleFacts, FolderFacts, Garbage, GarbageFacts, GarbageKind
from bottle.plan.prune import plan_prune
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from tests.support.values import IDENTITIES
from tests.support.world import AGENT, BASE, World

NOW = timedelta(0)
HELPER = "bottle-read-0123456789ab"
STRANGER = Identity("other", "00000")
ANY = ImageDefaults()


def planned(world: World, patience: timedelta = NOW) -> dict[str, Garbage]:
    return {each.ref: each for each in plan_for(world.context, patience).garbage}


def record(host: str = "there") -> MigrationRecord:
    return MigrationRecord(
        phase=MigrationPhase.STAGING, host=host, nonce="n", commit=1, started_at=datetime(2026, 1, 1, tzinfo=UTC)
    )


def image_of(world: World, ref: str) -> ImageFacts:
    image = world.engine.image(ref)
    assert image is not None
    return image


def lost_commit(world: World, bottle: BottleState, nonce: str = "feed", tag: str | None = None) -> ImageFacts:
    """A commit that the engine finished and nobody wrote down."""
    world.work(bottle, "/lost", nonce.encode())
    labels = (("bottle.schema", "1"), ("bottle.identity", str(bottle.identity)), ("bottle.nonce", nonce))
    spec = CommitSpec(tag=tag or "lost:1", labels=labels, defaults=ImageDefaults(), message="")
    image = world.engine.commit(bottle.identity.container, spec)
    if tag is None:
        world.engine._tags.pop("lost:1")
    return image


def test_a_tidy_home_has_no_garbage(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    world.start()
    stop(world.context, bottle)
    plan = plan_for(world.context, NOW)
    assert (plan.garbage, plan.kept, plan.size) == ((), (), 0)


def test_staging_goes_unless_a_move_is_in_flight(world: World) -> None:
    bottle, other = world.start(), world.start()
    bottle.migration.write(record())
    folders = {}
    for name in (str(bottle.identity), str(other.identity), "gone-00000", "notes"):
        folders[name] = world.home.path / "outgoing" / name
        (folders[name] / "layers").mkdir(parents=True)
        (folders[name] / "layers" / "blob").write_bytes(b"x" * 100)
    found = planned(world)
    assert set(found) == {str(folders[str(other.identity)]), str(folders["gone-00000"])}
    assert {each.size for each in found.values()} == {100}
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert [name for name, folder in folders.items() if folder.exists()] == [str(bottle.identity), "notes"]


def test_what_arrives_is_left_alone_for_a_while(world: World) -> None:
    world.engine.clock.now = datetime.now(UTC) + timedelta(hours=2)
    folder = world.home.path / "incoming" / "demo-00000"
    folder.mkdir(parents=True)
    assert planned(world, timedelta(hours=4)) == {}
    assert set(planned(world, timedelta(hours=1))) == {str(folder)}
    arrived = world.start()
    (world.home.path / "incoming" / str(arrived.identity)).mkdir()
    assert str(world.home.path / "incoming" / str(arrived.identity)) in planned(world, timedelta(hours=4))


def test_what_a_script_of_a_move_works_on_stays(world: World) -> None:
    world.engine.clock.now = datetime.now(UTC) + timedelta(hours=2)
    staging = world.home.path / "incoming" / "demo-00000"
    staging.mkdir(parents=True)
    plan = plan_for(world.context, NOW)
    with undisturbed(staging):
        (left,) = prune(world.context, plan, consent=True).left
    assert "may be sending" in left.why
    assert staging.exists()
    assert len(prune(world.context, plan, consent=True).removed) == 1
    assert len(prune(world.context, plan, consent=True).removed) == 1  # gone already is fine


def test_a_bottle_that_moved_and_may_be_coming_back_is_not_offered(world: World) -> None:
    bottle = world.start()
    stop_container(world, bottle)
    bottle.tombstone.write(Tombstone(host="there", moved_at=world.engine.clock()))
    staging = world.home.path / "incoming" / str(bottle.identity)
    staging.mkdir(parents=True)
    world.engine.clock.now = datetime.now(UTC)
    plan = plan_for(world.context)
    assert plan.garbage == ()
    assert {each.name for each in plan.kept} == {str(staging), f"{bottle.identity} (moved to there)"}
    world.engine.clock.now += timedelta(days=2)
    assert [each.kind for each in plan_for(world.context).garbage] == [GarbageKind.FOLDER, GarbageKind.BOTTLE]


def test_leftovers_of_deletions_and_drafts_go_and_what_the_engine_has_of_them(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    draft = world.home.draft(Identity("demo", "zzzzz"))
    draft.path.mkdir(parents=True)
    world.engine.tag(bottle.identity.committed(1), draft.identity.committed(1))
    world.engine.create_volume(draft.identity.volume("cache"), {"bottle.schema": "1", "bottle.identity": "demo-zzzzz"})
    deleted = world.home.states / ".demo-yyyyy.deleted"
    deleted.mkdir()
    (world.home.states / ".hidden").mkdir()
    with draft.locked("bottle fork"):
        assert set(planned(world)) == {str(deleted)}
    assert set(planned(world)) == {
        str(deleted),
        str(draft.path),
        draft.identity.committed(1),
        draft.identity.volume("cache"),
    }
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert planned(world) == {}
    assert (world.home.states / ".hidden").exists()
    world.check_tidy(bottle)


def test_trial_builds_go_once_they_are_of_no_use(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    labels = {"bottle.schema": "1", "bottle.agent": "demo"}
    unknown = Identity("demo", "zzzzz")
    for tag in (bottle.identity.trial, bottle.identity.rebuilt, unknown.rebuilt):
        world.engine.build(
            dockerfile=f"FROM {BASE}\nRUN echo {tag} > /x\n".encode(),
            context=world.cwd,
            tag=tag,
            labels=labels,
            args={},
            secrets={},
            progress=world.progress,
        )
    young = plan_for(world.context, timedelta(days=36500))
    assert {each.name for each in young.kept} == {bottle.identity.trial, unknown.rebuilt}
    bottle.mark_rebuild()
    assert set(planned(world)) == {unknown.rebuilt}
    bottle.clear_rebuild()
    found = planned(world)
    assert set(found) == {bottle.identity.trial, unknown.rebuilt}
    assert not found[bottle.identity.trial].consent
    assert found[unknown.rebuilt].consent
    prune(world.context, plan_for(world.context, NOW), consent=True)
    assert planned(world) == {}
    assert world.engine.image(bottle.identity.rebuilt) is not None


def test_containers_that_only_looked_go(world: World) -> None:
    world.engine.create(bare_spec(HELPER, BASE))
    world.engine.create(bare_spec("bottle-fill-0123456789ab", BASE))
    world.engine.start("bottle-fill-0123456789ab")
    world.engine.create(bare_spec("bottle-read-mine", BASE))
    unlabelled = replace(bare_spec("bottle-check-0123456789ab", BASE), labels=())
    world.engine.create(unlabelled)
    found = planned(world)
    assert [each.name for each in found.values()] == [HELPER]
    assert planned(world, timedelta(days=1)) == {}
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert world.engine.container(HELPER) is None
    assert len(world.engine.containers({})) == 3


def test_the_image_of_helpers_goes_where_there_is_no_bottle(world: World) -> None:
    world.engine.add_image(HELPER_IMAGE, Labels={LABEL_SCHEMA: "1"})
    assert list(planned(world)) == [HELPER_IMAGE]
    world.engine.create(bare_spec("bottle-help-0123456789ab", HELPER_IMAGE))
    assert [each.name for each in planned(world).values()] == ["bottle-help-0123456789ab"]
    prune(world.context, plan_for(world.context, NOW), consent=False)
    bottle = world.start()
    assert planned(world) == {}
    world.lose_container(bottle)
    tree.remove(bottle.path)
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert world.engine.image(HELPER_IMAGE) is None


def test_one_that_runs_meanwhile_stays(world: World) -> None:
    world.engine.create(bare_spec(HELPER, BASE))
    plan = plan_for(world.context, NOW)
    world.engine.start(HELPER)
    pruned = prune(world.context, plan, consent=True)
    assert (pruned.removed, [each.name for each in pruned.left]) == ((), [HELPER])
    assert world.engine.container(HELPER) is not None


@pytest.mark.parametrize("name", [Identity.committing, Identity.unfolded])
def test_cut_commits_go_unless_the_next_command_adopts_them(world: World, name: Callable[[Identity, str], str]) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    image = lost_commit(world, bottle, tag=name(bottle.identity, "feed"))
    bottle.intent.write(CommitIntent(nonce="feed", number=2, message="", container_id="c", paused=False))
    assert planned(world) == {}
    bottle.intent.clear()
    assert planned(world, timedelta(days=1)) == {}
    (garbage,) = planned(world).values()
    assert not garbage.consent
    assert garbage.size is not None
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert world.engine.image(image.id) is None
    world.check_tidy(bottle)


def part(world: World, identity: Identity, number: int) -> str:
    """First layers of a commit that was cut short, as they are loaded."""
    tag = identity.part("feed", number)
    layers = {f"/{each}": bytes(1000) for each in range(number + 1)}
    world.engine.add_image(tag, layers, Labels={LABEL_PART: "feed"})
    return tag


def test_first_layers_of_a_cut_commit_go_and_of_a_bottle_that_is_gone_with_consent(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    ours = [part(world, bottle.identity, number) for number in range(2)]
    bottle.intent.write(CommitIntent(nonce="feed", number=2, message="", container_id="c", paused=False))
    assert planned(world) == {}
    bottle.intent.clear()
    assert planned(world, timedelta(days=1)) == {}
    assert {ref: each.consent for ref, each in planned(world).items()} == dict.fromkeys(ours, False)
    lost = part(world, STRANGER, 0)
    assert planned(world)[lost].consent
    assert {each.ref for each in prune(world.context, plan_for(world.context, NOW), consent=False).removed} == set(ours)
    assert world.engine.image(lost) is not None
    staging = world.home.path / "incoming" / str(STRANGER)
    staging.mkdir(parents=True)
    with undisturbed(staging):  # a move brings it
        assert planned(world) == {}
    staging.rmdir()
    assert [each.ref for each in prune(world.context, plan_for(world.context, NOW), consent=True).removed] == [lost]
    assert planned(world) == {}
    world.check_tidy(bottle)


def test_what_somebody_committed_by_hand_goes_with_consent_only(world: World) -> None:
    bottle = world.start()
    unnamed = [lost_commit(world, bottle)]
    world.engine.erase(bottle.identity.container, "/lost")
    commit(world.context, bottle)
    world.lose_container(bottle)
    resume(world.context, bottle, ResumeRequest())
    world.work(bottle, "/by-hand", b"hours")
    world.engine.commit(bottle.identity.container, CommitSpec(tag="x:1", labels=(), defaults=ANY, message=""))
    unnamed.append(image_of(world, "x:1"))
    world.engine._tags.pop("x:1")
    assert unnamed[1].labels["bottle.nonce"] == image_of(world, bottle.identity.committed(1)).labels["bottle.nonce"]
    assert [each.consent for each in planned(world).values()] == [True, True]
    assert prune(world.context, plan_for(world.context, NOW), consent=False).removed == ()
    assert {each.ref for each in prune(world.context, plan_for(world.context, NOW), consent=True).removed} == {
        each.id for each in unnamed
    }


def test_a_commit_whose_tag_somebody_took_is_no_garbage(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"hours")
    tag = commit(world.context, bottle).commit.tag
    world.engine.add_image(tag, {"/else": b""})
    world.engine.tag(tag, bottle.identity.committed_latest)
    assert planned(world) == {}


def test_nothing_is_known_of_commits_while_a_history_cannot_be_read(world: World) -> None:
    bottle, damaged = world.start(), world.start()
    lost_commit(world, bottle)
    (damaged.path / "commits.json").write_text("{}")
    assert planned(world) == {}


def test_a_bottle_that_moved_goes_with_consent_only(world: World) -> None:
    bottle, stays = world.start(), world.start()
    commit(world.context, bottle)
    commit(world.context, stays)
    bottle.tombstone.write(Tombstone(host="there", moved_at=world.engine.clock()))
    assert planned(world) == {}  # its container runs
    stop_container(world, bottle)
    (garbage,) = planned(world).values()
    assert (garbage.kind, garbage.ref, garbage.consent) == (GarbageKind.BOTTLE, str(bottle.identity), True)
    assert prune(world.context, plan_for(world.context, NOW), consent=False).removed == ()
    plan = plan_for(world.context, NOW)
    bottle.tombstone.clear()
    assert prune(world.context, plan, consent=True).removed == ()
    bottle.tombstone.write(Tombstone(host="there", moved_at=world.engine.clock()))
    world.engine.create(replace(bare_spec("mine", bottle.identity.committed(1)), labels=()))
    (left,) = prune(world.context, plan, consent=True).left
    assert "container mine" in left.why
    assert bottle.exists()
    world.engine.remove_container("mine")
    assert len(prune(world.context, plan, consent=True).removed) == 1
    assert world.home.identities() == (stays.identity,)
    assert world.cwd.exists()
    world.check_tidy(stays)


def stop_container(world: World, bottle: BottleState) -> None:
    world.engine.stop(bottle.identity.container)


def test_volumes_of_bottles_not_known_here_need_consent_and_nobody_to_speak_for_them(world: World) -> None:
    labels = {"bottle.schema": "1", "bottle.identity": str(STRANGER)}
    world.engine.create_volume(STRANGER.volume("cache"), labels)
    world.engine.create_volume("precious", labels)
    assert planned(world, timedelta(days=1)) == {}
    (garbage,) = planned(world).values()
    assert (garbage.ref, garbage.consent) == (STRANGER.volume("cache"), True)
    tag = world.engine.add_image(STRANGER.committed(1), Labels={"bottle.schema": "1"}).tags[0]
    assert planned(world) == {}
    world.engine.remove_image(tag)
    prune(world.context, plan_for(world.context, NOW), consent=True)
    assert world.engine.volumes({}) == ("precious",)


def test_what_came_into_use_stays_and_is_told_of(world: World) -> None:
    world.engine.create_volume(STRANGER.volume("x"), {"bottle.schema": "1", "bottle.identity": str(STRANGER)})
    plan = plan_for(world.context, NOW)
    world.engine.fail_next("remove_volume", Conflict("in use"))
    pruned = prune(world.context, plan, consent=True)
    assert [each.why for each in pruned.left] == ["in use"]


@pytest.mark.parametrize("patience", [NOW, timedelta(days=99999)])
def test_what_a_move_that_was_given_up_had_brought_into_the_engine_goes_with_its_staging(
    world: World, patience: timedelta
) -> None:
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    other = world.start()
    stop(world.context, other)
    commit(world.context, other)
    world.engine.tag(other.identity.committed(1), STRANGER.committed(3))
    world.engine.create_volume(STRANGER.volume("x"), {"bottle.schema": "1", "bottle.identity": str(STRANGER)})
    assert planned(world) == {}  # it may be anybody's
    staging = world.home.path / "incoming" / str(STRANGER)
    staging.mkdir(parents=True)
    plan = planned(world, patience)
    if patience:
        assert plan == {}
        return
    assert set(plan) == {STRANGER.committed(3), STRANGER.volume("x"), str(staging)}
    assert all(each.consent for each in plan.values())
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert set(planned(world)) == set(plan)  # not forgotten as long as nobody has said so
    prune(world.context, plan_for(world.context, NOW), consent=True)
    assert planned(world) == {}
    assert world.engine.image(STRANGER.committed(3)) is None
    assert world.engine.volumes({"bottle.identity": str(STRANGER)}) == ()
    world.check(other)


def test_a_state_that_was_about_to_be_replaced_is_put_back(world: World) -> None:
    """A bottle that came back was cut between the two renames of register.sh, and the move was given up."""
    bottle = world.start()
    stop(world.context, bottle)
    commit(world.context, bottle)
    bottle.tombstone.write(Tombstone(host="there", moved_at=world.engine.clock(), arrived=Arrived(commits=())))
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    staging = world.home.path / "incoming" / str(bottle.identity)
    staging.mkdir(parents=True)
    bottle.path.rename(staging / "replaced")
    (garbage,) = planned(world).values()
    assert (garbage.ref, garbage.consent) == (str(staging), False)
    prune(world.context, plan_for(world.context, NOW), consent=True)
    assert not staging.exists()
    (moved,) = planned(world).values()
    assert moved.only_here == ("commit 1",)


@pytest.mark.parametrize("taken", [False, True])
def test_a_workspace_that_made_room_for_what_did_not_come_is_put_back(
    world: World, tmp_path: Path, taken: bool
) -> None:
    staging, place = world.home.path / "incoming" / str(STRANGER), tmp_path / "project"
    staging.mkdir(parents=True)
    (staging / "landing").write_text(str(place))
    aside = place.with_name(f".bottle-left-{STRANGER}")
    aside.mkdir()
    (aside / "work").write_text("mine")
    if taken:
        place.mkdir()
    world.engine.clock.now = datetime.now(UTC) + timedelta(days=3)
    (garbage,) = planned(world).values()
    assert f"the workspace that made room at {place} is put back, or beside it" in garbage.why
    prune(world.context, plan_for(world.context), consent=True)
    goal = place.with_name(f"project.before-{STRANGER}") if taken else place
    assert (goal / "work").read_text() == "mine"
    assert not aside.exists()
    assert not staging.exists()


def given_up(world: World) -> BottleState:
    """What a move that was given up brought: staging, an image, a volume; the state folder that it would have made."""
    world.engine.clock.now = datetime.now(UTC) + timedelta(days=3)
    other = world.start()
    commit(world.context, other)
    world.engine.tag(other.identity.committed(1), STRANGER.committed(3))
    world.engine.create_volume(STRANGER.volume("x"), {"bottle.schema": "1", "bottle.identity": str(STRANGER)})
    (world.home.path / "incoming" / str(STRANGER)).mkdir(parents=True)
    return world.home.bottle(STRANGER)


def test_what_has_become_a_bottle_since_the_question_stays(world: World) -> None:
    arriving = given_up(world)
    plan = plan_for(world.context)
    assert {each.kind for each in plan.garbage} == {GarbageKind.IMAGE, GarbageKind.VOLUME, GarbageKind.FOLDER}
    arriving.path.mkdir()
    pruned = prune(world.context, plan, consent=True)
    assert {each.kind for each in pruned.removed} == {GarbageKind.FOLDER}
    assert {each.why for each in pruned.left} == {f"{STRANGER} has come here meanwhile"}
    assert world.engine.image(STRANGER.committed(3)) is not None


def test_what_a_move_works_with_stays(world: World) -> None:
    given_up(world)
    plan = plan_for(world.context)
    with undisturbed(world.home.path / "incoming" / str(STRANGER)):
        assert prune(world.context, plan, consent=True).removed == ()


def test_what_got_a_name_since_the_question_stays(world: World) -> None:
    bottle = world.start()
    image = lost_commit(world, bottle)
    plan = plan_for(world.context, NOW)
    world.engine.tag(image.id, "mine:1")
    (left,) = prune(world.context, plan, consent=True).left
    assert left.why == "it is called mine:1 now"
    assert world.engine.image("mine:1") is not None


def test_a_draft_is_known_as_long_as_the_engine_has_something_of_it(world: World) -> None:
    """The only note of whose it is goes last."""
    bottle = world.start(replace(AGENT, volumes=(Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),)))
    commit(world.context, bottle)
    real = world.engine.write_archive

    def goes_away(*args: Any) -> None:
        world.engine.down = True
        real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.engine, "write_archive", goes_away)
        with pytest.raises(EngineError):
            fork(world.context, bottle, ForkRequest(share_cwd=True))
    world.engine.down = False
    assert "bottle prune" in world.progress.notes[-1]
    (draft,) = world.home.leftovers()
    world.engine.fail_next("remove_volume", Conflict("in use"))
    world.engine.fail_next("remove_volume", Conflict("in use"))
    pruned = prune(world.context, plan_for(world.context, NOW), consent=False)
    assert [each.why for each in pruned.left] == ["in use", "in use"]
    assert draft.exists()
    prune(world.context, plan_for(world.context, NOW), consent=False)
    assert planned(world) == {}
    assert not draft.exists()
    assert {each for each in world.engine.volumes({}) if not each.startswith(f"bottle-{bottle.identity}")} == set()
    world.check_tidy(bottle)


def test_commits_of_a_bottle_that_is_not_known_here_are_named(world: World) -> None:
    world.engine.add_image(STRANGER.committed(1), Labels={"bottle.schema": "1"})
    (kept,) = plan_for(world.context, NOW).kept
    assert kept.name == STRANGER.committed_repository
    assert f"docker image ls {STRANGER.committed_repository}" in kept.why


def test_a_bottle_with_two_containers_holds_up_nothing_else(world: World) -> None:
    bottle = world.start()
    stop_container(world, bottle)
    commit(world.context, bottle)
    world.engine.rename(bottle.identity.container, "old")
    labels = (("bottle.schema", "1"), ("bottle.identity", str(bottle.identity)))
    world.engine.create(replace(bare_spec(bottle.identity.container, BASE), labels=labels))
    bottle.tombstone.write(Tombstone(host="there", moved_at=world.engine.clock()))
    deleted = world.home.states / ".demo-yyyyy.deleted"
    deleted.mkdir()
    pruned = prune(world.context, plan_for(world.context, NOW), consent=True)
    assert [each.ref for each in pruned.removed] == [str(deleted)]
    assert "2 containers" in pruned.left[0].why


def test_what_cannot_be_deleted_holds_up_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("xxxxx", "yyyyy"):
        (world.home.states / f".demo-{name}.deleted").mkdir(parents=True)
    real = tree.remove

    def refuse(path: Path) -> None:
        if "xxxxx" in path.name:
            raise PermissionError(1, "Operation not permitted")
        real(path)

    monkeypatch.setattr(tree, "remove", refuse)
    pruned = prune(world.context, plan_for(world.context, NOW), consent=True)
    assert (len(pruned.removed), len(pruned.left)) == (1, 1)


@pytest.mark.parametrize("years", [20, 9000])
def test_what_shows_a_time_to_come_is_as_old_as_it_is(years: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.utime(tmp_path / "file", (0, time.time() + years * 365 * 86400))
    assert abs(touched_at(tmp_path) - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize("name", ["landing", "placed"])
def test_a_note_that_is_no_file_is_none(world: World, name: str) -> None:
    staging = world.home.path / "incoming" / str(STRANGER)
    staging.mkdir(parents=True)
    os.mkfifo(staging / name)
    world.engine.clock.now = datetime.now(UTC) + timedelta(days=3)
    assert set(planned(world)) == {str(staging)}


# Nothing but garbage, whatever is there.

LABELS = st.fixed_dictionaries(
    {},
    optional={
        "bottle.schema": st.just("1"),
        "bottle.identity": IDENTITIES.map(str) | st.just("no identity"),
        "bottle.nonce": st.sampled_from(["a", "b"]),
    },
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 5), timezones=st.just(UTC))
CHAINS = st.sampled_from([("base",), ("base", "1"), ("base", "1", "2")])
FEW = st.sampled_from([Identity("demo", f"0000{number}") for number in range(3)])


@st.composite
def worlds(draw: st.DrawFn) -> GarbageFacts:
    ours = st.builds(lambda labels, identity: {**labels, "bottle.identity": str(identity)}, LABELS, FEW)
    labels = ours | LABELS
    tags = st.one_of(
        st.builds(lambda identity: identity.committed(1), FEW),
        st.builds(lambda identity, nonce: identity.committing(nonce), FEW, st.sampled_from(["a", "b"])),
        st.sampled_from(["debian:latest", "bottle-demo:latest"]),
    )
    names = st.sampled_from([HELPER, "bottle-fill-00112233aabb", "bottle-demo-00000", "bottle-read-x", "web"])
    bottles = draw(
        st.lists(
            st.builds(
                BottleFacts,
                identity=FEW,
                moved_to=st.none() | st.just("there"),
                moving=st.booleans(),
                nonce=st.none() | st.sampled_from(["a", "b"]),
                busy=st.booleans(),
                alive=st.booleans(),
                damaged=st.booleans(),
                chains=st.frozensets(CHAINS),
            ),
            max_size=3,
            unique_by=lambda bottle: bottle.identity,
        )
    )
    images = st.builds(
        ImageFacts,
        id=st.uuids().map(str),
        tags=st.lists(tags, max_size=2, unique=True).map(tuple),
        diff_ids=CHAINS,
        config_digest=st.just(""),
        architecture=st.just("amd64"),
        os=st.just("linux"),
        size=st.integers(0, 1000),
        created_at=st.none() | MOMENTS,
        labels=labels,
        defaults=st.just(ImageDefaults()),
    )
    containers = st.builds(
        ContainerSummary,
        id=st.uuids().map(str),
        name=names,
        image=st.just("image"),
        status=st.sampled_from(Status),
        exit_code=st.none(),
        created_at=MOMENTS,
        labels=labels,
    )
    volumes = st.builds(
        VolumeFacts,
        name=st.builds(lambda identity: identity.volume("cache"), FEW) | st.just("data"),
        labels=labels,
        created_at=st.none() | MOMENTS,
    )
    folders = st.builds(
        FolderFacts,
        path=st.uuids().map(lambda name: Path("/home/x", str(name))),
        area=st.sampled_from(Area),
        identity=FEW,
        size=st.integers(0, 1000),
        touched_at=MOMENTS,
        busy=st.booleans(),
        placed=st.none() | st.just(Path("/work/project")),
    )
    return GarbageFacts(
        bottles={bottle.identity: bottle for bottle in bottles},
        folders=draw(st.lists(folders, max_size=4).map(tuple)),
        containers=draw(st.lists(containers, max_size=4).map(tuple)),
        images=draw(st.lists(images, max_size=5).map(tuple)),
        volumes=draw(st.lists(volumes, max_size=4).map(tuple)),
        sizes={},
        now=datetime(2026, 1, 5, tzinfo=UTC),
        patience=draw(st.sampled_from([NOW, timedelta(days=1)])),
    )


@given(worlds())
def test_no_plan_takes_what_is_not_ours_or_the_only_copy_of_work(facts: GarbageFacts) -> None:
    drafts = {each.identity for each in facts.folders if each.area is Area.DRAFT and not each.busy}
    drafts -= facts.bottles.keys()
    abandoned = {each.identity for each in facts.folders if each.area is Area.INCOMING} - facts.bottles.keys()
    in_history = {chain for bottle in facts.bottles.values() for chain in bottle.chains}
    for garbage in plan_prune(facts).garbage:
        match garbage.kind:
            case GarbageKind.CONTAINER:
                (container,) = [each for each in facts.containers if each.id == garbage.ref]
                assert container.name.startswith(("bottle-read-", "bottle-fill-"))
                assert container.status is Status.CREATED
                assert "bottle.schema" in container.labels
            case GarbageKind.IMAGE:
                holders = [each for each in facts.images if garbage.ref in (each.id, *each.tags)]
                assert all("bottle.schema" in each.labels for each in holders if garbage.ref not in each.tags)
                if any(garbage.ref.startswith(f"{each.committed_repository}:") for each in drafts):
                    continue  # a tag of a draft, whose image is another bottle's under another tag
                if any(garbage.ref.startswith(f"{each.committed_repository}:") for each in abandoned):
                    assert garbage.consent
                    continue  # loaded by a move that did not end here
                assert any(each.diff_ids not in in_history for each in holders)
                assert garbage.consent or ":in-flight-" in garbage.ref
                assert not any(each.damaged for each in facts.bottles.values())
            case GarbageKind.VOLUME:
                volume = next(each for each in facts.volumes if each.name == garbage.ref)
                owners = {each.labels.get("bottle.identity") for each in facts.volumes if each.name == garbage.ref}
                assert volume.name.startswith("bottle-")
                assert not owners <= {str(each) for each in facts.bottles}
                assert garbage.consent or owners & {str(each) for each in drafts}
            case GarbageKind.FOLDER:
                (folder,) = [each for each in facts.folders if str(each.path) == garbage.ref]
                owner = facts.bottles.get(folder.identity)
                assert not folder.busy
                assert garbage.consent or folder.placed is None
                assert not garbage.consent or folder.placed is not None or folder.identity in abandoned
                assert owner is None or not owner.busy
                assert not (folder.area is Area.OUTGOING and owner is not None and owner.moving)
            case GarbageKind.BOTTLE:
                bottle = facts.bottles[Identity.parse(garbage.ref)]
                assert garbage.consent
                assert bottle.moved_to is not None
                assert not any((bottle.alive, bottle.damaged, bottle.moving, bottle.busy))


@given(worlds())
def test_what_is_agreed_to_is_part_of_the_plan(facts: GarbageFacts) -> None:
    plan = plan_prune(facts)
    assert plan.agreed(consent=True) == plan.garbage
    assert not any(each.consent for each in plan.agreed(consent=False))
