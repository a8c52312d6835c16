"""The user's own terminal: raw while an agent has it, then as it was; its size, and the keys that leave a session."""

import os
import re
import signal
import termios
import tty
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

# Ctrl-P Ctrl-Q, as docker's.
DETACH_KEYS = b"\x10\x11"

# What a program writes to command a terminal, "Controls beginning with CSI":
# https://invisible-island.net/xterm/ctlseqs/ctlseqs.html; keys as kitty tells them, which other terminals do too:
# https://sw.kovidgoyal.net/kitty/keyboard-protocol/
_CONTROL = re.compile(rb"\x1b\[(?P<kind>[?>=<]?)(?P<values>[0-9;:]{0,40})(?P<verb> ?[@-~])")
_LONGEST = len(b"\x1b[?") + 40 + len(b" q")
_ON_BY_DEFAULT = frozenset({b"7", b"25"})  # lines wrap, the cursor shows
_OTHER_SCREENS = frozenset({b"47", b"1047", b"1049"})
_MOVES = frozenset(b"ABEFHdf")  # the cursor goes to another line, written on or not
# What has one usual state, by the command that leaves it, without values to go back: the lines that scroll (that moves
# the cursor too), the cursor's form, xterm's keys, kitty's.
_USUAL = {
    (b"", b"r"): b"\x1b7\x1b[r\x1b8",
    (b"", b" q"): b"\x1b[ q",
    (b">", b"m"): b"\x1b[>4m",
    (b"=", b"u"): b"\x1b[=0u",
}
_RESET_COLOURS = b"\x1b[m"
_BELOW_ALL = b"\x1b[999;1H\r\n"  # the last line that there is, and one more


class DetachKeys:
    """Finds the detach keys in what is typed, however it is cut into pieces.

    Keys that may become the sequence are held back until the next one decides.
    """

    def __init__(self, keys: bytes = DETACH_KEYS) -> None:
        self._keys = keys
        self._held = b""
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """What of `data`, and of what was held back, is for the agent; nothing behind the sequence is."""
        if not self._held and self._keys[:1] not in data:
            return data
        passed = bytearray()
        for position in range(len(data)):
            held = self._held + data[position : position + 1]
            while not self._keys.startswith(held):
                passed += held[:1]
                held = held[1:]
            self._held = held
            if held == self._keys:
                self._held = b""
                self.detached = True
                break
        return bytes(passed)

    def rest(self) -> bytes:
        """What is held back, when no more keys come."""
        held, self._held = self._held, b""
        return held


class Modes:
    """What a session's output has made of the terminal, and what that would be left in.

    The alternate screen, the mouse, bracketed paste, a hidden cursor, keys in another spelling: a program that is left,
    or dies, ends none.
    """

    def __init__(self) -> None:
        self._switched: dict[bytes, bool] = {}
        self._usual: dict[bytes, bool] = {}
        self._keyboards = 0
        self._tail = b""
        self._escapes = False
        self._moved = False

    def see(self, data: bytes) -> None:
        """Take in a piece of output, cut anywhere."""
        text = self._tail + data
        end = 0
        for match in _CONTROL.finditer(text):
            end = match.end()
            self._obey(match["kind"], match["values"], match["verb"])
        self._escapes = self._escapes or b"\x1b" in data
        self._tail = text[max(end, len(text) - _LONGEST) :]

    def undo(self, *, drawn: bool) -> bytes:
        """What gives the terminal its usual modes back; empty where nothing was changed.

        `drawn` says that what the program shows stays on the screen: whatever is written next stands below all of it.
        """
        elsewhere = any(mode in self._switched for mode in _OTHER_SCREENS)
        done = [b"\x1b[<%du" % self._keyboards] if self._keyboards else []
        done += [b"\x1b[?%s%s" % (mode, b"l" if on else b"h") for mode, on in reversed(self._switched.items())]
        done += [usual for usual, left in self._usual.items() if left]
        done += [_RESET_COLOURS] if self._escapes else []
        done += [_BELOW_ALL] if drawn and self._moved and not elsewhere else []
        self._switched.clear()
        self._usual.clear()
        self._keyboards = 0
        return b"".join(done)

    def _obey(self, kind: bytes, values: bytes, verb: bytes) -> None:
        match kind, verb:
            case b"?", b"h" | b"l":
                for mode in values.split(b";"):
                    self._switch(mode, verb == b"h")
            case b">", b"u":
                self._keyboards += 1
            case b"<", b"u":
                self._keyboards = max(0, self._keyboards - (int(values) if values.isdigit() else 1))
            case _:
                self._moved = self._moved or (not kind and verb[0] in _MOVES)
                if usual := _USUAL.get((kind, verb)):
                    self._usual[usual] = bool(values)

    def _switch(self, mode: bytes, on: bool) -> None:
        if on == (mode in _ON_BY_DEFAULT):
            self._switched.pop(mode, None)
        elif mode:
            self._switched[mode] = on


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Hand every key through as it is while the context is open, Ctrl-C too; the settings come back on every path."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        with suppress(termios.error):  # it has hung up
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def window(descriptor: int) -> tuple[int, int] | None:
    """Rows and columns of a terminal; None where it does not say."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return None
    return (rows, columns) if rows and columns else None


def in_foreground(descriptor: int) -> bool:
    """Whether this process may read from a terminal: one in the background that tries to is stopped."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True  # not the terminal that controls this process, so none that stops it


def ending_signals() -> AbstractContextManager[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does, so that what is open is closed.

    Only the first of them does: a terminal that goes away sends several, and closing is not to be broken off.
    """
    came: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt

    # One that is ignored stays so: that is what nohup asks for.
    heard = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    return _handled(heard, leave)


def held_off() -> AbstractContextManager[None]:
    """Hear no Ctrl-C, or its like, while the context is open: what is said is said whole. Not for what takes long."""
    return _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)


def resizes(tell: Callable[[], None]) -> AbstractContextManager[None]:
    """Call `tell` whenever the window changes its size while the context is open."""
    return _handled((signal.SIGWINCH,), lambda number, frame: tell())


@contextmanager
def _handled(
    numbers: Iterable[int], handler: "Callable[[int, FrameType | None], object] | signal.Handlers"
) -> Iterator[None]:
    """Have these signals handled so while the context is open, and as before on every path."""
    before = {each: signal.signal(each, handler) for each in numbers}
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)
