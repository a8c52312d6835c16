"""`bottle diff`."""

import click

from bottle import operations
from bottle.cli.completion import identities, versions as known_versions
from bottle.cli.forms import document_of
from bottle.cli.output import Shown, answer, note, table
from bottle.cli.shared import answering, choose, make_context
from bottle.cli.table import Cell, Coloured
from bottle.diff.stack import Difference
from bottle.diff.summary import Summary, by_folder, summed
from bottle.diff.thing import Kind, Thing
from bottle.errors import UsageError
from bottle.launch import is_below
from bottle.operations import Compared, Context, FileCompared
from bottle.store.state import BottleState
from bottle.text import encodable, printable
from bottle.words import counted, size

_COLOURS = {"added": "green", "changed": "yellow", "removed": "red"}
_OF_LINES = {"+": "green", "-": "red", "@": "cyan"}
_SHOWN = 5


@click.command("diff")
@click.argument("identity", required=False, shell_complete=identities)
@click.argument("versions", metavar="[A] [B]", nargs=-1, shell_complete=known_versions)
@click.option("--stat", is_flag=True, help="Only how much differs, folder by folder.")
@click.option("--path", metavar="PATH", help="Only what is there: of a file its lines, of a folder what is in it.")
@answering
def diff(identity: str | None, versions: tuple[str, ...], *, stat: bool, path: str | None, form: str) -> None:
    """Show what a bottle changed: since its last commit, since A, or from A to B.

    A and B are numbers of commits, `image` for the image that the bottle began with, or `now` for its work as it is.
    Without B it is up to now. A bottle without a container has no more than its commits: without A, what the last one
    changed is shown, and with it all from there to the last one.

    What counts is what is at a path (file, folder, link, fifo, device), its content, mode and owner, and where a link
    leads; times and extended attributes do not. What is mounted, as the workspace may be, is in no commit, and is left
    out; so are sockets. Nothing is changed, and an agent that runs goes on: what it writes meanwhile may be shown or
    not. SIZE is that of files, WAS what it was.

    \b
    Example:
      bottle diff claude-x7k2p
      bottle diff claude-x7k2p image --stat
      bottle diff claude-x7k2p 2 3
      bottle diff claude-x7k2p 2 --path /etc/hosts

    Exit codes that matter: 2 no such version, 3 no such bottle, commit or path, or its image is gone, 5 Docker.
    """
    if stat and path is not None:
        raise UsageError("--stat and --path say two things")
    if len(versions) > 2:
        raise UsageError("at most two versions can be compared")
    context = make_context()
    state = choose(context, identity, "compared")
    if path is None:
        _tell(operations.compare(context, state, versions), form, stat=stat)
    else:
        _tell_of_path(context, state, versions, path, form)


def _tell(found: Compared, form: str, *, stat: bool, below: str = "/") -> None:
    shown = [each for each in found.differences if is_below(each.path, below)]
    total = summed(shown)
    unanswered = [path for path in found.unanswered if is_below(path, below)]
    if unanswered:
        names = ", ".join(printable(path) for path in unanswered[:_SHOWN])
        note(f"note: nobody could say what is at {counted(len(unanswered), 'path')} now: {names}")
    document = {
        "identity": str(found.identity),
        **_versions(found),
        "summary": document_of(total),
        "folders": [{"path": folder, **document_of(each)} for folder, each in by_folder(shown).items()],
        "unanswered": unanswered,
    }
    if not stat:
        document["changes"] = [_document(each) for each in shown]
    answer(form, document, _lines(found, shown, total, stat=stat))


def _lines(found: Compared, shown: list[Difference], total: Summary, *, stat: bool) -> list[Shown]:
    between = f"{found.before.described} and {found.after.described}"
    if not shown:
        return [f"nothing differs in {found.identity} between {between}"]
    if stat:
        columns: tuple[str, ...] = ("FOLDER", "ADDED", "CHANGED", "REMOVED", "NEW", "GONE")
        rows: list[tuple[Cell, ...]] = [_folder_row(folder, each) for folder, each in by_folder(shown).items()]
    else:
        columns = ("CHANGE", "WHAT", "SIZE", "WAS", "PATH", "NOTE")
        rows = [_row(each) for each in shown]
    numbers = f"{total.added} added, {total.changed} changed, {total.removed} removed"
    return [
        *table(columns, rows),
        f"{found.identity}, {found.before.described} to {found.after.described}: {numbers}; "
        f"{size(total.gained)} new, {size(total.lost)} gone",
    ]


def _folder_row(folder: str, each: Summary) -> tuple[Cell, ...]:
    return (folder, str(each.added), str(each.changed), str(each.removed), size(each.gained), size(each.lost))


def _row(each: Difference) -> tuple[Cell, ...]:
    kinds = dict.fromkeys(thing.kind.value for thing in (each.before, each.after) if thing is not None)
    return (
        Coloured(each.change, _COLOURS[each.change]),
        " to ".join(kinds),
        _size(each.after),
        _size(each.before) if each.change != "added" else "",
        each.path,
        _note(each.before, each.after),
    )


def _size(thing: Thing | None) -> str:
    return size(thing.size) if thing is not None and thing.kind is Kind.FILE else ""


def _note(before: Thing | None, after: Thing | None) -> str:
    """What else there is to say."""
    if after is None:
        return ""
    if before is None or before.kind is not after.kind:
        return f"leads to {after.link}" if after.kind is Kind.LINK else ""
    said = []
    if before.link != after.link:
        said.append(f"leads to {after.link}, was {before.link}")
    if before.mode != after.mode:
        said.append(f"mode {before.mode:04o} to {after.mode:04o}")
    if (before.uid, before.gid) != (after.uid, after.gid):
        said.append(f"owner {before.uid}:{before.gid} to {after.uid}:{after.gid}")
    if before.device != after.device:
        said.append("another device")
    return ", ".join(said)


def _tell_of_path(context: Context, state: BottleState, versions: tuple[str, ...], path: str, form: str) -> None:
    found = operations.compare_file(context, state, versions, path)
    if found.is_folder:
        _tell(operations.compare(context, state, versions), form, stat=False, below=found.difference.path)
        return
    each = found.difference
    document = {
        "identity": str(found.identity),
        **_versions(found),
        **_document(each),
        "change": "none" if found.is_same else each.change,
        "lines": [encodable(line) for line in found.lines] if found.lines is not None else None,
        "why_no_lines": found.why or None,
    }
    answer(form, document, _of_file(found))


def _of_file(found: FileCompared) -> list[Shown]:
    each = found.difference
    between = f"{found.before.described} and {found.after.described}"
    if found.is_same:
        return [f"{each.path} of {found.identity} is the same in {between}"]
    noted = _note(each.before, each.after)
    said: list[Shown] = [f"{each.path} was {each.change} between {between}{f': {noted}' if noted else ''}"]
    if found.lines is None:
        sizes = [_size(thing) for thing in (each.before, each.after) if thing is not None]
        return [*said, f"{found.why}: {', then '.join(filter(None, sizes))}"]
    return [*said, *(Coloured(line, _OF_LINES.get(line[:1])) for line in found.lines)]


def _versions(found: Compared | FileCompared) -> dict[str, object]:
    """As they are typed."""
    return {"from": str(found.before), "to": str(found.after)}


def _document(each: Difference) -> dict[str, object]:
    return {
        **document_of(each, "path", "change", "content"),
        "before": _thing(each.before),
        "after": _thing(each.after),
    }


def _thing(thing: Thing | None) -> dict[str, object] | None:
    if thing is None:
        return None
    return {**document_of(thing, "kind", "size", "uid", "gid"), "mode": f"{thing.mode:04o}", "link": thing.link or None}
