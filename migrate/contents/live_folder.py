"""A folder that somebody may work in while it travels: packed, looked at again, and what changed is packed too."""

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bottle.errors import Conflict, PreflightRefused
from bottle.text import printable
from migrate.contents.archive import Tarball
from migrate.contents.index import Delta, Index, compare, reconcile

ROUNDS = 8
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderUpdate:
    """What makes of a folder as it was packed before what it is now: `delta`, the tarball of what that puts there.

    `members` is all that is in the folder then, by path, with its type as `stat.S_IFMT` gives it. `kept_sums` are lines
    as `Tarball.sums` has them, of files that are there already.
    """

    delta: Delta
    tarball: Tarball
    members: Mapping[str, int]
    kept_sums: bytes = b""

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many files, links and folders there are then."""
        found = Counter(self.members.values())
        return found[stat.S_IFREG], found[stat.S_IFLNK], found[stat.S_IFDIR]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How what is there differs from what is to be there; `sums` are the lines of `Tarball.sums`, of all files here."""

    delta: Delta
    sums: Iterable[tuple[str, bytes]]


@dataclass(slots=True)
class LiveFolder:
    """A folder, first packed whole, then kept up with.

    `pack` packs all of it, or only some paths of it: what vanishes meanwhile is not in the tarball, what changes while
    it is read is in there somehow, and so is what was there for that moment only. None of it escapes the next `look`,
    which raises OSError, and the comparison of that with what was packed. `wholes` are folders of which nobody wants to
    know more than that something in them was edited. `basis`, where there is one, knows what is there already: what
    differs is all that is packed first, as the update `first`.
    """

    folder: Path
    pack: Callable[[frozenset[str] | None], Tarball]
    look: Callable[[], Index]
    wholes: frozenset[str] = frozenset()
    basis: Callable[[Index], Difference | None] | None = None
    tarball: Tarball = field(init=False)
    first: FolderUpdate | None = field(init=False, default=None)
    updates: list[FolderUpdate] = field(init=False, default_factory=list)
    _index: Index = field(init=False)

    def __post_init__(self) -> None:
        """Raises PreflightRefused where it cannot be read."""
        self._index = self._look()
        difference = self.basis(self._index) if self.basis is not None else None
        if difference is None:
            self.tarball = self.pack(None)
            return
        delta, entries = difference.delta, self._index.entries
        changed = frozenset(delta.changed)
        self.tarball = self.pack(changed.union(path for path in entries if not entries[path].has_content))  # to name it
        kept = {path: entry.kind for path, entry in entries.items() if entry.has_content and path not in changed}
        self.first = FolderUpdate(
            delta=delta,
            tarball=self.tarball,
            members={**kept, **self.tarball.members},
            kept_sums=b"".join(sum_ for path, sum_ in difference.sums if path in kept),
        )

    @property
    def tarballs(self) -> tuple[Tarball, ...]:
        """All that was packed."""
        return (self.tarball, *(update.tarball for update in self.updates))

    @property
    def index(self) -> Index:
        """What was there when it was looked at last."""
        return self._index

    @property
    def members(self) -> Mapping[str, int]:
        """All that all of that makes up, as `FolderUpdate.members`."""
        last = self.updates[-1] if self.updates else self.first
        return last.members if last is not None else self.tarball.members

    def update(self) -> FolderUpdate | None:
        """Pack what changed since it was looked at last, or was not as it was packed then; None where nothing is.

        Raises PreflightRefused.
        """
        delta = self._summed(reconcile(self._differs(), self.members, self._index))
        if not delta:
            return None
        tarball = self.pack(frozenset(delta.changed))
        update = FolderUpdate(delta=delta, tarball=tarball, members=_applied(self.members, delta, tarball.members))
        self.updates.append(update)
        return update

    def edited(self) -> tuple[str, ...]:
        """What somebody did there since it was looked at last. Raises PreflightRefused."""
        return self._summed(self._differs()).edited

    def _differs(self) -> Delta:
        before, self._index = self._index, self._look()
        return compare(before, self._index)

    def _summed(self, delta: Delta) -> Delta:
        """With one path for all that was edited in a folder that is one of the `wholes`."""
        edited = dict.fromkeys(_within(path, self.wholes) or path for path in delta.edited)
        return replace(delta, edited=tuple(edited))

    def _look(self) -> Index:
        try:
            return self.look()
        except OSError as exc:
            raise PreflightRefused(
                f"{self.folder} cannot be looked at: {exc}",
                left="this host still owns the bottle",
                next_step=f"see that it can be read: ls -la {self.folder}",
            ) from exc


def keep_up(live: LiveFolder, take: Callable[[FolderUpdate], None], *, left: str, next_step: str) -> None:
    """Have `take` take what changes in a folder until nothing does. Raises Conflict where that does not come to an end.

    When this returns, what was packed and taken is what was in the folder at one moment of the last look. Rounds that
    are only there because the clock's grain leaves a doubt are few, and not counted.
    """
    rounds = 0
    while (update := live.update()) is not None:
        rounds += bool(update.delta.edited)
        if rounds > ROUNDS:
            raise Conflict(
                f"somebody is working in {live.folder} while it travels: {few_paths(update.delta.edited)}",
                left=left,
                next_step=f"have nobody write there (an editor, a server, another agent), then {next_step}",
            )
        take(update)


def few_paths(paths: tuple[str, ...]) -> str:
    """Paths for people, not too many of them."""
    more = f", and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(printable(path, 200) for path in paths[:_SHOWN]) + more


def _applied(members: Mapping[str, int], delta: Delta, added: Mapping[str, int]) -> dict[str, int]:
    removed = frozenset(delta.removed)
    kept = {path: kind for path, kind in members.items() if not (removed and _within(path, removed))}
    return {**kept, **added}


def _within(path: str, folders: frozenset[str]) -> str:
    """The one of them that it is, or is below; empty where there is none."""
    while path and path not in folders:
        path = path.rpartition("/")[0]
    return path
