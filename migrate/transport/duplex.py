"""A far command that is talked with, in both directions, for as long as it runs."""

import re
import threading
from contextlib import suppress

from bottle.errors import BottleError, ConnectionLost, RemoteError
from bottle.text import printable
from bottle.words import ssh_to
from migrate.transport.conversation import PIECE, Line
from migrate.transport.framing import NOISE_LIMIT, ErrorTail, Wrapped

_TAIL = 2000
_GRACE = 2.0


class FarExit(RemoteError):
    """The far command ended before it said a word on standard output."""

    def __init__(self, host: str, status: int, complaints: str) -> None:
        said = printable(complaints[-500:])
        super().__init__(f"the command on {host} ended with exit status {status}" + (f": {said}" if said else ""))
        self.status = status


class Dialogue:
    """Two streams to a far command that was wrapped by `migrate.transport.framing.wrap`.

    One thread reads; several may write. Whatever a login shell says ahead of the command is skipped.
    """

    def __init__(self, line: Line, wrapped: Wrapped) -> None:
        """Start the command. Raises ConnectionLost, else RemoteError."""
        self._line = line
        self._begin = f"begin-{wrapped.nonce}\n".encode()
        self._end = re.compile(f"end-{wrapped.nonce} ([0-9]{{1,3}})\n".encode())
        self._mark = f"end-{wrapped.nonce} ".encode()
        self._held = b""
        self._errors = ErrorTail()
        self._lock = threading.Lock()
        self._closed = False
        self._ended = False
        line.start()
        self._listener = threading.Thread(target=self._drain_errors, name="bottle-dialogue", daemon=True)
        self._listener.start()
        self.write(wrapped.prelude)

    @property
    def host(self) -> str:
        """The far side, as messages call it."""
        return self._line.host

    def complaints(self) -> str:
        """The end of the far standard error, cleaned; of a command that has ended."""
        self._listener.join(_GRACE)
        return self._errors.text

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises ConnectionLost; where nobody reads any more, `read` tells why."""
        view = memoryview(data)
        with self._lock:
            while view:
                sent = self._line.send(bytes(view[:PIECE]))
                if sent == 0:
                    return
                view = view[sent:]

    def open(self, magic: bytes) -> bytes:
        """Skip what comes ahead of `magic`, the command's first word; what came behind it, perhaps nothing yet.

        Raises FarExit when the command ended without it.
        """
        seen, skipped = bytearray(), 0
        while (at := seen.find(magic, max(seen.find(self._begin), 0))) < 0 or self._begin not in seen[:at]:
            ended = self._end.search(seen)
            if ended:
                raise FarExit(self.host, int(ended[1]), self.complaints())
            if self._begin not in seen:
                cut = max(len(seen) - _TAIL, 0)
                skipped += cut
                del seen[:cut]
            if skipped > NOISE_LIMIT or len(seen) > NOISE_LIMIT:
                raise RemoteError(f"endless output comes from {self.host}, and no answer")
            data = self._read()
            if not data:
                said = " | ".join(text for text in (printable(bytes(seen[-_TAIL:])), self.complaints()[-500:]) if text)
                raise RemoteError(
                    f"{self.host} runs no commands" + (f"; it said: {said}" if said else ""),
                    next_step=f"see whether this works: {ssh_to(self.host)} true",
                )
            seen += data
        return self._hold(bytes(seen[at + len(magic) :]))

    def read(self) -> bytes:
        """The next bytes of the command's output; empty at its end. Raises ConnectionLost where the line broke."""
        while not self._ended and (data := self._read()):
            if data := self._hold(data):
                return data
        return b""

    def _read(self) -> bytes:
        data = self._line.recv()
        if not data and not self._closed and self._line.lost():
            raise ConnectionLost(f"the connection to {self.host} broke")
        return data

    def _hold(self, data: bytes) -> bytes:
        """What of `data` is the command's own; what may be the beginning of the frame's end waits for more."""
        data, self._held = self._held + data, b""
        at = data.find(self._mark)
        if at >= 0:
            self._ended = True
            return data[:at]
        for size in range(min(len(self._mark) - 1, len(data)), 0, -1):
            if data.endswith(self._mark[:size]):
                self._held = data[-size:]
                return data[:-size]
        return data

    def hang_up(self) -> None:
        """Cut the whole connection, now, from whichever thread; whoever reads is woken and reads the end."""
        self._closed = True
        with suppress(BottleError):
            self._line.hang_up()

    def close(self) -> None:
        """Let go of the command: it reads the end of its input."""
        self._closed = True
        with suppress(BottleError):
            self._line.close()

    def _drain_errors(self) -> None:
        with suppress(BottleError):
            while data := self._line.recv_err():
                self._errors.feed(data)
