"""Who does the work of an evacuation, in this thread or in several: what one raises ends them all, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from bottle.errors import ConnectionLost
from bottle.operations import Context
from migrate.evacuation.workers import Worker, do_all
from migrate.model import RemoteCommand, Reply
from migrate.ports import Remote

COMMAND = RemoteCommand(script="true")


class Line(Remote):
    """A host that answers nothing until somebody hangs up."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.asked = threading.Event()

    @property
    def name(self) -> str:
        return "there"

    def run(self, command: RemoteCommand, stdin: Any = (), *, silence: float = 60.0) -> Reply:
        self.asked.set()
        assert self.closed.wait(20)
        raise ConnectionLost("it hung up")

    def close(self) -> None:
        self.closed.set()


def workers(count: int) -> list[Worker]:
    return [Worker(context=cast("Context", None), remote=Line()) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 3])
def test_each_unit_is_done_once_and_told_in_this_thread(count: int) -> None:
    told: list[tuple[int, threading.Thread]] = []

    def act(_: Worker, unit: int) -> Iterator[int]:
        yield unit
        yield -unit

    do_all(range(1, 9), workers(count), act, lambda each: told.append((each, threading.current_thread())))
    assert sorted(each for each, _ in told) == [*range(-8, 0), *range(1, 9)]
    assert {thread for _, thread in told} == {threading.current_thread()}


def test_a_ctrl_c_reaches_who_waits_for_the_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    team, ended, told = workers(2), list[str](), list[str]()

    def act(worker: Worker, unit: str) -> Iterator[str]:
        if unit == "quick":
            yield unit
        try:
            worker.remote.run(COMMAND)
        finally:
            ended.append(unit)
        yield f"{unit} was not interrupted"

    def tell(unit: str) -> None:
        told.append(unit)
        for each in team:
            assert cast("Line", each.remote).asked.wait(20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_all(["quick", "slow", "never begun"], team, act, tell)
    assert (sorted(ended), told) == (["quick", "slow"], ["quick"])


@pytest.mark.parametrize("count", [1, 2])
def test_what_one_raises_ends_all_and_what_came_before_is_told(count: int) -> None:
    told: list[str] = []

    def act(worker: Worker, unit: str) -> Iterator[str]:
        yield unit
        if unit == "bad":
            raise LookupError(unit)
        if count == 2:
            worker.remote.run(COMMAND)

    with pytest.raises(LookupError):
        do_all(["good", "bad", "never begun"], workers(count), act, told.append)
    assert told == ["good", "bad"]
