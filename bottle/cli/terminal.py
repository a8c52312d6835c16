"""The user's own terminal: raw while an agent has it, then as it was; its size, and the keys that leave a session."""

import os
import re
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Ctrl-P Ctrl-Q, as docker's.
DETACH_KEYS = b"\x10\x11"

# DECSET and DECRST, "DEC Private Mode Set": https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
_MODES = re.compile(rb"\x1b\[\?([0-9;]{1,40})([hl])")
_LONGEST_MODES = len(b"\x1b[?") + 40 + len(b"h")
_ON_BY_DEFAULT = frozenset({b"7", b"25"})  # lines wrap, the cursor shows
_RESET_COLOURS = b"\x1b[m"


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
    """The private modes that a session's output has switched and that the terminal would be left in.

    The alternate screen, the mouse, bracketed paste, a hidden cursor: a program that is left, or dies, ends none.
    """

    def __init__(self) -> None:
        self._switched: dict[bytes, bool] = {}
        self._tail = b""
        self._escapes = False

    def see(self, data: bytes) -> None:
        """Take in a piece of output, cut anywhere."""
        text = self._tail + data
        end = 0
        for match in _MODES.finditer(text):
            end = match.end()
            for mode in match[1].split(b";"):
                self._switch(mode, match[2] == b"h")
        self._escapes = self._escapes or b"\x1b" in data
        self._tail = text[max(end, len(text) - _LONGEST_MODES) :]

    def undo(self) -> bytes:
        """What gives the terminal its usual modes back; empty where nothing was changed."""
        modes = [b"\x1b[?%s%s" % (mode, b"l" if on else b"h") for mode, on in reversed(self._switched.items())]
        self._switched.clear()
        return b"".join(modes) + (_RESET_COLOURS if self._escapes else b"")

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


@contextmanager
def ending_signals() -> Iterator[None]:
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
    before = {each: signal.signal(each, leave) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def held_off() -> Iterator[None]:
    """Hear no Ctrl-C while the context is open: what is said there is said whole. Not for what may take long."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def resizes(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` whenever the window changes its size while the context is open."""
    before = signal.signal(signal.SIGWINCH, lambda number, frame: tell())
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
