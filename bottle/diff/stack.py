"""What a stack of layers shows, and where two stacks that have their lowest layers in common can differ. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bottle.diff.thing import Kind, Layer, Thing
from bottle.tar.layerpaths import above, in_any

View = Mapping[str, Thing]
"""What shows, by path."""


def shown(layers: Iterable[Layer], ground: View) -> View:
    """What `layers`, the lowest first, show above `ground`."""
    view = dict(ground)
    for layer in layers:
        cut = layer.gone | layer.leaves
        hides = in_any((cut | layer.opaque).__contains__)
        hidden = [path for path in view if path in cut or (path and hides(above(path)))]
        for path in hidden:
            del view[path]
        view.update(layer.things)
    return view


class Touched:
    """Where layers say something of their own: elsewhere, two stacks that have only these apart are the same."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.paths: set[str] = set()
        cut: set[str] = set()
        for layer in layers:
            cut |= layer.gone | layer.opaque | layer.leaves
            self.paths.update(layer.things)
        self.paths |= cut
        self._cut = cut
        self._is_cut = in_any(cut.__contains__)
        self._ways = {folder for path in self.paths for folder in _ways(path)}

    def __contains__(self, path: str) -> bool:
        """Whether the stacks may differ at a path."""
        return path in self.paths or (path != "" and self._is_cut(above(path)))

    def is_cut(self, path: str) -> bool:
        """Whether nothing of what lies below `path` in the ground may be left."""
        return path in self._cut

    def is_wanted(self, path: str) -> bool:
        """Whether what the ground has at a path decides: it may differ, or is on the way to what may."""
        return path in self or path in self._ways


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A path, from the root, at which two versions differ, and what is there in each."""

    path: str
    before: Thing | None
    after: Thing | None

    @property
    def change(self) -> str:
        """As a word: added, changed or removed."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def content(self) -> bool:
        """Whether there is content that is not the same, on a side that has any."""
        before, after = self.before, self.after
        if before is None or after is None or before.kind is not after.kind:
            return True
        return before.kind is Kind.FILE and not _same_content(before, after)

    @property
    def gained(self) -> int:
        """Bytes of content that only the later version has."""
        return self.after.size if self.after is not None and self.content else 0

    @property
    def lost(self) -> int:
        """Bytes of content that only the earlier version has."""
        return self.before.size if self.before is not None and self.content else 0


def undecided(before: View, after: View, touched: Touched) -> Sequence[str]:
    """The paths of files that are as large as they were, where a content that was not read decides."""
    return [
        path
        for path, thing in after.items()
        if path in touched
        and (was := before.get(path)) is not None
        and was is not thing
        and thing.kind is was.kind is Kind.FILE
        and thing.size == was.size
        and (thing.digest is None or was.digest is None)
    ]


def differences(before: View, after: View, touched: Touched) -> tuple[Difference, ...]:
    """All of them but the root, a folder before what is in it. A content that was not read counts as another one."""
    found = [
        Difference(path=f"/{path}", before=before.get(path), after=after.get(path))
        for path in before.keys() | after.keys()
        if path and path in touched and not is_same(before.get(path), after.get(path))
    ]
    return tuple(sorted(found, key=lambda each: each.path.split("/")))


def is_same(before: Thing | None, after: Thing | None) -> bool:
    """Whether two things are the same. A content that was not read is not."""
    if before is after:
        return True
    if before is None or after is None:
        return False
    facts = [(each.kind, each.mode, each.uid, each.gid, each.link, each.device) for each in (before, after)]
    return facts[0] == facts[1] and (before.kind is not Kind.FILE or _same_content(before, after))


def _same_content(before: Thing, after: Thing) -> bool:
    return before.size == after.size and before.digest is not None and before.digest == after.digest


def _ways(path: str) -> Iterable[str]:
    while path:
        path = above(path)
        yield path
