"""What travels and what does not: decided from facts alone."""

from collections.abc import Iterator
from pathlib import Path

from bottle.model import ContainerFacts, Metadata, Missing, MissingKind, StayKind, Stays
from bottle.naming import Identity
from bottle.plan.guards import require_docker
from bottle.plan.history import commit_in_force, is_frozen_in, standing_below
from bottle.words import counted
from migrate.contents.outside import OutsideNeeds, images_that_stay, volumes_of, weigh, what_stays
from migrate.image.load_archive import choose_codec
from migrate.model import HostFacts, Presence, WorkspacePlace
from migrate.move.copies import renamed_volumes
from migrate.move.model import MoveFacts, MovePlan, Part
from migrate.move.refusals import needs, require_destination, require_space


def plan_move(facts: MoveFacts, workspace: str | None) -> MovePlan:
    """Decide a move whose workspace, if it has one, is to land at `workspace`.

    Raises BackendUnsupported, PreflightRefused, PathTooLong, NameTaken or Conflict, with nothing changed anywhere.
    """
    require_docker(facts.metadata, "migrate")
    lands = workspace if facts.joins is None else None
    require_destination(facts, lands)
    missing = [layer for layer in facts.layers if layer not in facts.present]
    image = facts.written + (facts.image_size if missing else 0)
    outside = weigh(facts.survey, workdir=facts.metadata.agent.workdir, lands=workspace)
    needed = needs(facts, image, sum(each.size for each in outside.carried))
    require_space(facts, needed, facts.workspace.size if lands is not None else 0)
    commits = facts.container is not None and not _is_frozen(facts, facts.container)
    along, left = _history(facts, commits=commits)
    stays = what_stays(facts.metadata, facts.commits, facts.own, outside, images_that_stay(left))
    running = facts.container is not None and facts.container.status.alive
    refreshes = facts.arrives_as if facts.refreshes and facts.host.presence is Presence.OWNED else None
    return MovePlan(
        workspace=workspace,
        present=len(facts.layers) - len(missing),
        layers=len(facts.layers),
        layer_codec=choose_codec(facts.host.engine_version, facts.host.store),
        file_codec=facts.host.file_codec,
        parts=tuple(_parts(facts, lands, len(missing), image, outside)),
        stays=(*stays, *_rounded(facts, lands)),
        missing_there=tuple(_missing_there(facts)),
        running=running,
        stops=running and not facts.keep,
        commits=commits,
        needed_docker=needed.docker,
        needed_home=needed.home,
        free_docker=facts.host.free_docker,
        free_home=facts.host.free_home,
        shared=facts.shared,
        left_behind=outside.left,
        live=running and facts.live,
        replaces=lands is not None and facts.host.workspace is WorkspacePlace.LEFT,
        refreshes=refreshes,
        renamed=renamed_volumes(facts) if refreshes is not None else {},
        history=along,
        history_stays=left,
        joins=facts.joins,
    )


def _history(facts: MoveFacts, *, commits: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of the older commits whose images are to be there too, and those of which they stay here.

    `commits`: one more is made, and is the one that travels; else the one in force is.
    """
    newest = None if commits else commit_in_force(facts.commits, facts.committed_tag)
    chain = newest.diff_ids if newest is not None else facts.ground
    older = [each for each in facts.commits if each != newest and each.number in facts.imaged]
    travels = standing_below(older, chain) if facts.history else ()
    along = tuple(each.number for each in travels)
    return along, tuple(each.number for each in older if each.number not in along)


def _parts(facts: MoveFacts, workspace: str | None, missing: int, image: int, outside: OutsideNeeds) -> Iterator[Part]:
    """What travels; of the image, `missing` layers of `image` bytes."""
    layers = f"{missing} of {counted(len(facts.layers), 'layer')}"
    yield Part(name=f"image: {layers} and what was written since", size=image)
    if workspace is not None:
        yield Part(name=f"workspace {facts.metadata.cwd}", size=facts.workspace.size)
    for each in outside.carried:
        yield Part(name=each.line, size=each.size)
    for mount in volumes_of(facts.metadata):
        extent = facts.volumes.get(mount.source)
        yield Part(name=f"volume {mount.source}", size=extent.size if extent is not None else None)
    yield Part(name="state and transcript", size=facts.state.size)


def _is_frozen(facts: MoveFacts, container: ContainerFacts) -> bool:
    """Whether the commit in force holds all that the container did, and its image is here to be sent."""
    commit = commit_in_force(facts.commits, facts.committed_tag)
    return (
        commit is not None
        and facts.committed_layers == commit.diff_ids
        and not container.status.alive
        and is_frozen_in(container, (commit,))
    )


def workspace_path(metadata: Metadata, host: HostFacts, wanted: Path | None, arrives_as: Identity) -> str | None:
    """Where the workspace is to land: where the user says, else where the bottle left it there when it moved away.

    That of a copy lands where the copy has it. Else at the same path, else below the far bottle home.
    """
    if metadata.mounted is None:
        return None
    if wanted is not None:
        return str(wanted)
    if host.left is not None and (host.copied or arrives_as == metadata.identity):
        return host.left
    if host.workspace is WorkspacePlace.DENIED:
        return f"{host.bottle_home}/workspaces/{arrives_as}"
    return str(metadata.mounted)


def _rounded(facts: MoveFacts, workspace: str | None) -> tuple[Stays, ...]:
    if workspace is None or facts.pulled or "busybox-tar" not in facts.host.tools:
        return ()
    return (Stays(kind=StayKind.FRACTIONS, name=facts.host_name),)


def _missing_there(facts: MoveFacts) -> Iterator[Missing]:
    if facts.host.bottle is None:
        yield Missing(kind=MissingKind.BOTTLE)
    if facts.host.sudo:
        yield Missing(kind=MissingKind.RIGHTS, name=facts.host.bottle_home, identity=str(facts.arrives_as))
    yield from (Missing(kind=MissingKind.SECRET, name=name) for name in facts.metadata.agent.secrets)
