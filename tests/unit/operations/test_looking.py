"""`inspect`, `history` and `list`: what is known, and at what price."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.errors import StateDamaged
from bottle.model import CommitIntent, MigrationPhase, MigrationRecord, Mount, MountKind, Store, Tombstone
from bottle.naming import Identity
from bottle.operations import ForkRequest, commit, fork, history, inspect, list_bottles, stop
from bottle.plan.sizes import Weight, added, held, steps, weights
from bottle.testing import FakeEngine
from tests.support.world import AGENT, BASE, World

MOVED_AT = datetime(2026, 1, 2, tzinfo=UTC)
INTENT = CommitIntent(nonce="n", number=1, message="", container_id="c", paused=False)


def record(phase: MigrationPhase = MigrationPhase.STAGING, arrives_as: Identity | None = None) -> MigrationRecord:
    return MigrationRecord(
        phase=phase, host="me@there", nonce="n", commit=1, started_at=MOVED_AT, arrives_as=arrives_as
    )


def test_inspect_tells_of_a_fresh_bottle(world: World) -> None:
    bottle = world.start(replace(AGENT, volumes=(Mount(kind=MountKind.VOLUME, source="v", target="/v"),)))
    seen = inspect(world.context, bottle)
    assert seen.metadata == bottle.metadata()
    assert seen.container == world.engine.container(bottle.identity.container)
    assert (seen.committed_tag, seen.image, seen.history.entries) == (None, None, ())
    assert {mount.target for mount in seen.mounts} == {"/v", "/workspace"}
    assert (seen.tombstone, seen.migration, seen.intent, seen.unfinished) == (None, None, None, "")
    assert (seen.transcript.files, seen.transcript.bytes) == (0, 0)


def test_inspect_tells_of_a_committed_one(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/root/.demo/log", b"12345")
    record_ = commit(world.context, bottle).commit
    seen = inspect(world.context, bottle)
    assert seen.image == world.engine.image(record_.tag)
    assert (seen.transcript.files, seen.transcript.bytes) == (1, 5)
    assert seen.written == 5
    assert seen.preserved
    assert seen.state_size > 0
    world.lose_images(bottle)
    world.lose_container(bottle)
    seen = inspect(world.context, bottle)
    assert (seen.committed_tag, seen.image, seen.container, seen.written) == (record_.tag, None, None, None)
    assert [mount.target for mount in seen.mounts] == ["/workspace"]


def test_inspect_names_what_is_damaged(world: World) -> None:
    bottle = world.start()
    (bottle.path / "commits.json").write_text("no")
    with pytest.raises(StateDamaged, match=r"commits\.json"):
        inspect(world.context, bottle)


def test_history_tells_sizes_presence_and_lineage(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x" * 20_000)
    commit(world.context, bottle, message="one")
    commit(world.context, bottle)
    new = fork(world.context, bottle, ForkRequest(at=1, share_cwd=True)).identity
    told = history(world.context, bottle)
    first, second = told.entries
    assert told.origin is None
    assert (first.image, first.in_force, first.forks) == ("present", False, (new,))
    assert first.size is not None
    assert 20_000 < first.size < 50_000
    assert (second.in_force, second.forks) == (True, ())
    forked = history(world.context, world.home.bottle(new))
    assert forked.origin is not None
    assert (forked.origin.identity, forked.origin.commit) == (bottle.identity, 1)
    assert [entry.commit.number for entry in forked.entries] == [1]


def test_history_sees_an_image_that_took_the_tag(world: World) -> None:
    bottle = world.start()
    tag = commit(world.context, bottle).commit.tag
    world.engine.add_image(tag, {"/else": b""})
    assert [entry.image for entry in history(world.context, bottle).entries] == ["replaced"]
    world.lose_images(bottle)
    assert [entry.image for entry in history(world.context, bottle).entries] == ["gone"]


def test_list_tells_own_bytes_from_shared_ones(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x" * 30_000)
    commit(world.context, bottle)
    base = world.engine.image(BASE)
    assert base is not None
    (view,) = list_bottles(world.context)
    assert view.weight is not None
    assert 30_000 < view.weight.own < 60_000
    assert view.weight.shared == base.size
    whole = view.weight.own + view.weight.shared
    new = fork(world.context, bottle, ForkRequest(share_cwd=True)).identity
    views = {each.identity: each for each in list_bottles(world.context)}
    assert views[bottle.identity].weight == views[new].weight == Weight(own=0, shared=whole)


def test_a_base_whose_tag_went_to_a_newer_build_still_counts(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\nRUN echo one > /one\n")
    bottle = world.start(replace(AGENT, image=None, dockerfile=dockerfile))
    commit(world.context, bottle)
    dockerfile.write_text(f"FROM {BASE}\nRUN echo two > /two\n")
    world.start(replace(AGENT, image=None, dockerfile=dockerfile))
    views = {view.identity: view for view in list_bottles(world.context)}
    assert views[bottle.identity].weight is not None


def test_a_base_that_lost_its_name_is_found(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x" * 100)
    commit(world.context, bottle)
    (before,) = list_bottles(world.context)
    world.engine.add_image(BASE, {"/another": b"base"})
    (view,) = list_bottles(world.context)
    assert view.weight == before.weight
    assert view.weight is not None
    assert view.weight.shared > 0


def test_what_arrived_without_the_image_of_its_agent_has_a_size(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x" * 100)
    commit(world.context, bottle)
    arrived = replace(bottle.metadata(), base=("sha256:" + "0" * 64,), image="bottle-demo:latest")
    bottle.write_metadata(arrived)
    (view,) = list_bottles(world.context)
    assert view.weight is not None
    assert view.weight.own >= 100
    (entry,) = history(world.context, bottle).entries
    assert entry.size is None  # what the first commit adds to that image, nobody can tell


def test_list_says_where_a_bottle_moved_and_what_was_cut(world: World) -> None:
    moved, cut, copied, handing, fresh = (world.start() for _ in range(5))
    stop(world.context, moved)
    moved.tombstone.write(Tombstone(host="me@there", moved_at=MOVED_AT))
    cut.intent.write(INTENT)
    copied.migration.write(record(arrives_as=Identity("demo", "zzzzz")))
    handing.migration.write(record(MigrationPhase.HANDING_OFF, handing.identity))
    views = {view.identity: view for view in list_bottles(world.context)}
    assert (views[moved.identity].state, views[moved.identity].moved_to) == ("moved", "me@there")
    assert views[moved.identity].detail == "on 2026-01-02"
    assert views[cut.identity].detail == f"a commit was cut: bottle commit {cut.identity}"
    expected = f"a copy to me@there was cut: bottle migrate {copied.identity} me@there --keep"
    assert views[copied.identity].detail == expected
    assert "was cut while it was handed over: bottle migrate" in views[handing.identity].detail
    assert views[fresh.identity].detail == ""
    with cut.locked("bottle commit"):
        views = {view.identity: view for view in list_bottles(world.context)}
    assert views[cut.identity].detail.startswith("in work: `bottle commit` (process ")


def test_a_crash_shows(world: World) -> None:
    bottle = world.start()
    world.engine.exit(bottle.identity.container, 3)
    (view,) = list_bottles(world.context)
    assert (view.state, view.detail) == ("stopped", "exited with 3")


def test_the_number_of_questions_does_not_grow(world: World) -> None:
    def questions() -> Counter[str]:
        world.engine.calls.clear()
        list_bottles(world.context)
        return Counter(world.engine.methods)

    def add() -> None:
        bottle = world.start()
        world.work(bottle, "/work", str(bottle.identity).encode())
        commit(world.context, bottle)
        stop(world.context, bottle)

    add()
    few = questions()
    for _ in range(7):
        add()
    assert questions() == few
    assert sum(few.values()) <= 4


def test_images_that_are_no_bases_are_looked_at_once(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    bottle.write_metadata(replace(bottle.metadata(), base=("sha256:" + "0" * 64,), image="bottle-demo:latest"))
    for number in range(9):
        world.engine.add_image(f"foreign:{number}", {"/number": str(number).encode()})
    context = world.context
    list_bottles(context)
    world.engine.calls.clear()
    list_bottles(context)
    assert Counter(world.engine.methods)["image"] == 1  # that of the agent, which may be here by now


@pytest.mark.parametrize("store", Store)
def test_what_a_commit_adds_is_in_one_measure(tmp_path: Path, store: Store) -> None:
    world = World(tmp_path / "world", FakeEngine(store=store))
    world.engine.add_image(BASE, {"/large": os.urandom(200_000)})
    bottle = world.start()
    world.work(bottle, "/work", b"x" * 100)
    commit(world.context, bottle)
    (view,) = list_bottles(world.context)
    (entry,) = history(world.context, bottle).entries
    assert view.weight is not None
    assert view.weight.own == entry.size
    assert 100 <= view.weight.own < 50_000 < view.weight.shared


def test_steps_and_what_one_adds() -> None:
    sizes = {("a",): 100, ("a", "b"): 130, ("a", "b", "c", "d"): 150}
    assert steps(("a", "b", "c", "d"), sizes) == {("a",): 100, ("a", "b"): 30, ("a", "b", "c", "d"): 20}
    assert added(("a", "b"), sizes) == 30
    assert added(("a",), sizes) is None
    assert added(("z",), sizes) is None
    one, two = [("a", "b"), ("a", "b", "c", "d")], [("a", "b")]
    assert weights({"one": one, "two": two, "lost": [("z",)]}, [("a",)], {**sizes, ("z",): 7}) == {
        "one": Weight(own=20, shared=130),
        "two": Weight(own=0, shared=130),
        "lost": Weight(own=7, shared=0),
    }


def test_what_a_commit_holds_by_itself() -> None:
    sizes = {("a",): 100, ("a", "b"): 130, ("a", "b", "c"): 150, ("a", "b", "d"): 170}
    one, two, three = ("a", "b"), ("a", "b", "c"), ("a", "b", "d")
    assert held([one, two, three], [("a",)], sizes) == [0, 20, 40]
    assert held([two], [("a",)], sizes) == [50]
    assert held([two], [("a",), one], sizes) == [20]
    assert held([two], [two], sizes) == [0]  # a fork of it
    assert held([two, two], [("a",)], sizes) == [0, 0]
    assert held([("z", "y")], [], {("z", "y"): 7}) == [7]
    unknown = {("a",): 100, two: 150, three: 170}  # how large is what they have in common
    assert held([two, three, ("a", "e")], [("a",)], unknown) == [None, None, None]
    assert held([], [("a",)], sizes) == []


def test_a_fork_has_what_it_was_forked_off_too(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"x" * 1000)
    commit(world.context, bottle)
    world.work(bottle, "/more", b"x" * 1000)
    commit(world.context, bottle)
    first, second = history(world.context, bottle).entries
    assert (first.own, second.own) == (first.size, second.size)
    assert (first.own or 0) >= 1000
    fork(world.context, bottle, ForkRequest(share_cwd=True))
    assert history(world.context, bottle).entries[-1].own == 0
