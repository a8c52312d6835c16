"""What of a list is shown, and in which form: filters, fields, and templates as docker's client has them.

Of Go's templates there is `{{.Field}}` and, as of docker's, the escapes `\\t` and `\\n`, and `table` in front:
https://docs.docker.com/engine/cli/formatting/
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from bottle.errors import UsageError
from bottle.text import printable

T = TypeVar("T")
Document = Mapping[str, Any]

_TABLE = "table "
_FIELD = re.compile(r"\{\{\s*\.([A-Za-z]+)\s*\}\}")


def filtered(items: Iterable[T], words: Iterable[str], tests: Mapping[str, Callable[[T, str], bool]]) -> tuple[T, ...]:
    """Those of `items` that pass `words` like `state=running`: of each key one of its values. Raises UsageError.

    `tests` says of each key whether an item has a value.
    """
    wanted: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in tests:
            raise UsageError(f"{word!r} is no filter: expected KEY=VALUE, KEY being one of {', '.join(tests)}")
        wanted.setdefault(key, []).append(value)
    return tuple(item for item in items if all(any(tests[key](item, value) for value in wanted[key]) for key in wanted))


def fields_of(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """The names in a list like `identity,state`. Raises UsageError for one that is not `known`."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise UsageError(f"there is no field {name!r}: expected some of {','.join(known)}")
    return names


@dataclass(frozen=True, slots=True)
class Template:
    """The form of a line: `texts`, and between them in turn the values of `fields`."""

    texts: tuple[str, ...]
    fields: tuple[str, ...]
    is_table: bool

    @classmethod
    def parse(cls, text: str, known: Sequence[str]) -> Self:
        """Read a template; `known` are the fields, as JSON calls them. Raises UsageError."""
        is_table = text.startswith(_TABLE)
        body = text.removeprefix(_TABLE).strip() if is_table else text
        parts = _FIELD.split(body.replace(r"\t", "\t").replace(r"\n", "\n"))
        names = {_titled(name): name for name in known}
        strange = [f".{name}" for name in parts[1::2] if name not in names]
        strange += [part for part in parts[::2] if "{{" in part]
        if strange:
            expected = " ".join(f"{{{{.{name}}}}}" for name in names)
            raise UsageError(f"{strange[0]!r} is no field: expected some of {expected}")
        return cls(tuple(parts[::2]), tuple(names[name] for name in parts[1::2]), is_table)

    def line(self, document: Document) -> str:
        """The line of one document. What fills it is fit to be shown; the rest is the user's own."""
        return self._filled([_shown(document[field]) for field in self.fields])

    def table(self, documents: Iterable[Document]) -> tuple[list[str], list[list[str]]]:
        """The header, and a row for each document: a tab begins a column."""
        header = self._filled([field.replace("_", " ").upper() for field in self.fields])
        return header.split("\t"), [self.line(document).split("\t") for document in documents]

    def _filled(self, values: Sequence[str]) -> str:
        first, *others = self.texts
        return first + "".join(value + text for value, text in zip(values, others, strict=True))


def _titled(name: str) -> str:
    """`started_at` as templates call it, `StartedAt`."""
    return "".join(word.capitalize() for word in name.split("_"))


def _shown(value: object) -> str:
    if value is None:
        return ""
    return printable(value if isinstance(value, str) else json.dumps(value), 4000)
