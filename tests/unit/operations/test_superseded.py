"""The volumes that a copy had before it was brought up to date: `prune` ends what was cut, and takes nobody's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from bottle.errors import Conflict
from bottle.files import tree
from bottle.launch import bare_spec
from bottle.model import Mount, MountKind
from bottle.operations import commit, plan_for, prune, stop
from bottle.store.state import BottleState
from tests.support.world import AGENT, World

OWN, OLD, FILLED = "cache.2", "cache", "cache.3"
TARGET = "/opt/cache"


def give(world: World, copy: BottleState, name: str) -> str:
    """A volume of the copy with something in it; a hash of what the engine gives out of it."""
    volume = copy.identity.volume(name)
    world.engine.create_volume(volume, {"bottle.schema": "1", "bottle.identity": str(copy.identity)})
    write(world, copy, name, "work")
    container = bare_spec("looking", copy.identity.committed(1), (_mount(volume, "/looking/cache"),))
    world.engine.create(container)
    digest = sha256(b"".join(world.engine.read_archive("looking", "/looking/cache"))).hexdigest()
    world.engine.remove_container("looking")
    return digest


def write(world: World, copy: BottleState, name: str, what: str) -> None:
    volume = copy.identity.volume(name)
    world.engine.create(bare_spec("writing", copy.identity.committed(1), (_mount(volume, TARGET),)))
    world.engine.write("writing", f"{TARGET}/{what}", what.encode())
    world.engine.remove_container("writing")


def _mount(volume: str, target: str) -> Mount:
    return Mount(kind=MountKind.VOLUME, source=volume, target=target)


@pytest.fixture
def copy(world: World) -> BottleState:
    """A copy that was brought up to date, and to which a newer state was on its way, as register.sh leaves it."""
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    copy = world.start(replace(AGENT, volumes=(_mount(OWN, TARGET),)))
    stop(world.context, copy)
    commit(world.context, copy)
    world.engine.remove_container(copy.identity.container)
    notes = {name: f"{copy.identity.volume(name)} {give(world, copy, name)} {TARGET}\n" for name in (OWN, OLD)}
    (copy.path / "copy").touch()
    (copy.path / "volumes").write_text(notes[OWN])
    (copy.path / "volumes-before").write_text(notes[OLD] + notes[OWN] + f"{copy.identity.volume('gone')} - /x\n")
    give(world, copy, FILLED)
    give(world, copy, "theirs")
    for each in (OWN, FILLED):
        (_staging(world, copy) / "filled").mkdir(parents=True, exist_ok=True)
        (_staging(world, copy) / "filled" / copy.identity.volume(each)).touch()
    (_staging(world, copy) / "state-n2").mkdir()
    return copy


def _staging(world: World, copy: BottleState) -> Path:
    return world.home.path / "incoming" / str(copy.identity)


def left(world: World, copy: BottleState) -> set[str]:
    prefix = copy.identity.volume("")
    return {name.removeprefix(prefix) for name in world.engine.volumes({"bottle.identity": str(copy.identity)})}


def pruned(world: World) -> list[str]:
    """Take away what needs no consent; why what was to go stays."""
    return [each.why for each in prune(world.context, plan_for(world.context, timedelta(0)), consent=False).left]


def test_what_no_state_names_goes_and_its_own_stays(world: World, copy: BottleState) -> None:
    before = left(world, copy)
    assert pruned(world) == []
    assert before - left(world, copy) == {OLD, FILLED}
    assert {OWN, "theirs"} <= left(world, copy)
    assert pruned(world) == []


def test_what_may_be_on_its_way_stays_with_all_that_it_would_replace(world: World, copy: BottleState) -> None:
    before = left(world, copy)
    prune(world.context, plan_for(world.context, timedelta(days=99999)), consent=True)
    assert left(world, copy) == before
    assert (_staging(world, copy) / "state-n2").exists()


def test_without_a_newer_one_on_its_way_there_is_nothing_to_wait_for(world: World, copy: BottleState) -> None:
    tree.discard(_staging(world, copy))
    prune(world.context, plan_for(world.context, timedelta(days=99999)), consent=False)
    assert OLD not in left(world, copy)


def test_what_names_a_volume_goes_before_it(world: World, copy: BottleState) -> None:
    world.engine.fail_next("remove_volume", Conflict("in use"))
    plan = plan_for(world.context, timedelta(0))
    (garbage,) = (each for each in plan.garbage if each.ref == copy.identity.volume(FILLED))
    prune(world.context, replace(plan, garbage=(garbage,)), consent=False)
    assert FILLED in left(world, copy)
    assert not (_staging(world, copy) / "state-n2").exists()


@pytest.mark.parametrize(
    "work",
    [
        lambda world, copy: write(world, copy, OLD, "theirs"),
        lambda _, copy: (copy.path / "committed-image").unlink(),
        lambda world, copy: world.engine.remove_image(copy.identity.committed(1)),
    ],
    ids=["written", "no image is known", "the image is gone"],
)
def test_one_in_which_somebody_may_have_written_stays(
    world: World, copy: BottleState, work: Callable[[World, BottleState], object]
) -> None:
    work(world, copy)
    assert pruned(world) == ["somebody has written in it since it came"]
    assert OLD in left(world, copy)


def test_one_that_the_bottle_has_gone_back_to_stays(world: World, copy: BottleState) -> None:
    metadata = copy.metadata()
    copy.write_metadata(replace(metadata, agent=replace(metadata.agent, volumes=(_mount(OLD, TARGET),))))
    assert pruned(world) == []
    assert OLD in left(world, copy)


def test_one_that_came_into_use_meanwhile_stays(world: World, copy: BottleState) -> None:
    plan = plan_for(world.context, timedelta(0))
    (copy.path / "volumes").write_text((copy.path / "volumes-before").read_text())
    result = prune(world.context, plan, consent=False)
    assert [each.why for each in result.left] == ["it is the bottle's own meanwhile"]
    assert OLD in left(world, copy)
