"""What the owner of a bottle reports, as it is told on the host that pulls it."""

from __future__ import annotations

import pytest

from bottle.errors import PreflightRefused
from bottle.naming import Identity
from migrate.move import Moved
from migrate.report import error_from_json, error_to_json, moved_from_json, moved_to_json

ADVICE = {
    "": "",
    "bottle doctor": "on far: bottle doctor",
    "the same command again": "the same command again",
    "edit bottle.toml; then the same command; or to stay on this host: bottle resume demo-abc12": (
        "on far: edit bottle.toml; then the same command here; or to stay on far: bottle resume demo-abc12"
    ),
}


@pytest.mark.parametrize("advice", ADVICE)
def test_advice_says_on_which_host_it_is_to_be_typed(advice: str) -> None:
    told = error_from_json(error_to_json(PreflightRefused("no", left="this host has it", next_step=advice)), "far")
    assert isinstance(told, PreflightRefused)
    assert (told.what, told.left, told.next_step) == ("far: no", "far has it", ADVICE[advice])


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
    )
    assert moved_from_json(moved_to_json(moved)) == moved
    older = {key: value for key, value in moved_to_json(moved).items() if key != "dropped"}
    assert moved_from_json(older).dropped == ()
