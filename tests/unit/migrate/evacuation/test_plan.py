"""Which bottles go, and in which order, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, strategies as st

from bottle.errors import Conflict
from bottle.naming import Identity
from migrate.evacuation.model import Bulk, Candidate, Disk
from migrate.evacuation.plan import Room, no_room, plan_evacuation, take
from tests.unit.cli.test_shapes import PLAN

MEGA = 1 << 20
SLACK = 64 * MEGA
FREE = 10_000 * MEGA


def disks(docker: int = FREE, home: int = FREE, place: int | None = None) -> dict[str, Disk]:
    """Docker's disk and that of the home there; the workspace is on that, too, or on one of its own."""
    at_home = Disk(name="/", path="/root/.bottle", free=home)
    return {
        "docker": Disk(name="/var", path="/var/lib/docker", free=docker),
        "home": at_home,
        "place": at_home if place is None else Disk(name="/srv", path="/srv/work", free=place),
    }


def bottle(number: int, folder: str | None = None, *, begun: bool = False, **bulk: Any) -> Candidate:
    facts: dict[str, Any] = {"layers": frozenset({f"sha256:{number}"}), **disks(), **bulk}
    amounts = {name: facts.pop(name, 0) for name in ("base", "written", "volumes", "workspace", "state", "staged")}
    return Candidate(
        identity=Identity.parse(f"demo-{number:05}"),
        folder=Path(folder) if folder is not None else None,
        begun=begun,
        bulk=Bulk(**amounts, **facts),
    )


def numbers(candidates: Any) -> list[int]:
    return [int(each.identity.suffix) for each in candidates]


def test_each_goes_alone_the_small_ones_first_and_what_was_begun_before_them() -> None:
    plan = plan_evacuation([bottle(1, written=3), bottle(2, written=1), bottle(3, written=9, begun=True)], "there")
    assert [numbers(group) for group in plan.groups] == [[3], [2], [1]]
    assert (plan.crowded, plan.went, plan.refused) == ((), (), ())


def test_those_that_share_a_workspace_go_together_the_whole_of_it_first() -> None:
    plan = plan_evacuation([bottle(1, "/w/sub"), bottle(2, "/w"), bottle(3, "/w"), bottle(4, "/wide")], "there")
    assert sorted(numbers(group) for group in plan.groups) == [[2, 3, 1], [4]]


def test_one_that_leaves_with_others_does_not_work_until_its_last_round() -> None:
    found = [replace(bottle(each, "/w"), decided=replace(PLAN, live=True)) for each in (1, 2)]
    ((first, second),) = plan_evacuation(found, "there").groups
    ((alone,),) = plan_evacuation(found[:1], "there").groups
    assert [each.decided is not None and each.decided.live for each in (first, second, alone)] == [False, False, True]


def test_of_those_that_share_one_goes_first_what_was_begun() -> None:
    plan = plan_evacuation([bottle(1, "/w"), bottle(2, "/w", begun=True), bottle(3, "/w/sub", begun=True)], "there")
    assert [numbers(group) for group in plan.groups] == [[2, 1, 3]]


def test_what_went_and_what_cannot_go_is_kept_apart() -> None:
    went = Candidate(identity=Identity.parse("demo-00007"), went=True)
    refused = Candidate(identity=Identity.parse("demo-00008"), refusal=Conflict("it runs there"))
    plan = plan_evacuation([went, bottle(1), refused], "there")
    assert [numbers(each) for each in (plan.went, plan.refused, *plan.groups)] == [[7], [8], [1]]


def test_one_that_was_cut_handing_over_goes_whatever_the_room() -> None:
    cut = Candidate(identity=Identity.parse("demo-00007"), begun=True)
    plan = plan_evacuation([bottle(1, **disks(docker=1)), cut], "there")
    assert [numbers(each) for each in (*plan.groups, plan.crowded)] == [[7], [1]]


def test_one_that_is_too_large_stays_and_the_others_go() -> None:
    room = disks(docker=SLACK + 100)
    plan = plan_evacuation([bottle(1, written=80, **room), bottle(2, written=10, **room)], "there")
    assert [numbers(each) for each in (*plan.groups, plan.crowded)] == [[2], [1]]
    (need, _) = sorted(plan.needs, key=lambda each: each.disk.name, reverse=True)
    assert (need.disk.path, need.needed) == ("/var/lib/docker", 10 + 10 + SLACK)
    error = no_room(plan.crowded[0], "there")
    assert "there is no room for it on there" in error.what
    assert "at /var/lib/docker" in error.what


def test_the_first_one_for_which_there_is_room_takes_the_workspace() -> None:
    room = disks(docker=SLACK + 100)
    plan = plan_evacuation([bottle(1, "/w", written=80, **room), bottle(2, "/w", written=10, **room)], "there")
    assert [numbers(each) for each in (*plan.groups, plan.crowded)] == [[2], [1]]


def test_what_nobody_can_join_travels_with_one_and_the_others_are_told_before() -> None:
    plan = plan_evacuation([replace(bottle(1, "/w"), whole=False), replace(bottle(2, "/w"), whole=False)], "there")
    assert [numbers(each) for each in (*plan.groups, plan.refused)] == [[1], [2]]
    assert "no other bottle can join it there" in str(plan.refused[0].refusal)


def test_a_shared_workspace_is_counted_once() -> None:
    room = disks(home=SLACK + 350)
    shared = [bottle(number, "/w", workspace=100, **room) for number in (1, 2, 3)]
    assert numbers(plan_evacuation(shared, "there").crowded) == []
    apart = [bottle(number, f"/w{number}", workspace=100, **room) for number in (1, 2, 3)]
    assert len(plan_evacuation(apart, "there").crowded) == 1


def test_an_image_that_several_stand_on_is_counted_once() -> None:
    room = disks(docker=SLACK + 250)
    same = [bottle(number, base=100, layers=frozenset({"sha256:a"}), **room) for number in (1, 2, 3)]
    assert numbers(plan_evacuation(same, "there").crowded) == []
    assert numbers(plan_evacuation([bottle(number, base=100, **room) for number in (1, 2)], "there").crowded) == [2]


def test_what_comes_at_once_needs_its_room_at_once() -> None:
    room = disks(docker=2 * SLACK - 1)
    pair = [bottle(number, **room) for number in (1, 2)]
    assert numbers(plan_evacuation(pair, "there").crowded) == []
    assert numbers(plan_evacuation(pair, "there", at_once=2).crowded) == [2]


def test_a_workspace_on_a_disk_of_its_own_is_staged_on_that_of_the_home() -> None:
    assert numbers(plan_evacuation([bottle(1, workspace=100, **disks(place=99))], "there").crowded) == [1]
    assert numbers(plan_evacuation([bottle(1, workspace=100, **disks(place=100))], "there").crowded) == []
    small = disks(place=100, home=SLACK + 199)  # packed, and unpacked before it is put into place
    assert numbers(plan_evacuation([bottle(1, workspace=100, **small)], "there").crowded) == [1]


FOLDERS = st.sampled_from([None, "/a", "/a/b", "/a/b/c", "/d"])
AMOUNT = st.integers(0, 50)


@st.composite
def some(draw: Any) -> list[Candidate]:
    room = disks(*(draw(st.integers(SLACK, SLACK + 300)) for _ in range(3)))
    return [
        bottle(
            number, draw(FOLDERS), begun=draw(st.booleans()), **room,
            **{name: draw(AMOUNT) for name in ("base", "written", "volumes", "workspace", "state")},
        )
        for number in range(draw(st.integers(1, 9)))
    ]  # fmt: skip


@given(some(), st.integers(1, 3))
def test_each_has_one_place_in_the_plan_and_what_goes_has_room(found: list[Candidate], at_once: int) -> None:
    plan = plan_evacuation(found, "there", at_once)
    going = [each for group in plan.groups for each in group]
    assert sorted(numbers([*going, *plan.crowded])) == numbers(found)
    assert all(need.needed <= need.disk.free for need in plan.needs)
    for group in plan.groups:
        tops = {each.folder for each in group if each.folder is not None}
        assert len(group) == 1 or all(folder.is_relative_to(min(tops)) for folder in tops)


@given(some(), st.integers(1, 3))
def test_none_stays_for_which_there_is_room_beside_the_others(found: list[Candidate], at_once: int) -> None:
    plan, room = plan_evacuation(found, "there", at_once), Room(at_once=at_once)
    for group in plan.groups:
        for number, each in enumerate(group):
            assert each.bulk is not None
            assert take(room, each.bulk, first=number == 0)
    for each in plan.crowded:
        assert each.bulk is not None
        assert not take(room, each.bulk, first=True)
