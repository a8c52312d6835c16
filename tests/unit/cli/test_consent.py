"""What somebody else's bottle would be given is shown before it is agreed to: all of it, to its last character."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bottle.agent.admission import LONGEST_DEMAND
from bottle.cli.consent import agreement
from bottle.errors import NeedsConsent
from bottle.model import Agent, Metadata
from bottle.naming import Identity
from migrate.admission.grant import Granted


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
