"""Whether there is room for a move, here and there: decided from facts alone."""

from dataclasses import dataclass

from bottle.errors import PreflightRefused
from bottle.words import size
from migrate.model import HostFacts
from migrate.move.model import MoveFacts
from migrate.move.refusals import UNCHANGED

_SLACK = 64 * 1024**2


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
        raise PreflightRefused(
            f"this host has {size(facts.free_here)} free at {facts.home}, and up to "
            f"{size(needed.here - facts.packed_here)} are needed to pack the bottle",
            left=UNCHANGED,
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
            raise PreflightRefused(
                f"{facts.host_name} has {size(free)} free at {path}, and up to {size(together)} "
                "are needed to stage the bottle and load it",
                left=UNCHANGED,
                next_step=f"free space there: docker system df; df -h {path}",
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
