"""`bottle evacuate` at the shell: whom it means, what it tells of each, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bottle.cli import evacuate as command
from bottle.cli.evacuated import told_error
from bottle.errors import Conflict, PreflightRefused
from bottle.model import Tombstone
from bottle.naming import Identity
from migrate.evacuation.model import Bulk, Candidate, Disk, Outcome, Result
from tests.unit.cli.conftest import Cli
from tests.unit.cli.test_shapes import MOVED, PLAN

HOST = "me@new"
NAMES = [Identity.parse(f"demo-0000{number}") for number in range(5)]
DISK = Disk(name="/var", path="/var/lib/docker", free=500_000_000)
BULK = Bulk(
    layers=frozenset(), base=0, written=0, volumes=0, workspace=0, state=0, staged=0, docker=DISK, home=DISK, place=DISK
)
REFUSED = Conflict(
    "/work on me@new exists", left="nothing was changed", next_step="the same command with --workspace D"
)


class Remote:
    name = HOST


class World:
    """What is found, and what becomes of it; what the command asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[Candidate] = []
        self.outcomes: list[Outcome] = []
        self.cut = False
        self.seen: list[Any] = []
        self.performed: list[Any] = []
        for name in ("connect", "observe_all", "have_them_leave"):
            monkeypatch.setattr(command, name, getattr(self, name))

    @contextmanager
    def connect(self, *_: object) -> Iterator[Remote]:
        yield Remote()

    def observe_all(self, _: object, states: Any, *asked: Any) -> list[Candidate]:
        self.seen = [str(each.identity) for each in states]
        return self.found or [Candidate(identity=each.identity, decided=PLAN, bulk=BULK) for each in states]

    def have_them_leave(self, plan: Any, workers: Any, asked: Any, told: Callable[[Outcome], None], **_: Any) -> None:
        self.performed = [plan, workers, asked]
        for worker in workers:
            worker.begins(NAMES[0])
            worker.context.progress.note("sending")
        for outcome in self.outcomes:
            told(outcome)
        if self.cut:
            raise KeyboardInterrupt


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def went(name: Identity) -> Outcome:
    moved = replace(MOVED, identity=name, arrived_as=name)
    return Outcome(identity=name, result=Result.WENT, moved=moved, place="/work")


@pytest.mark.parametrize("words", [(), ("--all", "demo-00000")])
def test_it_wants_names_or_all_of_them(cli: Cli, world: World, words: tuple[str, ...]) -> None:
    error = cli.json("evacuate", HOST, *words, exit_code=2)["error"]
    assert error["what"].startswith("which bottles are to leave?")
    assert error["next"] == f"bottle evacuate {HOST} --all --plan"


def test_those_that_are_named_and_no_other(cli: Cli, world: World) -> None:
    first, second, _ = (str(cli.start().identity) for _ in range(3))
    assert cli("evacuate", HOST, second, first, second).exit_code == 0
    assert world.seen == [second, first]
    assert cli("evacuate", HOST, first, "nobody-00000").exit_code == 3


def test_all_are_those_that_live_here_or_went_there(cli: Cli, world: World) -> None:
    here, there, elsewhere = (cli.start() for _ in range(3))
    for bottle, host in ((there, HOST), (elsewhere, "another")):
        bottle.tombstone.write(Tombstone(host=host, moved_at=datetime(2026, 1, 1, tzinfo=UTC)))
    cli("evacuate", HOST, "--all")
    assert sorted(world.seen) == sorted(str(each.identity) for each in (here, there))


def test_options_reach_each_move(cli: Cli, world: World) -> None:
    for _ in range(3):
        cli.start()
    result = cli(
        "evacuate", HOST, "--all", "--jobs", "2", "--limit-rate", "1M", "--live", "--resume", "--yes", "--allow-secrets"
    )  # fmt: skip
    _, workers, asked = world.performed
    assert (len(workers), asked.rate, asked.live, asked.resume) == (2, 500_000, True, True)
    assert (asked.consent, asked.allow_secrets) == (True, True)
    assert f"{NAMES[0]}: sending" in result.stderr


def test_the_plan_says_who_would_go_who_would_not_and_what_is_needed(cli: Cli, world: World) -> None:
    world.found = [
        Candidate(identity=NAMES[0], folder=Path("/w"), decided=PLAN, bulk=BULK),
        Candidate(identity=NAMES[1], folder=Path("/w"), decided=PLAN, bulk=BULK),
        Candidate(identity=NAMES[2], decided=PLAN, bulk=replace(BULK, written=1_000_000_000)),
        Candidate(identity=NAMES[3], refusal=REFUSED),
        Candidate(identity=NAMES[4], went=True),
    ]
    cli.start()
    said = cli("evacuate", HOST, "--all", "--plan")
    lines = {line.split()[0]: line for line in said.stdout.splitlines()}
    assert said.exit_code == 1
    assert "would go" in lines[str(NAMES[0])]
    assert f"workspace /work, with {NAMES[0]}" in lines[str(NAMES[1])]
    assert "there is no room for it on me@new" in lines[str(NAMES[2])]
    assert "would stay" in lines[str(NAMES[3])]
    assert REFUSED.what in lines[str(NAMES[3])]
    assert "went before" in lines[str(NAMES[4])]
    assert "needed at /var/lib/docker, 500.0 MB free" in said.stdout
    assert "missing there:" in said.stdout
    told = cli.json("evacuate", HOST, "--all", "--plan", exit_code=1)
    assert [each["result"] for each in told["bottles"]] == ["goes", "goes", "went-before", "stays", "stays"]
    assert told["bottles"][1]["goes_with"] == str(NAMES[0])
    assert world.performed == []


def test_a_plan_by_which_all_go_is_no_failure(cli: Cli, world: World) -> None:
    cli.start()
    assert cli("evacuate", HOST, "--all", "--plan").exit_code == 0


def test_the_table_says_what_went_and_what_did_not_and_why(cli: Cli, world: World) -> None:
    cli.start()
    world.outcomes = [
        went(NAMES[0]),
        Outcome(identity=NAMES[1], result=Result.WENT_BEFORE, place="/other"),
        Outcome(identity=NAMES[2], result=Result.STAYS, error=REFUSED),
        Outcome(identity=NAMES[3], result=Result.UNKNOWN),
    ]
    said = cli("evacuate", HOST, "--all")
    assert said.exit_code == 1
    *told, header, first, second, third, fourth = said.stdout.splitlines()
    assert any(f"{NAMES[0]} lives on me@there now" in line for line in told)
    assert header.split() == ["IDENTITY", "RESULT", "WHERE,", "OR", "WHY"]
    assert first.split(maxsplit=2) == [str(NAMES[0]), "went", "me@new, workspace /work"]
    assert second.endswith("went before  me@new, workspace /other")
    assert third.split(maxsplit=2) == [str(NAMES[2]), "stays", REFUSED.what]
    assert "not known" in fourth
    assert "only me@new knows who owns it" in fourth
    assert f"next:  bottle migrate {NAMES[2]} {HOST} with --workspace D" in said.stderr
    document = cli.json("evacuate", HOST, "--all", exit_code=1)
    assert [each["result"] for each in document["bottles"]] == ["went", "went-before", "stays", "unknown"]
    assert document["bottles"][2]["error"]["code"] == "Conflict"
    assert document["bottles"][0]["move"]["arrived_as"] == str(NAMES[0])


@pytest.mark.parametrize("error", [None, PreflightRefused("it could not be started there")])
def test_all_that_went_without_trouble_is_a_success(cli: Cli, world: World, error: PreflightRefused | None) -> None:
    cli.start()
    world.outcomes = [replace(went(NAMES[0]), error=error)]
    assert cli("evacuate", HOST, "--all").exit_code == (0 if error is None else 1)


def test_an_interruption_comes_after_the_table(cli: Cli, world: World) -> None:
    cli.start()
    world.outcomes, world.cut = [went(NAMES[0]), Outcome(identity=NAMES[1], result=Result.STAYS)], True
    said = cli("evacuate", HOST, "--all", "--resume")
    assert said.exit_code == 130
    assert "it was not moved: the evacuation was interrupted" in said.stdout
    assert f"next:  bottle evacuate {HOST} --all --resume" in said.stderr
    told = cli.json("evacuate", HOST, "--all", exit_code=130)
    assert [each["result"] for each in told["bottles"]] == ["went", "stays"]


def test_advice_that_only_migrate_takes_names_it() -> None:
    plain = PreflightRefused("x", next_step="the same command again")
    assert told_error(plain, NAMES[0], HOST).next_step == "the same command again"
