"""Somebody who makes deep images shallow."""

from typing import Protocol

from bottle.model import ImageFacts
from bottle.naming import Identity


class LayerSquasher(Protocol):
    """Somebody who makes a deep image shallow."""

    def squash(self, identity: Identity, ref: str, *, base: tuple[str, ...], tag: str) -> ImageFacts:
        """Make of image `ref`, a commit of `identity`, one with the same filesystem and config, and call it `tag`.

        Its layers are `base`, the diff ids that `ref` begins with, and one for all of the others. Raises a BottleError
        when that is not possible; `ref` is as it was in any case, and `tag` is no image then.
        """
