"""Moves from the dashboard: the form, the command line, and what becomes of its answer."""

import json
import sys
import threading
from pathlib import Path
from queue import Queue

import pytest
from textual.widgets import Input

from bottle.dashboard import moving
from bottle.dashboard.desk import Outcome
from bottle.dashboard.dialogs import MoveForm, objections
from bottle.dashboard.moving import Move, MoveFailed, Wish, arguments, outcome
from bottle.naming import Identity
from tests.support.dashboard import opened, run
from tests.support.world import World

IDENTITY = Identity.parse("demo-x7k2p")
ANSWER = {
    "host": "me@newhost",
    "commit": 2,
    "resumed": None,
    "resume": f"bottle resume {IDENTITY}",
    "missing_there": [],
    "credentials_along": [],
    "carried": [],
    "left_behind": [],
    "stays": [],
    "skipped": [],
    "dropped": [],
    "newer_here": [],
}
ERROR = {"error": {"what": "no route [to] host", "left": "it is here", "next": "bottle migrate again"}, "exit_code": 6}
LONG = (
    "import json, sys, time\n"
    "print('begun', file=sys.stderr, flush=True)\n"
    "try:\n    time.sleep(60)\n"
    f"except KeyboardInterrupt:\n    print({json.dumps(ERROR)!r}); raise SystemExit(130)"
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def pretend(monkeypatch: pytest.MonkeyPatch, script: str) -> list[tuple[str, ...]]:
    """Run `script` in place of bottle; the command lines that there were."""
    asked: list[tuple[str, ...]] = []

    def command(*words: str) -> tuple[str, ...]:
        asked.append(words)
        return (sys.executable, "-c", script)

    monkeypatch.setattr(moving, "command_line", command)
    return asked


def test_the_command_line() -> None:
    words = arguments(IDENTITY, Wish(host="me@new", keep=True, resume=True, workspace="/srv/x"))
    assert words[1:] == (
        "-P", "-m", "bottle", "migrate", "--format", "json", "--keep", "--resume", "--workspace=/srv/x", "--",
        "demo-x7k2p", "me@new",
    )  # fmt: skip


def test_nothing_that_is_typed_is_an_option() -> None:
    words = arguments(IDENTITY, Wish(host="--from", workspace="--yes"))
    assert words[-3:] == ("--", "demo-x7k2p", "--from")
    assert "--yes" not in words


@pytest.mark.parametrize(
    ("wish", "fine"),
    [
        (Wish(host="me@new:22"), True),
        (Wish(host="new", workspace="/srv"), True),
        (Wish(host=""), False),
        (Wish(host="a b"), False),
        (Wish(host="new", workspace="srv"), False),
    ],
)
def test_the_form_objects_to_what_cannot_be(wish: Wish, fine: bool) -> None:
    assert (list(objections(wish)) == []) is fine


def test_an_answer_says_how_to_go_on() -> None:
    done = outcome(IDENTITY, json.dumps({**ANSWER, "missing_there": ["bottle"]}), 0)
    assert done.text == f"{IDENTITY} arrived on me@newhost (commit 2); there: bottle resume {IDENTITY}"
    assert done.line == ""  # here it would be refused
    assert done.notes == ("missing there: bottle",)
    resumed = outcome(IDENTITY, json.dumps({**ANSWER, "resumed": f"{IDENTITY} is running"}), 0)
    assert resumed.text.endswith(f"; there: {IDENTITY} is running")
    assert resumed.line == ""


def test_what_did_not_travel_and_what_did_is_told() -> None:
    told = {
        "missing_there": ["bottle"],
        "credentials_along": ["/root/.netrc"],
        "stays": ["a bind"],
        "skipped": ["a fifo"],
        "dropped": ["an ACL"],
        "newer_here": ["late"],
    }
    assert outcome(IDENTITY, json.dumps({**ANSWER, **told}), 0).notes == (
        "missing there: bottle",
        "a credential went along: /root/.netrc",
        "did not travel: a bind",
        "holds no content, so did not travel: a fifo",
        "dropped: an ACL",
        "edited during the hand-over, so newer here than there: late",
    )


def test_an_answer_of_any_length_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"import json; print(json.dumps({{**{ANSWER!r}, 'stays': ['x' * 1000] * 1000}}), flush=True)"
    pretend(monkeypatch, script)
    move, done = Move(IDENTITY, Wish(host="newhost")), Queue[Outcome]()
    thread = threading.Thread(target=lambda: done.put(move.run()), daemon=True)
    thread.start()
    thread.join(20)
    stuck = thread.is_alive()
    if stuck and move.process is not None:
        move.process.kill()
    assert not stuck
    assert len(done.get().notes) == 1000


def test_an_error_comes_through_in_its_own_words() -> None:
    with pytest.raises(MoveFailed, match="no route") as caught:
        outcome(IDENTITY, json.dumps(ERROR), 6)
    assert (caught.value.left, caught.value.next_step) == ("it is here", "bottle migrate again")


@pytest.mark.parametrize("answer", ["", "{", "[]", "{}", '{"error": {}}', '{"error": 3}'])
def test_no_answer_is_an_error_that_promises_nothing(answer: str) -> None:
    with pytest.raises(MoveFailed, match="exit code -9"):
        outcome(IDENTITY, answer, -9)


def test_a_move_with_its_form_and_its_progress(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    script = f"import sys; print('staging [bold] 50%', file=sys.stderr); print({json.dumps(ANSWER)!r})"
    asked = pretend(monkeypatch, script)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("m")
            await screen.see(f"Move {bottle.identity}")
            await screen.press("enter")
            await screen.see("which host?")
            await screen.type("me@newhost")
            await screen.press("tab", "tab", "space", "tab", "tab", "enter")
            assert not isinstance(screen.app.screen, MoveForm)
            await screen.see("staging [bold] 50%")
            await screen.press("escape")
            await screen.see("arrived on me@newhost", "there: bottle resume")

    run(play)
    assert asked == [("migrate", "--format", "json", "--keep", "--", str(bottle.identity), "me@newhost")]


def test_a_move_that_fails_shows_its_error_and_next_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    pretend(monkeypatch, f"print({json.dumps(ERROR)!r}); raise SystemExit(6)")

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("m")
            await screen.type("newhost")
            await screen.press("enter", "escape")
            await screen.see("no route [to] host", "state: it is here", "next:  bottle migrate again")

    run(play)


def test_a_move_goes_on_out_of_sight_and_can_be_interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    pretend(monkeypatch, LONG)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("m")
            await screen.type("newhost")
            await screen.press("enter")
            await screen.see("begun", "x interrupts it")
            await screen.press("escape", "s", "y")
            await screen.see("moving still goes on")
            await screen.press("m")
            await screen.see("begun")
            await screen.press("x", "escape")
            await screen.see("no route [to] host")
            await screen.press("m")
            assert isinstance(screen.app.screen, MoveForm)
            assert screen.app.screen.query_one("#host", Input).value == ""

    run(play)


def test_leaving_interrupts_a_move_and_says_how_it_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    pretend(monkeypatch, LONG)
    words: list[str] = []

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("m")
            await screen.type("newhost")
            await screen.press("enter")
            await screen.see("begun")
            await screen.press("escape", "q")
            await screen.see("Still going on: moving", "A move is interrupted")
            await screen.press("y")
            await screen.until(lambda: screen.app._exit)
            words.extend(str(each) for each in screen.app._exit_renderables)

    run(play)
    assert "no route [to] host" in words[0]
    assert "next:  bottle migrate again" in words[0]


def test_the_lines_of_an_error_are_kept() -> None:
    refused = {"error": {"what": "credentials", "left": "", "next": "", "details": ["/root/.netrc: a login"]}}
    with pytest.raises(MoveFailed) as caught:
        outcome(IDENTITY, json.dumps(refused), 8)
    assert caught.value.details == ("/root/.netrc: a login",)
