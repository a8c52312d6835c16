"""The engine there is given an image's first layers while the others still travel.

What it has unpacked is an image of its own, of no use but that the image which moves has the same layers; it is
forgotten there when that one has proved itself. At worst it is all in vain: what could not be loaded early, for
whatever reason, is loaded with the rest.
"""

import threading
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Self

from bottle.errors import BottleError
from bottle.model import ImageFacts
from bottle.ports import Silent
from migrate.host.destination import Destination
from migrate.host.layers import LayersThere, as_known
from migrate.host.payload import Payload, payloads_of
from migrate.image.load_archive import compose, first_layers_config
from migrate.model import Blob

_WORTHWHILE = 16 << 20  # bytes of layers: for less, a load takes longer than it saves


class EarlyLoading:
    """Implements `migrate.host.upload.Arrivals`; it is told of the layers of `image` base first.

    `present` is what is there already. The top layer is not loaded early: it comes with the image itself; nor is any
    other where that is not wanted.
    """

    def __init__(
        self, there: Destination, image: ImageFacts, present: LayersThere, nonce: str, *, is_wanted: bool
    ) -> None:
        self._is_wanted = is_wanted
        self._is_over = False
        self._there = replace(there, progress=Silent())
        self._progress = there.progress
        self._image = image
        self._nonce = nonce
        self._layers: dict[str, Blob] = {}  # that are expected, by digest
        self._known = dict(present.blobs)
        self._have = set(present.diff_ids)
        self._proven: set[str] = set()
        self._line: deque[tuple[Blob, Sequence[Future[None]]] | None] = deque()
        self._length = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="bottle-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._put(None)  # what is being loaded is not waited for: the next run waits there until it is

    def expect(self, layer: Blob) -> Payload:
        """What is to be sent of a layer."""
        payload = Payload.of(layer)
        self._layers[payload.digest] = layer
        return payload

    def coming(self, payload: Payload, pieces: Sequence[Future[None]]) -> None:
        """As `Arrivals.coming`."""
        layer = self._layers.get(payload.digest)
        if layer is not None and self._is_wanted and layer.diff_id != self._image.diff_ids[-1]:
            self._put((layer, pieces))

    def proven(self) -> frozenset[str]:
        """As `Arrivals.proven`."""
        return frozenset(self._proven)

    def finish(self) -> LayersThere:
        """The layers that are there, once what has been sent of them is loaded."""
        self._put(None)
        if self._thread.is_alive():
            with self._progress.phase(f"loading the first layers on {self._there.shell.name}"):
                self._thread.join()
        return LayersThere(diff_ids=frozenset(self._have), blobs=self._known)

    def _put(self, coming: tuple[Blob, Sequence[Future[None]]] | None) -> None:
        self._line.append(coming)
        self._length.release()

    def _run(self) -> None:
        with suppress(CancelledError):
            while (layers := self._next()) and not self._is_over:
                try:
                    self._load(layers)
                except BottleError as exc:
                    if not self._is_over:
                        self._progress.note(f"{exc.what}; it is loaded with the rest")
                    return

    def _next(self) -> list[Blob]:
        """Layers that are whole there and worth a load; none when no more of them come, or one did not."""
        layers: list[Blob] = []
        while sum(each.diff_size for each in layers) < _WORTHWHILE or self._is_next_there():
            self._length.acquire()
            coming = self._line.popleft()
            if coming is None:
                return layers if sum(each.diff_size for each in layers) >= _WORTHWHILE else []
            layer, pieces = coming
            if any(piece.exception() is not None for piece in pieces):  # whoever sends raises it
                return []
            layers.append(layer)
        return layers

    def _is_next_there(self) -> bool:
        coming = self._line[0] if self._line else None
        return coming is not None and all(piece.done() for piece in coming[1])

    def _load(self, layers: Sequence[Blob]) -> None:
        """Have the engine unpack them upon those that it has. Raises RemoteError."""
        there, chain = self._there, self._image.diff_ids
        blobs = {layer.diff_id: layer for layer in layers}
        depth = _reach(chain, self._have.union(blobs))  # a layer may stand in an image twice
        blobs = {diff_id: blobs[diff_id] for diff_id in chain[:depth] if diff_id in blobs}
        if not blobs:
            return
        archive = compose(
            config=first_layers_config(self._image, depth, self._nonce),
            diff_ids=chain[:depth],
            blobs=blobs,
            tag=there.identity.part(self._nonce, depth),
            store=there.host.store,
            known=self._known,
        )
        order = payloads_of(archive)
        there.uploader.bring([payload for payload in order if isinstance(payload.content, bytes)])
        there.load(order)  # each piece was checked when it arrived; the engine checks each layer
        self._proven.update(payload.digest for payload in order)
        self._have.update(blobs)
        self._known |= {diff_id: as_known(layer) for diff_id, layer in blobs.items()}


def _reach(chain: Sequence[str], have: Collection[str]) -> int:
    """How many layers of an image, from the base up, are those that somebody has."""
    return sum(1 for _ in takewhile(have.__contains__, chain))
