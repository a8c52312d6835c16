"""Which credentials are in a tree of files that goes by once, layer upon layer, wherever its bytes come from.

What is found is kept until all has gone by, as is what package managers say they installed, since a database may come
after the files that it knows, in another layer too. Only then is it decided, by facts alone, what is a credential of
this bottle's and what came with a package, byte for byte, or was published by somebody.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

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

    def layer(self, entries: Iterable[ScannedEntry]) -> None:
        """The next layer. What `entries` raises leaves all as it was before it, but for what packages are known."""
        below, here = dict(self._seen), dict[str, Seen]()
        for entry in entries:
            for hidden in _hidden_by(entry.path, below):
                below[hidden] = tuple(replace(seen, gone=True) for seen in below[hidden])
            seen = self._entry(entry)
            if seen is not None:
                here[entry.path] = seen
        self._seen = below
        for seen in here.values():
            self._add(seen)

    def nameless(self, where: str, data: Iterable[bytes]) -> None:
        """Bytes of which no more is known than where they are."""
        if found := self._finder.find(data):
            self._add(Seen(path=where, credentials=found))

    def finds(self) -> tuple[Find, ...]:
        """What is there that nothing explains, by path."""
        return decide(chain.from_iterable(self._seen.values()), self._packages, published())

    def _entry(self, entry: ScannedEntry) -> Seen | None:
        named = by_name(entry.path)
        if entry.data is None:
            return Seen(path=entry.path, named=named.what) if named is not None and entry.again else None
        if entry.size > LARGEST:  # too large to be kept until it is known whether that is of use
            head, data = _begun(entry.data) if named is not None else (b"", entry.data)
            return self._judged(entry, named, head, self._finder.find(data))
        pieces = tuple(entry.data)
        if self._packages.keeps(entry.path):
            self._packages.learn(entry.path, b"".join(pieces))
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
