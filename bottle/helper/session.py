"""This process's end of the line to a helper: calls, one after the other, and what is answered."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bottle.errors import EngineError, HelperLost
from bottle.helper.failures import raised
from bottle.helper.frames import PIECE, Kind, document, frame, read_frame
from bottle.helper.server import PROTOCOL
from bottle.ports import Session
from bottle.text import printable

_LAST_WORDS = 2000


class HelperSession:
    """A helper that runs. `is_idle`: what was asked is answered to the end, and something else can be asked.

    All of it raises HelperLost where the helper ends before it has answered, and what it met itself as it met it.
    """

    def __init__(self, line: Session) -> None:
        self._line = line
        self._input = io.BufferedReader(_Raw(line), PIECE)
        self.is_idle = False

    def greet(self) -> None:
        """Wait until it answers. Raises HelperLost, with its last words, where that is nothing that can be used."""
        try:
            match read_frame(self._input):
                case (Kind.HELLO, data):
                    hello = json.loads(data)
                case _:
                    hello = {}
        except ValueError as exc:
            raise HelperLost(f"the helper container does not start: {self._last_words(exc)}") from exc
        if hello.get("protocol") != PROTOCOL:
            raise HelperLost("the helper container does not start, or is of another version")
        if not hello.get("shows_marks"):
            raise HelperLost("a helper container is not shown what overlay notes of deleted folders")
        self.is_idle = True

    def ask(self, call: str, given: Mapping[str, Any]) -> Any:
        """The answer to a call that is answered with nothing else."""
        self.begin(call, given)
        kind, data = self.next()
        if kind is not Kind.ANSWER:
            raise HelperLost("the helper container answers what it was not asked")
        return json.loads(data)

    def begin(self, call: str, given: Mapping[str, Any]) -> None:
        """Ask, and wait for nothing."""
        self.is_idle = False
        self._send(document(Kind.CALL, {"call": call, "given": given}))

    def give(self, data: bytes) -> None:
        """What the helper wants more of, empty where there is no more."""
        self._send(frame(Kind.PART, data))

    def next(self) -> tuple[Kind, bytes]:
        """The next frame of the answer, ANSWER being the last one."""
        try:
            found = read_frame(self._input)
        except ValueError as exc:
            raise HelperLost("what the helper container answers cannot be read") from exc
        except EngineError as exc:
            raise HelperLost(exc.what) from exc
        if found is None:
            raise HelperLost("the helper container has ended before it had answered")
        self.is_idle = found[0] in {Kind.ANSWER, Kind.ERROR}
        if found[0] is Kind.ERROR:
            raise raised(json.loads(found[1]))
        return found

    def data(self) -> Iterator[bytes]:
        """All data of the answer, to its end."""
        while True:
            match self.next():
                case (Kind.DATA, data):
                    yield data
                case (Kind.ANSWER, _):
                    return
                case _:
                    raise HelperLost("the helper container answers what it was not asked")

    def close(self) -> None:
        """Leave; the helper ends, as its input does."""
        self._line.close()

    def _send(self, data: bytes) -> None:
        try:
            self._line.send(data)
        except EngineError as exc:
            raise HelperLost(exc.what) from exc

    def _last_words(self, exc: ValueError) -> str:
        head = exc.args[0] if isinstance(exc.args[0], bytes) else b""
        said = (head + self._input.read(_LAST_WORDS)).decode("utf-8", "replace")
        return printable(re.sub(r"\s+", " ", said).strip(), _LAST_WORDS)


class _Raw(io.RawIOBase):
    """What comes over the line, as a file. Raises EngineError."""

    def __init__(self, line: Session) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._line.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Stream(io.RawIOBase):
    """The data of an answer, as a file."""

    def __init__(self, session: HelperSession) -> None:
        super().__init__()
        self._data = session.data()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes, none at the end. Raises as `HelperSession`."""
        while not self._rest:
            data = next(self._data, None)
            if data is None:
                return 0
            self._rest = memoryview(data)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
