"""The full story of a run, in a file that an error can name: `$BOTTLE_HOME/logs/`, the newest fifty."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bottle.ports import Progress

_KEPT = 50
_log = logging.getLogger("bottle")


class Journal:
    """Where this run's story goes; a disk that takes no log stops no work."""

    path: Path | None = None

    def open(self, home: Path, command: str) -> None:
        """Begin the story of `command`, and let the oldest ones go."""
        folder = home / "logs"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
            path = folder / f"{stamp}-{command}-{os.getpid()}.log"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        handler = logging.StreamHandler(os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace"))
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        _log.setLevel(logging.DEBUG)
        self.path = path
        _log.info("%s", " ".join(sys.argv))
        for old in sorted(folder.glob("*.log"))[:-_KEPT]:
            with suppress(OSError):
                old.unlink()


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
