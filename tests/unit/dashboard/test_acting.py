"""What keys do to bottles, and what is told of them, at the widths that terminals have."""

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from bottle import operations
from bottle.dashboard.commits import Commits
from bottle.dashboard.details import Details
from bottle.dashboard.dialogs import Confirm, ForkForm, StartForm
from bottle.dashboard.reading import Reader
from bottle.dashboard.tables import Listing
from bottle.model import Status, Tombstone
from bottle.operations import commit, remove
from bottle.store.state import BottleState
from tests.support.dashboard import Gate, Screen, ask, opened, run
from tests.support.world import BASE, World

MANIFEST = f"""
[agents.demo]
image = "{BASE}"
command = ["cat"]
[agents.other]
image = "{BASE}"
command = ["cat"]
"""
SIZES = [(60, 24), (80, 24), (160, 40)]


@pytest.fixture(params=SIZES, ids=lambda size: str(size[0]))
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """A terminal's columns and lines."""
    chosen: tuple[int, int] = request.param
    return chosen


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.chdir(world.cwd)
    return world


def committed(world: World, message: str = "", **options: bool) -> BottleState:
    bottle = world.start(**options)
    world.work(bottle, "/work", b"done")
    commit(world.context, bottle, message=message)
    return bottle


def fits(screen: Screen) -> None:
    """Nothing is beyond an edge of the terminal, and no table has columns that are out of sight."""
    shown = screen.app.screen
    for box in shown.query(".dialog, .reader"):
        assert shown.region.contains_region(box.region)
    for listing in shown.query(Listing):
        assert listing.virtual_size.width <= listing.size.width or not listing.display


def keys_shown(screen: Screen) -> list[str]:
    return list(screen.app.query_one("#bottles", Listing)._cells)


# --- start


def test_an_agent_of_the_manifest_is_started(world: World, size: tuple[int, int]) -> None:
    (world.cwd / "bottle.toml").write_text(MANIFEST)

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.see("no bottle yet: n starts one")
            await screen.press("n")
            await screen.see("Start an agent", "demo", "other", "work on a copy", "Enter starts it")
            fits(screen)
            await screen.press("down", "b", "enter")
            await screen.see("is running: in the background", "next:  bottle attach other-")
            await screen.until(lambda: [screen.row("bottles", key)[1] for key in keys_shown(screen)] == ["running"])

    run(play)
    (identity,) = world.home.identities()
    metadata = world.home.bottle(identity).metadata()
    assert (metadata.agent.name, metadata.cwd, metadata.copy_cwd) == ("other", world.cwd, True)
    assert world.status(world.home.bottle(identity)) is Status.RUNNING


def test_where_there_is_no_manifest_the_next_command_is_told(world: World) -> None:
    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.press("n")
            await screen.read_words("no bottle.toml", "next: bottle init")
            (world.cwd / "bottle.toml").write_text("[agents]\n")
            await screen.press("n")
            await screen.read_words("has no agents", "next: bottle init --list")

    run(play)


def test_a_start_that_is_left_starts_nothing(world: World) -> None:
    (world.cwd / "bottle.toml").write_text(MANIFEST)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.press("n")
            await screen.until(lambda: isinstance(screen.app.screen, StartForm))
            assert screen.app.screen.query_one(OptionList).has_focus
            await screen.press("escape")
            await screen.see("no bottle yet")

    run(play)
    assert not world.home.identities()


# --- rm


def test_work_that_is_nowhere_else_is_named_before_it_goes(world: World, size: tuple[int, int]) -> None:
    bottle = committed(world)
    world.engine.stop(bottle.identity.container)

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(bottle)
            await screen.press("D")
            await screen.see(f"Delete {bottle.identity}", "Its workspace stays")
            await screen.press("y")
            await screen.read_words("would delete it: commit 1", "the same again asks whether", "nothing was deleted")
            await screen.press("delete", "y")
            await screen.read_words("would delete it: commit 1", "Go on, and let it go? Only yes does.")
            fits(screen)
            await screen.press("enter")
            await screen.see(f"{bottle.identity} stays as it is")
            await screen.press("D", "y")
            await screen.read_words("would delete it: commit 1", "the same again asks whether")
            await screen.press("D", "y", *"yes", "enter")
            await screen.see(f"{bottle.identity} is gone, with commit 1", "its workspace stays", "no bottle yet")

    run(play)
    assert not bottle.exists()


AHEAD = {
    "nothing": ((), ("y", "enter", "n")),
    "the same again": (("D",), ("y", "y", "enter")),
    "a filter": (("slash", *"my"), tuple("-agenty")),
    "a move of another": (("down", "m", *"new"), tuple("yhost.mycompany.org")),
    "a folder to fork to": (("down", "f", "slash"), tuple("my")),
    "what another writes": (("down", "l"), ("y", "n", "enter")),
}


@pytest.mark.parametrize(("before", "after"), AHEAD.values(), ids=AHEAD)
def test_what_is_typed_for_something_else_deletes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    first, second = sorted((committed(world), committed(world)), key=lambda each: each.identity)
    world.engine.stop(first.identity.container)
    gate = Gate(monkeypatch, operations, "remove")

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(first)
            await screen.press("D", "y")
            await screen.until(gate.reached.is_set)
            await screen.press(*before)
            shown, focused = screen.app.screen, screen.app.focused
            gate.open.set()
            await screen.until(lambda: "would delete it" in screen.part("said"))
            assert (screen.app.screen, screen.app.focused) == (shown, focused)
            await screen.press(*after)
            if isinstance(focused, Input):
                assert focused.value.endswith("".join(after))
            await screen.until(lambda: not screen.app._jobs)

    run(play)
    assert first.exists()
    assert second.exists()


def test_what_has_nothing_to_lose_is_asked_about_once(world: World) -> None:
    bottle = world.start()
    world.lose_container(bottle)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("D", "y")
            await screen.see(f"{bottle.identity} is gone")

    run(play)
    assert not bottle.exists()


def test_a_bottle_that_runs_is_not_deleted(world: World) -> None:
    bottle = world.start()

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("D", "enter")  # pressed too soon
            assert not isinstance(screen.app.screen, Confirm)
            await screen.press("D", "y")
            await screen.see("is running", "state: nothing was deleted", f"next:  bottle stop {bottle.identity}")

    run(play)
    assert world.status(bottle) is Status.RUNNING


# --- fork and history


def test_a_fork_of_a_mounted_workspace_needs_a_folder(
    world: World, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = committed(world)
    copy = world.folder / "copy"
    copy.mkdir()
    monkeypatch.setenv("HOME", str(world.folder))

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(bottle)
            await screen.press("f")
            await screen.read_words("is mounted", "overwrite each other's files", "Enter in the field forks")
            fits(screen)
            await screen.press("enter")
            await screen.see("which folder?")
            await screen.type("~/copy")
            await screen.press("enter")
            await screen.see(f"was forked off commit 1 of {bottle.identity}", "next:  bottle resume demo-")

    run(play)
    (other,) = [each for each in world.home.identities() if each != bottle.identity]
    assert world.home.bottle(other).metadata().cwd == copy


def test_a_fork_may_share_the_folder_if_that_is_said(world: World) -> None:
    bottle = committed(world)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("f", "x", "tab", "space", "shift+tab", "enter")
            await screen.see("either a folder of its own, or the same one")
            await screen.press("backspace", "enter")
            await screen.read_words("was forked off", "what one writes, both see")

    run(play)


def test_a_fork_of_a_copy_asks_nothing(world: World) -> None:
    bottle = committed(world, copy_cwd=True)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("f")
            await screen.see(f"was forked off commit 1 of {bottle.identity}")

    run(play)


def test_a_bottle_without_a_commit_cannot_be_forked_and_says_so(world: World) -> None:
    bottle = world.start(copy_cwd=True)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("h")
            await screen.see("it was never committed: bottle commit")
            await screen.press("enter", "f", "escape", "f")
            await screen.see("has no commit to fork off", f"next:  bottle commit {bottle.identity}")

    run(play)


def test_the_history_leads_back_and_to_forks(world: World, size: tuple[int, int]) -> None:
    bottle = committed(world, "before [bold]")
    world.work(bottle, "/work", b"more")
    commit(world.context, bottle, message="after")

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(bottle)
            await screen.press("h")
            await screen.see("* 2", "  1", "before [bold]", "commit 2 · made of 1 · in force · after", "present")
            fits(screen)
            await screen.press("down")
            await screen.see("commit 1 · before [bold]")
            await screen.press("f")
            await screen.until(lambda: isinstance(screen.app.screen, ForkForm))
            await screen.see("off commit 1")
            await screen.press("escape", "h")
            await screen.until(lambda: isinstance(screen.app.screen, Commits))
            await screen.see("* 2")
            await screen.press("down", "enter")
            await screen.see("is running", f"next:  bottle stop {bottle.identity}")  # a bottle that runs is told so
            world.work(bottle, "/work", b"newest")
            world.engine.exit(bottle.identity.container)
            await screen.press("h")
            await screen.see("* 2")
            await screen.press("down", "enter")
            await screen.read_words("work that no commit has", "the same again asks whether")
            await screen.press("h")
            await screen.see("* 2")
            await screen.press("enter")  # another commit is not the same again
            await screen.read_words("work that no commit has", "the same again asks whether")
            for _ in range(2):
                await screen.press("h")
                await screen.see("* 2")
                await screen.press("down", "enter")
                await screen.read_words("work that no commit has")
            await screen.read_words("Go on, and let it go? Only yes does.")
            await screen.type("yes")
            await screen.press("enter")
            await screen.see("a new container from commit 1")

    run(play)
    assert world.status(bottle) is Status.RUNNING
    assert world.content(bottle, "/work") == b"done"


def test_a_history_that_cannot_be_read_says_why(world: World) -> None:
    bottle = committed(world)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            (bottle.path / "commits.json").write_text("{")
            await screen.press("h")
            await screen.read_words("commits.json")

    run(play)


# --- logs


def test_logs_are_followed_to_their_end(world: World, size: tuple[int, int]) -> None:
    bottle = world.start()
    world.engine.say(bottle.identity.container, b"one\r\n\x1b[31mprompt> ")

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(bottle)
            await screen.press("l")
            await screen.see("one", "prompt>", "Escape goes back")
            world.engine.say(bottle.identity.container, b"answer\r\n" + b"y" * 300 + b"\r\n")
            await screen.see("prompt> answer", "yyyy")
            fits(screen)
            await screen.press("escape", "l")
            await screen.see("one", "prompt> answer")
            world.engine.exit(bottle.identity.container)
            await screen.see("it has ended")
            await screen.press("q")
            assert not isinstance(screen.app.screen, Reader)

    run(play)


def test_logs_of_what_has_no_container_say_so(world: World) -> None:
    bottle = committed(world)
    world.lose_container(bottle)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("l")
            await screen.see("has no container", f"next:  bottle resume {bottle.identity}")

    run(play)


def test_logs_of_what_moved_away_lead_to_where_it_is(world: World) -> None:
    bottle = committed(world)
    world.lose_container(bottle)
    bottle.tombstone.write(Tombstone(host="me@newhost", moved_at=world.context.now()))

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("l")
            await screen.read_words(
                f"{bottle.identity} moved to me@newhost", f"there: bottle logs {bottle.identity}", "me@newhost --from"
            )

    run(play)


# --- filter and order


def test_a_filter_is_typed_and_escape_ends_it(world: World, size: tuple[int, int]) -> None:
    first, second = world.start(), world.start()
    world.engine.exit(first.identity.container)

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(first)
            await screen.press("slash")
            await screen.type("stop")
            await screen.until(lambda: keys_shown(screen) == [str(first.identity)])
            await screen.see("1 of 2 bottles", "filter: stop")
            fits(screen)
            await screen.press("enter", "i")  # it holds, and keys are keys again
            if size[0] < 120:
                await screen.see("Escape goes back")
                await screen.press("escape")
            await screen.press("slash")
            await screen.type("q zzzzz x")  # keys of their own, and in the name of no folder
            await screen.see("no bottle fits")
            await screen.press("escape")
            await screen.until(lambda: len(keys_shown(screen)) == 2)
            await screen.see("2 bottles")
            await screen.press("slash", *"stop", "enter", "escape")
            await screen.until(lambda: len(keys_shown(screen)) == 2)
            assert str(second.identity) in screen.text()

    run(play)


def test_the_order_is_chosen_with_keys_and_with_a_click(world: World) -> None:
    first, second = sorted((world.start(), world.start()), key=lambda each: each.identity)
    world.engine.exit(first.identity.container)
    up, down = [str(first.identity), str(second.identity)], [str(second.identity), str(first.identity)]

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.until(lambda: screen.row("bottles", up[0])[1:2] == ["stopped"])
            await screen.choose(first)
            await screen.see("by IDENTITY ↑")
            assert keys_shown(screen) == up
            await screen.press("o")
            await screen.see("by STATE ↑")
            assert keys_shown(screen) == down
            assert screen.part("about").startswith(up[0])  # the cursor stays on its bottle
            await screen.press("O")
            await screen.see("by STATE ↓")
            assert keys_shown(screen) == up
            await screen.pilot.click("#bottles", offset=(3, 0))
            await screen.see("by IDENTITY ↑")
            await screen.pilot.click("#bottles", offset=(3, 0))
            await screen.see("by IDENTITY ↓")
            assert keys_shown(screen) == down

    run(play)


# --- details


def test_details_are_beside_the_table_or_a_screen(world: World, size: tuple[int, int]) -> None:
    bottle = committed(world, "half of it")
    wide = size[0] >= 120
    known = (f"identity    {bottle.identity}", "workspace", "transcript", "committed", "* 1", "half of it")

    async def play() -> None:
        async with opened(world.context, size) as screen:
            await screen.choose(bottle)
            assert screen.app.query_one("#details").display is wide
            if not wide:
                await screen.press("i")
            await screen.see(*known)
            fits(screen)
            if not wide:
                await screen.press("escape")
                await screen.see("IDENTITY", "running")
                world.engine.exit(bottle.identity.container)
                await screen.until(lambda: screen.row("bottles", str(bottle.identity))[1] == "stopped")
                await screen.press("enter")  # what does not run cannot be joined
                await screen.see(*known)

    run(play)


def test_details_follow_the_cursor_and_what_happens(world: World) -> None:
    first, second = sorted((committed(world), world.start()), key=lambda each: each.identity)

    async def play() -> None:
        async with opened(world.context, (160, 40)) as screen:
            await screen.choose(first)
            await screen.see(f"identity    {first.identity}")
            await screen.choose(second)
            await screen.see(f"identity    {second.identity}", "running")
            await screen.press("c")
            await screen.see("* 1", "is made")
            await screen.pilot.resize_terminal(80, 24)
            await screen.until(lambda: not screen.app.query_one("#details").display)
            await screen.see("MEMORY")

    run(play)


def test_details_that_come_too_late_are_not_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = committed(world)
    gate = Gate(monkeypatch, operations, "inspect")

    async def play() -> None:
        async with opened(world.context, (160, 40)) as screen:
            details = screen.app.query_one("#details", Details)
            await screen.choose(bottle)
            await screen.until(gate.reached.is_set)
            await screen.press("slash", "q", ".")  # no identity has that
            await screen.see("no bottle fits")
            gate.open.set()
            await screen.until(gate.passed.is_set)
            await screen.press("space")  # what the thread told the screen came before
            assert details.plain == ""
            await screen.press("escape")
            await screen.see(f"identity    {bottle.identity}")

    run(play)


def test_the_screen_of_details_follows_what_happens(world: World) -> None:
    bottle = committed(world)

    async def play() -> None:
        async with opened(world.context) as screen:
            await screen.choose(bottle)
            await screen.press("i")
            await screen.see(f"identity    {bottle.identity}", ", running ")
            world.engine.exit(bottle.identity.container)
            await screen.until(lambda: ", exited with 0 " in screen.text(), 5)
            world.lose_container(bottle)
            world.lose_images(bottle)
            remove(world.context, bottle, consent=True)
            await screen.until(lambda: "it is no longer here" in screen.text(), 8)
            await screen.press("escape")
            await screen.see("no bottle yet")

    run(play)


def test_tab_goes_where_the_help_says(world: World) -> None:
    bottle = committed(world)
    ask(world.context, bottle, f"FROM {BASE}\nRUN true\n")

    async def play() -> None:
        async with opened(world.context, (160, 40)) as screen:
            await screen.choose(bottle)
            await screen.until(lambda: screen.row("requests", "1") != [])
            places = []
            for _ in range(4):
                await screen.press("tab")
                assert screen.app.focused is not None
                places.append(screen.app.focused.id)
            assert places == ["requests", "pane", "details", "bottles"]
            await screen.press("question_mark")
            await screen.press("end")
            await screen.see("from the bottles to requests, diff, details, and back")

    run(play)


def test_details_of_a_damaged_bottle_say_what_to_do(world: World) -> None:
    bottle = committed(world)

    async def play() -> None:
        async with opened(world.context, (160, 40)) as screen:
            await screen.choose(bottle)
            (bottle.path / "metadata.json").write_text("{")
            await screen.read_words("metadata.json is damaged", "state: ", "next: restore")

    run(play)


# --- moved


def test_a_bottle_that_moved_says_where_it_is_and_what_to_type_there(world: World, size: tuple[int, int]) -> None:
    bottle = committed(world)
    world.lose_container(bottle)
    bottle.tombstone.write(Tombstone(host="me@newhost.example.org", moved_at=world.context.now()))
    moment = f"{bottle.tombstone.read().moved_at:%Y-%m-%d %H:%M} UTC"  # type: ignore[union-attr]

    async def play() -> None:
        async with opened(world.context, size, now=world.context.now) as screen:
            await screen.choose(bottle)
            await screen.see(f" {bottle.identity} ", " moved to me@newhost.example.org ")
            if size[0] < 120:
                await screen.press("i")
            await screen.read_words("me@newhost.example.org", moment, f"there bottle resume {bottle.identity}")
            fits(screen)
            if size[0] < 120:
                await screen.press("escape")
            await screen.press("t")
            await screen.read_words("does not run here: it moved to me@newhost", "next: there: bottle resume")
            await screen.press("r")
            await screen.read_words("it moved to me@newhost.example.org", "there: bottle resume")

    run(play)
