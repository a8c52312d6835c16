"""What an engine sends and hears while it lasts: the streams of containers, and what happens to them."""

from collections.abc import Iterator
from typing import Protocol

from bottle.model import ContainerEvent


class Session(Protocol):
    """An open line to a container's standard streams."""

    @property
    def tty(self) -> bool:
        """Whether the other end is a terminal. Closing the input of one makes the engine end the session."""

    def fileno(self) -> int:
        """The socket's descriptor, for select."""

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes of output; empty at the end. Raw where the container has a tty, else already unframed."""

    def send(self, data: bytes) -> None:
        """Give `data` to the container's standard input."""

    def close_stdin(self) -> None:
        """Tell the container that no more input comes."""

    def close(self) -> None:
        """Leave; the container goes on."""


class Execution(Session, Protocol):
    """A command that was started in a running container, and the line to its standard streams."""

    def resize(self, *, rows: int, columns: int) -> None:
        """Tell the command's terminal its size."""

    def exit_code(self) -> int:
        """Its exit code, once its output has ended; waits for it where it closed its output before."""


class Events(Protocol):
    """A stream of what happens to containers, from when it was asked for."""

    def __iter__(self) -> Iterator[ContainerEvent]:
        """The events as they come; ends when the stream is closed. Raises EngineError when the engine ends it."""

    def close(self) -> None:
        """End it, also where another thread waits for the next event."""
