"""The layers of an image: as they come out of an engine, and the ports that read them and squash them."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bottle.model import ImageFacts
from bottle.naming import Identity
from bottle.ports import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBlob:
    """A layer that a containerd store holds: digest, size in bytes and media type are those of the blob there."""

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStream:
    """The tar of one layer, as it comes. It is read to its end before the next one is asked for.

    `expected` is the diff id under which it came, None where only its bytes tell. What turns out to be no layer ends
    early: nothing counts but the hash of what came.
    """

    chunks: Iterator[bytes]
    expected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDocuments:
    """What comes behind the layers.

    `config` is the JSON document, byte for byte, whose `rootfs.diff_ids` name the layers (OCI image-spec, config.md).
    `known` says as what the engine's store holds layers of the image, by diff id; only a containerd store says so.
    """

    config: bytes
    known: Mapping[str, KnownBlob] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLayer:
    """A layer that somebody has written: `path` is its plain tar, of `size` bytes, and `diff_id` the digest of that.

    It is read once: what was given to an engine of it need not be in the file any more.
    """

    diff_id: str
    size: int
    path: Path


class LayerSource(Protocol):
    """Somebody who can read the layers of an image. Every implementation passes one contract suite."""

    def image(self, ref: str) -> ImageFacts:
        """The image. Raises NotFound."""

    def way(self) -> str:
        """From where layers are read, in one line: the last time or, before there was one, the next.

        Where a better way is not taken, that line says why. Raises VerificationFailed where this one cannot be taken.
        """

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        """The layers of an image one by one, in one pass, and its documents last.

        `wanted` are diff ids, and the caller's: what is taken out while this goes on has come and need not come again.
        There may be layers among those that come that nobody wanted. `progress` is told the bytes that are read; the
        caller opens the phase. Raises NotFound, or VerificationFailed where what is read cannot be an image.
        """


class LayerSquasher(Protocol):
    """Somebody who makes a deep image shallow."""

    def squash(self, identity: Identity, ref: str, *, base: tuple[str, ...], tag: str) -> ImageFacts:
        """Make of image `ref`, a commit of `identity`, one with the same filesystem and config, and call it `tag`.

        Its layers are `base`, the diff ids that `ref` begins with, and one for all of the others. Raises a BottleError
        when that is not possible; `ref` is as it was in any case, and `tag` is no image then.
        """


class LayerAppender(Protocol):
    """Somebody who makes an image of another one's layers and new ones."""

    def append(
        self,
        ref: str,
        below: tuple[str, ...],
        layers: Sequence[NewLayer],
        config: Mapping[str, Any],
        *,
        tag: str,
        comment: str = "",
        after: Callable[[], object] | None = None,
    ) -> ImageFacts:
        """Make the image `tag` of `below`, with which the layers of image `ref` begin, and of `layers` above them.

        `config` is how it runs, in Docker's spelling (OCI image-spec, config.md, `config`); `comment` stands in its
        history. `ref` is looked at when `after` has returned, and `layers` are sent by then. Raises NotFound where
        there is no `ref`, what `after` raises, or another BottleError when the engine does not take it or
        makes something else of it; `tag` is no image then.
        """
