"""The JSON forms of what is kept in a state folder: written here, and read back with every field checked."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bottle.errors import BottleError, StateDamaged, StateTooNew
from bottle.model import (
    MOST_COMMITS,
    SCHEMA,
    Agent,
    Arrived,
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    ContainerMark,
    ImageDefaults,
    Lineage,
    Metadata,
    MigrationPhase,
    MigrationRecord,
    Mount,
    MountKind,
    MoveAccount,
    RequestStatus,
    ResumeIntent,
    Retention,
    Tombstone,
)
from bottle.naming import Identity, is_bottle_name
from bottle.portbinding import PortBinding

T = TypeVar("T")
Json = dict[str, Any]


def dump(document: Mapping[str, Any]) -> bytes:
    """A document of the current schema, as it is written to disk."""
    # ASCII, because names of files need not be Unicode: Python's stand-ins for their bytes survive only escaped.
    return (json.dumps({"schema": SCHEMA, **document}, indent=2) + "\n").encode("ascii")


def load(data: bytes, path: Path, read: Callable[[Json], T]) -> T:
    """Read a document, refusing a newer schema. Raises StateTooNew or StateDamaged, naming `path`."""
    left, next_step = "nothing was changed", f"restore {path} from a backup, or look at it and mend it"
    try:
        document = json.loads(data)
        schema = document["schema"]
        if not isinstance(schema, int) or isinstance(schema, bool):
            raise TypeError("`schema` must be a number")
        if schema > SCHEMA:
            raise StateTooNew(
                f"{path} has schema {schema}, and this version of bottle reads up to {SCHEMA}",
                left=left,
                next_step="upgrade bottle: pipx upgrade agent-bottle",
            )
        return read(document)
    except StateTooNew:
        raise
    except KeyError as exc:
        raise StateDamaged(f"{path} is damaged: {exc} is missing", left=left, next_step=next_step) from exc
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        raise StateDamaged(f"{path} is damaged: {exc}", left=left, next_step=next_step) from exc
    except BottleError as exc:
        raise StateDamaged(f"{path} is damaged: {exc.what}", left=left, next_step=next_step) from exc


def metadata_to_json(metadata: Metadata) -> Json:
    """`metadata.json` without its schema."""
    return {
        "identity": str(metadata.identity),
        "name": metadata.name,
        "agent_name": metadata.agent.name,
        "backend": metadata.backend,
        "cwd": str(metadata.cwd) if metadata.cwd else None,
        "copy_cwd": metadata.copy_cwd,
        "started_at": metadata.started_at.isoformat(),
        "image": metadata.image,
        "defaults": _defaults_to_json(metadata.defaults),
        "base": list(metadata.base),
        "copied_from": metadata.copied_from
        and {"identity": str(metadata.copied_from.identity), "commit": metadata.copied_from.commit},
        "agent": agent_to_json(metadata.agent),
    }


def metadata_from_json(data: Json) -> Metadata:
    """The inverse of `metadata_to_json`."""
    identity = Identity.parse(text(data, "identity"))
    agent = agent_from_json(text(data, "agent_name"), data["agent"])
    if agent.name != identity.agent:
        raise ValueError(f"agent_name {agent.name!r} does not fit identity {str(identity)!r}")
    return Metadata(
        identity=identity,
        name=optional(_bottle_name, data, "name") if "name" in data else None,
        agent=agent,
        backend=text(data, "backend"),
        cwd=optional(location, data, "cwd"),
        copy_cwd=flag(data, "copy_cwd"),
        started_at=moment(data, "started_at"),
        image=text(data, "image"),
        defaults=_defaults(data, "defaults"),
        base=texts(data, "base"),
        copied_from=optional(_lineage, data, "copied_from"),
    )


def name_in(document: bytes) -> str | None:
    """The second name in a `metadata.json`, None also where that cannot be read: looked for in many, it is no error."""
    try:
        return _bottle_name(json.loads(document), "name")
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _bottle_name(data: Json, key: str) -> str:
    name = text(data, key)
    if not is_bottle_name(name):
        raise ValueError(f"`{key}` can be no name of a bottle")
    return name


def agent_to_json(agent: Agent) -> Json:
    """The resolved entry of an agent, in the manifest's words."""
    return {
        "dockerfile": str(agent.dockerfile) if agent.dockerfile else None,
        "image": agent.image,
        "command": list(agent.command) if agent.command is not None else None,
        "resume_command": list(agent.resume_command) if agent.resume_command is not None else None,
        "remote_control": list(agent.remote_control),
        "workdir": agent.workdir,
        "user": agent.user,
        "transcript": list(agent.transcript),
        "env": dict(agent.env),
        "secrets": list(agent.secrets),
        "volumes": [_mount_to_json(mount) for mount in agent.volumes],
        "network": agent.network,
        "memory": agent.memory,
        "cpus": agent.cpus,
        "pids": agent.pids,
        "shm_size": agent.shm_size,
        "gpus": agent.gpus,
        "ports": list(map(str, agent.ports)),
        "hosts": dict(agent.hosts),
        "cap_add": list(agent.cap_add),
        "keep": agent.keep and {"commits": agent.keep.commits, "days": agent.keep.days},
        "carry": list(agent.carry),
        "build_args": dict(agent.build_args),
    }


def agent_from_json(name: str, data: Json) -> Agent:
    """The inverse of `agent_to_json`."""
    return Agent(
        name=name,
        dockerfile=optional(location, data, "dockerfile"),
        image=optional(text, data, "image"),
        command=optional(texts, data, "command"),
        resume_command=optional(texts, data, "resume_command"),
        remote_control=texts(data, "remote_control") if "remote_control" in data else (),
        workdir=text(data, "workdir"),
        user=optional(text, data, "user") if "user" in data else None,
        transcript=texts(data, "transcript"),
        env=_pairs(data, "env"),
        secrets=texts(data, "secrets"),
        volumes=tuple(map(_mount_from_json, tables(data, "volumes"))),
        network=text(data, "network"),
        memory=optional(number, data, "memory"),
        cpus=optional(real, data, "cpus"),
        pids=number(data, "pids"),
        shm_size=optional(number, data, "shm_size") if "shm_size" in data else None,
        gpus=optional(text, data, "gpus") if "gpus" in data else None,
        ports=tuple(map(PortBinding.parse, texts(data, "ports"))) if "ports" in data else (),
        hosts=_pairs(data, "hosts") if "hosts" in data else (),
        cap_add=texts(data, "cap_add"),
        keep=optional(_retention, data, "keep") if "keep" in data else None,
        carry=texts(data, "carry") if "carry" in data else (),
        build_args=_pairs(data, "build_args") if "build_args" in data else (),
    )


def commit_to_json(commit: CommitRecord) -> Json:
    """One entry of `commits.json`."""
    mark = commit.mark
    return {
        "number": commit.number,
        "tag": commit.tag,
        "config_digest": commit.config_digest,
        "diff_ids": list(commit.diff_ids),
        "message": commit.message,
        "created_at": commit.created_at.isoformat(),
        "parent": commit.parent,
        "container": mark
        and {
            "id": mark.container_id,
            "started_at": mark.started_at.isoformat() if mark.started_at else None,
            "running": mark.running,
        },
        "dropped": list(commit.dropped),
        "expired": commit.expired,
        "defaults": _defaults_to_json(commit.defaults) if commit.defaults is not None else None,
        "volumes": list(commit.volumes) if commit.volumes is not None else None,
        "base": list(commit.base),
    }


def commit_from_json(data: Json) -> CommitRecord:
    """The inverse of `commit_to_json`."""
    return CommitRecord(
        number=commit_number(data, "number"),
        tag=text(data, "tag"),
        config_digest=text(data, "config_digest"),
        diff_ids=texts(data, "diff_ids"),
        message=text(data, "message"),
        created_at=moment(data, "created_at"),
        parent=optional(commit_number, data, "parent"),
        mark=optional(_mark, data, "container"),
        dropped=texts(data, "dropped"),
        expired=flag(data, "expired") if "expired" in data else False,
        defaults=optional(_defaults, data, "defaults") if "defaults" in data else None,
        volumes=optional(texts, data, "volumes") if "volumes" in data else None,
        base=texts(data, "base") if "base" in data else (),
    )


def intent_to_json(intent: CommitIntent) -> Json:
    """`commit-intent.json` without its schema."""
    return {
        "nonce": intent.nonce,
        "number": intent.number,
        "message": intent.message,
        "container_id": intent.container_id,
        "paused": intent.paused,
    }


def intent_from_json(data: Json) -> CommitIntent:
    """The inverse of `intent_to_json`."""
    return CommitIntent(
        nonce=text(data, "nonce"),
        number=commit_number(data, "number"),
        message=text(data, "message"),
        container_id=text(data, "container_id"),
        paused=flag(data, "paused"),
    )


def resume_intent_to_json(intent: ResumeIntent) -> Json:
    """`resume-intent.json` without its schema."""
    return {
        "metadata": metadata_to_json(intent.metadata),
        "committed_image": intent.committed_image,
        "container_id": intent.container_id,
        "unfilled": list(intent.unfilled),
    }


def resume_intent_from_json(data: Json) -> ResumeIntent:
    """The inverse of `resume_intent_to_json`."""
    return ResumeIntent(
        metadata=metadata_from_json(table(data, "metadata")),
        committed_image=optional(text, data, "committed_image"),
        container_id=optional(text, data, "container_id"),
        unfilled=texts(data, "unfilled"),
    )


def tombstone_to_json(tombstone: Tombstone) -> Json:
    """`moved-to.json` without its schema."""
    arrived = tombstone.arrived
    return {
        "host": tombstone.host,
        "moved_at": tombstone.moved_at.isoformat(),
        "arrived": arrived
        and {
            "commits": list(arrived.commits),
            "volumes": list(arrived.volumes),
            "workspace": str(arrived.workspace) if arrived.workspace is not None else None,
        },
        "account": _account_to_json(tombstone.account),
        "nonce": tombstone.nonce,
    }


def tombstone_from_json(data: Json) -> Tombstone:
    """The inverse of `tombstone_to_json`."""
    return Tombstone(
        host=text(data, "host"),
        moved_at=moment(data, "moved_at"),
        arrived=optional(_arrived, data, "arrived") if "arrived" in data else None,
        account=optional(_account, data, "account") if "account" in data else None,
        nonce=optional(text, data, "nonce") if "nonce" in data else None,
    )


def migration_to_json(record: MigrationRecord) -> Json:
    """`migration.json` without its schema."""
    return {
        "phase": record.phase.value,
        "host": record.host,
        "nonce": record.nonce,
        "commit": record.commit,
        "started_at": record.started_at.isoformat(),
        "identity_files": list(record.identity_files),
        "arrives_as": str(record.arrives_as) if record.arrives_as else None,
        "paused": record.paused,
        "pulled_by": record.pulled_by,
        "account": _account_to_json(record.account),
    }


def migration_from_json(data: Json) -> MigrationRecord:
    """The inverse of `migration_to_json`."""
    return MigrationRecord(
        phase=MigrationPhase(text(data, "phase")),
        host=text(data, "host"),
        nonce=text(data, "nonce"),
        commit=optional(commit_number, data, "commit"),
        started_at=moment(data, "started_at"),
        identity_files=texts(data, "identity_files"),
        arrives_as=optional(_identity, data, "arrives_as"),
        paused=flag(data, "paused"),
        pulled_by=optional(text, data, "pulled_by"),
        account=optional(_account, data, "account") if "account" in data else None,
    )


def request_to_json(request: CapabilityRequest) -> Json:
    """`requests/<number>.json` without its schema."""
    return {
        "number": request.number,
        "digest": request.digest,
        "reason": request.reason,
        "dockerfile": request.dockerfile,
        "received_at": request.received_at.isoformat(),
        "status": request.status.value,
        "note": request.note,
        "decided_at": request.decided_at.isoformat() if request.decided_at else None,
        "superseded": list(request.superseded),
    }


def request_from_json(data: Json) -> CapabilityRequest:
    """The inverse of `request_to_json`."""
    return CapabilityRequest(
        number=number(data, "number"),
        digest=text(data, "digest"),
        reason=text(data, "reason"),
        dockerfile=text(data, "dockerfile"),
        received_at=moment(data, "received_at"),
        status=RequestStatus(text(data, "status")),
        note=text(data, "note"),
        decided_at=optional(moment, data, "decided_at"),
        superseded=texts(data, "superseded"),
    )


def numbers(data: Json, key: str) -> tuple[int, ...]:
    """The list of whole numbers at `key`."""
    value = data[key]
    if not isinstance(value, list) or not all(isinstance(item, int) and not isinstance(item, bool) for item in value):
        raise TypeError(f"`{key}` must be a list of whole numbers")
    return tuple(value)


def text(data: Json, key: str) -> str:
    """The text at `key`."""
    value = data[key]
    if not isinstance(value, str):
        raise TypeError(f"`{key}` must be a text, not {type(value).__name__}")
    return value


def optional(read: Callable[[Json, str], T], data: Json, key: str) -> T | None:
    """What `read` finds at `key`, or None where it is null; what else Python takes for false is no null."""
    return None if data[key] is None else read(data, key)


def table(data: Json, key: str) -> Json:
    """The object at `key`."""
    value = data[key]
    if not isinstance(value, dict):
        raise TypeError(f"`{key}` must be an object, not {type(value).__name__}")
    return value


def tables(data: Json, key: str) -> list[Json]:
    """The list of objects at `key`."""
    value = data[key]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError(f"`{key}` must be a list of objects")
    return value


def location(data: Json, key: str) -> Path:
    """The path at `key`."""
    value = text(data, key)
    if not value:
        raise ValueError(f"`{key}` is no path")
    return Path(value)


def texts(data: Json, key: str) -> tuple[str, ...]:
    """The list of texts at `key`."""
    value = data[key]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"`{key}` must be a list of texts")
    return tuple(value)


def number(data: Json, key: str) -> int:
    """The whole number at `key`."""
    value = data[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"`{key}` must be a whole number, not {type(value).__name__}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"`{key}` is no number of 64 bits")
    return value


def commit_number(data: Json, key: str) -> int:
    """The number of a commit at `key`."""
    return between(data, key, 1, MOST_COMMITS)


def between(data: Json, key: str, least: int, most: int) -> int:
    """The whole number at `key`, which is neither less nor more."""
    value = number(data, key)
    if not least <= value <= most:
        raise ValueError(f"`{key}` is {value}, and must be from {least} to {most}")
    return value


def real(data: Json, key: str) -> float:
    """The finite number at `key`."""
    value = data[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"`{key}` must be a number, not {type(value).__name__}")
    return float(value)


def flag(data: Json, key: str) -> bool:
    """The truth value at `key`."""
    value = data[key]
    if not isinstance(value, bool):
        raise TypeError(f"`{key}` must be true or false, not {type(value).__name__}")
    return value


def moment(data: Json, key: str) -> datetime:
    """The time at `key`, which must name its zone."""
    value = datetime.fromisoformat(text(data, key))
    if value.tzinfo is None:
        raise ValueError(f"`{key}` names no time zone")
    value.astimezone(UTC)  # OverflowError for a time that no clock shows
    return value


def _defaults_to_json(defaults: ImageDefaults) -> Json:
    return {"entrypoint": list(defaults.entrypoint), "command": list(defaults.command), "user": defaults.user}


def _defaults(data: Json, key: str) -> ImageDefaults:
    found = table(data, key)
    return ImageDefaults(
        entrypoint=texts(found, "entrypoint"), command=texts(found, "command"), user=text(found, "user")
    )


def _identity(data: Json, key: str) -> Identity:
    return Identity.parse(text(data, key))


def _lineage(data: Json, key: str) -> Lineage:
    origin = table(data, key)
    return Lineage(identity=_identity(origin, "identity"), commit=commit_number(origin, "commit"))


def _mark(data: Json, key: str) -> ContainerMark:
    mark = table(data, key)
    return ContainerMark(
        container_id=text(mark, "id"),
        started_at=optional(moment, mark, "started_at"),
        running=flag(mark, "running"),
    )


def _account_to_json(account: MoveAccount | None) -> Json | None:
    return None if account is None else asdict(account)


def _account(data: Json, key: str) -> MoveAccount:
    account = table(data, key)
    return MoveAccount(
        commit=number(account, "commit"),
        workspace=optional(text, account, "workspace"),
        staged=number(account, "staged"),
        skipped=_told(account, "skipped"),
        stays=_told(account, "stays"),
        missing_there=_told(account, "missing_there"),
        along=_told(account, "along"),
        dropped=_told(account, "dropped"),
        carried=_told(account, "carried"),
        left_behind=_told(account, "left_behind"),
        edited=_told(account, "edited"),
    )


def _told(data: Json, key: str) -> tuple[str, ...]:
    """Lines to be shown; none where an earlier version had no such lines: that makes nothing else unreadable."""
    return texts(data, key) if key in data else ()


def _arrived(data: Json, key: str) -> Arrived:
    arrived = table(data, key)
    return Arrived(
        commits=numbers(arrived, "commits"),
        volumes=texts(arrived, "volumes"),
        workspace=optional(location, arrived, "workspace"),
    )


def _retention(data: Json, key: str) -> Retention:
    kept = table(data, key)
    return Retention(commits=optional(number, kept, "commits"), days=optional(number, kept, "days"))


def _pairs(data: Json, key: str) -> tuple[tuple[str, str], ...]:
    """The texts of the object at `key`, by name."""
    found = table(data, key)
    return tuple((name, text(found, name)) for name in found)


def _mount_to_json(mount: Mount) -> Json:
    return {
        "kind": mount.kind.value,
        "source": mount.source,
        "target": mount.target,
        "read_only": mount.read_only,
    }


def _mount_from_json(data: Json) -> Mount:
    return Mount(
        kind=MountKind(text(data, "kind")),
        source=text(data, "source"),
        target=text(data, "target"),
        read_only=flag(data, "read_only"),
    )
