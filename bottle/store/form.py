"""What is to be said of a document beyond the class that it is of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bottle.store.values import Read

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a class does not say of its document.

    `keys` are the keys of fields that are not called so there. `read` reads a field whose type does not say all that
    holds for it. `later` are the fields that came later: a document without one is older, and the field has its
    default; all others are there. `omitted` are fields that are not in it. `folded` makes the fields' document of the
    one that is kept, and `unfolded` the other way round. `check` raises ValueError for a value that cannot be.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, Read] = field(default_factory=dict)
    later: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()
    folded: Callable[[Json], Json] | None = None
    unfolded: Callable[[Json], Json] | None = None
    check: Callable[[Any], None] | None = None
