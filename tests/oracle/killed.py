"""A commit that dies: killed at one moment after the other, and what a bottle is then and after the next commands."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import ImageNotFound

from bottle.naming import LABEL_PART
from tests.integration import everycall
from tests.integration.migration import Desk
from tests.oracle import known, trees
from tests.oracle.oracle import BY_CHANGES, Oracle
from tests.oracle.sequences import Operation
from tests.oracle.trees import Facts, Tree

_WORK = known.WORK
_BY_ENGINE = "the engine commits all"  # what a commit says that could not be made of what changed
Work = Callable[[int], tuple[Operation, ...]]


def _large(seed: int) -> tuple[Operation, ...]:
    """Several pieces, and what is told in the last one."""
    return (
        *(("mkdir", f"{_WORK}/{number}") for number in range(4)),
        *(("create", f"{_WORK}/{number}/large", seed + number, everycall.PIECE) for number in range(4)),
        ("link", f"{_WORK}/1/large", f"{_WORK}/2/linked"),
        ("remove", f"{known.BASES[0]}/one"),
        *_small(seed),
    )


def _small(seed: int) -> tuple[Operation, ...]:
    return (
        ("create", f"{_WORK}/new-{seed}", seed, 5000),
        ("save", f"{_WORK}/saved", seed, 100),
        ("overwrite", f"{known.BASES[1]}/first", seed),
        ("remake", f"{known.BASES[2]}/other", str(seed)),
        ("remove", f"{_WORK}/new-{seed - 1}"),
        ("set_xattr", f"{_WORK}/saved", "x", seed, 20),
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """A commit: of which work, whether it is the first of its bottle, of what kind of container, how it is said.

    `ahead`: it is read while the agent works, though it is little.
    """

    work: Work
    first: bool = False
    stopped: bool = False
    ahead: bool = False
    options: tuple[str, ...] = ()


SCENARIOS = {
    "first": Scenario(_large, first=True),
    "second": Scenario(_small),
    "ahead": Scenario(_small, ahead=True),
    "unchanged": Scenario(lambda _: ()),
    "stopped": Scenario(_small, stopped=True),
    "unpaused": Scenario(_small, options=("--no-pause",)),
    "unpaused-first": Scenario(_large, first=True, options=("--no-pause",)),
}


@dataclass
class Killed:
    """What became of the commits of one scenario. `broken` says which promises were not kept, and where.

    `act` is what is done at each moment instead of killing the commit, and `repair` what makes good again what it did.
    """

    oracle: Oracle
    scenario: Scenario
    act: str = ""
    repair: Callable[[], object] = lambda: None
    said: Counter[str] = field(default_factory=Counter)
    moments: list[str] = field(default_factory=list)
    struck: int = 0
    _shown: dict[str, Tree] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def strike_all(self, most: int | None = None) -> None:
        """Strike at each moment behind which something is other than before, or at so many, spread evenly."""
        self.moments = self._counted()
        numbers = everycall.numbers(self.moments[:-1])
        if most is not None and most < len(numbers):
            numbers = [numbers[each * (len(numbers) - 1) // (most - 1)] for each in range(most)]
        self._strike_each(numbers)

    def strike_behind(self, *moments: str) -> None:
        """Strike right behind the first moment of each of these names, or pieces of names."""
        self.moments = self._counted()
        self._strike_each([next(n for n, name in enumerate(self.moments, 2) if each in name) for each in moments])

    def _strike_each(self, numbers: list[int]) -> None:
        for identity, some in self._bottles(numbers):
            for number in some:
                self._strike(identity, number)

    def _bottles(self, numbers: list[int]) -> Iterator[tuple[str, list[int]]]:
        """The bottle for which moments: one for all of them where they are no first commits."""
        groups = [[number] for number in numbers] if self.scenario.first else [numbers]
        for some in groups:
            with self.oracle.running() as identity:
                if not self.scenario.first:
                    self.oracle.tell(identity, _large(0))
                    assert self.oracle.desk.ok("commit", identity)["way"].startswith(BY_CHANGES)
                yield identity, some

    def _counted(self) -> list[str]:
        """The moments of a commit that nothing happens to."""
        for identity, _ in self._bottles([0]):
            self._prepare(identity, 0)
            code, moments, said = self._commit(identity, 0)
            assert code == 0, said
            assert _BY_ENGINE not in said, said
            return moments
        return []

    def _prepare(self, identity: str, seed: int) -> Tree:
        """New work; what the container shows then, running or stopped."""
        self.oracle.tell(identity, self.scenario.work(seed))
        live = self.oracle.live(identity)
        if self.scenario.stopped:
            self.oracle.desk.ok("stop", identity)
        return live

    def _commit(self, identity: str, number: int) -> tuple[int, list[str], str]:
        desk, log = self.oracle.desk, self.oracle.desk.folder.parent / "moments"
        log.write_text("")
        ahead = (everycall.AHEAD,) if self.scenario.ahead else ()
        words = (*ahead, "commit", identity, *self.scenario.options)
        done = desk.program(Path(everycall.__file__), str(log), str(number), self.act, *words)
        return done.returncode, log.read_text().splitlines(), done.stderr.decode()

    def _strike(self, identity: str, number: int) -> None:
        desk = self.oracle.desk
        live = self._prepare(identity, number)
        before = self._in_force(identity)
        code, moments, said = self._commit(identity, number)
        where = f"at {number}, {moments[number - 1] if number <= len(moments) else None!r}"
        self.struck += number <= len(moments)  # it may take fewer moments than the one that was counted
        found = self._said(code, said)
        if number <= len(moments):
            self.repair()
        found += _goes_through(desk, "resume", "-d", identity)
        found += self._whole(identity, before, live)
        found += _left(desk, identity)
        found += _goes_through(desk, "commit", identity, *self.scenario.options, quiet=_BY_ENGINE)
        found += [f"committed again: {each}" for each in self._differs(identity, live)]
        found += _left(desk, identity)
        self.broken += [f"{where}: {each}" for each in found]

    def _said(self, code: int, said: str) -> list[str]:
        """Who is killed says nothing; who is not says what happened and what to do, if it does not go through."""
        if not self.act:
            fits = code in {-signal.SIGKILL, 128 + signal.SIGKILL, 0} and _BY_ENGINE not in said
            return [] if fits else [f"exit {code}: {said}"]
        if "Traceback" in said or (code != 0 and not ("  state: " in said and "  next: " in said)):
            return [f"exit {code}: {said}"]
        self.said[said] += 1
        return []

    def _whole(self, identity: str, before: Tree | None, live: Tree) -> list[str]:
        """The last commit is in force, or the new one, all of it."""
        now = self._in_force(identity)
        if now is None:
            return ["no commit is in force"] if before is not None else []
        if before is not None and not trees.differences(before, now, Facts.ALL):
            return []
        which = Facts.DOCKERS if self.act else Facts.ALL  # the engine may have made it, where what changed did not fit
        return [f"the commit in force is neither: {each}" for each in trees.differences(live, now, which)]

    def _differs(self, identity: str, live: Tree) -> list[str]:
        now = self._in_force(identity)
        return ["no commit"] if now is None else trees.differences(live, now, Facts.ALL)

    def _in_force(self, identity: str) -> Tree | None:
        """The tree of the commit that `resume` would take; it is what `:latest` is, and stands in the history."""
        desk = self.oracle.desk
        file = desk.states / identity / "committed-image"
        if not file.exists():
            return None
        tag = file.read_text().strip()
        history = json.loads((desk.states / identity / "commits.json").read_text())["commits"]
        assert tag in {each["tag"] for each in history}, f"{tag} is not in the history"
        if tag not in self._shown:
            self._shown = {tag: self.oracle.shown(tag)}
        return self._shown[tag]


def _goes_through(desk: Desk, *words: str, quiet: str = "Traceback") -> list[str]:
    """What is wrong with a command that should go through, and not say something."""
    done = desk.bottle(*words)
    said = done.stderr.decode()
    fits = done.returncode == 0 and quiet not in said and "Traceback" not in said
    broken = [] if fits else [f"{words}: exit {done.returncode}: {said}"]
    status = desk.container(words[-1] if words[0] == "resume" else words[1]).status
    return broken + ([f"it is {status} after {words}"] if status != "running" else [])


def _left(desk: Desk, identity: str) -> list[str]:
    """What nobody needs after a command: halves of files, images of which a commit is put together."""
    folder = desk.states / identity
    names: Sequence[Path] = sorted(folder.rglob("*"))
    found = [str(each.relative_to(folder)) for each in names if each.name.startswith(".") or "intent" in each.name]
    found += [each for each in ("paused",) if (folder / each).exists()]
    images = desk.engine.images.list(name=f"bottle-committed-{identity}")
    found += [tag for image in images for tag in image.tags if ":in-flight-" in tag]
    dangling = desk.engine.api.images(filters={"dangling": True, "label": LABEL_PART})
    found += [f"dangling {each['Id']}" for each in dangling]
    try:
        latest = desk.engine.images.get(f"bottle-committed-{identity}:latest").id
        if (tag := (folder / "committed-image").read_text().strip()) and desk.engine.images.get(tag).id != latest:
            found.append(f":latest is not {tag}")
    except (ImageNotFound, FileNotFoundError):
        pass
    return [f"left: {found}"] if found else []
