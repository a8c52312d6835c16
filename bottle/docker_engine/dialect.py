"""What an engine that offers Docker's API says otherwise than Docker does, put into Docker's words and back.

Tried with Podman 4.3. Its answers are made in https://github.com/containers/podman/tree/v4.3.1/pkg/api/handlers/compat.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bottle.facts import Json
from bottle.model import EventKind, Product

_PODMAN_HEADER = "Libpod-API-Version"  # in each answer of Podman's service
_INIT = re.compile(r"/(run/podman|dev|sbin|usr/libexec/podman)[/-](podman-)?(init|catatonit)")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_OWN_PREFIXES = ("docker.io/library/", "docker.io/", "localhost/")


class Dialect:
    """Docker's own: nothing to do."""

    product = Product.DOCKER
    makes_binds = False  # whether a folder that is to be mounted is made where it is missing
    joins_labels = True  # whether an image must have all of several labels that are asked for

    def image(self, answer: Json) -> Json:
        """What an inspect or a list says of an image."""
        return answer

    def container(self, answer: Json) -> Json:
        """What an inspect says of a container."""
        return answer

    def event(self, answer: Json) -> Json:
        """One event."""
        return answer

    def event_words(self, kinds: Iterable[EventKind]) -> list[str]:
        """What events of these kinds are called."""
        return [kind.value for kind in kinds]

    def commit(self, config: Json) -> dict[str, Any]:
        """How docker-py's commit is told the config of the new image."""
        return {"conf": config}


class Podman(Dialect):
    """Podman's API service."""

    product = Product.PODMAN
    makes_binds = True
    joins_labels = False

    def image(self, answer: Json) -> Json:
        """Names are whole there; a short one is looked up as each of these."""
        return {**answer, "RepoTags": [familiar(tag) for tag in answer.get("RepoTags") or ()]}

    def container(self, answer: Json) -> Json:
        """The init that was asked for is a part of the command there, and a volume without a name looks named.

        Of every container it says that it runs in "oci".
        """
        argv = [str(answer.get("Path") or ""), *map(str, answer.get("Args") or ())]
        if _INIT.fullmatch(argv[0]) and argv[1:2] == ["--"]:
            argv = argv[2:]
        host = answer.get("HostConfig") or {}
        binds = [bind for bind in host.get("Binds") or () if not _ANONYMOUS.fullmatch(str(bind).split(":")[0])]
        return {**answer, "Path": argv[0], "Args": argv[1:], "HostConfig": {**host, "Binds": binds, "Runtime": ""}}

    def event(self, answer: Json) -> Json:
        """A removal has another name there, and an event more attributes."""
        return {**answer, "Action": "destroy" if answer.get("Action") == "remove" else answer.get("Action")}

    def event_words(self, kinds: Iterable[EventKind]) -> list[str]:
        """What events of these kinds are called."""
        return ["remove" if kind is EventKind.DESTROY else kind.value for kind in kinds]

    def commit(self, config: Json) -> dict[str, Any]:
        """It heeds no config, but instructions of a Dockerfile; a health check and a shell cannot be given back."""
        changes = [f"{word.upper()} {json.dumps(config[word])}" for word in ("Entrypoint", "Cmd")]
        changes += [f"USER {config['User']}"] if config["User"] else []
        changes += [f"LABEL {json.dumps(key)}={json.dumps(value)}" for key, value in config["Labels"].items()]
        return {"changes": changes}


def dialect_of(headers: Mapping[str, str]) -> Dialect:
    """The dialect of an engine, by the headers of any of its answers."""
    return Podman() if _PODMAN_HEADER in headers else Dialect()


def familiar(tag: str) -> str:
    """A whole name as people write it. What Podman loads is `localhost/…`, and what it tags `docker.io/library/…`."""
    for prefix in _OWN_PREFIXES:
        if tag.startswith(prefix):
            return tag.removeprefix(prefix)
    return tag
