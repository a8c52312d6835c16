"""The public JSON of values: what `--format json` promises, whatever the disk's documents look like.

`tests/unit/cli/golden` and `test_shapes.py` hold it: a field that a value gains or renames shows there.
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


def document_of(value: Any, *names: str) -> Json:
    """What a value says, field by field, or only of the attributes that are named."""
    return {name: _plain(getattr(value, name)) for name in names or [each.name for each in fields(value)]}


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
    return document_of(mount, "kind", "source", "target", "read_only")


def commit_document(commit: CommitRecord) -> Json:
    """A commit of a bottle's history."""
    mark = commit.mark
    return {
        **document_of(commit, "number", "tag", "config_digest", "diff_ids", "message", "created_at", "parent"),
        "container": mark and {"id": mark.container_id, **document_of(mark, "started_at", "running")},
        **document_of(commit, "dropped", "expired", "defaults", "volumes", "base"),
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
