"""A second name of a bottle: given at the start, shown, completed, and taken wherever an identity is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bottle.naming import Identity
from tests.unit.cli.conftest import Cli
from tests.unit.cli.test_completion import offered


def started(cli: Cli, name: str) -> str:
    return str(cli.json("start", "-d", "demo", "--name", name)["identity"])


def test_every_command_takes_it_for_the_identity(cli: Cli) -> None:
    identity = started(cli, "work")
    cli.start()
    assert cli.json("inspect", "work")["metadata"]["name"] == "work"
    assert "name:        work" in cli("inspect", "work").stdout
    assert cli.json("commit", "work")["identity"] == identity
    assert cli.json("history", "work")["identity"] == identity
    assert cli.json("logs", "work")["identity"] == identity
    assert cli.json("stop", "work")["identity"] == identity
    assert cli.json("resume", "-d", "work")["identity"] == identity
    assert cli.json("fork", "work@1", "--share-cwd")["copied_from"]["identity"] == identity
    cli("stop", "work")
    assert cli.json("rm", "work", "--yes")["identity"] == identity
    assert cli("inspect", "work").exit_code == 3


def test_it_is_shown_where_any_bottle_has_one(cli: Cli) -> None:
    other = str(cli.start().identity)
    assert "NAME" not in cli("list").stdout
    identity = started(cli, "work")
    header, *lines = sorted(cli("list").stdout.splitlines(), key=lambda line: "IDENTITY" not in line)
    assert header.split()[:3] == ["IDENTITY", "NAME", "STATE"]
    assert sorted(tuple(line.split()[:2]) for line in lines) == sorted([(identity, "work"), (other, "running")])
    assert cli("list", "-q", "--filter", "name=work").stdout == f"{identity}\n"
    assert cli("list", "--format", "{{.Identity}} {{.Name}}", "--filter", "name=work").stdout == f"{identity} work\n"


def test_it_completes(cli: Cli) -> None:
    identity = started(cli, "work")
    for command in ("attach", "resume", "migrate", "commit"):
        assert sorted(offered(command, "")) == sorted([identity, "work"])
    cli("commit", "work")
    assert offered("fork", "wo") == ["work"]
    assert offered("fork", "work@") == ["work@1"]
    assert offered("rm", "work", "w") == []


@pytest.mark.parametrize("name", ["Work", "-w", "a b", "", "a/b", "é", "x" * 65, "../x"])
def test_what_can_be_none_is_refused_before_anything_happens(cli: Cli, name: str) -> None:
    result = cli("start", "-d", "demo", f"--name={name}")
    assert result.exit_code == 2
    assert "can be no name of a bottle" in result.stderr
    assert cli.world.home.identities() == ()


def test_one_that_means_another_bottle_is_taken(cli: Cli) -> None:
    identity = started(cli, "work")
    for name, why in (("work", f"is that of {identity}"), ("dem", f"is the beginning of {identity}")):
        for dry in ((), ("--dry-run",)):
            result = cli("start", "-d", "demo", "--name", name, *dry)
            assert result.exit_code == 4
            assert why in result.stderr
    assert len(cli.world.home.identities()) == 1


def test_an_identity_goes_before_a_name_and_a_name_before_the_beginning_of_an_identity(cli: Cli) -> None:
    first = cli.start()
    second, third = cli.start(), cli.start()
    for bottle, name in ((second, "demo"), (third, str(first.identity))):  # as those of a bottle that came here
        bottle.write_metadata(replace(bottle.metadata(), name=name))
    assert cli.world.home.find("demo") == second
    assert cli.world.home.find(str(first.identity)) == first


def test_one_that_two_have_is_ambiguous_and_harms_neither(cli: Cli) -> None:
    identity = started(cli, "work")
    other = cli.start()
    other.write_metadata(replace(other.metadata(), name="work"))
    result = cli("stop", "work")
    assert result.exit_code == 2
    assert identity in result.stderr
    assert str(other.identity) in result.stderr
    assert cli("stop", identity).exit_code == 0


def test_a_mistyped_one_is_suggested(cli: Cli) -> None:
    started(cli, "workshop")
    assert "did you mean workshop?" in cli("attach", "workshp").stderr


def test_a_fork_has_none(cli: Cli) -> None:
    started(cli, "work")
    cli("commit", "work")
    fork = Identity.parse(cli.json("fork", "work", "--share-cwd")["identity"])
    assert cli.world.home.bottle(fork).metadata().name is None


def test_what_an_earlier_version_wrote_has_none_and_what_is_damaged_hides_no_other(cli: Cli) -> None:
    bottle, broken = cli.start(), cli.start()
    path = bottle.path / "metadata.json"
    document = json.loads(path.read_text())
    del document["name"]
    path.write_text(json.dumps(document))
    (broken.path / "metadata.json").write_text("{")
    assert bottle.metadata().name is None
    identity = started(cli, "work")
    assert str(cli.world.home.find("work").identity) == identity
