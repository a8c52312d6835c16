"""Output that grows: kept within bounds, without what a terminal acts on, and read for as long as somebody looks."""

import threading
import time
from collections.abc import Callable, Generator
from queue import Queue

from bottle.dashboard.lines import KEPT, Following, Lines
from bottle.errors import NotFound


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_lines_end_in_whatever_text() -> None:
    lines = Lines()
    for text in ("on", "e\r", "\ntwo\n\nlast"):
        lines.write(text)
    assert lines.after(0) == (3, ["one", "two", ""])
    assert lines.begun == "last"
    lines.end()
    lines.end()
    assert lines.after(3) == (4, ["last"])
    assert lines.begun == ""


def test_nothing_acts_on_the_terminal() -> None:
    lines = Lines()
    lines.write("a\x1b[2J[bold]\x1b]0;title\x07\u202eb\n  10%\r  50%\r 100%\r\n")
    assert lines.after(0)[1] == ["a[bold]b", " 100%"]


def test_it_is_bounded() -> None:
    lines = Lines()
    lines.write("".join(f"{n}\n" for n in range(3 * KEPT)))
    count, kept = lines.after(0)
    assert (count, len(kept), kept[-1]) == (3 * KEPT, KEPT, str(3 * KEPT - 1))
    for _ in range(100):
        lines.write("x" * 1000)
    assert len(lines._begun) <= 10_000
    assert all(len(line) <= 1000 for line in lines.after(0)[1])


class Agent:
    """Says what a test puts into `says`; None ends it."""

    def __init__(self) -> None:
        self.says: Queue[bytes | None] = Queue()
        self.opened = 0
        self.closed = threading.Event()

    def output(self) -> Generator[bytes]:
        self.opened += 1
        self.closed.clear()
        try:
            while (chunk := self.says.get()) is not None:
                yield chunk
        finally:
            self.closed.set()


def test_a_character_in_two_pieces_is_one() -> None:
    agent = Agent()
    following = Following(agent.output)
    following.watch()
    for chunk in (b"gr\xc3", b"\xbcn\n", None):
        agent.says.put(chunk)
    until(lambda: "ended" in following.says())
    assert following.lines.after(0)[1] == ["grün"]


def test_who_looks_again_goes_on_with_the_same_and_who_does_not_lets_it_end() -> None:
    agent = Agent()
    following = Following(agent.output)
    following.watch()
    agent.says.put(b"one\n")
    until(lambda: following.lines.after(0)[0] == 1)
    following.leave()
    following.watch()
    agent.says.put(b"two\n")
    until(lambda: following.lines.after(0)[1] == ["one", "two"])
    assert agent.opened == 1
    following.leave()
    agent.says.put(b"nobody reads this\n")
    assert agent.closed.wait(10)
    following.watch()
    agent.says.put(b"three\n")
    until(lambda: following.lines.after(0)[1] == ["three"])
    assert agent.opened == 2
    agent.says.put(None)


def test_an_error_is_told_among_the_lines() -> None:
    def refuse() -> Generator[bytes]:
        raise NotFound("it has no container", next_step="bottle resume it")
        yield b""

    following = Following(refuse)
    following.watch()
    until(lambda: "ended" in following.says())
    assert following.lines.after(0)[1] == ["it has no container", "next:  bottle resume it"]
