"""What is known of a bottle, in words: for `inspect` and for the dashboard. Pure."""

from datetime import datetime

from bottle.model import Mount
from bottle.operations.inspection import History, Inspection
from bottle.words import age, counted, size


def described(seen: Inspection, now: datetime | None = None) -> list[tuple[str, str]]:
    """Names and what there is to say of each, the most important first; ages are as seen from `now`."""
    metadata, agent = seen.metadata, seen.metadata.agent
    cwd = str(metadata.cwd) if metadata.cwd is not None else "-"
    how = "copied to" if metadata.copy_cwd else "mounted at"
    rows = [
        ("identity", str(metadata.identity)),
        ("name", metadata.name or ""),
        ("agent", agent.name),
        ("started", age(metadata.started_at, now)),
        *_moved(seen, now),
        ("unfinished", seen.unfinished),
        *(("asked", line) for line in seen.asked),
        ("container", _container(seen, now)),
        ("committed", _image(seen, now)),
        ("began with", f"{metadata.image} ({counted(len(metadata.base), 'layer')})"),
        ("workspace", f"{cwd}, {how} {agent.workdir}"),
        *(("mount", _mount(mount)) for mount in seen.mounts if mount.target != agent.workdir),
        ("user", metadata.user),
        *(("port", f"{port.place} leads to its port {port.container}") for port in agent.ports),
        *(("host", f"{name} is {address}") for name, address in agent.hosts),
        ("gpus", agent.gpus or ""),
        ("secrets", ", ".join(agent.secrets)),
        ("dockerfile", f"{seen.own_dockerfile}, its own" if seen.own_dockerfile else ""),
        ("transcript", f"{counted(seen.transcript.files, 'file')}, {size(seen.transcript.bytes)}"),
        ("kept in", f"{seen.path}, {size(seen.state_size)}{', preserved' if seen.preserved else ''}"),
        *(("history", line) for line in lineage(seen.history)),
        ("commits", _commits(seen)),
    ]
    return [(name, value) for name, value in rows if value]


def lineage(history: History) -> list[str]:
    """Where a bottle's first commit came from; nothing for one that is no fork."""
    if history.origin is None:
        return []
    return [f"{history.identity} descends from commit {history.origin.commit} of {history.origin.identity}"]


def _moved(seen: Inspection, now: datetime | None) -> list[tuple[str, str]]:
    """Where it lives now, and what to type there."""
    identity, tombstone = seen.metadata.identity, seen.tombstone
    if tombstone is None:
        return []
    rows = [
        ("moved to", f"{tombstone.host}, {age(tombstone.moved_at, now)} ({tombstone.moved_at:%Y-%m-%d %H:%M} UTC)"),
        ("there", f"bottle resume {identity}"),
    ]
    if seen.container is not None and seen.container.status.alive:
        rows.append(("moved to", f"YET ITS CONTAINER RUNS HERE: bottle stop {identity}"))
    return rows


def _container(seen: Inspection, now: datetime | None) -> str:
    container = seen.container
    if container is None:
        return "none"
    ended = f" with {container.exit_code}" if container.exit_code is not None else ""
    since = container.started_at if container.status.alive else container.finished_at or container.created_at
    return f"{container.name}, {container.status.value}{ended} {age(since, now)}, {size(seen.written or 0)} written"


def _image(seen: Inspection, now: datetime | None) -> str:
    """The commit in force."""
    if seen.committed_tag is None:
        return "never"
    if seen.image is None:
        return f"{seen.committed_tag}, WHICH IS GONE from this engine"
    made = [f", {age(entry.commit.created_at, now)}" for entry in seen.history.entries if entry.in_force]
    return f"{seen.committed_tag}, present, {size(seen.image.size)} with what it stands on{''.join(made)}"


def _commits(seen: Inspection) -> str:
    """How many there are, and what they add to what they stand on, as far as that is known."""
    entries = seen.history.entries
    here = [entry.size or 0 for entry in entries if entry.image == "present"]
    held = f", {len(here)} of them here, adding {size(sum(here))}" if here else ""
    return f"{len(entries)}{held}:  bottle history {seen.metadata.identity}"


def _mount(mount: Mount) -> str:
    return f"{mount.kind.value} {mount.source} at {mount.target}{', read-only' if mount.read_only else ''}"
