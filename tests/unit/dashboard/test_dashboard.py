"""The dashboard's screen, on an engine in memory."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Checkbox

from bottle.dashboard.app import theme_of
from bottle.dashboard.dialogs import AskNote, Confirm
from bottle.errors import EngineError
from bottle.model import RequestStatus, Status, Usage
from bottle.store.state import BottleState
from tests.support.dashboard import Gate, Screen, ask, opened, run
from tests.support.world import AGENT, BASE, World

JQ = f"FROM {BASE}\nRUN echo jq > /usr/bin/jq\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def shown(screen: Screen, bottle: BottleState) -> None:
    """Wait until a request of the bottle can be decided."""
    await screen.choose(bottle)
    await screen.until(lambda: "digest " in screen.read())


def test_bottles_are_listed_with_what_they_use(world: World) -> None:
    busy, idle = world.start(), world.start()
    world.engine.usages[busy.identity.container] = Usage(cpu=42.0, memory=64_000_000)
    world.engine.stop(idle.identity.container)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.until(lambda: screen.row("bottles", str(busy.identity))[-2:] == ["42%", "64.0 MB"])
            assert screen.row("bottles", str(busy.identity))[:3] == [str(busy.identity), "running", ""]
            assert screen.row("bottles", str(idle.identity))[1] == "stopped"
            await screen.see(str(busy.identity), "MEMORY", "2 bottles · 1 running", "a approve")
            assert len(screen.text().splitlines()) == 24
            asked = {call.arguments[0] for call in world.engine.calls if call.method == "usage"}
            assert asked == {busy.container_id()}

    run(play)


def test_no_bottle_yet(world: World) -> None:
    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.see("0 bottles", "no bottle yet: n starts one")
            for key in ("a", "d", "t", "c", "r", "s", "m", "l", "h", "f", "i", "D", "o", "y", "escape", "enter"):
                await screen.press(key)
            await screen.see("no bottle is selected")

    run(play)


def test_events_show_at_once(world: World) -> None:
    bottle = world.start()

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.until(lambda: screen.row("bottles", str(bottle.identity))[1:2] == ["running"])
            world.engine.exit(bottle.identity.container, 3)
            await screen.until(lambda: screen.row("bottles", str(bottle.identity))[1] == "stopped", 3)
            assert screen.row("bottles", str(bottle.identity))[-1] == "-"
            await screen.see("exited with 3")
            other = world.start()
            await screen.until(lambda: screen.row("bottles", str(other.identity)) != [], 3)

    run(play)


def test_the_cursor_stays_on_its_bottle(world: World) -> None:
    first, second = sorted((world.start(), world.start()), key=lambda each: each.identity)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.until(lambda: screen.row("bottles", str(second.identity)) != [])
            await screen.press("down")
            await screen.until(lambda: str(second.identity) in screen.part("about"))
            third = world.start()
            await screen.until(lambda: screen.row("bottles", str(third.identity)) != [])
            assert str(second.identity) in screen.part("about")
            await screen.press("home", "up", "up")
            await screen.until(lambda: str(min(first.identity, third.identity)) in screen.part("about"))

    run(play)


def test_a_request_has_a_badge_and_its_diff(world: World) -> None:
    bottle = world.start()
    request = ask(world.context, bottle, JQ + "USER root\n")

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            assert screen.row("bottles", str(bottle.identity))[2] == "!1"
            number, status, _, digest, reason = screen.row("requests", "1")
            assert (number, status, digest, reason) == ("1", "pending", request.digest[:12], "needs jq")
            await screen.see("1 request waiting", "1 warning", "root", "needs jq", f"digest {request.digest}")
            assert "+RUN echo jq > /usr/bin/jq" in screen.read()

    run(play)


def test_approve_with_keys(world: World) -> None:
    bottle = world.start()
    world.work(bottle, "/work", b"done")
    request = ask(world.context, bottle, JQ)

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            await screen.press("a")
            await screen.see("Approve request 1", request.digest)
            await screen.press("y")
            await screen.see("is approved", f"bottle resume {bottle.identity}")
            await screen.until(lambda: screen.row("requests", "1")[1] == "approved")
            assert screen.row("bottles", str(bottle.identity))[1:3] == ["no container", ""]
            await screen.press("y")
            assert screen.app.clipboard == f"bottle resume {bottle.identity}"
            await screen.press("r")
            await screen.until(lambda: world.status(bottle) is Status.RUNNING)
            await screen.see(f"bottle attach {bottle.identity}", "e shows all")

    run(play)
    assert bottle.own_dockerfile is not None
    assert bottle.own_dockerfile.read_text() == JQ
    assert world.content(bottle, "/usr/bin/jq") == b"jq\n"


def test_an_approval_is_asked_for_and_a_no_changes_nothing(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, JQ)

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            for no in ("n", "escape", "enter"):
                await screen.press("a")
                assert isinstance(screen.app.screen, Confirm)
                await screen.press(no)
                assert not isinstance(screen.app.screen, Confirm)

    run(play)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.requests()[0].status is RequestStatus.PENDING


def test_a_trial_build_that_fails_leaves_the_bottle_as_it_was(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, f"FROM {BASE}\nRUN false\n")

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            await screen.press("a", "b")
            assert screen.app.screen.query_one(Checkbox).value
            await screen.see("▐x▌ try the build first")
            await screen.press("y")
            await screen.see("RUN false", "state:", "next:  bottle capability deny")
            await screen.press("e")
            await screen.see("the last message", "RUN false")

    run(play)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.requests()[0].status is RequestStatus.PENDING
    assert bottle.own_dockerfile is None


def test_what_is_approved_is_what_was_shown(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, JQ)

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            await screen.press("a")
            await screen.see("Approve request 1")
            newer = ask(world.context, bottle, JQ + "RUN echo evil > /evil\n")
            await screen.press("y")
            await screen.see("has changed since", "next:  bottle capability show", newer.digest[:12])
            await screen.until(lambda: newer.digest in screen.read())
            await screen.see("has changed: look at it again")
            await screen.see("has changed since", "next:  bottle capability show", newer.digest[:12])

    run(play)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.own_dockerfile is None


def test_a_request_that_changes_while_it_is_read_is_said_to(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, JQ)

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            newer = ask(world.context, bottle, JQ + "RUN echo evil > /evil\n")
            screen.app.look_again()
            await screen.until(lambda: newer.digest in screen.read())
            await screen.see("has changed: look at it again")
            await screen.press("a", "y")  # as for what it was
            await screen.see("the same key again is about what it is now")
            await screen.press("d")
            await screen.see("Deny request 1", newer.digest[:12])
            await screen.press("escape")

    run(play)
    assert bottle.requests()[0].status is RequestStatus.PENDING


def test_deny_with_a_note(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, JQ)

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            await screen.press("d")
            assert isinstance(screen.app.screen, AskNote)
            await screen.type("use sed q")  # q is no key here
            await screen.press("enter")
            await screen.see("is denied")
            await screen.until(lambda: "with the word: use sed q" in screen.read())
            assert screen.row("bottles", str(bottle.identity))[2] == ""
            await screen.press("a")
            await screen.see("no request that waits for a decision is shown")

    run(play)
    assert bottle.requests()[0].status is RequestStatus.DENIED
    assert bottle.requests()[0].note == "use sed q"
    assert world.status(bottle) is Status.RUNNING


def test_a_denial_that_is_left(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, JQ)

    async def play() -> None:
        async with opened(world.context) as screen:
            await shown(screen, bottle)
            await screen.press("d", "x", "escape")
            assert not isinstance(screen.app.screen, AskNote)

    run(play)
    assert bottle.requests()[0].status is RequestStatus.PENDING


def test_commit_stop_and_resume(world: World) -> None:
    bottle = world.start()

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("c")
            await screen.see("commit 1 is made", f"next:  bottle resume {bottle.identity}")
            await screen.until(lambda: screen.row("bottles", str(bottle.identity))[4].startswith("#1"))
            await screen.press("s")
            await screen.see(f"Stop {bottle.identity}?")
            await screen.press("y")
            await screen.see("is stopped", f"next:  bottle resume {bottle.identity}")
            await screen.until(lambda: screen.row("bottles", str(bottle.identity))[1] == "stopped")
            await screen.press("t")
            await screen.see("does not run")
            await screen.press("r")
            await screen.see("is running", f"next:  bottle attach {bottle.identity}")

    run(play)
    assert world.status(bottle) is Status.RUNNING


def test_an_action_that_fails_shows_its_error_and_the_next_step(world: World) -> None:
    bottle = world.start()
    error = EngineError("no space [left] on device", left="nothing was changed", next_step="bottle prune")
    world.engine.fail_next("commit", error)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("c")
            await screen.see("no space [left] on device", "state: ", "next:  ")

    run(play)


def test_an_operating_system_that_refuses_is_an_error_as_any(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bottle.operations.commit", refuse)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("c")
            await screen.see("the operating system refused", "df -h")

    run(play)


def test_logs_are_shown_harmless(world: World) -> None:
    bottle = world.start()
    world.engine.say(bottle.identity.container, b"one [bold]\x1b[2J\x1b]0;title\x07\r\ntwo\r\n")

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("l")
            await screen.see("one [bold]", "two")
            world.engine.say(bottle.identity.container, b"three\n")
            await screen.see("three")
            await screen.press("escape")
            await screen.see("IDENTITY")

    run(play)


def test_the_help_lists_every_key(world: World) -> None:
    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.press("question_mark")
            await screen.see("approve the request", "deny it", "join the agent's", "snapshot", "bring it back")
            await screen.press("end")
            await screen.see("delete it", "show all bottles", "leave", "Escape goes back")
            await screen.press("question_mark")
            await screen.see("IDENTITY")

    run(play)


def test_docker_that_goes_away_is_told_and_comes_back(world: World) -> None:
    bottle = world.start()

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.until(lambda: screen.row("bottles", str(bottle.identity)) != [])
            world.engine.down = True
            await screen.see("no Docker Engine answers", "bottle doctor")
            assert screen.row("bottles", str(bottle.identity)) != []
            await screen.press("c")
            await screen.until(lambda: "no Docker Engine answers" in screen.part("said"))
            world.engine.down = False
            await screen.until(lambda: screen.part("trouble") == "")
            other = world.start()
            await screen.until(lambda: screen.row("bottles", str(other.identity)) != [], 4)  # it listens again

    run(play)


def test_a_slow_engine_does_not_hold_up_the_keys(world: World) -> None:
    bottle = world.start()
    hung = HungEngine(world.engine)
    hung.answers.set()
    context = world.context
    object.__setattr__(context, "engine", hung)

    async def play() -> None:
        async with opened(context) as screen:
            await screen.choose(bottle)
            hung.answers.clear()
            await screen.press("c")
            for _ in range(3):
                await screen.press("question_mark")
                await screen.see("bottle dashboard: keys")
                await screen.press("escape")
            await screen.press("c")
            await screen.see(f"committing {bottle.identity} still goes on")
            await screen.press("q")
            await screen.see("Still going on: committing")
            await screen.press("n")
            hung.answers.set()
            await screen.see("commit 1 is made")

    run(play)


@pytest.mark.parametrize("question", ["container_summaries", "read_archive"])
def test_an_engine_that_says_nothing_is_spoken_of(world: World, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    bottle = world.start()
    hung = HungEngine(world.engine, question)
    hung.answers.set()
    context = world.context
    object.__setattr__(context, "engine", hung)
    monkeypatch.setattr("bottle.dashboard.looking._PATIENCE", 0.5)

    async def play() -> None:
        async with opened(context) as screen:
            await screen.choose(bottle)
            hung.answers.clear()
            world.engine.exit(bottle.identity.container)
            await screen.see("Docker has not answered for")
            hung.answers.set()
            await screen.until(lambda: screen.part("trouble") == "")
            await screen.until(lambda: screen.row("bottles", str(bottle.identity))[1] == "stopped")

    run(play)


@pytest.mark.parametrize("fails", [False, True])
def test_leaving_waits_for_a_commit(world: World, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    bottle = world.start()
    gate = Gate(monkeypatch, world.engine, "commit")
    if fails:
        world.engine.fail_next("commit", EngineError("no space [left] on device", next_step="bottle prune"))
    words: list[str] = []

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("c")
            await screen.until(gate.reached.is_set)
            assert world.status(bottle) is Status.PAUSED
            await screen.press("q")
            await screen.see(f"Still going on: committing {bottle.identity}", "Leave as soon as it has ended?")
            await screen.press("ctrl+q", "y")
            await screen.see("leaving after committing", "q leaves now")
            await screen.press("r")
            await screen.see("nothing more is begun")
            assert screen.app.is_running
            gate.open.set()
            await screen.until(lambda: screen.app._exit)
            words.extend(str(each) for each in screen.app._exit_renderables)

    run(play)
    assert ("no space [left] on device" in words[0]) is fails
    assert ("commit 1 is made" in words[0]) is not fails
    assert world.status(bottle) is Status.RUNNING


def test_leaving_can_be_had_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start()
    gate = Gate(monkeypatch, world.engine, "commit")

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("c")
            await screen.until(gate.reached.is_set)
            await screen.press("q", "y")
            await screen.see("leaving after committing")
            await screen.press("q")
            await screen.until(lambda: screen.app._exit)

    run(play)
    gate.open.set()


class HungEngine:
    """An engine that does not answer until it is told to, or for a minute; only some questions, if they are named."""

    def __init__(self, engine: Any, *questions: str) -> None:
        self._engine = engine
        self._questions = questions
        self.answers = threading.Event()

    def __getattr__(self, name: str) -> Any:
        if not self._questions or name in self._questions:
            self.answers.wait(60)
        return getattr(self._engine, name)


def test_leaving_while_docker_hangs_is_at_once(world: World) -> None:
    world.start()
    hung = HungEngine(world.engine)
    context = world.context
    object.__setattr__(context, "engine", hung)
    rescue = threading.Timer(50, hung.answers.set)  # of a test that would wait for an answer
    rescue.start()

    async def play() -> None:
        async with opened(context) as screen:
            # A busy machine may show it only when it has waited for a while.
            await screen.until(lambda: any(each in screen.text() for each in ("looking", "has not answered")))
            await screen.press("q")

    run(play)
    assert not hung.answers.is_set()
    rescue.cancel()
    hung.answers.set()


def test_hostile_text_does_nothing(world: World) -> None:
    bottle = world.start(AGENT)
    reason = "[red]x[/] [@click=app.quit]y[/] [@click='app.exit']z \x1b]52;c;ZXZpbA==\x07\x1b[2J\u202edlrow"
    request = ask(world.context, bottle, f"FROM {BASE}\n# [@click=app.quit]a[/]\n\x1b[31mRUN [x] \x07\n", reason=reason)

    async def play() -> None:
        async with opened(world.context, size=(100, 40)) as screen:
            await shown(screen, bottle)
            assert screen.row("requests", "1")[4] == "[red]x[/] [@click=app.quit]y[/] [@click='app.exit']z dlrow"
            assert "[@click=app.quit]a[/]" in screen.read()
            await screen.see("[@click=app.quit]y[/]", "[@click=app.quit]a[/]", "RUN [x]")
            for row in range(10, 36):
                await screen.pilot.click(offset=(20, row))
            assert screen.app.is_running
            assert "\x1b" not in screen.text()
            assert screen.app.clipboard == ""
            await screen.press("d", "enter")
            await screen.see("is denied")

    run(play)
    assert bottle.requests()[0].digest == request.digest


def test_a_huge_request_is_shown_and_the_keys_go_on(world: World) -> None:
    bottle = world.start()
    ask(world.context, bottle, f"FROM {BASE}\n" + "".join(f"RUN echo {n}\n" for n in range(15_000)))

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.until(lambda: "RUN echo 14999" in screen.read())
            began = time.monotonic()
            await screen.press("tab", "tab", "end")
            await screen.see("RUN echo 14999")
            assert time.monotonic() - began < 1

    run(play)


@pytest.mark.parametrize(
    ("colours", "theme"),
    [("", "ansi-dark"), ("15;0", "ansi-dark"), ("0;15", "ansi-light"), ("0;default;7", "ansi-light")],
)
def test_the_theme_is_the_terminals(colours: str, theme: str) -> None:
    assert theme_of(colours) == theme
