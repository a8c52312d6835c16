"""Gather all that decides a move, here and there; nothing is changed on either side."""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import NotFound
from bottle.files import tree
from bottle.launch import is_below
from bottle.model import CommitRecord, ImageFacts, Metadata, MountKind
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations import Context
from bottle.plan.decisions import require_docker, require_here
from bottle.store.state import BottleState
from bottle.text import printable
from migrate.contents.git import Git
from migrate.contents.outside import Survey
from migrate.contents.packing import own_folder, packed_before
from migrate.contents.survey import survey
from migrate.contents.travels import volumes_of
from migrate.host.layers import ImagesThere, LayersThere, ask_images, ask_layers, worth_naming
from migrate.host.probe import probe
from migrate.move.plan import MoveFacts, landing
from migrate.ports import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequest:
    """What the user asked for. `rate` is in bytes a second; `keep` copies instead of moving.

    `resume_there` starts the bottle on the other host once it is there. `pulled_by` tells the host that pulls it from
    every other one of the same name, None when the move begins here. `allow_secrets` and `carry`: which credentials may
    go along in the image, besides what the bottle's agent carries. `consent`: what the workspace needs of this host
    and cannot be carried may stay behind.
    """

    workspace: Path | None = None
    keep: bool = False
    resume_there: bool = False
    jobs: int = 2
    rate: int | None = None
    identity_files: tuple[str, ...] = ()
    pulled_by: str | None = None
    allow_secrets: bool = False
    carry: tuple[str, ...] = ()
    consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The facts, where the workspace is to land, and the images that the other host has.

    `image` is what the bottle stands on here.
    """

    facts: MoveFacts
    image: ImageFacts
    workspace: str | None
    images: ImagesThere


def observe(
    context: Context, state: BottleState, remote: Remote, request: MoveRequest, arrives_as: Identity
) -> Observed:
    """Look at the bottle here and at the host that it is to go to, where it will be called `arrives_as`.

    Raises BackendUnsupported, MovedAway, NotFound, or what a Remote raises.
    """
    metadata = state.metadata()
    require_docker(metadata, "migrate")
    require_here(state.identity, state.tombstone.read(), "migrate")
    container = context.container(state.identity)
    tag, commits = state.committed_image(), state.commits()
    ref = container.image if container is not None else tag
    image = context.engine.image(ref) if ref is not None else None
    committed = context.engine.image(tag) if tag is not None else None
    if image is None:
        raise NotFound(
            f"{state.identity} has neither a container nor a committed image here, so there is nothing to move",
            left="nothing was changed on either side",
            next_step=f"bottle resume {state.identity}",
        )
    mounted = metadata.cwd if metadata.cwd is not None and not metadata.copy_cwd else None
    wanted = str(request.workspace or mounted or "")
    with context.progress.phase(f"looking at {remote.name}"):
        host = probe(remote, arrives_as, wanted)
        workspace = landing(metadata, host, request.workspace, arrives_as)
        if workspace is not None and workspace != wanted:
            host = probe(remote, arrives_as, workspace)
        images, there = ImagesThere(chains={}), LayersThere()
        if host.docker and host.refused is None:
            history = (commit.diff_ids for commit in reversed(commits))
            images = ask_images(remote, host, worth_naming(image.diff_ids, *history))
            there = ask_layers(remote, host, images, image.diff_ids)
    facts = MoveFacts(
        metadata=metadata,
        arrives_as=arrives_as,
        container=container,
        commits=commits,
        committed_tag=tag,
        committed_layers=committed.diff_ids if committed is not None else None,
        architecture=image.architecture,
        layers=image.diff_ids,
        image_size=image.size - _size_there(context, metadata, commits, image, there.diff_ids),
        written=context.engine.writable_size(container.id) if container else 0,
        workspace_here=mounted is not None and mounted.is_dir(),
        workspace=tree.measure(mounted) if mounted else tree.Extent(),
        volumes=_volumes(context, metadata),
        state=tree.measure(state.path),
        home=context.home.path,
        free_here=shutil.disk_usage(context.home.path).free,
        packed_here=sum(map(tree.size_of, packed_before(context, state.identity))),
        survey=survey(mounted, Git.find(), still=False) if mounted else Survey(),
        host=host,
        host_name=remote.name,
        present=there.diff_ids,
        engine_id=context.engine.info().id,
        keep=request.keep,
        pulled=request.pulled_by is not None,
        resume_there=request.resume_there,
        own=context.home.path if mounted is not None and own_folder(context.home.path, mounted) else None,
        shared=sharers(context, state.identity, mounted, frozenset(each.source for each in volumes_of(metadata))),
    )
    return Observed(facts=facts, image=image, workspace=workspace, images=images)


def _size_there(
    context: Context, metadata: Metadata, commits: Iterable[CommitRecord], image: ImageFacts, present: frozenset[str]
) -> int:
    """How much of an image need not travel: the size of the largest one that it is built on and the destination has."""
    refs = (metadata.image, *(commit.tag for commit in commits if not commit.expired))
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
