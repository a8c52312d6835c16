"""Shells that wrap another: they wait out breaks, limit the speed, and end when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest

from bottle.errors import ConnectionLost, RemoteError
from bottle.testing import RecordingProgress
from migrate.model import RemoteCommand, Reply
from migrate.transport.steady import Retrying, Throttled

COMMAND = RemoteCommand(script="true")


class Line:
    """A shell whose first `breaks` commands are cut, each after it was fed."""

    name = "far"

    def __init__(self, breaks: int = 0) -> None:
        self.breaks = breaks
        self.fed: list[bytes] = []

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        self.fed.append(b"".join(stdin))
        if len(self.fed) <= self.breaks:
            raise ConnectionLost("the line broke")
        return Reply(status=3, out=b"done", err="")


def test_a_throttle_spreads_what_passes() -> None:
    now = [0.0]
    throttled = Throttled(Line(), 100, threading.Event(), clock=lambda: now[0])
    assert [throttled.delay(50) for _ in range(3)] == [0.0, 0.5, 1.0]
    now[0] = 10.0
    assert throttled.delay(50) == 0.0
    assert Throttled(Line(), None, threading.Event()).delay(1 << 40) == 0.0


def test_what_is_fed_passes_whole_until_it_is_stopped() -> None:
    line, stop = Line(), threading.Event()
    throttled = Throttled(line, None, stop)
    assert throttled.run(COMMAND, (b"a", b"b")).out == b"done"

    def stopping() -> Iterator[bytes]:
        yield b"c"
        stop.set()
        yield b"d"

    with pytest.raises(ConnectionLost, match="stopped"):
        throttled.run(COMMAND, stopping())
    assert line.fed == [b"ab"]


def test_a_command_is_run_again_with_all_that_it_is_fed() -> None:
    line, progress, waited = Line(breaks=2), RecordingProgress(), list[float]()
    reply = Retrying(line, progress, threading.Event(), wait=waited.append).run(COMMAND, (b"a", b"b"))
    assert (reply.status, line.fed) == (3, [b"ab", b"ab", b"ab"])
    assert waited == [1.0, 2.0]
    assert progress.notes == ["the line broke; trying again in 1 s", "the line broke; trying again in 2 s"]


def test_nothing_is_tried_again_once_it_is_stopped() -> None:
    line, stop = Line(breaks=9), threading.Event()
    with pytest.raises(ConnectionLost):
        Retrying(line, RecordingProgress(), stop, wait=lambda _: stop.set()).run(COMMAND)
    assert len(line.fed) == 2


def test_only_a_broken_line_is_waited_out() -> None:
    class Refusing(Line):
        def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
            self.fed.append(b"")
            raise RemoteError("no")

    line = Refusing()
    with pytest.raises(RemoteError, match="no"):
        Retrying(line, RecordingProgress(), threading.Event()).run(COMMAND)
    assert len(line.fed) == 1
