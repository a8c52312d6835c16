"""Runs `bottle` in this process and kills it before one of all its writes; as a program: everycall.py LOG N ACT WORD…

What counts is what begins a write below `$BOTTLE_HOME` (a file that is opened, synced, renamed, removed; a folder), and
what passes between bottle and an engine: a request, each piece of an archive that is sent, the wait for an answer. Each
is a line in LOG before it happens. The Nth is not reached; with ACT, a command line, that is run there instead. A first
commit is cut into small pieces. With `ahead` for the first WORD, what is little is read while the agent works, too.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

AHEAD = "ahead"
PIECE = 1 << 20  # bytes of work, of which a first commit has so many that it makes several layers
_FOLDERS = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0}  # events of sys.addaudithook; which argument
_WRITES = os.O_WRONLY | os.O_RDWR
_REQUEST = re.compile(rb"[A-Z]+ /[^? ]*")


class Killer:
    """Counts moments in all threads, and ends the process at one of them as a loss of power does."""

    def __init__(self, log: Path, number: int, act: str, home: str) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._number = number
        self._act = act
        self._home = home
        self._seen = 0
        self._lock = threading.Lock()

    def reached(self, what: str) -> None:
        """One more moment."""
        with self._lock:
            self._seen += 1
            os.write(self._log, f"{what}\n".encode(errors="replace"))
            if self._seen == self._number:
                if not self._act:
                    os.kill(os.getpid(), signal.SIGKILL)
                subprocess.run(["sh", "-c", self._act], check=False, capture_output=True)

    def install(self) -> None:
        """Watch from now on."""
        sync, answered = os.fsync, http.client.HTTPConnection.getresponse

        def watched_sync(file: int) -> None:
            self.reached(f"fsync {Path(f'/proc/self/fd/{file}').readlink()}")
            sync(file)

        def watched_answer(connection: Any) -> Any:
            self.reached("answer")
            return answered(connection)

        os.fsync = watched_sync  # type: ignore[assignment]
        http.client.HTTPConnection.getresponse = watched_answer  # type: ignore[method-assign,assignment]
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "http.client.send":
            said = bytes(arguments[1]) if isinstance(arguments[1], bytes) else b""
            request = _REQUEST.match(said)
            self.reached(request[0].decode() if request is not None else f"send {len(said)} bytes")
        elif event == "open" and isinstance(arguments[2], int) and _has_name(arguments[2]) and arguments[2] & _WRITES:
            self._path("open", arguments[0])
        elif event in _FOLDERS:
            self._path(event, arguments[_FOLDERS[event]])

    def _path(self, event: str, path: Any) -> None:
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if name.startswith(self._home) and not name.startswith(f"{self._home}/logs"):
            self.reached(f"{event} {name.removeprefix(self._home)}")


def _has_name(flags: int) -> bool:
    """What a file that has none in its folder holds is gone with the process."""
    return flags & os.O_TMPFILE != os.O_TMPFILE


def numbers(moments: Sequence[str]) -> list[int]:
    """The moments that are worth a death: the first, and those behind which something is other than before."""
    found, asks = [1], True
    for number, moment in enumerate(moments, 2):
        asks = moment.startswith("GET") if moment != "answer" else asks
        found += [number] if not asks else []
    return found


def run(log: Path, number: int, act: str, words: list[str]) -> None:
    """Run a command to which something happens at a moment, 0 for at none."""
    from bottle.cli.main import main
    from bottle.trees import snapshot

    snapshot._CUT = PIECE
    if words[0] == AHEAD:
        snapshot._LITTLE, words = (-1, -1), words[1:]
    Killer(log, number, act, os.environ["BOTTLE_HOME"]).install()
    main(words, prog_name="bottle")


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
