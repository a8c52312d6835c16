"""A standby, its takeover, and the former owner: nobody owns it twice unknowingly, and no work is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from bottle.errors import Conflict, Fenced, MovedAway, NotFound, PreflightRefused, RemoteError
from bottle.model import MOST_GENERATIONS, Mount, MountKind
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context, list_bottles
from bottle.operations.commit import commit
from bottle.operations.images import bare_container
from bottle.operations.resume import resume
from bottle.operations.stop import stop
from bottle.operations.takeover import take_over
from bottle.plan.generation import above
from bottle.plan.resume import ResumeRequest
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from migrate.host.arguments import Nonce
from migrate.host.commands import Withdraw
from migrate.host.destination import Destination
from migrate.model import RemoteCommand, Reply
from migrate.move.execute import move
from migrate.move.standby import note_failure, require_ownership, stand_by
from tests.support.moving import MoveRig as Rig
from tests.support.world import AGENT, Killed


def far_context(rig: Rig) -> Context:
    """The other host's, whose engine has the images that were loaded there."""
    return replace(rig.world.context, home=StateHome(rig.far / ".bottle"))


def far_bottle(rig: Rig) -> BottleState:
    return far_context(rig).home.bottle(rig.bottle.identity)


def bring(rig: Rig) -> None:
    stand_by(rig.world.context, rig.bottle, rig.remote, MoveOptions(workspace=rig.far / "work"))


def ask(rig: Rig) -> None:
    require_ownership(rig.world.context, rig.bottle, rig.remote)


def others(rig: Rig) -> list[Identity]:
    return [each for each in rig.world.home.identities() if each != rig.bottle.identity]


def test_a_round_leaves_the_owner_and_tells_the_other_who_that_is(rig: Rig) -> None:
    bring(rig)
    there = far_bottle(rig).tombstone.read()
    assert there is not None
    assert there.standby
    assert rig.bottle.tombstone.read() is None
    assert rig.bottle.migration.read() is None
    assert far_bottle(rig).metadata().generation == rig.bottle.metadata().generation == 1
    noted = rig.bottle.standby.read()
    assert noted is not None
    assert (noted.host, noted.commit, noted.error) == (rig.remote.name, 1, "")
    with pytest.raises(Conflict, match="is its standby") as caught:
        resume(far_context(rig), far_bottle(rig), ResumeRequest(force=True))
    assert f"bottle takeover {rig.bottle.identity}" in caught.value.next_step
    (view,) = list_bottles(far_context(rig))
    assert (view.state, view.status) == ("standby", f"standby of {there.host}")
    ask(rig)  # who stands by has taken nothing over
    assert rig.bottle.tombstone.read() is None


def test_only_a_standby_is_taken_over(rig: Rig) -> None:
    with pytest.raises(Conflict, match="is no standby: this host owns it"):
        take_over(rig.world.context, rig.bottle)
    bring(rig)
    far = far_context(rig)
    for tag in [each.tag for each in far_bottle(rig).commits()]:
        rig.world.engine.remove_image(tag)
    with pytest.raises(NotFound, match="no image here any more"):
        take_over(far, far_bottle(rig))
    assert far_bottle(rig).tombstone.read() is not None


def test_who_moves_it_away_has_to_ask_first(rig: Rig) -> None:
    bring(rig)
    options = MoveOptions(workspace=rig.far / "elsewhere")
    with pytest.raises(Conflict, match="stands by for") as caught:
        move(rig.world.context, rig.bottle, rig.remote, options)
    assert caught.value.next_step == f"bottle standby {rig.bottle.identity} {rig.remote.name} --end"
    moved = move(rig.world.context, rig.bottle, rig.remote, replace(options, workspace=None, asked=True))
    assert moved.account.workspace == str(rig.far / "work")
    assert far_bottle(rig).metadata().generation == 2
    assert far_bottle(rig).tombstone.read() is None


def test_a_stopped_bottle_is_not_resumed_unasked(rig: Rig) -> None:
    bring(rig)
    stop(rig.world.context, rig.bottle)
    with pytest.raises(Conflict, match="may have taken it over: it has not been asked"):
        resume(rig.world.context, rig.bottle, ResumeRequest())
    assert resume(rig.world.context, rig.bottle, ResumeRequest(asked=True)).running


def test_taking_it_back_by_force_raises_the_generation_above_the_other(rig: Rig) -> None:
    bring(rig)
    take_over(far_context(rig), far_bottle(rig))
    stop(rig.world.context, rig.bottle)
    with pytest.raises(Fenced):
        ask(rig)
    assert resume(rig.world.context, rig.bottle, ResumeRequest(force=True)).running
    assert rig.bottle.metadata().generation == 3
    ask(rig)  # and the other one is the former owner now


def test_why_a_round_failed_is_kept_until_one_succeeds(rig: Rig) -> None:
    bring(rig)
    note_failure(rig.world.context, rig.bottle, RemoteError("no route"))
    noted = rig.bottle.standby.read()
    assert noted is not None
    assert (noted.commit, noted.error) == (1, "no route")
    (view,) = list_bottles(rig.world.context)
    assert "its last round failed: no route" in view.detail
    bring(rig)
    assert (rig.bottle.standby.read() or noted).error == ""


def test_two_hosts_do_not_stand_by(rig: Rig) -> None:
    bring(rig)
    noted = rig.bottle.standby.read()
    assert noted is not None
    rig.bottle.standby.write(replace(noted, host="me@other"))
    with pytest.raises(Conflict, match=r"me@other stands by for .* already") as caught:
        bring(rig)
    assert f"bottle standby {rig.bottle.identity} me@other --end" in caught.value.next_step
    assert rig.bottle.standby.read() == replace(noted, host="me@other")


def test_who_lives_elsewhere_has_no_standby_here(rig: Rig) -> None:
    move(rig.world.context, rig.bottle, rig.remote, MoveOptions(workspace=rig.far / "moved"))
    with pytest.raises(MovedAway):
        bring(rig)
    assert rig.bottle.standby.read() is None


def test_a_bottle_with_volumes_has_none(rig: Rig) -> None:
    volume = Mount(kind=MountKind.VOLUME, source="data", target="/data")
    rig.bottle = rig.world.start(replace(AGENT, volumes=(volume,)))
    with pytest.raises(PreflightRefused, match="has volumes"):
        bring(rig)


def test_what_a_round_that_was_cut_would_have_brought_counts_as_newer(rig: Rig) -> None:
    stop(rig.world.context, rig.bottle)
    bring(rig)
    (rig.world.cwd / "later").write_text("by hand")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Destination, "register", fail)
        with pytest.raises(RemoteError):
            bring(rig)
    take_over(far_context(rig), far_bottle(rig))
    with pytest.raises(Fenced) as caught:
        ask(rig)
    (kept,) = others(rig)
    assert caught.value.left == f"what is newer here is {kept}, a bottle of its own"
    assert (rig.world.cwd / "later").exists()


def test_a_bottle_that_runs_and_one_that_is_only_asked_about_stay_as_they_are(rig: Rig) -> None:
    bring(rig)
    take_over(far_context(rig), far_bottle(rig))
    with pytest.raises(Fenced) as caught:
        ask(rig)
    assert caught.value.next_step.startswith(f"bottle stop {rig.bottle.identity}; bottle resume {rig.bottle.identity}")
    stop(rig.world.context, rig.bottle)
    with pytest.raises(Fenced):
        require_ownership(rig.world.context, rig.bottle, rig.remote, lets_go=False)
    assert (rig.bottle.tombstone.read(), others(rig)) == (None, [])


def test_a_round_that_ends_after_the_standby_was_ended_does_not_bring_that_back(rig: Rig) -> None:
    bring(rig)
    register = Destination.register

    def end(*args: Any) -> None:
        register(*args)
        rig.bottle.standby.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Destination, "register", end)
        bring(rig)
    assert rig.bottle.standby.read() is None


def test_the_highest_generation_has_none_above_it() -> None:
    assert (above(1), above(2, 5), above(MOST_GENERATIONS)) == (2, 6, MOST_GENERATIONS)


def test_what_cannot_be_told_counts_as_newer(rig: Rig) -> None:
    stop(rig.world.context, rig.bottle)
    bring(rig)
    rig.bottle.note_workspace_left(None)
    take_over(far_context(rig), far_bottle(rig))
    with pytest.raises(Fenced):
        ask(rig)
    assert len(others(rig)) == 1


def fail(*_: object) -> None:
    raise RemoteError("it went down")


class Schedule:
    """A source and its standby, and what may happen to them, in any order."""

    CUTS = ("probe", "seed", "extract", "update", "verify", "register", "clear", "withdraw")

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.random = rig, random.Random(seed)
        self.done, self.there = 0, 0
        self.story: list[str] = []

    def play(self) -> None:
        for _ in range(12):
            step = self.random.choice((self.work, self.work, self.round, self.cut, self.over, self.back, self.far_work))
            self.story.append(step.__name__)
            step()
            self.check()
        self.end()

    @property
    def owned_there(self) -> bool:
        state = far_bottle(self.rig)
        return state.exists() and state.tombstone.read() is None

    @property
    def lets_go(self) -> bool:
        return self.rig.bottle.tombstone.read() is not None

    def work(self) -> None:
        """The agent of the source works, as long as it runs."""
        if not self.lets_go:
            self.done += 1
            self.rig.world.work(self.rig.bottle, f"/work-{self.done}", b"done")
            (self.rig.world.cwd / f"work-{self.done}").write_text("done")

    def round(self) -> None:
        if self.lets_go:
            return
        if self.owned_there:
            with pytest.raises(Fenced):
                bring(self.rig)
        else:
            bring(self.rig)

    def cut(self) -> None:
        """A round whose process dies at some far command, when that has run."""
        if self.lets_go or self.owned_there:
            return
        script, run = self.random.choice(self.CUTS), self.rig.remote.run

        def mortal(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
            reply = run(command, *args, **kwargs)
            if command.name == script:
                raise Killed(script)
            return reply

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.rig.remote, "run", mortal)
            try:
                bring(self.rig)
            except Killed:
                self.story.append(f"at {script}")

    def over(self) -> None:
        """The standby takes over, if there is one."""
        state = far_bottle(self.rig)
        self.rig.remote.run(Withdraw(identity=state.identity, nonce=Nonce("0" * 32)).command())
        if state.exists() and not self.owned_there:
            take_over(far_context(self.rig), state)

    def far_work(self) -> None:
        if self.owned_there:
            self.there += 1
            (self.rig.far / "work" / f"there-{self.there}").write_text("done")

    def back(self) -> None:
        """The source comes back, and wants to resume."""
        if self.lets_go:
            return
        context, bottle = self.rig.world.context, self.rig.bottle
        stop(context, bottle)
        owned = self.owned_there
        try:
            ask(self.rig)
        except Fenced:
            assert owned
            assert self.lets_go
            return
        assert not owned
        resume(context, bottle, ResumeRequest(asked=True))

    def check(self) -> None:
        """What somebody did there is there, and a copy there is of one moment."""
        work = self.rig.far / "work"
        for number in range(1, self.there + 1):
            assert (work / f"there-{number}").exists(), self.story
        state = far_bottle(self.rig)
        if state.exists() and state.tombstone.read() is not None:
            assert not self.there

    def end(self) -> None:
        """All that the agent here ever did is with the bottle there, with the one here, or with its fork."""
        self.over()
        self.back()
        assert self.owned_there != (not self.lets_go), self.story
        keeper = self._keeper()
        with bare_container(self.rig.world.context, keeper) as container:
            self._require_work(container)

    def _require_work(self, keeper: str) -> None:
        for number in range(1, self.done + 1):
            assert self.rig.world.engine.read(keeper, f"/work-{number}") == b"done", self.story
            folder = self.rig.world.cwd if others(self.rig) or not self.lets_go else self.rig.far / "work"
            assert (folder / f"work-{number}").exists(), self.story

    def _keeper(self) -> str:
        """The image that has all work of the agent here."""
        state = self.rig.bottle
        if not self.lets_go:
            commit(self.rig.world.context, state)
        else:
            state = self.rig.world.home.bottle(others(self.rig)[-1]) if others(self.rig) else far_bottle(self.rig)
        return str(state.committed_image())


SEEDS = [*range(10), *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(10, 50))]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_in_whatever_order(rig: Rig, seed: int) -> None:
    Schedule(rig, seed).play()
