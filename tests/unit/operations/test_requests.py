"""Capability requests on their way out of a bottle: what is taken in, what is answered, and what never counts."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from bottle.errors import EngineError
from bottle.launch import REQUESTS_MOUNT, is_ours
from bottle.model import RequestStatus
from bottle.operations import commit, end_session, resume, stop
from bottle.operations.requests import collect, publish
from bottle.plan.resume import ResumeRequest
from bottle.requests.request import MAX_DOCKERFILE, MAX_KEPT, MAX_OPEN, answer_to, digest_of
from bottle.store.state import BottleState
from bottle.testing.tree import FakeNode
from tests.support.world import AGENT, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def bottle(world: World) -> BottleState:
    return world.start()


def ask(world: World, bottle: BottleState, number: int, reason: str = "jq", dockerfile: str = "FROM a\n") -> None:
    """What request-capability writes."""
    for kind, text in (("reason", reason), ("Dockerfile", dockerfile), ("ready", "")):
        world.work(bottle, f"{REQUESTS_MOUNT}/{number}.{kind}", text.encode())


def answer(world: World, bottle: BottleState, number: int) -> str:
    return (world.runtime / str(bottle.identity) / "answers" / str(number)).read_text()


def test_a_request_is_taken_in_once_and_seen_as_pending(world: World, bottle: BottleState) -> None:
    assert collect(world.context, bottle) == ()
    ask(world, bottle, 2, dockerfile="FROM b")
    ask(world, bottle, 1)
    found = collect(world.context, bottle)
    assert [(each.number, each.reason, each.dockerfile, each.status) for each in found] == [
        (1, "jq", "FROM a\n", RequestStatus.PENDING),
        (2, "jq", "FROM b", RequestStatus.PENDING),
    ]
    assert found[0].digest == digest_of("jq", "FROM a\n")
    assert bottle.requests() == found
    assert collect(world.context, bottle) == found
    assert answer(world, bottle, 1) == "pending\n"


def test_one_that_is_being_written_is_none_yet(world: World, bottle: BottleState) -> None:
    world.work(bottle, f"{REQUESTS_MOUNT}/1.reason", b"jq")
    world.work(bottle, f"{REQUESTS_MOUNT}/1.Dockerfile", b"FROM")
    assert collect(world.context, bottle) == ()


def test_a_pending_one_may_change_and_its_old_digest_is_remembered(world: World, bottle: BottleState) -> None:
    ask(world, bottle, 1)
    (first,) = collect(world.context, bottle)
    ask(world, bottle, 1, dockerfile="FROM worse\n")
    (second,) = collect(world.context, bottle)
    assert (second.dockerfile, second.superseded) == ("FROM worse\n", (first.digest,))
    ask(world, bottle, 1)
    (third,) = collect(world.context, bottle)
    assert (third.digest, third.superseded) == (first.digest, (second.digest,))


def test_one_that_changes_too_often_is_denied_and_none_of_its_digests_forgotten(
    world: World, bottle: BottleState
) -> None:
    digests = []
    for turn in range(60):
        ask(world, bottle, 1, dockerfile=f"FROM {turn}\n")
        (last,) = collect(world.context, bottle)
        digests += [last.digest] if last.digest not in digests else []
    assert last.status is RequestStatus.DENIED
    assert (last.digest, last.superseded) == (digests[-1], tuple(digests[:-1]))
    assert len(digests) == 51
    assert answer(world, bottle, 1) == "denied\nit was changed 50 times; ask anew, under another number\n"


@pytest.mark.parametrize("status", [RequestStatus.APPROVING, RequestStatus.APPROVED, RequestStatus.DENIED])
def test_a_decided_one_stays_what_was_decided(world: World, bottle: BottleState, status: RequestStatus) -> None:
    ask(world, bottle, 1)
    (request,) = collect(world.context, bottle)
    decided = replace(request, status=status, note="as you\nlike")
    bottle.write_request(decided)
    publish(world.context, bottle.identity, decided)
    ask(world, bottle, 1, dockerfile="FROM worse\n")
    assert collect(world.context, bottle) == (decided,)
    word = "denied" if status is RequestStatus.DENIED else "approved"
    assert answer(world, bottle, 1) == f"{word}\nas you\nlike\n"


@pytest.mark.parametrize(
    ("name", "node", "flaw"),
    [
        (
            "1.Dockerfile",
            FakeNode(data=b"#" * (MAX_DOCKERFILE + 1)),
            "Dockerfile has 262145 bytes, and 262144 are allowed",
        ),
        ("1.reason", FakeNode(data=b"r" * 4097), "reason has 4097 bytes"),
        ("1.Dockerfile", FakeNode(data=b"FROM \xff"), "Dockerfile is not UTF-8"),
        ("1.Dockerfile", FakeNode(data=b" \n"), "Dockerfile is empty"),
        ("1.Dockerfile", FakeNode(type=tarfile.SYMTYPE, target="/etc/shadow"), "Dockerfile is no regular file"),
        ("1.reason", FakeNode(type=tarfile.FIFOTYPE), "reason is no regular file"),
        ("1.reason", FakeNode(type=tarfile.DIRTYPE), "reason is no regular file"),
        ("1.ready", FakeNode(type=tarfile.SYMTYPE, target="1.reason"), "ready is no regular file"),
        ("1.reason", None, "reason is missing"),
    ],
)
def test_what_is_no_request_is_denied_and_told_why(
    world: World, bottle: BottleState, name: str, node: FakeNode | None, flaw: str
) -> None:
    ask(world, bottle, 1)
    if node is None:
        world.engine.erase(bottle.identity.container, f"{REQUESTS_MOUNT}/{name}")
    else:
        world.engine.write(bottle.identity.container, f"{REQUESTS_MOUNT}/{name}", node=node)
    (request,) = collect(world.context, bottle)
    assert (request.status, request.dockerfile) == (RequestStatus.DENIED, "")
    assert flaw in request.note
    assert answer(world, bottle, 1).startswith("denied\nnot a request that can be decided: ")
    ask(world, bottle, 1)
    assert collect(world.context, bottle) == (request,)


@pytest.mark.parametrize(
    "name", ["0.ready", "01.ready", "1234567890.ready", "1.ready.x", "sub/1.ready", "-1.ready", "x"]
)
def test_other_names_are_passed_over(world: World, bottle: BottleState, name: str) -> None:
    world.work(bottle, f"{REQUESTS_MOUNT}/{name}", b"")
    assert collect(world.context, bottle) == ()
    assert world.progress.notes == []


def test_no_more_than_some_are_open_at_a_time(world: World, bottle: BottleState) -> None:
    for number in range(1, MAX_OPEN + 4):
        ask(world, bottle, number)
    found = collect(world.context, bottle)
    assert [each.number for each in found] == list(range(1, MAX_OPEN + 1))
    assert any("3 more requests stay in the bottle" in note for note in world.progress.notes)
    bottle.write_request(replace(found[0], status=RequestStatus.DENIED))
    assert len(collect(world.context, bottle)) == MAX_OPEN + 1


def test_a_stop_and_a_commit_take_in_all_as_what_only_the_volume_holds_does_not_travel(
    world: World, bottle: BottleState
) -> None:
    for number in range(1, MAX_OPEN + 4):
        ask(world, bottle, number)
    commit(world.context, bottle)
    assert len(bottle.requests()) == MAX_OPEN + 3
    ask(world, bottle, MAX_OPEN + 4)
    stop(world.context, bottle)
    assert len(bottle.requests()) == MAX_OPEN + 4


def test_no_more_than_some_are_ever_kept(world: World, bottle: BottleState) -> None:
    for number in range(1, MAX_KEPT + 3):
        ask(world, bottle, number, dockerfile="")
    assert len(collect(world.context, bottle)) == MAX_KEPT
    assert any("2 more requests are ignored" in note for note in world.progress.notes)


def test_a_folder_that_is_too_full_is_read_in_part(world: World, bottle: BottleState) -> None:
    ask(world, bottle, 1)
    for number in range(1000):
        world.work(bottle, f"{REQUESTS_MOUNT}/junk{number}", b"")
    assert [each.number for each in collect(world.context, bottle)] == [1]
    assert any("holds too much" in note for note in world.progress.notes)


def test_a_file_that_is_too_long_to_be_read_hides_what_came_before_it_from_nobody(
    world: World, bottle: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bottle.requests.folder.MAX_STREAM", 100_000)
    ask(world, bottle, 1)
    ask(world, bottle, 2)
    world.work(bottle, f"{REQUESTS_MOUNT}/2.Dockerfile", b"x" * 200_000)
    assert [each.number for each in collect(world.context, bottle)] == [1]
    assert any("holds too much" in note for note in world.progress.notes)


def test_a_torn_folder_counts_as_far_as_it_goes(world: World, bottle: BottleState) -> None:
    ask(world, bottle, 1)
    world.work(bottle, f"{REQUESTS_MOUNT}/2.Dockerfile", b"x" * 200_000)
    world.engine.fail_next("read_archive", tarfile.ReadError("torn"), after_bytes=65536)
    assert [each.number for each in collect(world.context, bottle)] == [1]


def test_they_outlive_the_container(world: World, bottle: BottleState) -> None:
    ask(world, bottle, 1)
    stop(world.context, bottle)
    ask(world, bottle, 2)
    commit(world.context, bottle)
    ask(world, bottle, 3)
    end_session(world.context, bottle, remove=False)
    world.lose_container(bottle)
    assert [each.number for each in collect(world.context, bottle)] == [1, 2, 3]


def test_answers_are_there_again_after_a_reboot(world: World, bottle: BottleState) -> None:
    ask(world, bottle, 1)
    stop(world.context, bottle)
    commit(world.context, bottle)
    folder = world.runtime / str(bottle.identity)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
    (request,) = collect(world.context, bottle)
    assert (folder / "requests").is_dir()
    resume(world.context, bottle, ResumeRequest())
    assert answer(world, bottle, 1) == answer_to(request)


def test_trouble_with_requests_costs_no_stop_and_no_commit(world: World, bottle: BottleState) -> None:
    world.engine.fail_next("read_archive", EngineError("broke"))
    assert any("broke" in note for note in stop(world.context, bottle).notes)
    (bottle.path / "requests").mkdir()
    (bottle.path / "requests" / "1.json").write_text("{")
    assert commit(world.context, bottle).commit.number == 1
    assert any("could not be taken in" in note for note in world.progress.notes)
    assert resume(world.context, bottle, ResumeRequest()).running


def test_a_container_of_an_older_version_has_no_requests(world: World, bottle: BottleState) -> None:
    container = world.engine._container(bottle.identity.container)
    container.mounts = tuple(mount for mount in container.mounts if not is_ours(mount))
    world.runtime.joinpath(str(bottle.identity)).rename(world.folder / "elsewhere")
    assert collect(world.context, bottle) == ()
    stop(world.context, bottle)
    assert resume(world.context, bottle, ResumeRequest()).running


def test_the_secrets_of_a_container_that_is_about_to_start_stay(world: World) -> None:
    world.environ["TOKEN"] = "hunter2"
    bottle = world.start(replace(AGENT, secrets=("TOKEN",)))
    container = world.engine._container(bottle.identity.container)
    container.status = type(container.status).CREATED
    collect(world.context, bottle)
    assert b"hunter2" in (world.runtime / str(bottle.identity) / "secrets").read_bytes()
