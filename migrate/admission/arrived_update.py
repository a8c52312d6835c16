"""Bringing an unpacked folder up to date on the word of a host that nobody vouches for: nothing outside is touched."""

import os
import re
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import VerificationFailed
from bottle.files import tree
from bottle.files.opentree import OpenTree
from bottle.tar.items import relative

_ESCAPED = re.compile(rb"\\0([0-3][0-7]{2})")
_LEFT = "nothing was put into place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """What `update.sh` is told: folders to be opened, and what goes first, relative."""

    opened: tuple[str, ...]
    removed: tuple[str, ...]

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> "Instructions":
        """Read the lines of `update_lines`, each of them in the form that it has. Raises VerificationFailed."""
        opened: list[str] = []
        removed: list[str] = []
        for line in lines:
            raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), line[1:].removesuffix(b"\n"))
            (opened if line.startswith(b"+") else removed).append(relative(os.fsdecode(raw)))
        return cls(opened=tuple(opened), removed=tuple(path for path in removed if path != "."))


def bring_up_to_date(
    folder: Path, fresh: Path, instructions: Instructions, *, named: Collection[str], owners: bool
) -> None:
    """Take away from `folder` what goes, then move there all that is in `fresh`, which nobody else sees.

    A folder gets the mode, the owner and the time that it has in `fresh` only where it is `named`: the others are there
    for what is in them.

    Raises VerificationFailed where the two do not fit together.
    """
    try:
        with OpenTree(folder) as there:
            for path in instructions.opened:
                _open(there, path)
            for path in instructions.removed:
                _remove(there, path)
            folders = {".": fresh.stat()} if "." in named else {}
            fresh.chmod(stat.S_IRWXU)
            for node in tree.walk(fresh):
                if node.is_folder:
                    if node.path in named:
                        folders[node.path] = node.facts
                    os.chmod(node.name, stat.S_IRWXU, dir_fd=node.folder)
                    there.folder(node.path, make=True)
                else:
                    above, _, name = node.path.rpartition("/")
                    os.rename(node.name, name, src_dir_fd=node.folder, dst_dir_fd=there.folder(above, make=True))
            for path, facts in reversed(folders.items()):
                owner = (facts.st_uid, facts.st_gid) if owners else None
                there.dress(path, mode=stat.S_IMODE(facts.st_mode), owner=owner, mtime_ns=facts.st_mtime_ns)
    except OSError as exc:
        raise VerificationFailed(
            f"what changed meanwhile does not fit what came before: {exc.strerror}", left=_LEFT
        ) from exc


def without(paths: Iterable[str], removed: Iterable[str]) -> frozenset[str]:
    """Those of `paths` that are neither `removed` nor below."""
    gone = frozenset(removed)
    return frozenset(path for path in paths if not any(each in gone for each in _upward(path)))


def _upward(path: str) -> Iterable[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _open(there: OpenTree, path: str) -> None:
    above, _, name = path.rpartition("/")
    with suppress(FileNotFoundError):
        folder = there.folder(above)
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.chmod(name, stat.S_IRWXU, dir_fd=folder)


def _remove(there: OpenTree, path: str) -> None:
    above, _, name = path.rpartition("/")
    with suppress(FileNotFoundError):
        # By the descriptor's own entry in /proc: a short path, on which no link is followed.
        tree.discard(Path(f"/proc/self/fd/{there.folder(above)}", name))
