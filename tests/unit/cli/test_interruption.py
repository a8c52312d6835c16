"""Ctrl-C: what is said is what holds, and the line to type does what the one that was cut did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pexpect
import pytest

from bottle.errors import EngineError
from bottle.model import Lineage, MigrationPhase, MigrationRecord, MoveAccount, Status, Tombstone
from bottle.naming import Identity
from bottle.store.state import BottleState
from migrate.move.model import Moved
from tests.unit.cli.conftest import Cli

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HANDING_OFF = MigrationRecord(
    phase=MigrationPhase.HANDING_OFF, host="me@new:2222", nonce="0" * 32, commit=1, started_at=NOW
)
STAGING = replace(HANDING_OFF, phase=MigrationPhase.STAGING)
OLD = Identity.parse("demo-abcde")


@contextmanager
def connected(*_: object, **__: object) -> Iterator[None]:
    """A host that can be called."""
    yield None


def strike(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have every move cut after something had happened."""

    def after(happened: Callable[[], object]) -> None:
        def interrupted(*_: object) -> None:
            happened()
            raise KeyboardInterrupt

        monkeypatch.setattr("bottle.cli.migrate.plan_only", interrupted)
        monkeypatch.setattr("bottle.cli.far.SshRemote.connect", connected)
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


def test_a_move_is_still_here_and_goes_on(cli: Cli, cut: Callable[[Callable[[], object]], None]) -> None:
    bottle = cli.start()
    cli.world.engine.stop(bottle.identity.container, 0)
    cut(lambda: bottle.migration.write(STAGING))
    key = cli.world.folder / "k 1"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    left, following = said(
        cli, str(bottle.identity), "me@new", "-p", "2222", "--resume", "-i", str(key), "--allow-secrets", "--yes"
    )
    assert left.startswith("this host still owns the bottle")
    again = f"bottle migrate {bottle.identity} me@new:2222 --yes --resume --allow-secrets -i '{key}'"
    assert following == f"{again}   (or stay here: bottle resume {bottle.identity})"


def test_an_agent_that_works_has_noticed_nothing(cli: Cli, cut: Callable[[Callable[[], object]], None]) -> None:
    bottle = cli.start()
    cut(lambda: bottle.migration.write(STAGING))
    left, following = said(cli, str(bottle.identity), "me@new", "--live", "--max-downtime", "1.5s")
    assert left.startswith("this host still owns the bottle, and its agent goes on here")
    assert following == f"bottle migrate {bottle.identity} me@new --live --max-downtime=1.5s"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rounds", "2"), "are for --live"),
        (("--max-downtime", "5s"), "are for --live"),
        (("--live", "--keep"), "stops no agent"),
        (("--live", "--from"), "fetches it"),
        (("--no-history", "--from"), "never fetches the images of older commits"),
        (("--live", "--max-downtime", "soon"), "is no time"),
        (("--live", "--max-downtime", "0s"), "is no time"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(cli: Cli, words: tuple[str, ...], said: str) -> None:
    bottle = cli.start()
    assert said in cli.json("migrate", str(bottle.identity), "me@new", *words, exit_code=2)["error"]["what"]


def test_a_copy_stays_a_copy(cli: Cli, cut: Callable[[Callable[[], object]], None]) -> None:
    bottle = cli.start()
    cut(lambda: bottle.migration.write(STAGING))
    left, following = said(cli, str(bottle.identity), "me@new", "--keep", "--workspace", "/srv/x")
    assert left.startswith("the bottle is here as it was")
    assert following == f"bottle migrate {bottle.identity} me@new --keep --workspace=/srv/x"


@pytest.mark.parametrize("words", [(), ("--keep",)])
def test_before_anything_is_on_record_nothing_was_sent(
    cli: Cli, cut: Callable[[Callable[[], object]], None], words: tuple[str, ...]
) -> None:
    bottle = cli.start()
    cut(lambda: None)
    left, following = said(cli, str(bottle.identity), "me@new", *words)
    assert left == "nothing was sent; this host owns the bottle"
    assert following == " ".join(("bottle migrate", str(bottle.identity), "me@new", *words))


def test_a_copy_that_is_there_is_not_made_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()

    def registered(*asked: Any) -> None:
        asked[-1](OLD)
        raise KeyboardInterrupt

    monkeypatch.setattr("bottle.cli.far.SshRemote.connect", connected)
    monkeypatch.setattr("bottle.cli.migrate.move", registered)
    left, following = said(cli, str(bottle.identity), "me@new", "--keep", "--resume")
    assert left == f"me@new has the copy, {OLD}; {bottle.identity} is here as it was"
    assert following == f"there: bottle resume {OLD}"


@pytest.mark.parametrize("words", [(), ("--from",)])
def test_a_plan_that_was_interrupted_does_not_become_a_move(
    cli: Cli, cut: Callable[[Callable[[], object]], None], words: tuple[str, ...]
) -> None:
    bottle = cli.start()
    cut(lambda: None)
    left, following = said(cli, str(bottle.identity), "me@new", "--plan", *words)
    assert left == "nothing was sent, and nothing here was changed"
    assert following.split()[:2] == ["bottle", "migrate"]
    assert "--plan" in following


def test_what_is_pulled_is_pulled_again(cli: Cli, cut: Callable[[Callable[[], object]], None]) -> None:
    cut(cli.start)  # by somebody else, meanwhile
    left, following = said(cli, str(OLD), "me@old", "--from")
    assert left.startswith("me@old owns the bottle, unless")
    assert following == f"bottle migrate {OLD} me@old --from"
    left, following = said(cli, str(OLD), "me@old", "--from", "--keep")
    assert left == "me@old has the bottle as it was; what arrived here is kept"
    assert following == f"bottle migrate {OLD} me@old --from --keep"


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_what_came_to_live_here_meanwhile_is_here(
    cli: Cli, cut: Callable[[Callable[[], object]], None], keep: bool
) -> None:
    bottle = cli.start()
    if keep:
        bottle.write_metadata(replace(bottle.metadata(), copied_from=Lineage(identity=OLD, commit=1)))
    bottle.tombstone.write(Tombstone(host="me@old", moved_at=NOW))
    cut(lambda: (cli.start(), bottle.tombstone.clear(), cli.start()))
    words = (str(bottle.identity), "me@old", "--from", *(["--keep"] if keep else []))
    left, following = said(cli, *words)
    assert left == f"{bottle.identity} is here now, from me@old"
    again = " ".join(("bottle migrate", *words))
    assert following == (f"bottle resume {bottle.identity}" if keep else f"{again}   (has me@old know it, too)")


def pulled(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> BottleState:
    """A bottle that every pull brings here."""
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    moved = Moved(
        identity=bottle.identity, arrived_as=bottle.identity, host="here",
        account=MoveAccount(commit=3, workspace="/srv/x", staged=5, edited=("notes.md",)),
    )  # fmt: skip
    monkeypatch.setattr("bottle.cli.far.SshRemote.connect", connected)
    monkeypatch.setattr("bottle.cli.pull.pull", lambda *_: moved)
    return bottle


@pytest.mark.parametrize("place", ["bottle.operations.resume", "bottle.cli.pull.answer"])
def test_a_pull_that_happened_is_told_though_what_follows_is_interrupted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    bottle = pulled(cli, monkeypatch)
    monkeypatch.setattr(place, strike)
    error = cli.json("migrate", str(bottle.identity), "me@old", "--from", "--resume", exit_code=130)["error"]
    assert error["left"] == f"{bottle.identity} is here now, from me@old"
    assert error["next"] == f"bottle resume {bottle.identity}"
    assert any("newer there than here: notes.md" in line for line in error["details"])


@pytest.mark.parametrize(
    ("following", "told"),
    [
        ("", "bottle resume {0}"),
        ("mkdir /srv/x", "mkdir /srv/x; then bottle resume {0}"),
        ("bottle logs {0}; then bottle resume {0}", "bottle logs {0}; then bottle resume {0}"),
    ],
)
def test_a_pull_that_happened_is_told_though_its_resume_fails(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, following: str, told: str
) -> None:
    bottle = pulled(cli, monkeypatch)

    def failed(*_: object) -> None:
        next_step = following.format(bottle.identity)
        raise EngineError("Docker could not start it", left="nothing was changed", next_step=next_step)

    monkeypatch.setattr("bottle.operations.resume", failed)
    error = cli.json("migrate", str(bottle.identity), "me@old", "--from", "--resume", exit_code=5)["error"]
    assert error["what"] == "Docker could not start it"
    assert error["left"] == f"{bottle.identity} is here now, from me@old"
    assert error["next"] == told.format(bottle.identity)
    assert error["details"][0].startswith(f"{bottle.identity} lives here now, from me@old (commit 3")


@pytest.mark.parametrize("when", ["before", "after"])
def test_while_the_other_host_is_called_or_left(cli: Cli, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    bottle = pulled(cli, monkeypatch)

    @contextmanager
    def connect(*_: object, **__: object) -> Iterator[None]:
        if when == "before":
            raise KeyboardInterrupt
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr("bottle.cli.far.SshRemote.connect", connect)
    result = cli("migrate", str(bottle.identity), "me@old", "--from")
    assert result.exit_code == 130
    is_here = f"state: {bottle.identity} is here now, from me@old" in result.stderr
    assert (is_here, "state: nothing was sent" in result.stderr) == (when == "after", when == "before")


@pytest.mark.parametrize(
    ("happened", "owner", "following"),
    [
        (
            lambda bottle: bottle.tombstone.write(Tombstone(host="me@new:2222", moved_at=NOW)),
            "me@new:2222 owns the bottle",
            "there: bottle resume {}",
        ),
        (
            lambda bottle: bottle.migration.write(HANDING_OFF),
            "only me@new:2222 knows which host owns the bottle",
            "bottle migrate {} me@new:2222   (asks it, and finishes the move)",
        ),
    ],
)
def test_no_other_owner_is_named_than_the_one_there_is(
    cli: Cli,
    cut: Callable[[Callable[[], object]], None],
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
        signal.raise_signal(number)

    def struck_again(ref: str) -> None:
        signal.raise_signal(number)
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
