"""A moment that somebody names as docker's client takes it: a duration before now, a time, or seconds since 1970.

https://docs.docker.com/reference/cli/docker/container/logs/
"""

import re
from datetime import datetime, timedelta

import click

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)([a-zµ]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_EXPECTED = "expected a duration such as 10m or 1h30m, or a time such as 2026-01-02T15:04:05"


def since(text: str) -> datetime:
    """The moment that is meant; one without a zone is this machine's. Raises BadParameter."""
    try:
        return moment(text, datetime.now().astimezone())
    except (ValueError, OverflowError, OSError) as exc:
        raise click.BadParameter(f"{text!r} is no moment: {_EXPECTED}.") from exc


def moment(text: str, now: datetime) -> datetime:
    """The moment that `text` means `now`. Raises ValueError, OverflowError, or OSError as the clock does."""
    if _DURATION.fullmatch(text):
        return now - timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
        return datetime.fromtimestamp(float(text)).astimezone()
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.astimezone()
