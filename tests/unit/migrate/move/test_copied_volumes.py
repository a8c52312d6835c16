"""The volumes of a copy that is brought up to date, as this side sees them; the engine there takes everything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bottle.errors import ConnectionLost, RemoteError
from bottle.model import Mount, MountKind
from bottle.naming import Identity
from bottle.operations.commit import commit
from bottle.store.home import StateHome
from migrate.host.destination import Destination
from tests.support.moving import MoveRig
from tests.support.world import AGENT

CACHE = Mount(kind=MountKind.VOLUME, source="cache", target="/cache")


class Copied:
    """A bottle with a volume that has a copy there, and what that is told of volumes."""

    def __init__(self, rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rig = rig
        self.filled: list[str] = []
        self.retired: list[tuple[str, ...]] = []
        self.answer: tuple[str, ...] | RemoteError = ()
        rig.bottle = rig.world.start(replace(AGENT, volumes=(CACHE,)))
        monkeypatch.setattr(Destination, "fill", lambda _, volume, *__: self.filled.append(volume.source))
        monkeypatch.setattr(Destination, "retire", lambda there: self._retire(there.identity))
        self.copy = rig.move(keep=True).arrived_as
        listed = f"volume' 'ls*) echo {self.copy.volume('cache')} ;;\n"
        rig.program("docker", (rig.programs / "docker").read_text().replace("load*)", f"{listed}load*)"))

    def _retire(self, copy: Identity) -> tuple[str, ...]:
        self.copy = copy
        self.retired.append(self.sources)
        if isinstance(self.answer, RemoteError):
            raise self.answer
        return self.answer

    @property
    def sources(self) -> tuple[str, ...]:
        """What the copy calls its volumes."""
        state = StateHome(self.rig.far / ".bottle").bottle(self.copy)
        return tuple(each.source for each in state.metadata().agent.volumes)

    def refresh(self) -> None:
        done = self.rig.move(keep=True, workspace=None)
        assert (done.arrived_as, done.account.refreshed) == (self.copy, True)

    @property
    def notes(self) -> str:
        return "\n".join(self.rig.world.progress.notes)


@pytest.fixture
def copied(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> Copied:
    return Copied(rig, monkeypatch)


def test_a_newer_one_comes_beside_that_of_the_copy_which_goes_at_last(copied: Copied) -> None:
    assert (copied.filled, copied.sources) == ([copied.copy.volume("cache")], ("cache",))
    copied.retired.clear()
    copied.refresh()
    assert copied.filled[1:] == [copied.copy.volume("cache.2")]
    assert copied.retired == [("cache.2",)]
    noted = StateHome(copied.rig.far / ".bottle").bottle(copied.copy).path
    assert (noted / "volumes").read_text().split() == [copied.copy.volume("cache.2")]
    assert (noted / "volumes-before").read_text().split() == [copied.copy.volume("cache")]


def test_what_stays_is_told(copied: Copied) -> None:
    copied.answer = (copied.copy.volume("cache"),)
    copied.refresh()
    assert f"volume {copied.copy.volume('cache')} on {copied.rig.remote.name}, which {copied.copy} had" in copied.notes


@pytest.mark.parametrize("error", [RemoteError("no image"), ConnectionLost("gone")])
def test_what_could_not_be_deleted_is_no_failure(copied: Copied, error: RemoteError) -> None:
    copied.answer = error
    copied.refresh()
    assert f"had before on {copied.rig.remote.name} may still be there: {error.what}" in copied.notes


def test_those_of_a_copy_that_had_arrived_go_before_it_is_brought_up_to_date_again(copied: Copied) -> None:
    copied.rig.die_after("register", keep=True, workspace=None)
    copied.retired.clear()
    commit(copied.rig.world.context, copied.rig.bottle)
    copied.refresh()
    assert copied.retired == [("cache.2",), copied.sources]
