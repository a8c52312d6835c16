"""`import`: look at all of a bundle, then stage it, prove it, and only then make a bottle of it.

It is a copy: whoever exported it has the bottle still. So it gets an identity of its own and tells what it descends
from. Until the state folder gets its name, which comes last, there is no such bottle.
"""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from bottle import transcript
from bottle.agent.admission import Agree
from bottle.errors import BottleError, VerificationFailed
from bottle.files import tree
from bottle.files.atomic import sync_folder, writing
from bottle.files.unpack import Policy, unpack
from bottle.launch import bare_spec
from bottle.model import SCHEMA, CommitRecord, Lineage, Metadata, Mount, MountKind
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.operations import Context
from bottle.operations.fork import discard_draft
from bottle.operations.inforce import put_in_force
from bottle.operations.outside import note_placed
from bottle.store import temporary
from bottle.store.state import BottleState
from bottle.tar.chunks import ChunkReader, reading
from bottle.tar.items import ItemReader, ItemType, item_header, write_tar
from bottle.tar.rules import admitted
from migrate.admission.arrived_state import is_kept, reopen_requests
from migrate.admission.grant import grant, history_here, rebuilt_from
from migrate.admission.tar_rules import placed
from migrate.bundle.file import BundleFile
from migrate.bundle.format import LEFT, BundleMember, MemberKind, refusal
from migrate.bundle.inspection import BundleContents, inspect_bundle, rules_of
from migrate.bundle.placement import require_disks, require_engine, workspace_folder
from migrate.image.load_archive import compose, fed
from migrate.model import Blob, Codec
from migrate.tar.fingerprint import Fingerprint, below, of_tar

_UNDONE = "nothing of the bundle is left here"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the user asked for; `workspace` None means below the bottle home.

    `agree` is asked about what the bottle would be given here.
    """

    file: Path
    workspace: Path | None = None
    agree: Agree = field(default=lambda _: False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A bottle that was made of a bundle. `powers` is what it is given here, `refused` what it had and has not here.

    `left_out` are files of its state that mean nothing to this version, `unset` workspace files without their set-id
    bits.
    """

    identity: Identity
    origin: Lineage
    commit: CommitRecord
    workspace: Path | None
    volumes: tuple[str, ...]
    powers: tuple[str, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]
    unset: tuple[str, ...]


def import_bundle(context: Context, request: ImportRequest) -> Imported:
    """Make a new bottle of a bundle.

    Raises NotFound, VerificationFailed, StateTooNew, BackendUnsupported, Conflict, NeedsConsent, PreflightRefused or
    EngineError; on any of them nothing of the bundle is left here.
    """
    with BundleFile.open(request.file) as file:
        return _Import(context, file, request).run()


class _Import:
    def __init__(self, context: Context, file: BundleFile, request: ImportRequest) -> None:
        self._context = context
        self._file = file
        self._request = request
        self._manifest = file.manifest
        self._identity = Identity.fresh(file.manifest.identity.agent)
        self._workspace = workspace_folder(context.home.path, file.manifest, self._identity, request.workspace)
        self._near = temporary.importing(self._workspace, self._identity) if self._workspace else None
        self._tag = self._identity.committed(file.manifest.commit.number)
        self._inode: tuple[int, int] | None = None
        self._made: list[Path] = []
        self._holders: list[str] = []

    def run(self) -> Imported:
        self._require_room()
        context, manifest = self._context, self._manifest
        contents = inspect_bundle(self._file, context.progress)
        origin = Lineage(identity=manifest.identity, commit=manifest.commit.number)
        moved = replace(contents.metadata, identity=self._identity, name=None, copied_from=origin)
        if not moved.copy_cwd:
            moved = replace(moved, cwd=self._workspace)
        granted = grant(moved, context.home.bottle(self._identity).path, rebuild=contents.rebuild)
        history = history_here(contents.commits, self._identity)
        commit = next(commit for commit in history if commit.number == manifest.commit.number)
        granted.require(self._request.agree, LEFT, f"a copy of {origin.identity}")
        with self._context.home.drafted(self._identity, "bottle import", self._undo) as draft:
            self._load(contents)
            volumes = tuple(self._fill(member) for member in manifest.of(MemberKind.VOLUME))
            unset = self._receive_workspace(draft)
            self._receive_state(draft, granted.metadata, history)
            put_in_force(context, draft, commit)
            if contents.rebuild:  # approved after this commit, where it comes from
                draft.mark_rebuild()
            os.sync()
            self._place_workspace()
            state = context.home.adopt(draft)
            with suppress(BottleError):  # the notes of what is whole now; the next command clears them else
                state.sweep()
        return Imported(
            identity=self._identity,
            origin=origin,
            commit=commit,
            workspace=self._workspace,
            volumes=volumes,
            powers=(
                *granted.demands,
                *rebuilt_from(granted.metadata.agent, dockerfile=contents.dockerfile, rebuild=contents.rebuild),
            ),
            refused=granted.refused,
            left_out=contents.left_out,
            unset=unset,
        )

    def _require_room(self) -> None:
        """Refuse what this host's engine cannot run, or its disks cannot take."""
        engine = self._context.engine
        info = engine.info()
        require_engine(self._manifest, info)
        seen = info if engine.is_local else replace(info, root_dir="")
        require_disks(self._context.home.path, self._manifest, seen, self._workspace)

    def _undo(self, draft: BottleState) -> None:
        """Leave nothing of what was made; hides no error, as it raises none."""
        for path in (self._near, self._workspace):
            if path is not None and _inode(path) == self._inode is not None:
                tree.discard(path)
        for path in reversed(self._made):
            with suppress(OSError):
                path.rmdir()
        for name in self._holders:
            with suppress(BottleError):
                self._context.engine.remove_container(name)
        for tag in (self._tag, self._identity.committed_latest):
            with suppress(BottleError):
                self._context.engine.remove_image(tag)
        discard_draft(self._context, draft)

    def _load(self, contents: BundleContents) -> None:
        """Feed the image to the engine, uncompressed, as every engine reads it, and prove that it is the right one."""
        engine, commit = self._context.engine, self._manifest.commit
        layers = {member.plain_digest: member for member in self._manifest.of(MemberKind.LAYER)}
        archive = compose(
            config=contents.config,
            diff_ids=commit.diff_ids,
            blobs={diff_id: _plain_blob(member) for diff_id, member in layers.items()},
            tag=self._tag,
            store=engine.info().store,
        )
        with self._context.progress.phase("loading the image", archive.size):
            plain = fed(archive, lambda blob: self._file.plain(layers[blob.diff_id]), self._context.progress)
            engine.load(plain)
        image = engine.image(self._tag)
        if image is None or (image.diff_ids, image.config_digest) != (commit.diff_ids, commit.config_digest):
            raise refusal("the image that the engine made of it is not the one that was committed")
        with self._holder("verify"):
            pass  # a container can be made of it

    def _fill(self, member: BundleMember) -> str:
        """Make a volume and fill it, at a path that no image has: an empty volume would be filled from there."""
        engine, place = self._context.engine, member.place
        assert place is not None  # the manifest's parser says so
        volume, top = self._identity.volume(place.volume), f"bottle-volume-{secrets.token_hex(6)}"
        engine.create_volume(volume, {LABEL_SCHEMA: str(SCHEMA), LABEL_IDENTITY: str(self._identity)})
        mount = Mount(kind=MountKind.VOLUME, source=volume, target=f"/{top}")
        with (
            self._holder("fill", mount) as holder,
            self._context.progress.phase(f"filling volume {place.volume}", member.size),
        ):
            sent = Fingerprint()
            tar = write_tar(self._volume_entries(member, top, sent))
            engine.write_archive(holder, "/", cast("BinaryIO", ChunkReader(tar)))
            with reading(engine.read_archive(holder, f"/{top}")) as chunks:
                there = of_tar(ItemReader(chunks))
        if there != sent.value:
            raise VerificationFailed(
                f"volume {place.volume} is not what was sent, as the engine shows it",
                left=_UNDONE,
                next_step="the same command again; if it fails again, look at the engine's log and disk",
            )
        return volume

    @contextmanager
    def _holder(self, purpose: str, *mounts: Mount) -> Iterator[str]:
        """A container of the image that never runs."""
        name = f"bottle-{purpose}-{secrets.token_hex(6)}"
        self._holders.append(name)
        try:
            self._context.engine.create(bare_spec(name, self._tag, mounts))
            yield name
        finally:
            self._context.engine.remove_container(name)

    def _volume_entries(
        self, member: BundleMember, top: str, sent: Fingerprint
    ) -> Iterator[tuple[bytes, Iterable[bytes], int]]:
        tar = ItemReader(self._file.plain(member, self._context.progress))
        for item in admitted(tar, rules_of(member)):
            link = below(item.link, top) if item.type is ItemType.HARDLINK else item.link
            yield item_header(item, below(item.path, top), link), sent.hashing(item, tar.data()), item.size

    def _receive_workspace(self, draft: BottleState) -> tuple[str, ...]:
        """Put the workspace beside its goal, noted in the draft: what follows is a rename, on any filesystem."""
        if self._near is None or self._workspace is None:
            return ()
        (member,) = self._manifest.of(MemberKind.WORKSPACE)
        with writing(self._near):
            for folder in reversed([each for each in self._near.parents if not each.exists()]):
                folder.mkdir(mode=0o700)
                self._made.append(folder)
            temporary.note_outside(draft.path, self._near)
            self._near.mkdir(mode=0o700)
            note_placed(draft.path, self._near, self._workspace)
        self._inode = _inode(self._near)
        with self._context.progress.phase("unpacking the workspace", member.size):
            tar = ItemReader(self._file.plain(member, self._context.progress))
            items = unpack(tar, self._near, rules_of(member), placed(owners=os.geteuid() == 0))
            return tuple(item.path for item in items if item.lends)

    def _place_workspace(self) -> None:
        if self._near is None or self._workspace is None:
            return
        with writing(self._workspace):
            self._near.rename(self._workspace)  # an empty folder gives way, anything else is an error
            sync_folder(self._workspace.parent)

    def _receive_state(self, draft: BottleState, metadata: Metadata, history: tuple[CommitRecord, ...]) -> None:
        (member,) = self._manifest.of(MemberKind.STATE)
        with self._context.progress.phase("unpacking the state", member.size):
            tar = ItemReader(self._file.plain(member, self._context.progress))
            for _ in unpack(tar, draft.path, rules_of(member), Policy(private=True), wanted=is_kept):
                pass
        transcript.read_index(draft.transcript)
        reopen_requests(draft)
        draft.write_metadata(metadata)
        draft.write_commits(history)


def _inode(path: Path) -> tuple[int, int] | None:
    """What tells a folder that was made here from one that somebody else put in its place."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _plain_blob(member: BundleMember) -> Blob:
    """A layer as the engine gets it. Its bytes come out of the bundle, not from the path."""
    return Blob(
        diff_id=member.plain_digest,
        diff_size=member.plain_size,
        digest=member.plain_digest,
        size=member.plain_size,
        codec=Codec.NONE,
        path=Path(member.name),
    )
