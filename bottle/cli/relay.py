"""Bytes between this process's standard streams and a session, until either side ends."""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from bottle.cli.output import JSON
from bottle.cli.terminal import DetachKeys, Modes, in_foreground, raw, resizes, window
from bottle.errors import BottleError, EngineError
from bottle.ports import Session

STDIN, STDOUT, STDERR = 0, 1, 2

Resize = Callable[[int, int], None]

_CHUNK = 65536
_PAUSE, _LONGEST_PAUSE = 50, 1000  # milliseconds from one try to set the terminal's size to the next
_RESIZED, _STOP = b"r", b"s"


class OutputClosed(Exception):
    """Nobody reads this process's output any more."""


@dataclass(frozen=True, slots=True)
class Console:
    """Where a session's input comes from and its output goes to: file descriptors."""

    source: int = STDIN
    sink: int = STDOUT

    @classmethod
    def for_form(cls, form: str) -> "Console":
        """This process's own streams; where stdout is to hold one document, the session's output goes to stderr."""
        return cls(sink=STDERR if form == JSON else STDOUT)

    @property
    def interactive(self) -> bool:
        """Whether a person sits at both ends."""
        return _isatty(self.source) and _isatty(self.sink)


@dataclass(slots=True)
class Relayed:
    """A console and a session together, to be entered before the session's program starts.

    While it is open, the terminal is raw where both ends are terminals.
    """

    console: Console
    session: Session
    raw: bool = field(init=False)
    _modes: Modes = field(default_factory=Modes, init=False)
    _last: bytes = field(default=b"\n", init=False)
    _ended: bool = field(default=False, init=False)
    _stack: ExitStack = field(default_factory=ExitStack, init=False)

    def __post_init__(self) -> None:
        self.raw = self.session.tty and self.console.interactive

    def __enter__(self) -> "Relayed":
        if self.raw:
            self._stack.enter_context(raw(self.console.source))
            self._stack.callback(self._tidy)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def relay(self, resize: Resize, *, nudge: bool = False) -> bool:
        """Carry bytes until the session's output ends or the user leaves; True where they left.

        `resize` takes rows and columns. `nudge` makes a program that was there before draw itself again. Raises
        EngineError when the line breaks, OutputClosed when nobody reads here any more.
        """
        inlet = _Inlet(self, resize, nudge=nudge)
        try:
            with inlet.running():
                while data := self.session.recv(_CHUNK):
                    self._put(data)
        except EngineError:
            if not inlet.left:
                raise
        self._ended = not inlet.left
        return inlet.left

    def _put(self, data: bytes) -> None:
        try:
            _write(self.console.sink, data)
        except OSError as exc:
            raise OutputClosed from exc
        if self.raw:
            self._modes.see(data)
            self._last = data[-1:]

    def _tidy(self) -> None:
        """Leave the terminal as usual, at the beginning of a line, below what a program that goes on shows."""
        undone = self._modes.undo(drawn=not self._ended)
        with suppress(OSError):
            _write(self.console.sink, undone + (b"" if b"\n" in {undone[-1:], self._last} else b"\r\n"))


class _Inlet:
    """The way in, in a thread of its own: keys and data to the session, and the terminal's size to the engine.

    A single loop for both ways would stall for good where a program stops reading until its output is taken.
    """

    def __init__(self, line: Relayed, resize: Resize, *, nudge: bool) -> None:
        self.left = False
        self._line = line
        self._resize = resize
        self._nudge = nudge
        self._keys = DetachKeys() if line.raw else None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="session-input", daemon=True)
        self._heard, self._bell = os.pipe()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Carry while the context is open; the session is closed at its end, which frees a send that hangs."""
        os.set_blocking(self._bell, False)
        self._thread.start()
        try:
            with resizes(lambda: self._ring(_RESIZED)):
                yield
        finally:
            self._over.set()
            self._ring(_STOP)
            self._line.session.close()
            self._thread.join()
            os.close(self._heard)
            os.close(self._bell)

    def _ring(self, what: bytes) -> None:
        with suppress(OSError):  # the pipe is full of rings
            os.write(self._bell, what)

    def _run(self) -> None:
        # A session that broke is told of by the way out.
        with suppress(BottleError):
            self._carry()

    def _carry(self) -> None:
        source = self._line.console.source
        # poll, as epoll takes neither files nor /dev/null.
        poll = select.poll()
        poll.register(self._heard, select.POLLIN)
        if self._may_read():
            poll.register(source, select.POLLIN)
        first = _PAUSE if self._line.raw else None
        pause = first
        while not self.left and not self._over.is_set():
            # On a busy host it may be seconds before there is a terminal to set the size of.
            if pause is not None:
                pause = None if self._set_size() else min(2 * pause, _LONGEST_PAUSE)
            ready = {descriptor for descriptor, _ in poll.poll(pause)}
            if self._heard in ready and _RESIZED in os.read(self._heard, 64):
                pause = first
            if source in ready and not self._over.is_set() and not self._forward():
                poll.unregister(source)
        if self.left:
            self._line.session.close()

    def _may_read(self) -> bool:
        source = self._line.console.source
        try:
            os.fstat(source)
        except OSError:
            return False  # there is no standard input
        return not _isatty(source) or in_foreground(source)

    def _forward(self) -> bool:
        """Carry one piece in; False at the end of the input."""
        try:
            data = os.read(self._line.console.source, _CHUNK)
        except OSError:
            data = b""  # the terminal hung up
        if not data:
            self._end_input()
            return False
        if self._keys is not None:
            data = self._keys.feed(data)
            self.left = self._keys.detached
        if data:
            self._line.session.send(data)
        return True

    def _end_input(self) -> None:
        if self._keys is not None:
            self._line.session.send(self._keys.rest())
        # To close the input of a terminal is to leave it, output and all: the engine takes it for that.
        if not self._line.session.tty:
            self._line.session.close_stdin()

    def _set_size(self) -> bool:
        """Set the size of the session's terminal to that of this one; False where that is to be tried again."""
        size = window(self._line.console.sink)
        if size is None:
            return True
        rows, columns = size
        try:
            if self._nudge:
                # To a terminal of that size already, only a change gets through: docker does the same.
                self._resize(rows + 1, columns + 1)
                time.sleep(_PAUSE / 1000)
            self._resize(rows, columns)
        except BottleError:
            return False
        self._nudge = False
        return True


def _isatty(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _write(descriptor: int, data: bytes) -> None:
    """Write all of `data`, unbuffered, also where somebody has made the descriptor non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
