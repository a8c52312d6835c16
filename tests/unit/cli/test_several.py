"""Commands that take several bottles: each has its turn, and the answer tells of all."""

from __future__ import annotations

import json

import pytest

from bottle.errors import BottleError, EngineError
from bottle.model import Status
from bottle.store.state import BottleState
from tests.unit.cli.conftest import Cli


def test_several_are_stopped_and_removed(cli: Cli) -> None:
    names = [str(cli.start().identity) for _ in range(3)]
    stopped = cli("stop", *names)
    assert stopped.exit_code == 0
    assert [line.split()[0] for line in stopped.stdout.splitlines() if line.endswith(" stopped")] == names
    removed = json.loads(cli("rm", "--yes", "--format", "json", *names).stdout)
    assert [each["identity"] for each in removed["bottles"]] == names
    assert cli("ls", "-q").stdout == ""


@pytest.mark.parametrize("form", ["text", "json"])
def test_one_that_fails_keeps_no_other_from_its_turn(cli: Cli, form: str) -> None:
    first, last = cli.start(), cli.start()
    result = cli("stop", "--format", form, str(first.identity), "nobody-00000", str(last.identity))
    assert result.exit_code == 3
    assert "there is no bottle 'nobody-00000'" in result.stderr
    assert {cli.world.status(each) for each in (first, last)} == {Status.EXITED}
    if form == "json":
        done, failed, other = json.loads(result.stdout)["bottles"]
        assert (done["was_running"], other["was_running"]) == (True, True)
        assert (failed["identity"], failed["error"]["code"]) == ("nobody-00000", "NotFound")


def test_a_single_one_answers_as_ever(cli: Cli) -> None:
    bottle = cli.start()
    assert cli.json("stop", str(bottle.identity))["identity"] == str(bottle.identity)
    assert cli.json("stop", "nobody", exit_code=3)["error"]["code"] == "NotFound"
    assert cli.json("rm", "--yes", str(bottle.identity), str(bottle.identity))["bottles"]


def test_each_bottle_has_one_turn_whichever_of_its_names_is_given(cli: Cli) -> None:
    first = str(cli.json("start", "-d", "demo", "--name", "work")["identity"])
    last = str(cli.start().identity)
    stopped = cli.json("stop", first, "work", last)
    assert [each["identity"] for each in stopped["bottles"]] == [first, last]
    removed = cli.json("rm", "--yes", "work", first, last)
    assert [each["identity"] for each in removed["bottles"]] == [first, last]


@pytest.mark.parametrize("failure", [PermissionError(13, "Permission denied"), EngineError("no", next_step="x")])
def test_whatever_one_fails_of_keeps_no_other_from_its_turn(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    first, last = cli.start(), cli.start()
    refusing(cli, monkeypatch, first, failure)
    failed, done = cli.json("stop", str(first.identity), str(last.identity), exit_code=failed_with(failure))["bottles"]
    assert failed["identity"] == str(first.identity)
    assert done["was_running"]
    assert cli.world.status(last) is Status.EXITED


@pytest.mark.parametrize("lost", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")])
def test_an_answer_that_nobody_takes_keeps_none_from_its_turn(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, lost: OSError
) -> None:
    bottles = [cli.start() for _ in range(3)]

    def refuse(*_: object) -> None:
        raise lost

    monkeypatch.setattr("bottle.cli.output._print", refuse)
    result = cli("stop", *(str(each.identity) for each in bottles))
    assert result.exit_code != 0
    assert {cli.world.status(each) for each in bottles} == {Status.EXITED}
    if not isinstance(lost, BrokenPipeError):  # to whoever left nothing is told
        assert all(f"{each.identity} stopped" in result.stderr for each in bottles)


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_interruption_ends_all_of_it_and_the_answer_tells_of_what_was_done(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    first, middle, last = (cli.start() for _ in range(3))
    refusing(cli, monkeypatch, middle, KeyboardInterrupt())
    result = cli("stop", "--format", form, *(str(each.identity) for each in (first, middle, last)))
    assert result.exit_code == 130
    assert cli.world.status(first) is Status.EXITED
    assert cli.world.status(last) is Status.RUNNING
    if form == "json":
        done, cut = json.loads(result.stdout)["bottles"]
        assert (done["identity"], done["was_running"]) == (str(first.identity), True)
        assert (cut["identity"], cut["error"]["code"]) == (str(middle.identity), "Interrupted")


def test_several_come_back_in_the_background(cli: Cli) -> None:
    names = [str(cli.start().identity) for _ in range(2)]
    cli("stop", *names)
    foreseen = cli.json("resume", "--dry-run", *names)
    assert [each["plan"] for each in foreseen["bottles"]] == ["StartAgain", "StartAgain"]
    resumed = cli.json("resume", "-d", *names)
    assert [each["running"] for each in resumed["bottles"]] == [True, True]
    assert "a terminal shows one bottle" in cli("resume", *names).stderr
    assert "--at N is a commit of one bottle" in cli("resume", "-d", "--at", "1", *names).stderr


def refusing(cli: Cli, monkeypatch: pytest.MonkeyPatch, bottle: BottleState, failure: BaseException) -> None:
    """Let the engine not stop this one."""
    container = cli.world.context.container(bottle.identity)
    assert container is not None
    stop = cli.world.engine.stop

    def fail(ref: str, grace: int) -> None:
        if ref in {container.id, container.name}:
            raise failure
        stop(ref, grace)

    monkeypatch.setattr(cli.world.engine, "stop", fail)


def failed_with(failure: Exception) -> int:
    return failure.exit_code if isinstance(failure, BottleError) else BottleError.exit_code
