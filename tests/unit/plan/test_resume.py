"""What a resume is, decided from facts alone: every combination has one answer, and none costs work unasked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bottle.errors import (
    BackendUnsupported,
    Conflict,
    MovedAway,
    NeedsConsent,
    NotFound,
    NothingToResume,
    VerificationFailed,
)
from bottle.launch import Command
from bottle.model import Agent, CommitRecord, ImageDefaults, MigrationPhase, Mount, MountKind, Status, Tombstone
from bottle.plan.history import is_frozen_in
from bottle.plan.resume import Attach, FromCommit, Rebuild, ResumeFacts, ResumeRequest, StartAgain, plan_resume
from bottle.plan.sources import Build, Pull
from tests.support.facts import BUILT, IDENTITY, MIGRATION, NOON, PULLED, RUNS, commit, container, image, metadata

NOTHING = ResumeFacts(
    metadata=metadata(),
    tombstone=None,
    migration=None,
    container=None,
    commits=(),
    kept=(),
    committed_tag=None,
    image=None,
    own_dockerfile=None,
    rebuild_due=False,
    dockerfile_exists=False,
    has_transcript=False,
    looked_in="/home/state/demo-abcde",
)
ONE = commit(1)
COMMITTED = replace(NOTHING, commits=(ONE,), committed_tag=ONE.tag, image=image(*ONE.diff_ids))
PLAIN = ResumeRequest()


# --- resume: the table, row by row ------------------------------------------------------------------------------------


def test_a_container_with_a_volume_that_would_go_with_it_is_not_given_up_unasked() -> None:
    nameless = Mount(kind=MountKind.VOLUME, source="0a1b", target="/data", anonymous=True)
    facts = replace(
        COMMITTED, container=replace(container(Status.EXITED), mounts=(nameless,)), commits=(ONE,), kept=(ONE,)
    )
    plan = plan_resume(facts, PLAIN)
    assert isinstance(plan, StartAgain)
    assert "/data is in a volume without a name" in plan.reason
    with pytest.raises(NeedsConsent) as caught:
        plan_resume(facts, ResumeRequest(at=1))
    assert f"docker cp {IDENTITY.container}:/data" in caught.value.next_step
    assert isinstance(plan_resume(facts, ResumeRequest(at=1, consent=True)), FromCommit)


def test_a_bottle_that_moved_is_refused_and_its_host_named() -> None:
    facts = replace(COMMITTED, tombstone=Tombstone(host="far.example", moved_at=NOON))
    with pytest.raises(MovedAway, match=r"far\.example") as caught:
        plan_resume(facts, PLAIN)
    assert "--force" in caught.value.next_step
    assert "untouched" not in caught.value.left  # its container may have been started since
    assert isinstance(plan_resume(facts, ResumeRequest(force=True)), FromCommit)


def test_a_bottle_in_the_middle_of_being_handed_over_is_refused() -> None:
    facts = replace(COMMITTED, migration=MIGRATION)
    with pytest.raises(MovedAway, match=r"far\.example"):
        plan_resume(facts, PLAIN)
    assert isinstance(plan_resume(facts, ResumeRequest(force=True)), FromCommit)
    staging = replace(MIGRATION, phase=MigrationPhase.STAGING)
    assert isinstance(plan_resume(replace(facts, migration=staging), PLAIN), FromCommit)


@pytest.mark.parametrize(
    ("status", "unpause"), [(Status.RUNNING, False), (Status.RESTARTING, False), (Status.PAUSED, True)]
)
def test_a_bottle_that_runs_is_joined(status: Status, unpause: bool) -> None:
    facts = replace(COMMITTED, container=container(status))
    assert plan_resume(facts, PLAIN) == Attach(container=IDENTITY.container, unpause=unpause)
    for request in (ResumeRequest(at=1, consent=True), ResumeRequest(rebuild=True, consent=True)):
        with pytest.raises(Conflict) as caught:
            plan_resume(facts, request)
        assert "bottle stop" in caught.value.next_step


@pytest.mark.parametrize(
    ("made_of", "reason"),
    [
        ((), "never committed"),
        ((commit(1, running=True),), "newer"),
        ((commit(1, started=NOON - timedelta(hours=1)),), "newer"),
        ((commit(1, of="another"),), "newer"),
    ],
)
def test_newer_work_in_a_stopped_container_comes_first_and_goes_only_with_consent(
    made_of: tuple[CommitRecord, ...], reason: str
) -> None:
    facts = replace(COMMITTED, commits=made_of, kept=made_of, container=container(Status.EXITED))
    if not made_of:
        facts = replace(facts, committed_tag=None, image=None)
    plan = plan_resume(facts, PLAIN)
    assert isinstance(plan, StartAgain)
    assert reason in plan.row
    with pytest.raises(NeedsConsent) as caught:
        plan_resume(facts, ResumeRequest(rebuild=True))
    assert "bottle commit" in caught.value.next_step
    assert isinstance(plan_resume(facts, ResumeRequest(rebuild=True, consent=True)), Rebuild)


def test_a_stopped_container_that_a_commit_froze_makes_room() -> None:
    facts = replace(COMMITTED, kept=(ONE,), container=container(Status.EXITED))
    expected = FromCommit(
        tag=ONE.tag, number=1, replaces=container(Status.EXITED), metadata=metadata(), command=Command(made=RUNS)
    )
    assert plan_resume(facts, PLAIN) == expected
    assert plan_resume(facts, ResumeRequest(at=1)) == expected


def test_a_stopped_container_whose_commit_lost_its_image_is_the_only_copy() -> None:
    newest = commit(2)
    facts = replace(
        COMMITTED, commits=(commit(1, of="before"), newest), kept=(), container=container(Status.EXITED), image=None
    )
    assert isinstance(plan_resume(replace(facts, committed_tag=newest.tag), PLAIN), StartAgain)
    back = replace(facts, image=image(*ONE.diff_ids), committed_tag=newest.tag)
    with pytest.raises(NeedsConsent, match="gone"):
        plan_resume(back, ResumeRequest(at=1))
    assert isinstance(plan_resume(back, ResumeRequest(at=1, consent=True)), FromCommit)


@pytest.mark.parametrize("request_", [PLAIN, ResumeRequest(at=1), ResumeRequest(rebuild=True)])
def test_a_dead_container_is_replaced_unasked_only_when_a_commit_has_its_work(request_: ResumeRequest) -> None:
    frozen = replace(COMMITTED, container=container(Status.DEAD), kept=(ONE,))
    assert plan_resume(frozen, request_).replaces is not None  # type: ignore[union-attr]
    worked = replace(frozen, container=container(Status.DEAD, started=NOON.replace(hour=13)))
    with pytest.raises(NeedsConsent, match="is dead"):
        plan_resume(worked, request_)
    assert plan_resume(worked, replace(request_, consent=True)).replaces is not None  # type: ignore[union-attr]
    plan_resume(replace(worked, container=container(Status.DEAD, started=None)), request_)


def test_a_container_that_never_ran_holds_no_work() -> None:
    facts = replace(COMMITTED, container=container(Status.CREATED, started=None))
    assert isinstance(plan_resume(facts, PLAIN), StartAgain)
    assert isinstance(plan_resume(facts, ResumeRequest(at=1)), FromCommit)


def test_a_commit_is_used_when_there_is_no_container() -> None:
    expected = FromCommit(tag=ONE.tag, number=1, replaces=None, metadata=metadata(), command=Command(made=RUNS))
    assert plan_resume(COMMITTED, PLAIN) == expected


def test_an_image_that_is_not_the_one_of_the_history_is_refused() -> None:
    with pytest.raises(VerificationFailed):
        plan_resume(replace(COMMITTED, image=image("sha256:other")), PLAIN)


def test_the_tag_alone_is_enough_where_the_history_is_lost() -> None:
    plan = plan_resume(replace(COMMITTED, commits=()), PLAIN)
    command = Command(made=RUNS)
    assert plan == FromCommit(tag=ONE.tag, number=None, replaces=None, metadata=metadata(), command=command)


def test_a_commit_that_does_not_exist_or_lost_its_image_is_not_found() -> None:
    with pytest.raises(NotFound, match="no commit 7; it has: 1"):
        plan_resume(replace(COMMITTED, image=None), ResumeRequest(at=7))
    with pytest.raises(NotFound, match="gone from this engine"):
        plan_resume(replace(COMMITTED, image=None), ResumeRequest(at=1))


def test_without_an_image_it_is_built_again() -> None:
    plan = plan_resume(replace(COMMITTED, image=None, has_transcript=True), PLAIN)
    assert isinstance(plan, Rebuild)
    assert (plan.source, plan.own, plan.restore_transcript) == (Pull(image="debian"), False, True)
    assert ONE.tag in plan.reason


def test_its_own_dockerfile_comes_before_the_agents() -> None:
    own = Path("/home/state/demo-abcde/Dockerfile")
    facts = replace(NOTHING, metadata=metadata(BUILT), own_dockerfile=own, dockerfile_exists=True)
    plan = plan_resume(facts, PLAIN)
    assert isinstance(plan, Rebuild)
    assert plan.source == Build(dockerfile=own, context=Path("/src"), tag=IDENTITY.rebuilt)
    bundled = replace(facts, metadata=metadata(Agent(name="demo", dockerfile=own)))
    alone = plan_resume(bundled, PLAIN)
    assert isinstance(alone, Rebuild)
    assert alone.source == Build(dockerfile=own, context=None, tag=IDENTITY.rebuilt)
    gone = plan_resume(replace(facts, dockerfile_exists=False), PLAIN)
    assert isinstance(gone, Rebuild)
    assert gone.source == Build(dockerfile=own, context=None, tag=IDENTITY.rebuilt)


def test_what_was_approved_after_the_last_commit_is_built_and_the_commit_can_be_gone_back_to() -> None:
    own = Path("/home/state/demo-abcde/Dockerfile")
    facts = replace(COMMITTED, own_dockerfile=own, rebuild_due=True, has_transcript=True)
    plan = plan_resume(facts, PLAIN)
    assert isinstance(plan, Rebuild)
    assert (plan.approved, plan.own, plan.restore_transcript) == (True, True, True)
    assert "approved" in plan.row
    assert isinstance(plan_resume(facts, ResumeRequest(at=1)), FromCommit)
    frozen = plan_resume(replace(facts, kept=(ONE,), container=container(Status.EXITED)), PLAIN)
    assert frozen == replace(plan, replaces=container(Status.EXITED))
    newer = replace(facts, container=container(Status.EXITED, started=NOON + timedelta(hours=1)))
    assert isinstance(plan_resume(newer, PLAIN), StartAgain)
    assert isinstance(plan_resume(replace(facts, container=container(Status.RUNNING)), PLAIN), Attach)
    assert isinstance(plan_resume(replace(facts, own_dockerfile=None), PLAIN), FromCommit)


def test_going_back_to_a_commit_goes_back_to_how_its_image_runs() -> None:
    then = ImageDefaults(entrypoint=("/init",), command=("cat",), user="agent")
    now = replace(metadata(), defaults=ImageDefaults(user="root"), base=("sha256:new",))
    first = replace(ONE, defaults=then, base=("sha256:base",))
    plan = plan_resume(replace(COMMITTED, metadata=now, commits=(first,)), ResumeRequest(at=1))
    assert isinstance(plan, FromCommit)
    assert plan.metadata == replace(now, defaults=then, base=("sha256:base",))
    older = plan_resume(replace(COMMITTED, metadata=now), ResumeRequest(at=1))
    assert isinstance(older, FromCommit)
    assert older.metadata == now


def test_with_nothing_left_it_says_where_it_looked() -> None:
    with pytest.raises(NothingToResume) as caught:
        plan_resume(replace(NOTHING, metadata=metadata(BUILT)), PLAIN)
    assert caught.value.exit_code == 3
    for place in (NOTHING.looked_in, IDENTITY.committed_latest, "/src/Dockerfile"):
        assert place in caught.value.what


def test_another_backend_is_refused_by_name() -> None:
    with pytest.raises(BackendUnsupported, match="'smolmachines'"):
        plan_resume(replace(COMMITTED, metadata=metadata(backend="smolmachines")), ResumeRequest(force=True))


# --- resume: all of the table -----------------------------------------------------------------------------------------


def every_fact() -> Iterator[ResumeFacts]:
    """Every combination of what decides a resume, impossible ones among them."""
    containers = [None, *(container(status) for status in Status), container(Status.CREATED, started=None)]
    histories: list[tuple[CommitRecord, ...]] = [
        (),
        (commit(1),),
        (commit(1, running=True),),
        (commit(1, of="before"), commit(2)),
        (commit(1), commit(2, of="another")),
    ]
    for (
        agent,
        tombstone,
        migration,
        has,
        commits,
        lost,
        tagged,
        shown,
        (own, due),
        there,
        transcript,
    ) in itertools.product(
        (PULLED, BUILT),
        (None, Tombstone(host="far.example", moved_at=NOON)),
        (None, MIGRATION, replace(MIGRATION, phase=MigrationPhase.STAGING)),
        containers,
        histories,
        (False, True),
        (False, True),
        (None, "right", "wrong"),
        ((None, False), (None, True), (Path("/own/Dockerfile"), False), (Path("/own/Dockerfile"), True)),
        (False, True),
        (False, True),
    ):
        last = commits[-1] if commits else None
        diff_ids = last.diff_ids if last and shown == "right" else ("sha256:other",)
        yield ResumeFacts(
            metadata=metadata(agent),
            tombstone=tombstone,
            migration=migration,
            container=has,
            commits=commits,
            kept=() if lost or has is None else tuple(each for each in commits if is_frozen_in(has, (each,))),
            committed_tag=last.tag if last and tagged else None,
            image=image(*diff_ids) if shown and last and tagged else None,
            own_dockerfile=own,
            rebuild_due=due,
            dockerfile_exists=there,
            has_transcript=transcript,
            looked_in="/home/state/demo-abcde",
        )


REQUESTS = [
    ResumeRequest(at=at, rebuild=rebuild, force=force, consent=consent)
    for at, rebuild, force, consent in itertools.product((None, 1, 2), (False, True), (False, True), (False, True))
    if not (rebuild and at is not None)
]
DOCUMENTED = (MovedAway, Conflict, NeedsConsent, NotFound, NothingToResume, VerificationFailed)


def test_every_combination_of_facts_has_one_answer_and_costs_no_work() -> None:
    answers: dict[str, int] = {}
    for facts in every_fact():
        for request in REQUESTS:
            try:
                plan = plan_resume(facts, request)
            except DOCUMENTED as error:
                answers[error.code] = answers.get(error.code, 0) + 1
                continue
            answers[type(plan).__name__] = answers.get(type(plan).__name__, 0) + 1
            assert plan.row
            moved = facts.tombstone is not None or facts.migration is MIGRATION
            assert request.force or not moved
            if isinstance(plan, FromCommit | Rebuild) and plan.replaces is not None:
                assert facts.container is not None
                assert not facts.container.status.alive
                stopped = facts.container.status in {Status.EXITED, Status.DEAD}
                assert request.consent or not stopped or is_frozen_in(facts.container, facts.kept)
            if isinstance(plan, FromCommit):
                assert facts.image is not None
                assert not request.rebuild
                assert request.at in {None, plan.number}
                assert request.at or not (facts.rebuild_due and facts.own_dockerfile)
            if isinstance(plan, Rebuild):
                assert request.at is None
                assert plan.approved == (facts.rebuild_due and facts.own_dockerfile is not None)
                assert plan.own or not plan.approved
            if isinstance(plan, Attach):
                assert facts.container is not None
                assert facts.container.status.alive
    assert set(answers) == {
        "Attach",
        "StartAgain",
        "FromCommit",
        "Rebuild",
        "MovedAway",
        "Conflict",
        "NeedsConsent",
        "NotFound",
        "NothingToResume",
        "VerificationFailed",
    }
