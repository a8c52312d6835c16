"""A move is killed at its calls, and its calls fail."""

from __future__ import annotations

import logging

import pytest

from tests.campaigns import promises, strace
from tests.campaigns.bench import STRUCK, Bench, RecordProperty
from tests.campaigns.calls import choose
from tests.campaigns.campaign import SHARE
from tests.campaigns.moves import a_move
from tests.hosts import DockerHost

pytestmark = pytest.mark.campaign
POINTS = 34
_LOG = logging.getLogger("campaign")


def test_whatever_is_struck_one_host_owns_it_and_the_move_goes_on(
    bench: Bench, there: DockerHost, record_property: RecordProperty
) -> None:
    bench.desk.knows(there)
    alias = bench.desk.target(there)
    with a_move(bench, there, alias, "--jobs", "1") as move:
        counted = strace.count(bench.desk, *move.words)
        assert counted.code == 0, counted.said
        assert not move.arrived()
    home = str(bench.desk.states.parent)
    calls = [call for call in counted.calls if call.concerns((home,)) and f"{home}/logs" not in call.text]
    broken, missed = [], []
    chosen = choose(calls, max(1, round(POINTS * SHARE)))
    for point in chosen:
        with a_move(bench, there, alias, "--jobs", "1") as move:
            run = strace.strike(bench.desk, point, *move.words)
            missed += [] if run.struck else [str(point)]
            found = [*promises.plainly_said(run), *move.standing(), *move.goes_through()]
            _LOG.info("%s: %s", point, found or "held")
            broken += [f"{point}\n  {each}\n  (at first: {run.code}: {run.said})" for each in found]
    record_property(STRUCK, len(chosen) - len(missed))
    assert not broken, f"{len(chosen)} points\n" + "\n".join(broken)
    assert len(missed) <= len(chosen) // 4, "\n".join(missed)
