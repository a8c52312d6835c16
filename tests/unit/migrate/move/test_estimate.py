"""About how long a move would take: what it depends on, and what was measured of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bottle.cli.moved import plan_document, plan_lines
from bottle.cli.movewords import SENDING
from bottle.errors import ConnectionLost
from bottle.files.tree import Extent
from migrate.host.link_speed import Link
from migrate.model import Blob, Codec, Reply
from migrate.move import execute
from migrate.move.estimate import Sample, Work, estimate, work_of
from migrate.move.model import Estimate, MovePlan
from tests.support.moving import MoveRig
from tests.unit.migrate.move.test_plan import FACTS, planned

MEGA = 10**6
LINK = Link(rate=10e6, round_trip=0.02)
WORK = Work(
    written=50 * MEGA,
    image=100 * MEGA,
    files=20 * MEGA,
    entries=1000,
    staged=0,
    layer_codec=Codec.ZSTD,
    file_codec=Codec.ZSTD,
    stops=True,
    live=False,
    running=True,
)
LIVE = replace(WORK, live=True)
COPY = replace(WORK, stops=False)
NOTHING = Sample()  # nothing was read that tells anything


def total(work: Work = WORK, sample: Sample = NOTHING, **link: float) -> int:
    return estimate(work, sample, replace(LINK, **link)).seconds


def still(work: Work = WORK, sample: Sample = NOTHING, **link: float) -> int:
    found = estimate(work, sample, replace(LINK, **link)).standstill_seconds
    assert found is not None
    return found


# --- what it depends on -----------------------------------------------------------------------------------------------


def test_a_slow_line_takes_as_long_as_the_bytes_take() -> None:
    telling = Sample(size=100 * MEGA, compressed=100 * MEGA, seconds=1)
    work = replace(WORK, files=0, entries=0)
    assert total(work, telling, rate=1e6) == pytest.approx(100, rel=0.1)
    assert still(work, telling, rate=1e6) == pytest.approx(100, rel=0.1)
    assert total(work, replace(telling, compressed=25 * MEGA), rate=1e6) == pytest.approx(30, rel=0.2)
    assert total(replace(work, staged=90 * MEGA), telling, rate=1e6) < 20


def test_what_little_was_read_tells_nothing() -> None:
    assert Sample(size=MEGA, compressed=MEGA, seconds=100) != NOTHING
    assert total(WORK, Sample(size=MEGA, compressed=MEGA, seconds=100)) == total()


@pytest.mark.parametrize("work", [WORK, COPY, LIVE], ids=["move", "copy", "live"])
def test_small_files_take_longer(work: Work) -> None:
    slow, quick = (Sample(size=100 * MEGA, compressed=50 * MEGA, seconds=each) for each in (2.0, 0.4))
    assert total(work, slow, rate=1e9) > total(work, quick, rate=1e9)
    assert total(replace(work, entries=50_000)) > total(work) + 20


def test_what_an_old_engine_or_host_reads_takes_longer_to_compress() -> None:
    for codec in ("layer_codec", "file_codec"):
        larger = replace(WORK, image=1000 * MEGA, files=1000 * MEGA)
        assert total(replace(larger, **{codec: Codec.GZIP}), rate=1e9) > total(larger, rate=1e9)


def test_an_agent_that_is_copied_stands_still_for_the_commit_alone() -> None:
    assert still(COPY, rate=1e5) == still(COPY, rate=1e9) < still() / 2
    assert still(replace(COPY, written=5000 * MEGA)) > still(COPY)
    assert total(COPY) == total()


def test_a_live_one_stands_still_for_a_round_whatever_there_is() -> None:
    larger = replace(LIVE, written=5000 * MEGA, image=9000 * MEGA, files=1000 * MEGA)
    assert still(larger, rate=1e5) == still(LIVE) < still() / 2
    assert still(LIVE, round_trip=1.0) > still(LIVE) + 5
    assert total(larger) > 10 * total(LIVE)


def test_one_that_does_not_run_stands_still_for_nothing() -> None:
    assert estimate(replace(WORK, stops=False, running=False), NOTHING, LINK).standstill_seconds is None


@given(
    number=st.integers(0, 10**12),
    field=st.sampled_from(["written", "image", "files", "entries"]),
    work=st.sampled_from([WORK, COPY, LIVE]),
)
def test_more_to_do_never_takes_less(number: int, field: str, work: Work) -> None:
    more = replace(work, **{field: getattr(work, field) + number})
    assert total(more) >= total(work)
    assert still(more) >= still(work)
    assert still(more) <= total(more)


def test_it_says_what_it_was_made_of() -> None:
    found = estimate(WORK, NOTHING, Link(rate=11_234_567.0, round_trip=0.0234))
    assert (found.line_bytes_per_second, found.round_trip_seconds) == (11_000_000, 0.02)
    assert LINK.limited(None) == LINK
    assert (LINK.limited(10**6).rate, LINK.limited(10**9).rate) == (1e6, 10e6)


# --- what was measured ------------------------------------------------------------------------------------------------

FIRST = replace(WORK, written=0, image=610 * MEGA, files=0, entries=0, stops=False, running=False)
SMALL = Sample(size=60 * MEGA, compressed=29 * MEGA, seconds=0.7)
LARGE = Sample(size=60 * MEGA, compressed=60 * MEGA, seconds=0.1)
MEASURED: Mapping[str, tuple[Work, Sample, Link, float, float | None]] = {
    # docs/BENCHMARKS.md: a first move, and a live one
    "610 MB": (FIRST, NOTHING, Link(rate=100e6, round_trip=0.01), 23.3, None),
    "610 MB at 200 Mbit/s": (FIRST, NOTHING, Link(rate=25e6, round_trip=0.01), 28.1, None),
    "610 MB live": (
        replace(LIVE, written=610 * MEGA, image=610 * MEGA, files=0, entries=0),
        replace(SMALL, size=610 * MEGA, compressed=280 * MEGA, seconds=7.0),
        Link(rate=100e6, round_trip=0.01), 43, 2.0,
    ),
    # Moves of one bottle on those two cores
    "nothing": (
        replace(WORK, written=0, image=0, files=0, entries=0), NOTHING, Link(rate=100e6, round_trip=0.01), 2.7, 1.3,
    ),
    "nothing, far away": (
        replace(WORK, written=0, image=0, files=0, entries=0), NOTHING, Link(rate=36e6, round_trip=0.1), 5.4, 3.0,
    ),
    "nothing at 100 kB/s": (
        replace(WORK, written=0, image=0, files=0, entries=0), NOTHING, Link(rate=97e3, round_trip=0.04), 9.9, 7.9,
    ),
    "a large file": (
        replace(WORK, written=60 * MEGA, image=60 * MEGA, files=0, entries=0), LARGE,
        Link(rate=100e6, round_trip=0.01), 4.7, 3.2,
    ),
    "a large file at 1 MB/s": (
        replace(WORK, written=20 * MEGA, image=20 * MEGA, files=0, entries=0),
        replace(LARGE, size=20 * MEGA, compressed=20 * MEGA), Link(rate=0.96e6, round_trip=0.02), 24.1, 22.7,
    ),
    "small files": (
        replace(WORK, written=60 * MEGA, image=60 * MEGA, files=0, entries=0), SMALL,
        Link(rate=100e6, round_trip=0.01), 6.8, 4.6,
    ),
    "a copy of small files": (
        replace(COPY, written=60 * MEGA, image=60 * MEGA, files=0, entries=0), SMALL,
        Link(rate=100e6, round_trip=0.01), 7.6, 1.6,
    ),
    "small files, live": (
        replace(LIVE, written=60 * MEGA, image=60 * MEGA, files=0, entries=0), SMALL,
        Link(rate=100e6, round_trip=0.01), 8.6, 1.8,
    ),
    "a workspace": (
        replace(WORK, written=0, image=0, files=60 * MEGA, entries=5000, file_codec=Codec.GZIP), NOTHING,
        Link(rate=100e6, round_trip=0.01), 9.8, 7.7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MEASURED)
def test_real_moves_took_no_more_than_twice_and_no_less_than_half_of_it(case: str) -> None:
    work, sample, link, took, stood = MEASURED[case]
    found = estimate(work, sample, link)
    assert took / 2 <= found.seconds <= took * 2
    if stood is not None:
        assert found.standstill_seconds is not None
        assert stood / 2 <= found.standstill_seconds <= stood * 2


# --- what a plan knows ------------------------------------------------------------------------------------------------


def test_the_work_is_what_the_plan_says() -> None:
    volumes = {str(FACTS.metadata.identity.volume("cache")): Extent(7 * MEGA, "a", 30, 9)}
    facts = replace(FACTS, volumes=volumes, state=Extent(MEGA, "a", 5, 9), host=replace(FACTS.host, staged=11))
    plan = planned(volumes=volumes, state=facts.state)
    work = work_of(facts, plan)
    assert work is not None
    assert (work.written, work.image, work.staged) == (facts.written, facts.written + facts.image_size, 11)
    assert (work.files, work.entries) == (facts.workspace.size + 8 * MEGA, 2 + 30 + 5)
    assert (work.layer_codec, work.file_codec) == (Codec.ZSTD, Codec.GZIP)
    assert (work.stops, work.live, work.running) == (True, False, True)
    assert work_of(facts, replace(plan, commits=False)) == replace(work, written=0)
    assert work_of(facts, replace(plan, workspace=None)) == replace(work, entries=35)


def test_of_a_volume_that_nobody_can_look_into_nothing_can_be_said() -> None:
    assert work_of(FACTS, planned()) is None


def test_a_sample_is_what_was_read() -> None:
    blob = Blob(diff_id="", diff_size=9 * MEGA, digest="", size=MEGA, codec=Codec.ZSTD, path=Path("x"))
    assert Sample.of(blob, 2.0) == Sample(size=9 * MEGA, compressed=MEGA, seconds=2.0)
    assert Sample.of(None, 2.0) == NOTHING


@pytest.mark.parametrize(
    ("seconds", "stood", "rate", "line"),
    [
        (
            40, 35, 11_000_000,
            "about 40 s in all, of which the agent stands still for about 35 s (the line brings 11 MB/s)",
        ),
        (240, None, 1_200_000, "about 4 min in all (the line brings 1.2 MB/s)"),
    ],
)  # fmt: skip
def test_a_plan_says_it_in_words(seconds: int, stood: int | None, rate: int, line: str) -> None:
    found = Estimate(seconds=seconds, standstill_seconds=stood, line_bytes_per_second=rate, round_trip_seconds=0.01)
    plan = replace(planned(), estimate=found)
    assert f"takes:           {line}" in plan_lines(plan, SENDING)
    assert not any(each.startswith("takes") for each in plan_lines(planned(), SENDING))
    assert plan_document(plan, SENDING)["estimate"] == {
        "seconds": seconds,
        "standstill_seconds": stood,
        "line_bytes_per_second": rate,
        "round_trip_seconds": 0.01,
    }
    assert plan_document(planned(), SENDING)["estimate"] is None


# --- a plan that measures ---------------------------------------------------------------------------------------------

LOOKS = {"probe", "images", "known", "sink"}  # none of these writes


def test_a_plan_measures_the_line_and_leaves_nothing_there(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    ran, run = [], rig.remote.run

    def noted(command, *args, **kwargs) -> Reply:  # type: ignore[no-untyped-def]
        ran.append(command.name)
        return run(command, *args, **kwargs)

    monkeypatch.setattr(rig.remote, "run", noted)
    before = sorted(rig.far.rglob("*"))
    decided = rig.plan()
    assert decided.estimate is not None
    assert decided.estimate.standstill_seconds is not None
    assert set(ran) <= LOOKS
    assert ran.count("sink") > 1
    assert sorted(rig.far.rglob("*")) == before


def test_a_line_may_be_used_for_no_more_than_the_limit(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "look_at_link", lambda _: LINK)
    free, limited = rig.plan().estimate, rig.plan(rate=1000).estimate
    assert free is not None
    assert limited is not None
    assert (free.line_bytes_per_second, limited.line_bytes_per_second) == (10_000_000, 1000)
    assert limited.seconds > 10 * free.seconds


def test_nothing_is_measured_for_who_pulls(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "look_at_link", lambda _: pytest.fail("it was measured"))
    assert rig.plan(pulled_by="a" * 32).estimate is None


def test_a_line_that_breaks_while_it_is_measured_is_told(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Link:
        raise ConnectionLost("the line broke")

    monkeypatch.setattr(execute, "look_at_link", broken)
    decided = rig.plan()
    assert isinstance(decided, MovePlan)
    assert decided.estimate is None
    assert rig.world.progress.notes[-1] == "how long it would take is not known: the line broke"


def test_a_volume_that_cannot_be_looked_into_is_told(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "look_at_link", lambda _: pytest.fail("it was measured"))
    monkeypatch.setattr(execute, "work_of", lambda *_: None)
    assert rig.plan().estimate is None
    assert "how large its volumes are" in rig.world.progress.notes[-1]
