"""The side that pulls: takes the owner's requests from a dialogue, has them performed here, and answers.

What comes is untrusted. Here it is bounded; what it may ask for is decided by whoever performs it.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from bottle.errors import ConnectionLost, RemoteError
from bottle.ports import Progress
from bottle.text import printable
from migrate.model import Reply
from migrate.pull.messages import told_from_here
from migrate.transport.frames import Decoder, FrameKind, WireFrame, pieces

_MOST_REQUESTS = 32
_MOST_PHASES = 8
_MOST_LINES = 10_000  # that are shown
_GREETING = 5  # so many times as long as it may be silent it may take to say what it offers
_MOST_ARGS = 2000
_AHEAD = 16  # frames of a request that may wait for the script that reads them
_TICK = 5.0
_LONGEST = 3600.0
_US = "the host that pulls"  # what the other side calls this one where it repeats what was said here


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the other side asks for; nothing in it is checked."""

    script: str
    args: tuple[str, ...]
    silence: float


# Decides what is done on behalf of the other side, does it, and answers; called from several threads. A RemoteError is
# told to the other side, which may go on; a Breach, or any other, ends it all.
Perform = Callable[[Request, Iterator[bytes]], Reply]


class Breach(RemoteError):
    """The other side asked for something that no honest one asks for."""


class Streams(Protocol):
    """The other side. Its methods raise ConnectionLost or RemoteError only."""

    @property
    def host(self) -> str:
        """What messages call it."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def read(self) -> bytes:
        """The next bytes; empty at the end."""

    def hang_up(self) -> None:
        """Cut it off, now; whoever reads is woken and reads the end."""


class _Cancelled(Exception):
    """The other side gave the request up."""


@dataclass(slots=True)
class _Incoming:
    """A request that is being performed, and what was read of its standard input."""

    waiting: queue.Queue[bytes | None] = field(default_factory=lambda: queue.Queue(_AHEAD))
    over: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False

    def put(self, chunk: bytes | None) -> None:
        """Hand a chunk over; None is the end. Whoever performs the request may have heard enough."""
        while not self.over.is_set():
            with suppress(queue.Full):
                self.waiting.put(chunk, timeout=0.2)
                return

    def chunks(self) -> Iterator[bytes]:
        while not self.cancelled and (chunk := self.waiting.get()) is not None:
            yield chunk
        if self.cancelled:
            raise _Cancelled


class Receiver:
    """Serves one dialogue. Progress of the other side is shown as it comes."""

    def __init__(
        self, streams: Streams, perform: Perform, progress: Progress, *, silence: float = 60.0, first: bytes = b""
    ) -> None:
        self._streams = streams
        self._perform = perform
        self._progress = progress
        self._silence = silence
        self._frames = self._decoded(first)
        self._incoming: dict[int, _Incoming] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._silent = False
        self._listening = False
        self._heard = threading.Event()
        self._over = threading.Event()
        self._phases: list[AbstractContextManager[None]] = []
        self._lines = 0

    def hello(self) -> Mapping[str, Any]:
        """What the other side says first: HELLO, or the RESULT where it ends already (its key is `result`)."""
        threading.Thread(target=self._watch, name="bottle-watch", daemon=True).start()
        began = time.monotonic()
        for frame in self._watched():
            if frame.kind is FrameKind.PING:
                if time.monotonic() - began > _GREETING * self._silence:
                    raise RemoteError(f"{self._streams.host} says nothing but that it is there")
                continue
            if frame.kind is FrameKind.HELLO:
                return frame.document
            if frame.kind is FrameKind.RESULT:
                return {"result": frame.document}
            raise RemoteError(f"{self._streams.host} speaks out of turn: {frame.kind.name}")
        raise RemoteError(f"{self._streams.host} said nothing")

    def serve(self) -> Mapping[str, Any]:
        """Let it begin, and answer until it comes to its result, which is not checked. Raises RemoteError."""
        self._tell(WireFrame(FrameKind.GO))
        for frame in self._watched():
            if frame.kind is FrameKind.RESULT:
                return frame.document
            self._take(frame)
        raise RemoteError(f"{self._streams.host} ended without a result")

    def close(self, *, wait: bool = True) -> None:
        """No more is taken. With `wait`, what was begun here is brought to its end, lest the next run meet it."""
        self._over.set()
        for incoming in tuple(self._incoming.values()):
            incoming.cancelled = True
            with suppress(queue.Full):
                incoming.waiting.put_nowait(None)
        for thread in self._threads if wait else ():
            thread.join()
        while self._phases:
            self._phases.pop().__exit__(None, None, None)

    def _decoded(self, first: bytes) -> Iterator[WireFrame]:
        decoder = Decoder()
        yield from decoder.feed(first)
        while data := self._read():
            self._heard.set()
            yield from decoder.feed(data)

    def _read(self) -> bytes:
        self._listening = True
        try:
            return self._streams.read()
        finally:
            self._listening = False

    def _watched(self) -> Iterator[WireFrame]:
        """The frames; where they ended because of something that happened here, that is raised."""
        while True:
            try:
                frame = next(self._frames, None)  # not `yield from`: that would end them with this generator
            except RemoteError:
                self._raise_failure()
                raise
            if frame is None:
                self._raise_failure()
                return
            yield frame

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._silent:
            raise ConnectionLost(f"no sign of life from {self._streams.host} for {self._silence:g} seconds")

    def _take(self, frame: WireFrame) -> None:
        match frame.kind:
            case FrameKind.PING:
                return
            case FrameKind.OPEN:
                self._open(frame)
            case FrameKind.DATA | FrameKind.END | FrameKind.CANCEL:
                self._continue(frame)
            case FrameKind.PHASE | FrameKind.PHASE_END | FrameKind.ADVANCE | FrameKind.NOTE:
                self._show(frame)
            case _:
                raise RemoteError(f"{self._streams.host} speaks out of turn: {frame.kind.name}")

    def _open(self, frame: WireFrame) -> None:
        request = _request(frame.document)
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if frame.request in self._incoming or len(self._incoming) >= _MOST_REQUESTS:
                raise Breach(f"{self._streams.host} asks for more at once than it may")
            incoming = self._incoming[frame.request] = _Incoming()
        work = threading.Thread(
            target=self._answer, args=(frame.request, request, incoming), name="bottle-perform", daemon=True
        )
        self._threads.append(work)
        work.start()

    def _continue(self, frame: WireFrame) -> None:
        with self._lock:
            incoming = self._incoming.get(frame.request)
        if incoming is None:
            return  # it was answered before all was read
        if frame.kind is FrameKind.CANCEL:
            incoming.cancelled = True
        incoming.put(frame.payload if frame.kind is FrameKind.DATA else None)

    def _answer(self, number: int, request: Request, incoming: _Incoming) -> None:
        try:
            reply = self._perform(request, incoming.chunks())
            head = {"status": reply.status, "err": told_from_here(reply.err, _US), "size": len(reply.out)}
            self._finish(number, incoming)
            self._tell(WireFrame.of(FrameKind.REPLY, head, number))
            for frame in pieces(FrameKind.OUT, number, reply.out):
                self._tell(frame)
        except _Cancelled:
            pass
        except RemoteError as exc:
            if isinstance(exc, Breach):
                self._abort(exc)
                return
            lost = isinstance(exc, ConnectionLost)
            self._finish(number, incoming)
            with suppress(RemoteError):
                what, following = (told_from_here(text, _US) for text in (exc.what, exc.next_step))
                self._tell(WireFrame.of(FrameKind.FAILED, {"what": what, "next": following, "lost": lost}, number))
        except Exception as exc:  # noqa: BLE001
            self._abort(exc)
        finally:
            self._finish(number, incoming)

    def _finish(self, number: int, incoming: _Incoming) -> None:
        incoming.over.set()
        with self._lock:
            if self._incoming.get(number) is incoming:
                del self._incoming[number]

    def _abort(self, cause: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or cause
        self._streams.hang_up()

    def _tell(self, frame: WireFrame) -> None:
        self._streams.write(frame.encode())

    def _show(self, frame: WireFrame) -> None:
        document = frame.document
        match frame.kind:
            case FrameKind.PHASE:
                total = document.get("total")
                if len(self._phases) >= _MOST_PHASES:
                    raise RemoteError(f"{self._streams.host} begins too many phases at once")
                name = self._told(document.get("name"), 200)
                phase = self._progress.phase(name, total if _is_count(total) else None)
                phase.__enter__()
                self._phases.append(phase)
            case FrameKind.PHASE_END:
                if self._phases:
                    self._phases.pop().__exit__(None, None, None)
            case FrameKind.ADVANCE:
                amount = document.get("amount")
                if isinstance(amount, int) and _is_count(amount):
                    self._progress.advance(amount)
            case _:
                self._progress.note(self._told(document.get("text"), 500))

    def _told(self, text: object, most: int) -> str:
        """What it says, behind its name: so much, and so many lines of it."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise RemoteError(f"endless words come from {self._streams.host}")
        return f"{self._streams.host}: {told_from_here(printable(str(text or ''), most), self._streams.host)}"

    def _watch(self) -> None:
        """Give signs of life, and miss those of the other side."""
        silent, tick = 0.0, min(_TICK, self._silence / 4)
        while not self._over.wait(tick):
            # While somebody here is asked, nobody listens, and nothing is missed.
            silent = 0.0 if self._heard.is_set() or not self._listening else silent + tick
            self._heard.clear()
            if silent > self._silence:
                self._silent = True
                self._streams.hang_up()
                return
            with suppress(RemoteError):
                self._tell(WireFrame(FrameKind.PING))


def _request(document: Mapping[str, Any]) -> Request:
    match document:
        case {"script": str(script), "args": list(args), "silence": float() | int() as silence}:
            if len(args) <= _MOST_ARGS and all(isinstance(arg, str) for arg in args) and 0 < silence <= _LONGEST:
                return Request(script=script, args=tuple(args), silence=float(silence))
    raise Breach("the other side asks for something in a way that makes no sense")


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 60
