"""The public JSON of what is kept of a bottle: what `--format json` promises, whatever the disk's documents look like.

`tests/unit/cli/golden/kept.json` holds it: a field that the model gains or renames shows there.
"""

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from bottle.cli.movewords import missing_line, stays_line
from bottle.model import Agent, CommitRecord, Metadata, Missing, Mount, Stays
from bottle.naming import Identity
from bottle.portbinding import PortBinding

Json = dict[str, Any]


def document_of(value: Any) -> Json:
    """What a value says, field by field: a request, a commit in flight, a move, a tombstone, an origin."""
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}


def metadata_document(metadata: Metadata) -> Json:
    """What a bottle is; its agent's name stands beside the agent's entry."""
    said = document_of(metadata)
    names = {"identity": said.pop("identity"), "name": said.pop("name"), "agent_name": metadata.agent.name}
    del said["agent"]
    return {**names, **said, "agent": agent_document(metadata.agent)}


def agent_document(agent: Agent) -> Json:
    """The resolved entry of an agent, in the manifest's words, without its name."""
    by_name = {"env": dict(agent.env), "hosts": dict(agent.hosts), "build_args": dict(agent.build_args)}
    said = {**document_of(agent), **by_name, "volumes": [mount_document(mount) for mount in agent.volumes]}
    del said["name"]
    return said


def mount_document(mount: Mount) -> Json:
    """What is mounted into a bottle."""
    return {"kind": mount.kind.value, "source": mount.source, "target": mount.target, "read_only": mount.read_only}


def commit_document(commit: CommitRecord) -> Json:
    """A commit of a bottle's history."""
    mark = commit.mark
    return {
        "number": commit.number,
        "tag": commit.tag,
        "config_digest": commit.config_digest,
        "diff_ids": list(commit.diff_ids),
        "message": commit.message,
        "created_at": commit.created_at.isoformat(),
        "parent": commit.parent,
        "container": mark and {"id": mark.container_id, "started_at": _plain(mark.started_at), "running": mark.running},
        "dropped": list(commit.dropped),
        "expired": commit.expired,
        "defaults": _plain(commit.defaults),
        "volumes": _plain(commit.volumes),
        "base": list(commit.base),
    }


def _plain(value: Any) -> Any:
    match value:
        case tuple():
            plain: Any = [_plain(each) for each in value]
        case datetime():
            plain = value.isoformat()
        case Enum():
            plain = value.value
        case Stays():
            plain = stays_line(value)
        case Missing():
            plain = missing_line(value)
        case Path() | Identity() | PortBinding():
            plain = str(value)
        case _:
            plain = document_of(value) if is_dataclass(value) else value
    return plain
