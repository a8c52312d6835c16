"""Deciding what a bottle asks for: what is approved is what was shown, and no step of it costs work."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bottle import transcript
from bottle.errors import (
    BackendUnsupported,
    BottleError,
    BuildFailed,
    Conflict,
    EngineError,
    MovedAway,
    NotFound,
    PreflightRefused,
    UsageError,
    VerificationFailed,
)
from bottle.launch import bare_spec
from bottle.model import CapabilityRequest, MigrationPhase, MigrationRecord, RequestStatus, Retention, Status, Tombstone
from bottle.operations import ForkRequest, approve, commit, deny, fork, remove, resume, show, stop
from bottle.operations.request_decision import DockerfileStanding
from bottle.plan.resume import Attach, FromCommit, Rebuild, ResumeRequest, StartAgain
from bottle.requests.request import digest_of
from bottle.store.state import BottleState
from bottle.tar.rules import Limits
from bottle.workspace import workspace_owner
from tests.support.world import AGENT, BASE, Fate, Killed, World, every_moment

PLAIN = ResumeRequest()
JQ = f"FROM {BASE}\nRUN echo jq > /usr/bin/jq\n"


def ask(world: World, bottle: BottleState, text: str = JQ, *, number: int = 1, reason: str = "jq") -> CapabilityRequest:
    """A request that was taken in."""
    request = CapabilityRequest(
        number=number, digest=digest_of(reason, text), reason=reason, dockerfile=text, received_at=world.engine.clock()
    )
    bottle.write_request(request)
    return request


def at_work(world: World) -> BottleState:
    """A bottle that has a commit, newer work, and a transcript."""
    bottle = world.start(replace(AGENT, resume_command=("cat", "--continue")))
    world.work(bottle, "/work", b"one")
    commit(world.context, bottle)
    world.work(bottle, "/work", b"two")
    world.work(bottle, "/root/.demo/log", b"line")
    return bottle


def status_of(bottle: BottleState, number: int = 1) -> RequestStatus:
    return next(each.status for each in bottle.requests() if each.number == number)


# --- approve ----------------------------------------------------------------------------------------------------------


def test_what_is_approved_is_there_after_a_resume_with_the_transcript_and_a_way_back(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    approved = approve(world.context, bottle, request.digest[:12], note="fine")
    assert (approved.was_running, approved.committed, approved.tried, approved.already) == (True, True, False, False)
    assert approved.commit is not None
    assert approved.commit.number == 2
    assert approved.resume_line == f"bottle resume {bottle.identity}"
    assert approved.back_line == f"bottle resume {bottle.identity} --at 2"
    assert world.status(bottle) is None
    assert bottle.preserved
    assert bottle.rebuild_due
    kept = bottle.requests()[0]
    assert (kept.status, kept.note) == (RequestStatus.APPROVED, "fine")
    assert kept == approved.request

    resumed = resume(world.context, bottle, PLAIN)
    assert isinstance(resumed.plan, Rebuild)
    assert resumed.plan.approved
    assert "FRESH" in resumed.warnings[0]
    assert any("--at 2" in warning for warning in resumed.warnings)
    assert world.content(bottle, "/usr/bin/jq") == b"jq\n"
    assert world.content(bottle, "/work") is None
    assert world.content(bottle, "/root/.demo/log") == b"line"
    assert world.command(bottle) == ("cat", "--continue")
    world.check_tidy(bottle)

    assert commit(world.context, bottle).commit.number == 3
    assert not bottle.rebuild_due
    stop(world.context, bottle)
    commit(world.context, bottle)
    back = resume(world.context, bottle, ResumeRequest(at=2))
    assert isinstance(back.plan, FromCommit)
    assert world.content(bottle, "/work") == b"two"


def test_the_way_back_can_be_taken_at_once(world: World) -> None:
    bottle = at_work(world)
    approve(world.context, bottle, ask(world, bottle).digest)
    assert isinstance(resume(world.context, bottle, ResumeRequest(at=2)).plan, FromCommit)
    assert not bottle.rebuild_due
    assert world.content(bottle, "/work") == b"two"
    stop(world.context, bottle)
    commit(world.context, bottle)
    assert isinstance(resume(world.context, bottle, PLAIN).plan, FromCommit)


def test_going_back_past_a_change_of_user_runs_as_before(world: World) -> None:
    bottle = at_work(world)
    text = f'FROM {BASE}\nUSER agent\nENTRYPOINT ["/init"]\n'
    approve(world.context, bottle, ask(world, bottle, text).digest)
    resume(world.context, bottle, PLAIN)
    spec = world.engine._container(bottle.identity.container).spec
    assert (spec.user, world.command(bottle)) == ("agent", ("/init", "cat", "--continue"))
    commit(world.context, bottle)
    assert world.home.bottle(
        fork(world.context, bottle, ForkRequest(at=2, share_cwd=True)).identity
    ).metadata().base == (bottle.commits()[0].base)
    stop(world.context, bottle)
    commit(world.context, bottle)
    resume(world.context, bottle, ResumeRequest(at=2))
    spec = world.engine._container(bottle.identity.container).spec
    assert (spec.user, world.command(bottle)) == ("", ("cat", "--continue"))
    assert commit(world.context, bottle).commit.defaults == bottle.commits()[0].defaults


def test_what_a_rebuilt_bottle_did_since_is_not_built_away(world: World) -> None:
    bottle = at_work(world)
    approve(world.context, bottle, ask(world, bottle).digest)
    resume(world.context, bottle, PLAIN)
    world.work(bottle, "/since", b"new")
    assert isinstance(resume(world.context, bottle, PLAIN).plan, Attach)
    stop(world.context, bottle)
    assert isinstance(resume(world.context, bottle, PLAIN).plan, StartAgain)
    assert world.content(bottle, "/since") == b"new"


def test_a_dockerfile_that_does_not_build_leaves_the_way_back(world: World) -> None:
    bottle = at_work(world)
    approve(world.context, bottle, ask(world, bottle, f"FROM {BASE}\nRUN false\n").digest)
    with pytest.raises(BuildFailed) as caught:
        resume(world.context, bottle, PLAIN)
    assert f"bottle resume {bottle.identity} --at 2" in caught.value.next_step
    resume(world.context, bottle, ResumeRequest(at=2))
    assert world.content(bottle, "/work") == b"two"


def test_it_is_built_before_when_asked_and_one_that_does_not_build_changes_nothing(world: World) -> None:
    bottle = at_work(world)
    bad = ask(world, bottle, f"FROM {BASE}\nRUN false\n")
    with pytest.raises(BuildFailed) as caught:
        approve(world.context, bottle, bad.digest, build=True)
    assert "goes on as it was" in caught.value.left
    assert bad.digest[:12] in caught.value.next_step
    assert world.status(bottle) is Status.RUNNING
    assert bottle.requests() == (bad,)
    assert bottle.own_dockerfile is None
    assert [each.number for each in bottle.commits()] == [1]

    good = ask(world, bottle, number=2)
    assert approve(world.context, bottle, good.digest, build=True).tried
    assert world.engine.image(bottle.identity.trial) is not None
    assert world.engine.image(bottle.identity.rebuilt) is None
    resume(world.context, bottle, PLAIN)
    assert world.engine.image(bottle.identity.trial) is None
    assert world.engine.image(bottle.identity.rebuilt) is not None


def test_no_file_of_the_state_folder_can_be_copied_into_an_image(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle, f"FROM {BASE}\nCOPY metadata.json /stolen\n")
    with pytest.raises(BuildFailed):
        approve(world.context, bottle, request.digest, build=True)
    approve(world.context, bottle, request.digest)
    with pytest.raises(BuildFailed):
        resume(world.context, bottle, PLAIN)


def test_its_own_dockerfile_is_told_what_the_agents_is(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f"FROM {BASE}\n")
    agent = replace(AGENT, image=None, dockerfile=dockerfile, build_args=(("VERSION", "2"),))
    bottle = world.start(agent)
    said = "ARG VERSION\nARG BOTTLE_UID\nARG BOTTLE_GID\nRUN echo $VERSION $BOTTLE_UID $BOTTLE_GID > /said"
    request = ask(world, bottle, f"FROM {BASE}\n{said}\n")
    approve(world.context, bottle, request.digest, build=True)
    resume(world.context, bottle, PLAIN)
    told = "2 {} {}\n".format(*workspace_owner(world.cwd)).encode()
    assert world.content(bottle, "/said") == told
    world.engine.create(bare_spec("trial", bottle.identity.rebuilt))
    assert world.engine.read("trial", "/said") == told


def test_the_files_beside_the_agents_dockerfile_are_there(world: World) -> None:
    dockerfile = world.cwd / "Dockerfile"
    dockerfile.write_text(f'FROM {BASE}\nCMD ["cat"]\n')
    (world.cwd / "tool").write_text("tool")
    bottle = world.start(replace(AGENT, image=None, dockerfile=dockerfile))
    request = ask(world, bottle, f'FROM {BASE}\nCOPY tool /tool\nCMD ["cat"]\n')
    assert "-CMD" not in show(world.context, bottle, request.digest).diff
    approve(world.context, bottle, request.digest, build=True)
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/tool") == b"tool"


def test_a_workspace_inside_the_container_is_spoken_of_before_and_after(world: World) -> None:
    bottle = world.start(copy_cwd=True)
    request = ask(world, bottle)
    assert "in the commit only" in show(world.context, bottle).notes[0]
    assert "in the commit only" in approve(world.context, bottle, request.digest).notes[-1]


def test_a_bottle_that_a_commit_holds_is_not_committed_again(world: World) -> None:
    bottle = at_work(world)
    stop(world.context, bottle)
    commit(world.context, bottle)
    approved = approve(world.context, bottle, ask(world, bottle).digest)
    assert (approved.committed, approved.was_running) == (False, False)
    assert approved.commit is not None
    assert approved.commit.number == 2
    assert world.status(bottle) is None
    resume(world.context, bottle, ResumeRequest(at=2))
    assert world.content(bottle, "/work") == b"two"


def test_a_stopped_one_with_newer_work_is_committed(world: World) -> None:
    bottle = at_work(world)
    stop(world.context, bottle)
    approved = approve(world.context, bottle, ask(world, bottle).digest)
    assert (approved.committed, approved.was_running) == (True, False)
    resume(world.context, bottle, ResumeRequest(at=2))
    assert world.content(bottle, "/work") == b"two"


def test_one_whose_commit_lost_its_image_is_committed_again(world: World) -> None:
    bottle = at_work(world)
    stop(world.context, bottle)
    commit(world.context, bottle)
    world.lose_images(bottle)
    approved = approve(world.context, bottle, ask(world, bottle).digest)
    assert approved.committed
    resume(world.context, bottle, ResumeRequest(at=3))
    assert world.content(bottle, "/work") == b"two"


@pytest.mark.parametrize("images", [True, False])
def test_a_bottle_with_no_container_is_rebuilt_all_the_same(world: World, images: bool) -> None:
    bottle = at_work(world)
    stop(world.context, bottle)
    world.lose_container(bottle)
    if not images:
        world.lose_images(bottle)
    approved = approve(world.context, bottle, ask(world, bottle).digest)
    assert (approved.commit is not None) == images
    assert not approved.committed
    assert "no container" in approved.notes[0]
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/usr/bin/jq") == b"jq\n"
    assert world.content(bottle, "/root/.demo/log") == b"line"


def test_one_that_is_paused_or_never_ran_is_approved_too(world: World) -> None:
    bottle = at_work(world)
    world.engine.pause(bottle.identity.container)
    assert approve(world.context, bottle, ask(world, bottle).digest).was_running
    resume(world.context, bottle, ResumeRequest(at=2))
    stop(world.context, bottle)
    commit(world.context, bottle)
    resume(world.context, bottle, PLAIN, begin=False)
    assert world.status(bottle) is Status.CREATED
    approve(world.context, bottle, ask(world, bottle, JQ + "# again\n", number=2).digest)
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/usr/bin/jq") == b"jq\n"


def test_what_cannot_be_committed_is_found_before_the_bottle_is_stopped(world: World) -> None:
    bottle = at_work(world)
    world.work(bottle, "/.wh.x", b"")
    request = ask(world, bottle)
    with pytest.raises(PreflightRefused):
        approve(world.context, bottle, request.digest)
    assert world.status(bottle) is Status.RUNNING
    assert bottle.requests() == (request,)


def test_the_same_again_says_that_it_was_done(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    approve(world.context, bottle, request.digest)
    before = bottle.commits()
    again = approve(world.context, bottle, request.digest)
    assert again.already
    assert again.back_line == f"bottle resume {bottle.identity} --at 2"
    assert bottle.commits() == before
    with pytest.raises(Conflict, match="was approved"):
        deny(world.context, bottle, request.digest)


def test_the_same_again_says_what_resume_would_do_now(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    assert approve(world.context, bottle, request.digest).has_transcript
    assert approve(world.context, bottle, request.digest).standing is DockerfileStanding.DUE
    resume(world.context, bottle, ResumeRequest(at=2))
    again = approve(world.context, bottle, request.digest)
    assert again.standing is DockerfileStanding.OWN
    assert again.resume_line == f"bottle resume {bottle.identity} --rebuild"
    other = ask(world, bottle, JQ + "RUN true\n", number=2)
    approve(world.context, bottle, other.digest)
    again = approve(world.context, bottle, request.digest)
    assert again.standing is DockerfileStanding.REPLACED
    assert again.resume_line == f"bottle resume {bottle.identity}"


def test_without_its_transcript_nothing_of_the_old_filesystem_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    with monkeypatch.context() as patch:
        patch.setattr(transcript, "_LIMITS", Limits(entries=0, size=0))
        with pytest.raises(VerificationFailed) as caught:
            approve(world.context, bottle, request.digest)
    assert "bottle capability approve" in caught.value.next_step
    assert world.status(bottle) is Status.EXITED
    assert not bottle.rebuild_due
    assert status_of(bottle) is RequestStatus.APPROVING
    approve(world.context, bottle, request.digest)
    assert bottle.rebuild_due
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/root/.demo/log") == b"line"


def test_a_volume_that_only_the_approved_image_declares_hides_nothing_of_a_commit(world: World) -> None:
    bottle = at_work(world)
    world.work(bottle, "/data/work", b"made before")
    request = ask(world, bottle, JQ + "VOLUME /data\n")
    approve(world.context, bottle, request.digest)
    resume(world.context, bottle, PLAIN)
    assert "/data" in tuple(volume.target for volume in bottle.metadata().agent.volumes)
    stop(world.context, bottle)
    resume(world.context, bottle, ResumeRequest(at=2, consent=True))
    assert world.content(bottle, "/data/work") == b"made before"
    assert "/data" not in tuple(volume.target for volume in bottle.metadata().agent.volumes)


def test_a_volume_that_was_declared_later_is_there_again_when_one_goes_forward_again(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle, JQ + "VOLUME /data\n")
    approve(world.context, bottle, request.digest)
    resume(world.context, bottle, PLAIN)
    world.work(bottle, "/data/work", b"made in the volume")
    stop(world.context, bottle)
    latest = commit(world.context, bottle).commit.number
    resume(world.context, bottle, ResumeRequest(at=1))
    stop(world.context, bottle)
    forked = fork(world.context, bottle, ForkRequest(at=latest, share_cwd=True))
    resume(world.context, world.home.bottle(forked.identity), PLAIN)
    assert world.content(world.home.bottle(forked.identity), "/data/work") == b"made in the volume"
    resume(world.context, bottle, ResumeRequest(at=latest, consent=True))
    container = world.engine.container(bottle.identity.container)
    assert container is not None
    assert not [mount for mount in container.mounts if mount.anonymous]
    assert world.content(bottle, "/data/work") == b"made in the volume"


def test_a_copied_workspace_that_is_in_a_volume_is_said_to_stay_and_stays(world: World) -> None:
    (world.cwd / "notes").write_bytes(b"the host's")
    passwd = {"/etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}
    world.engine.add_image("declares:1", passwd, Cmd=["cat"], Volumes={"/workspace": {}})
    bottle = world.start(replace(AGENT, image="declares:1"), copy_cwd=True)
    world.work(bottle, "/workspace/notes", b"the agent's")
    request = ask(world, bottle)
    said = "\n".join(approve(world.context, bottle, request.digest).notes)
    assert f"/workspace is in volume bottle-{bottle.identity}-image-workspace: it stays" in said
    assert "in the commit only" not in said
    resume(world.context, bottle, PLAIN)
    assert world.content(bottle, "/workspace/notes") == b"the agent's"


def test_what_was_asked_twice_is_decided_once(world: World) -> None:
    bottle = at_work(world)
    first, second = ask(world, bottle), ask(world, bottle, number=3)
    other = ask(world, bottle, JQ + "RUN true\n", number=2)
    assert first.digest == second.digest
    approve(world.context, bottle, first.digest)
    assert [each.status for each in bottle.requests()] == [
        RequestStatus.APPROVED,
        RequestStatus.PENDING,
        RequestStatus.APPROVED,
    ]
    deny(world.context, bottle, other.digest)


def test_an_approval_that_was_cut_short_is_finished_first(world: World) -> None:
    bottle = at_work(world)
    begun = replace(ask(world, bottle), status=RequestStatus.APPROVING)
    bottle.write_request(begun)
    other = ask(world, bottle, JQ + "RUN true\n", number=2)
    with pytest.raises(Conflict, match="request 1") as caught:
        approve(world.context, bottle, other.digest)
    assert f"bottle capability approve {bottle.identity} {begun.digest[:12]}" in caught.value.next_step
    with pytest.raises(Conflict, match="has begun"):
        deny(world.context, bottle, begun.digest)
    approve(world.context, bottle, begun.digest)
    assert status_of(bottle) is RequestStatus.APPROVED


def test_a_trial_that_fails_after_the_approval_has_begun_says_so(world: World) -> None:
    bottle = at_work(world)
    bad = ask(world, bottle, f"FROM {BASE}\nRUN false\n")
    bottle.write_request(replace(bad, status=RequestStatus.APPROVING))
    with pytest.raises(BuildFailed) as caught:
        approve(world.context, bottle, bad.digest, build=True)
    assert "had begun" in caught.value.left
    assert "bottle capability approve" in caught.value.next_step


def test_an_engine_that_refuses_says_what_was_done_and_what_comes_next(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    world.engine.fail_next("stop", EngineError("refused", left="it runs", next_step="docker info"))
    with pytest.raises(EngineError) as caught:
        approve(world.context, bottle, request.digest)
    assert "request 1 is approved, which is not finished; it runs" in caught.value.left
    assert caught.value.next_step.endswith(f"bottle capability approve {bottle.identity} {request.digest[:12]}")
    assert not approve(world.context, bottle, request.digest).already


# --- which request ----------------------------------------------------------------------------------------------------


def test_a_request_that_changed_since_it_was_shown_is_not_decided(world: World) -> None:
    bottle = at_work(world)
    shown = ask(world, bottle)
    now = ask(world, bottle, JQ + "RUN true\n")
    bottle.write_request(replace(now, superseded=(shown.digest,)))
    for decide in (approve, deny):
        with pytest.raises(Conflict, match="has changed") as caught:
            decide(world.context, bottle, shown.digest[:12])
        assert now.digest[:12] in caught.value.next_step
    with pytest.raises(Conflict, match="has changed"):
        show(world.context, bottle, shown.digest)
    assert world.status(bottle) is Status.RUNNING
    # One that begins like the one that was shown is not taken for it.
    bottle.write_request(replace(now, digest=shown.digest[:12] + "0" * 52, superseded=(shown.digest,)))
    with pytest.raises(Conflict, match="has changed"):
        approve(world.context, bottle, shown.digest[:12])


def test_one_that_changed_back_can_be_decided(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    bottle.write_request(replace(request, superseded=("0" * 64, request.digest)))
    assert deny(world.context, bottle, request.digest[:8]).request.status is RequestStatus.DENIED


def test_a_digest_must_be_one_and_name_one(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    for wrong in ("", "1", request.digest[:7], request.digest + "0", "x" * 12, request.digest.upper()):
        with pytest.raises(UsageError):
            approve(world.context, bottle, wrong)
    with pytest.raises(NotFound):
        approve(world.context, bottle, "0" * 64)
    bottle.write_request(replace(request, number=2, digest=request.digest[:10] + "0" * 54))
    with pytest.raises(UsageError, match="fits 2"):
        approve(world.context, bottle, request.digest[:10])


def test_what_is_denied_stays_so_and_may_be_asked_for_again(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    denied = deny(world.context, bottle, request.digest[:8], note="use python")
    assert (denied.already, denied.request.note) == (False, "use python")
    assert denied.request.decided_at is not None
    assert deny(world.context, bottle, request.digest, note="other").already
    assert bottle.requests()[0].note == "use python"
    with pytest.raises(Conflict, match="was denied"):
        approve(world.context, bottle, request.digest)
    assert world.status(bottle) is Status.RUNNING
    ask(world, bottle, number=2)
    approve(world.context, bottle, request.digest)
    assert [each.status for each in bottle.requests()] == [RequestStatus.DENIED, RequestStatus.APPROVED]


def test_a_trial_of_what_is_denied_goes(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    world.engine.tag(BASE, bottle.identity.trial)
    deny(world.context, bottle, request.digest)
    assert world.engine.image(bottle.identity.trial) is None


def test_a_bottle_that_is_not_ours_to_decide_for_is_refused(world: World) -> None:
    bottle = at_work(world)
    request = ask(world, bottle)
    handing = MigrationRecord(
        phase=MigrationPhase.HANDING_OFF, host="far.example", nonce="n", commit=1, started_at=world.engine.clock()
    )
    for decide in (approve, deny):
        bottle.migration.write(handing)
        with pytest.raises(MovedAway):
            decide(world.context, bottle, request.digest)
        bottle.migration.clear()
        bottle.tombstone.write(Tombstone(host="far.example", moved_at=world.engine.clock()))
        with pytest.raises(MovedAway, match=r"far\.example"):
            decide(world.context, bottle, request.digest)
        bottle.tombstone.clear()
        metadata = bottle.metadata()
        bottle.write_metadata(replace(metadata, backend="smolmachines"))
        with pytest.raises(BackendUnsupported):
            decide(world.context, bottle, request.digest)
        bottle.write_metadata(metadata)
    assert bottle.requests() == (request,)


# --- what stays, what goes --------------------------------------------------------------------------------------------


def test_no_rule_takes_the_way_back_while_the_rebuild_is_due(world: World) -> None:
    bottle = world.start(replace(AGENT, keep=Retention(commits=1)))
    for number in range(3):
        world.work(bottle, "/work", str(number).encode())
        commit(world.context, bottle)
    approved = approve(world.context, bottle, ask(world, bottle).digest)
    assert approved.commit is not None
    world.engine.clock.now = world.engine.clock.now.replace(year=2100)
    resume(world.context, bottle, PLAIN)
    assert world.engine.image(approved.commit.tag) is not None
    assert bottle.committed_image() == approved.commit.tag
    stop(world.context, bottle)
    resume(world.context, bottle, ResumeRequest(at=approved.commit.number, consent=True))
    assert world.content(bottle, "/work") == b"2"


def test_a_fork_is_made_of_the_commit_and_builds_nothing(world: World) -> None:
    bottle = at_work(world)
    approve(world.context, bottle, ask(world, bottle).digest)
    forked = world.home.bottle(fork(world.context, bottle, ForkRequest(share_cwd=True)).identity)
    assert not forked.rebuild_due
    assert forked.requests() == ()
    assert isinstance(resume(world.context, forked, PLAIN).plan, FromCommit)
    assert world.content(forked, "/work") == b"two"
    assert bottle.rebuild_due


def test_rm_takes_the_trial_too(world: World) -> None:
    bottle = at_work(world)
    approve(world.context, bottle, ask(world, bottle).digest, build=True)
    assert bottle.identity.trial in remove(world.context, bottle, consent=True).images


# --- when it fails or dies --------------------------------------------------------------------------------------------


def running(folder: Path) -> tuple[World, BottleState]:
    """A bottle at work."""
    world = World(folder)
    return world, at_work(world)


def stopped(folder: Path) -> tuple[World, BottleState]:
    """A bottle that is stopped, with work that no commit has."""
    world, bottle = running(folder)
    stop(world.context, bottle)
    return world, bottle


def again(folder: Path) -> tuple[World, BottleState]:
    """A bottle that has its own Dockerfile already, and the marker, and was resumed."""
    world = World(folder)
    bottle = at_work(world)
    approve(world.context, bottle, ask(world, bottle, f"FROM {BASE}\nRUN echo a > /a\n", number=7).digest)
    resume(world.context, bottle, PLAIN)
    world.work(bottle, "/work", b"two")
    return world, bottle


@pytest.mark.parametrize("build", [False, True])
@pytest.mark.parametrize("deadly", [False, True])
@pytest.mark.parametrize("prepare", [running, stopped, again])
def test_wherever_an_approval_ends_the_bottle_is_whole_and_the_next_one_finishes(
    tmp_path: Path, prepare: object, deadly: bool, build: bool
) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = prepare(tmp_path / str(next(numbers)))  # type: ignore[operator]
        was = world.status(bottle)
        request = ask(world, bottle)
        try:
            with world.doomed(fate) as context:
                approve(context, bottle, request.digest, build=build)
        except (Killed, BottleError):
            assert fate.came
        world.check(bottle)
        if status_of(bottle) is RequestStatus.PENDING:
            assert world.status(bottle) is was, fate.last
            assert world.content(bottle, "/work") == b"two", fate.last
            assert not bottle.rebuild_due or prepare is again, fate.last
        if world.status(bottle) is None:
            assert bottle.rebuild_due, fate.last
            assert bottle.preserved, fate.last
        approve(world.context, bottle, request.digest, build=build)
        assert status_of(bottle) is RequestStatus.APPROVED, fate.last
        last = bottle.commits()[-1].number
        resume(world.context, bottle, PLAIN)
        assert world.content(bottle, "/usr/bin/jq") == b"jq\n", fate.last
        assert world.content(bottle, "/root/.demo/log") == b"line", fate.last
        world.check_tidy(bottle)
        stop(world.context, bottle)
        resume(world.context, bottle, ResumeRequest(at=last, consent=True))
        assert world.content(bottle, "/work") == b"two", fate.last
        world.check_tidy(bottle)

    assert every_moment(run, deadly=deadly) > 50


@pytest.mark.parametrize("prepare", [running, stopped, again])
def test_wherever_an_approval_dies_the_bottle_comes_back_without_another_word(tmp_path: Path, prepare: object) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = prepare(tmp_path / str(next(numbers)))  # type: ignore[operator]
        request = ask(world, bottle)
        try:
            with world.doomed(fate) as context:
                approve(context, bottle, request.digest)
        except Killed:
            pass
        resumed = resume(world.context, bottle, PLAIN)
        assert world.status(bottle) is Status.RUNNING, fate.last
        assert world.content(bottle, "/root/.demo/log") == b"line", fate.last
        world.check_tidy(bottle)
        if isinstance(resumed.plan, Rebuild):
            assert world.content(bottle, "/usr/bin/jq") == b"jq\n", fate.last
            assert status_of(bottle) is RequestStatus.APPROVED, fate.last
            last = bottle.commits()[-1].number
            stop(world.context, bottle)
            resume(world.context, bottle, ResumeRequest(at=last, consent=True))
        assert world.content(bottle, "/work") == b"two", fate.last

    assert every_moment(run, deadly=True) > 50


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_a_resume_after_an_approval_ends_the_next_one_has_it(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = running(tmp_path / str(next(numbers)))
        approve(world.context, bottle, ask(world, bottle).digest, build=True)
        try:
            with world.doomed(fate) as context:
                resume(context, bottle, PLAIN)
        except (Killed, BottleError):
            assert fate.came
        resume(world.context, bottle, PLAIN)
        assert world.status(bottle) is Status.RUNNING, fate.last
        assert world.content(bottle, "/usr/bin/jq") == b"jq\n", fate.last
        assert world.content(bottle, "/root/.demo/log") == b"line", fate.last
        stop(world.context, bottle)
        resume(world.context, bottle, ResumeRequest(at=2, consent=True))
        assert world.content(bottle, "/work") == b"two", fate.last

    assert every_moment(run, deadly=deadly) >= 15


@pytest.mark.parametrize("deadly", [False, True])
def test_wherever_a_denial_ends_the_next_one_finishes(tmp_path: Path, deadly: bool) -> None:
    numbers = count()

    def run(fate: Fate) -> None:
        world, bottle = running(tmp_path / str(next(numbers)))
        request = ask(world, bottle)
        try:
            with world.doomed(fate) as context:
                deny(context, bottle, request.digest, note="no")
        except (Killed, BottleError):
            assert fate.came
        deny(world.context, bottle, request.digest, note="no")
        assert (status_of(bottle), bottle.requests()[0].note) == (RequestStatus.DENIED, "no"), fate.last
        assert world.status(bottle) is Status.RUNNING

    assert every_moment(run, deadly=deadly) >= 2
