"""Bring what lies beside the image to another host, and go after what somebody does in the workspace meanwhile."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from bottle.files import tree
from bottle.model import CommitRecord
from migrate.contents.basis import Basis
from migrate.contents.live_folder import FolderUpdate, LiveFolder, keep_up
from migrate.contents.packing import (
    Followed,
    Packed,
    pack_beside,
    pack_workspace,
    packed_before,
    require_same_needs,
)
from migrate.host.destination import Destination
from migrate.host.payload import Payload
from migrate.move.facts import Observed
from migrate.move.model import MovePlan
from migrate.move.transfer import Transfer

_WORKSPACE = "workspace"


def drop_what_is_stale(transfer: Transfer, plan: MovePlan, seen: Observed) -> None:
    """Delete what earlier runs packed and this one will not send: the plan has counted it as room."""
    layers = transfer.spool("layers", plan.layer_codec)
    layers.keep_only(frozenset(seen.facts.layers if plan.commits else seen.facts.committed_layers or ()))
    for folder in packed_before(transfer.context, transfer.identity):
        if folder != layers.folder:
            tree.discard(folder)


def pack_at_first(transfer: Transfer, there: Destination, plan: MovePlan) -> Followed:
    """Pack the workspace, of which more may change; where one was left there, what differs from that."""

    def basis(folder: Path) -> Basis:
        return Basis(folder, owners=there.host.root, compare=partial(there.seed, transfer.nonce, plan.lands or ""))

    with transfer.writing_here():
        return pack_workspace(
            transfer.context,
            transfer.state,
            transfer.spool("files", plan.file_codec),
            workspace=plan.lands,
            left_behind=plan.left_behind,
            consent=transfer.options.consent,
            basis=basis if plan.replaces else None,
        )


def pack_files(
    transfer: Transfer,
    plan: MovePlan,
    commit: CommitRecord,
    followed: Followed,
    *,
    apart: Collection[str] = (),
    history: Collection[int] = (),
) -> Packed:
    """Pack what else there is, while the bottle is still, but for the volumes that are `apart`.

    `history` are the numbers of the older commits whose images go along.
    """
    with transfer.writing_here():
        return pack_beside(
            transfer.context,
            transfer.state,
            transfer.spool("files", plan.file_codec),
            commit=commit,
            arrives_as=transfer.arrives_as,
            workspace=plan.workspace,
            followed=followed,
            apart=apart,
            history=history,
            refreshable=transfer.options.keep and transfer.options.pulled_by is None,
            tombstone=transfer.standing_by(commit, history) if transfer.options.standby else None,
            renamed=plan.renamed,
        )


def beside(packed: Packed) -> tuple[Payload, ...]:
    """What lies beside the image, and what changed of it since."""
    return tuple(Payload.of(tarball.blob) for tarball in packed.tarballs)


def stage_workspace(transfer: Transfer, there: Destination, folder: LiveFolder) -> None:
    """Unpack and check a workspace that was sent, with all that changed in it since; it is not put into place."""
    if folder.first is None:
        there.unpack(folder.tarball, _WORKSPACE, transfer.nonce)
    for update in (*((folder.first,) if folder.first is not None else ()), *folder.updates):
        stage_update(transfer, there, update)


def stage_files(transfer: Transfer, there: Destination, packed: Packed, commit: CommitRecord) -> None:
    """Unpack and check what else was sent; the state is not put into place."""
    there.unpack(packed.state, "state", transfer.nonce)
    for volume, tarball in packed.volumes.items():
        there.fill(volume, tarball, transfer.arrives_as.committed(commit.number))


def follow_workspace(
    transfer: Transfer, plan: MovePlan, packed: Packed, take: Callable[[FolderUpdate], None] = lambda _: None
) -> None:
    """Go after what somebody does in the workspace while it travels, until it is all of one moment.

    `take` is given what changed. Raises Conflict where it does not come to rest, or came to need more of this host.
    """
    if packed.workspace is None:
        return
    left = f"{transfer.left}; what is staged there is used by the next run"
    with transfer.writing_here():
        keep_up(packed.workspace, take, left=left, next_step=transfer.following)
    require_what_was_planned(transfer, plan, packed.followed, left)


def require_what_was_planned(transfer: Transfer, plan: MovePlan, followed: Followed, left: str) -> None:
    """Refuse a workspace that came to need more of this host. Raises Conflict."""
    metadata, next_step = transfer.state.metadata(), transfer.following
    require_same_needs(metadata, followed, workspace=plan.workspace, left=left, next_step=next_step)


def send_update(transfer: Transfer, there: Destination, update: FolderUpdate) -> None:
    """Bring what was unpacked there up to date."""
    there.uploader.send([Payload.of(update.tarball.blob)], "sending what changed in the workspace meanwhile")
    stage_update(transfer, there, update)


def stage_update(transfer: Transfer, there: Destination, update: FolderUpdate) -> None:
    """Bring what was unpacked there up to date by what was sent, and check it."""
    there.update(update, _WORKSPACE, transfer.nonce)
