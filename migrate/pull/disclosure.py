"""What a host that pulls tells of its images: of layers that the other side has named, and of nothing else.

Who knows the diff id of a layer can have an image made of it wherever that layer lies, and look into it. So no diff id
is told that was not named, no config, and of an image its id only where all of its layers were named.
"""

import hashlib
import json
from collections.abc import Iterable
from itertools import takewhile

from bottle.model import ImageFacts, Store
from migrate.host.commands import MOST_NAMED
from migrate.host.destination import shown
from migrate.host.layers import ask_images, ask_known, known_to_text
from migrate.model import EngineAccess
from migrate.ports import Shell
from migrate.pull.receiver import Breach


class Disclosure:
    """Answers what the scripts `images`, `known` and `inspect` would print, from what they print to us."""

    def __init__(self, shell: Shell, host: EngineAccess) -> None:
        self._shell = shell
        self._host = host
        self._named: set[str] = set()
        self._images: dict[str, str] = {}  # by the ids that were told

    def named(self, diff_ids: Iterable[str]) -> None:
        """The other side knows these layers. Raises Breach when it names more than any bottle has."""
        self._named.update(diff_ids)
        if len(self._named) > 2 * MOST_NAMED:
            raise Breach("the far host names more layers than any bottle has")

    def images(self) -> bytes:
        """The layers that were named, as the images here have them. Raises RemoteError."""
        told: dict[str, tuple[str, ...]] = {}
        for image, chain in ask_images(self._shell, self._host, self._named).chains.items():
            if known := self._known_of(chain):
                name = image if known == chain else _made_up(known)
                told.setdefault(name, known)
                self._images.setdefault(name, image)
        lines = (f"{name} {json.dumps(known, separators=(',', ':'))}\n" for name, known in told.items())
        return "".join(lines).encode()

    def known(self, images: Iterable[str]) -> bytes:
        """As what the containerd store holds layers of images that were told of. Raises RemoteError."""
        here = [self._images[image] for image in images if image in self._images]
        blobs = ask_known(self._shell, self._host, here)
        return known_to_text({diff_id: blob for diff_id, blob in blobs.items() if diff_id in self._named})

    def is_told(self, image: str) -> bool:
        """Whether the other side was told of this very image, and not of some of its layers."""
        return self._images.get(image) == image

    def image(self, image: ImageFacts | None) -> bytes:
        """What an image is, for who knows all of its layers."""
        return shown(image if image is not None and self._named.issuperset(image.diff_ids) else None)

    def _known_of(self, chain: tuple[str, ...]) -> tuple[str, ...]:
        """The classic store has a layer only on top of those below it."""
        if self._host.store is Store.CLASSIC:
            return tuple(takewhile(self._named.__contains__, chain))
        return tuple(layer for layer in chain if layer in self._named)


def _made_up(layers: tuple[str, ...]) -> str:
    """An id that no image has."""
    return "sha256:" + hashlib.sha256(b"\n".join(layer.encode() for layer in layers)).hexdigest()
