"""Makes an image of layers that the engine has and new ones above them, by an archive that holds the new ones only."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bottle.errors import BottleError, NotFound, VerificationFailed
from bottle.files.consuming import consumed
from bottle.layers import ImageDocuments, LayerSource, NewLayer
from bottle.model import ImageFacts, Store
from bottle.ports import Engine, Silent
from bottle.trees.spool import unnamed
from migrate.image.load_archive import Archive, beginning, choose_codec, compose, fed
from migrate.model import Blob, Codec
from migrate.tar.compression import CompressingWriter

_UNTOUCHED = "the images are as they were"


class Appender:
    """Implements `bottle.layers.LayerAppender`. `folder` is where layers are packed, for a store that keeps them so."""

    def __init__(self, engine: Engine, source: LayerSource, folder: Path) -> None:
        self._engine = engine
        self._source = source
        self._folder = folder

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
        """As `bottle.layers.LayerAppender.append`."""
        diff_ids = (*below, *(layer.diff_id for layer in layers))
        with ExitStack() as open_files:
            blobs = {layer.diff_id: self._blob(layer, open_files) for layer in layers}

            def described() -> Archive:
                if after is not None:
                    after()
                documents = self._documents(ref, below)
                return compose(
                    config=appended_config(documents.config, len(below), diff_ids[len(below) :], config, comment),
                    diff_ids=diff_ids,
                    blobs=blobs,
                    tag=tag,
                    store=self._engine.info().store,
                    known=documents.known,
                )

            return self._loaded(_sent(beginning(blobs.values()), described), tag, diff_ids, config.get("Labels") or {})

    def _loaded(
        self, archive: Iterator[bytes], tag: str, diff_ids: tuple[str, ...], labels: Mapping[str, str]
    ) -> ImageFacts:
        try:
            self._engine.load(archive)
            return self._verified(tag, diff_ids, labels)
        except BaseException:
            with suppress(BottleError):  # whatever was made of it is not what was wanted
                self._engine.remove_image(tag)
            raise

    def _documents(self, ref: str, below: tuple[str, ...]) -> ImageDocuments:
        if self._source.image(ref).diff_ids[: len(below)] != below:
            raise VerificationFailed(f"{ref} does not begin with the layers that are to lie below", left=_UNTOUCHED)
        for part in self._source.read(ref, set(), Silent()):
            if isinstance(part, ImageDocuments):
                return part
        raise VerificationFailed(f"the config of {ref} cannot be read", left=_UNTOUCHED)

    def _blob(self, layer: NewLayer, open_files: ExitStack) -> Blob:
        """As the archive is to hold it: a store that keeps what it is given gets it compressed."""
        info = self._engine.info()
        if info.store is Store.CLASSIC:
            return Blob(
                diff_id=layer.diff_id,
                diff_size=layer.size,
                digest=layer.diff_id,
                size=layer.size,
                codec=Codec.NONE,
                path=layer.path,
            )
        codec = choose_codec(info.version, info.store)
        file = open_files.enter_context(unnamed(self._folder))
        writer = CompressingWriter(file, codec, level=1, threads=2)
        for piece in consumed(layer.path):
            writer.write(piece)
        writer.finish()
        file.flush()
        return Blob(
            diff_id=layer.diff_id,
            diff_size=layer.size,
            digest=writer.packed.digest,
            size=writer.packed.size,
            codec=codec,
            path=Path(f"/proc/self/fd/{file.fileno()}"),
        )

    def _verified(self, tag: str, diff_ids: tuple[str, ...], labels: Mapping[str, str]) -> ImageFacts:
        image = self._engine.image(tag)
        if image is None:
            raise NotFound(f"the engine has read an image and has no {tag}", left=_UNTOUCHED)
        if image.diff_ids != diff_ids or image.labels != labels:
            raise VerificationFailed(f"the engine made another image of {tag} than it was given", left=_UNTOUCHED)
        return image


def _sent(begun: Archive, described: Callable[[], Archive]) -> Iterator[bytes]:
    """An archive of which the layers are sent before the rest of it is known."""
    yield from fed(begun, _content, Silent())
    rest = described().parts[len(begun.parts) :]
    yield from fed(Archive(rest), _content, Silent())


def _content(blob: Blob) -> Iterator[bytes]:
    return consumed(blob.path)


def appended_config(
    document: bytes, depth: int, layers: Sequence[str], config: Mapping[str, Any], comment: str
) -> bytes:
    """An image's document with its lowest `depth` layers and `layers` above them (OCI image-spec, config.md)."""
    before: dict[str, Any] = json.loads(document)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    kept = {key: before[key] for key in ("architecture", "os", "os.version", "os.features", "variant") if key in before}
    made = {"created": now, "created_by": "bottle commit", "comment": comment}
    return json.dumps(
        {
            **kept,
            "created": now,
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [*before["rootfs"]["diff_ids"][:depth], *layers]},
            "history": [*_history(before, depth), *(made for _ in layers)],
        },
        sort_keys=True,
    ).encode()


def _history(document: Mapping[str, Any], depth: int) -> list[Any]:
    """The entries of the lowest `depth` layers; of a history that does not fit the layers, none can be told."""
    history = document.get("history") or []
    full = [number for number, entry in enumerate(history) if not entry.get("empty_layer")]
    if len(full) != len(document["rootfs"]["diff_ids"]):
        return [{"created_by": "a layer of the agent's image"}] * depth
    return list(history[: full[depth]] if depth < len(full) else history)
