"""What wants a yes: what a bottle takes along, leaves behind, or would be given. All commands ask in the same way."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from bottle.agent.admission import LONGEST_DEMAND, Agree
from bottle.agent.manifest import find_manifest, read_manifest
from bottle.cli.output import confirmed, note, on_terminal
from bottle.errors import BottleError, NeedsConsent
from bottle.operations import Context
from bottle.store.state import BottleState
from bottle.text import printable

T = TypeVar("T")

yes_option = click.option(
    "-y", "--yes", is_flag=True, help="Let a bottle that comes from elsewhere have what it would be given here."
)
allow_secrets_option = click.option(
    "--allow-secrets", is_flag=True, help="Let credentials go along that are found in the image."
)


def consenting(act: Callable[[bool], T], *, yes: bool) -> T:
    """What `act` answers. It is told whether there is consent; on a terminal that is asked for. Raises NeedsConsent."""
    try:
        return act(yes)
    except NeedsConsent as exc:
        if not on_terminal():
            raise
        note(exc.what)
        if not confirmed("Go on?"):
            raise
        return act(True)


def agreement(*, yes: bool, left: str) -> Agree:
    """Tells, however quiet the command is, and asks where a person sits; elsewhere only `yes` is a yes.

    Where nobody can be asked, the refusal lists what it is about, and here nothing is said. `left` is what is so after
    a no, to who has read the list.
    """

    def agree(asked: tuple[str, ...]) -> bool:
        if not yes and not on_terminal():
            return False
        for each in asked:
            note(f"resumed here, it would be given: {printable(each, LONGEST_DEMAND)}")
        if not yes and not confirmed("Let it have that?"):
            raise NeedsConsent(
                "nobody agreed to that", left=left, next_step="if it may have that: the same command again"
            )
        return True

    return agree


def carried(context: Context, state: BottleState) -> tuple[str, ...]:
    """What the manifest says now that the bottle's agent may carry; it may have been edited since the launch."""
    try:
        path = find_manifest(Path.cwd(), context.home.path)
    except BottleError:
        return ()  # there is none
    try:
        manifest = read_manifest(path)
    except BottleError as exc:
        context.progress.note(f"what {path} says of `carry` does not count, as it cannot be read: {exc.what}")
        return ()
    agent = manifest.agents.get(state.identity.agent)
    return agent.carry if agent is not None else ()  # what was in it at the launch counts in any case
