"""`bottle stop` and `bottle rm`."""

import click

from bottle import operations
from bottle.cli.aftermath import rm_interrupted, standing, stop_interrupted
from bottle.cli.completion import identities
from bottle.cli.forms import document_of
from bottle.cli.interruption import explained
from bottle.cli.output import confirmed, note, on_terminal
from bottle.cli.several import Done, one_by_one
from bottle.cli.shared import answering, choose, make_context, typed
from bottle.errors import NeedsConsent
from bottle.operations import Context, Removed
from bottle.plan.copies import named_commits
from bottle.store.state import BottleState
from bottle.words import counted


@click.command()
@click.argument("names", metavar="[IDENTITY]…", nargs=-1, shell_complete=identities)
@click.option("--grace", type=click.IntRange(0), default=10, show_default=True, help="Seconds before it is killed.")
@answering
def stop(names: tuple[str, ...], grace: int, form: str) -> None:
    """End a bottle's processes and save its transcript. The container and its work stay.

    Several are stopped one after the other; one that cannot be keeps no other from its turn.

    Of a bottle that moved away, the container that it left here is ended, if it runs.

    \b
    Example:
      bottle stop claude-x7k2p
      bottle stop $(bottle list -q --filter state=running)

    Exit codes that matter: 3 no such bottle, 4 locked or moved, 5 Docker.
    """
    context = make_context()
    names = names or (str(choose(context, None, "stopped").identity),)
    one_by_one(context.home, names, form, lambda state: _stop(context, state, grace=grace))


def _stop(context: Context, state: BottleState, *, grace: int) -> Done:
    with explained(lambda: stop_interrupted(standing(context, state), typed())):
        stopped = operations.stop(context, state, grace=grace)
        for line in stopped.notes:
            note(f"WARNING: {line}")
    document = document_of(stopped, "identity", "was_running", "exit_code", "notes", "moved_to")
    verb = "stopped" if stopped.was_running else "was stopped already"
    if stopped.moved_to is not None:
        lines = [f"the container that {stopped.identity} left here {verb}; it lives on {stopped.moved_to}"]
        return Done(document=document, lines=[*lines, f"there:  bottle resume {stopped.identity}"])
    lines = [f"{stopped.identity} {verb}", f"bring it back:  bottle resume {stopped.identity}"]
    return Done(document=document, lines=lines)


@click.command()
@click.argument("names", metavar="IDENTITY…", nargs=-1, required=True, shell_complete=identities)
@click.option("-y", "--yes", is_flag=True, help="Delete it though it holds the only copy of work.")
@answering
def rm(names: tuple[str, ...], yes: bool, form: str) -> None:
    """Delete a bottle: container, commits, volumes, transcript and state. Its workspace stays.

    What exists nowhere else goes only when you say so: all work of a bottle that lives here, and of one that moved to
    another host what did not go along, such as its other commits. Several are deleted one after the other; one that
    cannot be keeps no other from its turn.

    \b
    Example:
      bottle rm claude-x7k2p
      bottle rm claude-x7k2p codex-9d1zz --yes

    Exit codes that matter: 3 no such bottle, 4 it runs, holds work and --yes was not said,
    is on its way here, or other containers stand on its images; 5 Docker.
    """
    context = make_context()
    one_by_one(context.home, names, form, lambda state: _rm(context, state, yes=yes))


def _rm(context: Context, state: BottleState, *, yes: bool) -> Done:
    with explained(lambda: rm_interrupted(standing(context, state), typed())):
        removed = _delete(context, state, yes=yes)
        return Done(document=document_of(removed), lines=_removed_lines(removed))


def _delete(context: Context, state: BottleState, *, yes: bool) -> Removed:
    try:
        return operations.remove(context, state, consent=yes)
    except NeedsConsent as exc:
        if not on_terminal():
            raise
        if exc.next_step:
            note(f"  {exc.next_step}")
        if not confirmed(f"{exc.what}. Delete it?"):
            raise
        return operations.remove(context, state, consent=False, agreed=exc.parts)


def _removed_lines(removed: Removed) -> list[str]:
    built = [tag for tag in removed.images if tag in {removed.identity.rebuilt, removed.identity.trial}]
    gone = [counted(len(removed.containers), "container")] if removed.containers else []
    gone += [named_commits(removed.commits)] if removed.commits else []
    gone += [counted(len(built), "image") + " built for it"] if built else []
    gone += [counted(len(removed.volumes), "volume")] if removed.volumes else []
    here = "" if removed.moved_to is None else " from this host"
    lines = [f"{removed.identity} is gone{here}, with {', '.join([*gone, 'its state'])}"]
    lines += [f"  it lives on {removed.moved_to}"] if removed.moved_to is not None else []
    return [*lines, f"  its workspace stays: {removed.workspace}"] if removed.workspace is not None else lines
