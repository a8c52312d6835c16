"""`bottle list` at the shell: every bottle, in each form, at each width, in colours that mean something."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from bottle.cli.main import main
from bottle.model import Tombstone
from bottle.store.state import BottleState
from tests.unit.cli.conftest import Cli
from tests.unit.cli.test_capability_commands import ask

COLOUR = re.compile(r"\x1b\[([0-9]+)m(.*?)\x1b\[0m")


@pytest.fixture
def bottles(cli: Cli) -> dict[str, BottleState]:
    """One that runs, one without a container, and one that lives elsewhere."""
    running, lost, moved = (cli.start() for _ in range(3))
    cli("commit", str(lost.identity))
    cli.world.lose_container(lost)
    cli("stop", str(moved.identity))
    moved.tombstone.write(Tombstone(host="me@newhost", moved_at=datetime(2026, 1, 2, tzinfo=UTC)))
    return {"running": running, "lost": lost, "moved": moved}


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command prints goes to a terminal."""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)


def states(cli: Cli, *words: str) -> set[str]:
    return {each["status"] for each in json.loads(cli("ls", "--format", "json", *words).stdout)["bottles"]}


def test_every_bottle_is_shown(cli: Cli, bottles: dict[str, BottleState]) -> None:
    shown = {line.split()[0]: line for line in cli("ls").stdout.splitlines()[1:]}
    assert set(shown) == {str(each.identity) for each in bottles.values()}
    assert " running " in shown[str(bottles["running"].identity)]
    assert " no container " in shown[str(bottles["lost"].identity)]
    assert " moved to me@newhost " in shown[str(bottles["moved"].identity)]
    assert cli("ls", "-a").stdout == cli("ls").stdout


def test_quiet_is_for_scripts(cli: Cli, bottles: dict[str, BottleState]) -> None:
    identities = sorted(str(each.identity) for each in bottles.values())
    assert cli("ls", "-q").stdout.split() == identities
    assert cli("ls", "--format", "{{.Identity}}").stdout.split() == identities
    assert cli("ls", "-q", "--format", "json").exit_code == 2


def test_filters(cli: Cli, bottles: dict[str, BottleState]) -> None:
    assert states(cli, "--filter", "state=running") == {"running"}
    assert "there is no state 'bogus': expected one of running, paused" in cli("ls", "--filter", "state=bogus").stderr
    assert states(cli, "-f", "state=committed", "-f", "state=moved") == {"no container", "moved to me@newhost"}
    assert states(cli, "-f", "state=no container", "-f", "agent=demo") == {"no container"}
    assert states(cli, "-f", "host=newhost") == states(cli, "-f", "host=me@newhost") == {"moved to me@newhost"}
    assert states(cli, "-f", f"identity={str(bottles['lost'].identity)[:-1]}") == {"no container"}
    assert states(cli, "-f", "agent=other") == set()
    assert "identity, name, agent, state, host" in cli("ls", "-f", "nonsense=1").stderr


def test_templates_and_fields(cli: Cli, bottles: dict[str, BottleState]) -> None:
    moved = str(bottles["moved"].identity)
    only = ("-f", "state=moved")
    assert cli("ls", *only, "--format", r"{{.Identity}}\t{{.MovedTo}}").stdout == f"{moved}\tme@newhost\n"
    table = cli("ls", *only, "--format", r"table {{.Identity}}\t{{.MovedTo}}").stdout.splitlines()
    assert [line.split() for line in table] == [["IDENTITY", "MOVED", "TO"], [moved, "me@newhost"]]
    picked = json.loads(cli("ls", *only, "--format", "json", "--fields", "state,identity").stdout)
    assert picked == {"schema": 1, "bottles": [{"state": "moved", "identity": moved}]}
    for words in (("--fields", "state"), ("--format", "yaml"), ("--format", "{{.Nothing}}")):
        assert cli("ls", *words).exit_code == 2
    wrong = cli("ls", "--format", "json", "--fields", "nothing")
    assert (wrong.exit_code, json.loads(wrong.stdout)["error"]["code"]) == (2, "UsageError")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_it_fits_the_terminal(
    cli: Cli, bottles: dict[str, BottleState], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, cli("ls").stdout.splitlines())) > 60  # no terminal: nothing is cut
    on_a_terminal(monkeypatch)
    lines = [COLOUR.sub(r"\2", line) for line in cli("ls").stdout.splitlines()]
    assert all(len(line) <= width for line in lines)
    assert {line.split()[0] for line in lines[1:]} == {str(each.identity) for each in bottles.values()}
    assert any("moved to me@newhost" in line for line in lines)
    assert ("SHARED" in lines[0]) == (width == 160)


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_mean_something(
    cli: Cli, bottles: dict[str, BottleState], environ: dict[str, str], coloured: bool
) -> None:
    shown = CliRunner().invoke(main, ["ls"], env=environ).stdout
    found = {text: int(code) for code, text in COLOUR.findall(shown)}
    assert found == ({"running": 32, "moved to me@newhost": 90} if coloured else {})


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_has_colours_unless_it_or_the_user_wants_none(
    cli: Cli, bottles: dict[str, BottleState], monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    on_a_terminal(monkeypatch)
    shown = CliRunner().invoke(main, ["ls"], color=True, env={"TERM": "xterm", **environ})
    assert bool(COLOUR.search(shown.stdout)) == (not environ)
    failed = CliRunner().invoke(main, ["logs", "nobody"], color=True, env={"TERM": "xterm", **environ})
    assert failed.stderr.startswith("bottle: " if environ else "\x1b[31mbottle: ")


def test_a_request_that_waits_is_seen_where_nothing_else_has_room(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()
    ask(cli, bottle)
    monkeypatch.setenv("COLUMNS", "60")
    on_a_terminal(monkeypatch)
    assert "running, request waits" in cli("ls").stdout
    shown = CliRunner().invoke(main, ["ls"], color=True, env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[33mrunning, request waits\x1b[0m" in shown


def test_commit_and_history_say_one_size(cli: Cli) -> None:
    bottle = cli.start()
    for content in (b"x" * 5000, None, b"y" * 9000):
        if content is not None:
            cli.world.work(bottle, "/work", content)
        committed = cli.json("commit", str(bottle.identity))
        entry = cli.json("history", str(bottle.identity))["commits"][-1]
        assert committed["adds"] == entry["size"]
        assert (entry["size"] == 0) == (content is None)
    said = cli("commit", str(bottle.identity)).stdout.splitlines()[0]
    assert said.endswith("(adds 0 B)")
