"""The full story of a run, in a file that an error can name: `$BOTTLE_HOME/logs/`, the newest fifty."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bottle.cli.output import quoted
from bottle.ports import Progress
from bottle.text import printable

_KEPT = 50
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


class _File(logging.Handler):
    """Writes to `descriptor`, unbuffered; `on_failure` is called when the disk takes no more."""

    def __init__(self, descriptor: int, on_failure: Callable[[], None]) -> None:
        super().__init__()
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._on_failure = on_failure

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            data = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            self._on_failure()
        except (TypeError, ValueError, KeyError):  # a message and its arguments that do not fit
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class Journal:
    """Where this run's story goes; a disk that takes no log stops no work."""

    path: Path | None = None
    _file: _File | None = None

    def open(self, home: Path, command: str) -> None:
        """Begin the story of `command`, and let the oldest ones go."""
        self.close()
        folder = home / "logs"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
            path = folder / f"{stamp}-{command}-{os.getpid()}.log"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        self._file, self.path = _File(descriptor, self.close), path
        self._file.setFormatter(OneLine("%(asctime)s %(name)s %(levelname)s %(message)s"))
        root = logging.getLogger()
        root.addHandler(self._file)
        root.setLevel(logging.INFO)
        _log.setLevel(logging.DEBUG)
        for old in sorted(folder.glob("*.log"))[:-_KEPT]:
            with suppress(OSError):
                old.unlink()

    def close(self) -> None:
        """Tell no more; errors name no story that is not whole."""
        if self._file is not None:
            logging.getLogger().removeHandler(self._file)
            self._file.close()
        self._file, self.path = None, None

    def asked(self, command: str, options: Mapping[str, object]) -> None:
        """Tell what was asked for. Not the words of a command that is to run inside: there may be a secret in them."""
        given = {name: value for name, value in options.items() if value not in (None, False, ()) and name != _WORDS}
        _log.info("%s %s", command, " ".join(printable(f"{name}={value}") for name, value in given.items()))


JOURNAL = Journal()


class Told:
    """A Progress that also goes into the story."""

    def __init__(self, shown: Progress) -> None:
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
