"""A world for operations: a state home on disk, an engine in memory, and ways for a run to fail or to die anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bottle import runtime, transcript
from bottle.errors import EngineError, StateDamaged
from bottle.launch import can_be_told, made_to_run
from bottle.model import Agent, Status
from bottle.operations import Context, StartRequest, plan_start, start
from bottle.store import document, home, state
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from bottle.testing import FakeEngine, RecordingProgress
from migrate.image.save_stream import SaveStreamSource

BASE = "debian:trixie-slim"
AGENT = Agent(name="demo", image=BASE, command=("cat",), transcript=("/root/.demo",))


class Killed(BaseException):
    """The process dies here: nothing that it would still have done is done."""


@dataclass
class Fate:
    """Lets the step numbered `moment` fail, once, or be the last one.

    Every call of the engine and every write to the state is two steps: before it, and after it.
    """

    moment: int
    deadly: bool
    done: int = 0
    dead: bool = False
    last: str = ""

    @property
    def came(self) -> bool:
        """Whether the moment was reached."""
        return self.done > self.moment

    def around(self, call: Callable[..., Any], name: str, error: Callable[[str], BaseException]) -> Callable[..., Any]:
        """`call` with both of its steps."""

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self._step(f"before {name}", error)
            result = call(*args, **kwargs)
            self._step(f"after {name}", error)
            return result

        return mortal

    def _step(self, name: str, error: Callable[[str], BaseException]) -> None:
        if self.dead:
            raise Killed(name)
        self.done += 1
        if self.done == self.moment + 1:
            self.last = name
            self.dead = self.deadly
            raise Killed(name) if self.deadly else error(name)


class MortalEngine:
    """An engine all of whose calls are subject to a fate."""

    def __init__(self, engine: FakeEngine, fate: Fate) -> None:
        self._engine = engine
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        return self._fate.around(getattr(self._engine, name), name, lambda step: EngineError(f"injected {step}"))


@contextmanager
def mortal_writes(fate: Fate) -> Iterator[None]:
    """Make all writes to state folders, and of secrets, subject to a fate while the context is open."""

    def refuse(step: str) -> StateDamaged:
        return StateDamaged(f"injected {step}")

    with pytest.MonkeyPatch.context() as patch:
        for module, names in (
            (state, ("write_atomic", "remove_file", "sync_folder")),
            (document, ("write_atomic", "remove_file")),
            (home, ("write_atomic", "sync_folder")),
            (transcript, ("write_atomic", "replace_tree")),
            (runtime, ("prepare", "forget", "write_answer")),
        ):
            for name in names:
                patch.setattr(module, name, fate.around(getattr(module, name), name, refuse))
        for name in ("rename", "rmdir"):  # what deletes a state folder, and what trades a transcript for its next
            patch.setattr(Path, name, fate.around(getattr(Path, name), name, OSError))
        yield


@dataclass
class World:
    """One host."""

    folder: Path
    engine: FakeEngine = field(default_factory=FakeEngine)
    environ: dict[str, str] = field(default_factory=dict)
    progress: RecordingProgress = field(default_factory=RecordingProgress)

    def __post_init__(self) -> None:
        self.cwd.mkdir(parents=True)
        self.runtime.mkdir(mode=0o700)
        self.engine.add_image(BASE, {"/etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "/bin/sh": b""}, Cmd=["bash"])

    @property
    def home(self) -> StateHome:
        """The state home."""
        return StateHome(self.folder / "home")

    @property
    def cwd(self) -> Path:
        """The user's project."""
        return self.folder / "project"

    @property
    def runtime(self) -> Path:
        """Where secrets are handed over."""
        return self.folder / "runtime"

    @property
    def context(self) -> Context:
        """What operations act in."""
        return Context(
            home=self.home,
            engine=self.engine,
            layers=SaveStreamSource(self.engine),
            environ=self.environ,
            runtime=self.runtime,
            progress=self.progress,
            now=self.engine.clock,
        )

    @contextmanager
    def doomed(self, fate: Fate) -> Iterator[Context]:
        """The context of a run that ends by `fate`."""
        with mortal_writes(fate):
            engine = MortalEngine(self.engine, fate)
            yield replace(self.context, engine=engine, layers=SaveStreamSource(engine))

    def start(self, agent: Agent = AGENT, **options: Any) -> BottleState:
        """A bottle that runs."""
        request = StartRequest(agent=agent, cwd=self.cwd, tty=False, **options)
        return self.home.bottle(start(self.context, plan_start(self.context, request)).identity)

    def work(self, bottle: BottleState, path: str, content: bytes) -> None:
        """Work of the bottle's agent."""
        self.engine.write(bottle.identity.container, path, content)

    def content(self, bottle: BottleState, path: str) -> bytes | None:
        """A file in the bottle's container."""
        try:
            return self.engine.read(bottle.identity.container, path)
        except KeyError:
            return None

    def status(self, bottle: BottleState) -> Status | None:
        """The state of the bottle's container."""
        container = self.engine.container(bottle.identity.container)
        return container.status if container else None

    def command(self, bottle: BottleState) -> tuple[str, ...]:
        """The argument vector that the bottle's container runs, or ran."""
        container = self.engine.container(bottle.identity.container)
        assert container is not None
        told = runtime.told(self.runtime, bottle.identity) if can_be_told(container) else None
        return made_to_run(container) if told is None else told

    def lose_container(self, bottle: BottleState) -> None:
        """`docker rm -f`."""
        self.engine.remove_container(bottle.identity.container)

    def lose_images(self, bottle: BottleState) -> None:
        """`docker image rm` of all commits."""
        for image in self.engine.images({}):
            for tag in image.tags:
                if tag.startswith(bottle.identity.committed_repository):
                    self.engine.remove_image(tag)

    def check(self, bottle: BottleState) -> None:
        """What is true of every bottle at any time, also of one whose run has just died."""
        tag = bottle.committed_image()
        commits = bottle.commits()
        if tag is not None:
            record = next(each for each in commits if each.tag == tag)
            image = self.engine.image(tag)
            assert image is not None
            assert image.diff_ids == record.diff_ids

    def check_tidy(self, bottle: BottleState) -> None:
        """What is true of a bottle when nothing is under way."""
        self.check(bottle)
        assert bottle.intent.read() is None
        identity = str(bottle.identity)
        containers = {each.name for each in self.engine.containers({"bottle.identity": identity})}
        assert containers <= {bottle.identity.container}
        tags = {tag for image in self.engine.images({"bottle.identity": identity}) for tag in image.tags}
        assert not [tag for tag in tags if "in-flight" in tag]
        known = {each.tag for each in bottle.commits()} | {bottle.identity.committed_latest, bottle.identity.rebuilt}
        assert tags <= known
        assert not list(bottle.path.glob("*.new"))
        assert not list(bottle.path.glob("*.old"))
        assert not list(bottle.path.glob(".*.tmp"))


def every_moment(run: Callable[[Fate], None], *, deadly: bool) -> int:
    """Call `run` with each moment of its life in turn, until it ends before its moment comes; how many there were."""
    moment = 0
    while True:
        fate = Fate(moment=moment, deadly=deadly)
        run(fate)
        if not fate.came:
            return moment
        moment += 1
