"""Runs `bottle` in this process and kills it at a named moment; as a program: strike.py LOG STRIKE WORD…

A moment is a command on the far host, called after its script, or a write of a file in a state folder, called after
that file. STRIKE is `WHEN:NAME:COUNT`, such as `before:check:1`, `during:load:1` or `after:migration.json:2`, or empty
for none. Every moment that is reached is a line in LOG.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from bottle.cli.main import main
from bottle.store import document, home, state
from migrate.transport.ssh import SshRemote

_DURING = 0.02


class Striker:
    """Counts moments by name, and strikes at one of them."""

    def __init__(self, log: Path, strike: str) -> None:
        self._log = log
        self._when, self._name, count = strike.split(":") if strike else ("", "", "0")
        self._count = int(count)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._scripts = {
            each.read_text(): each.name.removesuffix(".sh") for each in (files("migrate.host") / "scripts").iterdir()
        }

    def around(self, name: str, act: Callable[[], Any]) -> Any:
        """Do `act`, a moment called `name`, and strike before it, in its middle or after it."""
        with self._lock:
            self._seen[name] += 1
            now = name == self._name and self._seen[name] == self._count
            with self._log.open("a") as log:
                log.write(f"{name}\n")
        if now and self._when == "before":
            self.strike()
        if now and self._when == "during":
            threading.Timer(_DURING, self.strike).start()
        result = act()
        if now:
            self.strike()
        return result

    @staticmethod
    def strike() -> None:
        """End as a machine does that loses its power."""
        os.kill(os.getpid(), signal.SIGKILL)

    def script(self, text: str) -> str:
        """Which script a command runs: the longest whose text it ends with."""
        return max((known for known in self._scripts if text.endswith(known)), key=len)

    def install(self) -> None:
        """Watch every command on a far host, and every write to a state folder."""
        run, write, remove = SshRemote.run, document.write_atomic, document.remove_file

        def watched_run(remote: SshRemote, command: Any, *args: Any, **options: Any) -> Any:
            name = self._scripts[self.script(command.script)]
            return self.around(name, lambda: run(remote, command, *args, **options))

        def watched_write(path: Path, *args: Any, **options: Any) -> None:
            self.around(path.name, lambda: write(path, *args, **options))

        def watched_remove(path: Path) -> None:
            self.around(f"no {path.name}", lambda: remove(path))

        SshRemote.run = watched_run  # type: ignore[method-assign]
        for module in (document, home, state):
            vars(module).update(write_atomic=watched_write, remove_file=watched_remove)


if __name__ == "__main__":
    Striker(Path(sys.argv[1]), sys.argv[2]).install()
    main(sys.argv[3:], prog_name="bottle")
