"""What a container has written as `Layer` has it: out of deltas of its folder, by whoever reads that."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bottle.diff.reading import layer_of_tar
from bottle.diff.thing import Kind, Layer, Thing
from bottle.tar.layerpaths import below
from bottle.tar.reader import TarStream
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Entry
from bottle.trees.reader import Lost
from bottle.trees.source import TreeReader

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
}
_END = bytes(1024)


def layer_of_deltas(deltas: Sequence[FolderDelta], reader: TreeReader) -> Layer:
    """What `deltas` say of the folder that `reader` reads, without digests. A link that is gone by now is left out.

    What a new socket would be in the place of is gone: no layer holds a socket. Raises TreeUnfit, or OSError.
    """
    links = _read(reader, deltas, lambda _, leaf: stat.S_ISLNK(leaf.mode))
    things: dict[str, Thing] = {}
    opaque: set[str] = set()
    gone: set[str] = set()
    for delta in deltas:
        path = os.fsdecode(delta.path)
        if delta.entry is not None:
            things[path] = _thing(delta.entry)
        if delta.opaque:
            opaque.add(path)
        gone.update(below(path, os.fsdecode(name)) for name in (*delta.gone, *delta.sockets))
        for leaf in delta.leaves:
            name = below(path, os.fsdecode(leaf.name))
            if not stat.S_ISLNK(leaf.mode):
                things[name] = _thing(leaf)
            elif name in links:
                things[name] = links[name]
    return Layer(things=things, opaque=frozenset(opaque), gone=frozenset(gone))


def digests_of_files(paths: Iterable[str], deltas: Iterable[FolderDelta], reader: TreeReader) -> Mapping[str, bytes]:
    """The digests of the content of files that `deltas` name, of those that are there. Raises TreeUnfit, or OSError."""
    wanted = frozenset(paths)
    found = _read(reader, deltas, lambda path, _: path in wanted)
    return {path: thing.digest for path, thing in found.items() if thing.digest is not None}


def _read(
    reader: TreeReader, deltas: Iterable[FolderDelta], wanted: Callable[[str, Entry], bool]
) -> Mapping[str, Thing]:
    """What there is now of the leaves of `deltas` that are `wanted`, of files with their digests."""

    def some() -> Iterator[FolderDelta]:
        for delta in deltas:
            folder = os.fsdecode(delta.path)
            leaves = tuple(each for each in delta.leaves if wanted(below(folder, os.fsdecode(each.name)), each))
            if leaves:
                yield replace(delta, entry=None, opaque=False, gone=(), leaves=leaves)

    def tar() -> Iterator[bytes]:
        for member in reader.members(some(), Lost()):
            yield from member.chunks
        yield _END

    return layer_of_tar(TarStream(tar())).things


def _thing(entry: Entry) -> Thing:
    kind = _KINDS[stat.S_IFMT(entry.mode)]
    return Thing(
        kind=kind,
        size=entry.size if kind is Kind.FILE else 0,
        mode=stat.S_IMODE(entry.mode),
        uid=entry.uid,
        gid=entry.gid,
        device=(os.major(entry.device), os.minor(entry.device)) if kind is Kind.DEVICE else (0, 0),
    )
