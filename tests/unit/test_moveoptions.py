"""What is asked of a move, and the words that say it: both commands read back what was meant."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from hypothesis import given, strategies as st

from bottle.cli.migrate import migrate
from bottle.cli.send import send_over_stdio
from bottle.moveoptions import JOBS, MoveOptions

NAMES = {"yes": "consent"}
OPTIONS = st.builds(
    MoveOptions,
    keep=st.booleans(),
    history=st.booleans(),
    resume=st.booleans(),
    workspace=st.none() | st.sampled_from(["/srv/x", "-y", "--keep", "a b", "=x"]).map(Path),
    allow_secrets=st.booleans(),
    consent=st.booleans(),
    jobs=st.integers(1, 16),
    rate=st.none() | st.integers(1, 1 << 40),
)


def read(command: click.Command, options: MoveOptions) -> dict[str, object]:
    """What a command makes of the words, by the names of the options."""
    words = [*options.to_argv(), *(("--host=a", "--host-id=b") if command is send_over_stdio else ()), "--", "x"]
    values = command.make_context("command", words).params
    return {NAMES.get(name, name): value for name, value in values.items()}


@pytest.mark.parametrize("command", [migrate, send_over_stdio])
@given(options=OPTIONS)
def test_what_is_said_is_what_is_meant(command: click.Command, options: MoveOptions) -> None:
    names = ["keep", "workspace", "allow_secrets", "consent", "jobs", "rate"]
    if command is migrate:
        names.append("resume")
    else:
        options = MoveOptions(**{name: getattr(options, name) for name in names})
    values = read(command, options)
    assert {name: values[name] for name in names} == {name: getattr(options, name) for name in names}


def test_keys_are_said(tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    options = MoveOptions(keys=(key,))
    assert options.to_argv() == ("-i", str(key))


def test_what_decides_only_how_fast_can_be_left_out() -> None:
    assert MoveOptions(keep=True, jobs=JOBS + 1, rate=5).unhurried.to_argv() == ("--keep",)
    assert MoveOptions().to_argv() == ()
