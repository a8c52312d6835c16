"""What somebody else's bottle would be given is shown before it is agreed to: all of it, to its last character.

What may be carried is looked up in the manifest in force, and one that cannot be read is told of.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.agent.admission import LONGEST_DEMAND
from bottle.cli.consent import agreement, carried
from bottle.errors import NeedsConsent
from bottle.model import Agent, Metadata
from bottle.naming import Identity
from migrate.admission.grant import Granted
from tests.unit.cli.conftest import Cli

MANIFEST = '[agents.demo]\nimage = "debian"\ncommand = ["cat"]\ncarry = ["/root/notes"]\n'


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sits at the terminal, and says no."""
    monkeypatch.setattr("bottle.cli.consent.on_terminal", lambda: True)
    monkeypatch.setattr("bottle.cli.consent.confirmed", lambda _: False)


def test_where_nobody_sits_only_the_refusal_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert agreement(yes=False, left="")(("network host",)) is False
    assert capsys.readouterr().err == ""


def test_who_read_the_list_and_said_no_does_not_read_it_again(
    somebody: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NeedsConsent) as caught:
        agreement(yes=False, left="nothing was changed")(("network host",))
    assert capsys.readouterr().err == "resumed here, it would be given: network host\n"
    assert "network" not in caught.value.what
    assert caught.value.left == "nothing was changed"


def test_the_longest_demand_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("folder " + "a/" * LONGEST_DEMAND)[: LONGEST_DEMAND - 4] + "/etc"
    assert agreement(yes=True, left="")((asked,))
    assert capsys.readouterr().err.split("given: ")[1].splitlines() == [asked]
    identity, agent = Identity.fresh("demo"), Agent(name="demo", image="debian")
    metadata = Metadata(identity=identity, agent=agent, started_at=datetime.now(UTC))
    with pytest.raises(NeedsConsent) as caught:
        Granted(metadata=metadata, refused=(), demands=(asked,)).require(lambda _: False, "", "it")
    assert caught.value.what.endswith(asked)


def test_only_the_manifest_of_where_this_is_typed_counts(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = cli.start()
    (cli.world.cwd / "bottle.toml").write_text(MANIFEST)  # which the agent can write, as its workspace is mounted
    (tmp_path / "login").mkdir()
    monkeypatch.chdir(tmp_path / "login")
    assert carried(cli.world.context, bottle) == ()
    monkeypatch.chdir(cli.world.cwd)
    assert carried(cli.world.context, bottle) == ("/root/notes",)


def test_a_manifest_that_cannot_be_read_is_told_of(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()
    (cli.world.cwd / "bottle.toml").write_text(MANIFEST.replace("carry = [", "carry = "))
    monkeypatch.chdir(cli.world.cwd)
    cli.world.progress.notes.clear()
    assert carried(cli.world.context, bottle) == ()
    (told,) = cli.world.progress.notes
    assert "does not count" in told
