"""What belongs to a bottle besides its image, packed as it is to arrive: state, workspace, volumes."""

import posixpath
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from bottle.errors import Conflict
from bottle.launch import bare_spec
from bottle.losses import dropped_by_archive, unseen
from bottle.model import CommitRecord, Lineage, Metadata, Mount, MountKind, Tombstone
from bottle.naming import Identity
from bottle.operations import Context
from bottle.plan.generation import above
from bottle.store.kept import KEPT, CommitHistory
from bottle.store.state import (
    COMMITS,
    COMMITTED_IMAGE,
    COPY,
    HOST_ONLY,
    METADATA,
    TOMBSTONE,
    VOLUMES,
    BottleState,
)
from migrate.contents.archive import Tarball, pack_folder, pack_stream
from migrate.contents.basis import Basis
from migrate.contents.git import Git
from migrate.contents.index import Index, look
from migrate.contents.live_folder import Difference, LiveFolder, few_paths
from migrate.contents.outside import OutsideNeeds, require_consent, volumes_of, weigh
from migrate.contents.repository import Repositories
from migrate.contents.survey import survey
from migrate.image.spool import DirectorySpool


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A workspace that was packed and may be worked in still, None where none travels; what it needs of this host."""

    folder: LiveFolder | None = None
    outside: OutsideNeeds = field(default_factory=OutsideNeeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The tarballs of one move; `volumes` are by the mount they will have there, `unkept` is what their tars drop.

    `outside` is what the workspace needs of this host.
    """

    state: Tarball
    workspace: LiveFolder | None
    volumes: Mapping[Mount, Tarball]
    outside: OutsideNeeds
    unkept: tuple[str, ...] = ()

    @property
    def followed(self) -> Followed:
        """The workspace, and what it needs."""
        return Followed(folder=self.workspace, outside=self.outside)

    @property
    def tarballs(self) -> tuple[Tarball, ...]:
        """All of them."""
        return (*self.volumes.values(), *(self.workspace.tarballs if self.workspace is not None else ()), self.state)

    @property
    def skipped(self) -> tuple[str, ...]:
        """What holds no content, so does not travel."""
        return tuple(dict.fromkeys(name for tarball in self.tarballs for name in tarball.skipped))

    @property
    def lost(self) -> tuple[str, ...]:
        """What the tars do not hold of workspace and volumes, a line for each kind, and for what changed later."""
        workspace = self.workspace.tarballs if self.workspace is not None else ()
        lost = dict.fromkeys(f"workspace: {line}" for tarball in workspace for line in tarball.lost)
        return (*lost, *self.unkept)


def pack_workspace(
    context: Context,
    state: BottleState,
    spool: DirectorySpool,
    *,
    workspace: str | None,
    left_behind: Collection[str],
    consent: bool,
    basis: Callable[[Path], Basis] | None = None,
) -> Followed:
    """Pack a bottle's workspace, which will be at `workspace` there; nothing where that is None.

    `left_behind` is what it needs of this host and cannot have there, as far as that was planned: more of it raises
    NeedsConsent without `consent`. `basis` is what the other host has of it.
    """
    here = state.metadata()
    if workspace is None or here.cwd is None:
        return Followed()
    with context.progress.phase("packing the workspace"):
        git = Git.find()
        outside = weigh(survey(here.cwd, git), workdir=here.agent.workdir, lands=workspace)
        if not consent:
            new = [line for line in outside.left if line not in left_behind]
            require_consent(new, state.identity, left="nothing was sent; this host still owns the bottle")
        own = own_folder(context.home.path, here.cwd)
        made = Repositories(outside.carried, here.cwd, repositories_of(context, state.identity), git, own)
        begins = basis(here.cwd).differences if basis is not None and not outside.carried and not own else None
        return Followed(folder=live_folder(here.cwd, spool, made, own, basis=begins), outside=outside)


def pack_beside(
    context: Context,
    state: BottleState,
    spool: DirectorySpool,
    *,
    commit: CommitRecord,
    arrives_as: Identity,
    workspace: str | None,
    followed: Followed,
    apart: Collection[str] = (),
    history: Collection[int] = (),
    refreshable: bool = False,
    renamed: Mapping[str, str] | None = None,
    tombstone: Tombstone | None = None,
) -> Packed:
    """Pack what else lies beside the image of `commit`, for a bottle that will be called `arrives_as`.

    `workspace` is where its workspace, as it was `followed`, will be there, None when none travels. The volumes called
    as in `apart` here are brought by somebody else. `history` are the numbers of the other commits that have images
    there. Of a copy that is `refreshable` it is noted there what it is as it comes; with a `tombstone` it owns nothing.
    `renamed` are volumes, as in `metadata_there`.
    """
    here, raised = state.metadata(), tombstone is None
    there = metadata_there(here, arrives_as, commit.number, workspace, renamed=renamed or {}, raised=raised)
    with context.progress.phase("packing what lies beside the image"):
        pairs = zip(volumes_of(here), volumes_of(there), strict=True)
        volumes = {
            arriving: pack_volume(context, mounted, commit, spool)
            for mounted, arriving in pairs
            if mounted.source not in apart
        }
        instead = _documents(state, there, commit, {commit.number, *history})
        instead |= _notes_of_copy(there) if refreshable else {}
        instead |= {TOMBSTONE: KEPT.dump(tombstone)} if tombstone is not None else {}
        return Packed(
            state=pack_folder(state.path, spool, leave_out=HOST_ONLY, instead=instead),
            workspace=followed.folder,
            volumes=volumes,
            unkept=tuple(line for volume in volumes_of(here) for line in _unkept(context, volume)),
            outside=followed.outside,
        )


def require_same_needs(
    metadata: Metadata, followed: Followed, *, workspace: str | None, left: str, next_step: str
) -> None:
    """Refuse a workspace that came to need more of this host after it was packed. Raises Conflict."""
    if followed.folder is None or not followed.folder.updates:
        return
    found = survey(followed.folder.folder, Git.find(), still=False)
    now = weigh(found, workdir=metadata.agent.workdir, lands=workspace)
    new = tuple(line for line in _needs(now) if line not in _needs(followed.outside))
    if new:
        raise Conflict(
            f"{followed.folder.folder} came to need what lies outside of it while it travelled: {few_paths(new)}",
            left=left,
            next_step=next_step,
        )


def _needs(outside: OutsideNeeds) -> tuple[str, ...]:
    return (*outside.left, *(each.line for each in outside.carried))


def own_folder(home: Path, workspace: Path) -> frozenset[str]:
    """The relative path of bottle's own home where it lies in a workspace: it is no work, and written to meanwhile."""
    home, workspace = home.resolve(), workspace.resolve()
    return frozenset({str(home.relative_to(workspace))}) if workspace in home.parents else frozenset()


def live_folder(
    folder: Path,
    spool: DirectorySpool,
    repositories: Repositories | None = None,
    leave_out: frozenset[str] = frozenset(),
    basis: Callable[[Index], Difference | None] | None = None,
) -> LiveFolder:
    """A folder that is packed into a spool, and may be worked in; `repositories` travel in place of `.git` files."""
    exchanged = repositories.exchanged if repositories is not None else {}

    def packed(wanted: frozenset[str] | None) -> Tarball:
        return pack_folder(folder, spool, leave_out=leave_out, wanted=wanted, live=True, exchanged=exchanged)

    looking = repositories.look if repositories is not None else partial(look, folder, leave_out)
    return LiveFolder(folder, packed, look=looking, wholes=frozenset(exchanged), basis=basis)


def repositories_of(context: Context, identity: Identity) -> Path:
    """Where worktrees become repositories of their own."""
    return outgoing(context, identity) / "repositories"


def packed_before(context: Context, identity: Identity) -> tuple[Path, ...]:
    """The folders of what earlier moves packed and did not bring to an end."""
    folder = outgoing(context, identity)
    return (*folder.glob("files-*"), *folder.glob("layers-*"), repositories_of(context, identity))


def outgoing(context: Context, identity: Identity) -> Path:
    """Where what is to leave this host is put together."""
    return context.home.path / "outgoing" / str(identity)


def metadata_there(
    metadata: Metadata,
    arrives_as: Identity,
    commit: int,
    workspace: str | None,
    *,
    renamed: Mapping[str, str] = MappingProxyType({}),
    raised: bool = True,
) -> Metadata:
    """What the bottle's metadata will say there; a copy tells what it descends from, and what moves is `raised`.

    `renamed` are the names that the agent's volumes have there, by those that they have here.
    """
    if renamed:
        volumes = metadata.agent.volumes
        named = (
            replace(each, source=renamed[each.source]) if each.kind is MountKind.VOLUME else each for each in volumes
        )
        metadata = replace(metadata, agent=replace(metadata.agent, volumes=tuple(named)))
    if workspace is not None:
        metadata = replace(metadata, cwd=Path(workspace))
    if arrives_as != metadata.identity:
        origin = Lineage(identity=metadata.identity, commit=commit)
        return replace(metadata, identity=arrives_as, name=None, copied_from=origin, generation=1)
    return replace(metadata, generation=above(metadata.generation)) if raised else metadata


def _documents(state: BottleState, there: Metadata, commit: CommitRecord, imaged: Collection[int]) -> dict[str, bytes]:
    """The files of the state folder that must say something else there than here.

    The commits numbered as in `imaged` have images of that bottle's own there.
    """
    tag, called = there.identity.committed(commit.number), there.identity.committed
    history = [replace(each, tag=called(each.number)) if each.number in imaged else each for each in state.commits()]
    return {
        METADATA: KEPT.dump(there),
        COMMITS: KEPT.dump(CommitHistory(commits=tuple(history))),
        COMMITTED_IMAGE: f"{tag}\n".encode(),
    }


def _notes_of_copy(there: Metadata) -> dict[str, bytes]:
    """What register.sh completes: that it is a copy, and what Docker calls its volumes."""
    names = dict.fromkeys(each.source for each in volumes_of(there))
    return {COPY: b""} | ({VOLUMES: "".join(f"{name}\n" for name in names).encode()} if names else {})


def pack_volume(context: Context, volume: Mount, commit: CommitRecord, spool: DirectorySpool) -> Tarball:
    """Pack a volume, as the engine gives it out.

    Through a container that never runs, at a path that no image has: an empty volume would be filled from there.
    """
    name = f"bottle-read-{secrets.token_hex(6)}"
    place = f"/{name}/{posixpath.basename(posixpath.normpath(volume.target))}"
    context.engine.create(bare_spec(name, commit.tag, (replace(volume, target=place),)))
    try:
        return pack_stream(context.engine.read_archive(name, place), spool, f"volume {volume.source}")
    finally:
        context.engine.remove_container(name)


def _unkept(context: Context, volume: Mount) -> tuple[str, ...]:
    folder = context.engine.volume_folder(volume.source)
    lines = dropped_by_archive(folder) if folder is not None else unseen()
    return tuple(f"volume {volume.source}: {line}" for line in lines)
