"""Regular files, and nothing that passes for one: opening a fifo would wait for somebody to write into it."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST = 64 * 1024 * 1024  # no file that is read whole into memory may be larger
# Non-blocking: what was a file a moment ago may be a pipe now, and opening that would wait for a writer.
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a file for reading. Raises OSError where it is none; a link is one with `follow` only."""
    try:
        descriptor = os.open(path, OPEN_FILE & ~os.O_NOFOLLOW if follow else OPEN_FILE)
    except OSError as exc:
        if exc.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link", str(path)) from exc
        raise
    return _regular(descriptor, str(path))


def open_regular_in(folder: int, name: str, *, buffering: int = -1) -> BinaryIO:
    """As `open_regular`, of a file of a folder that is open. A link is none. `buffering` is that of `open`."""
    return _regular(os.open(name, OPEN_FILE, dir_fd=folder), name, buffering)


def _regular(descriptor: int, name: str, buffering: int = -1) -> BinaryIO:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", name)
    return os.fdopen(descriptor, "rb", buffering)


def read_regular(path: Path, *, follow: bool = False) -> bytes:
    """All of a file. Raises OSError where it is none, or larger than what is read whole."""
    with open_regular(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= LARGEST else b""  # not more: room for it all is taken first
        if len(data) > size:  # it grows
            data += file.read(LARGEST)
    if size > LARGEST or len(data) > LARGEST:
        raise OSError(errno.EFBIG, "it is too large to be read", str(path))
    return data
