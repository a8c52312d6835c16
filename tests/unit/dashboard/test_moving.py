"""Moves from the dashboard: the form, the command line, and what becomes of its answer."""

import json
import sys
import threading
from pathlib import Path
from queue import Queue

import pytest
from textual.widgets import Input

from bottle.dashboard import moving
from bottle.dashboard.desk import Desk, Outcome
from bottle.dashboard.dialogs import MoveForm, objection_to_move
from bottle.dashboard.moving import Move, MoveFailed, arguments, outcome
from bottle.errors import BottleError
from bottle.model import MigrationPhase, MigrationRecord, Tombstone
from bottle.moveoptions import MoveOptions
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
    "try:\n    print('begun', file=sys.stderr, flush=True)\n    time.sleep(60)\n"
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

    monkeypatch.setattr(moving, "bottle_command", command)
    return asked


def test_the_command_line() -> None:
    words = arguments(IDENTITY, "me@new", MoveOptions(keep=True, resume=True, workspace=Path("/srv/x")))
    assert words[1:] == (
        "-P", "-m", "bottle", "migrate", "--format", "json", "--keep", "--resume", "--workspace=/srv/x", "--",
        "demo-x7k2p", "me@new",
    )  # fmt: skip


def test_nothing_that_is_typed_is_an_option() -> None:
    words = arguments(IDENTITY, "--from", MoveOptions(workspace=Path("--yes")))
    assert words[-3:] == ("--", "demo-x7k2p", "--from")
    assert "--yes" not in words


@pytest.mark.parametrize(
    ("host", "workspace", "fine"),
    [("me@new:22", None, True), ("new", "/srv", True), ("", None, False), ("a b", None, False), ("new", "srv", False)],
)
def test_the_form_objects_to_what_cannot_be(host: str, workspace: str | None, fine: bool) -> None:
    options = MoveOptions(workspace=Path(workspace) if workspace else None)
    assert (objection_to_move(host, options) == "") is fine


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
    move, done = Move(IDENTITY, "newhost", MoveOptions(), lambda: "here"), Queue[Outcome]()
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
            await screen.press("enter")
            await screen.see("no route [to] host", "state: it is here", "next:  bottle migrate again", "it has ended")
            assert "it goes on" not in screen.text()
            assert "interrupt" not in screen.text()
            await screen.press("x", "escape")
            await screen.see("no route [to] host", "state: it is here", "next:  bottle migrate again")
            await screen.press("m")
            assert isinstance(screen.app.screen, MoveForm)  # there is none to be shown again

    run(play)


@pytest.mark.parametrize("size", [(60, 24), (80, 24), (160, 40)])
@pytest.mark.parametrize(
    ("script", "truth"),
    [
        ("raise SystemExit(137)", "ended with exit code 137 and no answer"),
        (f"print({json.dumps({'error': {'what': 'cut off', 'left': '', 'next': 'again'}})!r})", "cut off"),
    ],
)
@pytest.mark.parametrize("phase", [None, MigrationPhase.STAGING, MigrationPhase.HANDING_OFF])
def test_a_move_that_does_not_say_who_owns_the_bottle_is_told_with_what_is_on_record(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    script: str,
    truth: str,
    phase: MigrationPhase | None,
) -> None:
    bottle = world.start()
    if phase is not None:
        bottle.migration.write(
            MigrationRecord(phase=phase, host="newhost", nonce="n", commit=1, started_at=world.context.now())
        )
    pretend(monkeypatch, script)
    owner = {
        None: "state: this host owns the bottle",
        MigrationPhase.STAGING: "state: a move to newhost was cut: bottle migrate",
        MigrationPhase.HANDING_OFF: "state: a move to newhost was cut while it was handed over: bottle migrate",
    }[phase]

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(bottle)
            await screen.press("m", *"newhost", "enter")
            await screen.read_words(truth, owner, "it has ended; Escape goes back")
            assert "it goes on" not in screen.text()
            await screen.press("escape")
            await screen.read_words(truth, owner)

    run(play)


def test_a_move_that_handed_over_before_it_died_says_where_the_bottle_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = world.start()
    pretend(monkeypatch, "raise SystemExit(137)")
    bottle.tombstone.write(Tombstone(host="me@newhost", moved_at=world.context.now()))
    move = Move(bottle.identity, "newhost", MoveOptions(), lambda: Desk(world.context).whereabouts(bottle.identity))
    with pytest.raises(MoveFailed) as caught:
        move.run()
    assert caught.value.left == "me@newhost owns the bottle"


def test_where_nobody_can_tell_who_owns_it_that_is_what_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    pretend(monkeypatch, "raise SystemExit(1)")
    (bottle.path / "moved-to.json").write_text("{")
    move = Move(bottle.identity, "newhost", MoveOptions(), lambda: Desk(world.context).whereabouts(bottle.identity))
    with pytest.raises(MoveFailed) as caught:
        move.run()
    assert "moved-to.json" in caught.value.left


def test_a_move_that_is_interrupted_says_so_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, LONG)
    move, failed = Move(IDENTITY, "newhost", MoveOptions(), lambda: "here"), Queue[BottleError]()

    def run_it() -> None:
        try:
            move.run()
        except BottleError as exc:
            failed.put(exc)

    assert move.says() == "Escape goes back, and it goes on; x interrupts it"
    threading.Thread(target=run_it, daemon=True).start()
    while not move.lines.after(0)[0]:
        threading.Event().wait(0.01)
    move.interrupt()
    assert move.says() == "it was interrupted, and is about to end; Escape goes back"
    assert failed.get(timeout=20).left == "it is here"
    assert move.says() == "it has ended; Escape goes back"
    assert move.lines.after(1)[1] == ["no route [to] host", "state: it is here", "next:  bottle migrate again"]


def test_a_move_goes_on_out_of_sight_and_can_be_interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    pretend(monkeypatch, LONG)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("m")
            await screen.type("newhost")
            await screen.press("enter")
            await screen.see("begun", "it goes on; x interrupts it")
            await screen.press("escape", "s", "y")
            await screen.see(f"moving {bottle.identity} still goes on")
            await screen.press("m")
            await screen.see("begun")
            await screen.press("x")
            await screen.see("no route [to] host", "it has ended")
            await screen.press("escape")
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
