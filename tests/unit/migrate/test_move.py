"""A whole move, or one that breaks: real scripts on the far host, whose engine takes everything and proves nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bottle.cli.moved import moved_document, moved_lines
from bottle.cli.moveplan import SENDING
from bottle.errors import Conflict, Locked, MovedAway, PreflightRefused, RemoteError, VerificationFailed
from bottle.model import CommitRecord, ImageFacts, MigrationPhase
from bottle.naming import Identity
from bottle.operations.commit import commit
from bottle.operations.stop import Stopped, stop
from bottle.state import StateHome
from migrate.handoff import Arrival
from migrate.model import RemoteCommand, Reply
from migrate.move import Moved, move
from migrate.observe import MoveRequest
from migrate.testing import LocalRemote
from tests.support.world import BASE, Killed, World

DOCKER = """\
#!/bin/sh
case "$*" in
version*) echo 26.1.0 ;;
*DockerRootDir*) echo / ;;
info*) echo '{info}' ;;
load*) cat >/dev/null ;;
esac
"""


class Rig:
    """A bottle here that has worked, and a host there."""

    def __init__(self, tmp_path: Path, far: Path, programs: Path, remote: LocalRemote) -> None:
        self.world = World(tmp_path / "here")
        self.remote = remote
        self.far = far
        self.programs = programs
        self.answer_as("theirs")
        self.bottle = self.world.start()
        self.world.work(self.bottle, "/work.txt", b"1")

    def answer_as(self, engine: str) -> None:
        """What the engine there says of itself."""
        info = {"ServerVersion": "26.1.0", "Architecture": "x86_64", "DockerRootDir": "/", "ID": engine}
        self.program("docker", DOCKER.format(info=json.dumps(info)))

    def hold(self, *images: ImageFacts) -> None:
        """Have the engine there list these images."""
        listed = "\n".join(image.id for image in images)
        described = "\n".join(f"{image.id} {json.dumps(list(image.diff_ids))}" for image in images)
        script = (self.programs / "docker").read_text()
        held = f"image' 'ls*) echo '{listed}' ;;\nimage' 'inspect*) echo '{described}' ;;\n"
        self.program("docker", script.replace("load*)", f"{held}load*)"))

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script)
        (self.programs / name).chmod(0o755)

    def move(self, **request: Any) -> Moved:
        workspace = self.far / f"workspace-{len(list(self.far.iterdir()))}"
        return move(self.world.context, self.bottle, self.remote, MoveRequest(workspace=workspace, **request))

    def die_after(self, script: str, **request: Any) -> None:
        """A move that is killed when `script` has run there, before its answer is heard."""
        run = self.remote.run

        def mortal(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
            reply = run(command, *args, **kwargs)
            if command.name == script:
                raise Killed(script)
            return reply

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.remote, "run", mortal)
            with pytest.raises(Killed):
                self.move(**request)

    @property
    def there(self) -> tuple[Identity, ...]:
        """The bottles that are there."""
        return StateHome(self.far / ".bottle").identities()


@pytest.fixture
def rig(tmp_path: Path, far: Path, programs: Path, remote: LocalRemote, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr("migrate.move.measure", lambda *_: 1e9)
    monkeypatch.setattr(Arrival, "verify_image", lambda *_: None)  # no engine there has an image to be looked at
    return Rig(tmp_path, far, programs, remote)


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_a_home_on_the_same_engine_is_no_other_host(rig: Rig, keep: bool) -> None:
    rig.answer_as(rig.world.engine.id)
    with pytest.raises(PreflightRefused, match="the very one"):
        rig.move(keep=keep)
    assert (rig.there, rig.bottle.tombstone(), rig.bottle.migration()) == ((), None, None)
    assert rig.world.content(rig.bottle, "/work.txt") == b"1"


def test_a_home_on_another_engine_gets_the_bottle(rig: Rig) -> None:
    moved = rig.move()
    assert rig.there == (moved.arrived_as,) == (rig.bottle.identity,)
    assert rig.bottle.tombstone() is not None


def test_an_image_that_is_not_verified_ends_the_move(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(_: Arrival, commit: CommitRecord, tag: str) -> ImageFacts:
        asked.append(tag)
        raise VerificationFailed("the image there is not the one that was committed")

    monkeypatch.setattr(Arrival, "verify_image", refuse)
    with pytest.raises(VerificationFailed, match="not the one"):
        rig.move()
    assert asked == [rig.bottle.identity.committed(1)]
    assert (rig.there, rig.bottle.tombstone()) == ((), None)


def test_nobody_else_works_on_a_bottle_while_it_moves(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    run, holders = rig.remote.run, set()

    def noting(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
        holders.add(rig.bottle.locked_by)
        return run(command, *args, **kwargs)

    monkeypatch.setattr(rig.remote, "run", noting)
    rig.move()
    assert None not in holders
    with rig.bottle.locked("another run"), pytest.raises(Locked):
        rig.move(keep=True)


def test_a_bottle_whose_commits_were_pruned_is_committed_once_more(rig: Rig) -> None:
    stop(rig.world.context, rig.bottle)
    commit(rig.world.context, rig.bottle)
    rig.world.lose_images(rig.bottle)
    assert rig.move().commit == 2
    assert rig.there == (rig.bottle.identity,)


def test_what_a_move_leaves_behind_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    (rig.world.cwd / "file").write_text("work")
    os.setxattr(rig.world.cwd / "file", "user.note", b"precious")
    stopped = Stopped(
        identity=rig.bottle.identity, exit_code=0, was_running=True, removed=False, notes=("a request was too large",)
    )
    monkeypatch.setattr("migrate.move.stop_locked", lambda *_, **__: stopped)
    moved = rig.move()
    workspace = "extended attributes and ACLs in the workspace (1 of its files and folders)"
    by_docker = rig.bottle.commits()[-1].dropped
    assert "extended attributes" in by_docker[0]
    assert moved.dropped == (*by_docker, workspace)
    assert f"  dropped: {workspace}" in moved_lines(moved, SENDING, (), moved.host)
    assert moved_document(moved, SENDING, (), moved.host)["dropped"] == list(moved.dropped)
    assert "a request was too large" in rig.world.progress.notes


# --- the same command once more ---------------------------------------------------------------------------------------


def test_a_bottle_that_moved_away_is_not_there_to_be_copied(rig: Rig) -> None:
    rig.move()
    with pytest.raises(MovedAway):
        rig.move(keep=True)
    assert rig.there == (rig.bottle.identity,)


def test_a_move_that_was_handed_over_when_it_was_cut_is_finished_before_a_copy_is_made(rig: Rig) -> None:
    rig.die_after("register")
    with pytest.raises(Conflict, match="cut while it was handed over"):
        rig.move(keep=True)
    assert rig.move().arrived_as == rig.bottle.identity
    assert rig.there == (rig.bottle.identity,)


def test_a_copy_that_arrived_before_the_cut_is_finished_and_called_what_it_is(rig: Rig) -> None:
    rig.die_after("register", keep=True)
    copy = rig.move(keep=True)
    assert (rig.there, copy.commit, rig.bottle.migration()) == ((copy.arrived_as,), 1, None)
    assert "what was done after that commit is not in it" in rig.world.progress.notes[-1]


@pytest.mark.parametrize("stopped", [False, True], ids=["a newer commit", "newer work"])
def test_a_copy_is_made_anew_when_work_went_on_since_the_cut(rig: Rig, stopped: bool) -> None:
    rig.die_after("register", keep=True)
    (old,) = rig.there
    rig.world.work(rig.bottle, "/work.txt", b"2")
    if stopped:
        stop(rig.world.context, rig.bottle)
    else:
        commit(rig.world.context, rig.bottle)
    copy = rig.move(keep=True)
    assert copy.arrived_as != old
    assert set(rig.there) == {old, copy.arrived_as}
    assert copy.commit == rig.bottle.commits()[-1].number > 1
    state = StateHome(rig.far / ".bottle").bottle(copy.arrived_as)
    assert state.committed_image() == copy.arrived_as.committed(copy.commit)
    assert any(f"the copy of commit 1 of {rig.bottle.identity}" in note for note in rig.world.progress.notes)


def test_a_host_that_pulls_is_told_that_its_copy_is_old_and_gets_another_the_next_time(rig: Rig) -> None:
    rig.die_after("register", keep=True, pulled_by="a" * 32)
    commit(rig.world.context, rig.bottle)
    with pytest.raises(Conflict, match="work has gone on since"):
        rig.move(keep=True, pulled_by="a" * 32)
    assert rig.move(keep=True, pulled_by="a" * 32).commit == 3
    assert len(rig.there) == 2


def test_a_copy_for_one_host_is_not_gone_on_with_for_another_of_its_name(rig: Rig) -> None:
    rig.die_after("load", keep=True, pulled_by="a" * 32)
    note = rig.bottle.migration()
    assert note is not None
    assert note.phase is MigrationPhase.STAGING
    copy = rig.move(keep=True, pulled_by="b" * 32)
    assert copy.arrived_as != note.arrives_as


def test_a_bottle_that_could_not_be_started_there_is_started_by_the_same_command(rig: Rig) -> None:
    rig.program("bottle", "#!/bin/sh\n[ $1 = --version ] && exit\n[ -e ready ] || exit 1\necho it runs\n")
    with pytest.raises(RemoteError, match="`bottle resume` failed there"):
        rig.move(resume_there=True)
    (rig.far / "ready").touch()
    assert rig.move(resume_there=True).resumed == "it runs"
    assert rig.move().resumed is None


# --- what the far host refuses ----------------------------------------------------------------------------------------


def test_a_disk_that_is_full_is_named_and_nothing_is_sent_once_more(rig: Rig) -> None:
    base = rig.world.engine.image(BASE)
    assert base is not None
    rig.hold(base)
    rig.program("cat", '#!/bin/sh\n[ $# -gt 0 ] && exec /bin/cat "$@"\necho "No space left" >&2\nexit 1\n')
    with pytest.raises(RemoteError, match=r"staging a piece failed on local\.test: .*No space left"):
        rig.move()
    assert not [note for note in rig.world.progress.notes if "are sent too" in note]


def test_layers_that_only_seemed_to_be_there_are_sent_too(rig: Rig) -> None:
    base = rig.world.engine.image(BASE)
    assert base is not None
    rig.hold(base)
    once = 'if [ -e loaded ]; then cat >/dev/null; else touch loaded; echo "no such layer" >&2; exit 1; fi'
    rig.program("docker", (rig.programs / "docker").read_text().replace("cat >/dev/null", once))
    assert rig.move().arrived_as == rig.bottle.identity
    assert "no such layer\ndocker load failed; layers that seemed" in "\n".join(rig.world.progress.notes)


def test_an_image_that_only_seemed_to_be_there_is_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(rig.world.context, rig.bottle)
    made = commit(rig.world.context, rig.bottle)
    image = rig.world.engine.image(made.commit.tag)
    assert image is not None
    rig.hold(image)
    answers = iter([VerificationFailed("no container can be made of it"), None])

    def verify(*_: object) -> None:
        if (refusal := next(answers)) is not None:
            raise refusal

    monkeypatch.setattr(Arrival, "verify_image", verify)
    assert rig.move().staged > 0
    assert "no container can be made of it; the image that seemed" in "\n".join(rig.world.progress.notes)
