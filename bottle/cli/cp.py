"""`bottle cp`."""

import sys

import click

from bottle.cli.completion import places
from bottle.cli.output import JSON, answer, note, raw
from bottle.cli.shared import answering, make_context
from bottle.errors import UsageError
from bottle.operations import Context, Copied, copy_in, copy_out, pack_out, unpack_in
from bottle.store.state import BottleState

_STREAM = "-"


@click.command("cp")
@click.argument("source", metavar="SRC", shell_complete=places)
@click.argument("target", metavar="DEST", shell_complete=places)
@click.option("-a", "--archive", is_flag=True, help="Keep who it belongs to; out of a bottle, only root can.")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Copy what SRC leads to, where it is a link.")
@answering
def cp(source: str, target: str, *, archive: bool, follow: bool, form: str) -> None:
    """Copy files into a bottle, or out of one: SRC or DEST is IDENTITY:PATH, and the other a path here.

    It need not run. What is copied in belongs to the agent's user, and what is copied out to you. PATH begins at the
    bottle's root. Onto a folder it goes into it, by its own name; of `DIR/.` only what is in it does. A `-` is a tar on
    stdin or stdout, which keeps its owners. Out of a bottle without a container, its last commit is read.

    \b
    Example:
      bottle cp notes.md claude-x7k2p:/workspace/
      bottle cp claude-x7k2p:/workspace/build ./build
      bottle cp claude-x7k2p:/home/agent/.claude - | tar t

    Exit codes that matter: 2 usage, 3 no such bottle, container or path, 4 locked or moved, 5 Docker; 7 what came out
    is no whole tar, or does not fit what is there.
    """
    inside, outside = _bottle_path(target), _bottle_path(source)
    if (inside is None) == (outside is None):
        raise UsageError("one of SRC and DEST is expected to be IDENTITY:PATH", next_step="bottle cp --help")
    context = make_context()
    if inside is not None:
        state = context.home.find(inside[0])
        copied = _copied_in(context, state, source, inside[1], archive=archive, follow=follow)
        where = f"{state.identity}:{copied.place}"
    else:
        assert outside is not None  # one of them is there
        state = context.home.find(outside[0])
        if target == _STREAM:
            _require_pipe(form)
            for chunk in pack_out(context, state, outside[1], follow=follow):
                raw(chunk)
            return
        copied = copy_out(context, state, outside[1], target, archive=archive, follow=follow)
        where = copied.place
    if copied.commit is not None:
        note(f"note: read from commit {copied.commit}, without what is mounted: {state.identity} has no container")
    document = {"identity": str(state.identity), "source": source, "place": copied.place, "commit": copied.commit}
    answer(form, document, [f"copied to {where}"])


def _copied_in(context: Context, state: BottleState, source: str, place: str, *, archive: bool, follow: bool) -> Copied:
    if source == _STREAM:
        return unpack_in(context, state, sys.stdin.buffer, place)
    return copy_in(context, state, source, place, archive=archive, follow=follow)


def _bottle_path(text: str) -> tuple[str, str] | None:
    """The identity and the path of `IDENTITY:PATH`; None for a path of this host, also one like `./a:b`."""
    identity, colon, path = text.partition(":")
    if not colon or not identity or "/" in identity or identity == ".":
        return None
    return identity, path or "/"


def _require_pipe(form: str) -> None:
    if form == JSON:
        raise UsageError("a tar on stdout leaves no room for a JSON document", next_step="leave one out")
    if sys.stdout.isatty():
        raise UsageError("a tar is nothing for a terminal", next_step="bottle cp … - | tar t")
