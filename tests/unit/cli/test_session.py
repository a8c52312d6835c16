"""Sessions: the keys that leave one, the terminal that comes back from one, and bytes both ways."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bottle.cli import session as sessions
from bottle.cli.relay import Console, OutputClosed, Relayed
from bottle.cli.session import attend
from bottle.cli.terminal import DETACH_KEYS, DetachKeys, Modes, ending_signals, raw, window
from bottle.errors import BottleError, Conflict, EngineError, Interrupted, Locked, NotFound
from bottle.model import Status
from bottle.naming import Identity
from bottle.operations import Stopped

IDENTITY = Identity.parse("demo-abc12")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at `places`."""
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


# --- the detach keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"\x10\x11"], b"", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"ls\x10", b"\x11rm -rf"], b"ls", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10x\x11"], b"\x10x\x11", False),
        ([b"\x11\x10"], b"\x11", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10", b"\x10", b"a"], b"\x10\x10a", False),
        ([b"\x03"], b"\x03", False),
    ],
)
def test_the_detach_keys_are_found_and_all_else_is_passed(typed: list[bytes], passed: bytes, detached: bool) -> None:
    keys = DetachKeys()
    assert b"".join(map(keys.feed, typed)) == passed
    assert keys.detached is detached


def test_a_key_held_back_is_given_up_at_the_end() -> None:
    keys = DetachKeys()
    assert keys.feed(b"a\x10") == b"a"
    assert keys.rest() == b"\x10"
    assert keys.rest() == b""


@given(st.lists(st.sampled_from([b"\x10", b"\x11", b"a", b"bc"])).map(b"".join), st.lists(st.integers(0, 40)))
def test_how_the_keys_are_cut_changes_nothing(typed: bytes, places: list[int]) -> None:
    keys = DetachKeys()
    passed = b""
    for piece in cut(typed, places):
        if not keys.detached:
            passed += keys.feed(piece)
    before, found, _ = typed.partition(DETACH_KEYS)
    assert keys.detached is bool(found)
    assert passed + keys.rest() == before


# --- the terminal's modes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "undone"),
    [
        (b"plain", b""),
        (b"\x1b[31mred", b"\x1b[m"),
        (b"\x1b[?1049h", b"\x1b[?1049l\x1b[m"),
        (b"\x1b[?1049h\x1b[?1049l", b"\x1b[m"),
        (b"\x1b[?25l", b"\x1b[?25h\x1b[m"),
        (b"\x1b[?25h\x1b[?7h", b"\x1b[m"),
        (b"\x1b[?1000;1006h", b"\x1b[?1006l\x1b[?1000l\x1b[m"),
        (b"\x1b[?;h", b"\x1b[m"),
        (b"\x1b[3;20r", b"\x1b7\x1b[r\x1b8\x1b[m"),
        (b"\x1b[3;20r\x1b[r", b"\x1b[m"),
        (b"\x1b[5 q", b"\x1b[ q\x1b[m"),
        (b"\x1b[>4;2m", b"\x1b[>4m\x1b[m"),
        (b"\x1b[=5u", b"\x1b[=0u\x1b[m"),
        (b"\x1b[>1u\x1b[>5u", b"\x1b[<2u\x1b[m"),
        (b"\x1b[>1u\x1b[<u", b"\x1b[m"),
        (b"\x1b[>1u\x1b[<1:2u\x1b[<9999u", b"\x1b[m"),
        (b"\x1b[10;1Hdrawn", b"\x1b[m"),
    ],
)
def test_the_modes_an_agent_leaves_behind_are_undone(output: bytes, undone: bytes) -> None:
    modes = Modes()
    modes.see(output)
    assert modes.undo(drawn=False) == undone


@given(st.lists(st.integers(0, 60)))
def test_how_the_output_is_cut_changes_nothing(places: list[int]) -> None:
    modes = Modes()
    for piece in cut(b"text\x1b[?1049h\x1b[?25l\x1b[?2004htext\x1b[?2004l\x1b[?1002;1006h", places):
        modes.see(piece)
    assert modes.undo(drawn=False) == b"\x1b[?1006l\x1b[?1002l\x1b[?25h\x1b[?1049l\x1b[m"


@pytest.mark.parametrize(
    "output", [b"\x1b[10;1Hdrawn", b"\x1b[3Adrawn", b"\x1b[?1049h\x1b[2;2H\x1b[?1049ldrawn\x1b[1;1H"]
)
def test_what_is_written_next_stands_below_a_screen_that_stays(output: bytes) -> None:
    modes = Modes()
    modes.see(output)
    assert modes.undo(drawn=True) == b"\x1b[m\x1b[999;1H\r\n"


@pytest.mark.parametrize(
    ("output", "undone"),
    [
        (b"lines\n\x1b[31mof colour\n", b"\x1b[m"),  # the cursor is below them
        (b"\x1b[?1049h\x1b[10;1Hdrawn", b"\x1b[?1049l\x1b[m"),  # the screen from before knows where it was
    ],
)
def test_no_line_is_skipped_where_nothing_stands_below(output: bytes, undone: bytes) -> None:
    modes = Modes()
    modes.see(output)
    assert modes.undo(drawn=True) == undone


# --- a terminal ------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the person's end, and ours."""
    person, ours = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    yield person, ours
    for descriptor in (person, ours):
        with suppress(OSError):
            os.close(descriptor)


def test_the_terminals_settings_come_back_after_an_error(terminal: tuple[int, int]) -> None:
    _, ours = terminal
    before = termios.tcgetattr(ours)
    handed_through = []

    def use_it() -> None:
        with raw(ours):
            handed_through.append(not termios.tcgetattr(ours)[3] & (termios.ISIG | termios.ICANON | termios.ECHO))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use_it()
    assert handed_through == [True]
    assert termios.tcgetattr(ours) == before


def test_the_window_of_a_terminal_and_of_what_is_none(terminal: tuple[int, int], tmp_path: Path) -> None:
    assert window(terminal[1]) == (24, 80)
    with (tmp_path / "file").open("w") as file:
        assert window(file.fileno()) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_process_close_what_is_open(number: signal.Signals) -> None:
    def be_ended() -> None:
        with ending_signals():
            os.kill(os.getpid(), number)
            time.sleep(5)

    before = signal.signal(number, signal.SIG_DFL)  # it may be ignored here, as under nohup
    try:
        with pytest.raises(KeyboardInterrupt):
            be_ended()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


# --- bytes both ways -------------------------------------------------------------------------------------------------


class Wire:
    """A `Session` whose other end, `agent`, is a socket of the test's."""

    def __init__(self, *, tty: bool = False) -> None:
        self.tty = tty
        self.ours, self.agent = socket.socketpair()
        self.agent.settimeout(10)
        self.closed = False

    def fileno(self) -> int:
        return self.ours.fileno()

    def recv(self, size: int) -> bytes:
        try:
            return self.ours.recv(size)
        except OSError as exc:
            raise EngineError("the line broke") from exc

    def send(self, data: bytes) -> None:
        try:
            self.ours.sendall(data)
        except OSError as exc:
            raise EngineError("the line broke") from exc

    def close_stdin(self) -> None:
        try:
            self.ours.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise EngineError("the line broke") from exc

    def close(self) -> None:
        self.closed = True
        with suppress(OSError):
            self.ours.shutdown(socket.SHUT_RDWR)
        self.ours.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()
    wire.agent.close()


@pytest.fixture
def tty_wire() -> Iterator[Wire]:
    wire = Wire(tty=True)
    yield wire
    wire.close()
    wire.agent.close()


@pytest.fixture
def in_thread() -> Iterator[Callable[[Callable[[], object]], threading.Thread]]:
    """Run something beside the test; joined at its end."""
    threads: list[threading.Thread] = []

    def run(function: Callable[[], object]) -> threading.Thread:
        threads.append(threading.Thread(target=function, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield run
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def no_resize(rows: int, columns: int) -> None:
    raise AssertionError((rows, columns))


def relay(wire: Wire, console: Console, resize: Callable[[int, int], None] = no_resize, **options: bool) -> bool:
    with Relayed(console, wire) as line:
        return line.relay(resize, **options)


def test_more_than_any_buffer_goes_through_and_comes_back(
    wire: Wire, tmp_path: Path, in_thread: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    data = os.urandom(4_000_000)
    (tmp_path / "in").write_bytes(data)

    def echo() -> None:
        while piece := wire.agent.recv(4096):
            wire.agent.sendall(piece)
        wire.agent.shutdown(socket.SHUT_WR)

    in_thread(echo)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        assert relay(wire, Console(source.fileno(), sink.fileno())) is False
    assert (tmp_path / "out").read_bytes() == data
    assert wire.closed


def test_an_agent_that_reads_nothing_and_ends_holds_nobody_up(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(4_000_000))
    wire.agent.sendall(b"bye")
    wire.agent.shutdown(socket.SHUT_WR)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        assert relay(wire, Console(source.fileno(), sink.fileno())) is False
    assert (tmp_path / "out").read_bytes() == b"bye"


def test_the_end_of_the_input_leaves_a_terminal_open(
    tty_wire: Wire, tmp_path: Path, in_thread: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    def agent() -> None:
        assert tty_wire.agent.recv(100) == b"a"
        tty_wire.agent.settimeout(0.3)
        with pytest.raises(TimeoutError):
            tty_wire.agent.recv(100)
        tty_wire.agent.close()

    in_thread(agent)
    (tmp_path / "in").write_bytes(b"a")
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        assert relay(tty_wire, Console(source.fileno(), sink.fileno())) is False


def test_without_any_standard_input_the_output_is_read_all_the_same(wire: Wire, tmp_path: Path) -> None:
    wire.agent.sendall(b"out")
    wire.agent.shutdown(socket.SHUT_WR)
    closed = os.open(tmp_path, os.O_RDONLY)
    os.close(closed)
    with (tmp_path / "out").open("wb") as sink:
        assert relay(wire, Console(closed, sink.fileno())) is False
    assert (tmp_path / "out").read_bytes() == b"out"


def test_output_that_nobody_reads_is_told_from_an_end(wire: Wire) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    wire.agent.sendall(b"x")
    with Path(os.devnull).open() as source, pytest.raises(OutputClosed):
        relay(wire, Console(source.fileno(), writer))
    os.close(writer)
    assert wire.closed


def test_a_broken_line_is_told_from_an_end(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(size: int) -> bytes:
        raise EngineError("the line broke")

    monkeypatch.setattr(wire, "recv", broken)
    with Path(os.devnull).open("r+") as both, pytest.raises(EngineError):
        relay(wire, Console(both.fileno(), both.fileno()))


def test_the_detach_keys_leave_the_agent_and_give_the_terminal_back(
    tty_wire: Wire, terminal: tuple[int, int], in_thread: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    person, ours = terminal
    before = termios.tcgetattr(ours)
    received: list[bytes] = []

    def talk() -> None:
        tty_wire.agent.sendall(b"\x1b[?25lprompt")
        assert os.read(person, 100).endswith(b"prompt")
        os.write(person, b"a\x03\x10")
        received.append(tty_wire.agent.recv(100))
        os.write(person, b"\x11never")
        received.append(tty_wire.agent.recv(100))

    talker = in_thread(talk)
    sizes: list[tuple[int, int]] = []
    assert relay(tty_wire, Console(ours, ours), lambda *size: sizes.append(size)) is True
    talker.join(10)
    assert received == [b"a\x03", b""]
    assert sizes == [(24, 80)]
    assert os.read(person, 100) == b"\x1b[?25h\x1b[m\r\n"
    assert termios.tcgetattr(ours) == before


def test_the_size_is_set_again_until_the_terminal_is_there_and_follows_the_window(
    tty_wire: Wire, terminal: tuple[int, int]
) -> None:
    _, ours = terminal
    asked: list[tuple[int, int]] = []

    def resize(rows: int, columns: int) -> None:
        asked.append((rows, columns))
        match len(asked):
            case 1:
                raise Conflict("not yet")
            case 3:
                termios.tcsetwinsize(ours, (50, 132))
                os.kill(os.getpid(), signal.SIGWINCH)
            case 4:
                tty_wire.agent.shutdown(socket.SHUT_WR)

    assert relay(tty_wire, Console(ours, ours), resize, nudge=True) is False
    assert asked == [(25, 81), (25, 81), (24, 80), (50, 132)]


def test_keys_go_in_while_there_is_no_terminal_to_set_a_size_for_and_trying_goes_on(
    tty_wire: Wire, terminal: tuple[int, int], in_thread: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    person, ours = terminal
    there = threading.Event()

    def resize(rows: int, columns: int) -> None:
        if not there.is_set():
            raise Conflict("not yet")
        tty_wire.agent.shutdown(socket.SHUT_WR)

    def talk() -> None:
        os.write(person, b"a")
        assert tty_wire.agent.recv(100) == b"a"
        time.sleep(1.5)  # longer than a start takes on a host that has nothing else to do
        there.set()

    in_thread(talk)
    assert relay(tty_wire, Console(ours, ours), resize) is False
    assert there.is_set()


def test_a_size_that_cannot_be_set_at_all_does_not_end_the_session(tty_wire: Wire, terminal: tuple[int, int]) -> None:
    def resize(rows: int, columns: int) -> None:
        tty_wire.agent.close()
        raise EngineError("no")

    began = time.monotonic()
    assert relay(tty_wire, Console(terminal[1], terminal[1]), resize) is False
    assert time.monotonic() - began < 1  # retries end with the session


# --- attend ----------------------------------------------------------------------------------------------------------


class Stage:
    """A context whose engine has one container, which writes something and ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.calls: list[str] = []
        self.start_error: BaseException | None = None
        self.wait_error: BottleError | None = None
        self.end_error: BottleError | None = None
        self.stopped = Stopped(identity=IDENTITY, exit_code=7, was_running=False, removed=False, notes=())
        self.status = Status.RUNNING
        self.status_at_the_end = Status.EXITED
        self.state: Any = SimpleNamespace(identity=IDENTITY, path=tmp_path)
        self.context: Any = SimpleNamespace(engine=self, container=self._container)
        monkeypatch.setattr(sessions, "end_session", self._end_session)
        monkeypatch.setattr(sessions, "abandon", lambda context, state: self.calls.append("abandon"))

    def attach(self, ref: str) -> Wire:
        self.calls.append("attach")
        wire = Wire()
        wire.agent.sendall(b"from the agent\n")
        wire.agent.close()
        return wire

    def _container(self, identity: Identity) -> Any:
        status, self.status = self.status, self.status_at_the_end
        return SimpleNamespace(id="c", name="bottle-demo", status=status)

    def start(self, ref: str) -> None:
        self.calls.append("start")
        if self.start_error is not None:
            raise self.start_error

    def wait(self, ref: str) -> int:
        self.calls.append("wait")
        if self.wait_error is not None:
            raise self.wait_error
        return 7

    def _end_session(self, context: object, state: object, *, remove: bool) -> Stopped:
        self.calls.append(f"end remove={remove}")
        if self.end_error is not None:
            raise self.end_error
        return self.stopped

    def attend(self, **options: Any) -> None:
        settings = {"form": "text", "document": {"identity": str(IDENTITY)}, "remove": False, "begin": True, **options}
        attend(self.context, self.state, **settings)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    return Stage(monkeypatch, tmp_path)


def test_the_streams_are_joined_before_the_start(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        stage.attend()
    assert ended.value.code == 7
    assert stage.calls == ["attach", "start", "wait", "end remove=False"]
    out, err = capfd.readouterr()
    assert out == "from the agent\n"
    assert f"bottle resume {IDENTITY}" in err


def test_json_has_stdout_to_itself(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        stage.attend(form="json")
    out, err = capfd.readouterr()
    assert json.loads(out) == {
        "schema": 1,
        "identity": str(IDENTITY),
        "exit_code": 7,
        "detached": False,
        "removed": False,
        "resume": f"bottle resume {IDENTITY}",
    }
    assert err == "from the agent\n"


def test_what_was_removed_is_not_to_be_resumed(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.stopped = Stopped(identity=IDENTITY, exit_code=7, was_running=False, removed=True, notes=())
    with pytest.raises(SystemExit):
        stage.attend(remove=True)
    err = capfd.readouterr().err
    assert "was removed" in err
    assert "bottle resume" not in err


@pytest.mark.parametrize("error", [EngineError("refused"), KeyboardInterrupt()])
def test_a_fresh_bottle_that_cannot_be_started_is_abandoned(stage: Stage, error: BaseException) -> None:
    stage.start_error = error
    with pytest.raises(type(error)):
        stage.attend(fresh=True)
    assert stage.calls == ["attach", "start", "abandon"]


def test_a_resumed_bottle_that_cannot_be_started_is_kept(stage: Stage) -> None:
    stage.start_error = EngineError("refused")
    with pytest.raises(EngineError):
        stage.attend(fresh=False)
    assert "abandon" not in stage.calls


def test_whoever_stopped_the_bottle_looks_after_the_rest(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.end_error = Locked("demo-abc12 is being worked on by `bottle stop`")
    with pytest.raises(SystemExit) as ended:
        stage.attend()
    assert ended.value.code == 7
    assert "bottle stop" in capfd.readouterr().err


def test_a_container_that_vanished(stage: Stage) -> None:
    stage.wait_error = NotFound("no such container")
    with pytest.raises(NotFound) as error:
        stage.attend()
    assert error.value.next_step == f"bottle resume {IDENTITY}"


def test_an_agent_that_ended_before_it_was_joined_is_not_listened_to(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.status = Status.EXITED
    with pytest.raises(SystemExit):
        stage.attend(begin=False)
    assert capfd.readouterr().out == ""
    assert stage.calls == ["attach", "wait", "end remove=False"]


def test_output_that_ends_before_the_agent_does_is_told_of(
    stage: Stage, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOMENT", 0.1)
    stage.status_at_the_end = Status.RUNNING
    with pytest.raises(SystemExit):
        stage.attend()
    assert f"bottle attach {IDENTITY}" in capfd.readouterr().err


def test_an_engine_that_goes_away_is_named(stage: Stage) -> None:
    stage.wait_error = EngineError("no engine answers")
    with pytest.raises(EngineError) as error:
        stage.attend()
    assert error.value.next_step == f"bottle attach {IDENTITY}"
    assert "may still be running" in error.value.left


@pytest.mark.parametrize(
    ("status", "left", "following"),
    [(Status.RUNNING, "was left running", "attach"), (Status.EXITED, "has ended", "resume")],
)
def test_an_interrupt_says_whether_the_agent_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, status: Status, left: str, following: str
) -> None:
    stage.status_at_the_end = status

    def interrupted(self: Wire, size: int) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(Wire, "recv", interrupted)
    with pytest.raises(Interrupted) as error:
        stage.attend(fresh=True)
    assert error.value.left == f"{IDENTITY} {left}"
    assert error.value.next_step == f"bottle {following} {IDENTITY}"
    assert "abandon" not in stage.calls
