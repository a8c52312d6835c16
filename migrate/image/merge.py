"""Several layers of an image become one that does the same to whatever lies below (OCI image-spec, layer.md).

Two passes over each layer, the topmost first: one over the heads, which decides what shows, and one that copies. The
content is never in memory; of each path its name is, and of folders their heads. The same layers give the same bytes.

The one layer has folders first, parents before children, each marked opaque where nothing of what lies below may show
in it; then whiteouts; then all else, in the order of its layers. Heads stay as they are, byte for byte, except where
the first name of a hard link is gone: then the content moves to the next name that is left.

A whiteout stands only in a folder that lies below, too: overlayfs lists those in other folders as files that cannot be
looked at (Linux, fs/overlayfs/readdir.c, ovl_iterate_real).
"""

import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum

from bottle.errors import VerificationFailed
from bottle.tar.chunks import CHUNK
from bottle.tar.layerpaths import AUFS, OPAQUE, WHITEOUT, above, below, clean, in_any
from bottle.tar.reader import Member, TarStream
from migrate.tar.headers import BLOCK, plain_head, renamed

Layer = Callable[[], Iterable[bytes]]
"""Opens a layer's plain tar anew."""


def merge(layers: Sequence[Layer], ground: Set[str]) -> Iterator[bytes]:
    """The tar of one layer that stands for `layers`, base first, in pieces. `ground` are the folders that lie below.

    Raises VerificationFailed when a layer is damaged, or holds what no engine's commit writes.
    """
    top_first = tuple(reversed(layers))
    view = _View()
    plans = [view.add(TarStream(layer())) for layer in top_first]
    return _gathered(_write(view, tuple(zip(top_first, plans, strict=True)), ground))


@dataclass(frozen=True, slots=True)
class Names:
    """What a layer has, by path: folders, all else, folders that are opaque, and what is deleted."""

    folders: frozenset[str]
    leaves: frozenset[str]
    opaque: frozenset[str]
    gone: frozenset[str]


def names_in(layer: Iterable[bytes]) -> Names:
    """The names in a layer's plain tar. Raises VerificationFailed when it is damaged."""
    folders: set[str] = set()
    leaves: set[str] = set()
    opaque: set[str] = set()
    gone: set[str] = set()
    for member in TarStream(layer).members():
        path = clean(member.name)
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            opaque.add(folder)
        elif name.startswith(WHITEOUT):
            gone.add(below(folder, name.removeprefix(WHITEOUT)))
        else:
            (folders if member.type == tarfile.DIRTYPE else leaves).add(path)
            while folder and folder not in folders:
                folders.add(folder)
                folder = above(folder)
    return Names(frozenset(folders), frozenset(leaves), frozenset(opaque), frozenset(gone))


def ground_of(layers: Iterable[Names]) -> Set[str]:
    """The folders that `layers`, base first, show; the root is one."""
    ground = {""}
    for layer in layers:
        cut = layer.gone | layer.leaves
        hides = in_any((cut | layer.opaque).__contains__)
        ground = {path for path in ground if path not in cut and not (path and hides(above(path)))}
        ground |= layer.folders
    return ground


class _Kind(Enum):
    """What the layers that were seen have at a path."""

    FOLDER = 1
    LEAF = 2
    GONE = 3


@dataclass(frozen=True, slots=True)
class _Change:
    """Another name for a member, or another target for a hard link."""

    path: str | None = None
    link: str | None = None


@dataclass(slots=True)
class _Plan:
    """What becomes of a layer's members, by their numbers: whether one is copied, and what is changed of it."""

    copied: bytearray = field(default_factory=bytearray)
    changes: dict[int, _Change] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Link:
    """A hard link to `target`; `shows` unless an upper layer hides it."""

    number: int
    path: str
    target: str
    shows: bool


class _View:
    """What shows of the layers so far, the topmost first: a lower one adds only where no upper one hides it."""

    def __init__(self) -> None:
        self.kinds: dict[str, _Kind] = {}
        self.opaque: set[str] = set()
        self._heads: dict[str, bytes] = {}

    def add(self, tar: TarStream) -> _Plan:
        """Take in the next layer. What it hides, it hides from those below, never from itself."""
        scan = _Scan(self, tar)
        for path, head in scan.folders.items():
            self._add_folder(path, head)
        for path in scan.leaves:
            self._add_leaf(path)
        self.opaque.update(scan.covered)
        for path in scan.opaque:
            self._need(path)
            self.opaque.add(path)
        for path in scan.gone:
            if self.kinds.setdefault(path, _Kind.GONE) is _Kind.FOLDER:
                self.opaque.add(path)
        return scan.plan

    def hidden(self) -> Callable[[str], bool]:
        """Whether the layers so far let nothing through of what lower ones have in a folder; they must not change."""
        return in_any(lambda folder: folder in self.opaque or self.kinds.get(folder) in {_Kind.LEAF, _Kind.GONE})

    def folders(self) -> Iterator[tuple[str, bytes | None]]:
        """Each folder that must be named, parents first, with its head if any layer had one."""
        for path in sorted(path for path, kind in self.kinds.items() if kind is _Kind.FOLDER):
            head = self._heads.get(path)
            if head is not None or path in self.opaque:
                yield path, zlib.decompress(head) if head is not None else None

    def whiteouts(self, ground: Set[str]) -> Iterator[str]:
        """Each path that must be deleted from what lies below, sorted; where none of that shows anyway, none must."""
        hides = self.hidden()
        for path in sorted(path for path, kind in self.kinds.items() if kind is _Kind.GONE):
            if above(path) in ground and not hides(above(path)):
                yield path

    def _add_folder(self, path: str, head: bytes) -> None:
        if path not in self.kinds:
            self._need(path)
        # In an opaque one without a head, what is below was deleted, and this was its head.
        if self.kinds[path] is _Kind.FOLDER and path not in self._heads and path not in self.opaque:
            self._heads[path] = zlib.compress(head, 1)

    def _add_leaf(self, path: str) -> None:
        if path in self.kinds:  # of this very layer: those that an upper one has do not come here
            raise VerificationFailed(f"a layer has {path!r} both as a folder and as something else")
        self._need(above(path))
        self.kinds[path] = _Kind.LEAF

    def _need(self, path: str) -> None:
        """There is a folder at `path`, whether or not a layer says so, and so there are those above it."""
        while self.kinds.get(path) is not _Kind.FOLDER:
            if path in self.kinds:
                raise VerificationFailed(f"a layer has something below {path!r}, which is no folder")
            self.kinds[path] = _Kind.FOLDER
            path = above(path)


class _Scan:
    """A layer's members, each held against the layers above it: the first pass."""

    def __init__(self, view: _View, tar: TarStream) -> None:
        self._above = view
        self._hides = view.hidden()
        self.plan = _Plan()
        self.folders: dict[str, bytes] = {}
        self.leaves: list[str] = []
        self.covered: list[str] = []  # where an upper layer has a folder, and this one something else
        self.opaque: list[str] = []
        self.gone: list[str] = []
        self._numbers: dict[str, int] = {}
        self._links: list[_Link] = []
        for number, member in enumerate(tar.members()):
            self.plan.copied.append(False)
            self._see(number, member)
        self._tie()

    def _see(self, number: int, member: Member) -> None:
        path = clean(member.name)
        folder, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            self._mark(folder, name)
        elif member.type == tarfile.DIRTYPE:
            if not path or not self._hides(folder):
                self.folders[path] = member.head
        else:
            self._leaf(number, path, member)

    def _mark(self, folder: str, name: str) -> None:
        if name in {WHITEOUT, f"{WHITEOUT}.", f"{WHITEOUT}.."}:
            raise VerificationFailed(f"a layer deletes what cannot be deleted: {folder}/{name}")
        if self._hides(folder):
            return
        if name == OPAQUE:
            self.opaque.append(folder)
        elif not name.startswith(AUFS):
            self.gone.append(below(folder, name.removeprefix(WHITEOUT)))

    def _leaf(self, number: int, path: str, member: Member) -> None:
        if path in self._numbers or not path:
            raise VerificationFailed(f"a layer has {path!r} twice, or its root is no folder")
        self._numbers[path] = number
        hidden, kind = self._hides(above(path)), self._above.kinds.get(path)
        shows = not hidden and kind is None
        if shows:
            self.leaves.append(path)
            self.plan.copied[number] = True
        elif not hidden and kind is _Kind.FOLDER:
            self.covered.append(path)
        if member.type == tarfile.LNKTYPE:
            self._links.append(_Link(number, path, clean(member.link), shows))

    def _tie(self) -> None:
        """Where a hard link's first name does not show, let the next name that does have the content."""
        first_names: dict[str, str] = {}
        heirs: dict[str, str] = {}
        for link in self._links:
            first = first_names.get(link.target, link.target)
            holder = self._numbers.get(first, link.number)
            if holder >= link.number:
                raise VerificationFailed(f"a layer has a hard link to {link.target!r} before that, or without it")
            first_names[link.path] = first
            if not link.shows:
                continue
            if not self.plan.copied[holder]:
                heirs[first] = link.path
                self.plan.copied[link.number] = False
                self.plan.copied[holder] = True
                self.plan.changes[holder] = _Change(path=link.path)
            elif (target := heirs.get(first, first)) != link.target:
                self.plan.changes[link.number] = _Change(link=target)


def _write(view: _View, layers: Sequence[tuple[Layer, _Plan]], ground: Set[str]) -> Iterator[bytes]:
    for path, head in view.folders():
        if head is not None or path:
            yield head or plain_head(f"{path}/", tarfile.DIRTYPE, 0o755)
        if path in view.opaque:
            yield plain_head(below(path, OPAQUE), tarfile.REGTYPE, 0)
    for path in view.whiteouts(ground):
        yield plain_head(below(above(path), WHITEOUT + path.rpartition("/")[2]), tarfile.REGTYPE, 0)
    for layer, plan in layers:
        tar = TarStream(layer())
        for number, member in enumerate(tar.members()):
            if not plan.copied[number]:
                continue
            change = plan.changes.get(number)
            yield renamed(member.head, path=change.path, link=change.link) if change else member.head
            yield from tar.data()
            yield bytes(-member.size % BLOCK)
    yield bytes(2 * BLOCK)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)
