"""Folds a bottle's own layers into one, by the engine's own archives, before the image gets too deep for Docker."""

import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bottle.errors import BottleError, NotFound, VerificationFailed
from bottle.files import tree
from bottle.launch import bare_spec
from bottle.layers import LayerSource
from bottle.model import ImageFacts
from bottle.naming import Identity
from bottle.ports import Engine, Progress, Silent
from migrate.image.load_archive import Archive, choose_codec, compose, fed
from migrate.image.merge import ground_of, merge, names_in
from migrate.image.reading import ImageReading
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from migrate.tar.compression import packed, plain

_UNTOUCHED = "the image is as it was"


class Squasher:
    """Implements `bottle.layers.LayerSquasher`.

    The disk under `home` needs room for the own layers, compressed, twice; the engine's needs what a load needs.
    """

    def __init__(self, engine: Engine, source: LayerSource, home: Path, progress: Progress) -> None:
        self._engine = engine
        self._source = source
        self._home = home
        self._progress = progress

    def squash(self, identity: Identity, ref: str, *, base: tuple[str, ...], tag: str) -> ImageFacts:
        """As `bottle.layers.LayerSquasher.squash`."""
        facts = self._engine.image(ref)
        if facts is None:
            raise NotFound(f"there is no image {ref}", next_step="docker image ls")
        own = facts.diff_ids[len(base) :]
        if not base or facts.diff_ids[: len(base)] != base or not own:
            raise VerificationFailed(f"{ref} has no layers above those of its agent's image", left=_UNTOUCHED)
        folder = self._home / "outgoing" / str(identity) / "fold"
        tree.discard(folder)  # what a run that died has left
        try:
            archive, diff_ids = self._compose(ref, base, own, tag, folder)
            self._engine.load(fed(archive, packed, Silent()))
            return self._verified(identity, facts, diff_ids, tag)
        except BaseException:
            # After a load that failed, the containerd store has the tag and not the image.
            with suppress(BottleError):
                self._discard_draft(identity)
                self._engine.remove_image(tag)
            raise
        finally:
            tree.discard(folder)
            with suppress(OSError):
                folder.parent.rmdir()

    def _compose(
        self, ref: str, base: tuple[str, ...], own: tuple[str, ...], tag: str, folder: Path
    ) -> tuple[Archive, tuple[str, ...]]:
        """The archive of the squashed image, and its layers. What the engine has of it is not in the archive."""
        info = self._engine.info()
        apart = DirectorySpool(folder / "own", Codec.ZSTD, level=1, threads=2)
        reading = ImageReading(self._source, ref, {*base, *own}, apart)
        names, layers = {}, {}
        for blob in reading.layers(self._progress):
            layers[blob.diff_id] = blob
            if blob.diff_id in base:
                names[blob.diff_id] = names_in(plain(blob))
                if blob.diff_id not in own:
                    apart.discard(blob.diff_id)  # of the base the names are enough
        ground = ground_of(names[diff_id] for diff_id in base)
        together = DirectorySpool(folder / "one", choose_codec(info.version, info.store), level=1, threads=2)
        with together.writer() as writer:
            for piece in merge([partial(plain, layers[diff_id]) for diff_id in own], ground):
                writer.write(piece)
            one = writer.keep()
        tree.discard(folder / "own")
        diff_ids = (*base, one.diff_id)
        archive = compose(
            config=squashed_config(reading.config, len(base), one.diff_id),
            diff_ids=diff_ids,
            blobs={one.diff_id: one},
            tag=tag,
            store=info.store,
            known=reading.known,
        )
        return archive, diff_ids

    def _verified(self, identity: Identity, before: ImageFacts, diff_ids: tuple[str, ...], tag: str) -> ImageFacts:
        """What was loaded is the image, but for its layers, and a container can be made from it."""
        squashed = self._engine.image(tag)
        if squashed is None or (squashed.diff_ids, squashed.config_digest) != (diff_ids, before.config_digest):
            raise VerificationFailed(f"the squashed image of {before.id} is not as it was made", left=_UNTOUCHED)
        try:
            self._engine.create(bare_spec(identity.draft, tag))
        finally:
            self._discard_draft(identity)
        return squashed

    def _discard_draft(self, identity: Identity) -> None:
        """Remove the container that proved the image, unless somebody has started one of that name."""
        draft = self._engine.container(identity.draft)
        if draft is not None and not draft.ever_ran:
            self._engine.remove_container(draft.id)


def squashed_config(config: bytes, base: int, diff_id: str) -> bytes:
    """An image's config with the layers above its lowest `base` squashed into `diff_id` (OCI image-spec, config.md)."""
    document: dict[str, Any] = json.loads(config)
    diff_ids = document["rootfs"]["diff_ids"]
    document["rootfs"] = {**document["rootfs"], "diff_ids": [*diff_ids[:base], diff_id]}
    history = document.get("history")
    if isinstance(history, list) and history:
        document["history"] = _squashed_history(history, base, len(diff_ids))
    return json.dumps(document, sort_keys=True).encode()


def _squashed_history(history: list[Any], base: int, depth: int) -> list[Any]:
    """The base's part and, for all else, one entry; of a history that does not fit the layers, that entry alone."""
    full = [number for number, entry in enumerate(history) if not entry.get("empty_layer")]
    kept = history[: full[base]] if len(full) == depth else []
    last = {key: value for key, value in history[-1].items() if key != "empty_layer"}
    said = f"{last.get('comment') or ''} ({depth - base} commits, squashed by bottle)".strip()
    return [*kept, {**last, "comment": said}]
