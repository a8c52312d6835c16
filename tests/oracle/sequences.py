"""Random work: the same from the same seed, whatever happens to it in a container.

What is drawn keeps a rough idea of which names exist, so that most operations find something to work on; one that does
not is an error in the container, and no harm.
"""

from __future__ import annotations

import posixpath
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.oracle import known

Operation = tuple[Any, ...]  # a name of tests/oracle/operations.py, and its arguments
_NO_DRIVER = 240  # of devices that can be made, and not opened (Documentation/admin-guide/devices.txt: for local use)
_NAMES = ("a", "b", "c", "new\nline", "raw-\udcff\udcfe", "first", "one")


class Turn(Enum):
    """How a phase ends: with a commit of what runs, of what is stopped, or what else may happen before it or after."""

    COMMIT = "commit"
    TWICE = "commit, and once more"
    STOPPED = "stop, commit, resume"
    RESTARTED = "restart, commit"
    RENEWED = "commit, remove the container, resume"
    BACK = "commit, remove the container, resume at an earlier commit"
    RUSHED = "commit in the midst of it, then commit"


_TURNS = {
    Turn.COMMIT: 8,
    Turn.TWICE: 1,
    Turn.STOPPED: 2,
    Turn.RESTARTED: 2,
    Turn.RENEWED: 3,
    Turn.BACK: 1,
    Turn.RUSHED: 3,
}


@dataclass(frozen=True, slots=True)
class Phase:
    """Operations, and how it ends; `rush` goes on while a first of two commits is made, or is done right after it."""

    operations: tuple[Operation, ...]
    turn: Turn
    rush: tuple[Operation, ...]


def sequence(seed: int) -> tuple[Phase, ...]:
    """Two to four phases."""
    draw = _Draw(random.Random(seed))
    phases: list[Phase] = []
    for _ in range(draw.random.randint(2, 4)):
        furniture = () if phases else tuple(_mkdir(draw) if each % 2 else draw.file_of_work() for each in range(8))
        operations = furniture + tuple(draw.operation() for _ in range(draw.random.randint(4, 25)))
        turn = draw.random.choices(list(_TURNS), list(_TURNS.values()))[0]
        rush = tuple(draw.small_operation() for _ in range(12)) if turn is Turn.RUSHED else ()
        phases.append(Phase(operations, turn, rush))
    return tuple(phases)


def told(phases: tuple[Phase, ...]) -> str:
    """A sequence as text."""
    lines = []
    for number, phase in enumerate(phases, 1):
        lines += [f"phase {number}"]
        lines += [f"  {each!r}" for each in phase.operations]
        lines += [f"  meanwhile {each!r}" for each in phase.rush]
        lines += [f"  {phase.turn.value}"]
    return "\n".join(lines)


@dataclass
class _Draw:
    random: random.Random
    folders: set[str] = field(default_factory=lambda: {known.WORK, *known.folders()})
    files: set[str] = field(default_factory=lambda: {*known.files()})
    large: int = 1  # how often a folder of thousands of files may come

    def operation(self) -> Operation:
        """The next one."""
        return self.random.choices(_MAKERS, _WEIGHTS)[0](self)

    def small_operation(self) -> Operation:
        """One that may be done a thousand times."""
        while True:
            operation = self.operation()
            if operation[0] not in {"many", "deep", "sparse"} and 1_000_000 not in operation:
                return operation

    # What it works on

    def folder(self) -> str:
        return self.random.choice(_mine_at_times(self.random, self.folders))

    def inner_folder(self) -> str:
        inner = self.folders.difference(known.PLACES)
        return self.random.choice(_mine_at_times(self.random, inner) or [known.WORK])

    def file(self) -> str:
        """One that is there."""
        return self.random.choice(_mine_at_times(self.random, self.files) or [f"{known.WORK}/a"])

    def any(self) -> str:
        return self.file() if self.random.random() < 0.6 else self.inner_folder()

    def new(self) -> str:
        """A name in a folder; at times there already."""
        paths = [f"{self.folder()}/{self.random.choice(_NAMES)}" for _ in range(3)]
        return next((each for each in paths if each not in self.files | self.folders), paths[0])

    def file_of_work(self) -> Operation:
        """A small one that is new."""
        path = f"{self.random.choice([each for each in sorted(self.folders) if _is_mine(each)])}/{self.seed()}"
        self.files.add(path)
        return ("create", path, self.seed(), 300)

    def seed(self) -> int:
        return self.random.randrange(1 << 30)

    def size(self) -> int:
        return self.random.choice((0, 1, 100, 100, 5000, 1_000_000))

    # What becomes of the names

    def gone(self, path: str) -> None:
        inside = path + "/"
        self.files = {each for each in self.files if each != path and not each.startswith(inside)}
        self.folders = {each for each in self.folders if each != path and not each.startswith(inside)}

    def moved(self, path: str, other: str) -> None:
        def name(each: str) -> str:
            return other + each[len(path) :] if each == path or each.startswith(path + "/") else each

        self.files = {name(each) for each in self.files}
        self.folders = {name(each) for each in self.folders}


def _is_mine(path: str) -> bool:
    return f"{path}/".startswith(f"{known.WORK}/")


def _mine_at_times(source: random.Random, paths: set[str]) -> list[str]:
    """Half of the time only those in the folder of work, where there are any: the base has many more."""
    mine = sorted(path for path in paths if _is_mine(path))
    return mine if mine and source.random() < 0.5 else sorted(paths)


def _on_file(name: str, *arguments: Callable[[_Draw], Any]) -> Callable[[_Draw], Operation]:
    return lambda draw: (name, draw.file(), *(each(draw) for each in arguments))


def _on_any(name: str, *arguments: Callable[[_Draw], Any]) -> Callable[[_Draw], Operation]:
    return lambda draw: (name, draw.any(), *(each(draw) for each in arguments))


def _makes_file(name: str, *arguments: Callable[[_Draw], Any]) -> Callable[[_Draw], Operation]:
    def make(draw: _Draw) -> Operation:
        path = draw.new()
        draw.files.add(path)
        return (name, path, *(each(draw) for each in arguments))

    return make


def _rename(draw: _Draw) -> Operation:
    path, other = draw.any(), draw.new() if draw.random.random() < 0.6 else draw.any()
    if other != path and not other.startswith(path + "/"):
        draw.gone(other)
        draw.moved(path, other)
    return ("rename", path, other)


def _exchange(draw: _Draw) -> Operation:
    kind = draw.inner_folder if draw.random.random() < 0.6 else draw.any
    path, other = kind(), kind()
    if not f"{path}/".startswith(f"{other}/") and not f"{other}/".startswith(f"{path}/"):
        aside = "/aside"
        draw.moved(path, aside)
        draw.moved(other, path)
        draw.moved(aside, other)
    return ("exchange", path, other)


def _link(draw: _Draw) -> Operation:
    path, other = draw.file(), draw.new()
    draw.files.add(other)
    return ("link", path, other)


def _remove(draw: _Draw) -> Operation:
    path = draw.any()
    draw.gone(path)
    return ("remove", path)


def _mkdir(draw: _Draw) -> Operation:
    path = draw.new()
    if path not in draw.files:
        draw.folders.add(path)
    return ("mkdir", path)


def _remake(draw: _Draw) -> Operation:
    path = draw.inner_folder()
    names = draw.random.sample((*known.FILES, *_NAMES), draw.random.randint(0, 3))
    draw.gone(path)
    draw.folders.add(path)
    draw.files |= {f"{path}/{name}" for name in names}
    return ("remake", path, *names)


def _replace(draw: _Draw) -> Operation:
    """A folder where a file was, or the other way round: the one goes, the other is to come."""
    path = draw.any()
    was_file = path in draw.files
    draw.gone(path)
    (draw.folders if was_file else draw.files).add(path)
    return ("replace", path, "mkdir" if was_file else draw.random.choice(("fifo", "symlink", "create")))


def _step_out(draw: _Draw) -> Operation:
    path = draw.random.choice(sorted(draw.files | draw.folders.difference(known.PLACES)))
    parent, name = posixpath.split(path)
    if parent in known.PLACES:
        return ("append", path, 1, 1)
    kept = {each for each in draw.files | draw.folders if each == path or each.startswith(path + "/")}
    files = draw.files & kept
    draw.gone(parent)
    draw.folders |= {parent, *(kept - files)}
    draw.files |= files
    return ("step_out", parent, name)


def _revive(draw: _Draw) -> Operation:
    path = draw.random.choice(known.files())
    if path.rpartition("/")[0] in draw.folders:
        draw.files.add(path)
    return ("revive", path)


def _many(draw: _Draw) -> Operation:
    """Seldom."""
    if draw.large == 0:
        return _mkdir(draw)
    draw.large -= 1
    if draw.random.random() < 0.5:
        return ("deep", draw.new(), 300)
    path = draw.new()
    draw.folders.add(path)
    draw.files |= {f"{path}/{number}" for number in range(0, 5000, 1000)}
    return ("many", path, 5000)


_seed, _size = _Draw.seed, _Draw.size
_MAKERS_AND_WEIGHTS: dict[Callable[[_Draw], Operation], float] = {
    _makes_file("create", _seed, _size): 8,
    _makes_file("save", _seed, _size): 3,
    _makes_file("sparse", _seed, lambda draw: draw.random.choice((50_000, 3_000_000))): 1,
    _makes_file("symlink", lambda draw: draw.random.choice((draw.any(), "nowhere", "../first"))): 2,
    _makes_file("fifo"): 1,
    _makes_file("unix_socket"): 1,
    _makes_file("device", lambda _: _NO_DRIVER, lambda draw: draw.random.randint(1, 9)): 1,
    _on_file("append", _seed, _size): 4,
    _on_file("overwrite", _seed): 6,
    _on_file("truncate", _size): 2,
    _on_file("map_write", _seed): 6,
    _on_file("map_forget"): 1,
    _on_file("held_write", _seed, _size): 3,
    _on_file("setcap", lambda draw: 1 << draw.random.randint(0, 20)): 2,
    _on_any("chmod", lambda draw: draw.random.choice((0o600, 0o755, 0o4755, 0o2775, 0o1777, 0o000))): 3,
    _on_any("chown", lambda draw: draw.random.choice((0, 1000, 70_000)), lambda draw: draw.random.choice((0, 1))): 2,
    _on_any("utime", lambda draw: draw.random.randint(1, 2**31 * 10**9)): 2,
    _on_any("set_xattr", lambda draw: draw.random.choice("xy"), _seed, lambda _: 20): 3,
    _on_any("drop_xattr", lambda draw: draw.random.choice("xy")): 2,
    _on_any("acl", lambda _: "access", lambda draw: draw.random.randint(1, 2000)): 2,
    _on_any("acl", lambda _: "default", lambda draw: draw.random.randint(1, 2000)): 2,
    _on_any("drop_acl", lambda _: "access"): 1,
    _rename: 6,
    _exchange: 3,
    _link: 4,
    _remove: 6,
    _mkdir: 5,
    _remake: 4,
    _replace: 3,
    _step_out: 3,
    _revive: 3,
    _many: 0.3,
}
_MAKERS, _WEIGHTS = list(_MAKERS_AND_WEIGHTS), list(_MAKERS_AND_WEIGHTS.values())
