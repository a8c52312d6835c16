"""What a tar may hold: rules, checked entry by entry. Pure."""

import posixpath
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bottle.errors import VerificationFailed
from bottle.tar.items import MOST_NAMES, Item, ItemReader, ItemType
from bottle.tar.links import Walk

MOST_ENTRIES = 1_000_000
SPECIAL = frozenset({ItemType.FIFO, ItemType.DEVICE})


class Links(Enum):
    """Which symlinks are in order."""

    NONE = "none"
    INSIDE = "those that stay inside"
    ANY = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a tar may hold before it counts as an attack, or as a mistake. `size` is in bytes, of all files."""

    entries: int = MOST_ENTRIES
    size: int = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one kind of tar may hold. `top`: everything is below a folder of that name, which comes first.

    `special`: which types besides files, folders and links. `folded`: of the paths that do not begin with `apart`, no
    two may differ by case or by Unicode's form alone. `strict`: no path twice, nothing below what is no folder, hard
    links to what the tar holds only, and no more than the `limits`. Image layers are not: the engine takes them as
    their digests say, and they are checked for paths that climb.
    """

    what: str
    links: Links = Links.ANY
    special: frozenset[ItemType] = frozenset()
    top: str = ""
    strict: bool = True
    folded: bool = False
    apart: str = ""
    limits: Limits = Limits()


def admitted(tar: ItemReader, rules: Rules) -> Iterator[Item]:
    """The entries of a tar, each of which may be there. Raises VerificationFailed at the first that may not."""
    check = _Check(rules)
    for item in tar.items():
        yield check.admit(item)
    check.finish()


class _Paths:
    """The paths that a tar, called `what`, has named so far, with what is there; the folders above each are too."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._types: dict[str, ItemType] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._types)

    def get(self, path: str) -> ItemType | None:
        """What is at `path`, if anything."""
        return self._types.get(path)

    def put(self, path: str, type_: ItemType) -> None:
        """One more. Raises VerificationFailed for what comes twice, or below what is no folder, or is too much."""
        if path in self._types and not type_ is self._types[path] is ItemType.FOLDER:
            raise VerificationFailed(f"{self._what} holds {path[:200]!r} twice")
        above = posixpath.dirname(path)
        while above and above not in self._types:  # what is above a known one is known too
            self._note(above, ItemType.FOLDER)
            above = posixpath.dirname(above)
        if above and self._types[above] is not ItemType.FOLDER:
            raise VerificationFailed(f"{self._what} holds {path[:200]!r} below what is no folder")
        self._note(path, type_)

    def _note(self, path: str, type_: ItemType) -> None:
        self._types[path] = type_
        self._size += len(path)
        if self._size > MOST_NAMES:
            raise VerificationFailed(f"{self._what} holds paths of more than {MOST_NAMES} bytes in all: {path[:80]!r}")


class _Check:
    """Sees the entries of one tar in turn. Raises VerificationFailed at the first that is not in order."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seen = _Paths(rules.what)
        self._folded: set[str] = set()
        self._links: dict[str, str] = {}
        self._count = self._size = 0

    def admit(self, item: Item) -> Item:
        """The entry, if it may be there."""
        rules = self._rules
        if item.type in SPECIAL and item.type not in rules.special:
            raise VerificationFailed(f"{rules.what} holds a {item.type.value}: {item.path[:200]!r}")
        if item.type is ItemType.SYMLINK and rules.links is Links.NONE:
            raise VerificationFailed(f"{rules.what} holds a link: {item.path[:200]!r}")
        if rules.strict:
            self._require_room(item)
            self._place(item)
        return item

    def finish(self) -> None:
        """Check what only the whole tells: links that lead out, over other links too."""
        if self._rules.links is Links.INSIDE:
            walk = Walk(self._links)
            for path in self._links:
                if walk.points_out(path):
                    raise VerificationFailed(
                        f"{self._rules.what} holds a link that points out of it: {path[:200]!r} -> "
                        f"{self._links[path][:200]!r}"
                    )

    def _require_room(self, item: Item) -> None:
        limits = self._rules.limits
        self._count += 1
        self._size += item.size
        # The folders above an entry are in memory too, whether there is an entry for them or not.
        if max(self._count, len(self._seen)) > limits.entries or self._size > limits.size:
            raise too_large(self._rules)

    def _place(self, item: Item) -> None:
        rules, path = self._rules, item.path
        if rules.top:
            self._check_top(item)
        if item.type is ItemType.HARDLINK and (item.link == path or self._seen.get(item.link) is not ItemType.FILE):
            raise VerificationFailed(f"{rules.what} holds a hard link to what it does not hold: {path[:200]!r}")
        if self._seen.get(path) is None and rules.folded and not path.startswith(rules.apart):
            self._fold(path)
        self._seen.put(path, ItemType.FILE if item.type is ItemType.HARDLINK else item.type)
        if item.type is ItemType.SYMLINK and rules.links is Links.INSIDE:
            self._links[path] = item.link

    def _check_top(self, item: Item) -> None:
        top = self._rules.top
        first = not len(self._seen)
        if first and (item.path != top or item.type is not ItemType.FOLDER):
            raise VerificationFailed(f"{self._rules.what} does not begin with the folder {top[:80]!r}")
        if not first and not item.path.startswith(f"{top}/"):
            raise VerificationFailed(f"{self._rules.what} holds something beside its folder: {item.path[:200]!r}")

    def _fold(self, path: str) -> None:
        folded = unicodedata.normalize("NFKC", path.casefold()).casefold()
        if folded in self._folded:
            raise VerificationFailed(
                f"{self._rules.what} holds {path[:200]!r} beside a name that differs by case alone"
            )
        self._folded.add(folded)


def too_large(rules: Rules) -> VerificationFailed:
    """A tar is larger than it may be."""
    limits = rules.limits
    return VerificationFailed(f"{rules.what} is larger than allowed: {limits.entries} entries or {limits.size} bytes")
