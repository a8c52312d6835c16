"""What makes a move impossible, and whether there is room for it, here and there: decided from facts alone."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from bottle.errors import Conflict, NameTaken, PathTooLong, PreflightRefused
from bottle.files.paths import OPENABLE
from bottle.files.tree import Extent
from bottle.tar.items import MOST_NAMES
from bottle.tar.rules import MOST_ENTRIES
from bottle.text import shortened
from bottle.words import size
from migrate.model import HostFacts, Presence, WorkspacePlace
from migrate.move.copies import another, require_standing_by, require_unworked_copy
from migrate.move.model import MoveFacts

UNCHANGED = "nothing was changed on either side"
_NEEDED_TOOLS = ("tar", "find", "awk")
_SLACK = 64 * 1024**2


def require_destination(facts: MoveFacts, workspace: str | None) -> None:
    """That the other host can take the bottle, room aside."""
    _require_another_engine(facts)
    _require_engine(facts)
    if facts.resume_there and facts.host.bottle is None:
        raise _refused(
            f"{facts.host_name} has no bottle to resume with",
            next_step="there: pipx install agent-bottle   (or move without --resume and --live)",
        )
    if facts.resume_there and facts.host.sudo:
        raise _refused(
            f"the user there may use Docker on {facts.host_name} by sudo only, so nothing could be started there",
            next_step="there: sudo usermod -aG docker $USER, then log in again; or move without --resume and --live",
        )
    if facts.standby:
        require_standing_by(facts)
    if facts.refreshes:
        require_unworked_copy(facts, workspace)
    elif facts.host.presence is Presence.OWNED:
        raise NameTaken(
            f"{facts.host_name} has a bottle {facts.arrives_as} already, and it is not one that moved away from there",
            left=UNCHANGED,
            next_step=f"look at it there: bottle inspect {facts.arrives_as}",
        )
    _require_unworked(facts)
    if workspace is not None:
        _require_place(facts, workspace)
    _require_unpackable(facts)


def _require_another_engine(facts: MoveFacts) -> None:
    """On one engine both homes would have the same container, images and volumes, and `rm` in the one takes them."""
    if facts.engine_id and facts.engine_id == facts.host.engine_id:
        raise _refused(
            f"the Docker engine of {facts.host_name} is the very one that {facts.metadata.identity} is on already",
            next_step=f"for a second bottle on it: bottle fork {facts.metadata.identity}   (a clone of this machine, "
            "Docker and all: give it a hostname of its own, and restart Docker there)",
        )


def _require_engine(facts: MoveFacts) -> None:
    host, name = facts.host, facts.host_name
    if not host.docker:
        raise _refused(f"{name} has no docker", next_step=f"bottle doctor {name}")
    if host.podman:
        raise _refused(
            f"the engine of {name} is Podman: bottles move from there, and not to it",
            next_step=f"carry it as a file: bottle export {facts.metadata.identity} FILE; there: bottle import FILE",
        )
    if host.refused is not None:
        raise _refused(
            f"the user there may not use Docker on {name}, not with `sudo -n` either: {host.refused}",
            next_step="there: sudo usermod -aG docker $USER, then log in again; or start Docker",
        )
    if host.architecture != facts.architecture:
        raise _refused(
            f"{name} is {host.architecture}, and this bottle's image is {facts.architecture}",
            next_step="choose a host of the same architecture",
        )
    lacking = [tool for tool in _NEEDED_TOOLS if tool not in host.tools]
    if not host.tools & {"sha256sum", "shasum"}:
        lacking.append("sha256sum")
    if lacking:
        raise _refused(f"{name} lacks {', '.join(lacking)}", next_step="install them there")
    if not host.writable:
        raise _refused(f"{host.bottle_home} on {name} cannot be written", next_step="set BOTTLE_HOME there")


def _require_unworked(facts: MoveFacts) -> None:
    """Refuse to come back to where a container that was left there has gone on working."""
    if not facts.host.ran_since:
        return
    name, *_ = facts.host.ran_since
    raise Conflict(
        f"{name}, which {facts.metadata.identity} left on {facts.host_name} when it moved away from there, has run "
        "since: what it did is in no commit",
        left=UNCHANGED,
        next_step=f"there: docker stop {name}; docker commit {name} kept; docker rm {name}   (keeps its work as an "
        "image); then the same command again",
    )


def _require_place(facts: MoveFacts, workspace: str) -> None:
    place = facts.host.workspace
    if not facts.workspace_here:
        raise _refused(
            f"the workspace {facts.metadata.cwd} is not here, so it cannot travel",
            next_step=f"put it back, or: mkdir -p {facts.metadata.cwd}",
        )
    if place is WorkspacePlace.LEFT:
        require_unused(facts.host, facts.host_name, workspace)
    if place is WorkspacePlace.FULL and facts.host.differing:
        raise _worked_in(facts, workspace)
    if place is WorkspacePlace.FULL:
        raise Conflict(
            f"{workspace} on {facts.host_name} exists and is no empty folder; it is never overwritten{facts.apart}",
            left=UNCHANGED,
            next_step="the same command with --workspace DIR, a folder there that is new or empty",
        )
    if place is WorkspacePlace.DENIED:
        raise _refused(
            f"{workspace} cannot be made on {facts.host_name}",
            next_step="the same command with --workspace DIR, a folder that the user there may make",
        )


def _worked_in(facts: MoveFacts, workspace: str) -> Conflict:
    """The workspace there is one that would have given way, and somebody has worked in it."""
    name, differences = facts.host_name, _differences(facts.host)
    if facts.refreshes:
        return Conflict(
            f"somebody has worked in {workspace} on {name}, where the copy {facts.arrives_as} works: {differences}",
            left=UNCHANGED,
            next_step=f"the same command with {another(workspace)}, makes another copy; that one stays as it is",
        )
    return Conflict(
        f"{facts.metadata.identity} left {workspace} on {name} when it moved away, and it is not as it was then: "
        f"{differences}",
        left=UNCHANGED,
        next_step="move that folder aside there, then the same command again; or with --workspace DIR",
    )


def require_unused(host: HostFacts, name: str, workspace: str) -> None:
    """Refuse to replace a workspace that somebody uses on the host called `name`. Raises Conflict."""
    if host.used:
        raise Conflict(
            f"{host.used[0]} works in {workspace} on {name}, which would be replaced",
            left="the bottle is where it was",
            next_step="the same command with --workspace DIR, a folder there that is new or empty; "
            "or stop what uses it there",
        )


def _differences(host: HostFacts) -> str:
    more = host.differing - len(host.differs)
    if not host.differs:
        return f"{host.differing} of its files and folders differ"
    return ", ".join(host.differs) + (f", and {more} more" if more > 0 else "")


def _require_unpackable(facts: MoveFacts) -> None:
    """Refuse what the tar of the other host, Docker or a tar of ours would fail on after the agent was stopped."""
    ours = {f"the workspace {facts.metadata.cwd}": facts.workspace, "the state": facts.state}
    theirs = {f"volume {name}": extent for name, extent in facts.volumes.items()}
    for what, extent in {**ours, **theirs}.items():
        if len(os.fsencode(extent.longest)) > OPENABLE and what != "the state":
            raise PathTooLong(
                f"{what} has a path of more than {OPENABLE} bytes, which the tar of another host cannot unpack: "
                f"{shortened(extent.longest)}",
                left=UNCHANGED,
                next_step="remove or rename some of the folders that lie in each other there; or, for a workspace: "
                f"bottle export {facts.metadata.identity} FILE, which holds it at any depth",
            )
        if facts.pulled and extent.entries >= MOST_ENTRIES:  # the top counts too
            raise _too_many(what, extent, f"{MOST_ENTRIES} of them", "; or move it from its own host, without --from")
        if extent.names > MOST_NAMES and (what in ours or facts.pulled):
            raise _too_many(what, extent, f"{MOST_NAMES} bytes of names", "")


def _refused(what: str, *, next_step: str) -> PreflightRefused:
    return PreflightRefused(what, left=UNCHANGED, next_step=next_step)


def _too_many(what: str, extent: Extent, most: str, way: str) -> PreflightRefused:
    return _refused(
        f"{what} has {extent.entries} files and folders, and a move takes no more than {most} in one",
        next_step=f"delete what can be made again, such as caches and installed packages{way}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNeeds:
    """Bytes of disk: of the engine there, of bottle's home there, and of what is packed here."""

    docker: int
    home: int
    here: int


def needs(facts: MoveFacts, image: int, carried: int) -> DiskNeeds:
    """For an image of which `image` bytes travel, and `carried` of what lies outside the workspace."""
    files = facts.workspace.size + facts.state.size + carried
    volumes = [each.size for each in facts.volumes.values()]
    composed = max(volumes, default=0) if facts.pulled else 0  # one after the other is composed anew
    return DiskNeeds(
        docker=2 * image + sum(volumes) + _SLACK,
        home=image + 2 * files + sum(volumes) + composed + _SLACK,
        # Of an image much is there, and it shrinks; what is carried is made a repository first, then packed.
        here=image * 2 // 5 + files + carried + sum(volumes) + _SLACK,
    )


def require_space(facts: MoveFacts, needed: DiskNeeds, workspace: int) -> None:
    """Refuse what does not fit, here or there; `workspace` are the bytes that land there. Raises PreflightRefused."""
    _require_space_there(facts, needed, workspace)
    if needed.here > facts.free_here + facts.packed_here:
        raise _refused(
            f"this host has {size(facts.free_here)} free at {facts.home}, and up to "
            f"{size(needed.here - facts.packed_here)} are needed to pack the bottle",
            next_step=f"free space: bottle prune --dry-run; df -h {facts.home}",
        )


def _require_space_there(facts: MoveFacts, needed: DiskNeeds, workspace: int) -> None:
    """What is staged already is part of what is needed; a workspace is staged first, then moved where it belongs."""
    host = facts.host
    parts = [
        (host.disk_docker, host.docker_root, host.free_docker, needed.docker),
        (host.disk_home, host.bottle_home, host.free_home, max(needed.home - host.staged, 0)),
    ]
    if host.disk_workspace != host.disk_home:
        parts.append((host.disk_workspace, host.disk_workspace, host.free_workspace, workspace))
    for disk, path, free, _ in parts:
        together = sum(each[-1] for each in parts if each[0] == disk)
        if together > free:
            raise _refused(
                f"{facts.host_name} has {size(free)} free at {path}, and up to {size(together)} "
                "are needed to stage the bottle and load it",
                next_step=f"free space there: docker system df; df -h {path}",
            )


def require_room(host: HostFacts, name: str, needed: int, *, left: Callable[[], str]) -> None:
    """Refuse to begin what cannot be staged, now that its size is known. Raises PreflightRefused."""
    if needed - host.staged > host.free_home:
        raise PreflightRefused(
            f"{name} has {size(host.free_home)} free at {host.bottle_home}, and "
            f"{size(needed - host.staged)} more are to be staged",
            left=left(),
            next_step=f"free space there: df -h {host.bottle_home}; then the same command again",
        )
