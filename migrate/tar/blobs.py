"""The bytes of what was spooled, a chunk at a time."""

from collections.abc import Iterator

from bottle.tar.chunks import CHUNK
from migrate.model import Blob
from migrate.tar.compression import decompress


def packed(blob: Blob) -> Iterator[bytes]:
    """Its file, as it is."""
    with blob.path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def plain(blob: Blob) -> Iterator[bytes]:
    """The tar in it. Raises VerificationFailed where it is damaged; one that was cut off ends early."""
    return decompress(packed(blob), blob.codec)
