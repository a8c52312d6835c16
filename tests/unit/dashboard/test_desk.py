"""What the dashboard asks of the world, and what it tells while it works."""

from pathlib import Path

import pytest

from bottle import operations
from bottle.dashboard import status
from bottle.dashboard.desk import Desk
from bottle.dashboard.status import Teller
from bottle.launch import REQUESTS_MOUNT
from bottle.operations import list_requests, resume
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from tests.support.world import BASE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def taken_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bottles whose requests were taken in, which needs their lock."""
    asked: list[str] = []

    def counted(context: object, identity: object) -> object:
        asked.append(str(identity))
        return list_requests(context, identity)  # type: ignore[arg-type]

    monkeypatch.setattr(operations, "list_requests", counted)
    return asked


def ask(world: World, bottle: BottleState, number: int) -> None:
    """The agent asks, as from inside."""
    for name, text in (("reason", "needs jq"), ("Dockerfile", f"FROM {BASE}\n"), ("ready", "")):
        world.engine.write(bottle.identity.container, f"{REQUESTS_MOUNT}/{number}.{name}", text.encode())


def look(desk: Desk, bottle: BottleState) -> list[int]:
    """The requests of a bottle, as the dashboard sees them."""
    (view,) = [view for view in desk.bottles() if view.identity == bottle.identity]
    return [request.number for request in desk.requests(view)]


def test_requests_are_taken_in_when_there_are_new_ones(world: World, taken_in: list[str]) -> None:
    bottle, desk = world.start(), Desk(world.context)
    for _ in range(3):
        assert look(desk, bottle) == []
    assert len(taken_in) == 1
    ask(world, bottle, 1)
    for _ in range(3):
        assert look(desk, bottle) == [1]
    assert len(taken_in) == 2


def test_a_bottle_that_asked_and_ended_is_asked_once_each_time(world: World, taken_in: list[str]) -> None:
    bottle, desk = world.start(), Desk(world.context)
    for number in (1, 2):
        ask(world, bottle, number)
        world.engine.exit(bottle.identity.container)
        assert look(desk, bottle)[-1] == number
        before = len(world.engine.calls)
        assert look(desk, bottle)[-1] == number
        assert "read_archive" not in {call.method for call in world.engine.calls[before:]}
        assert len(taken_in) == number
        resume(world.context, bottle, ResumeRequest())


def test_a_bottle_that_asked_and_is_paused_is_asked(world: World, taken_in: list[str]) -> None:
    bottle, desk = world.start(), Desk(world.context)
    ask(world, bottle, 1)
    world.engine.pause(bottle.identity.container)
    for _ in range(3):
        assert look(desk, bottle) == [1]
    assert len(taken_in) == 1


def test_a_bottle_without_a_container_is_not_asked(world: World, taken_in: list[str]) -> None:
    bottle, desk = world.start(), Desk(world.context)
    ask(world, bottle, 1)
    assert look(desk, bottle) == [1]
    world.engine.exit(bottle.identity.container)
    world.engine.remove_container(bottle.identity.container)
    assert look(desk, bottle) == [1]
    assert len(taken_in) == 1


def test_what_is_locked_now_is_taken_in_later(world: World) -> None:
    bottle, desk = world.start(), Desk(world.context)
    ask(world, bottle, 1)
    with bottle.locked("bottle commit"):
        assert look(desk, bottle) == []
    assert look(desk, bottle) == [1]


def test_progress_is_told_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_INTERVAL", 0.0)
    told: list[str] = []
    teller = Teller()
    teller.listener = told.append
    with teller.phase("saving", total=200):
        teller.advance(50)
        with teller.phase("building x"):
            teller.note("Step 1/2")
            teller.advance(10)
        teller.advance(150)
    teller.advance(5)
    assert told == ["saving …", "saving … 25%", "building x …", "Step 1/2", "saving … 100%"]
