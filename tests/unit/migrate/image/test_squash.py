"""Commits that got deep: squashed above the base, whole wherever that ends, and good as they are where it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from bottle.errors import BottleError, EngineError, NotFound, VerificationFailed
from bottle.model import ImageFacts, Store
from bottle.operations import Committed, Context, commit, plan_for, prune, resume, stop
from bottle.plan.commit import layers_to_fold
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from bottle.testing import FakeEngine
from migrate.image.squash import Squasher, squashed_config
from tests.support.world import Fate, Killed, World, every_moment

DEEP = 4


@pytest.fixture(autouse=True)
def shallow_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold at a depth that a few commits reach."""
    monkeypatch.setattr("bottle.plan.commit.SQUASH_AT", DEEP)


@pytest.fixture(params=list(Store), ids=lambda store: store.value)
def store(request: pytest.FixtureRequest) -> Store:
    return request.param


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    return World(tmp_path / "world", engine=FakeEngine(store=store))


def squashing(world: World, context: Context | None = None) -> Context:
    """A context that can fold."""
    context = context or world.context
    return replace(context, squasher=Squasher(context.engine, context.layers, world.home.path, context.progress))


def image_of(world: World, ref: str) -> ImageFacts:
    image = world.engine.image(ref)
    assert image is not None
    return image


def cycle(world: World, bottle: BottleState, number: int) -> Committed:
    """Work, a commit, and a container made from it."""
    world.work(bottle, f"/work/{number}", b"%d" % number)
    world.work(bottle, "/last", b"%d" % number)
    if number > 1:
        world.engine.erase(bottle.identity.container, f"/work/{number - 2}")
    committed = commit(squashing(world), bottle)
    stop(squashing(world), bottle)
    world.lose_container(bottle)
    resume(squashing(world), bottle, ResumeRequest())
    return committed


def leftovers(world: World) -> list[Path]:
    return list((world.home.path / "outgoing").rglob("*"))


def test_a_bottle_can_be_committed_and_resumed_for_ever(world: World) -> None:
    bottle = world.start()
    base = image_of(world, bottle.metadata().image)
    squashed = []
    for number in range(1, 20):
        committed = cycle(world, bottle, number)
        image = image_of(world, committed.commit.tag)
        assert image.diff_ids == committed.commit.diff_ids
        assert image.config_digest == committed.commit.config_digest
        assert len(image.diff_ids) <= DEEP
        assert image.diff_ids[: len(base.diff_ids)] == base.diff_ids
        assert world.content(bottle, "/last") == b"%d" % number
        assert world.content(bottle, f"/work/{number}") == b"%d" % number
        assert world.content(bottle, f"/work/{number - 2}") is None
        world.check_tidy(bottle)
        squashed.append(committed.squashed)
    assert set(squashed) == {0, DEEP}
    assert world.content(bottle, "/etc/passwd")
    assert leftovers(world) == []
    assert not [each for each in world.engine.images({"bottle.identity": str(bottle.identity)}) if not each.tags]
    assert any("squashing" in name for name, _ in world.progress.phases)


@pytest.mark.parametrize(
    ("base", "layers", "squashes"),
    [
        (("b",), 4, 0),
        (("b",), 5, 4),
        ((), 9, 0),
        (tuple("bcdefg"), 7, 0),
        (tuple("bcdefg"), 8, 2),
        (("x",), 9, 0),
    ],
)
def test_only_own_layers_and_only_deep_ones_are_folded(base: tuple[str, ...], layers: int, squashes: int) -> None:
    assert layers_to_fold(base, tuple("bcdefghijk"[:layers])) == squashes


def test_what_cannot_fold_is_committed_as_it_is(world: World) -> None:
    bottle = world.start()
    for number in range(1, 2 * DEEP):
        world.work(bottle, "/work", b"%d" % number)
        committed = commit(world.context, bottle)
        world.lose_container(bottle)
        resume(world.context, bottle, ResumeRequest())
        assert committed.squashed == 0
        assert len(committed.commit.diff_ids) == number + 1


@pytest.mark.parametrize("broken", ["save", "load", "create", "info", "disk"])
def test_a_fold_that_fails_costs_nothing_but_depth(world: World, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    for number in range(1, DEEP):
        cycle(world, bottle, number)
    world.work(bottle, "/last", b"deep")
    context = squashing(world)
    assert context.squasher is not None
    squash = context.squasher.squash

    class Breaking:
        def squash(self, *args: object, **named: object) -> ImageFacts:
            if broken == "disk":
                monkeypatch.setattr("migrate.image.squash.merge", full)
            else:
                world.engine.fail_next(broken, EngineError(f"{broken} fails"))
            return squash(*args, **named)  # type: ignore[arg-type]

    def full(*_: object) -> Iterator[bytes]:
        raise OSError(28, "No space left on device")

    committed = commit(replace(context, squasher=Breaking()), bottle)
    assert (committed.squashed, len(committed.commit.diff_ids)) == (0, DEEP + 1)
    assert "good as it is" in world.progress.notes[-1]
    assert leftovers(world) == []
    world.check_tidy(bottle)
    monkeypatch.undo()
    monkeypatch.setattr("bottle.plan.commit.SQUASH_AT", DEEP)
    stop(squashing(world), bottle)
    world.lose_container(bottle)
    resume(squashing(world), bottle, ResumeRequest())
    assert world.content(bottle, "/last") == b"deep"
    assert cycle(world, bottle, 9).squashed == DEEP + 1


def test_an_image_that_comes_out_otherwise_is_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    for number in range(1, DEEP):
        cycle(world, bottle, number)

    def other(config: bytes, base: int, diff_id: str) -> bytes:
        document = json.loads(squashed_config(config, base, diff_id))
        document["config"]["Env"] = ["OTHER=1"]
        return json.dumps(document, sort_keys=True).encode()

    monkeypatch.setattr("migrate.image.squash.squashed_config", other)
    committed = cycle(world, bottle, DEEP)
    assert (committed.squashed, len(committed.commit.diff_ids)) == (0, DEEP + 1)
    assert "not as it was made" in world.progress.notes[-1]


def test_only_an_image_on_its_base_is_folded(world: World) -> None:
    bottle = world.start()
    tag = commit(world.context, bottle).commit.tag
    base = image_of(world, bottle.metadata().image).diff_ids
    squasher = Squasher(world.engine, world.context.layers, world.home.path, world.progress)
    for wrong in ((), ("sha256:" + "0" * 64,), image_of(world, tag).diff_ids):
        with pytest.raises(VerificationFailed):
            squasher.squash(bottle.identity, tag, base=wrong, tag=bottle.identity.committing("n"))
    with pytest.raises(NotFound):
        squasher.squash(bottle.identity, "nothing:1", base=base, tag=bottle.identity.committing("n"))


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_it_ends_a_commit_is_in_force_and_the_next_works(store: Store, tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world = World(tmp_path / str(next(numbers)), engine=FakeEngine(store=store))
        bottle = world.start()
        for number in range(1, DEEP):
            cycle(world, bottle, number)
        world.work(bottle, "/last", b"deep")
        try:
            with world.doomed(fate) as context:
                commit(squashing(world, context), bottle)
        except (Killed, BottleError):
            assert fate.came
        world.check(bottle)
        assert bottle.committed_image() in {bottle.identity.committed(DEEP - 1), bottle.identity.committed(DEEP)}
        again = commit(squashing(world), bottle)
        assert again.commit.number in {DEEP, DEEP + 1}, fate.last
        assert again.squashed == DEEP, fate.last
        if fate.last == "before remove_image":  # what could not be taken away is known as what it is
            prune(world.context, plan_for(world.context, timedelta(0)), consent=False)
        world.check_tidy(bottle)
        for record in bottle.commits():
            image = image_of(world, record.tag)
            assert (image.diff_ids, image.config_digest) == (record.diff_ids, record.config_digest), fate.last
        assert all(each.tags for each in world.engine.images({"bottle.identity": str(bottle.identity)}))
        world.lose_container(bottle)
        resume(world.context, bottle, ResumeRequest())
        assert world.content(bottle, "/last") == b"deep", fate.last

    assert every_moment(run, deadly=deadly) > 50


def test_the_config_keeps_all_but_its_own_layers() -> None:
    base = [{"created_by": "ADD"}, {"created_by": "CMD", "empty_layer": True}]
    own = [
        {"created": "1", "comment": "one"},
        {"created": "2", "empty_layer": True},
        {"created": "3", "comment": "two"},
    ]
    config = {
        "architecture": "amd64",
        "config": {"Env": ["A=ü"]},
        "container": "kept",
        "history": base + own,
        "rootfs": {"type": "layers", "diff_ids": ["b", "x", "y"]},
    }
    squashed = json.loads(squashed_config(json.dumps(config).encode(), 1, "z"))
    assert squashed == config | {
        "history": [*base, {"created": "3", "comment": "two (2 commits, squashed by bottle)"}],
        "rootfs": {"type": "layers", "diff_ids": ["b", "z"]},
    }
    odd = json.loads(squashed_config(json.dumps(config | {"history": own}).encode(), 1, "z"))
    assert odd["history"] == [{"created": "3", "comment": "two (2 commits, squashed by bottle)"}]
    assert "history" not in json.loads(squashed_config(b'{"rootfs":{"diff_ids":["b","x"]}}', 1, "z"))
