"""JSON documents that somebody else wrote: any value in the place of any other, and what a reader may make of it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

NOTHINGS: list[Any] = [None, False, 0, 0.0, "", [], {}]
JSON = (
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    | st.just(10**400)
    | st.sampled_from(NOTHINGS)
)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Where each value of a JSON document is, at any depth: what holds it, and its key or index."""
    for key in document if isinstance(document, dict) else range(len(document)):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from places(document[key])


def is_typed(value: Any, hint: Any) -> bool:
    """Whether `value` is a `hint`: a class, `X | None`, a tuple, or a dataclass all of whose fields are theirs."""
    if get_origin(hint) is types.UnionType:
        return any(is_typed(value, each) for each in get_args(hint))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if not isinstance(value, tuple):
            return False
        hints = [parts[0]] * len(value) if parts[1:] == (...,) else parts
        return len(value) == len(hints) and all(map(is_typed, value, hints))
    if isinstance(value, bool):
        return hint is bool
    if not isinstance(value, hint):
        return False
    if not is_dataclass(value):
        return True
    known = get_type_hints(type(value))
    return all(is_typed(getattr(value, each.name), known[each.name]) for each in fields(value))
