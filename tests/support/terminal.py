"""A command on a terminal of its own, with tmux between: what stands on its screen, and keys for it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bottle.files import tree

_LOOK = 0.1  # seconds
# The screen stays when the command has ended, whose exit code is in a file. Ctrl-C is for the command.
_RUN = 'trap : INT; "$@"; echo $? >"$0.new" && mv "$0.new" "$0"; exec sleep 86400'


class Terminal:
    """A context manager: at its end the command's terminal is gone, and so is its tmux."""

    def __init__(
        self, words: Sequence[str], *, cwd: Path, environ: Mapping[str, str], columns: int = 120, rows: int = 40
    ) -> None:
        # A socket's path is short; and without the number of this process another run of the tests would take it away.
        self._folder = Path(tempfile.mkdtemp(prefix=f"bottle-tests-{os.getpid()}-", dir="/tmp"))
        size = ("-x", str(columns), "-y", str(rows))
        command = shlex.join(("/bin/sh", "-c", _RUN, str(self._code), *words))
        # Nobody looks at the window's name.
        named = ("set-option", "-g", "automatic-rename", "off")
        session = (*self._tmux, *named, ";", "new-session", "-d", *size, "-c", str(cwd), command)
        own = {name: value for name, value in environ.items() if name not in {"COLUMNS", "LINES"}}  # xdist sets them
        subprocess.run(session, check=True, env={**own, "TERM": "xterm-256color"})

    @property
    def _code(self) -> Path:
        return self._folder / "exit-code"

    @property
    def _tmux(self) -> tuple[str, ...]:
        return ("tmux", "-S", str(self._folder / "socket"), "-f", "/dev/null")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run((*self._tmux, "kill-server"), check=False, capture_output=True)
        tree.discard(self._folder)

    def _ask(self, *words: str) -> str:
        return subprocess.run((*self._tmux, *words), check=True, capture_output=True, text=True).stdout

    @property
    def screen(self) -> str:
        """What stands on it now."""
        return self._ask("capture-pane", "-p")

    @property
    def transcript(self) -> str:
        """All that stood on it until the command ended, with its colours as control sequences."""
        return self._ask("capture-pane", "-p", "-e", "-S", "-").rstrip() + "\n"

    def type(self, text: str) -> None:
        """Type a text."""
        self._ask("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names for them: Enter, C-c, Escape."""
        self._ask("send-keys", *keys)

    def shows(self, pattern: str, *, seconds: float = 60) -> str:
        """Wait until a regular expression is found on the screen; the screen then. Raises AssertionError."""
        return self._until(lambda screen: re.search(pattern, screen) is not None, f"{pattern!r} to be seen", seconds)

    def exit_code(self, *, seconds: float = 60) -> int:
        """Wait until the command has ended; its exit code. Raises AssertionError."""
        self._until(lambda _: self._code.exists(), "the end", seconds)
        return int(self._code.read_text())

    def _until(self, done: Callable[[str], bool], what: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while not done(screen := self.screen):
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{screen}"
            time.sleep(_LOOK)
        return screen
