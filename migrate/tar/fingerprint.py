"""One number for all that a tree of files is, in any order: to compare what was sent with what is there."""

import hashlib
import posixpath
from collections.abc import Iterator

from bottle.tar.items import Item, ItemReader, ItemType

_MODULUS = 1 << 256


class Fingerprint:
    """Names below the top, types, modes, owners, links, capabilities and contents; times are left out."""

    def __init__(self) -> None:
        self.value = 0

    def hashing(self, item: Item, data: Iterator[bytes]) -> Iterator[bytes]:
        """The content of `item`, passed through; the entry is taken at its end."""
        meter = hashlib.sha256()
        for piece in data:
            meter.update(piece)
            yield piece
        _, _, path = item.path.partition("/")
        _, _, link = item.link.partition("/") if item.type is ItemType.HARDLINK else ("", "", item.link)
        digest = meter.hexdigest()
        facts = (path, item.type.value, item.mode, item.uid, item.gid, item.size, link, item.capability, digest)
        hashed = hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).digest()
        self.value = (self.value + int.from_bytes(hashed, "big")) % _MODULUS


def of_tar(tar: ItemReader) -> int:
    """The fingerprint of a tar whose entries all lie below one folder."""
    found = Fingerprint()
    for item in tar.items():
        for _ in found.hashing(item, tar.data()):
            pass
    return found.value


def below(path: str, top: str) -> str:
    """`path` with its first part replaced by `top`."""
    _, slash, rest = path.partition("/")
    return posixpath.join(top, rest) if slash else top
