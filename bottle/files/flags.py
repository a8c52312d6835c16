"""File flags that change what can be done with a file (ioctl_iflags(2)), which no tar holds."""

import errno
import fcntl
import sys

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS
_FLAGS = {0x10: "immutable", 0x20: "append only", 0x40: "no dump", 0x40000000: "any case"}
_ANY = sum(_FLAGS)
_NONE_THERE = {errno.ENOTTY, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.ELOOP}


def flags_of(descriptor: int) -> tuple[str, ...]:
    """Those of an open file or folder, in words; none where the filesystem has none. Raises OSError."""
    try:
        found = int.from_bytes(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)), sys.byteorder)
    except OSError as exc:
        if exc.errno in _NONE_THERE:
            return ()
        raise
    return tuple(name for bit, name in _FLAGS.items() if found & bit) if found & _ANY else ()
