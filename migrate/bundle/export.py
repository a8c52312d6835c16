"""`export`: a bottle, with all its work, in one sealed file. The bottle stays the owner here and goes on."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bottle.errors import MovedAway, NotFound, PreflightRefused
from bottle.files import tree
from bottle.model import CommitRecord, ContainerFacts, ImageFacts, Metadata, MigrationPhase
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.commit import commit_locked
from bottle.operations.outside import left_outside
from bottle.operations.outside import remove as remove_path
from bottle.operations.pause import paused
from bottle.operations.settle import settle
from bottle.plan.decisions import commit_in_force, finishing, is_frozen_in, require_docker, require_here
from bottle.plan.garbage import Area
from bottle.store.state import BottleState
from bottle.store.temporary import note_outside
from migrate.admission.tar_rules import Walk
from migrate.bundle.file import BundleFile, plain_member, require_free, writing
from migrate.bundle.format import BundledCommit, Kind, Manifest, Member, Place, member_name
from migrate.bundle.inspection import inspect
from migrate.contents.git import Git
from migrate.contents.live_folder import LiveFolder, keep_up
from migrate.contents.outside import Outside, Survey, weigh
from migrate.contents.packing import Packed, own_folder, pack, repositories_of, require_same_needs
from migrate.contents.survey import survey
from migrate.contents.travels import require_consent, what_stays
from migrate.image.reading import read_layers
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.move.rehearsal import look_ahead, require_possible
from migrate.secrets.policy import Allowed, finder_for, look_through, own_layers, require_clean, send_along
from migrate.tar.compression import decompress
from migrate.tar.entries import InnerTar, ItemType, item_header, write_tar

_UNCHANGED = "nothing was changed; the bottle goes on as it was"
_NOT_WRITTEN = "no bundle was written; the bottle goes on as it was"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A bundle that was written. `links` are those of the workspace that point out of it, which no bundle holds.

    `skipped` are sockets, fifos and devices of the workspace; `stays` is what else did not go along, and `dropped`
    what Docker's commit and tars do not keep. `along` are the credentials that did, because that was allowed, by line.
    `carried` is what lay outside the workspace and is in it, and how; `left_behind` is what the workspace lacks.
    """

    identity: Identity
    file: Path
    size: int
    manifest: Manifest
    committed: bool
    links: tuple[str, ...]
    skipped: tuple[str, ...]
    stays: tuple[str, ...]
    dropped: tuple[str, ...]
    along: tuple[str, ...]
    carried: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFacts:
    """All that decides an export. `image` is that of the commit in force, if it is here.

    `own` is bottle's home where it lies in the workspace.
    """

    metadata: Metadata
    container: ContainerFacts | None
    commits: tuple[CommitRecord, ...]
    committed_tag: str | None
    image: ImageFacts | None
    workspace_here: bool
    survey: Survey
    own: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What will happen: `commit` is the one that goes out, None where one is made first.

    `left_behind` is what the workspace needs of this host and will lack elsewhere.
    """

    commit: CommitRecord | None
    workspace: Path | None
    stays: tuple[str, ...]
    left_behind: tuple[str, ...]


def plan_export(facts: ExportFacts) -> ExportPlan:
    """Decide an export. Raises NotFound or PreflightRefused."""
    metadata, container = facts.metadata, facts.container
    commit = commit_in_force(facts.commits, facts.committed_tag)
    if commit is not None and (facts.image is None or facts.image.diff_ids != commit.diff_ids):
        commit = None
    if container is not None and (commit is None or container.status.alive or not is_frozen_in(container, (commit,))):
        commit = None
    elif commit is None:
        raise NotFound(
            f"{metadata.identity} has neither a container nor a committed image here, so there is nothing to export",
            left=_UNCHANGED,
            next_step=f"bottle resume {metadata.identity}",
        )
    workspace = metadata.cwd if metadata.cwd is not None and not metadata.copy_cwd else None
    if workspace is not None and not facts.workspace_here:
        raise PreflightRefused(
            f"the workspace {workspace} is not here, so it cannot go into the bundle",
            left=_UNCHANGED,
            next_step=f"put it back, or: mkdir -p {workspace}",
        )
    outside = weigh(facts.survey, workdir=metadata.agent.workdir, lands=None) if workspace is not None else Outside()
    return ExportPlan(
        commit=commit,
        workspace=workspace,
        stays=(*what_stays(metadata, facts.commits, facts.own), *outside.told),
        left_behind=outside.left,
    )


def export(
    context: Context, state: BottleState, file: Path, allowed: Allowed | None = None, *, consent: bool = False
) -> Exported:
    """Write all of a bottle into the new file `file`. `allowed` may be in it besides what its agent carries.

    `consent`: what the workspace needs of this host, and cannot be carried, may stay behind. Raises BackendUnsupported,
    Locked, MovedAway, NotFound, Conflict, NeedsConsent, PreflightRefused, VerificationFailed or EngineError; on any of
    them there is no such file, and the bottle goes on.
    """
    require_docker(state.metadata(), "export")
    file = file.absolute()
    with state.locked("bottle export"):
        settle(context, state)
        _require_owner(state)
        require_free(file)
        facts = _observe(context, state)
        plan = plan_export(facts)
        if not consent:
            require_consent(plan.left_behind, state.identity, left=_UNCHANGED)
        if facts.container is not None and facts.container.status.alive:
            _require_beforehand(context, state, facts.container, plan, allowed or Allowed())
        return _Export(context, state, file, plan, allowed or Allowed(), consent=consent).run()


def _require_beforehand(
    context: Context, state: BottleState, container: ContainerFacts, plan: ExportPlan, allowed: Allowed
) -> None:
    """Refuse, while the agent works, what would be refused when it was paused and committed."""
    metadata, image = state.metadata(), context.engine.image(container.image)
    require_possible(context, state, plan.workspace, commits=plan.commit is None)
    if image is not None:
        finder = finder_for(metadata, context.environ, context.progress)
        finds = look_ahead(context, metadata, container, image, finder)
        require_clean(
            finds,
            _allowed(metadata, allowed),
            subject=str(state.identity),
            left=_NOT_WRITTEN,
            next_step=send_along(metadata),
        )


def _allowed(metadata: Metadata, allowed: Allowed) -> Allowed:
    return replace(allowed, carry=(*metadata.agent.carry, *allowed.carry))


def _observe(context: Context, state: BottleState) -> ExportFacts:
    metadata, tag = state.metadata(), state.committed_image()
    mounted = metadata.cwd if not metadata.copy_cwd else None
    return ExportFacts(
        metadata=metadata,
        container=context.container(state.identity),
        commits=state.commits(),
        committed_tag=tag,
        image=context.engine.image(tag) if tag is not None else None,
        workspace_here=metadata.cwd is not None and metadata.cwd.is_dir(),
        own=context.home.path if mounted is not None and own_folder(context.home.path, mounted) else None,
        survey=survey(mounted, Git.find(), still=False) if mounted is not None else Survey(),
    )


def _require_owner(state: BottleState) -> None:
    require_here(state.identity, state.tombstone.read(), "export")
    migration = state.migration.read()
    if migration is not None and migration.phase is MigrationPhase.HANDING_OFF:
        raise MovedAway(
            f"a move of {state.identity} to {migration.host} was cut while it was handed over",
            left=_UNCHANGED,
            next_step=f"finish it first: {finishing(state.identity, migration)}",
        )


class _Export:
    def __init__(
        self, context: Context, state: BottleState, file: Path, plan: ExportPlan, allowed: Allowed, *, consent: bool
    ) -> None:
        self._consent = consent
        self._context = context
        self._state = state
        self._file = file
        self._plan = plan
        self._allowed = allowed
        self._folder = context.home.path / "outgoing" / str(state.identity) / "export"

    def run(self) -> Exported:
        context, state, plan = self._context, self._state, self._plan
        for half in left_outside(Area.OUTGOING, self._folder.parent, state.identity, ()).halves:
            remove_path(half)  # of a run that died
        tree.discard(self._folder / "files")
        files = self._spool("files")
        with paused(context, state, context.container(state.identity), "an export"):
            commit = plan.commit or self._commit()
            workspace = str(plan.workspace) if plan.workspace is not None else None
            packed = pack(
                context,
                state,
                files,
                commit=commit,
                arrives_as=state.identity,
                workspace=workspace,
                left_behind=plan.left_behind,
                consent=self._consent,
            )
            if packed.workspace is not None:
                again = "the same command again"
                keep_up(packed.workspace, lambda _: None, left=_NOT_WRITTEN, next_step=again)
                require_same_needs(state.metadata(), packed, workspace=None, left=_NOT_WRITTEN, next_step=again)
            links = links_out(plan.workspace) if plan.workspace is not None else {}
        folder = one_tar(packed.workspace, files, links) if packed.workspace is not None else None
        layers = self._spool("layers")
        image = context.engine.image(commit.tag)
        config = read_layers(context, commit.tag, commit.diff_ids, layers)
        if image is None:
            raise NotFound(f"the image {commit.tag} vanished meanwhile", left=_UNCHANGED, next_step="docker image ls")
        along = self._look_through(commit, layers, config)
        members, sources = _members(config, commit, layers, packed, workspace=folder, volumes=self._volume_names())
        manifest = Manifest(
            identity=self._state.identity,
            created_at=context.now(),
            architecture=image.architecture,
            os=image.os,
            commit=BundledCommit(
                number=commit.number,
                tag=commit.tag,
                config_digest=commit.config_digest,
                diff_ids=commit.diff_ids,
            ),
            members=members,
        )
        with (
            writing(self._file, manifest, sources, context.progress, note=self._note) as temporary,
            BundleFile.open(temporary) as written,
        ):
            inspect(written, context.progress)  # what import would refuse must not pass for a bundle
            size = written.size
        tree.discard(self._folder)
        tree.discard(repositories_of(context, state.identity))
        with suppress(OSError):
            self._folder.parent.rmdir()
        return Exported(
            identity=self._state.identity,
            file=self._file,
            size=size,
            manifest=manifest,
            committed=plan.commit is None,
            links=tuple(f"{path} -> {target}" for path, target in links.items()),
            skipped=packed.skipped,
            stays=plan.stays,
            dropped=(*commit.dropped, *packed.lost),
            along=along,
            carried=tuple(each.line for each in packed.outside.carried),
            left_behind=packed.outside.left,
        )

    def _note(self, part: Path) -> None:
        """Have `prune`, and the next export, find what is about to be written outside of bottle's folders."""
        note_outside(self._folder, part)

    def _look_through(self, commit: CommitRecord, layers: DirectorySpool, config: bytes) -> tuple[str, ...]:
        context, metadata = self._context, self._state.metadata()
        own = [blob for diff_id in own_layers(metadata, commit) if (blob := layers.blob(diff_id)) is not None]
        finder = finder_for(metadata, context.environ, context.progress)
        allowed = _allowed(metadata, self._allowed)
        return require_clean(
            look_through(own, config, finder, context.progress),
            allowed,
            subject=str(metadata.identity),
            left=_NOT_WRITTEN,
            next_step=send_along(metadata),
        )

    def _commit(self) -> CommitRecord:
        return commit_locked(self._context, self._state, message=f"exported to {self._file.name}", pause=False).commit

    def _volume_names(self) -> Mapping[str, str]:
        """What the manifest calls the bottle's volumes, by what Docker calls them."""
        identity = self._state.identity
        return {identity.volume(mount.source): mount.source for mount in self._state.metadata().agent.volumes}

    def _spool(self, kind: str) -> DirectorySpool:
        return DirectorySpool(self._folder / kind, Codec.ZSTD, threads=2)


def _members(
    config: bytes,
    commit: CommitRecord,
    layers: DirectorySpool,
    packed: Packed,
    *,
    workspace: Blob | None,
    volumes: Mapping[str, str],
) -> tuple[tuple[Member, ...], dict[str, Path | bytes]]:
    """The members in their order, and where the bytes of each are."""
    name = member_name(Kind.CONFIG, 0, Codec.NONE)
    members = [plain_member(name, Kind.CONFIG, config)]
    sources: dict[str, Path | bytes] = {name: config}

    def add(kind: Kind, index: int, blob: Blob, place: Place | None = None) -> None:
        member = Member(
            name=member_name(kind, index, blob.codec),
            kind=kind,
            codec=blob.codec,
            size=blob.size,
            digest=blob.digest,
            plain_size=blob.diff_size,
            plain_digest=blob.diff_id,
            place=place,
        )
        members.append(member)
        sources[member.name] = blob.path

    for index, diff_id in enumerate(dict.fromkeys(commit.diff_ids)):
        layer = layers.blob(diff_id)
        if layer is None:
            raise NotFound(
                f"layer {diff_id} vanished from {layers}", left=_UNCHANGED, next_step="the same command again"
            )
        add(Kind.LAYER, index, layer)
    for index, (mount, tarball) in enumerate(packed.volumes.items()):
        add(Kind.VOLUME, index, tarball.blob, Place(volume=volumes[mount.source], target=mount.target))
    if workspace is not None:
        add(Kind.WORKSPACE, 0, workspace)
    add(Kind.STATE, 0, packed.state.blob)
    return tuple(members), sources


def links_out(folder: Path) -> dict[str, str]:
    """The links of a folder that point out of it, by path, with their targets. A bundle holds none: import refuses."""
    links = {node.path: node.target() for node in tree.walk(folder, lost=tree.ignore_it) if node.is_symlink}
    walk = Walk(links)
    return {path: target for path, target in sorted(links.items()) if walk.points_out(path)}


def one_tar(live: LiveFolder, spool: DirectorySpool, links: Mapping[str, str]) -> Blob:
    """The tar of a folder as it was in the end, without `links`."""
    if not live.updates and not links:
        return live.tarball.blob
    newest = {path: number for number, tarball in enumerate(live.tarballs) for path in tarball.members}
    with spool.writer() as writer:
        for piece in write_tar(_newest(live, newest, links)):
            writer.write(piece)
        return writer.keep()


def _newest(
    live: LiveFolder, newest: Mapping[str, int], links: Mapping[str, str]
) -> Iterator[tuple[bytes, Iterator[bytes], int]]:
    """Of each path the entry that was packed last, if it is still there."""
    for number, tarball in enumerate(live.tarballs):
        with tarball.blob.path.open("rb") as file:
            tar = InnerTar(decompress(iter(partial(file.read, 1 << 20), b""), tarball.blob.codec))
            for item in tar.items():
                left_out = item.type is ItemType.SYMLINK and item.path in links
                if newest.get(item.path) == number and item.path in live.members and not left_out:
                    yield item_header(item, item.path, item.link), tar.data(), item.size
