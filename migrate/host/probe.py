"""What the far host is and has, asked in one round and changing nothing there."""

import json
import re
from collections.abc import Mapping
from typing import Any

from bottle.errors import RemoteError
from bottle.facts import engine_id
from bottle.model import Store
from bottle.naming import Identity
from bottle.text import printable
from migrate.host.arguments import Workspace
from migrate.host.commands import Probe
from migrate.host.script import ScriptStatus
from migrate.model import HostFacts, Presence, Reply, WorkspacePlace
from migrate.ports import Shell

_MOST = 1 << 50  # kilobytes
_SILENCE = 600.0  # seconds, while it looks through a large folder that was left there
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_SNAPSHOTTER = ["driver-type", "io.containerd.snapshotter.v1"]


def probe(remote: Shell, identity: Identity, workspace: str) -> HostFacts:
    """Ask a host about itself, about `identity` and about the path where the workspace is to land ("" for none).

    Raises RemoteError when the answer makes no sense.
    """
    reply = remote.run(Probe(identity=identity, workspace=Workspace(workspace)).command(), silence=_SILENCE)
    try:
        return parse_probe(_text(reply))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise RemoteError(
            f"{remote.name} gave an answer to the first questions that makes no sense: {exc}",
            left="nothing was changed there",
            next_step=f"bottle doctor {remote.name}",
        ) from exc


def parse_probe(text: str) -> HostFacts:
    """Read what the probe printed. Raises ValueError, KeyError or TypeError for what it cannot have printed."""
    lines = [(key, value) for key, _, value in (line.partition("=") for line in text.split("\n"))]  # names hold "\r"
    values = dict(lines)  # what comes later is truer: `ours` after `full`
    info: Mapping[str, Any] = json.loads(values["info"]) if values.get("info") else {}
    return HostFacts(
        bottle_home=_home(values),
        writable=values.get("writable") == "yes",
        tools=frozenset(value for key, value in lines if key == "tool"),
        bottle=printable(values["bottle"], 80) if "bottle" in values else None,
        presence=Presence(values["presence"]),
        free_home=_kilobytes(values, "free_home"),
        disk_home=values.get("disk_home", ""),
        staged=_kilobytes(values, "staged"),
        workspace=_place(values) if "workspace" in values else None,
        free_workspace=_kilobytes(values, "free_workspace"),
        disk_workspace=values.get("disk_workspace", ""),
        docker=values.get("docker", ""),
        sudo=values.get("sudo") == "yes",
        refused=printable(values["refused"], 300) if "refused" in values else None,
        engine_version=printable(str(info.get("ServerVersion", "")), 40),
        architecture=printable(values.get("architecture", ""), 40),
        store=Store.CONTAINERD if _SNAPSHOTTER in (info.get("DriverStatus") or []) else Store.CLASSIC,
        docker_root=str(info.get("DockerRootDir", "")),
        free_docker=_kilobytes(values, "free_docker"),
        disk_docker=values.get("disk_docker", ""),
        engine_id=engine_id(info),
        ran_since=_containers(lines, "ran_since"),
        root=values.get("root") == "yes",
        podman=values.get("podman") == "yes",
        left=_path(values.get("left", "")),
        differing=int(values.get("differing", 0)),
        differs=tuple(printable(value, 200) for key, value in lines if key == "differs"),
        used=_containers(lines, "used"),
        copied=values.get("copy") == "as_it_came",
        generation=int(values.get("generation") or 0),
        changed=tuple(printable(value, 80) for key, value in lines if key == "changed"),
        volumes=frozenset(value for key, value in lines if key == "volume"),
        volumes_used=_uses(lines),
    )


def _home(values: Mapping[str, str]) -> str:
    home = values["bottle_home"]
    if not home.startswith("/"):
        raise ValueError(f"its bottle home is no absolute path: {home[:80]!r}")
    return home


def require_done(remote: Shell, reply: Reply, doing: str) -> Reply:
    """The reply, if the command succeeded. Raises RemoteError with what the far side said."""
    if reply.status != ScriptStatus.DONE:
        raise RemoteError(
            f"{doing} failed on {remote.name}: {reply.err.strip() or f'exit status {reply.status}'}",
            next_step="the same command again goes on where this one stopped",
        )
    return reply


def _place(values: Mapping[str, str]) -> WorkspacePlace:
    found = WorkspacePlace(values["workspace"])  # as hosts that pull with an earlier version understand it, too
    return WorkspacePlace.LEFT if found is WorkspacePlace.FULL and values.get("as_left") == "yes" else found


def _containers(lines: list[tuple[str, str]], wanted: str) -> tuple[str, ...]:
    names = tuple(value for key, value in lines if key == wanted)
    if not all(map(_CONTAINER.fullmatch, names)):
        raise ValueError(f"`{wanted}` is no container's name")
    return names


def _uses(lines: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Volumes, and the containers that have them."""
    uses = [value.partition(" ") for key, value in lines if key == "volume_used"]
    if not all(map(_CONTAINER.fullmatch, (name for volume, _, container in uses for name in (volume, container)))):
        raise ValueError("`volume_used` is no volume's name and a container's")
    return tuple((volume, container) for volume, _, container in uses)


def _path(text: str) -> str | None:
    """A path that can be named as it is; None for any other."""
    return text if text.startswith("/") and text.isprintable() and "\ufffd" not in text else None


def _text(reply: Reply) -> str:
    return reply.out.decode("utf-8", "replace")


def _kilobytes(values: Mapping[str, str], key: str) -> int:
    kilobytes = int(values.get(key) or 0)
    if not 0 <= kilobytes < _MOST:
        raise ValueError(f"`{key}` is no size of a disk")
    return kilobytes * 1024
