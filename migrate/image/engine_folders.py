"""A source of layers: the engine's own folders, where they are on this machine and may be read.

It reads what is wanted and no more, in one pass over the disk, where an engine's archive is first written to its disk
and then sent. Nothing in those folders is written, no symlink in them is followed, and nothing in them is believed: who
reads a layer hashes it, and what turns out to be another one ends the reading.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from bottle.errors import VerificationFailed
from bottle.files.opentree import OpenTree
from bottle.layers import ImageDocuments, LayerStream
from bottle.model import EngineInfo, ImageFacts, Product, Store
from bottle.ports import Progress
from bottle.text import printable
from migrate.image.classic_layers import CONFIGS, ClassicLayers
from migrate.image.content_store import BLOBS, ContentStore
from migrate.image.documents import ImageFinder, found, hex_of

_SYSTEM_CONTAINERD = "/var/lib/containerd"
_OWN_CONTAINERD = "containerd/daemon"  # where dockerd runs one of its own, below dockerd's root folder


class FolderOwner(ImageFinder, Protocol):
    """The part of an Engine that is needed here."""

    @property
    def is_local(self) -> bool:
        """Whether it is reached through a socket of this machine."""

    def info(self) -> EngineInfo:
        """Who answers."""


class StoredImage(Protocol):
    """One image in the folders of a store. All of it may be damaged: OSError, VerificationFailed."""

    def layer(self, diff_id: str, progress: Progress) -> Iterator[bytes]:
        """The tar of a layer, not checked."""

    def documents(self) -> ImageDocuments:
        """Config, and what is known, checked against the image's id."""


class EngineFolders:
    """Implements `bottle.layers.LayerSource` for Docker's overlay2 and containerd stores. Memory is a few chunks.

    `machine` is where the root of the engine's filesystem is seen from here: another folder than `/` where the engine
    is in a container, or the reader is.
    """

    def __init__(self, engine: FolderOwner, machine: Path = Path("/")) -> None:
        self._engine = engine
        self._machine = machine

    def image(self, ref: str) -> ImageFacts:
        """As `LayerSource.image`."""
        return found(self._engine, ref)

    def way(self) -> str:
        """As `LayerSource.way`. No image is looked at."""
        return f"from the engine's folders below {place(require_here(self._engine), self._machine)}"

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        """As `LayerSource.read`, which raises VerificationFailed where the folders are not there or do not have it.

        What came before that has come.
        """
        image = self.image(ref)
        try:
            with opened(require_here(self._engine), image, self._machine) as stored:
                yield from parts(stored, image, wanted, progress)
        except OSError as exc:
            raise VerificationFailed(reason(exc)) from exc


def require_here(engine: FolderOwner) -> EngineInfo:
    """Who answers, and has its folders on this machine. Raises VerificationFailed."""
    if not engine.is_local:
        raise VerificationFailed("the engine is on another machine")
    info = engine.info()
    if info.product is not Product.DOCKER or not info.root_dir:
        raise VerificationFailed("where this engine keeps images is not known")
    return info


def place(info: EngineInfo, machine: Path = Path("/")) -> Path:
    """The folder with the engine's store. Raises VerificationFailed where it cannot be looked into."""
    return _found(info, "", machine)[0]


@contextmanager
def opened(info: EngineInfo, image: ImageFacts, machine: Path = Path("/")) -> Iterator[StoredImage]:
    """An image in the store that has it. Raises VerificationFailed, OSError."""
    folder, stored = _found(info, hex_of(image.id), machine)
    with OpenTree(folder) as tree:
        yield stored(tree, image)


def _found(info: EngineInfo, name: str, machine: Path) -> tuple[Path, Callable[[OpenTree, ImageFacts], StoredImage]]:
    """The folder with the store that has the document `name`, and who reads it. Raises VerificationFailed."""
    if info.store is Store.CLASSIC:
        return _first_with(machine, f"{CONFIGS}/{name}", info.root_dir), ClassicLayers
    own = f"{info.root_dir}/{_OWN_CONTAINERD}"
    return _first_with(machine, f"{BLOBS}/{name}", own, _SYSTEM_CONTAINERD), ContentStore


def _first_with(machine: Path, path: str, *folders: str) -> Path:
    reasons = []
    for folder in folders:
        seen = machine / folder.lstrip("/")
        try:
            os.lstat(seen / path)
        except OSError as exc:
            reasons.append(reason(exc))
        else:
            return seen
    raise VerificationFailed("; ".join(reasons))


def parts(
    stored: StoredImage, image: ImageFacts, wanted: Set[str], progress: Progress
) -> Iterator[LayerStream | ImageDocuments]:
    """What `LayerSource.read` gives of an image. Raises VerificationFailed, OSError."""
    for diff_id in image.diff_ids:
        if diff_id not in wanted:
            continue
        troubles: list[str] = []
        yield LayerStream(chunks=_until_trouble(stored.layer(diff_id, progress), troubles))
        if diff_id in wanted:
            why = troubles[0] if troubles else "the folders have other bytes, or were changed"
            raise VerificationFailed(f"layer {diff_id} cannot be had from the engine's folders: {why}")
    yield stored.documents()


def _until_trouble(pieces: Iterable[bytes], troubles: list[str]) -> Iterator[bytes]:
    """`pieces` as far as they can be read: a layer that is not whole is none, and another source may have it."""
    try:
        yield from pieces
    except (OSError, VerificationFailed) as exc:
        troubles.append(reason(exc))


def reason(exc: OSError | VerificationFailed) -> str:
    """An error in one line."""
    said = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) and exc.filename else str(exc)
    return printable(said)
