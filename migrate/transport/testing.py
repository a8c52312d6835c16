"""A far host that is this machine: the same commands, run by a local shell in a home folder of its own."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import RemoteError
from migrate.model import RemoteCommand, Reply
from migrate.ports import Remote
from migrate.transport.conversation import exchange
from migrate.transport.framing import wrap
from migrate.transport.local import LocalProcess


@dataclass(slots=True)
class Faults:
    """What to break in the next runs. Bytes are those of standard input, counted over all runs; each strikes once."""

    cut_after: int | None = None
    kill_after: int | None = None


class LocalRemote(Remote):
    """A Remote without a network.

    `shell` is the login shell, an argument vector that takes `-c LINE`. `faults.cut_after` breaks the connection
    (ConnectionLost) and kills the command after that many bytes; `faults.kill_after` kills only the command.
    """

    def __init__(
        self, home: Path, *, name: str = "local.test", shell: tuple[str, ...] = ("sh",), path: str | None = None
    ) -> None:
        self._home = home
        self._name = name
        self._shell = shell
        self._path = path or os.environ.get("PATH", os.defpath)
        self._closed = False
        self.faults = Faults()
        self.runs = 0
        self.sent = 0

    @property
    def name(self) -> str:
        """The host, as messages call it."""
        return self._name

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Remote.run`."""
        if self._closed:
            raise RemoteError(f"the connection to {self._name} was closed before")
        self.runs += 1
        line = LocalProcess(self._name, self._shell, {"HOME": str(self._home), "PATH": self._path}, self._home)
        return exchange(line, wrap(command), self._counted(stdin, line), silence=silence)

    def close(self) -> None:
        """Hang up."""
        self._closed = True

    def _counted(self, stdin: Iterable[bytes], line: LocalProcess) -> Iterator[bytes]:
        for chunk in stdin:
            rest = chunk
            while rest:
                if self._strike(line):
                    return
                pending = [n - self.sent for n in (self.faults.cut_after, self.faults.kill_after) if n is not None]
                piece = rest[: max(min([len(rest), *pending]), 1)]
                self.sent += len(piece)
                yield piece
                rest = rest[len(piece) :]
        self._strike(line)

    def _strike(self, line: LocalProcess) -> bool:
        """Do what is due; True when the connection is gone."""
        if self.faults.cut_after is not None and self.sent >= self.faults.cut_after:
            self.faults.cut_after = None
            line.hang_up()
            return True
        if self.faults.kill_after is not None and self.sent >= self.faults.kill_after:
            self.faults.kill_after = None
            line.kill()
        return False
