"""What the owner of a bottle reports, as it is told on the host that pulls it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bottle.errors import PreflightRefused
from bottle.naming import Identity
from migrate.move import Moved
from migrate.perspective import told_from_here
from migrate.report import error_from_json, error_to_json, moved_from_json, moved_to_json

ADVICE = {
    "": "",
    "bottle doctor": "on far: bottle doctor",
    "the same command again": "the same command again",
    "edit bottle.toml; then the same command; or to stay on this host: bottle resume demo-abc12": (
        "on far: edit bottle.toml; then the same command here; or to stay on far: bottle resume demo-abc12"
    ),
    "bottle doctor puller": "bottle doctor",
    "there: sudo usermod -aG docker $USER": "sudo usermod -aG docker $USER",
    "free space there: docker system df; df -h /there/x": "free space here: docker system df; df -h /there/x",
    "the same command with --workspace DIR, a folder there that is new": (
        "the same command with --workspace DIR, a folder here that is new"
    ),
    "put it back here, or: mkdir -p /here": "on far: put it back there, or: mkdir -p /here",
}
SAID = {
    "secret TOKEN: taken from the environment there": "secret TOKEN: taken from the environment here",
    "network corp: it must exist there": "network corp: it must exist here",
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


@pytest.mark.parametrize("said", SAID)
def test_what_is_there_for_the_owner_is_here_for_who_pulls(said: str) -> None:
    assert told_from_here(said, "far") == SAID[said]


def test_a_move_is_told_with_all_that_it_left_behind() -> None:
    moved = Moved(
        identity=Identity.parse("demo-abc12"),
        arrived_as=Identity.parse("demo-abc12"),
        host="far",
        commit=1,
        workspace="/work",
        staged=1,
        skipped=("a socket",),
        stays=("a bind",),
        missing_there=("a secret",),
        along=("a key",),
        dropped=("an ACL",),
        carried=("a worktree",),
        left_behind=("a link",),
    )
    assert moved_from_json(moved_to_json(moved), "far") == moved
    newer = {"dropped", "carried", "left_behind"}
    older = moved_from_json({key: value for key, value in moved_to_json(moved).items() if key not in newer}, "far")
    assert older == replace(moved, dropped=(), carried=(), left_behind=())
