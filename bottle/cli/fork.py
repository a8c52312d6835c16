"""`bottle fork`."""

from pathlib import Path

import click

from bottle import operations
from bottle.cli.aftermath import living, making_interrupted
from bottle.cli.completion import origins
from bottle.cli.forms import document_of
from bottle.cli.interruption import explained
from bottle.cli.output import answer, note
from bottle.cli.shared import answering, make_context, typed
from bottle.errors import UsageError
from bottle.operations import Forked, ForkRequest


@click.command()
@click.argument("origin", metavar="IDENTITY[@N]", shell_complete=origins)
@click.option(
    "--cwd",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder the fork works in, where the origin's is mounted. It is taken as it is.",
)
@click.option("--share-cwd", is_flag=True, help="Let the fork work in the origin's mounted folder, at the same time.")
@answering
def fork(origin: str, cwd: Path | None, share_cwd: bool, form: str) -> None:
    """Make a new bottle off a commit of IDENTITY: off commit N, or off the one in force.

    The fork has the filesystem and the transcript of that commit, and a copy of the volumes as they are now. IDENTITY
    goes on as it was. Where its workspace is mounted, say with --cwd or --share-cwd where the fork is to work: two
    agents in one folder overwrite each other's files. Give it a copy of the folder, no git worktree: the repository of
    that is elsewhere, where the agent cannot see it. Where it was copied in, the fork has a copy of its own.

    \b
    Example:
      cp -a . ../try-b && bottle fork claude-x7k2p --cwd ../try-b
      bottle fork claude-x7k2p@2 --share-cwd

    Exit codes that matter: 2 it was not said where the fork is to work, 3 no such bottle or commit, or its image is
    gone, 4 locked or moved, 5 Docker.
    """
    identity, at, number = origin.partition("@")
    if at and not (number.isascii() and number.isdigit()):
        raise UsageError(f"{origin!r}: expected the number of a commit after @, such as claude-x7k2p@2")
    context = make_context()
    state = context.home.find(identity)
    request = ForkRequest(at=int(number) if at else None, cwd=cwd, share_cwd=share_cwd)
    before = living(context.home)
    with explained(lambda: making_interrupted(context.home, before, typed(), noun="fork")):
        _tell(operations.fork(context, state, request), form)


def _tell(forked: Forked, form: str) -> None:
    if forked.shared is not None:
        note(
            f"WARNING: {forked.identity} and {forked.origin.identity} SHARE {forked.shared}: what one writes, both see"
        )
    for line in forked.notes:
        note(f"note: {line}")
    document = {
        **document_of(forked, "identity", "cwd", "volumes", "notes"),
        "copied_from": document_of(forked.origin),
        "tag": forked.commit.tag,
        "shared_cwd": forked.shared is not None,
        "resume": f"bottle resume {forked.identity}",
    }
    made = f"{forked.identity} was forked off commit {forked.origin.commit} of {forked.origin.identity}"
    answer(form, document, [made, f"start it:  bottle resume {forked.identity}"])
