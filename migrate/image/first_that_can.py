"""A source of layers made of several: where one cannot read an image, the next one does."""

from collections.abc import Generator, Set

from bottle.errors import VerificationFailed
from bottle.layers import ImageDocuments, LayerSource, LayerStream
from bottle.model import ImageFacts
from bottle.ports import Progress


class FirstThatCan:
    """Implements `bottle.layers.LayerSource`. What one source brought whole the next one does not bring again."""

    def __init__(self, *sources: LayerSource) -> None:
        self._sources = sources
        self._why: tuple[str, ...] = ()  # the first ones could not, the last time

    def image(self, ref: str) -> ImageFacts:
        """As `LayerSource.image`."""
        return self._sources[0].image(ref)

    def way(self) -> str:
        """As `LayerSource.way`."""
        reasons = list(self._why)
        for source in self._sources[len(reasons) : -1]:
            try:
                return _because(source.way(), reasons)
            except VerificationFailed as exc:
                reasons.append(exc.what)
        return _because(self._sources[-1].way(), reasons)

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        """As `LayerSource.read`. What raises is the last one."""
        reasons: list[str] = []
        for source in self._sources[:-1]:
            try:
                yield from source.read(ref, wanted, progress)
            except VerificationFailed as exc:
                reasons.append(exc.what)
            else:
                self._why = tuple(reasons)
                return
        self._why = tuple(reasons)
        yield from self._sources[-1].read(ref, wanted, progress)


def _because(way: str, reasons: list[str]) -> str:
    return f"{way} ({'; '.join(reasons)})" if reasons else way
