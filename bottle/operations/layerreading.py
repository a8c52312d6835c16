"""Reads layers of an image as `diff` compares them; every one is checked by its hash, whatever it is read from."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress

from bottle.diff.reading import layer_of_tar
from bottle.diff.thing import Layer
from bottle.errors import VerificationFailed
from bottle.layers import LayerStream
from bottle.operations.context import Context
from bottle.tar.reader import TarStream


def read_layers(
    context: Context, ref: str, diff_ids: Iterable[str], wanted: Callable[[str], bool] = lambda _: True
) -> Mapping[str, Layer]:
    """Layers of image `ref` by diff id, with what they have at paths that are `wanted`. Memory is that of the names.

    Raises NotFound, EngineError, or VerificationFailed where one does not come whole.
    """
    missing = set(diff_ids)
    found: dict[str, Layer] = {}
    if not missing:
        return found
    with (
        context.progress.phase("reading the image's layers"),
        closing(context.layers.read(ref, missing, context.progress)) as parts,
    ):
        for part in parts:
            if isinstance(part, LayerStream):
                diff_id, layer = _read(part.chunks, wanted)
                if diff_id in missing and layer is not None:
                    found[diff_id] = layer
                    missing.remove(diff_id)
            if not missing:
                break
    if missing:
        raise VerificationFailed(
            f"layers of {ref} cannot be read: {', '.join(sorted(missing))}",
            left="nothing was changed",
            next_step="the same command again; if it fails again, look at the engine's log and disk",
        )
    return found


def _read(chunks: Iterator[bytes], wanted: Callable[[str], bool]) -> tuple[str, Layer | None]:
    """A layer, None for what is none, and its digest."""
    hashed = hashlib.sha256()

    def passing() -> Iterator[bytes]:
        for chunk in chunks:
            hashed.update(chunk)
            yield chunk

    through = passing()
    layer = None
    with suppress(VerificationFailed):  # it is not what it is called then, as its digest will say
        layer = layer_of_tar(TarStream(through), wanted)
    for _ in through:
        pass
    return f"sha256:{hashed.hexdigest()}", layer
