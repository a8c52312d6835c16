"""The paths that a tar names: which are safe, and how long they may be. Pure."""

import posixpath

from bottle.errors import VerificationFailed

LONGEST_PATH = 1 << 16  # bytes of a path below a folder that travels; a tar repeats it for each entry
MOST_NAMES = 1 << 28  # bytes of all paths of one tree that travels: what has to be known of it is kept in memory


def relative(name: str) -> str:
    """A member's name as a safe relative path. Raises VerificationFailed."""
    path = posixpath.normpath(name)
    if not name or "\0" in name or path.startswith("/") or ".." in path.split("/"):
        raise VerificationFailed(
            f"an archive holds a path that escapes: {name[:80]!r}", left="nothing was taken from it"
        )
    return path
