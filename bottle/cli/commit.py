"""`bottle commit`."""

import logging

import click

from bottle import operations
from bottle.cli.aftermath import commit_interrupted, in_force, standing
from bottle.cli.completion import identities
from bottle.cli.forms import commit_document, document_of
from bottle.cli.interruption import explained
from bottle.cli.output import answer
from bottle.cli.shared import answering, choose, make_context, typed
from bottle.operations import Committed
from bottle.words import size


@click.command()
@click.argument("identity", required=False, shell_complete=identities)
@click.option("-m", "--message", default="", help="What this commit is.")
@click.option("--no-pause", is_flag=True, help="Do not hold the agent still; files it writes meanwhile may be missed.")
@answering
def commit(identity: str | None, message: str, no_pause: bool, form: str) -> None:
    """Freeze a bottle into an image that `bottle resume` brings it back from.

    \b
    Example:
      bottle commit claude-x7k2p -m "before the upgrade"

    Exit codes that matter: 3 no such bottle, 4 locked, moved or another backend, 5 Docker, 8 cannot be frozen.
    """
    context = make_context()
    state = choose(context, identity, "committed")
    before = in_force(state)
    with explained(lambda: commit_interrupted(standing(context, state), before, typed())):
        committed = operations.commit(context, state, message=message, pause=not no_pause)
        logging.getLogger("bottle").info("commit %d was made %s", committed.commit.number, committed.way)
        answer(form, _document(committed), _lines(committed))


def _document(committed: Committed) -> dict[str, object]:
    return {
        **document_of(committed, "identity", "adds", "dropped", "expired"),
        "commit": commit_document(committed.commit),
        "written": committed.size,
        "not_in_snapshot": list(committed.left_out),
        "folded": committed.squashed,
        "way": committed.way,
        "unchanged": committed.unchanged,
        "resume": committed.resume_line,
        "save": committed.save_line,
    }


def _lines(committed: Committed) -> list[str]:
    record = committed.commit
    added = f"{size(committed.size)} written" if committed.adds is None else f"adds {size(committed.adds)}"
    if committed.unchanged:
        added = "nothing has changed, so it has no layer of its own"
    lines = [f"commit {record.number} of {committed.identity}: {record.tag} ({added})"]
    lines += [f"  mounted, so not in the snapshot: {item}" for item in committed.left_out]
    lines += [f"  dropped: {item}" for item in committed.told]
    lines += [f"  commit {number} was let go, as the agent's `keep` says" for number in committed.expired]
    if committed.squashed:
        lines.append(f"  squashed {committed.squashed} layers of this bottle into one; base layers stay shared")
    return [*lines, f"bring it back:     {committed.resume_line}", f"carry it by hand:  {committed.save_line}"]
