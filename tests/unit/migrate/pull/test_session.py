"""`migrate --from` against hosts that say what they like: what is told in the end is what is here."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest

from bottle.errors import ConnectionLost, NameTaken, RemoteError
from bottle.model import MoveAccount
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations.commit import commit
from bottle.store.state import BottleState
from migrate.model import RemoteCommand
from migrate.move.model import Moved
from migrate.pull.messages import report_to_json
from migrate.pull.session import PullRequest, offer, own_name, pull
from migrate.transport.stdio import StdioRemote
from tests.contract.duplex import End, OwnEnd
from tests.support.world import AGENT, World

NONCE = "b" * 32
Say = Callable[[StdioRemote], dict[str, Any]]


class Talk(End):
    """Our end of a conversation that is open at once."""

    def open(self, magic: bytes) -> bytes:
        said = b""
        while len(said) < len(magic):
            said += self.connection.recv(len(magic) - len(said))
        assert said == magic
        return b""

    def complaints(self) -> str:
        return ""


class Far:
    """A host that offers a bottle, and then says `say`."""

    name = "me@old"

    def __init__(self, bottle: BottleState, say: Say) -> None:
        self._offer = offer(bottle.metadata(), rebuild=False)
        self._say = say
        self._thread: Thread | None = None

    def converse(self, _: RemoteCommand) -> Any:
        here, there = socket.socketpair()
        self._thread = Thread(target=self._speak, args=(OwnEnd(there),))
        self._thread.start()
        return Talk(here)

    def _speak(self, end: OwnEnd) -> None:
        with suppress(ConnectionLost), StdioRemote("puller", end, end) as remote:
            remote.start()
            remote.greet(self._offer)
            remote.finish(self._say(remote))
            while end.read():
                pass
        end.close()

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def bottle(world: World) -> BottleState:
    made = world.start(AGENT)
    commit(world.context, made)
    return made


def fetched(world: World, bottle: BottleState, say: Say, *, asked: str = "", plan: bool = False, **more: Any) -> Moved:
    far = Far(bottle, say)
    try:
        identity, options = asked or str(bottle.identity), MoveOptions(**more)
        request = PullRequest(identity=identity, options=options, plan=plan, agree=lambda _: True)
        return cast("Moved", pull(world.context, far, request))
    finally:
        far.join()


def boast(identity: Identity, *asked: tuple[str, ...]) -> Say:
    """Ask for scripts about a bottle, and say that all of it was moved."""
    moved = Moved(
        identity=Identity.parse("other-zzzzz"), arrived_as=identity, host="somewhere",
        account=MoveAccount(commit=999, workspace="/home/user/anything", staged=10**9),
    )  # fmt: skip

    def say(remote: StdioRemote) -> dict[str, Any]:
        for script, *args in (("probe", str(identity), ""), *asked):
            remote.run(RemoteCommand(script="", name=script, args=tuple(args)))
        return {"moved": report_to_json(moved)}

    return say


def test_a_bottle_that_was_here_has_not_arrived(world: World, bottle: BottleState) -> None:
    with pytest.raises(NameTaken, match="does not show that it brought it") as raised:
        fetched(world, bottle, boast(bottle.identity))
    assert raised.value.next_step == f"bottle inspect {bottle.identity}"
    with pytest.raises(NameTaken):
        fetched(world, bottle, boast(bottle.identity, ("withdraw", str(bottle.identity), NONCE)))


def test_a_copy_does_not_take_the_place_of_another_bottle(world: World, bottle: BottleState) -> None:
    other = world.start(AGENT)
    with pytest.raises(NameTaken):
        fetched(world, bottle, boast(other.identity), keep=True)
    with pytest.raises(RemoteError, match="lives here"):
        fetched(world, bottle, boast(other.identity, ("staged", str(other.identity))), keep=True)


def test_a_bottle_that_is_not_here_has_not_arrived(world: World, bottle: BottleState) -> None:
    gone = BottleState(bottle.identity, bottle.path)
    far = boast(bottle.identity)
    gone.path.rename(world.folder / "kept")
    described = BottleState(bottle.identity, world.folder / "kept")
    with pytest.raises(RemoteError, match="says that the bottle is here, and it is not"):
        fetched(world, described, far)


def test_what_was_brought_is_told_as_it_is_here(world: World, bottle: BottleState) -> None:
    (bottle.path / "arrived").write_text(f"{NONCE}\n")
    moved = fetched(world, bottle, boast(bottle.identity, ("withdraw", str(bottle.identity), NONCE)))
    assert (moved.identity, moved.arrived_as) == (bottle.identity, bottle.identity)
    assert (moved.host, moved.account.commit, moved.account.workspace) == (own_name(), 1, str(world.cwd))
    copied = replace(bottle.metadata(), copy_cwd=True)
    bottle.write_metadata(copied)
    assert (
        fetched(world, bottle, boast(bottle.identity, ("withdraw", str(bottle.identity), NONCE))).account.workspace
        is None
    )


def test_a_bottle_is_asked_for_by_its_second_name_and_no_other_is_offered_for_it(
    world: World, bottle: BottleState
) -> None:
    bottle.write_metadata(replace(bottle.metadata(), name="work"))
    for asked in ("work", str(bottle.identity)):
        with pytest.raises(NameTaken, match="does not show that it brought it"):
            fetched(world, bottle, boast(bottle.identity), asked=asked)
    with pytest.raises(RemoteError, match=f"offers {bottle.identity}, and play was asked for"):
        fetched(world, bottle, boast(bottle.identity), asked="play")
