"""The full story of a run, in a file that an error can name: `$BOTTLE_HOME/logs/`, the newest twenty of each command.

It begins when something happens: there is none of a command that is mistyped, names no bottle, or only looks and does
not fail.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bottle.cli.output import quoted
from bottle.errors import NotFound, UsageError
from bottle.text import printable

if TYPE_CHECKING:
    from bottle.ports import Progress  # which needs the whole model

_KEPT = 20
_LONGEST = 4000  # characters of a line
_WORDS = "words"  # what the arguments are called that are a command of the user's own
_log = logging.getLogger("bottle")


class OneLine(logging.Formatter):
    """Each record is one line, whatever its message says; the lines of a traceback stand behind a mark."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, and its traceback."""
        record.message = printable(record.getMessage(), _LONGEST)
        record.asctime = self.formatTime(record)
        trace = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        return "\n".join((self.formatMessage(record), *(f"  {line}" for line in quoted(trace))))


class _Story(logging.Handler):
    """Holds what it is told until a record of level INFO, and writes from then on, unbuffered, all of it.

    `begin` opens the file; `on_failure` is called when the disk takes none, or no more.
    """

    def __init__(self, begin: Callable[[], int], on_failure: Callable[[], None]) -> None:
        super().__init__()
        self._begin = begin
        self._on_failure = on_failure
        self._held = b""
        self._file: IO[bytes] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Hold or write one record."""
        try:
            self._held += f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            if self._file is None and record.levelno >= logging.INFO:
                self._file = os.fdopen(self._begin(), "wb", buffering=0)
            while self._file is not None and self._held:
                self._held = self._held[self._file.write(self._held) :]
        except OSError:
            self._on_failure()
        except (TypeError, ValueError, KeyError):  # a message and its arguments that do not fit
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()


class Journal:
    """Where this run's story goes; a disk that takes no log stops no work. `path` is None until there is a file.

    `begun` says that a command was called.
    """

    path: Path | None = None
    begun = False
    _story: _Story | None = None

    def open(self, home: Path, command: str) -> None:
        """Be ready for the story of `command`."""
        self.close()
        self._story = _Story(lambda: self._begin(home / "logs", command), self.close)
        self._story.setFormatter(OneLine("%(asctime)s %(name)s %(levelname)s %(message)s"))
        root = logging.getLogger()
        root.addHandler(self._story)
        root.setLevel(logging.INFO)
        _log.setLevel(logging.DEBUG)

    def _begin(self, folder: Path, command: str) -> int:
        """Open a new file, and let the oldest ones of this command go: what is typed often pushes out no other's."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = folder / f"{stamp}-{command}-{os.getpid()}.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self.path = path
        of_it = re.compile(rf"[0-9]{{8}}-[0-9]{{6}}-{re.escape(command)}-[0-9]+\.log")
        for old in sorted(each for each in folder.iterdir() if of_it.fullmatch(each.name))[:-_KEPT]:
            with suppress(OSError):
                old.unlink()
        return descriptor

    def close(self) -> None:
        """Tell no more; errors name no story that is not whole."""
        if self._story is not None:
            logging.getLogger().removeHandler(self._story)
            self._story.close()
        self._story, self.path = None, None

    def asked(self, command: str, options: Mapping[str, object]) -> None:
        """Tell what was asked for. Not the words of a command that is to run inside: there may be a secret in them."""
        self.begun = True
        given = {name: value for name, value in options.items() if value not in (None, False, ()) and name != _WORDS}
        _log.debug("%s %s", command, " ".join(printable(f"{name}={value}") for name, value in given.items()))

    def failed(self, error: BaseException) -> None:
        """Tell what ended it. A wrong word, the name of what is not there or a Ctrl-C is nothing that has happened."""
        happened = not isinstance(error, UsageError | NotFound | KeyboardInterrupt)
        _log.log(logging.INFO if happened else logging.DEBUG, "failed", exc_info=error)


JOURNAL = Journal()


class Told:
    """A Progress that also goes into the story."""

    def __init__(self, shown: "Progress") -> None:
        self._shown = shown

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Note when the phase begins and how it ends."""
        _log.info("begin: %s%s", name, "" if total is None else f" ({total} bytes)")
        try:
            with self._shown.phase(name, total):
                yield
        except BaseException as exc:
            _log.info("failed: %s: %r", name, exc)
            raise
        _log.info("done: %s", name)

    def advance(self, amount: int) -> None:
        """Pass it on."""
        self._shown.advance(amount)

    def note(self, text: str) -> None:
        """Write it down and pass it on."""
        _log.info("note: %s", text)
        self._shown.note(text)

    def output(self, line: str) -> None:
        """Write it down and pass it on."""
        _log.info("output: %s", line)
        self._shown.output(line)
