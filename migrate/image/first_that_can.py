"""A source of layers made of two: where the first one cannot read an image, the other does."""

from collections.abc import Generator, Set

from bottle.errors import VerificationFailed
from bottle.layers import ImageDocuments, LayerSource, LayerStream
from bottle.model import ImageFacts
from bottle.ports import Progress


class FirstThatCan:
    """Implements `bottle.layers.LayerSource`. What the first source brought whole the second does not bring again."""

    def __init__(self, first: LayerSource, second: LayerSource) -> None:
        self._first = first
        self._second = second
        self._why = ""  # the first one could not, the last time

    def image(self, ref: str) -> ImageFacts:
        """As `LayerSource.image`."""
        return self._first.image(ref)

    def way(self) -> str:
        """As `LayerSource.way`."""
        try:
            return f"{self._second.way()} ({self._why})" if self._why else self._first.way()
        except VerificationFailed as exc:
            return f"{self._second.way()} ({exc.what})"

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        """As `LayerSource.read`. What raises is the second."""
        try:
            yield from self._first.read(ref, wanted, progress)
        except VerificationFailed as exc:
            self._why = exc.what
        else:
            self._why = ""
            return
        yield from self._second.read(ref, wanted, progress)
