"""One command's conversation with a far shell: feed it, drain it, and know when it has fallen silent.

The same code serves SSH and the local stand-in; what differs is behind `Line`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from bottle.errors import BottleError, ConnectionLost, RemoteError
from bottle.words import ssh_to
from migrate.model import Reply
from migrate.transport.framing import ErrorTail, Frame, Wrapped

PIECE = 32 << 10
_GRACE = 2.0
_STDERR_CEILING = 256 << 20


class Line(Protocol):
    """One running command. Its methods raise ConnectionLost or RemoteError only, and none after `close`."""

    @property
    def host(self) -> str:
        """The far side, as messages call it."""

    def start(self) -> None:
        """Have the far login shell run `framing.LINE`, unless it was told to before."""

    def send(self, data: bytes) -> int:
        """Write some of `data` to standard input; returns how much, 0 when nobody reads it any more."""

    def finish(self) -> None:
        """Standard input ends here."""

    def recv(self) -> bytes:
        """The next of standard output; empty at its end."""

    def recv_err(self) -> bytes:
        """The next of standard error; empty at its end."""

    def lost(self) -> bool:
        """Whether the connection broke, as opposed to the command having ended."""

    def close(self) -> None:
        """Let go of this command. Whoever waits in another method is woken."""

    def hang_up(self) -> None:
        """Cut the whole connection, at once. Whoever waits in another method is woken."""


def exchange(line: Line, wrapped: Wrapped, stdin: Iterable[bytes], *, silence: float) -> Reply:
    """Run `wrapped` on `line` and return its answer.

    `stdin` is read in the caller's thread, so what it raises, and Ctrl-C, reach the caller as they are.
    """
    talk = _Exchange(line, wrapped, silence)
    try:
        return talk.run(stdin)
    except ConnectionLost:
        line.hang_up()
        raise
    except Exception:
        raise
    except BaseException:
        # Ctrl-C may have struck between two halves of a packet: nothing more can be said on this connection.
        line.hang_up()
        raise
    finally:
        talk.stop()
        _let_go(line)


def _let_go(line: Line) -> None:
    """Close it, and never hide the first error."""
    with suppress(BottleError):
        line.close()


class _Exchange:
    def __init__(self, line: Line, wrapped: Wrapped, silence: float) -> None:
        self._line = line
        self._wrapped = wrapped
        self._silence = silence
        self._frame = Frame(wrapped.nonce)
        self._errors = ErrorTail()
        self._failure: BottleError | None = None
        self._silent = False
        self._done = threading.Event()
        self._stopped = threading.Event()
        self._last = time.monotonic()
        self._ours = False

    def run(self, stdin: Iterable[bytes]) -> Reply:
        self._spawn(self._watch)
        self._start()
        self._spawn(self._drain_out)
        errors = self._spawn(self._drain_err)
        if self._feed(self._wrapped.prelude):
            for chunk in self._taken(stdin):
                if not self._feed(chunk):
                    break
        with suppress(BottleError):  # whoever reads the answer learns of a broken line
            self._line.finish()
        self._done.wait()
        errors.join(_GRACE)
        return self._conclude()

    def stop(self) -> None:
        self._stopped.set()

    def _feed(self, chunk: bytes) -> bool:
        """Send all of `chunk`; False when the far side has heard enough, which its answer will explain."""
        view = memoryview(chunk).cast("B")
        start = 0
        while start < len(view) and not self._done.is_set():
            piece = bytes(view[start : start + PIECE])
            sent = 0
            try:
                sent = self._line.send(piece)
            except ConnectionLost:
                return False
            if sent == 0:
                return False
            start += sent
            self._last = time.monotonic()
        return not self._done.is_set()

    def _taken(self, stdin: Iterable[bytes]) -> Iterator[bytes]:
        """The caller's chunks; the time the caller takes to make one is not the far side's silence."""
        chunks = iter(stdin)
        while True:
            with self._our_turn():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    @contextmanager
    def _our_turn(self) -> Iterator[None]:
        self._ours = True
        try:
            yield
        finally:
            self._last = time.monotonic()
            self._ours = False

    def _start(self) -> None:
        try:
            self._line.start()
        except BottleError:
            if self._silent:
                raise self._silence_error() from None
            raise

    def _spawn(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=f"bottle-{work.__name__.strip('_')}", daemon=True)
        thread.start()
        return thread

    def _drain_out(self) -> None:
        try:
            while data := self._line.recv():
                self._last = time.monotonic()
                if self._frame.feed(data):
                    break
        except BottleError as exc:
            self._failure = exc
        finally:
            self._done.set()
            if self._failure is not None:
                _let_go(self._line)

    def _drain_err(self) -> None:
        total = 0
        try:
            while data := self._line.recv_err():
                self._last = time.monotonic()
                self._errors.feed(data)
                total += len(data)
                if total > _STDERR_CEILING:
                    raise RemoteError("endless output: a remote command does not stop complaining")
        except BottleError as exc:
            if self._failure is None and not self._done.is_set():
                self._failure = exc
                self._done.set()
                _let_go(self._line)

    def _watch(self) -> None:
        tick = min(1.0, self._silence / 4)
        while not self._stopped.wait(tick):
            if self._done.is_set():
                return
            if not self._ours and time.monotonic() - self._last > self._silence:
                self._silent = True
                self._line.hang_up()
                self._done.set()
                return

    def _conclude(self) -> Reply:
        if self._silent:
            raise self._silence_error()
        if self._frame.status is not None:
            return Reply(status=self._frame.status, out=self._frame.out, err=self._errors.text)
        if self._failure is not None:
            raise self._failure
        if self._line.lost():
            raise ConnectionLost(f"the connection to {self._line.host} broke", next_step="run the same command again")
        said = " | ".join(text for text in (self._frame.noise, self._errors.text[-500:]) if text)
        raise RemoteError(
            f"a command on {self._line.host} ended without an answer" + (f"; it said: {said}" if said else ""),
            next_step=f"see whether this works: {ssh_to(self._line.host)} true",
        )

    def _silence_error(self) -> ConnectionLost:
        return ConnectionLost(
            f"no sign of life from {self._line.host} for {self._silence:g} seconds",
            next_step="run the same command again once the network is back",
        )
