"""The layers of an image on their way out: each leaves when it is whole and was looked through for credentials."""

from collections.abc import Iterable, Iterator

from bottle.model import CommitRecord
from bottle.ports import Silent
from migrate.image.reading import ImageReading, base_first, size_of
from migrate.model import Blob
from migrate.move.background import in_background
from migrate.move.transfer import Transfer
from migrate.secrets.policy import own_layers, require_clean, send_along
from migrate.secrets.scan import Find
from migrate.secrets.search import Subject


class Passing:
    """Reads the layers `wanted` of a commit's image, and lets them go base first, while the next ones are read.

    One in which there is what may not leave is held back with all that come after it, until all of them are known: what
    a later one says of packages may explain it. What is there already does not leave, and is not here.
    """

    def __init__(self, transfer: Transfer, commit: CommitRecord, reading: ImageReading) -> None:
        self._transfer = transfer
        self._commit = commit
        self._reading = reading
        self.blobs: dict[str, Blob] = {}  # that were read, by diff id
        self.along: tuple[str, ...] = ()  # the credentials that go along because they may, once all have passed

    def layers(self) -> Iterator[Blob]:
        """Those that may leave. Raises PreflightRefused where one may not, and what `ImageReading.layers` raises."""
        search, metadata = self._transfer.search, self._transfer.state.metadata()
        own = [each for each in own_layers(metadata, self._commit) if each in self._reading.wanted]
        passage, held = search.passage(own), list[Blob]()
        for layer in self._read():
            self.blobs[layer.diff_id] = layer
            held.append(layer)
            if layer.diff_id in own:
                passage.take(layer.diff_id, layer, Silent())
            if not self._refused(passage.scan.finds()):
                yield from held
                held.clear()
        subject = Subject(image=self._reading.image.id, own=own, read=lambda _: (self._reading.config, self.blobs))
        self.along = self._require_clean(search.conclude(passage, subject))
        yield from held

    def _read(self) -> Iterator[Blob]:
        """The layers, base first, while somebody watches."""
        context, reading = self._transfer.context, self._reading
        with (
            self._transfer.writing_here(),
            context.progress.phase("reading the image's layers", size_of(context, reading)),
            in_background(reading.layers, context.progress) as layers,
        ):
            yield from base_first(layers, [each for each in self._commit.diff_ids if each in reading.wanted])

    def _refused(self, finds: Iterable[Find]) -> bool:
        return any(not self._transfer.allowed.admits(find) for find in finds)

    def _require_clean(self, finds: Iterable[Find]) -> tuple[str, ...]:
        transfer = self._transfer
        return require_clean(
            finds,
            transfer.allowed,
            subject=str(transfer.identity),
            left=f"nothing of them was sent; {transfer.left}",
            next_step=send_along(transfer.state.metadata()) + transfer.staying,
        )
