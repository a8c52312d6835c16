"""A bottle without a host is told so, and is not taken for one; so are the two in the wrong order."""

from __future__ import annotations

import pytest

from bottle.cli.migrate import bottle_and_host
from bottle.errors import UsageError
from bottle.naming import Identity
from tests.unit.cli.conftest import Cli

HERE = Identity.parse("claude-x7k2p")


def named(text: str) -> Identity | None:
    return HERE if str(HERE).startswith(text) else None


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("me@new",), (None, "me@new")),
        (("new",), (None, "new")),
        (("claude-x7k2p", "new"), ("claude-x7k2p", "new")),
        (("cl", "me@new:22"), ("cl", "me@new:22")),
        (("claude",), (None, "claude")),  # a host of ssh_config
        (("claude-x7k2p", "claude"), ("claude-x7k2p", "claude")),
        (("claude-x7k2p", "cl"), ("claude-x7k2p", "cl")),  # no host that is known, and it begins a bottle's identity
    ],
)
def test_which_is_which(names: tuple[str, ...], meant: tuple[str | None, str]) -> None:
    assert bottle_and_host(names, named, ("claude", "new")) == meant


@pytest.mark.parametrize("word", ["claude-x7k2p", "claude-x", "cl"])
def test_a_bottle_alone_lacks_a_host(word: str) -> None:
    with pytest.raises(UsageError, match="the host that claude-x7k2p is to move to is missing") as caught:
        bottle_and_host((word,), named, ("new",))
    assert caught.value.next_step.startswith("bottle migrate claude-x7k2p [USER@]HOST")


def test_the_bottle_comes_first() -> None:
    with pytest.raises(UsageError, match="the bottle comes first") as caught:
        bottle_and_host(("me@new", "claude-x7k2p"), named, ())
    assert caught.value.next_step == "bottle migrate claude-x7k2p me@new"
    with pytest.raises(UsageError, match="not 3 names"):
        bottle_and_host(("a", "b", "c"), named, ())


def test_nobody_is_called(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bottle.cli.migrate.connect", lambda *_: pytest.fail("somebody was called"))
    identity = str(cli.start().identity)
    error = cli.json("migrate", identity, exit_code=2)["error"]
    assert error["what"] == f"the host that {identity} is to move to is missing"
    assert cli.json("migrate", "me@new", identity, exit_code=2)["error"]["next"] == f"bottle migrate {identity} me@new"
    error = cli.json("migrate", "me@old:22", "--from", exit_code=2)["error"]
    assert error["next"] == "bottle migrate IDENTITY me@old:22 --from   (which there are: ssh -p 22 me@old bottle list)"


def test_start_of_what_is_here_already_is_a_resume(cli: Cli) -> None:
    identity = str(cli.start().identity)
    for word in (identity, identity[:-2]):
        error = cli.json("start", "-d", word, exit_code=3)["error"]
        assert error["next"] == f"bottle resume {identity}"
        assert error["left"] == "nothing was begun"
    (cli.world.cwd / "bottle.toml").unlink()
    assert cli.json("start", "-d", identity, exit_code=3)["error"]["next"] == f"bottle resume {identity}"
    assert cli.json("start", "-d", "demo", exit_code=2)["error"]["next"] == "bottle init"  # an agent is meant
    assert cli.json("start", "-d", "codex", exit_code=2)["error"]["next"] == "bottle init codex"


def test_start_of_what_fits_several_bottles_or_a_second_name_names_them(cli: Cli) -> None:
    named = str(cli.json("start", "-d", "demo", "--name", "work")["identity"])
    cli.start()
    assert cli.json("start", "-d", "work", exit_code=3)["error"]["next"] == f"bottle resume {named}"
    error = cli.json("start", "-d", "demo-", exit_code=3)["error"]
    assert all(str(each) in error["what"] for each in cli.world.home.identities())
    assert error["next"] == "bottle list"
