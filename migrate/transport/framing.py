"""How a command travels to a far shell, and how its answer is told from the noise around it. No input or output here.

The far login shell may be sh, bash, zsh, csh or fish, and each quotes differently. So the line it is given is the same
for every command, and means the same in each: start `sh`, and let it read the real text from standard input, behind a
line that says how long it is. What follows that text on standard input is the command's own input. So the line can be
run before there is a command.
"""

import re
import secrets
import shlex
from dataclasses import dataclass, field

from bottle.errors import RemoteError
from bottle.text import printable, printable_lines
from migrate.model import RemoteCommand

LINE = """sh -c 'read -r size && eval "$(dd bs=1 count="$size" 2>/dev/null)"'"""
OUT_LIMIT = 4 << 20
ERR_LIMIT = 64 << 10
NOISE_LIMIT = 1 << 20
_TAIL = 2000
_STATUS = re.compile(rb"(\d{1,3})\n")
_LONGEST_STATUS = 4  # bytes, with the newline


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A command ready to be sent to what LINE runs: `prelude` ahead of the command's own standard input."""

    prelude: bytes
    nonce: str


def wrap(command: RemoteCommand, *, nonce: str | None = None) -> Wrapped:
    """Quote `command`, once.

    Arguments never stand in the far process list. `read` and `dd bs=1` read not one byte too many. The text is one
    brace group, so that a text cut short is a syntax error and not half a command. The parentheses let the script end
    by `exit`, or by `set -e`, without taking the frame's end with it.
    """
    nonce = nonce or secrets.token_hex(16)
    if any("\0" in part for part in (command.script, *command.args)):
        raise RemoteError("an argument of a remote command holds a zero byte, which no shell can carry")
    args = "".join(" " + shlex.quote(arg) for arg in command.args)
    text = (
        f"{{\nset --{args}\nprintf '\\n%s\\n' 'begin-{nonce}'\n(\n{command.script}\n)\n"
        f"printf '%s %d\\n' 'end-{nonce}' \"$?\"\n}}\n"
    )
    encoded = text.encode("utf-8", "surrogateescape")
    return Wrapped(prelude=b"%d\n%s" % (len(encoded), encoded), nonce=nonce)


@dataclass(slots=True)
class Frame:
    """Reads a far standard output piece by piece and keeps what stands between the two nonce lines.

    Login messages, rc files and whatever else writes ahead of the frame are skipped, but for a tail to show when the
    frame never begins. Raises RemoteError when the far side does not stop talking, or ends the frame with no status.
    """

    nonce: str
    limit: int = OUT_LIMIT
    status: int | None = None
    _begun: bool = False
    _skipped: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _searched: int = 0

    def feed(self, data: bytes) -> bool:
        """Take the next piece. True as soon as the frame is complete; anything after that is ignored."""
        if self.status is not None:
            return True
        self._buffer += data
        if not self._begun:
            self._find_begin()
        return self._begun and self._find_end()

    @property
    def out(self) -> bytes:
        """What the command wrote: whole once `status` is known."""
        return bytes(self._buffer) if self._begun else b""

    @property
    def noise(self) -> str:
        """The end of what came instead of an answer, in one line."""
        return "" if self._begun else printable(bytes(self._buffer[-_TAIL:]))

    def _find_begin(self) -> None:
        mark = f"begin-{self.nonce}\n".encode()
        at = self._buffer.find(mark)
        if at >= 0:
            del self._buffer[: at + len(mark)]
            self._begun = True
            return
        cut = max(len(self._buffer) - _TAIL, 0)
        self._skipped += cut
        del self._buffer[:cut]
        if self._skipped > NOISE_LIMIT:
            raise RemoteError("endless output comes from the far login shell, and no answer")

    def _find_end(self) -> bool:
        mark = f"end-{self.nonce} ".encode()
        at = self._buffer.find(mark, self._searched)
        if (at if at >= 0 else len(self._buffer) - len(mark)) > self.limit:
            raise RemoteError(f"endless output: a remote command wrote more than the {self.limit} bytes allowed")
        if at < 0:
            self._searched = max(len(self._buffer) - len(mark) + 1, 0)
            return False
        self._searched = at
        status = _STATUS.match(self._buffer, at + len(mark))
        if status is None:
            # Who runs the command there knows the nonce, and may write anything behind it.
            if len(self._buffer) - at - len(mark) >= _LONGEST_STATUS:
                raise RemoteError("a remote command ended with no status")
            return False
        self.status = int(status[1])
        del self._buffer[at:]
        return True


@dataclass(slots=True)
class ErrorTail:
    """Keeps the end of a far standard error stream, where the cause stands, and forgets the rest."""

    limit: int = ERR_LIMIT
    _tail: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        self._tail += data
        del self._tail[: max(len(self._tail) - self.limit, 0)]

    @property
    def text(self) -> str:
        """What is kept, as one line."""
        return in_one_line(bytes(self._tail))


def in_one_line(said: str | bytes) -> str:
    """The end of what came on a far standard error stream, its lines behind each other."""
    lines = (printable(line, ERR_LIMIT) for line in printable_lines(said, 2 * ERR_LIMIT))
    return " | ".join(filter(None, lines))[-ERR_LIMIT:]
