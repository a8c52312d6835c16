"""`keep`: old commits go by count and age, and never one that is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from bottle.errors import EngineError
from bottle.model import CommitRecord, Retention
from bottle.operations import ForkRequest, commit, fork, history, resume, stop
from bottle.plan.resume import ResumeRequest
from bottle.plan.retention import expired
from bottle.store.state import BottleState
from tests.support.values import HISTORIES, TIMES
from tests.support.world import AGENT, World

TWO = replace(AGENT, keep=Retention(commits=2))


def states(world: World, bottle: BottleState) -> list[str]:
    return [entry.image for entry in history(world.context, bottle).entries]


def test_the_newest_stay(world: World) -> None:
    bottle = world.start(TWO)
    went = [commit(world.context, bottle).expired for _ in range(4)]
    assert went == [(), (), (1,), (2,)]
    assert states(world, bottle) == ["expired", "expired", "present", "present"]
    assert world.engine.image(bottle.identity.committed(1)) is None


def test_one_commit_under_a_clock_that_jumped_lets_nothing_go(world: World) -> None:
    bottle = world.start(replace(AGENT, keep=Retention(days=30)))
    for _ in range(3):
        commit(world.context, bottle)
    later = replace(world.context, now=lambda: world.engine.clock() + timedelta(days=3650))
    assert commit(later, bottle).expired == ()
    assert commit(world.context, bottle).expired == ()
    assert states(world, bottle) == ["present"] * 5


def test_the_old_go_once_a_younger_one_is_not_the_newest(world: World) -> None:
    bottle = world.start(replace(AGENT, keep=Retention(days=30)))
    went = []
    for number in range(4):
        month = replace(world.context, now=lambda days=31 * number: world.engine.clock() + timedelta(days=days))
        went.append(commit(month, bottle).expired)
    assert went == [(), (), (1,), (2,)]


def test_without_a_rule_all_stay(world: World) -> None:
    bottle = world.start()
    for _ in range(4):
        assert commit(world.context, bottle).expired == ()
    assert states(world, bottle) == ["present"] * 4


def test_a_fork_keeps_what_it_descends_from(world: World) -> None:
    bottle = world.start(TWO)
    commit(world.context, bottle)
    new = fork(world.context, bottle, ForkRequest(share_cwd=True)).identity
    for _ in range(3):
        world.work(bottle, "/work", b"more")
        commit(world.context, bottle)
    assert states(world, bottle) == ["present", "expired", "present", "present"]
    world.check(world.home.bottle(new))


def test_nothing_goes_while_a_bottle_cannot_be_read(world: World) -> None:
    bottle, damaged = world.start(TWO), world.start()
    (damaged.path / "metadata.json").write_text("{}")
    for _ in range(3):
        commit(world.context, bottle)
    assert states(world, bottle) == ["present"] * 3
    assert "were all kept" in world.progress.notes[-1]


def test_an_image_that_could_not_go_goes_next_time(world: World) -> None:
    bottle = world.start(TWO)
    commit(world.context, bottle)
    commit(world.context, bottle)
    world.engine.fail_next("image_summaries", EngineError("busy"))
    assert commit(world.context, bottle).commit.number == 3
    assert world.engine.image(bottle.identity.committed(1)) is not None
    commit(world.context, bottle)
    assert states(world, bottle) == ["expired", "expired", "present", "present"]


def test_the_image_that_the_container_stands_on_waits_for_it(world: World) -> None:
    bottle = world.start(TWO)
    world.work(bottle, "/work", b"one")
    commit(world.context, bottle)
    stop(world.context, bottle)
    resume(world.context, bottle, ResumeRequest(at=1, consent=True))
    for number in range(3):
        world.work(bottle, "/work", b"%d" % number)
        commit(world.context, bottle)
    world.check(bottle)
    assert states(world, bottle)[2:] == ["present", "present"]


@given(HISTORIES, TIMES, st.none() | st.integers(1, 5), st.none() | st.integers(1, 400), st.data())
def test_what_may_go_is_neither_new_nor_young_nor_needed(
    commits: tuple[CommitRecord, ...], now: datetime, count: int | None, days: int | None, data: st.DataObject
) -> None:
    numbers = [each.number for each in commits]
    needed = data.draw(st.sets(st.sampled_from(numbers)) if numbers else st.just(set()))
    in_force = data.draw(st.sampled_from([each.tag for each in commits]) if commits else st.none())
    going = expired(commits, Retention(commits=count, days=days), now=now, in_force=in_force, needed=needed)
    for each in going:
        assert each.number not in needed
        assert each.tag != in_force
        assert each not in commits[-(count or 1) :]
        assert days is None or now - each.created_at > timedelta(days=days)
    if count is None and days is None:
        assert going == ()


def test_either_rule_keeps() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    commits = tuple(
        CommitRecord(
            number=number,
            tag=f"t:{number}",
            config_digest="",
            diff_ids=(),
            created_at=now - timedelta(days=40 - number),
            parent=parent,
        )
        for number, parent in ((1, None), (2, 1), (15, 2), (38, 15), (39, 38))
    )

    def going(keep: Retention, in_force: str = "t:39", needed: tuple[int, ...] = ()) -> list[int]:
        return [each.number for each in expired(commits, keep, now=now, in_force=in_force, needed=needed)]

    assert going(Retention(commits=1)) == [1, 2, 15, 38]
    assert going(Retention(days=30)) == [1, 2]
    assert going(Retention(commits=4, days=30)) == [1]
    assert going(Retention(commits=1, days=1)) == [1, 2, 15]
    assert going(Retention(commits=1), in_force="t:2") == [1, 15, 38]
    assert going(Retention(commits=1), needed=(15,)) == [1, 2, 38]


def test_each_image_that_stays_is_told_of_and_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = world.start(replace(AGENT, keep=None))
    for _ in range(3):
        commit(world.context, bottle)
    bottle.write_metadata(replace(bottle.metadata(), agent=replace(AGENT, keep=Retention(commits=1))))
    real = world.engine.remove_image

    def slow(ref: str) -> None:
        if ref.endswith(":2"):
            raise EngineError("Docker did not answer in time")
        real(ref)

    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "remove_image", slow)
        assert commit(world.context, bottle).expired == (1, 3)
    assert [note for note in world.progress.notes if "stays" in note] == [
        "commit 2 stays until the next commit: Docker did not answer in time"
    ]
    assert states(world, bottle) == ["expired", "present", "expired", "present"]
    commit(world.context, bottle)
    assert states(world, bottle) == ["expired", "expired", "expired", "expired", "present"]


def test_a_commit_from_the_beginning_of_time_is_old(world: World) -> None:
    bottle = world.start(replace(AGENT, keep=Retention(days=100_000)))
    commit(world.context, bottle)
    commit(world.context, bottle)
    ancient = tuple(replace(each, created_at=datetime.min.replace(tzinfo=UTC)) for each in bottle.commits())
    bottle.write_commits(ancient)
    assert commit(world.context, bottle).commit.number == 3
