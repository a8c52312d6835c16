"""A container of the fake engine, an open line to it, and what is heard of all of them."""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from bottle.errors import EngineUnreachable
from bottle.launch import made_to_run
from bottle.model import NO_RESTART, ContainerEvent, ContainerFacts, ContainerSummary, LaunchSpec, Mount, Status
from bottle.testing.tree import Tree

_LOOK = 0.05  # seconds after which a stream sees that its engine is down


class FakeSession:
    """`ports.Session` over a socket pair, so that `select` works on it."""

    def __init__(self, *, tty: bool, heard: Callable[[bytes], None], input_ended: Callable[[], None]) -> None:
        self._tty = tty
        self._heard = heard
        self._input_ended = input_ended
        self._ours, self._theirs = socket.socketpair()

    @property
    def tty(self) -> bool:
        """Whether the other end is a terminal."""
        return self._tty

    def fileno(self) -> int:
        """The descriptor that becomes readable with output."""
        return self._ours.fileno()

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes of output; empty at the end."""
        return self._ours.recv(size)

    def send(self, data: bytes) -> None:
        """Give `data` to the container."""
        self._heard(data)

    def close_stdin(self) -> None:
        """Tell the container that no more input comes."""
        self._input_ended()

    def close(self) -> None:
        """Leave; the container goes on."""
        self._ours.close()

    def show(self, data: bytes) -> None:
        """Output arrives; nobody there any more is fine."""
        with suppress(OSError):
            self._theirs.sendall(data)

    def hang_up(self) -> None:
        """The container has ended."""
        self._theirs.close()


class FakeExecution(FakeSession):
    """`ports.Execution`: a command that runs nothing; what is sent to it is in `stdin`."""

    def __init__(self, command: tuple[str, ...], *, tty: bool) -> None:
        self.command = command
        self.stdin = bytearray()
        self.terminal: tuple[int, int] | None = None
        self._exit_code = 0
        self._ended = threading.Event()
        super().__init__(tty=tty, heard=self.stdin.extend, input_ended=lambda: None)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    def resize(self, *, rows: int, columns: int) -> None:
        """Remember the terminal's size."""
        self.terminal = (rows, columns)

    def exit_code(self) -> int:
        """Wait for the end; the exit code."""
        self._ended.wait()
        return self._exit_code

    def end(self, code: int) -> None:
        """It ends."""
        self._exit_code = code
        self._ended.set()
        self.hang_up()


@dataclass(frozen=True, slots=True)
class Said:
    """A line, or a piece of one, and when a container printed it."""

    at: datetime
    line: bytes

    def shown(self, *, timestamps: bool) -> bytes:
        """As the engine's log has it."""
        return f"{self.at:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode() + self.line if timestamps else self.line


@dataclass(kw_only=True)
class FakeContainer:
    """A container: `base` is its image's filesystem, `tree` what it has become."""

    id: str
    name: str
    spec: LaunchSpec
    image: str
    base: Tree
    tree: Tree
    labels: Mapping[str, str]
    mounts: tuple[Mount, ...]
    created_at: datetime
    status: Status = Status.CREATED
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    said: list[Said] = field(default_factory=list)
    stdin: bytearray = field(default_factory=bytearray)
    sessions: list[FakeSession] = field(default_factory=list)
    executions: list[FakeExecution] = field(default_factory=list)
    terminal: tuple[int, int] | None = None
    restart: str = NO_RESTART
    runtime: str = "runc"

    @property
    def is_cat(self) -> bool:
        """Whether it runs the one program that is known here."""
        return made_to_run(self.facts())[:1] in {("cat",), ("/bin/cat",)}

    @property
    def execution(self) -> FakeExecution | None:
        """The newest command that runs beside the agent."""
        return next((each for each in reversed(self.executions) if each.runs), None)

    def begin(self, now: datetime) -> None:
        """It starts."""
        self.status, self.started_at, self.exit_code = Status.RUNNING, now, 0

    def end(self, code: int, now: datetime) -> None:
        """It ends, if it was alive; who is attached sees the end."""
        if self.status.alive:
            self.status, self.finished_at, self.exit_code = Status.EXITED, now, code
        for session in self.sessions:
            session.hang_up()
        self.sessions.clear()
        while execution := self.execution:
            execution.end(137)

    def say(self, data: bytes, clock: Callable[[], datetime]) -> None:
        """It prints."""
        self.said += [Said(clock(), line) for line in data.splitlines(keepends=True)]
        for session in self.sessions:
            session.show(data)

    def has_news(self, done: int) -> bool:
        """Whether it has printed more than `done` pieces, or will print no more."""
        return len(self.said) > done or not self.status.alive

    def facts(self) -> ContainerFacts:
        """What an inspect would say."""
        ended = self.started_at is not None and not self.status.alive
        return ContainerFacts(
            id=self.id,
            name=self.name,
            image=self.image,
            status=self.status,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code if ended else None,
            labels=dict(self.labels),
            mounts=self.mounts,
            pid=4242 if self.status.alive else 0,
            restart=self.restart,
            argv=self.spec.entrypoint,
            runtime=self.runtime,
        )

    def summary(self) -> ContainerSummary:
        """What a list would say."""
        facts = self.facts()
        return ContainerSummary(
            id=facts.id,
            name=facts.name,
            image=facts.image,
            status=facts.status,
            exit_code=facts.exit_code,
            created_at=facts.created_at,
            labels=facts.labels,
            ports=tuple(sorted(self.spec.ports)) if facts.status.alive else (),
        )


class FakeEvents:
    """`ports.Events` of what `hear` is told and `wanted` lets through."""

    def __init__(
        self, changed: threading.Condition, down: Callable[[], bool], wanted: Callable[[ContainerEvent], bool]
    ) -> None:
        self._changed = changed
        self._down = down
        self._wanted = wanted
        self._waiting: deque[ContainerEvent] = deque()
        self._closed = False

    def hear(self, event: ContainerEvent) -> bool:
        """Something happened; whether the stream is still open."""
        if self._wanted(event):
            self._waiting.append(event)
        return not self._closed

    def __iter__(self) -> Iterator[ContainerEvent]:
        """The events as they come; ends when the stream is closed."""
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> ContainerEvent | None:
        with self._changed:
            while not self._closed and not self._waiting:
                if self._down():
                    raise EngineUnreachable("Docker ended the stream of its events", next_step="bottle doctor")
                self._changed.wait(_LOOK)
            return None if self._closed else self._waiting.popleft()

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
