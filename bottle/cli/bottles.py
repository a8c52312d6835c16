"""`bottle list`, `bottle stop` and `bottle rm`."""

import click

from bottle.cli.completion import identities
from bottle.cli.output import age, answer, confirmed, note, on_terminal, size, table
from bottle.cli.shared import choose, command, format_option, make_context
from bottle.copies import counted, named_commits
from bottle.errors import NeedsConsent
from bottle.operations import BottleView, Removed, list_bottles
from bottle.operations import remove as delete
from bottle.operations import stop as end


@click.command("list")
@click.option("-a", "--all", "everything", is_flag=True, help="Bottles with no container too.")
@format_option
@command
def list_command(everything: bool, form: str) -> None:
    """Show the bottles that are here.

    SIZE is what a bottle's commits add to the image its agent began with, and would be free without it; SHARED is
    what they stand on together with others.

    \b
    Example:
      bottle list -a

    Exit codes that matter: 5 Docker.
    """
    views = list_bottles(make_context(), everything=everything)
    header = ("IDENTITY", "STATE", "STARTED", "COMMIT", "COMMITTED", "SIZE", "SHARED", "")
    lines = table(header, [_row(view) for view in views])
    answer(form, {"bottles": [_document(view) for view in views]}, lines)


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


def _row(view: BottleView) -> tuple[str, ...]:
    commit = str(view.commit) if view.commit is not None else "-"
    own, shared = (size(view.weight.own), size(view.weight.shared)) if view.weight is not None else ("-", "-")
    return (
        str(view.identity),
        view.state,
        age(view.started_at),
        commit,
        age(view.committed_at),
        own,
        shared,
        view.detail,
    )


def _document(view: BottleView) -> dict[str, object]:
    return {
        "identity": str(view.identity),
        "agent": view.agent,
        "state": view.state,
        "detail": view.detail,
        "started_at": view.started_at.isoformat() if view.started_at else None,
        "commit": view.commit,
        "committed_at": view.committed_at.isoformat() if view.committed_at else None,
        "preserved": view.preserved,
        "bytes": {"own": view.weight.own, "shared": view.weight.shared} if view.weight is not None else None,
        "moved_to": view.moved_to,
        "runs_here": view.runs_here,
        "requests": view.requests,
        "rebuild_due": view.rebuild_due,
    }
