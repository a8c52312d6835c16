"""`export`: a bottle, with all its work, in one sealed file. The bottle stays the owner here and goes on."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from bottle.errors import NotFound
from bottle.files import tree
from bottle.model import CommitRecord, ContainerFacts, Stays
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.outside import left_outside, remove_outside
from bottle.operations.settle import settle
from bottle.operations.still import frozen
from bottle.plan.garbage import Area
from bottle.plan.guards import require_docker, require_here, require_settled
from bottle.store.state import BottleState
from bottle.store.temporary import note_outside
from migrate.bundle.file import BundleFile, require_free, writing_bundle
from migrate.bundle.format import BundledCommit, BundleManifest, VolumePlace
from migrate.bundle.inspection import inspect_bundle
from migrate.bundle.members import Packing, links_out, members_of, one_tar
from migrate.bundle.plan import UNCHANGED, ExportFacts, ExportPlan, plan_export
from migrate.contents.git import Git
from migrate.contents.live_folder import keep_up
from migrate.contents.outside import Survey, require_consent
from migrate.contents.packing import (
    Packed,
    own_folder,
    pack_beside,
    pack_workspace,
    repositories_of,
    require_same_needs,
)
from migrate.contents.survey import survey
from migrate.image.reading import read_layers
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.move.rehearsal import look_ahead, require_possible
from migrate.secrets.kept import StoredScans
from migrate.secrets.policy import Allowed, finder_for, own_layers, require_clean, send_along
from migrate.secrets.scan import Find
from migrate.secrets.search import Search, Subject

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
    manifest: BundleManifest
    committed: bool
    links: tuple[str, ...]
    skipped: tuple[str, ...]
    stays: tuple[Stays, ...]
    dropped: tuple[str, ...]
    along: tuple[str, ...]
    carried: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()


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
            require_consent(plan.left_behind, state.identity, left=UNCHANGED)
        exporting = _Export(context, state, file, plan, allowed or Allowed(), consent=consent)
        if facts.container is not None and facts.container.status.alive:
            exporting.require_beforehand(facts.container)
        return exporting.run()


def _observe(context: Context, state: BottleState) -> ExportFacts:
    metadata, tag = state.metadata(), state.committed_image()
    mounted = metadata.mounted
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
    require_settled(state.identity, state.migration.read())


class _Export:
    """One export on its way; the caller holds the bottle's lock."""

    def __init__(
        self, context: Context, state: BottleState, file: Path, plan: ExportPlan, allowed: Allowed, *, consent: bool
    ) -> None:
        self._context = context
        self._state = state
        self._file = file
        self._plan = plan
        self._allowed = allowed
        self._consent = consent
        self._folder = context.home.path / "outgoing" / str(state.identity) / "export"

    def require_beforehand(self, container: ContainerFacts) -> None:
        """Refuse, while the agent works, what would be refused when it was paused and committed."""
        context, image = self._context, self._context.engine.image(container.image)
        require_possible(context, self._state, self._plan.workspace, commits=self._plan.commit is None)
        if image is not None:
            self._require_clean(look_ahead(context, self._state.metadata(), container, image, self._search).finds)

    def run(self) -> Exported:
        self._drop_what_is_stale()
        message = f"exported to {self._file.name}" if self._plan.commit is None else None
        with frozen(self._context, self._state, message=message, by="an export") as commit:
            packed = self._pack(commit)
            links = links_out(self._plan.workspace) if self._plan.workspace is not None else {}
        config, layers = read_layers(self._context, commit.tag, commit.diff_ids, self._spool("layers"))
        along = self._look_through(commit, layers, config)
        workspace = one_tar(packed.workspace, self._spool("files"), links) if packed.workspace is not None else None
        packing = Packing(
            config=config,
            layers=tuple(layers[diff_id] for diff_id in commit.diff_ids),
            volumes=self._volumes(packed),
            workspace=workspace,
            state=packed.state.blob,
        )
        manifest, size = self._write(commit, packing)
        self._clear()
        return Exported(
            identity=self._state.identity,
            file=self._file,
            size=size,
            manifest=manifest,
            committed=self._plan.commit is None,
            links=tuple(f"{path} -> {target}" for path, target in links.items()),
            skipped=packed.skipped,
            stays=self._plan.stays,
            dropped=(*commit.dropped, *packed.lost),
            along=along,
            carried=tuple(each.line for each in packed.outside.carried),
            left_behind=packed.outside.left,
        )

    def _drop_what_is_stale(self) -> None:
        """Delete what a run that died has left."""
        for half in left_outside(Area.OUTGOING, self._folder.parent, self._state.identity, ()).halves:
            remove_outside(half)
        tree.discard(self._folder / "files")

    def _pack(self, commit: CommitRecord) -> Packed:
        lands = str(self._plan.workspace) if self._plan.workspace is not None else None
        followed = pack_workspace(
            self._context,
            self._state,
            self._spool("files"),
            workspace=lands,
            left_behind=self._plan.left_behind,
            consent=self._consent,
        )
        packed = pack_beside(
            self._context,
            self._state,
            self._spool("files"),
            commit=commit,
            arrives_as=self._state.identity,
            workspace=lands,
            followed=followed,
        )
        if packed.workspace is not None:
            again = "the same command again"
            keep_up(packed.workspace, lambda _: None, left=_NOT_WRITTEN, next_step=again)
            metadata = self._state.metadata()
            require_same_needs(metadata, packed.followed, workspace=None, left=_NOT_WRITTEN, next_step=again)
        return packed

    def _look_through(self, commit: CommitRecord, layers: Mapping[str, Blob], config: bytes) -> tuple[str, ...]:
        image = self._context.layers.image(commit.tag)
        own = own_layers(self._state.metadata(), commit)
        subject = Subject(image=image.id, own=own, read=lambda _: (config, layers))
        return self._require_clean(self._search.through(subject))

    @cached_property
    def _search(self) -> Search:
        """Looks for credentials, and keeps what it has found."""
        finder = finder_for(self._state.metadata(), self._context.environ, self._context.progress)
        known = StoredScans(self._state.scanned, finder)
        return Search(finder=finder, progress=self._context.progress, known=known)

    def _require_clean(self, found: tuple[Find, ...]) -> tuple[str, ...]:
        """The credentials that go along because they may, of those that were found."""
        metadata = self._state.metadata()
        return require_clean(
            found,
            replace(self._allowed, carry=(*metadata.agent.carry, *self._allowed.carry)),
            subject=str(metadata.identity),
            left=_NOT_WRITTEN,
            next_step=send_along(metadata),
        )

    def _volumes(self, packed: Packed) -> dict[VolumePlace, Blob]:
        """By the names that the manifest has for them, and where they are mounted."""
        identity = self._state.identity
        names = {identity.volume(mount.source): mount.source for mount in self._state.metadata().agent.volumes}
        return {
            VolumePlace(volume=names[mount.source], target=mount.target): tarball.blob
            for mount, tarball in packed.volumes.items()
        }

    def _write(self, commit: CommitRecord, packing: Packing) -> tuple[BundleManifest, int]:
        """Write it and look at it as who imports it will; its manifest and its size in bytes."""
        image = self._context.engine.image(commit.tag)
        if image is None:
            raise NotFound(f"the image {commit.tag} vanished meanwhile", left=UNCHANGED, next_step="docker image ls")
        members, sources = members_of(packing)
        manifest = BundleManifest(
            identity=self._state.identity,
            created_at=self._context.now(),
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
        note = partial(note_outside, self._folder)  # `prune`, and the next export, find it by that
        with (
            writing_bundle(self._file, manifest, sources, self._context.progress, note=note) as temporary,
            BundleFile.open(temporary) as written,
        ):
            inspect_bundle(written, self._context.progress)  # what import would refuse must not pass for a bundle
            return manifest, written.size

    def _clear(self) -> None:
        tree.discard(self._folder)
        tree.discard(repositories_of(self._context, self._state.identity))
        with suppress(OSError):
            self._folder.parent.rmdir()

    def _spool(self, kind: str) -> DirectorySpool:
        return DirectorySpool(self._folder / kind, Codec.ZSTD, threads=2)
