"""How numbers are said."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from bottle.words import about, age, coarse, elapsed, rate, size

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "shown"), [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (90_000, "1d"), (-60, "0s")]
)
def test_ages(ago: int, shown: str) -> None:
    assert elapsed(NOW - timedelta(seconds=ago), NOW) == shown
    assert age(NOW - timedelta(seconds=ago), NOW) == f"{shown} ago"
    assert age(datetime.now(UTC) - timedelta(seconds=ago)) == f"{shown} ago"


def test_what_never_was_has_no_age() -> None:
    assert age(None) == elapsed(None, NOW) == "-"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1500, "1.5 kB"),
        (404_480, "404.5 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (999_960, "1.0 MB"),
        (999_999_999, "1.0 GB"),
        (2 * 10**9, "2.0 GB"),
        (10**12 - 1, "1.0 TB"),
        (10**13, "10.0 TB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize("power", range(15))
def test_sizes_have_room_in_a_column(power: int) -> None:
    for count in (10**power - 1, 10**power, 10**power * 99_949 // 100_000, 10**power * 99_950 // 100_000):
        assert len(size(count)) <= len("999.9 MB")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, "about 1 s"),
        (3.4, "about 3 s"),
        (9.6, "about 10 s"),
        (36.0, "about 35 s"),
        (59.0, "about 60 s"),
        (94.0, "about 90 s"),
        (117.0, "about 2 min"),
        (200.0, "about 3 min"),
        (1300.0, "about 20 min"),
        (7100.0, "about 2 h"),
        (100_000.0, "about 28 h"),
    ],
)
def test_guessed_times_are_round(amount: float, shown: str) -> None:
    assert about(amount) == shown
    assert about(coarse(amount)) == shown


@given(st.floats(1, 1e7))
def test_a_round_time_is_not_far_from_the_time(amount: float) -> None:
    assert coarse(coarse(amount)) == coarse(amount)
    assert amount / 1.5 <= coarse(amount) <= amount * 1.5


@pytest.mark.parametrize(
    ("amount", "shown"), [(11e6, "11 MB/s"), (1.2e6, "1.2 MB/s"), (97_000.4, "97 kB/s"), (10, "10 B/s")]
)
def test_rates(amount: float, shown: str) -> None:
    assert rate(amount) == shown
