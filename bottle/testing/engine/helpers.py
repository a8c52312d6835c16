"""Programs of this machine: they run as processes, and see all that this one sees."""

import socket
import subprocess

from bottle.errors import EngineError
from bottle.model import HelperSpec
from bottle.testing.engine.base import Part
from bottle.testing.faults import recorded


class ProgramSession:
    """`ports.Session` with a program."""

    tty = False

    def __init__(self, program: subprocess.Popen[bytes], line: socket.socket) -> None:
        self.program = program
        self._line = line

    def fileno(self) -> int:
        """The descriptor that becomes readable with output."""
        return self._line.fileno()

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes of output; empty at the end."""
        return self._line.recv(size)

    def send(self, data: bytes) -> None:
        """Give `data` to the program. Raises EngineError where it has ended."""
        try:
            self._line.sendall(data)
        except OSError as exc:
            raise EngineError(f"the connection broke: {exc.strerror}") from exc

    def close_stdin(self) -> None:
        """Tell it that no more input comes."""
        self._line.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave, and wait for its end."""
        self._line.close()
        self.program.wait()


class Helpers(Part):
    """`ports.Helpers` without a container."""

    @recorded
    def run_helper(self, spec: HelperSpec) -> ProgramSession:
        """Run a program, and join its streams. It is kept in `helpers`."""
        ours, theirs = socket.socketpair()
        with theirs:
            line = theirs.fileno()
            program = subprocess.Popen(spec.command, env=dict(spec.env), stdin=line, stdout=line, stderr=line)
        self.helpers.append(program)
        return ProgramSession(program, ours)
