"""Bring the image of a commit to another host: as much of it as it takes to have it there, proved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bottle.errors import ConnectionLost, RemoteError, VerificationFailed
from bottle.model import CommitRecord
from migrate.host.destination import Destination
from migrate.host.layers import ImagesThere, LayersThere, ask_layers
from migrate.host.link_speed import choose_level, measure_link
from migrate.host.payload import Payload
from migrate.image.load_archive import Layer, compose
from migrate.image.reading import read_layers
from migrate.model import Blob, Codec
from migrate.move.refusals import require_room
from migrate.move.transfer import Transfer
from migrate.secrets.policy import own_layers, require_clean, send_along
from migrate.secrets.search import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What of an image was staged, and the credentials in it that went along because they may, a line each."""

    order: tuple[Payload, ...] = ()
    along: tuple[str, ...] = ()


def bring_image(
    transfer: Transfer,
    there: Destination,
    commit: CommitRecord,
    *,
    images: ImagesThere,
    codec: Codec,
    beside: Sequence[Payload],
) -> Brought:
    """Stage what lies `beside` the image, and as much of the image as it takes to have it there, loaded and proved.

    `images` are those that the other host has. Raises PreflightRefused for credentials or a full disk there,
    ConnectionLost, RemoteError or VerificationFailed.
    """
    present = ask_layers(there.shell, there.host, images, commit.diff_ids)
    if _has_it_all(transfer, there, commit, images):
        _send(transfer, there, beside)
        return Brought()
    while True:
        brought = _compose(transfer, there, commit, present, codec)
        everything = (*brought.order, *beside)
        require_room(there.host, transfer.remote.name, sum(payload.size for payload in everything))
        _send(transfer, there, everything)
        try:
            _load(there, brought.order, commit)
        except (RemoteError, VerificationFailed) as exc:
            if isinstance(exc, ConnectionLost) or not present.diff_ids:
                raise
            # A layer that was counted on is gone, or was never what it seemed: send them all.
            transfer.context.progress.note(f"{exc.what}; layers that seemed to be there already are sent too")
            present = LayersThere()
        else:
            return brought


def _send(transfer: Transfer, there: Destination, payloads: Sequence[Payload]) -> None:
    there.uploader.keep_only(payloads)
    there.uploader.send(payloads, f"sending to {transfer.remote.name}")


def _has_it_all(transfer: Transfer, there: Destination, commit: CommitRecord, images: ImagesThere) -> bool:
    """Whether the very image is there, under whatever name; if so it has its tag now, and has proved itself."""
    image = transfer.context.engine.image(commit.tag)
    if image is None or images.chains.get(image.id) != commit.diff_ids:
        return False
    tag = there.identity.committed(commit.number)
    try:
        there.tag(image.id, tag)
        there.verify_image(commit, tag)
    except ConnectionLost:
        raise
    except (RemoteError, VerificationFailed) as exc:
        transfer.context.progress.note(f"{exc.what}; the image that seemed to be there already is sent")
        return False
    return True


def _load(there: Destination, order: Sequence[Payload], commit: CommitRecord) -> None:
    tag = there.identity.committed(commit.number)
    try:
        there.load(order)
        there.verify_image(commit, tag)
    except (RemoteError, VerificationFailed) as exc:
        if not isinstance(exc, ConnectionLost):
            there.unload(tag)
        raise


def _compose(
    transfer: Transfer, there: Destination, commit: CommitRecord, present: LayersThere, codec: Codec
) -> Brought:
    """The archive that the engine there is to be fed, cut where layers begin and end."""
    wanted = frozenset(commit.diff_ids) - present.diff_ids
    # As hard as the link allows.
    level = choose_level(codec, measure_link(there.shell), transfer.options.rate) if wanted else None
    layers = transfer.spool("layers", codec, level)
    with transfer.writing_here():
        config, blobs = read_layers(transfer.context, commit.tag, wanted, layers)
    along = _look_through(transfer, commit, blobs, config)
    archive = compose(
        config=config,
        diff_ids=commit.diff_ids,
        blobs=blobs,
        tag=there.identity.committed(commit.number),
        store=there.host.store,
        known=present.blobs,
    )
    order = (Payload.of(part.blob) if isinstance(part, Layer) else Payload.literal(part.data) for part in archive.parts)
    return Brought(order=tuple(order), along=along)


def _look_through(
    transfer: Transfer, commit: CommitRecord, layers: Mapping[str, Blob], config: bytes
) -> tuple[str, ...]:
    """Before anything of the image is sent; what the destination has already does not leave, and is not here."""
    metadata = transfer.state.metadata()
    own = [diff_id for diff_id in own_layers(metadata, commit) if diff_id in layers]
    image = transfer.context.layers.image(commit.tag)
    found = transfer.search.through(Subject(image=image.id, own=own, read=lambda _: (config, layers)))
    staying = "" if transfer.options.keep else f"; or to stay on this host: bottle resume {transfer.identity}"
    return require_clean(
        found,
        transfer.allowed,
        subject=str(transfer.identity),
        left=f"nothing of them was sent; {transfer.left}",
        next_step=send_along(metadata) + staying,
    )
