"""Reads a file once, and gives back the room of what was read while the rest is still there."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02  # Linux, include/uapi/linux/falloc.h


def consumed(path: Path) -> Iterator[bytes]:
    """The content of a file that nobody reads again, a chunk at a time.

    When a chunk was taken, its room on disk and in memory is free, where the filesystem can do that. Raises OSError.
    """
    fallocate = ctypes.CDLL(None).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
    with path.open("r+b", buffering=0) as file:
        offset = 0
        while chunk := file.read(_CHUNK):
            yield chunk
            fallocate(file.fileno(), _PUNCH_HOLE | _KEEP_SIZE, offset, len(chunk))  # if it cannot, the room stays taken
            offset += len(chunk)
