"""What travels, what does not, and what makes a move impossible: decided from facts alone."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import Conflict, NameTaken, PathTooLong, PreflightRefused
from bottle.files.tree import OPENABLE, Extent
from bottle.model import CommitRecord, ContainerFacts, Metadata
from bottle.naming import Identity
from bottle.plan.decisions import commit_in_force, is_frozen_in, require_docker
from bottle.tar.paths import MOST_NAMES
from bottle.tar.rules import MOST_ENTRIES
from bottle.text import shortened
from bottle.words import counted, size
from migrate.contents.outside import Outside, Survey, weigh
from migrate.contents.travels import volumes_of, what_stays
from migrate.image.load_archive import choose_codec
from migrate.model import Codec, HostFacts, Place, Presence

_NEEDED_TOOLS = ("tar", "find", "awk")
_SLACK = 64 * 1024**2
_RECORDS = 16 << 10  # bytes of what a part has beside its contents
_UNCHANGED = "nothing was changed on either side"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFacts:
    """All that decides a move. Sizes in bytes.

    `arrives_as` is what the bottle will be called there. `layers` are the diff ids of the image that the bottle stands
    on now, base first; `image_size` is that of those that the destination lacks, or more; `written` is what its
    container wrote on top. `present` are the layers that the destination has. `workspace_here`: the folder to be packed
    is there. `committed_layers` are those of the image that has `committed_tag`, None where none has. `volumes` are
    those that can be looked into from here, by name. `free_here` is for what is packed to be sent, below bottle's
    `home`; `packed_here` is what earlier runs left there, which is used or deleted. `pulled`: the destination unpacks
    by the program that asked for it. `engine_id` is what the engine here calls itself, as `host.engine_id` is there.
    `shared`: who else works in what travels, a line each. `survey` is of the workspace. `own` is bottle's home where it
    lies in the workspace.
    """

    metadata: Metadata
    arrives_as: Identity
    container: ContainerFacts | None
    commits: tuple[CommitRecord, ...]
    committed_tag: str | None
    committed_layers: tuple[str, ...] | None
    architecture: str
    layers: tuple[str, ...]
    image_size: int
    written: int
    workspace_here: bool
    workspace: Extent
    volumes: Mapping[str, Extent]
    state: Extent
    home: Path
    free_here: int
    packed_here: int
    host: HostFacts
    host_name: str
    present: frozenset[str]
    engine_id: str
    keep: bool
    pulled: bool
    resume_there: bool
    survey: Survey
    shared: tuple[str, ...] = ()
    own: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that travels, and how many bytes its contents are, where that is known."""

    name: str
    size: int | None

    @property
    def most(self) -> int | None:
        """At most how many bytes it is on the wire, as if nothing in it could be compressed: only doing it would tell.

        Each file has a header, and the move adds records of its own.
        """
        return None if self.size is None else self.size + self.size // 100 + _RECORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What will happen. `--plan` shows this very value.

    `workspace` is where the workspace lands, None when none travels. `present` counts the layers, from the base up,
    that the destination has and that need not travel. `along` are credentials that go along because they may, a line
    each, as far as they are there yet; `shared` as in `MoveFacts`. `left_behind` is what the workspace needs
    of this host and will lack there.
    """

    workspace: str | None
    present: int
    layers: int
    layer_codec: Codec
    file_codec: Codec
    parts: tuple[Part, ...]
    stays: tuple[str, ...]
    missing_there: tuple[str, ...]
    running: bool
    stops: bool
    commits: bool
    needed_docker: int
    needed_home: int
    free_docker: int
    free_home: int
    along: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()


def plan_move(facts: MoveFacts, workspace: str | None) -> MovePlan:
    """Decide a move whose workspace, if it has one, is to land at `workspace`.

    Raises BackendUnsupported, PreflightRefused, PathTooLong, NameTaken or Conflict, with nothing changed anywhere.
    """
    require_docker(facts.metadata, "migrate")
    host = facts.host
    _require_another_engine(facts)
    _require_engine(facts)
    if facts.resume_there and host.bottle is None:
        raise PreflightRefused(
            f"{facts.host_name} has no bottle to resume with",
            left=_UNCHANGED,
            next_step="there: pipx install agent-bottle   (or move without --resume)",
        )
    if host.presence is Presence.OWNED:
        raise NameTaken(
            f"{facts.host_name} has a bottle {facts.arrives_as} already, and it is not one that moved away from there",
            left=_UNCHANGED,
            next_step=f"look at it there: bottle inspect {facts.arrives_as}",
        )
    _require_unworked(facts)
    if workspace is not None:
        _require_place(facts, workspace)
    _require_unpackable(facts)
    missing = [layer for layer in facts.layers if layer not in facts.present]
    image = facts.written + (facts.image_size if missing else 0)
    parts = [
        Part(
            name=f"image: {len(missing)} of {counted(len(facts.layers), 'layer')} and what was written since",
            size=image,
        )
    ]
    outside = _outside(facts, workspace)
    if workspace is not None:
        parts.append(Part(name=f"workspace {facts.metadata.cwd}", size=facts.workspace.size))
    parts += [Part(name=each.line, size=each.size) for each in outside.carried]
    parts += [
        Part(name=f"volume {mount.source}", size=_size_of(facts, mount.source)) for mount in volumes_of(facts.metadata)
    ]
    parts.append(Part(name="state and transcript", size=facts.state.size))
    carried = sum(each.size for each in outside.carried)
    files = facts.workspace.size + facts.state.size + carried
    volumes = [each.size for each in facts.volumes.values()]
    needed_docker, needed_home = 2 * image + sum(volumes) + _SLACK, image + 2 * files + sum(volumes) + _SLACK
    needed_home += max(volumes, default=0) if facts.pulled else 0  # one after the other is composed anew
    _require_space(facts, needed_docker, needed_home, facts.workspace.size if workspace is not None else 0)
    # Of an image much is there, and it shrinks; what is carried is made a repository first, then packed.
    _require_space_here(facts, image * 2 // 5 + files + carried + sum(volumes) + _SLACK)
    running = facts.container is not None and facts.container.status.alive
    return MovePlan(
        workspace=workspace,
        present=len(facts.layers) - len(missing),
        layers=len(facts.layers),
        layer_codec=choose_codec(host.engine_version, host.store),
        file_codec=host.file_codec,
        parts=tuple(parts),
        stays=(*what_stays(facts.metadata, facts.commits, facts.own), *outside.told, *_rounded(facts, workspace)),
        missing_there=_missing_there(facts),
        running=running,
        stops=running and not facts.keep,
        commits=facts.container is not None and not _is_frozen(facts, facts.container),
        needed_docker=needed_docker,
        needed_home=needed_home,
        free_docker=host.free_docker,
        free_home=host.free_home,
        shared=facts.shared,
        left_behind=outside.left,
    )


def _outside(facts: MoveFacts, workspace: str | None) -> Outside:
    if workspace is None:
        return Outside()
    return weigh(facts.survey, workdir=facts.metadata.agent.workdir, lands=workspace)


def _is_frozen(facts: MoveFacts, container: ContainerFacts) -> bool:
    """Whether the commit in force holds all that the container did, and its image is here to be sent."""
    commit = commit_in_force(facts.commits, facts.committed_tag)
    return (
        commit is not None
        and facts.committed_layers == commit.diff_ids
        and not container.status.alive
        and is_frozen_in(container, (commit,))
    )


def landing(metadata: Metadata, host: HostFacts, wanted: Path | None, arrives_as: Identity) -> str | None:
    """Where the workspace is to land: where the user says, else the same path, else below the far bottle home."""
    if metadata.cwd is None or metadata.copy_cwd:
        return None
    if wanted is not None:
        return str(wanted)
    if host.workspace is Place.DENIED:
        return f"{host.bottle_home}/workspaces/{arrives_as}"
    return str(metadata.cwd)


def _require_another_engine(facts: MoveFacts) -> None:
    """On one engine both homes would have the same container, images and volumes, and `rm` in the one takes them."""
    if facts.engine_id and facts.engine_id == facts.host.engine_id:
        raise PreflightRefused(
            f"the Docker engine of {facts.host_name} is the very one that {facts.metadata.identity} is on already",
            left=_UNCHANGED,
            next_step=f"for a second bottle on it: bottle fork {facts.metadata.identity}   (a clone of this machine, "
            "Docker and all: give it a hostname of its own, and restart Docker there)",
        )


def _require_engine(facts: MoveFacts) -> None:
    host, name = facts.host, facts.host_name
    if not host.docker:
        raise PreflightRefused(f"{name} has no docker", left=_UNCHANGED, next_step=f"bottle doctor {name}")
    if host.podman:
        raise PreflightRefused(
            f"the engine of {name} is Podman: bottles move from there, and not to it",
            left=_UNCHANGED,
            next_step=f"carry it as a file: bottle export {facts.metadata.identity} FILE; there: bottle import FILE",
        )
    if host.refused is not None:
        raise PreflightRefused(
            f"the user there may not use Docker on {name}, not with `sudo -n` either: {host.refused}",
            left=_UNCHANGED,
            next_step="there: sudo usermod -aG docker $USER, then log in again; or start Docker",
        )
    if host.architecture != facts.architecture:
        raise PreflightRefused(
            f"{name} is {host.architecture}, and this bottle's image is {facts.architecture}",
            left=_UNCHANGED,
            next_step="choose a host of the same architecture",
        )
    lacking = [tool for tool in _NEEDED_TOOLS if tool not in host.tools]
    if not host.tools & {"sha256sum", "shasum"}:
        lacking.append("sha256sum")
    if lacking:
        raise PreflightRefused(f"{name} lacks {', '.join(lacking)}", left=_UNCHANGED, next_step="install them there")
    if not host.writable:
        raise PreflightRefused(
            f"{host.bottle_home} on {name} cannot be written", left=_UNCHANGED, next_step="set BOTTLE_HOME there"
        )


def _require_unworked(facts: MoveFacts) -> None:
    """Refuse to come back to where a container that was left there has gone on working."""
    if not facts.host.ran_since:
        return
    name, *_ = facts.host.ran_since
    raise Conflict(
        f"{name}, which {facts.metadata.identity} left on {facts.host_name} when it moved away from there, has run "
        "since: what it did is in no commit",
        left=_UNCHANGED,
        next_step=f"there: docker stop {name}; docker commit {name} kept; docker rm {name}   (keeps its work as an "
        "image); then the same command again",
    )


def _require_place(facts: MoveFacts, workspace: str) -> None:
    place = facts.host.workspace
    if not facts.workspace_here:
        raise PreflightRefused(
            f"the workspace {facts.metadata.cwd} is not here, so it cannot travel",
            left=_UNCHANGED,
            next_step=f"put it back, or: mkdir -p {facts.metadata.cwd}",
        )
    if place is Place.FULL:
        raise Conflict(
            f"{workspace} on {facts.host_name} exists and is no empty folder; it is never overwritten",
            left=_UNCHANGED,
            next_step="the same command with --workspace DIR, a folder there that is new or empty",
        )
    if place is Place.DENIED:
        raise PreflightRefused(
            f"{workspace} cannot be made on {facts.host_name}",
            left=_UNCHANGED,
            next_step="the same command with --workspace DIR, a folder that the user there may make",
        )


def _rounded(facts: MoveFacts, workspace: str | None) -> tuple[str, ...]:
    if workspace is None or facts.pulled or "busybox-tar" not in facts.host.tools:
        return ()
    return (f"fractions of a second in the times of files: the tar of {facts.host_name} is busybox's",)


def _size_of(facts: MoveFacts, volume: str) -> int | None:
    extent = facts.volumes.get(volume)
    return None if extent is None else extent.size


def _require_unpackable(facts: MoveFacts) -> None:
    """Refuse what the tar of the other host, Docker or a tar of ours would fail on after the agent was stopped."""
    ours = {f"the workspace {facts.metadata.cwd}": facts.workspace, "the state": facts.state}
    theirs = {f"volume {name}": extent for name, extent in facts.volumes.items()}
    for what, extent in {**ours, **theirs}.items():
        if len(os.fsencode(extent.longest)) > OPENABLE and what != "the state":
            raise PathTooLong(
                f"{what} has a path of more than {OPENABLE} bytes, which the tar of another host cannot unpack: "
                f"{shortened(extent.longest)}",
                left=_UNCHANGED,
                next_step="remove or rename some of the folders that lie in each other there; or, for a workspace: "
                f"bottle export {facts.metadata.identity} FILE, which holds it at any depth",
            )
        if facts.pulled and extent.entries >= MOST_ENTRIES:  # the top counts too
            raise _too_many(what, extent, f"{MOST_ENTRIES} of them", "; or move it from its own host, without --from")
        if extent.names > MOST_NAMES and (what in ours or facts.pulled):
            raise _too_many(what, extent, f"{MOST_NAMES} bytes of names", "")


def _too_many(what: str, extent: Extent, most: str, way: str) -> PreflightRefused:
    return PreflightRefused(
        f"{what} has {extent.entries} files and folders, and a move takes no more than {most} in one",
        left=_UNCHANGED,
        next_step=f"delete what can be made again, such as caches and installed packages{way}",
    )


def _require_space(facts: MoveFacts, needed_docker: int, needed_home: int, needed_workspace: int) -> None:
    """What is staged already is part of what is needed; a workspace is staged first, then moved where it belongs."""
    host = facts.host
    parts = [
        (host.disk_docker, host.docker_root, host.free_docker, needed_docker),
        (host.disk_home, host.bottle_home, host.free_home, max(needed_home - host.staged, 0)),
    ]
    if host.disk_workspace != host.disk_home:
        parts.append((host.disk_workspace, host.disk_workspace, host.free_workspace, needed_workspace))
    for disk, path, free, _ in parts:
        needed = sum(each[-1] for each in parts if each[0] == disk)
        if needed > free:
            raise PreflightRefused(
                f"{facts.host_name} has {size(free)} free at {path}, and up to {size(needed)} "
                "are needed to stage the bottle and load it",
                left=_UNCHANGED,
                next_step=f"free space there: docker system df; df -h {path}",
            )


def _require_space_here(facts: MoveFacts, needed: int) -> None:
    if needed > facts.free_here + facts.packed_here:
        raise PreflightRefused(
            f"this host has {size(facts.free_here)} free at {facts.home}, and up to "
            f"{size(needed - facts.packed_here)} are needed to pack the bottle",
            left=_UNCHANGED,
            next_step=f"free space: bottle prune --dry-run; df -h {facts.home}",
        )


def require_room(host: HostFacts, name: str, needed: int) -> None:
    """Refuse to begin what cannot be staged, now that its size is known. Raises PreflightRefused."""
    if needed - host.staged > host.free_home:
        raise PreflightRefused(
            f"{name} has {size(host.free_home)} free at {host.bottle_home}, and "
            f"{size(needed - host.staged)} more are to be staged",
            left="this host still owns the bottle; it is stopped and committed",
            next_step=f"free space there: df -h {host.bottle_home}; then the same command again",
        )


def _missing_there(facts: MoveFacts) -> tuple[str, ...]:
    missing = []
    if facts.host.bottle is None:
        missing.append("bottle itself: pipx install agent-bottle there, before `bottle resume`")
    if facts.host.sudo:
        missing.append(
            "the right to use Docker without sudo: there, "
            f"sudo BOTTLE_HOME={facts.host.bottle_home} bottle resume {facts.arrives_as}"
        )
    missing += [f"secret {name}: set it there before `bottle resume`" for name in facts.metadata.agent.secrets]
    return tuple(missing)
