"""Reading the layers of an image while somebody watches how far it has come."""

from collections.abc import Collection

from bottle.model import Store
from bottle.operations import Context
from migrate.image.save_stream import SaveStreamSource
from migrate.ports import Spool

_HEADERS = 100  # files are so many times larger than their headers, or more


def read_layers(context: Context, ref: str, wanted: Collection[str], spool: Spool) -> bytes:
    """As `LayerSource.read`, from the engine; a phase of progress."""
    missing = any(spool.blob(diff_id) is None for diff_id in wanted)
    with context.progress.phase("reading the image's layers", _stream_size(context, ref) if missing else None):
        return SaveStreamSource(context.engine, context.progress).read(ref, frozenset(wanted), spool)


def _stream_size(context: Context, ref: str) -> int | None:
    """About how many bytes the engine will send; a containerd store does not say how it holds what it sends."""
    if context.engine.info().store is Store.CONTAINERD:
        return None
    image = context.engine.image(ref)
    return image.size + image.size // _HEADERS if image is not None else None
