"""What the tars inside a bundle may hold: rules, checked entry by entry. Pure."""

import posixpath
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bottle.errors import VerificationFailed
from bottle.unpack import Paths
from migrate.bundle import refusal
from migrate.innertar import Item, ItemType

MOST_ENTRIES = 1_000_000
_MOST_HOPS = 40  # after that many links the kernel gives up


class Links(Enum):
    """Which symlinks are in order."""

    NONE = "none"
    INSIDE = "those that stay inside"
    ANY = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one kind of tar may hold. `top`: everything is below a folder of that name, which comes first.

    `folded`: of the paths that do not begin with `apart`, no two may differ by case or by Unicode's form alone.
    `strict`: no path twice, nothing below what is no folder, and hard links to what the tar holds only. Image layers
    are not: the engine takes them as their digests say, and they are checked for paths that climb.
    """

    what: str
    links: Links
    special: frozenset[ItemType] = frozenset()
    top: str = ""
    strict: bool = True
    folded: bool = False
    apart: str = ""


STATE = Rules(what="the state", links=Links.NONE, folded=True, apart="transcript/files/")
WORKSPACE = Rules(what="the workspace", links=Links.INSIDE)
LAYER = Rules(what="a layer", links=Links.ANY, special=frozenset({ItemType.FIFO, ItemType.DEVICE}), strict=False)


def volume_rules(name: str, target: str) -> Rules:
    """Those of a volume, as an engine packs it: below the last part of its target."""
    return Rules(
        what=f"volume {name}",
        links=Links.ANY,
        special=frozenset({ItemType.FIFO}),
        top=posixpath.basename(posixpath.normpath(target)),
    )


class Scrutiny:
    """Sees the entries of one tar in turn. Raises VerificationFailed at the first that is not in order."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seen = Paths(rules.what, ItemType.FOLDER)
        self._folded: set[str] = set()
        self._links: dict[str, str] = {}

    def admit(self, item: Item) -> Item:
        """The entry, if it may be there."""
        rules = self._rules
        if item.type in {ItemType.FIFO, ItemType.DEVICE} and item.type not in rules.special:
            raise refusal(f"{rules.what} holds a {item.type.value}: {item.path[:200]!r}")
        if item.type is ItemType.SYMLINK and rules.links is Links.NONE:
            raise refusal(f"{rules.what} holds a link: {item.path[:200]!r}")
        if rules.strict:
            self._place(item)
        return item

    def finish(self) -> None:
        """Check what only the whole tells: links that lead out, over other links too."""
        if self._rules.links is Links.INSIDE:
            for path in self._links:
                if points_out(self._links, path):
                    raise refusal(
                        f"{self._rules.what} holds a link that points out of it: {path[:200]!r} -> "
                        f"{self._links[path][:200]!r}"
                    )

    def _place(self, item: Item) -> None:
        rules, path = self._rules, item.path
        if len(self._seen) >= MOST_ENTRIES:
            raise refusal(f"{rules.what} holds more than {MOST_ENTRIES} entries")
        if rules.top:
            self._check_top(item)
        if item.type is ItemType.HARDLINK and (item.link == path or self._seen.get(item.link) is not ItemType.FILE):
            raise refusal(f"{rules.what} holds a hard link to what it does not hold: {path[:200]!r}")
        if self._seen.get(path) is None and rules.folded and not path.startswith(rules.apart):
            self._fold(path)
        try:
            self._seen.put(path, ItemType.FILE if item.type is ItemType.HARDLINK else item.type)
        except VerificationFailed as exc:
            raise refusal(exc.what) from exc
        if item.type is ItemType.SYMLINK:
            self._links[path] = item.link

    def _check_top(self, item: Item) -> None:
        top = self._rules.top
        first = not len(self._seen)
        if first and (item.path != top or item.type is not ItemType.FOLDER):
            raise refusal(f"{self._rules.what} does not begin with the folder {top[:80]!r}")
        if not first and not item.path.startswith(f"{top}/"):
            raise refusal(f"{self._rules.what} holds something beside its folder: {item.path[:200]!r}")

    def _fold(self, path: str) -> None:
        folded = unicodedata.normalize("NFKC", path.casefold()).casefold()
        if folded in self._folded:
            raise refusal(f"{self._rules.what} holds {path[:200]!r} beside a name that differs by case alone")
        self._folded.add(folded)


def points_out(links: Mapping[str, str], path: str) -> bool:
    """Whether the link at `path` leads out of the tree that it is in, whose links are `links`, by path.

    It is walked as the kernel walks it, over other links too. An absolute target always leads out. A link that turns
    in circles leads nowhere.
    """
    at = posixpath.dirname(path)
    ahead = [links[path]]
    hops = 0
    while ahead:
        target = ahead.pop(0)
        if target.startswith("/"):
            return True
        first, slash, rest = target.partition("/")
        if slash and rest.strip("/"):
            ahead.insert(0, rest.lstrip("/"))
        if first == "..":
            if not at:
                return True
            at = posixpath.dirname(at)
        elif first not in {"", "."}:
            here = posixpath.join(at, first)
            if here not in links:
                at = here
                continue
            hops += 1
            if hops > _MOST_HOPS:
                return False
            ahead.insert(0, links[here])
    return False
