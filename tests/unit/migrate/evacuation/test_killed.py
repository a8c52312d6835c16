"""An evacuation that dies at a call of the engine or a write of the state: the next goes on, and nothing is lost."""

from __future__ import annotations

from contextlib import suppress

import pytest

from bottle.moveoptions import MoveOptions
from migrate.evacuation.model import Result
from migrate.evacuation.observe import observe_all
from migrate.evacuation.perform import evacuate
from migrate.evacuation.plan import plan_evacuation
from migrate.evacuation.workers import Worker
from tests.support.world import Fate, Killed
from tests.unit.migrate.evacuation.test_perform import Rig, rig

__all__ = ["rig"]  # the fixture

MOMENTS = 720  # some more than there are


def evacuate_until(rig: Rig, fate: Fate) -> None:
    """An evacuation that ends by `fate`."""
    states = [rig.world.home.bottle(each) for each in rig.world.home.identities()]
    with rig.world.doomed(fate) as context, suppress(Killed):
        asked, carry = MoveOptions(resume=True), lambda _: ()
        plan = plan_evacuation(observe_all(context, states, rig.remote, asked, carry), rig.remote.name)
        workers = [Worker(context=context, remote=rig.remote)]
        evacuate(plan, workers, asked, lambda _: None, carry=carry, interrupted=lambda _: False)


@pytest.mark.campaign
@pytest.mark.parametrize("moment", range(0, MOMENTS, 9))
def test_it_goes_on_wherever_it_died(rig: Rig, moment: int) -> None:
    sharing, other = [rig.start("shared"), rig.stopped("shared")], rig.start("other")
    fate = Fate(moment, deadly=True)
    evacuate_until(rig, fate)
    rig.evacuate(resume=True)
    assert set(rig.results.values()) <= {Result.WENT, Result.WENT_BEFORE}, [each.error for each in rig.outcomes]
    assert {rig.cwd_there(each) for each in sharing} == {rig.far / "at" / "shared"}
    assert set(rig.resumed) == {str(each.identity) for each in (sharing[0], other)}, fate.last
    for folder in ("shared", "other"):
        assert (rig.far / "at" / folder / "name").read_text() == folder
        assert (rig.world.cwd / folder / "name").read_text() == folder
    assert not list((rig.far / ".bottle").glob("incoming/*"))
