"""A Ctrl-C is 130, one line, what is left and the command to type, wherever it comes: no traceback, no `Aborted!`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from bottle.cli.interruption import LEFT
from bottle.cli.journal import OneLine
from bottle.cli.main import main
from bottle.cli.progress import Bars
from bottle.cli.sigint import is_interruption
from bottle.errors import EngineError, RemoteError, StillPaused
from tests.unit.cli.conftest import Cli

SOURCE = Path(__file__).parents[3]
# When one of the modules is about to be loaded, a child of the run is struck there, and the run goes on. What a child
# said, and how it ended, is in files that are called by the module's place among those of the run.
STRUCK = """
import importlib, os, signal, sys
folder, module, sys.argv[:] = *sys.argv[1:3], ["bottle", *sys.argv[3:]]
main = importlib.import_module(module).main
class Finder:
    count = 0
    def find_spec(self, name, path=None, target=None):
        Finder.count += 1
        if Finder.count not in (4, 9) and Finder.count % 100:
            return
        place = f"{folder}/{Finder.count}"
        child = os.fork()
        if child:
            with open(f"{place}.code", "w") as file:
                file.write(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
            return
        sys.meta_path.remove(self)
        for descriptor, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{place}.{name}", os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
        os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
main()
"""


def run(script: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A script in a Python of its own, which finds bottle; there is no engine for it."""
    environ = {**os.environ, "PYTHONPATH": str(SOURCE), "BOTTLE_HOME": str(home), "DOCKER_HOST": "unix:///nowhere"}
    return subprocess.run(
        (sys.executable, "-c", script, *words), env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def is_told(stderr: str, again: str) -> bool:
    """Whether all that is said is that it was interrupted, what is left, and how to go on."""
    first, state, following = stderr.strip().splitlines()
    return first == "bottle: interrupted" and state.startswith("  state: ") and following == f"  next:  {again}"


@pytest.mark.parametrize(("module", "before"), [("bottle.cli.entry", ()), ("bottle.cli.dockerplugin", ("bottle",))])
def test_while_anything_is_loaded(tmp_path: Path, module: str, before: tuple[str, ...]) -> None:
    run(STRUCK, str(tmp_path), module, *before, "doctor", "--format", "json", home=tmp_path / "home")
    places = [path.with_suffix("") for path in tmp_path.glob("*.code")]
    assert len(places) > 8
    for place in places:
        code, out, err = (place.with_suffix(f".{name}").read_text() for name in ("code", "out", "err"))
        assert (code, is_told(err, "bottle doctor --format json")) == ("130", True), (place, err)
        assert '"code": "Interrupted"' in out, place


LOST = """
import sys, time
from bottle.cli import entry, main
class Trap:
    def __del__(self):
        raise KeyboardInterrupt
def command(**_):
    trap = Trap()
    del trap
    time.sleep(60)
main.main = command
entry.main()
"""


def test_where_nothing_can_be_raised_it_comes_again(tmp_path: Path) -> None:
    done = run(LOST, "list", home=tmp_path)
    assert (done.returncode, is_told(done.stderr, "bottle list")) == (130, True), done.stderr


WAITING = """
import sys, threading, time
from bottle.cli import entry, main
def command(**_):
    threading.Thread(target=time.sleep, args=(60,)).start()
    threading.Timer(0.5, print, ("over",), {"flush": True}).start()
    sys.exit(0)
main.main = command
entry.main()
"""


def test_who_waits_for_a_thread_at_the_end_is_let_go(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = (sys.executable, "-c", WAITING)
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "over\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (-signal.SIGINT, "")


def raised(*steps: Callable[[BaseException | None], BaseException]) -> BaseException:
    """An error that stands at the end of a chain."""
    error: BaseException | None = None
    for step in steps:
        error = step(error)
    assert error is not None
    return error


def behind(made: BaseException) -> Callable[[BaseException | None], BaseException]:
    """`made`, raised while what came before was handled, and hiding it."""

    def step(before: BaseException | None) -> BaseException:
        try:
            try:
                if before is not None:
                    raise before
            finally:
                raise made from None
        except BaseException as exc:  # noqa: BLE001
            return exc

    return step


def test_what_came_of_an_interruption() -> None:
    assert is_interruption(KeyboardInterrupt())
    assert is_interruption(raised(behind(KeyboardInterrupt()), behind(AttributeError("_lock"))))
    assert is_interruption(raised(behind(KeyboardInterrupt()), behind(click.Abort()), behind(RemoteError("x"))))
    assert not is_interruption(raised(behind(ValueError()), behind(EngineError("x"))))
    one, other = ValueError(), KeyError()
    one.__context__, other.__context__ = other, one
    assert not is_interruption(one)


def strike(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


def test_while_the_words_are_read(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("bottle.cli.main.import_module", "bottle.cli.main.wants_colour", "click.Command.format_help"):
        with monkeypatch.context() as patch:
            patch.setattr(place, strike)
            result = cli("commit", "--help")
        assert (result.exit_code, is_told(result.stderr, "bottle commit --help")) == (130, True), place


def test_while_progress_is_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()
    monkeypatch.setattr("bottle.cli.shared.for_stderr", Bars)
    monkeypatch.setattr("bottle.cli.progress.Tail", strike)
    result = cli("commit", str(bottle.identity))
    assert result.exit_code == 130
    assert "bottle: interrupted\n  state: the next commit, or resume, finds out whether it was made" in result.stderr


def test_a_second_one_while_the_first_is_told_is_not_heard(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle, written = cli.start(), OneLine.formatException

    def struck(formatter: OneLine, info: Any) -> str:
        signal.raise_signal(signal.SIGINT)
        return written(formatter, info)

    monkeypatch.setattr("bottle.operations.commit", strike)
    monkeypatch.setattr(OneLine, "formatException", struck)
    result = cli("commit", str(bottle.identity))
    assert result.exit_code == 130
    assert f"state: no commit was made; {bottle.identity} runs" in result.stderr
    assert result.stderr.count("bottle: interrupted") == 1


def test_of_a_command_that_had_begun_it_is_never_said_that_nothing_was(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = cli.start()
    monkeypatch.setattr("bottle.operations.commit", strike)
    monkeypatch.setattr("bottle.cli.shared.told_as", strike)
    result = cli("commit", str(bottle.identity))
    assert (result.exit_code, is_told(result.stderr, "bottle list")) == (130, True), result.stderr
    assert "state: what was done by then is done" in result.stderr


def test_an_error_that_it_led_to_says_what_is_left(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()

    def frozen(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as exc:
            raise StillPaused("it is paused", left="its agent is frozen", next_step="docker unpause x") from exc

    monkeypatch.setattr("bottle.operations.commit", frozen)
    error = cli.json("commit", str(bottle.identity), exit_code=130)["error"]
    assert error == {
        "code": "Interrupted",
        "what": "interrupted; then it is paused",
        "details": [],
        "left": "its agent is frozen",
        "next": "docker unpause x",
    }


def all_commands(group: click.Group, above: str = "") -> list[str]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += all_commands(command, f"{above}{command.name} ")
        else:
            found.append(f"{above}{command.name}")
    return found


def test_each_command_says_what_it_leaves() -> None:
    assert set(LEFT) == set(all_commands(main))
    assert all(LEFT.values())


def test_a_start_that_was_interrupted_says_what_there_is(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cli.world.engine, "create", strike)
        error = cli.json("start", "-d", "demo", exit_code=130)["error"]
    assert error["left"] == "nothing of the new bottle is left"
    assert error["next"] == "bottle start --format json -d demo"
    assert cli.world.home.identities() == ()
    monkeypatch.setattr("bottle.cli.start.attend", strike)  # whose session has ended, say
    error = cli.json("start", "demo", exit_code=130)["error"]
    (identity,) = map(str, cli.world.home.identities())
    assert error["left"] == f"{identity} stays, with all its work"
    assert error["next"] == f"bottle resume {identity}   (or away with it: bottle rm {identity})"
