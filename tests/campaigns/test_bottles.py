"""Commands that make, freeze, bring back and end a bottle are killed, and their calls fail."""

from __future__ import annotations

import pytest

from tests.campaigns import commands
from tests.campaigns.bench import STRUCK, Bench, RecordProperty
from tests.campaigns.campaign import strike_all
from tests.campaigns.commands import Prepare

pytestmark = pytest.mark.campaign
POINTS = 23


@pytest.mark.parametrize(
    "prepare",
    [
        commands.start,
        commands.commit,
        commands.stop,
        commands.resume,
        commands.fork,
    ],
    ids=lambda prepare: prepare.__name__.rstrip("_"),
)
def test_whatever_is_struck_the_promises_hold(bench: Bench, prepare: Prepare, record_property: RecordProperty) -> None:
    report = strike_all(bench, prepare, POINTS)
    record_property(STRUCK, report.struck)
    assert not report.broken, str(report)
    assert len(report.missed) <= report.struck // 4, str(report)
