"""The host that pulls a bottle, as its owner sees it: a Remote at the other end of a pair of streams.

Nothing is connected from here: the host that pulls has logged in, and runs the scripts itself. It is told their names,
never their text.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from bottle.errors import ConnectionLost, RemoteError
from bottle.text import printable
from migrate.model import RemoteCommand, Reply
from migrate.ports import Remote
from migrate.transport.frames import MAGIC, Decoder, FrameKind, WireFrame, pieces
from migrate.transport.framing import OUT_LIMIT, in_one_line

_TICK = 5.0
_SILENCE = 45.0


class Source(Protocol):
    """Where the other side's bytes come from."""

    def read(self) -> bytes:
        """The next bytes; empty at the end."""


class Sink(Protocol):
    """Where bytes for the other side go. Raises OSError when nobody is there any more."""

    def write(self, data: bytes) -> None:
        """All of them."""


@dataclass(slots=True)
class _Pending:
    """A request that waits for its answer."""

    done: threading.Event = field(default_factory=threading.Event)
    head: Mapping[str, Any] | None = None
    out: bytearray = field(default_factory=bytearray)
    failure: RemoteError | None = None


class StdioRemote(Remote):
    """A `migrate.ports.Remote` over two streams. When they end it stays lost; `on_loss` is then called, once."""

    def __init__(self, name: str, source: Source, sink: Sink, *, on_loss: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._source = source
        self._sink = sink
        self._on_loss = on_loss
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._welcome = threading.Event()
        self._heard = threading.Event()
        self._over = threading.Event()
        self._loss: RemoteError | None = None
        self._finished = False

    @property
    def name(self) -> str:
        """The host that pulls, as messages call it."""
        return self._name

    def start(self) -> None:
        """Open the conversation. Raises ConnectionLost."""
        self._write(MAGIC)
        for work in (self._listen, self._watch):
            threading.Thread(target=work, name=f"bottle-{work.__name__.strip('_')}", daemon=True).start()

    def greet(self, hello: Mapping[str, Any]) -> None:
        """Say what is offered, and wait until the other side wants it. Raises ConnectionLost."""
        self.tell(WireFrame.of(FrameKind.HELLO, hello))
        self._welcome.wait()
        self._require_line()

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Remote.run`; only scripts that have a name can be run."""
        number, pending = next(self._numbers), _Pending()
        request = {"script": command.name, "args": list(command.args), "silence": silence}
        with self._lock:
            self._require_line()
            self._pending[number] = pending
        try:
            self.tell(WireFrame.of(FrameKind.OPEN, request, number))
            self._feed(number, pending, stdin)
            pending.done.wait()
        except BaseException:
            with suppress(RemoteError):
                self.tell(WireFrame(FrameKind.CANCEL, number))
            raise
        finally:
            with self._lock:
                del self._pending[number]
        return _reply(pending)

    def tell(self, frame: WireFrame) -> None:
        """Send a frame. Raises ConnectionLost."""
        self._write(frame.encode())

    def finish(self, result: Mapping[str, Any]) -> None:
        """Say how it ended; that the other side then hangs up is no loss. Raises ConnectionLost."""
        self._finished = True
        self.tell(WireFrame.of(FrameKind.RESULT, result))

    def close(self) -> None:
        """Say no more."""
        self._finished = True
        self._lose(RemoteError(f"the connection to {self._name} was closed before"))

    def _feed(self, number: int, pending: _Pending, stdin: Iterable[bytes]) -> None:
        for chunk in stdin:
            for frame in pieces(FrameKind.DATA, number, chunk):
                if pending.done.is_set():
                    return
                self.tell(frame)
        self.tell(WireFrame(FrameKind.END, number))

    def _write(self, data: bytes) -> None:
        try:
            with self._writing:
                self._require_line()
                self._sink.write(data)
        except OSError as exc:
            self._lose(ConnectionLost(f"the connection to {self._name} broke"))
            raise ConnectionLost(f"the connection to {self._name} broke") from exc

    def _require_line(self) -> None:
        if self._loss is not None:
            raise type(self._loss)(self._loss.what)

    def _listen(self) -> None:
        decoder = Decoder()
        try:
            while data := self._source.read():
                self._heard.set()
                for frame in decoder.feed(data):
                    self._take(frame)
            self._lose(ConnectionLost(f"the connection to {self._name} broke"))
        except OSError:
            self._lose(ConnectionLost(f"the connection to {self._name} broke"))
        except RemoteError as exc:
            self._lose(exc)

    def _take(self, frame: WireFrame) -> None:
        if frame.kind is FrameKind.GO:
            self._welcome.set()
            return
        with self._lock:
            pending = self._pending.get(frame.request)
        if pending is None or frame.kind is FrameKind.PING:
            return  # the answer to something that was given up
        match frame.kind:
            case FrameKind.REPLY:
                pending.head = frame.document
            case FrameKind.OUT:
                pending.out += frame.payload
                if len(pending.out) > OUT_LIMIT:
                    raise RemoteError(f"endless output comes from {self._name}")
            case FrameKind.FAILED:
                pending.failure = _failure(frame.document)
            case _:
                raise RemoteError(f"{self._name} speaks out of turn: {frame.kind.name}")
        if pending.failure or (pending.head is not None and len(pending.out) >= _size(pending.head)):
            pending.done.set()

    def _watch(self) -> None:
        """Give signs of life, and miss those of the other side."""
        silent = 0.0
        while not self._over.wait(_TICK):
            silent = 0.0 if self._heard.is_set() else silent + _TICK
            self._heard.clear()
            if silent > _SILENCE:
                self._lose(ConnectionLost(f"no sign of life from {self._name} for {_SILENCE:g} seconds"))
                return
            with suppress(RemoteError):
                self.tell(WireFrame(FrameKind.PING))

    def _lose(self, loss: RemoteError) -> None:
        with self._lock:
            if self._loss is not None:
                return
            self._loss = loss
            for pending in self._pending.values():
                pending.failure = loss
                pending.done.set()
        self._over.set()
        self._welcome.set()
        if not self._finished:
            self._on_loss()


class RelayedProgress:
    """A Progress whose audience sits at the host that pulls. It is told nothing once that host is gone."""

    def __init__(self, remote: StdioRemote) -> None:
        self._remote = remote

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """As `bottle.ports.Progress.phase`."""
        self._tell(FrameKind.PHASE, {"name": printable(name, 500), "total": total})
        try:
            yield
        finally:
            self._tell(FrameKind.PHASE_END, {})

    def advance(self, amount: int) -> None:
        """As `bottle.ports.Progress.advance`."""
        self._tell(FrameKind.ADVANCE, {"amount": amount})

    def note(self, text: str) -> None:
        """As `bottle.ports.Progress.note`."""
        self._tell(FrameKind.NOTE, {"text": printable(text, 1000)})

    def output(self, line: str) -> None:
        """As a note: what is printed while a bottle is sent is little."""
        self.note(line)

    def _tell(self, kind: FrameKind, document: Mapping[str, Any]) -> None:
        with suppress(RemoteError):
            self._remote.tell(WireFrame.of(kind, document))


def _reply(pending: _Pending) -> Reply:
    if pending.failure is not None:
        raise pending.failure
    head = pending.head or {}
    status, err = head.get("status"), head.get("err")
    if not isinstance(status, int) or not isinstance(err, str):
        raise RemoteError("an answer came that makes no sense")
    return Reply(status=status, out=bytes(pending.out[: _size(head)]), err=in_one_line(err))


def _size(head: Mapping[str, Any]) -> int:
    size = head.get("size")
    if not isinstance(size, int) or not 0 <= size <= OUT_LIMIT:
        raise RemoteError("an answer came that makes no sense")
    return size


def _failure(document: Mapping[str, Any]) -> RemoteError:
    kind = ConnectionLost if document.get("lost") is True else RemoteError
    return kind(printable(str(document.get("what", "")), 2000), next_step=printable(str(document.get("next", ""))))
