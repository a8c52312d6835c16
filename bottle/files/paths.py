"""What a path leads to, told by its text alone. Pure."""

import posixpath

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
