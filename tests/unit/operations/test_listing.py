"""`list`: every bottle, also one whose state is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.errors import EngineUnreachable
from bottle.launch import bare_spec
from bottle.model import Tombstone
from bottle.operations import BottleView, commit, list_bottles, stop
from bottle.store.state import BottleState
from tests.support.trees import snapshot
from tests.support.world import World


def view(world: World, bottle: BottleState) -> BottleView:
    (found,) = (each for each in list_bottles(world.context) if each.identity == bottle.identity)
    return found


def test_nothing_is_nothing(world: World) -> None:
    assert list_bottles(world.context) == ()


def test_each_condition_has_its_word(world: World) -> None:
    bottle = world.start()
    assert (view(world, bottle).state, view(world, bottle).commit) == ("running", None)
    world.engine.pause(bottle.identity.container)
    assert view(world, bottle).state == "paused"
    stop(world.context, bottle)
    stopped = view(world, bottle)
    assert stopped.state == "stopped"
    assert "143" in stopped.detail
    commit(world.context, bottle)
    world.lose_container(bottle)
    committed = view(world, bottle)
    assert (committed.state, committed.status) == ("committed", "no container")
    assert (committed.commit, committed.preserved) == (1, True)
    assert committed.committed_at is not None
    world.lose_images(bottle)
    gone = view(world, bottle)
    assert (gone.state, gone.status) == ("gone", "image gone")
    assert bottle.identity.committed(1) in gone.detail
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
    assert (view(world, bottle).state, view(world, bottle).status) == ("moved", "moved to far.example")


def test_a_commit_whose_image_somebody_pruned_is_noticed_here(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    world.lose_images(bottle)
    assert view(world, bottle).state == "running"
    assert "gone" in view(world, bottle).detail


@pytest.mark.parametrize("name", ["metadata.json", "commits.json", "committed-image", "moved-to.json"])
def test_a_damaged_bottle_hides_no_other_and_stays_as_it_is(world: World, name: str) -> None:
    sound, damaged = world.start(), world.start()
    Path(damaged.path / name).write_bytes(b"{ half")
    before = snapshot(world.home.path)
    assert view(world, damaged).state == "damaged"
    assert name in view(world, damaged).detail
    assert view(world, sound).state == "running"
    assert {each.identity for each in list_bottles(world.context)} == {sound.identity, damaged.identity}
    assert snapshot(world.home.path) == before


def test_a_bottle_without_a_container_is_shown_too(world: World) -> None:
    bottle, lost = world.start(), world.start()
    world.lose_container(lost)
    shown = {each.identity: each.status for each in list_bottles(world.context)}
    assert shown == {bottle.identity: "running", lost.identity: "no container"}


def test_a_container_that_is_only_being_made_is_no_bottles(world: World) -> None:
    bottle = world.start()
    commit(world.context, bottle)
    draft = bare_spec(bottle.identity.draft, bottle.identity.committed(1))
    world.engine.create(draft)  # labelled as this bottle's, by its image
    assert view(world, bottle).state == "running"
    world.lose_container(bottle)
    assert view(world, bottle).state == "committed"


def test_without_an_engine_there_is_no_list(world: World) -> None:
    world.start()
    world.engine.down = True
    with pytest.raises(EngineUnreachable):
        list_bottles(world.context)
