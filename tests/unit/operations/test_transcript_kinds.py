"""Whatever an agent makes of its transcript, a commit, a stop and a fork that happened are no failure."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bottle import transcript
from bottle.errors import EngineError, VerificationFailed
from bottle.files.unpack import Limits
from bottle.model import Mount, MountKind, Status
from bottle.operations import ForkRequest, commit, end_session, fork, resume, stop
from bottle.plan.resume import ResumeRequest
from bottle.store.state import BottleState
from bottle.testing.tree import FakeNode
from tests.support.trees import snapshot
from tests.support.world import AGENT, World

PLACE = "/root/.demo"
LINK = {
    "a link to itself": (PLACE,),
    "links in a circle": ("/root/there", PLACE),
    "a link to all there is": ("/",),
    "a link to a pipe": ("/root/pipe",),
    "a link to a name that no disk takes": ("/" + "x" * 300,),
}
SPECIAL = {"a pipe": tarfile.FIFOTYPE, "a device": tarfile.CHRTYPE}
HARMLESS = {
    "a link that dangles": ("/root/nowhere",),
    "a link into a volume": ("/cache/demo",),
    "a link into what is no disk": ("/proc/self",),
}


@pytest.fixture
def bottle(world: World) -> BottleState:
    """A bottle whose transcript was saved once."""
    volume = Mount(kind=MountKind.VOLUME, source="cache", target="/cache")
    bottle = world.start(replace(AGENT, volumes=(volume,)))
    world.work(bottle, f"{PLACE}/log", b"hours")
    commit(world.context, bottle)
    world.engine.write(bottle.identity.container, "/root/pipe", node=FakeNode(type=tarfile.FIFOTYPE))
    return bottle


def become(world: World, bottle: BottleState, *nodes: FakeNode) -> None:
    """Make the transcript the first node, and what that leads to the others."""
    name = bottle.identity.container
    world.engine.erase(name, PLACE)
    for path, node in zip((PLACE, *(each.target for each in nodes)), nodes, strict=False):
        world.engine.write(name, path, node=node)


def links(targets: tuple[str, ...]) -> tuple[FakeNode, ...]:
    return tuple(FakeNode(type=tarfile.SYMTYPE, target=target) for target in targets)


BAD = {kind: links(targets) for kind, targets in LINK.items()} | {
    kind: (FakeNode(type=type_),) for kind, type_ in SPECIAL.items()
}


@pytest.mark.parametrize("nodes", BAD.values(), ids=BAD)
def test_what_cannot_be_saved_is_told_and_the_snapshot_before_it_is_kept(
    world: World, bottle: BottleState, nodes: tuple[FakeNode, ...]
) -> None:
    become(world, bottle, *nodes)
    before = snapshot(bottle.transcript)
    committed = commit(world.context, bottle)
    assert any("the transcript could not be copied" in each for each in committed.dropped)
    assert bottle.committed_image() == bottle.identity.committed(2)
    assert world.status(bottle) is Status.RUNNING
    stopped = stop(world.context, bottle)
    assert any("the transcript could not be copied" in each for each in stopped.notes)
    assert world.status(bottle) is Status.EXITED
    world.check_tidy(bottle)
    forked = fork(world.context, bottle, ForkRequest(share_cwd=True))
    assert any("the transcript could not be copied" in each for each in forked.notes)
    assert snapshot(bottle.transcript) == before
    assert world.progress.notes == []  # the next command had nothing to mend


@pytest.mark.parametrize("targets", HARMLESS.values(), ids=HARMLESS)
def test_a_link_is_kept_as_one(world: World, bottle: BottleState, targets: tuple[str, ...]) -> None:
    become(world, bottle, *links(targets))
    assert not any("the transcript could not be copied" in each for each in commit(world.context, bottle).dropped)
    (entry,) = transcript.read_index(bottle.transcript)
    assert entry.target == targets[0]


def test_a_file_where_its_folder_was(world: World, bottle: BottleState) -> None:
    become(world, bottle, FakeNode(data=b"x"))
    commit(world.context, bottle)
    assert (bottle.transcript / "files/root/.demo").read_bytes() == b"x"
    bottle.write_metadata(
        replace(bottle.metadata(), agent=replace(bottle.metadata().agent, transcript=(f"{PLACE}/log",)))
    )
    before = snapshot(bottle.transcript)
    assert any("Not a directory" in each for each in commit(world.context, bottle).dropped)
    assert snapshot(bottle.transcript) == before


@pytest.mark.parametrize("kind", ["huge", "changing", "broken off"])
def test_one_that_cannot_be_read_to_its_end(
    world: World, bottle: BottleState, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.work(bottle, f"{PLACE}/log", b"days" * 100)
    before = snapshot(bottle.transcript)
    read = world.engine.read_archive

    def torn(ref: str, path: str) -> Iterator[bytes]:
        """As the engine does it: the tar ends where the file is longer than its header said."""
        return iter([b"".join(read(ref, path))[:700]])

    match kind:
        case "huge":
            monkeypatch.setattr(transcript, "_LIMITS", Limits(entries=10, size=100))
        case "changing":
            monkeypatch.setattr(world.engine, "read_archive", torn)
        case _:
            monkeypatch.setattr(world.engine, "read_archive", lambda *_: (_ for _ in ()).throw(EngineError("broke")))
    assert any("the transcript could not be copied" in each for each in commit(world.context, bottle).dropped)
    assert any("the transcript could not be copied" in each for each in stop(world.context, bottle).notes)
    assert snapshot(bottle.transcript) == before


def test_no_room_for_the_copy_is_no_failure_either(
    world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise VerificationFailed("no space left on device")

    monkeypatch.setattr(transcript, "replace_tree", full)
    assert any("no space left" in each for each in commit(world.context, bottle).dropped)
    assert any("no space left" in each for each in stop(world.context, bottle).notes)


def test_under_rm_a_bottle_whose_transcript_cannot_be_saved_is_kept(world: World) -> None:
    bottle = world.start()
    become(world, bottle, *links((PLACE,)))
    world.engine.exit(bottle.identity.container)
    ended = end_session(world.context, bottle, remove=True)
    assert not ended.removed
    assert any("the transcript could not be copied" in note for note in ended.notes)
    resume(world.context, bottle, ResumeRequest())
