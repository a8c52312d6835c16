"""Documents of values: what is written of a dataclass as JSON, and read back with every field checked.

A class and its types say nearly all of it (`bottle.store.converter`); a `Form` says the rest. Keys that no field has
are passed over, as a later version may have written them.
"""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bottle.errors import StateDamaged, StateTooNew
from bottle.model import SCHEMA
from bottle.store.form import Form, Json

if TYPE_CHECKING:
    from bottle.store.converter import Converter

T = TypeVar("T")


class Unreadable(ValueError):
    """What was read is no document of the class that it was read as; the text names the field."""


class Forms:
    """The documents of some classes: those that have a form, and whatever dataclasses are in them."""

    def __init__(self, forms: Mapping[type, Form]) -> None:
        self._forms = forms

    def to_json(self, value: object) -> Json:
        """The document of a value, without its schema."""
        return self._converter.to_json(value)

    def from_json(self, document: object, cls: type[T]) -> T:
        """The inverse of `to_json`. Raises Unreadable."""
        try:
            return self._converter.from_json(document, cls)
        except (ExceptionGroup, KeyError, ValueError, TypeError) as exc:
            raise Unreadable(self._converter.told(exc)) from exc

    def dump(self, value: object) -> bytes:
        """The document of a value, of the current schema, as it is written to disk."""
        return dump(self.to_json(value))

    def load(self, data: bytes, path: Path, cls: type[T], check: Callable[[T], None] | None = None) -> T:
        """Read a document that passes `check`, refusing a newer schema. Raises StateTooNew or StateDamaged."""
        left, next_step = "nothing was changed", f"restore {path} from a backup, or look at it and mend it"
        try:
            document = json.loads(data)
            schema = document["schema"]
            if not isinstance(schema, int) or isinstance(schema, bool):
                raise TypeError("`schema` must be a number")
            if schema > SCHEMA:
                raise StateTooNew(
                    f"{path} has schema {schema}, and this version of bottle reads up to {SCHEMA}",
                    left=left,
                    next_step="upgrade bottle: pipx upgrade agent-bottle",
                )
            value = self.from_json(document, cls)
            if check is not None:
                check(value)
        except KeyError as exc:
            raise StateDamaged(f"{path} is damaged: {exc} is missing", left=left, next_step=next_step) from exc
        except (ValueError, TypeError, RecursionError) as exc:
            raise StateDamaged(f"{path} is damaged: {exc}", left=left, next_step=next_step) from exc
        return value

    @cached_property
    def _converter(self) -> "Converter":
        from bottle.store.converter import Converter  # noqa: PLC0415  (cattrs takes 15 ms: who reads a document pays)

        return Converter(self._forms)


def dump(document: Mapping[str, Any]) -> bytes:
    """A document of the current schema, as it is written to disk."""
    # ASCII, because names of files need not be Unicode: Python's stand-ins for their bytes survive only escaped.
    return (json.dumps({"schema": SCHEMA, **document}, indent=2) + "\n").encode("ascii")
