"""`bottle takeover`."""

from contextlib import suppress

import click

from bottle.cli.completion import identities
from bottle.cli.forms import document_of
from bottle.cli.output import answer
from bottle.cli.shared import answering, choose, make_context
from bottle.errors import InvalidIdentity
from bottle.naming import Identity
from bottle.operations import Context, TakenOver, take_over
from bottle.words import elapsed


@click.command()
@click.argument("identity", shell_complete=identities)
@answering
def takeover(identity: str, form: str) -> None:
    """Make this host the owner of a bottle that it stands by for, where the one that has it is lost.

    What that host did after the last round of `bottle standby` is not here. When it comes back, it asks before it
    resumes the bottle, finds that this one owns it, and keeps what is newer there as a bottle of its own.

    \b
    Example:
      bottle takeover claude-x7k2p
      bottle resume claude-x7k2p

    Exit codes that matter: 3 no such bottle, or its image is gone; 4 it is no standby, or locked by a round.
    """
    context = make_context()
    _put_back(context, identity)
    state = choose(context, identity, "taken over")
    taken = take_over(context, state)
    document = {**document_of(taken, "identity", "former", "as_of", "commit", "generation")}
    answer(form, {**document, "resume": f"bottle resume {taken.identity}"}, _lines(taken))


def _put_back(context: Context, word: str) -> None:
    """Where a round was cut between two states, have the older one in its place."""
    with suppress(InvalidIdentity):
        identity = Identity.parse(word)
        if context.home.has_replaced(identity):
            from migrate import put_back_here  # noqa: PLC0415  (seldom needed, and takes long to load)

            put_back_here(context, identity)


def _lines(taken: TakenOver) -> list[str]:
    since = f"commit {taken.commit}, as of {taken.as_of:%Y-%m-%d %H:%M} UTC by the clock of {taken.former}"
    since += f", {elapsed(taken.as_of)} ago by the one here"
    return [
        f"this host owns {taken.identity} now ({since})",
        f"  what was done on {taken.former} after that is there only",
        f"bottle resume {taken.identity}",
    ]
