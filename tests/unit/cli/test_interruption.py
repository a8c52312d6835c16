"""Ctrl-C: what is said is what holds, and the line to type does what the one that was cut did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pexpect
import pytest

from bottle.model import MigrationPhase, MigrationRecord, Status, Tombstone
from bottle.state import BottleState
from tests.unit.cli.conftest import Cli

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HANDING_OFF = MigrationRecord(
    phase=MigrationPhase.HANDING_OFF, host="me@new:2222", nonce="0" * 32, commit=1, started_at=NOW
)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have every move cut after something had happened."""

    @contextmanager
    def connect(*_: object, **__: object) -> Iterator[None]:
        yield None

    def after(happened: Callable[[], None]) -> None:
        def interrupted(*_: object) -> None:
            happened()
            raise KeyboardInterrupt

        monkeypatch.setattr("bottle.cli.far.SshRemote.connect", connect)
        monkeypatch.setattr("bottle.cli.migrate.move", interrupted)
        monkeypatch.setattr("bottle.cli.pull.pull", interrupted)

    return after


@pytest.fixture
def source() -> dict[str, str]:
    """An environment in which a Python of its own finds bottle."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


def said(cli: Cli, *words: str) -> tuple[str, str]:
    """The state and the next command that an interrupted one names."""
    error = cli.json("migrate", *words, exit_code=130)["error"]
    return error["left"], error["next"]


def test_a_move_is_still_here_and_goes_on(cli: Cli, cut: Callable[[Callable[[], None]], None]) -> None:
    bottle = cli.start()
    cut(lambda: None)
    key = cli.world.folder / "k 1"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    left, following = said(
        cli, str(bottle.identity), "me@new", "-p", "2222", "--resume", "-i", str(key), "--allow-secrets", "--yes"
    )
    assert left.startswith("this host still owns the bottle")
    again = f"bottle migrate {bottle.identity} me@new:2222 --yes --resume --allow-secrets -i '{key}'"
    assert following == f"{again}   (or stay here: bottle resume {bottle.identity})"


def test_a_copy_stays_a_copy(cli: Cli, cut: Callable[[Callable[[], None]], None]) -> None:
    bottle = cli.start()
    cut(lambda: None)
    left, following = said(cli, str(bottle.identity), "me@new", "--keep", "--workspace", "/srv/x")
    assert left.startswith("the bottle is here as it was")
    assert following == f"bottle migrate {bottle.identity} me@new --keep --workspace /srv/x"


def test_what_is_pulled_is_pulled_again(cli: Cli, cut: Callable[[Callable[[], None]], None]) -> None:
    cut(lambda: None)
    left, following = said(cli, "demo-abcde", "me@old", "--from", "--keep")
    assert left.startswith("me@old owns the bottle, unless")
    assert following == "bottle migrate demo-abcde me@old --from --keep"


@pytest.mark.parametrize(
    ("happened", "owner", "following"),
    [
        (
            lambda bottle: bottle.write_tombstone(Tombstone(host="me@new:2222", moved_at=NOW)),
            "me@new:2222 owns the bottle",
            "there: bottle resume {}",
        ),
        (
            lambda bottle: bottle.write_migration(HANDING_OFF),
            "only me@new:2222 knows which host owns the bottle",
            "bottle migrate {} me@new:2222   (asks it, and finishes the move)",
        ),
    ],
)
def test_no_other_owner_is_named_than_the_one_there_is(
    cli: Cli,
    cut: Callable[[Callable[[], None]], None],
    happened: Callable[[BottleState], None],
    owner: str,
    following: str,
) -> None:
    bottle = cli.start()
    cut(lambda: happened(bottle))
    assert said(cli, str(bottle.identity), "me@new:2222") == (owner, following.format(bottle.identity))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("words", "call"), [(("commit", "{}"), "commit"), (("fork", "{}", "--share-cwd"), "write_archive")]
)
def test_a_signal_that_ends_a_command_leaves_no_agent_frozen(
    cli: Cli, number: signal.Signals, words: tuple[str, ...], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle, engine = cli.start(), cli.world.engine
    cli("commit", str(bottle.identity))
    unpause = engine.unpause

    def struck(*_: object) -> None:
        assert cli.world.status(bottle) is Status.PAUSED
        os.kill(os.getpid(), number)

    def struck_again(ref: str) -> None:
        os.kill(os.getpid(), number)
        unpause(ref)

    monkeypatch.setattr(engine, call, struck)
    monkeypatch.setattr(engine, "unpause", struck_again)
    document = cli.json(*(word.format(bottle.identity) for word in words), exit_code=130)
    assert document["error"]["code"] == "Interrupted"
    assert cli.world.status(bottle) is Status.RUNNING
    assert bottle.paused_by is None


def test_ctrl_c_at_a_question_is_130(source: dict[str, str]) -> None:
    script = (
        "import click\nfrom bottle.cli.shared import command\n"
        "@command\ndef ask():\n    click.confirm('Go on?')\nask()\n"
    )
    asked = pexpect.spawn(sys.executable, ["-c", script], env=cast("Any", source), timeout=60, encoding="utf-8")
    asked.expect_exact("[y/N]")
    for _ in range(60):  # one that comes just before it reads is noticed with the next
        asked.sendintr()
        if asked.expect_exact(["bottle: interrupted", pexpect.TIMEOUT], timeout=1) == 0:
            break
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 130


def test_a_command_in_the_foreground_gets_the_ctrl_c_and_the_dashboard_does_not(source: dict[str, str]) -> None:
    inner = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler); raise SystemExit(7)"
    script = (
        "import os, signal, sys\nfrom bottle.dashboard.acting import _in_foreground\n"
        "import builtins\n"
        "def wait(_):\n    os.kill(os.getpid(), signal.SIGINT)\n    raise EOFError\n"
        "builtins.input = wait\n"
        f"print(_in_foreground((sys.executable, '-c', {inner!r})))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        (sys.executable, "-c", script), env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[1:] == ["True", "7"]


def test_what_no_locale_has_is_no_traceback(source: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom bottle.cli.main import main\nimport click\n"
        "@main.command('say')\ndef say():\n    click.echo('\\U0001f37e …')\n"
        "type(main).get_command = lambda self, ctx, name: say\n"
        "main(['say'], prog_name='bottle')\n"
    )
    env = {**source, "PYTHONIOENCODING": "latin-1", "BOTTLE_HOME": str(tmp_path)}
    done = subprocess.run((sys.executable, "-c", script), env=env, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"\\U0001f37e \\u2026\n"
