"""A source of layers: the engine's folders, read by a helper container where this process may not look into them."""

from collections.abc import Generator, Iterator, Set
from contextlib import contextmanager
from typing import Any

from bottle.errors import HelperLost, VerificationFailed
from bottle.helper.container import Helper
from bottle.layers import ImageDocuments, KnownBlob, LayerStream
from bottle.model import EngineInfo, ImageFacts
from bottle.ports import Progress
from migrate.image.documents import found
from migrate.image.engine_folders import FolderOwner, parts, reason, require_here
from migrate.tar.compression import told


class HelperFolders:
    """Implements `bottle.layers.LayerSource`. Memory is a few chunks."""

    def __init__(self, engine: FolderOwner, helper: Helper) -> None:
        self._engine = engine
        self._helper = helper

    def image(self, ref: str) -> ImageFacts:
        """As `LayerSource.image`."""
        return found(self._engine, ref)

    def way(self) -> str:
        """As `LayerSource.way`. No image is looked at."""
        with _unreadable():
            folder = self._folder(require_here(self._engine))
        return f"from the engine's folders below {folder}, through a helper container"

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        """As `LayerSource.read`, which raises VerificationFailed where no helper is to be had, or it cannot read them.

        What came before that has come.
        """
        image = self.image(ref)
        info = require_here(self._engine)
        with _unreadable():
            self._folder(info)  # so that what is wrong with it is not said of a layer
            yield from parts(_Stored(self._helper, info, image), image, wanted, progress)

    def _folder(self, info: EngineInfo) -> str:
        with self._helper.session() as session:
            return str(session.ask("store", _engine(info)))


class _Stored:
    """Implements `engine_folders.StoredImage`."""

    def __init__(self, helper: Helper, info: EngineInfo, image: ImageFacts) -> None:
        self._helper = helper
        self._given = {
            **_engine(info),
            "id": image.id,
            "diff_ids": list(image.diff_ids),
            "architecture": image.architecture,
            "os": image.os,
        }

    def layer(self, diff_id: str, progress: Progress) -> Iterator[bytes]:
        """As `StoredImage.layer`."""
        return told(self._pieces(diff_id), progress)

    def _pieces(self, diff_id: str) -> Iterator[bytes]:
        with _unreadable(), self._helper.session() as session:
            session.begin("layer", {**self._given, "diff_id": diff_id})
            yield from session.data()

    def documents(self) -> ImageDocuments:
        """As `StoredImage.documents`."""
        with self._helper.session() as session:
            answer = session.ask("documents", self._given)
        known = {diff_id: KnownBlob(**blob) for diff_id, blob in answer["known"].items()}
        return ImageDocuments(config=answer["config"].encode("latin-1"), known=known)


def _engine(info: EngineInfo) -> dict[str, Any]:
    return {"store": info.store.value, "root_dir": info.root_dir}


@contextmanager
def _unreadable() -> Iterator[None]:
    """That the helper is not there, or cannot read what it is asked for, is that this source cannot be had."""
    try:
        yield
    except HelperLost as exc:
        raise VerificationFailed(exc.what) from exc
    except OSError as exc:
        raise VerificationFailed(reason(exc)) from exc
