"""What is kept in a state folder, as documents. The same documents travel in a bundle and in a move."""

import json
from dataclasses import dataclass

from bottle.model import (
    MOST_COMMITS,
    MOST_GENERATIONS,
    Agent,
    CommitIntent,
    CommitRecord,
    ContainerMark,
    Lineage,
    Metadata,
    MigrationRecord,
    Missing,
    Mount,
    MoveAccount,
    Stays,
    Tombstone,
)
from bottle.naming import is_bottle_name
from bottle.store.form import Form, Json
from bottle.store.forms import Forms
from bottle.store.values import InvalidValue, between, optional, text


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitHistory:
    """`commits.json`: the commits of a bottle, oldest first."""

    commits: tuple[CommitRecord, ...] = ()


def name_in(document: bytes) -> str | None:
    """The second name in a `metadata.json`, None also where that cannot be read: looked for in many, it is no error."""
    try:
        return _bottle_name(json.loads(document)["name"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _bottle_name(value: object, _: object = None) -> str:
    if not is_bottle_name(text(value)):
        raise InvalidValue("can be no name of a bottle")
    return text(value)


def _with_agent(document: Json) -> Json:
    """The agent's name, which the bottle is called after, stands beside its entry."""
    agent = document["agent"]
    return {**document, "agent": {**agent, "agent_name": document["agent_name"]} if isinstance(agent, dict) else agent}


def _agent_beside(document: Json) -> Json:
    agent = document.pop("agent")
    names = {"identity": document.pop("identity"), "name": document.pop("name"), "agent_name": agent.pop("agent_name")}
    return {**names, **document, "agent": agent}


def _check_metadata(metadata: Metadata) -> None:
    if metadata.agent.name != metadata.identity.agent:
        raise ValueError(f"agent_name {metadata.agent.name!r} does not fit identity {str(metadata.identity)!r}")


def _in_facts(document: Json) -> Json:
    """Earlier versions wrote in words what stays, and what is missing there."""
    facts = {key: document[key] for key in ("stays", "missing_there") if isinstance(document.get(key), list)}
    told = {
        key: [{"kind": "line", "name": each} if isinstance(each, str) else each for each in value]
        for key, value in facts.items()
    }
    return {**document, **told}


_COMMIT = between(1, MOST_COMMITS)
_TOLD = ("skipped", "stays", "missing_there", "along", "dropped", "carried", "left_behind", "edited")
_LATER_TOLD = ("history", "history_stays", "refreshed")

KEPT = Forms(
    {
        Metadata: Form(
            read={"name": optional(_bottle_name), "generation": between(1, MOST_GENERATIONS)},
            later=("name", "generation"),
            folded=_with_agent,
            unfolded=_agent_beside,
            check=_check_metadata,
        ),
        Agent: Form(
            keys={"name": "agent_name"},
            later=("remote_control", "user", "shm_size", "gpus", "ports", "hosts", "keep", "carry", "build_args"),
        ),
        Mount: Form(omitted=("anonymous",)),
        Lineage: Form(read={"commit": _COMMIT}),
        CommitRecord: Form(
            keys={"mark": "container"},
            read={"number": _COMMIT, "parent": optional(_COMMIT)},
            later=("expired", "defaults", "volumes", "base"),
        ),
        ContainerMark: Form(keys={"container_id": "id"}),
        CommitIntent: Form(read={"number": _COMMIT}),
        MigrationRecord: Form(read={"commit": optional(_COMMIT)}, later=("account", "stopped")),
        Tombstone: Form(later=("arrived", "account", "nonce", "standby", "generation", "starts")),
        MoveAccount: Form(later=(*_TOLD, *_LATER_TOLD), folded=_in_facts),
        Stays: Form(later=("name", "place")),
        Missing: Form(later=("name", "identity")),
    }
)
