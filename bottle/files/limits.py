"""How long a path may be, and how much all paths of a tree, where programs are to reach them and tars to carry them."""

import os

from bottle.errors import PathTooLong
from bottle.text import shortened

# Bytes of a path that programs which open by name can reach, wherever below a folder of theirs it comes to lie:
# PATH_MAX less a name and what an engine's folders take. Docker leaves what is deeper out of its tars without a word.
OPENABLE = 3_500
LONGEST_PATH = 1 << 16  # bytes of a path below a folder that travels; a tar repeats it for each entry
MOST_NAMES = 1 << 28  # bytes of all paths of one tree that travels: what has to be known of it is kept in memory


def require_openable(path: str, what: str, *, left: str) -> None:
    """Refuse a path that programs which open by name may fail to reach. Raises PathTooLong."""
    if len(os.fsencode(path)) > OPENABLE:
        raise PathTooLong(
            f"{what} has a path of more than {OPENABLE} bytes, which Docker and tar cannot carry: {shortened(path)}",
            left=left,
            next_step="remove or rename some of the folders that lie in each other there",
        )
