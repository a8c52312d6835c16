"""`bottle inspect` and `bottle history`."""

import click

from bottle.cli.completion import identities
from bottle.cli.output import Shown, answer, table
from bottle.cli.shared import choose, command, format_option, make_context
from bottle.cli.table import Cell, Coloured, Column
from bottle.model import ContainerFacts, ImageFacts, Mount
from bottle.operations import History, HistoryEntry, Inspection
from bottle.operations import history as list_commits
from bottle.operations import inspect as look_at
from bottle.serial import (
    commit_to_json,
    intent_to_json,
    metadata_to_json,
    migration_to_json,
    request_to_json,
    tombstone_to_json,
)
from bottle.words import age, counted, size

_COLUMNS = (
    Column("CURRENT", drop=1),
    Column("COMMIT"),
    Column("MADE", drop=3),
    Column("IMAGE"),
    Column("SIZE", drop=4),
    Column("FROM", drop=5),
    Column("MESSAGE", cut=True),
    Column("FORKS", drop=2),
)
_COLOURS = {"gone": "red", "replaced": "red", "expired": "bright_black"}


@click.command("inspect")
@click.argument("identity", required=False, shell_complete=identities)
@format_option
@command
def inspect_command(identity: str | None, form: str) -> None:
    """Show all that is known of a bottle; nothing is changed.

    \b
    Example:
      bottle inspect claude-x7k2p
      bottle inspect claude-x7k2p --format json | jq .container.status

    Exit codes that matter: 1 its state is damaged, 3 no such bottle, 5 Docker.
    """
    context = make_context()
    seen = look_at(context, choose(context, identity, "inspected"))
    answer(form, _document(seen), _lines(seen))


@click.command("history")
@click.argument("identity", required=False, shell_complete=identities)
@format_option
@command
def history_command(identity: str | None, form: str) -> None:
    """List a bottle's commits, oldest first; under CURRENT, `*` marks the one that `bottle resume` uses.

    IMAGE says whether it is still here: present; gone, so that it cannot be resumed from; expired, which is gone
    because the agent's `keep` said so; replaced, when its tag names something else now. SIZE is what a commit adds to
    what it stands on.

    \b
    Example:
      bottle history claude-x7k2p
      bottle resume claude-x7k2p --at 2
      bottle fork claude-x7k2p@2

    Exit codes that matter: 3 no such bottle, 5 Docker.
    """
    context = make_context()
    history = list_commits(context, choose(context, identity, "shown"))
    lines: list[Shown] = [*table(_COLUMNS, [_row(history, entry) for entry in history.entries])]
    if not history.entries:
        lines = [f"{history.identity} was never committed:  bottle commit {history.identity}"]
    if history.rebuild_due:
        lines.append(f"its own Dockerfile was approved since: bottle resume {history.identity} builds it")
    document = {"identity": str(history.identity), **_history_document(history)}
    answer(form, document, [*_origin(history), *lines])


def _row(history: History, entry: HistoryEntry) -> tuple[Cell, ...]:
    commit = entry.commit
    first = f"{history.origin.identity}@{history.origin.commit}" if history.origin is not None else "-"
    return (
        "*" if entry.in_force else "",
        str(commit.number),
        age(commit.created_at),
        Coloured(entry.image, _COLOURS.get(entry.image)),
        size(entry.size) if entry.size is not None else "-",
        str(commit.parent) if commit.parent is not None else first if entry == history.entries[0] else "-",
        commit.message,
        " ".join(map(str, entry.forks)),
    )


def _origin(history: History) -> list[str]:
    if history.origin is None:
        return []
    return [f"{history.identity} descends from commit {history.origin.commit} of {history.origin.identity}"]


def _history_document(history: History) -> dict[str, object]:
    origin = history.origin
    return {
        "copied_from": {"identity": str(origin.identity), "commit": origin.commit} if origin is not None else None,
        "rebuild_due": history.rebuild_due,
        "commits": [
            {
                **commit_to_json(entry.commit),
                "image": entry.image,
                "size": entry.size,
                "in_force": entry.in_force,
                "forks": [str(fork) for fork in entry.forks],
            }
            for entry in history.entries
        ],
    }


def _document(seen: Inspection) -> dict[str, object]:
    return {
        "metadata": metadata_to_json(seen.metadata),
        "state": {"path": str(seen.path), "bytes": seen.state_size, "preserved": seen.preserved},
        "container": _container(seen.container, seen.written),
        "committed_image": _image(seen.committed_tag, seen.image),
        **_history_document(seen.history),
        "mounts": [_mount(mount) for mount in seen.mounts],
        "own_dockerfile": str(seen.own_dockerfile) if seen.own_dockerfile else None,
        "requests": [request_to_json(each) for each in seen.requests],
        "moved": tombstone_to_json(seen.tombstone) if seen.tombstone else None,
        "migration": migration_to_json(seen.migration) if seen.migration else None,
        "commit_in_flight": intent_to_json(seen.intent) if seen.intent else None,
        "unfinished": seen.unfinished or None,
        "transcript": {"files": seen.transcript.files, "bytes": seen.transcript.bytes},
    }


def _container(container: ContainerFacts | None, written: int | None) -> dict[str, object] | None:
    if container is None:
        return None
    return {
        "id": container.id,
        "name": container.name,
        "status": container.status.value,
        "created_at": container.created_at.isoformat(),
        "started_at": container.started_at.isoformat() if container.started_at else None,
        "finished_at": container.finished_at.isoformat() if container.finished_at else None,
        "exit_code": container.exit_code,
        "image": container.image,
        "restart": container.restart,
        "written": written,
    }


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


def _mount(mount: Mount) -> dict[str, object]:
    return {
        "kind": mount.kind.value,
        "source": mount.source,
        "target": mount.target,
        "read_only": mount.read_only,
    }


def _lines(seen: Inspection) -> list[str]:
    metadata, agent = seen.metadata, seen.metadata.agent
    cwd = str(metadata.cwd) if metadata.cwd is not None else "-"
    how = "copied to" if metadata.copy_cwd else "mounted at"
    rows = [
        ("identity", str(metadata.identity)),
        ("name", metadata.name or ""),
        ("agent", agent.name),
        ("started", age(metadata.started_at)),
        *(("moved to", line) for line in _moved_lines(seen)),
        ("unfinished", seen.unfinished),
        *(("asked", line) for line in seen.asked),
        ("container", _container_line(seen)),
        ("committed", _image_line(seen)),
        *(("dropped", line) for entry in seen.history.entries if entry.in_force for line in entry.commit.dropped),
        ("began with", f"{metadata.image} ({counted(len(metadata.base), 'layer')})"),
        ("workspace", f"{cwd}, {how} {agent.workdir}"),
        *(("mount", _mount_line(mount)) for mount in seen.mounts if mount.target != agent.workdir),
        ("user", metadata.user),
        *(("port", f"{port.place} leads to its port {port.container}") for port in agent.ports),
        *(("host", f"{name} is {address}") for name, address in agent.hosts),
        ("gpus", agent.gpus or ""),
        ("secrets", ", ".join(agent.secrets)),
        ("dockerfile", f"{seen.own_dockerfile}, its own" if seen.own_dockerfile else ""),
        ("transcript", f"{counted(seen.transcript.files, 'file')}, {size(seen.transcript.bytes)}"),
        ("kept in", f"{seen.path}, {size(seen.state_size)}{', preserved' if seen.preserved else ''}"),
        *(("history", line) for line in _origin(seen.history)),
        ("commits", f"{len(seen.history.entries)}:  bottle history {metadata.identity}"),
    ]
    return [f"{name + ':':<12} {value}" for name, value in rows if value]


def _moved_lines(seen: Inspection) -> list[str]:
    if seen.tombstone is None:
        return []
    lines = [f"{seen.tombstone.host}, {age(seen.tombstone.moved_at)}"]
    if seen.container is not None and seen.container.status.alive:
        lines.append(f"YET ITS CONTAINER RUNS HERE: bottle stop {seen.metadata.identity}")
    return lines


def _container_line(seen: Inspection) -> str:
    container = seen.container
    if container is None:
        return "none"
    ended = f" with {container.exit_code}" if container.exit_code is not None else ""
    since = container.started_at if container.status.alive else container.finished_at or container.created_at
    return f"{container.name}, {container.status.value}{ended} {age(since)}, {size(seen.written or 0)} written"


def _image_line(seen: Inspection) -> str:
    if seen.committed_tag is None:
        return "never"
    if seen.image is None:
        return f"{seen.committed_tag}, WHICH IS GONE from this engine"
    return f"{seen.committed_tag}, present, {size(seen.image.size)} with what it stands on"


def _mount_line(mount: Mount) -> str:
    return f"{mount.kind.value} {mount.source} at {mount.target}{', read-only' if mount.read_only else ''}"
