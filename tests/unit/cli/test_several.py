"""Commands that take several bottles: each has its turn, and the answer tells of all."""

from __future__ import annotations

import json

import pytest

from bottle.model import Status
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


def test_an_interruption_ends_all_of_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = cli.start(), cli.start()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.world.engine, "stop", interrupt)
    assert cli("stop", str(first.identity), str(last.identity)).exit_code == 130
    assert cli.world.status(last) is Status.RUNNING
