"""What runs that died left outside of bottle's own folders, found by what they had noted inside them."""

import errno
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.files import tree
from bottle.files.atomic import write_atomic, writing
from bottle.files.regular import read_regular
from bottle.naming import Identity
from bottle.plan.garbage import Area
from bottle.store import temporary


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """`halves` are of no use to anybody. `placed` is a workspace that has its place, and no bottle.

    `gave_way` is one that somebody had worked in, and its place.
    """

    halves: tuple[Path, ...] = ()
    placed: Path | None = None
    gave_way: tuple[Path, Path] | None = None


def left_outside(area: Area, folder: Path, identity: Identity, in_use: Collection[Path]) -> Outside:
    """What was noted in `folder` and is still there. `in_use` are the workspaces of the bottles that are known here."""
    gave_way = None
    match area:
        case Area.DRAFT:
            near = temporary.read_path(folder / temporary.OUTSIDE)
            halves = [near] if near is not None and near == temporary.importing(near, identity) else []
        case Area.INCOMING:
            goal = temporary.read_path(folder / temporary.LANDING)
            halves = list(temporary.arriving(goal, identity)) if goal is not None else []
            if goal is not None and (left := temporary.giving_way(goal, identity)).is_dir():
                gave_way = (left, goal)
        case Area.OUTGOING:
            part = temporary.read_path(folder / "export" / temporary.OUTSIDE)
            halves = [part] if part is not None and temporary.BUNDLE.matches(part.name) else []
        case _:
            halves = []
    placed = _placed(folder / temporary.PLACED)
    return Outside(
        halves=tuple(half for half in halves if half.is_symlink() or half.exists()),
        placed=placed if placed is not None and placed not in in_use else None,
        gave_way=gave_way,
    )


def remove_outside(path: Path) -> None:
    """Delete a file or a folder; gone already is fine. Raises StateDamaged."""
    with writing(path), suppress(FileNotFoundError):
        tree.remove(path)


def put_back(left: Path, place: Path, identity: Identity) -> None:
    """Have what gave way where it was, or beside that, if something is there. Raises StateDamaged."""
    beside = place.with_name(f"{place.name}.before-{identity}")
    goals = (place, beside, *(beside.with_name(f"{beside.name}-{number}") for number in range(2, 10)))
    with writing(place):
        for goal in goals:
            if not goal.is_symlink() and not goal.exists():
                left.rename(goal)
                return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(beside))


def note_placed(folder: Path, near: Path, goal: Path) -> None:
    """As register.sh does: the folder `near` is about to become `goal`."""
    write_atomic(folder / temporary.PLACED, f"{near.lstat().st_ino} {goal}".encode("utf-8", "surrogateescape"))


def _placed(note: Path) -> Path | None:
    """The workspace that was put into place, if what is there is still that folder."""
    with suppress(OSError, ValueError):
        inode, _, rest = read_regular(note).rstrip(b"\n").partition(b" ")
        goal = Path(rest.decode("utf-8", "surrogateescape"))
        if goal.is_absolute() and goal.lstat().st_ino == int(inode):
            return goal
    return None
