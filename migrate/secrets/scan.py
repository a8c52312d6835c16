"""Which credentials are in a tree of files that goes by once, layer upon layer, wherever its bytes come from.

What is found is kept until all has gone by, as is what package managers say they installed, since a database may come
after the files that it knows, in another layer too. Only then is it decided, by facts alone, what is a credential of
this bottle's and what came with a package, byte for byte, or was published by somebody.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from bottle.model import FoundFile, LayerScan
from bottle.text import printable
from migrate.secrets.packages import LARGEST, Packages, digests, source_of
from migrate.secrets.patterns import Credential, Finder, NamedFile, by_name
from migrate.secrets.published import published

_MOST = 10_000  # finds that are kept; no glob admits what comes after them
_MORE = "further ones"
_HEAD = 1 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """A credential in an image. `path` is absolute, or says where in the config. `gone`: a later layer hides it."""

    path: str
    what: str
    gone: bool = False

    def __str__(self) -> str:
        hidden = " (deleted or replaced since, but an earlier layer of the image still has it)" if self.gone else ""
        return f"{printable(self.path, 300)}: {self.what}{hidden}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedEntry:
    """Something in a layer, by its absolute path. What a layer deletes is an entry `.wh.NAME`, as OCI layers have it.

    `data` is the content of a regular file, `size` bytes in pieces, to be read before the next entry is asked for; None
    for all else. `again`: it is a hard link, whose content comes by under another name.
    """

    path: str
    size: int = 0
    data: Iterable[bytes] | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What looks like credentials at a path in one layer: by its name, if any, and in it. `digests` are the file's."""

    path: str
    named: str = ""
    credentials: tuple[Credential, ...] = ()
    digests: frozenset[str] = frozenset()
    gone: bool = False

    @property
    def fingerprints(self) -> frozenset[str]:
        """Of the credentials that have one."""
        return frozenset(one.fingerprint for one in self.credentials if one.fingerprint is not None)


class Scan:
    """Takes the layers of an image, lowest first, then says what is in them."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._packages = Packages()
        self._seen: dict[str, tuple[Seen, ...]] = {}

    def layer(self, entries: Iterable[ScannedEntry], digest: str = "") -> LayerScan | None:
        """The next layer; what is to be known of it for good, None where that depends on others.

        What `entries` raises leaves all as it was before it, but for what packages are known.
        """
        below, here, hides = dict(self._seen), dict[str, Seen](), list[str]()
        packages = Packages()
        try:
            for entry in entries:
                _hide(entry.path, below)
                if _may_hide(entry.path):
                    hides.append(entry.path)
                seen = self._entry(entry, packages)
                if seen is not None:
                    here[entry.path] = seen
        finally:
            self._packages.add(packages)
        self._seen = below
        for seen in here.values():
            self._add(seen)
        found = decide(here.values(), packages, published())
        if not all(here[each.path].named for each in found):
            return None
        finds = tuple(FoundFile(path=each.path, what=each.what) for each in found)
        return LayerScan(digest=digest, finds=finds, hides=tuple(hides))

    def recall(self, known: LayerScan) -> None:
        """The next layer, of which it is known what is in it."""
        for path in known.hides:
            _hide(path, self._seen)
        for each in known.finds:
            self._add(Seen(path=each.path, named=each.what))

    def nameless(self, where: str, data: Iterable[bytes]) -> None:
        """Bytes of which no more is known than where they are."""
        if found := self._finder.find(data):
            self._add(Seen(path=where, credentials=found))

    @property
    def is_final(self) -> bool:
        """Whether no package that another layer knows of could explain what was found."""
        return all(seen.named for find in self.finds() for seen in self._seen[find.path])

    def finds(self) -> tuple[Find, ...]:
        """What is there that nothing explains, by path."""
        return decide(chain.from_iterable(self._seen.values()), self._packages, published())

    def _entry(self, entry: ScannedEntry, packages: Packages) -> Seen | None:
        named = by_name(entry.path)
        if entry.data is None:
            return Seen(path=entry.path, named=named.what) if named is not None and entry.again else None
        if entry.size > LARGEST:  # too large to be kept until it is known whether that is of use
            head, data = _begun(entry.data) if named is not None else (b"", entry.data)
            return self._judged(entry, named, head, self._finder.find(data))
        pieces = tuple(entry.data)
        if packages.keeps(entry.path):
            packages.learn(entry.path, b"".join(pieces))
        seen = self._judged(entry, named, b"".join(pieces) if named is not None else b"", self._finder.find(pieces))
        return replace(seen, digests=digests(pieces)) if seen is not None and seen.credentials else seen

    @staticmethod
    def _judged(
        entry: ScannedEntry, named: NamedFile | None, head: bytes, found: tuple[Credential, ...]
    ) -> Seen | None:
        what = named.what if named is not None and named.is_one(head, entry.size) else ""
        return Seen(path=entry.path, named=what, credentials=found) if what or found else None

    def _add(self, seen: Seen) -> None:
        if seen.path in self._seen or len(self._seen) < _MOST:
            self._seen[seen.path] = (*self._seen.get(seen.path, ()), seen)
        else:
            self._seen[_MORE] = (Seen(path=_MORE, named=f"there are more than {_MOST}"),)


def decide(seen: Iterable[Seen], packages: Packages, known: frozenset[str]) -> tuple[Find, ...]:
    """What is to be reported, by path; of one path only what is in the highest layer that has something to report.

    Explained are credentials that are `known` by their fingerprints, those in a file that is what a package brought,
    and those in its byte code, if they are in that file too. A name is explained by nothing, nor is a known secret.
    """
    seen = tuple(seen)
    brought = {each for each in seen if packages.own(each.path, each.digests)}
    sources: dict[str, frozenset[str]] = {}
    for each in brought:
        sources[each.path] = sources.get(each.path, frozenset()) | each.fingerprints
    finds: dict[str, Find] = {}
    for each in seen:
        explained = each.fingerprints & known | sources.get(source_of(each.path) or "", frozenset())
        if each in brought:
            explained |= each.fingerprints
        left = [one.what for one in each.credentials if one.fingerprint not in explained]
        if what := dict.fromkeys((each.named, *left) if each.named else left):
            finds[each.path] = Find(path=each.path, what=", ".join(what), gone=each.gone)
    return tuple(sorted(finds.values(), key=lambda find: find.path))


def _begun(data: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of a file, and the whole of it."""
    pieces, head = iter(data), b""
    for piece in pieces:
        head += piece
        if len(head) >= _HEAD:
            break
    return head, chain((head,), pieces)


def _may_hide(path: str) -> bool:
    """Whether an entry may hide what is kept of lower layers: it deletes something, or has a name that is told by."""
    return path.rpartition("/")[2].startswith(_WHITEOUT) or by_name(path) is not None


def _hide(path: str, seen: dict[str, tuple[Seen, ...]]) -> None:
    """Mark what an entry of a higher layer hides."""
    for hidden in _hidden_by(path, seen):
        seen[hidden] = tuple(replace(each, gone=True) for each in seen[hidden])


def _hidden_by(path: str, seen: Mapping[str, object]) -> tuple[str, ...]:
    """Which of the paths of `seen` an entry of a higher layer hides (OCI image-spec, layer.md, "Whiteouts")."""
    if not seen:
        return ()
    folder, _, name = path.rpartition("/")
    if name == _OPAQUE:
        return tuple(each for each in seen if each.startswith(f"{folder}/"))
    if name.startswith(_WHITEOUT):
        gone = f"{folder}/{name.removeprefix(_WHITEOUT)}"
        return tuple(each for each in seen if each == gone or each.startswith(f"{gone}/"))
    return (path,) if path in seen else ()
