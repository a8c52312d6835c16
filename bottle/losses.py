"""What is lost of files on their way, found before it is lost, so that it can be said: one account for all of them.

What a file can be or have stands in `Trait`, what each way holds of it in `_HELD`. A commit and an engine's archive
(`docker cp`) drop sockets, every extended attribute and ACL except file capabilities, and fractions of seconds of
modification times (https://github.com/moby/moby/issues/35699, https://github.com/moby/moby/issues/43882).
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from bottle.files.flags import flags_of
from bottle.files.regular import OPEN_FILE
from bottle.files.tree import Node, walk
from bottle.launch import is_below


class Trait(Enum):
    """What a file can be or have besides its name, content, mode, owner and time to the second, and of many, so."""

    SOCKET = ("socket", "sockets")
    FIFO = ("fifo", "fifos")
    DEVICE = ("device", "devices")
    ATTRIBUTES = ("file with extended attributes", "files with extended attributes")
    ACL = ("file with an ACL", "files with an ACL")
    FILE_CAPABILITY = ("file with a capability", "files with capabilities")
    FLAGS = ("file with file flags", "files with file flags")
    LINKED = ("file with a hard link, which becomes a copy", "files with hard links, which become copies")
    SHARED = ("file with a hard link to outside of it", "files with hard links to outside of it")
    HOLES = ("sparse file, whose holes are written out", "sparse files, whose holes are written out")
    FRACTION = ("modification time", "modification times")
    UNSEEN = ("file that could not be looked at", "files that could not be looked at")


class Way(Enum):
    """How files travel."""

    COMMIT = "Docker's commit"
    ARCHIVE = "an engine's archive"
    TRANSCRIPT = "the transcript's copy"
    TAR = "a tar of bottle's own"


_HELD = {
    Way.COMMIT: {Trait.FIFO, Trait.DEVICE, Trait.FILE_CAPABILITY, Trait.LINKED, Trait.SHARED},
    Way.ARCHIVE: {Trait.FIFO, Trait.DEVICE, Trait.FILE_CAPABILITY, Trait.LINKED},
    Way.TRANSCRIPT: {Trait.SHARED},  # a link is none there, wherever it leads
    Way.TAR: {Trait.LINKED, Trait.FRACTION},
}

# How lines begin that hold of nearly every commit: they are kept, and not told each time.
_FRACTIONS = "the fractions of a second of "
_UNSEEN = (
    "not checked: sockets, extended attributes and ACLs, because the engine's files cannot be read from here "
    "(as root on the engine's host they are)"
)

_CAPABILITY = "security.capability"
_ACL = "system.posix_acl_"
# Of overlay's own making, and SELinux's label, which each host gives as it sees fit.
# A rootless engine's overlay writes as a user (Linux, fs/overlayfs/overlayfs.h); all else under that name is anybody's.
_BY_USER = ("opaque", "redirect", "origin", "impure", "nlink", "upper", "uuid", "metacopy", "protattr", "whiteout")
_NOT_THE_AGENTS = ("trusted.overlay.", *(f"user.overlay.{name}" for name in _BY_USER), "security.selinux")
_SHOWN = 5
_HOLES = 1 << 20  # bytes that a file must have in holes to be called sparse: small files end in the middle of a block
_CANNOT_OPEN = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.EINVAL}


class Account:
    """What one way loses of the files that are seen, a line for each kind of loss."""

    def __init__(self, way: Way, *, beyond: Way | None = None) -> None:
        """`beyond`: only what that other way would hold, as what it loses is told of already."""
        self._lost = set(Trait) - _HELD[way]
        if beyond is not None:
            self._lost &= _HELD[beyond]
        self._found: dict[Trait, list[str]] = {}
        self._names: dict[tuple[int, int], tuple[int, str, int]] = {}

    def see(self, node: Node, name: str) -> None:
        """One more, called `name` in what is said of it. What has just vanished is not counted."""
        try:
            found = tuple(_traits(node))
        except FileNotFoundError:
            return
        except OSError:
            self.miss(name)
            return
        for trait, detail in found:
            self._add(trait, f"{name} ({detail})" if detail else name)
        if node.is_file and node.facts.st_nlink > 1:
            seen, _, _ = self._names.get(node.identity, (0, "", 0))
            self._names[node.identity] = (seen + 1, name, node.facts.st_nlink)
            self._add(Trait.LINKED, name)

    def miss(self, name: str) -> None:
        """One that could not be looked at."""
        self._add(Trait.UNSEEN, name)

    def lines(self) -> tuple[str, ...]:
        """What is lost."""
        found = dict(self._found)
        shared = [name for seen, name, names in self._names.values() if names > seen]
        if shared and Trait.SHARED in self._lost:
            found[Trait.SHARED] = shared
        return tuple(_line(trait, found[trait]) for trait in Trait if trait in found)

    def _add(self, trait: Trait, name: str) -> None:
        if trait in self._lost:
            self._found.setdefault(trait, []).append(name)


def dropped_by_commit(layer: Path, transcript: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a commit will drop of the files in a container's own layer, and the transcript's copy besides.

    `layer` is overlay's upper folder. Nothing is changed.
    """
    commit, copy = Account(Way.COMMIT), Account(Way.TRANSCRIPT, beyond=Way.COMMIT)
    for node in walk(layer, lost=lambda path, error: _missed(commit, f"/{path}", error)):
        if stat.S_ISCHR(node.facts.st_mode) and node.facts.st_rdev == 0:
            continue  # overlay's mark of a deleted file
        commit.see(node, f"/{node.path}")
        if any(is_below(f"/{node.path}", each) for each in transcript):
            copy.see(node, f"/{node.path}")
    return (*commit.lines(), *(f"the transcript's copy beside the image: {line}" for line in copy.lines()))


def dropped_by_layer(
    sockets: Iterable[str], flagged: Mapping[str, tuple[str, ...]], sparse: Iterable[str]
) -> tuple[str, ...]:
    """What a commit of changes drops: sockets, file flags by path, and the holes of sparse files."""
    found = {
        Trait.SOCKET: list(sockets),
        Trait.FLAGS: [f"{path} ({', '.join(flags)})" for path, flags in flagged.items()],
        Trait.HOLES: list(sparse),
    }
    return tuple(_line(trait, paths) for trait, paths in found.items() if paths)


def dropped_by_archive(volume: Path) -> tuple[str, ...]:
    """What an engine's archive of a volume will drop; nothing is changed."""
    account = Account(Way.ARCHIVE)
    for node in walk(volume, lost=lambda path, error: _missed(account, path, error)):
        account.see(node, node.path)
    return account.lines()


def unseen() -> tuple[str, ...]:
    """What to say of files that cannot be looked at from here."""
    return (_UNSEEN,)


def worth_telling(lines: Iterable[str], *, first: bool = False) -> tuple[str, ...]:
    """Of what is said of a commit, or of any other way, the lines that are not the same each time.

    Fractions of seconds are lost of nearly every file. That nothing can be looked at is told with the `first` one only.
    """
    return tuple(line for line in lines if _FRACTIONS not in line and (first or _UNSEEN not in line))


def _missed(account: Account, name: str, error: OSError) -> None:
    if error.errno != errno.ENOENT:
        account.miss(name)


def _traits(node: Node) -> Iterator[tuple[Trait, str]]:
    mode = node.facts.st_mode
    if stat.S_ISSOCK(mode):
        yield Trait.SOCKET, ""
    if stat.S_ISFIFO(mode):
        yield Trait.FIFO, ""
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        yield Trait.DEVICE, ""
    keys = [key for key in node.attributes() if not key.startswith(_NOT_THE_AGENTS)]
    if any(key.startswith(_ACL) for key in keys):
        yield Trait.ACL, ""
    if _CAPABILITY in keys:
        yield Trait.FILE_CAPABILITY, ""
    if own := [key for key in keys if key != _CAPABILITY and not key.startswith(_ACL)]:
        yield Trait.ATTRIBUTES, ", ".join(own)
    if (node.is_file or node.is_folder) and (flags := _flags(node)):
        yield Trait.FLAGS, ", ".join(flags)
    if node.is_file:
        if node.facts.st_size - 512 * node.facts.st_blocks > _HOLES:
            yield Trait.HOLES, ""
        if node.facts.st_mtime_ns % 1_000_000_000:
            yield Trait.FRACTION, ""


def _flags(node: Node) -> tuple[str, ...]:
    try:
        descriptor = os.open(node.name, OPEN_FILE, dir_fd=node.folder)
    except OSError as exc:
        if exc.errno in _CANNOT_OPEN:
            return ()
        raise
    try:
        return flags_of(descriptor)
    finally:
        os.close(descriptor)


def _line(trait: Trait, found: list[str]) -> str:
    one, many = trait.value
    what = f"{len(found)} {one if len(found) == 1 else many}"
    if trait is Trait.FRACTION:
        return f"{_FRACTIONS}{what}"
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{what}: {', '.join(sorted(found)[:_SHOWN])}{more}"
