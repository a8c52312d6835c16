"""Moments as docker's client takes them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from bottle.cli.attach import logs, moment
from tests.unit.cli.conftest import Cli

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("90s", timedelta(seconds=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_before_now(text: str, ago: timedelta) -> None:
    assert moment(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-02T15:04:05Z", datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)),
        ("2026-01-02T15:04:05.5+02:00", datetime(2026, 1, 2, 13, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-01-02T15:04:05.123456789Z", datetime(2026, 1, 2, 15, 4, 5, 123_456, tzinfo=UTC)),
        ("2026-01-02T15:04", datetime(2026, 1, 2, 15, 4).astimezone()),
        ("2026-01-02", datetime(2026, 1, 2).astimezone()),
        ("1767366245", datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)),
        ("1767366245.5", datetime(2026, 1, 2, 15, 4, 5, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_the_one_that_it_says(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize(
    "text", ["", "yesterday", "10 m", "m", "1.2.3s", "-5m", "2026-13-01", "9" * 400, "9" * 30 + "h", "9" * 17]
)
def test_what_is_none_is_a_mistake_of_the_user(text: str) -> None:
    said = CliRunner().invoke(logs, ["claude-x7k2p", "--since", text])
    assert said.exit_code == 2
    assert "expected a duration such as 10m" in said.output


@given(st.text("0123456789.hmsnuT:-Z+", max_size=12))
def test_whatever_is_typed_ends_in_a_moment_or_in_a_complaint(text: str) -> None:
    with suppress(ValueError, OverflowError):
        assert moment(text, NOW).tzinfo is not None


def test_logs_begin_where_they_are_told_to_and_say_when(cli: Cli) -> None:
    bottle = cli.start()
    cli.world.engine.say(bottle.identity.container, b"one\ntwo\n")
    *_, second = cli("logs", str(bottle.identity), "--timestamps").stdout.splitlines()
    stamp, _, line = second.partition(" ")
    assert line == "two"
    assert cli("logs", str(bottle.identity), "--since", stamp).stdout == "two\n"
