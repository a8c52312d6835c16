"""Gather all that decides a move, here and there; nothing is changed on either side."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bottle.errors import NotFound
from bottle.files import tree
from bottle.launch import is_below
from bottle.model import CommitRecord, ContainerFacts, ImageFacts, Metadata, MountKind
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations import Context
from bottle.plan.copies import is_image_of
from bottle.plan.guards import require_docker, require_here
from bottle.plan.standing import standing_on
from bottle.store.state import BottleState
from bottle.text import printable
from migrate.contents.git import Git
from migrate.contents.outside import Survey, volumes_of
from migrate.contents.packing import own_folder, packed_before
from migrate.contents.survey import survey
from migrate.host.layers import ImagesThere, LayersThere, ask_images, ask_layers, worth_naming
from migrate.host.probe import probe
from migrate.model import HostFacts
from migrate.move.ahead import Ahead, gone_ahead
from migrate.move.copies import is_copy
from migrate.move.model import MoveFacts
from migrate.move.plan import workspace_path
from migrate.move.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The facts, where the workspace is to land, and the images that the other host has.

    `image` is what the bottle stands on here.
    """

    facts: MoveFacts
    image: ImageFacts
    workspace: str | None
    images: ImagesThere


def observe(transfer: Transfer) -> Observed:
    """Look at the bottle here and at the host that it is to go to.

    Raises BackendUnsupported, MovedAway, NotFound, or what a Remote raises.
    """
    context, state = transfer.context, transfer.state
    metadata = state.metadata()
    require_docker(metadata, "migrate")
    require_here(state.identity, state.tombstone.read(), "migrate")
    container, tag = context.container(state.identity), state.committed_image()
    ref = container.image if container is not None else tag
    image = context.engine.image(ref) if ref is not None else None
    if image is None:
        raise NotFound(
            f"{state.identity} has neither a container nor a committed image here, so there is nothing to move",
            left="nothing was changed on either side",
            next_step=f"bottle resume {state.identity}",
        )
    there = _look_there(transfer, image)
    facts = _facts(transfer, container, image, there)
    return Observed(facts=facts, image=image, workspace=there.workspace, images=there.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class _There:
    """What is on the other host, and where the workspace is to land."""

    host: HostFacts
    workspace: str | None
    ahead: Ahead
    images: ImagesThere = field(default_factory=ImagesThere)
    layers: LayersThere = field(default_factory=LayersThere)

    def packed(self, workspace: Path | None) -> Path | None:
        """The folder that travels: the workspace, unless it is there already."""
        return workspace if self.ahead.place is None else None


def _look_there(transfer: Transfer, image: ImageFacts) -> _There:
    metadata, remote, arrives_as = transfer.state.metadata(), transfer.remote, transfer.arrives_as
    wanted = transfer.options.workspace
    with transfer.context.progress.phase(f"looking at {remote.name}"):
        ahead = gone_ahead(transfer)
        place = str(wanted or metadata.mounted or "") if ahead.place is None else ""
        host = probe(remote, arrives_as, place)
        workspace = ahead.place or workspace_path(metadata, host, wanted, arrives_as)
        if ahead.place is None and workspace is not None and workspace != place:
            host = probe(remote, arrives_as, workspace)
        if not host.docker or host.refused is not None:
            return _There(host=host, workspace=workspace, ahead=ahead)
        history = (commit.diff_ids for commit in reversed(transfer.state.commits()))
        images = ask_images(remote, host, worth_naming(image.diff_ids, *history))
        layers = ask_layers(remote, host, images, image.diff_ids)
    return _There(host=host, workspace=workspace, ahead=ahead, images=images, layers=layers)


def _facts(transfer: Transfer, container: ContainerFacts | None, image: ImageFacts, there: _There) -> MoveFacts:
    context, state, options = transfer.context, transfer.state, transfer.options
    metadata, commits, tag, home = state.metadata(), state.commits(), state.committed_image(), context.home.path
    mounted, present, packed = metadata.mounted, there.layers.diff_ids, there.packed(metadata.mounted)
    return MoveFacts(
        metadata=metadata,
        arrives_as=transfer.arrives_as,
        container=container,
        commits=commits,
        committed_tag=tag,
        committed_layers=_layers_of(context, tag),
        architecture=image.architecture,
        layers=image.diff_ids,
        image_size=image.size - _size_there(context, image, present, _known_names(metadata, commits, there.images)),
        written=context.engine.writable_size(container.id) if container else 0,
        workspace_here=mounted is not None and mounted.is_dir(),
        workspace=tree.measure(packed) if packed else tree.Extent(),
        volumes=_volumes(context, metadata),
        state=tree.measure(state.path),
        home=home,
        free_here=shutil.disk_usage(home).free,
        packed_here=sum(map(tree.size_of, packed_before(context, state.identity))),
        survey=survey(packed, Git.find(), still=False) if packed else Survey(),
        host=there.host,
        host_name=transfer.remote.name,
        present=present,
        engine_id=context.engine.info().id,
        keep=options.keep,
        pulled=options.pulled_by is not None,
        resume_there=options.resume or options.live,
        live=options.live,
        imaged=_imaged(context, commits),
        ground=_ground(state, commits, container, image),
        history=options.history and options.pulled_by is None,
        refreshes=_refreshes(transfer),
        own=home if packed is not None and own_folder(home, packed) else None,
        shared=sharers(context, state.identity, mounted, frozenset(each.source for each in volumes_of(metadata))),
        joins=there.ahead.identity,
        apart=there.ahead.why,
    )


def _layers_of(context: Context, tag: str | None) -> tuple[str, ...] | None:
    image = context.engine.image(tag) if tag is not None else None
    return image.diff_ids if image is not None else None


def _refreshes(transfer: Transfer) -> bool:
    """Whether a copy that was made before is meant."""
    options = transfer.options
    is_fitting = options.keep and options.pulled_by is None and not options.standby
    return is_fitting and is_copy(transfer.state, transfer.arrives_as)


def _known_names(metadata: Metadata, commits: Iterable[CommitRecord], there: ImagesThere) -> Iterator[str]:
    """What the images are called here that the bottle may be built on: its own, and those that the destination has."""
    yield metadata.image
    yield from (commit.tag for commit in commits if not commit.expired)
    yield from there.chains


def _imaged(context: Context, commits: Iterable[CommitRecord]) -> frozenset[int]:
    """The numbers of the commits whose very images are here."""
    found = ((each, context.engine.image(each.tag)) for each in commits if not each.expired)
    return frozenset(each.number for each, image in found if image is not None and is_image_of(image, each))


def _ground(
    state: BottleState, commits: Iterable[CommitRecord], container: ContainerFacts | None, image: ImageFacts
) -> tuple[str, ...]:
    """The layers that the next commit will stand on: those of an earlier one of the container which left an index."""
    own = {each.number: each for each in commits if container and each.mark and each.mark.container_id == container.id}
    indexed = (own[number] for number in standing_on(tuple(own.values())) if state.index(number).exists())
    return next((each.diff_ids for each in indexed), image.diff_ids)


def _size_there(context: Context, image: ImageFacts, present: frozenset[str], refs: Iterable[str]) -> int:
    """How much of an image need not travel: the size of the largest one that it is built on and the destination has."""
    known = [each for ref in refs if ref and (each := context.engine.image(ref)) is not None]
    return max(
        (
            each.size
            for each in known
            if present.issuperset(each.diff_ids) and image.diff_ids[: len(each.diff_ids)] == each.diff_ids
        ),
        default=0,
    )


def sharers(context: Context, identity: Identity, workspace: Path | None, volumes: frozenset[str]) -> tuple[str, ...]:
    """Who else works now in what a bottle will take with it, a line each."""
    lines = []
    for summary in context.engine.container_summaries({}):
        if not summary.status.alive or summary.labels.get(LABEL_IDENTITY) == str(identity):
            continue
        container = context.engine.container(summary.id)
        other = summary.labels.get(LABEL_IDENTITY)
        who = printable(f"bottle {other}" if other is not None else f"container {summary.name}", 200)
        for mount in container.mounts if container is not None else ():
            if mount.kind is MountKind.VOLUME and mount.source in volumes:
                lines.append(f"{who} runs with volume {mount.source} too: what it writes there may stay here")
            if mount.kind is MountKind.BIND and workspace is not None and _overlap(mount.source, str(workspace)):
                lines.append(f"{who} runs in the workspace {workspace} too, and keeps what is here")
    return tuple(dict.fromkeys(lines))


def _overlap(one: str, other: str) -> bool:
    return is_below(one, other) or is_below(other, one)


def _volumes(context: Context, metadata: Metadata) -> Mapping[str, tree.Extent]:
    """The extents of the bottle's volumes, as far as those can be looked into from here."""
    found = {}
    for volume in volumes_of(metadata):
        with suppress(NotFound):  # one that was never used
            folder = context.engine.volume_folder(volume.source)
            if folder is not None:
                found[volume.source] = tree.measure(folder)
    return found
