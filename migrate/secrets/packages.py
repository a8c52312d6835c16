"""What package managers say they installed: a file that is byte for byte that is none of a bottle's own making.

Read are, wherever they come by in an image, dpkg's md5sums and its digests of configuration files (deb-md5sums(5),
dpkg-query(1) "Conffiles"), apk's database of what is installed (apk-v2, "installed"), and the RECORD of wheels
(packaging.python.org, "Recording installed projects"). npm keeps no digest of a single file.

A database is believed for what lies in the tree of its packages, never for a place where a person's logins are.
"""

import base64
import binascii
import csv
import hashlib
import re
from collections.abc import Iterable, Iterator

LARGEST = 8 << 20  # bytes of a database, or of a file that is to be compared with one

_MOST = 1_000_000  # entries; what comes after them is not believed
_DPKG_SUMS = re.compile(r"/var/lib/dpkg/info/[^/]+\.md5sums")
_DPKG_STATUS = "/var/lib/dpkg/status"
_APK = frozenset({"/lib/apk/db/installed", "/usr/lib/apk/db/installed"})
_RECORD = re.compile(r"(?P<tree>.*)/[^/]+\.dist-info/RECORD")
_DIRECT = ".dist-info/direct_url.json"  # PEP 610
_PYC = re.compile(r"(?P<folder>.*/)__pycache__/(?P<module>[^/.]+)\.[^/]+\.pyc")
_MERGED = re.compile(r"/(?=(?:bin|sbin|lib|lib32|lib64|libx32)/)")
_OF_PERSONS = re.compile(r"/(?:root|home)/")
_LOGINS = re.compile(
    r"/\.(?:aws|azure|claude|codex|config|docker|gemini|gnupg|kube|local/share/opencode|ssh)/(?!.*/(?:site|dist)-packages/)"
)


def digests(pieces: Iterable[bytes]) -> frozenset[str]:
    """The digests of a file in all the ways in which a package manager may have noted it."""
    hashes = [hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()]
    for piece in pieces:
        for each in hashes:
            each.update(piece)
    return frozenset(f"{each.name}:{each.hexdigest()}" for each in hashes)


def source_of(path: str) -> str | None:
    """The program that the byte code at `path` was compiled from (PEP 3147); None where it is no byte code."""
    match = _PYC.fullmatch(path)
    return f"{match['folder']}{match['module']}.py" if match is not None else None


class Packages:
    """The databases that came by. Memory is some 100 bytes for each file that they know."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    @staticmethod
    def keeps(path: str) -> bool:
        """Whether a file at the absolute path `path` is such a database."""
        return path.endswith((".md5sums", "/status", "/installed", "/RECORD")) and (
            path == _DPKG_STATUS
            or path in _APK
            or _DPKG_SUMS.fullmatch(path) is not None
            or _RECORD.fullmatch(path) is not None
        )

    def learn(self, path: str, content: bytes) -> None:
        """Take in the database at `path`; lines of it that make no sense are passed over."""
        for owned, digest in _entries(path, content.decode("utf-8", "surrogateescape")):
            if len(self._known) < _MOST:
                self._known.add(_key(owned, digest))

    def add(self, more: "Packages") -> None:
        """Know what another one knows, too."""
        if len(self._known) < _MOST:
            self._known |= more._known

    def own(self, path: str, found: frozenset[str]) -> bool:
        """Whether the file at `path`, whose `digests` are `found`, is what a package brought."""
        return _LOGINS.search(path) is None and any(_key(path, digest) in self._known for digest in found)


def _key(path: str, digest: str) -> bytes:
    """`/bin` and its like are the same as those of `/usr` on any system that has both."""
    said = f"{_MERGED.sub('/usr/', path) if _MERGED.match(path) else path}\0{digest}"
    return hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _entries(path: str, text: str) -> Iterator[tuple[str, str]]:
    """The absolute path and the digest of each file that a database knows."""
    if (record := _RECORD.fullmatch(path)) is not None:
        return _record(record["tree"], text)
    if path in _APK:
        return _of_system(_apk(text))
    return _of_system(_dpkg_status(text) if path == _DPKG_STATUS else _dpkg_sums(text))


def _of_system(entries: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return (entry for entry in entries if _OF_PERSONS.match(entry[0]) is None)


def _dpkg_sums(text: str) -> Iterator[tuple[str, str]]:
    """`MD5  PATH` a line, the path without its first slash."""
    for line in text.splitlines():
        digest, gap, path = line.partition("  ")
        if gap:
            yield f"/{path}", f"md5:{digest}"


def _dpkg_status(text: str) -> Iterator[tuple[str, str]]:
    """Below `Conffiles:` of each package, ` PATH MD5` a line, perhaps with a word behind it."""
    inside = False
    for line in text.splitlines():
        inside = line == "Conffiles:" or (inside and line.startswith(" "))
        match line.split() if inside else ():
            case [path, digest, *_]:
                yield path, f"md5:{digest}"
            case _:
                pass


def _apk(text: str) -> Iterator[tuple[str, str]]:
    """`F:FOLDER`, then `R:NAME` and `Z:Q1BASE64`, its SHA-1, for each file in it."""
    folder = name = ""
    for line in text.splitlines():
        match line[:2], line[2:]:
            case "F:", folder:
                name = ""
            case "R:", name:
                pass
            case "Z:", sum_ if name and sum_.startswith("Q1"):
                if digest := _base64(sum_[2:]):
                    yield f"/{folder}/{name}" if folder else f"/{name}", f"sha1:{digest}"


def _record(tree: str, text: str) -> Iterator[tuple[str, str]]:
    """Lines of CSV: the path from the tree that the wheel was unpacked to, `sha256=BASE64`, the size.

    Nothing where it came from a folder, a file or a repository that somebody named, as packages of one's own do.
    """
    try:
        rows = tuple(csv.reader(text.splitlines()))
    except csv.Error:  # no RECORD that an installer wrote
        return
    if any(row and row[0].endswith(_DIRECT) for row in rows):
        return
    for row in rows:
        match row:
            case [path, digest, *_] if digest.startswith("sha256=") and not {"", ".", ".."} & set(path.split("/")):
                if plain := _base64(digest.removeprefix("sha256=")):
                    yield f"{tree}/{path}", f"sha256:{plain}"
            case _:
                pass


def _base64(text: str) -> str:
    """What it says, in hex; empty where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if set(text) & set("-_") else None).hex()
    except (binascii.Error, ValueError):
        return ""
