"""Bring the image of a commit to another host: as much of it as it takes to have it there, proved."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from bottle.errors import ConnectionLost, RemoteError, VerificationFailed
from bottle.model import CommitRecord
from migrate.host.destination import Destination
from migrate.host.layers import ImagesThere, LayersThere, as_known, ask_layers
from migrate.host.link_speed import choose_level, measure_link
from migrate.host.payload import Payload, payloads_of, total
from migrate.image.load_archive import compose
from migrate.image.reading import ImageReading
from migrate.model import Codec
from migrate.move.loading import EarlyLoading
from migrate.move.passing import Passing
from migrate.move.refusals import require_room
from migrate.move.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What of an image was staged with what lay beside it, and the layers of it that are there: all of them.

    `along` are the credentials in it that went along because they may, a line each; `level` is how hard it was
    compressed, None where nothing was.
    """

    staged: tuple[Payload, ...] = ()
    layers: LayersThere
    along: tuple[str, ...] = ()
    level: int | None = None


def bring_image(
    transfer: Transfer,
    there: Destination,
    commit: CommitRecord,
    *,
    images: ImagesThere,
    codec: Codec,
    beside: Sequence[Payload],
    before: Brought | None = None,
) -> Brought:
    """Stage what lies `beside` the image, and as much of the image as it takes to have it there, loaded and proved.

    `images` are those that the other host has, and `before` is what was brought there since. Raises PreflightRefused
    for credentials or a full disk there, ConnectionLost, RemoteError or VerificationFailed.
    """
    present = before.layers if before is not None else ask_layers(there.shell, there.host, images, commit.diff_ids)
    if before is None and _has_it_all(transfer, there, commit, images):
        there.uploader.send(beside, _sending(transfer), keep=beside)
        return Brought(staged=tuple(beside), layers=present)
    delivery = Delivery(transfer, there, commit, present, codec, level=before.level if before is not None else None)
    # Who is pulled from gives its engine no part of an image before it has looked at the whole.
    delivery.run(beside, early=transfer.options.pulled_by is None, clears=before is None)
    try:
        _load(there, delivery.order, commit)
    except (RemoteError, VerificationFailed) as exc:
        if isinstance(exc, ConnectionLost) or not delivery.counted_on.diff_ids:
            raise
        # A layer that was counted on is gone, or was never what it seemed: send them all.
        transfer.context.progress.note(f"{exc.what}; layers that seemed to be there already are sent too")
        delivery = Delivery(transfer, there, commit, LayersThere(), codec, level=delivery.brought.level)
        delivery.run(beside, early=False)
        _load(there, delivery.order, commit)
    return delivery.brought


def _sending(transfer: Transfer) -> str:
    return f"sending to {transfer.remote.name}"


class Delivery:
    """One attempt to have an image there: all but `present` of it is read, looked through, sent and loaded, at once."""

    def __init__(
        self,
        transfer: Transfer,
        there: Destination,
        commit: CommitRecord,
        present: LayersThere,
        codec: Codec,
        *,
        level: int | None = None,
    ) -> None:
        self._transfer = transfer
        self._there = there
        self._commit = commit
        self.counted_on = present  # layers that the last load will not bring
        wanted = frozenset(commit.diff_ids) - present.diff_ids
        if wanted and level is None:  # as hard as the link allows
            level = choose_level(codec, measure_link(there.shell), transfer.options.rate)
        self._level = level
        with transfer.writing_here():
            spool = transfer.spool("layers", codec, level)
            self._reading = ImageReading(transfer.context.layers, commit.tag, wanted, spool)
        self._passing = Passing(transfer, commit, self._reading)
        self.order: list[Payload] = []  # of which the image's archive is made up
        self._staged: list[Payload] = []

    @property
    def brought(self) -> Brought:
        """What has come of it, once it was loaded."""
        sent = {diff_id: as_known(layer) for diff_id, layer in self._passing.blobs.items()}
        return Brought(
            staged=tuple(self._staged),
            layers=LayersThere(diff_ids=frozenset(self._commit.diff_ids), blobs={**self.counted_on.blobs, **sent}),
            along=self._passing.along,
            level=self._level,
        )

    def run(self, beside: Sequence[Payload], *, early: bool, clears: bool = True) -> None:
        """Have all of it there, and what lies `beside` it, but for what the last load brings, of what is in `order`.

        `clears`: what else is staged there is deleted first, which takes its time. Raises as `bring_image`.
        """
        kept = (*map(Payload.of, self._reading.here), *beside) if clears else ()
        image, nonce = self._reading.image, self._transfer.nonce
        loading = EarlyLoading(self._there, image, self.counted_on, nonce, is_wanted=early)
        with loading, closing(self._payloads(loading, beside)) as payloads:
            self._there.uploader.send(payloads, _sending(self._transfer), keep=kept, arrivals=loading)

    def _payloads(self, loading: EarlyLoading, beside: Sequence[Payload]) -> Generator[Payload]:
        for layer in self._passing.layers():
            yield self._counted(loading.expect(layer))
        yield from map(self._counted, beside)
        self.counted_on = loaded = loading.finish()
        archive = compose(
            config=self._reading.config,
            diff_ids=self._commit.diff_ids,
            blobs={diff_id: each for diff_id, each in self._passing.blobs.items() if diff_id not in loaded.diff_ids},
            tag=self._there.identity.committed(self._commit.number),
            store=self._there.host.store,
            known=loaded.blobs,
        )
        self.order = payloads_of(archive)
        yield from (self._counted(each) for each in self.order if isinstance(each.content, bytes))

    def _counted(self, payload: Payload) -> Payload:
        """One that is to be staged. Raises PreflightRefused where there is no room for all so far."""
        self._staged.append(payload)
        transfer = self._transfer
        require_room(self._there.host, transfer.remote.name, total(self._staged), left=lambda: transfer.left)
        return payload


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
