"""Single values of a document, read and checked: nothing is converted, a text is no number, and true is none either.

Each reader takes what is there and, as cattrs hands that on, the type it is to have. It raises InvalidValue, or what
another parser says.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bottle.naming import Identity
from bottle.portbinding import PortBinding

Read = Callable[[object, object], Any]


class InvalidValue(ValueError):
    """A value that a field cannot have; the text goes on from the field's name, such as "must be a text"."""


def text(value: object, _: object = None) -> str:
    """A text."""
    if not isinstance(value, str):
        raise wrong(value, "a text")
    return value


def flag(value: object, _: object = None) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise wrong(value, "true or false")
    return value


def number(value: object, _: object = None) -> int:
    """A whole number of 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(value, "a whole number")
    if not -(2**63) <= value < 2**63:
        raise InvalidValue("is no number of 64 bits")
    return value


def between(least: int, most: int) -> Read:
    """A reader of whole numbers that are neither less nor more."""

    def read(value: object, _: object = None) -> int:
        whole = number(value)
        if not least <= whole <= most:
            raise InvalidValue(f"must be from {least} to {most}, not {value}")
        return whole

    return read


def optional(read: Read, cls: object = None) -> Read:
    """A reader of what may be null; what else Python takes for false is no null."""
    return lambda value, _: None if value is None else read(value, cls)


def listed(read: Read, cls: object) -> Read:
    """A reader of lists of what `read` reads."""

    def read_list(value: object, _: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise wrong(value, "a list")
        return tuple([read(each, cls) for each in value])

    return read_list


def wrong(value: object, expected: str) -> InvalidValue:
    """The error for a value that is of another type."""
    return InvalidValue(f"must be {expected}, not {type(value).__name__}")


def real(value: object, _: object = None) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise wrong(value, "a number")
    return float(value)


def moment(value: object, _: object = None) -> datetime:
    """A time, which must name its zone."""
    found = datetime.fromisoformat(text(value))
    if found.tzinfo is None:
        raise InvalidValue("names no time zone")
    found.astimezone(UTC)  # OverflowError for a time that no clock shows
    return found


def location(value: object, _: object = None) -> Path:
    """A path."""
    where = text(value)
    if not where:
        raise InvalidValue("is no path")
    return Path(where)


def texts(value: object, _: object = None) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not {*map(type, value)} <= {str}:
        raise wrong(value, "a list of texts")
    return tuple(value)


def pairs(value: object, _: object = None) -> tuple[tuple[str, str], ...]:
    """The texts of an object, by name."""
    if not isinstance(value, dict):
        raise wrong(value, "an object")
    return tuple((key, text(each)) for key, each in value.items())


READ: Mapping[type, Read] = {
    str: text,
    bool: flag,
    int: number,
    float: real,
    datetime: moment,
    Path: location,
    Identity: lambda value, _: Identity.parse(text(value)),
    PortBinding: lambda value, _: PortBinding.parse(text(value)),
}
WRITTEN: Mapping[type, Callable[[Any], object]] = {
    datetime: datetime.isoformat,
    Path: str,
    Identity: str,
    PortBinding: str,
}
