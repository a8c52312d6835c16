"""`bottle inspect` and `bottle history`."""

import click

from bottle import operations
from bottle.cli.completion import identities
from bottle.cli.forms import commit_document, document_of, metadata_document, mount_document
from bottle.cli.output import Shown, answer, table
from bottle.cli.shared import answering, choose, make_context
from bottle.cli.table import Cell, Coloured, Column
from bottle.model import ContainerFacts, ImageFacts
from bottle.operations import History, HistoryEntry, Inspection, described, lineage
from bottle.words import age, size

_COLUMNS = (
    Column("CURRENT", drop=1),
    Column("COMMIT"),
    Column("MADE", drop=3),
    Column("IMAGE"),
    Column("SIZE", drop=4),
    Column("OWN", drop=5),
    Column("FROM", drop=6),
    Column("MESSAGE", cut=True),
    Column("FORKS", drop=2),
)
_COLOURS = {"gone": "red", "replaced": "red", "expired": "bright_black"}


@click.command("inspect")
@click.argument("identity", required=False, shell_complete=identities)
@answering
def inspect_command(identity: str | None, form: str) -> None:
    """Show all that is known of a bottle; nothing is changed.

    \b
    Example:
      bottle inspect claude-x7k2p
      bottle inspect claude-x7k2p --format json | jq .container.status

    Exit codes that matter: 1 its state is damaged, 3 no such bottle, 5 Docker.
    """
    context = make_context()
    seen = operations.inspect(context, choose(context, identity, "inspected"))
    answer(form, _document(seen), _lines(seen))


@click.command("history")
@click.argument("identity", required=False, shell_complete=identities)
@answering
def history_command(identity: str | None, form: str) -> None:
    """List a bottle's commits, oldest first; under CURRENT, `*` marks the one that `bottle resume` uses.

    IMAGE says whether it is still here: present; gone, so that it cannot be resumed from; expired, which is gone
    because the agent's `keep` said so; replaced, when its tag names something else now. SIZE is what a commit adds to
    what it stands on, OWN what it holds by itself: it would be free without this commit alone. Layers that another
    commit or bottle here has too are not its own.

    \b
    Example:
      bottle history claude-x7k2p
      bottle resume claude-x7k2p --at 2
      cp -a . ../try-b && bottle fork claude-x7k2p@2 --cwd ../try-b

    Exit codes that matter: 3 no such bottle, 5 Docker.
    """
    context = make_context()
    history = operations.history(context, choose(context, identity, "shown"))
    lines: list[Shown] = [*table(_COLUMNS, [_row(history, entry) for entry in history.entries])]
    if not history.entries:
        lines = [f"{history.identity} was never committed:  bottle commit {history.identity}"]
    if history.rebuild_due:
        lines.append("its own Dockerfile was approved since, and is in no commit yet")
    answer(form, {"identity": str(history.identity), **_history_document(history)}, [*lineage(history), *lines])


def _row(history: History, entry: HistoryEntry) -> tuple[Cell, ...]:
    commit = entry.commit
    first = f"{history.origin.identity}@{history.origin.commit}" if history.origin is not None else "-"
    return (
        "*" if entry.in_force else "",
        str(commit.number),
        age(commit.created_at),
        Coloured(entry.image, _COLOURS.get(entry.image)),
        size(entry.size) if entry.size is not None else "-",
        size(entry.own) if entry.own is not None else "-",
        str(commit.parent) if commit.parent is not None else first if entry == history.entries[0] else "-",
        commit.message,
        " ".join(map(str, entry.forks)),
    )


def _history_document(history: History) -> dict[str, object]:
    origin = history.origin
    return {
        "copied_from": document_of(origin) if origin is not None else None,
        "rebuild_due": history.rebuild_due,
        "commits": [
            {**commit_document(entry.commit), **document_of(entry, "image", "size", "own", "in_force", "forks")}
            for entry in history.entries
        ],
    }


def _document(seen: Inspection) -> dict[str, object]:
    return {
        "metadata": metadata_document(seen.metadata),
        "state": {"path": str(seen.path), "bytes": seen.state_size, "preserved": seen.preserved},
        "container": _container(seen.container, seen.written),
        "committed_image": _image(seen.committed_tag, seen.image),
        **_history_document(seen.history),
        "mounts": [mount_document(mount) for mount in seen.mounts],
        "own_dockerfile": str(seen.own_dockerfile) if seen.own_dockerfile else None,
        "requests": [document_of(each) for each in seen.requests],
        "moved": document_of(seen.tombstone) if seen.tombstone else None,
        "migration": document_of(seen.migration) if seen.migration else None,
        "commit_in_flight": document_of(seen.intent) if seen.intent else None,
        "unfinished": seen.unfinished or None,
        "transcript": {"files": seen.transcript.files, "bytes": seen.transcript.bytes},
    }


def _container(container: ContainerFacts | None, written: int | None) -> dict[str, object] | None:
    if container is None:
        return None
    when = document_of(container, "created_at", "started_at", "finished_at", "exit_code")
    return {**document_of(container, "id", "name", "status", "image", "restart"), **when, "written": written}


def _image(tag: str | None, image: ImageFacts | None) -> dict[str, object] | None:
    if tag is None:
        return None
    return {
        "tag": tag,
        "present": image is not None,
        "id": image.id if image else None,
        "bytes": image.size if image else None,
        "layers": len(image.diff_ids) if image else None,
    }


def _lines(seen: Inspection) -> list[str]:
    dropped = [line for entry in seen.history.entries if entry.in_force for line in entry.commit.dropped]
    rows = [*described(seen), *(("dropped", line) for line in dropped)]
    return [f"{name + ':':<12} {value}" for name, value in rows]
