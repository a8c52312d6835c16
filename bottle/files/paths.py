"""What is known of a path by its text alone: what it leads to, and whether programs can open it by name. Pure."""

import os
import posixpath

from bottle.errors import PathTooLong
from bottle.text import shortened

# Bytes of a path that programs which open by name can reach, wherever below a folder of theirs it comes to lie:
# PATH_MAX less a name and what an engine's folders take. Docker leaves what is deeper out of its tars without a word.
OPENABLE = 3_500

_SYSTEM = (
    *("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/nix", "/proc", "/sbin", "/sys", "/usr"),
    *("/dev/null", "/dev/pts", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"),
)


def is_inside(path: str, folder: str) -> bool:
    """Whether an absolute path is `folder`, or below it."""
    normal = posixpath.normpath(path)
    return posixpath.isabs(path) and (normal == folder or normal.startswith(folder.rstrip("/") + "/"))


def is_system(path: str) -> bool:
    """Whether an absolute path is one of the system's, of which every host has its own."""
    return any(is_inside(path, each) for each in _SYSTEM)


def require_openable(path: str, what: str, *, left: str) -> None:
    """Refuse a path that programs which open by name may fail to reach. Raises PathTooLong."""
    if len(os.fsencode(path)) > OPENABLE:
        raise PathTooLong(
            f"{what} has a path of more than {OPENABLE} bytes, which Docker and tar cannot carry: {shortened(path)}",
            left=left,
            next_step="remove or rename some of the folders that lie in each other there",
        )
