"""`bottle stop` and `bottle rm`."""

import click

from bottle.cli.completion import identities
from bottle.cli.output import answer, confirmed, note, on_terminal
from bottle.cli.shared import choose, command, format_option, make_context
from bottle.copies import named_commits
from bottle.errors import NeedsConsent
from bottle.operations import Removed
from bottle.operations import remove as delete
from bottle.operations import stop as end
from bottle.words import counted


@click.command()
@click.argument("identity", required=False, shell_complete=identities)
@click.option("--grace", type=click.IntRange(0), default=10, show_default=True, help="Seconds before it is killed.")
@format_option
@command
def stop(identity: str | None, grace: int, form: str) -> None:
    """End a bottle's processes and save its transcript. The container and its work stay.

    Of a bottle that moved away, the container that it left here is ended, if it runs.

    \b
    Example:
      bottle stop claude-x7k2p

    Exit codes that matter: 3 no such bottle, 4 locked or moved, 5 Docker.
    """
    context = make_context()
    stopped = end(context, choose(context, identity, "stopped"), grace=grace)
    for line in stopped.notes:
        note(f"WARNING: {line}")
    document = {
        "identity": str(stopped.identity),
        "was_running": stopped.was_running,
        "exit_code": stopped.exit_code,
        "notes": list(stopped.notes),
        "moved_to": stopped.moved_to,
    }
    verb = "stopped" if stopped.was_running else "was stopped already"
    if stopped.moved_to is not None:
        lines = [f"the container that {stopped.identity} left here {verb}; it lives on {stopped.moved_to}"]
        answer(form, document, [*lines, f"there:  bottle resume {stopped.identity}"])
        return
    answer(form, document, [f"{stopped.identity} {verb}", f"bring it back:  bottle resume {stopped.identity}"])


@click.command()
@click.argument("identity", shell_complete=identities)
@click.option("-y", "--yes", is_flag=True, help="Delete it though it holds the only copy of work.")
@format_option
@command
def rm(identity: str, yes: bool, form: str) -> None:
    """Delete a bottle: container, commits, volumes, transcript and state. Its workspace stays.

    What exists nowhere else goes only when you say so: all work of a bottle that lives here, and of one that moved to
    another host what did not go along, such as its other commits.

    \b
    Example:
      bottle rm claude-x7k2p

    Exit codes that matter: 3 no such bottle, 4 it runs, holds work and --yes was not said,
    is on its way here, or other containers stand on its images; 5 Docker.
    """
    context = make_context()
    state = context.home.find(identity)
    try:
        removed = delete(context, state, consent=yes)
    except NeedsConsent as exc:
        if not on_terminal():
            raise
        if exc.next_step:
            note(f"  {exc.next_step}")
        if not confirmed(f"{exc.what}. Delete it?"):
            raise
        removed = delete(context, state, consent=False, agreed=exc.parts)
    document = {
        "identity": str(removed.identity),
        "containers": list(removed.containers),
        "images": list(removed.images),
        "commits": list(removed.commits),
        "volumes": list(removed.volumes),
        "workspace": str(removed.workspace) if removed.workspace is not None else None,
        "moved_to": removed.moved_to,
    }
    answer(form, document, _removed_lines(removed))


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
