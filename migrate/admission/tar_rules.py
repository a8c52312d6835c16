"""What the tars of a bottle that comes from elsewhere may hold: rules, checked entry by entry. Pure."""

import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from bottle.errors import VerificationFailed
from bottle.files.unpack import Paths
from migrate.tar.entries import InnerTar, Item, ItemType

MOST_ENTRIES = 1_000_000
_MOST_HOPS = 40  # after that many links the kernel gives up
_MOST_STEPS = 1 << 24  # on the ways of all links of a tar; a million links of ten folders each take fewer
_STEP = 256  # bytes of a path that count as one more step: they are copied and hashed


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


def admitted(tar: InnerTar, rules: Rules) -> Iterator[Item]:
    """The entries of a tar, each of which may be there. Raises VerificationFailed at the first that may not."""
    check = _Check(rules)
    for item in tar.items():
        yield check.admit(item)
    check.finish()


class _Check:
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
            raise VerificationFailed(f"{rules.what} holds a {item.type.value}: {item.path[:200]!r}")
        if item.type is ItemType.SYMLINK and rules.links is Links.NONE:
            raise VerificationFailed(f"{rules.what} holds a link: {item.path[:200]!r}")
        if rules.strict:
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

    def _place(self, item: Item) -> None:
        rules, path = self._rules, item.path
        if len(self._seen) >= MOST_ENTRIES:
            raise VerificationFailed(f"{rules.what} holds more than {MOST_ENTRIES} entries")
        if rules.top:
            self._check_top(item)
        if item.type is ItemType.HARDLINK and (item.link == path or self._seen.get(item.link) is not ItemType.FILE):
            raise VerificationFailed(f"{rules.what} holds a hard link to what it does not hold: {path[:200]!r}")
        if self._seen.get(path) is None and rules.folded and not path.startswith(rules.apart):
            self._fold(path)
        self._seen.put(path, ItemType.FILE if item.type is ItemType.HARDLINK else item.type)
        if item.type is ItemType.SYMLINK:
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


class Walk:
    """Goes the ways of the links of one tree, as the kernel would; `links` are what they say, by path."""

    def __init__(self, links: Mapping[str, str]) -> None:
        self._links = links
        self._steps = 0

    def points_out(self, path: str) -> bool:
        """Whether the link at `path` leads out of the tree, over other links too.

        An absolute target always leads out. A link that turns in circles leads nowhere. Raises VerificationFailed when
        the ways of all that were asked for are too long: a million links may each lead over the same forty long ones.
        """
        at = posixpath.dirname(path)
        ahead = [self._links[path]]
        hops = 0
        while ahead:
            self._step(at)
            target = ahead.pop()
            if target.startswith("/"):
                return True
            first, slash, rest = target.partition("/")
            if slash and rest.strip("/"):
                ahead.append(rest.lstrip("/"))
            if first == "..":
                if not at:
                    return True
                at = posixpath.dirname(at)
            elif first not in {"", "."}:
                here = posixpath.join(at, first)
                if here not in self._links:
                    at = here
                    continue
                hops += 1
                if hops > _MOST_HOPS:
                    return False
                ahead.append(self._links[here])
        return False

    def _step(self, at: str) -> None:
        self._steps += 1 + len(at) // _STEP
        if self._steps > _MOST_STEPS:
            raise VerificationFailed("the links of a folder lead over each other in too many ways")
