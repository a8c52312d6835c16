"""Reading the layers of an image into a spool, one by one, while somebody watches how far it has come."""

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing

from bottle.errors import VerificationFailed
from bottle.layers import ImageDocuments, KnownBlob, LayerSource, LayerStream
from bottle.model import Store
from bottle.operations import Context
from bottle.ports import Progress
from migrate.image.spool import DirectorySpool
from migrate.model import Blob

_HEADERS = 100  # files are so many times larger than their headers, or more


class ImageReading:
    """One image on its way from a source into a spool. Nothing is believed but hashes, whatever the source."""

    def __init__(self, source: LayerSource, ref: str, wanted: Collection[str], spool: DirectorySpool) -> None:
        """Raises NotFound when there is no such image, VerificationFailed when it has not the layers `wanted`."""
        self._source = source
        self._ref = ref
        self.image = source.image(ref)
        self._spool = spool
        self._documents: ImageDocuments | None = None
        if stray := set(wanted).difference(self.image.diff_ids):
            raise VerificationFailed(f"image {ref} has no layer {', '.join(sorted(stray))}")
        self.wanted = frozenset(wanted)
        here = {diff_id: spool.blob(diff_id) for diff_id in self.image.diff_ids if diff_id in wanted}
        self._here = tuple(blob for blob in here.values() if blob is not None)
        self._missing = {diff_id for diff_id, blob in here.items() if blob is None}

    @property
    def here(self) -> tuple[Blob, ...]:
        """The wanted layers that the spool had from the beginning."""
        return self._here

    @property
    def is_all_here(self) -> bool:
        """Whether the spool has each layer that is wanted."""
        return not self._missing

    def layers(self, progress: Progress) -> Iterator[Blob]:
        """Each wanted layer as soon as it is whole in the spool; those that were there from before come first.

        With all of them there, and the config, the source is not asked for anything. Raises VerificationFailed when a
        layer does not come or is not what it is called, StateDamaged when it cannot be written.
        """
        yield from self._here
        config = self._spool.config(self.image.id)
        if self._missing or config is None:
            yield from self._read(progress)
        else:
            self._documents = ImageDocuments(config=config)
        if _diff_ids(self.config) != self.image.diff_ids:
            raise VerificationFailed(f"the config that came with image {self._ref} is that of another image")

    @property
    def config(self) -> bytes:
        """The image's config, once all layers came."""
        assert self._documents is not None  # `layers` was read to its end
        return self._documents.config

    @property
    def known(self) -> dict[str, KnownBlob]:
        """As `ImageDocuments.known`; empty where nothing had to be read."""
        return dict(self._documents.known) if self._documents is not None else {}

    def _read(self, progress: Progress) -> Iterator[Blob]:
        try:
            with closing(self._source.read(self._ref, self._missing, progress)) as parts:
                for part in parts:
                    match part:
                        case LayerStream():
                            yield from self._spooled(part)
                        case ImageDocuments():
                            self._documents = part
            if self._missing or self._documents is None:
                raise VerificationFailed(f"it lacks the layers {', '.join(sorted(self._missing))}")
        except VerificationFailed as exc:
            raise VerificationFailed(
                f"the layers of {self._ref} cannot be read: {exc.what}",
                left="layers that came whole are kept for the next run",
                next_step="the same command again; if it fails again, look at the engine's log and disk",
            ) from exc
        self._spool.keep_config(self.image.id, self.config)

    def _spooled(self, stream: LayerStream) -> Iterator[Blob]:
        with self._spool.writer() as writer:
            for chunk in stream.chunks:
                writer.write(chunk)
            if stream.expected not in {None, writer.diff_id}:
                raise VerificationFailed(f"the bytes of layer {stream.expected} are not those that its name says")
            if writer.diff_id not in self._missing:
                return
            blob = writer.keep()
        self._missing.remove(blob.diff_id)
        yield blob


def read_layers(
    context: Context, ref: str, wanted: Collection[str], spool: DirectorySpool
) -> tuple[bytes, dict[str, Blob]]:
    """Have all the layers `wanted` in the spool; the image's config, and the layers by diff id.

    A phase of progress. Raises as `ImageReading`.
    """
    reading = ImageReading(context.layers, ref, wanted, spool)
    with context.progress.phase("reading the image's layers", size_of(context, reading)):
        layers = {blob.diff_id: blob for blob in reading.layers(context.progress)}
    return reading.config, layers


def size_of(context: Context, reading: ImageReading) -> int | None:
    """About how many bytes will be read, None where that is none, or not known.

    A containerd store does not say how it holds what it sends.
    """
    if reading.is_all_here or context.engine.info().store is Store.CONTAINERD:
        return None
    return reading.image.size + reading.image.size // _HEADERS


def base_first(layers: Iterable[Blob], wanted: Iterable[str]) -> Iterator[Blob]:
    """`layers`, which come in any order, in that of `wanted`, their diff ids: each once all before it came."""
    came: dict[str, Blob] = {}
    order = deque(dict.fromkeys(wanted))
    for layer in layers:
        came[layer.diff_id] = layer
        while order and order[0] in came:
            yield came.pop(order.popleft())


def _diff_ids(config: bytes) -> tuple[str, ...]:
    try:
        document = json.loads(config)
    except (ValueError, RecursionError):
        return ()
    match document:
        case {"rootfs": {"diff_ids": list(diff_ids)}} if all(isinstance(each, str) for each in diff_ids):
            return tuple(diff_ids)
        case _:
            return ()
