"""What a commit is, decided from facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from bottle.errors import BackendUnsupported, BottleError, MovedAway, NotFound, PreflightRefused
from bottle.model import Change, ChangeKind, CommitRecord, Mount, MountKind, Runtime, Status, Tombstone
from bottle.plan.commit import DEEPEST, CommitFacts, plan_commit
from tests.support.facts import MIGRATION, NOON, commit, container, image, metadata

COMMIT = CommitFacts(
    metadata=metadata(),
    tombstone=None,
    migration=None,
    container=container(Status.RUNNING),
    runtime=Runtime(name="runc"),
    base=image("sha256:base"),
    commits=(),
    changes=(),
    size=0,
    free=None,
)


def test_the_first_commit_of_a_running_container_is_number_1_and_pauses() -> None:
    plan = plan_commit(COMMIT, pause=True)
    assert (plan.number, plan.parent, plan.pause, plan.left_out) == (1, None, True, ())


@pytest.mark.parametrize("status", [Status.PAUSED, Status.EXITED, Status.CREATED])
def test_only_what_runs_is_paused(status: Status) -> None:
    assert plan_commit(replace(COMMIT, container=container(status)), pause=True).pause is False


def test_it_is_not_paused_when_the_user_says_so() -> None:
    assert plan_commit(COMMIT, pause=False).pause is False


@pytest.mark.parametrize(
    ("commits", "label", "number", "parent"),
    [
        ((commit(1),), "", 2, 1),
        ((commit(1), commit(2, of="c0")), "", 3, 1),
        ((commit(1, of="c0"), commit(2, of="c0")), "1", 3, 1),
        ((commit(1, of="c0"), commit(2, of="c0")), "", 3, None),
        ((commit(4, of="c0"),), "9", 5, None),
    ],
)
def test_a_commit_descends_from_what_its_container_was_made_of(
    commits: tuple[CommitRecord, ...], label: str, number: int, parent: int | None
) -> None:
    plan = plan_commit(replace(COMMIT, commits=commits, container=container(Status.RUNNING, commit=label)), pause=True)
    assert (plan.number, plan.parent) == (number, parent)


def test_what_is_mounted_is_named_but_not_our_own_mount() -> None:
    mounts = (
        Mount(kind=MountKind.BIND, source="/src", target="/workspace"),
        Mount(kind=MountKind.BIND, source="/run/x", target="/run/bottle"),
        Mount(kind=MountKind.TMPFS, source="", target="/tmp"),
    )
    plan = plan_commit(replace(COMMIT, container=replace(container(Status.RUNNING), mounts=mounts)), pause=True)
    assert plan.left_out == ("/workspace (bind /src)", "/tmp (tmpfs)")


@pytest.mark.parametrize(
    ("facts", "error", "words"),
    [
        (replace(COMMIT, metadata=metadata(backend="smolmachines")), BackendUnsupported, "'smolmachines'"),
        (replace(COMMIT, tombstone=Tombstone(host="far.example", moved_at=NOON)), MovedAway, "far.example"),
        (replace(COMMIT, migration=MIGRATION), MovedAway, "far.example"),
        (replace(COMMIT, container=None, runtime=None), NotFound, "no container"),
        (replace(COMMIT, runtime=Runtime(name="runsc")), PreflightRefused, "runsc"),
        (replace(COMMIT, changes=(Change(ChangeKind.ADDED, "/x/.wh.foo"),)), PreflightRefused, "/x/.wh.foo"),
        (replace(COMMIT, base=image(*map(str, range(DEEPEST)))), PreflightRefused, "125 layers"),
        (replace(COMMIT, size=11, free=10), PreflightRefused, "11 B"),
    ],
)
def test_what_cannot_be_committed_is_refused_and_says_why(
    facts: CommitFacts, error: type[BottleError], words: str
) -> None:
    with pytest.raises(error) as caught:
        plan_commit(facts, pause=True)
    assert words in caught.value.what
    assert caught.value.left
    assert caught.value.next_step or error is BackendUnsupported


@given(st.sampled_from(ChangeKind), st.sampled_from(["/a", "/.whx", "/wh.x", "/a.wh.x", "/.wh.x", "/d/.wh..wh.opq"]))
def test_only_names_that_docker_would_take_for_deletions_are_refused(kind: ChangeKind, path: str) -> None:
    refused = kind is not ChangeKind.DELETED and "/.wh." in path
    try:
        plan_commit(replace(COMMIT, changes=(Change(kind, path),)), pause=True)
    except PreflightRefused:
        assert refused
    else:
        assert not refused
