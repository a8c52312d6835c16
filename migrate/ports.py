"""What a migration needs of the world: a far host's shell."""

from collections.abc import Iterable
from typing import Protocol, Self

from migrate.model import RemoteCommand, Reply


class Shell(Protocol):
    """A host's shell. Safe to use from several threads at once.

    Raises HostKeyRejected, LoginRefused, ConnectionLost, else RemoteError; a command that ends with a status other
    than 0 is a Reply, not an error.
    """

    @property
    def name(self) -> str:
        """The host, as messages call it."""

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """Run `command`, feeding it `stdin`. ConnectionLost after `silence` seconds without a sign of life."""


class Remote(Shell, Protocol):
    """A far host's shell, until it is closed."""

    def close(self) -> None:
        """Hang up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
