"""Regular files, and nothing that passes for one: opening a fifo would wait for somebody to write into it."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST = 64 * 1024 * 1024  # no file that is read whole into memory may be larger


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a file for reading. Raises OSError where it is none; a link is one with `follow` only."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as exc:
        if exc.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link", str(path)) from exc
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, *, follow: bool = False) -> bytes:
    """All of a file. Raises OSError where it is none, or larger than what is read whole."""
    with open_regular(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(LARGEST + 1) if size <= LARGEST else b""
    if size > LARGEST or len(data) > LARGEST:
        raise OSError(errno.EFBIG, "it is too large to be read", str(path))
    return data
