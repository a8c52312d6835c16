"""How numbers are said."""

from datetime import UTC, datetime, timedelta

import pytest

from bottle.words import age, elapsed, size

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
