"""What somebody else's bottle would be given is shown before it is agreed to: all of it, to its last character."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bottle.admission import LONGEST_DEMAND
from bottle.cli.consent import agreement
from bottle.errors import NeedsConsent
from bottle.model import Agent, Metadata
from bottle.naming import Identity
from migrate.trust import Granted


@pytest.mark.parametrize("yes", [False, True])
def test_the_longest_demand_is_shown_whole(capsys: pytest.CaptureFixture[str], *, yes: bool) -> None:
    asked = ("folder " + "a/" * LONGEST_DEMAND)[: LONGEST_DEMAND - 4] + "/etc"
    assert agreement(yes=yes)((asked,)) is yes  # nobody sits here
    assert capsys.readouterr().err.split("given: ")[1].splitlines() == [asked]
    identity, agent = Identity.fresh("demo"), Agent(name="demo", image="debian")
    metadata = Metadata(identity=identity, agent=agent, started_at=datetime.now(UTC))
    with pytest.raises(NeedsConsent) as caught:
        Granted(metadata=metadata, refused=(), demands=(asked,)).require(lambda _: False, "", "it")
    assert caught.value.what.endswith(asked)
