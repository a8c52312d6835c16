"""The folders of the classic store: a layer is put together again of its files and of what tar-split kept of its tar.

Of each layer tar the engine unpacks the files into a folder and keeps all else, headers and padding, in the order in
which it came: lines of JSON, compressed. (moby, layer/filestore.go and image/fs.go; vbatts/tar-split,
tar/storage/entry.go and tar/asm/assemble.go.) Whatever is in there is a guess until the layer's hash is known.
"""

import base64
import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from bottle.errors import VerificationFailed
from bottle.files.opentree import OpenTree
from bottle.layers import ImageDocuments
from bottle.model import ImageFacts
from bottle.ports import Progress
from bottle.tar.chunks import CHUNK
from migrate.image.documents import MAX_DOCUMENT, hex_of, parsed
from migrate.tar.compression import digest_of, told

CONFIGS = "image/overlay2/imagedb/content/sha256"
_LAYERS = "image/overlay2/layerdb/sha256"
_FILES = "overlay2"
# 64 hex digits, or, of what BuildKit made, 25 letters and digits (moby/buildkit, identity/randomid.go).
_CACHE_ID = re.compile(r"[0-9a-z]{1,64}")
_GATHERED = 1 << 18  # bytes of small pieces that are passed on together


class ClassicLayers:
    """The layers and the config of one image, below the engine's root folder. Memory is a chunk, and a line of JSON."""

    def __init__(self, tree: OpenTree, image: ImageFacts) -> None:
        """Raises nothing: `tree`, the engine's root folder, is not looked at yet."""
        self._tree = tree
        self._image = image
        self._chains = dict(zip(reversed(image.diff_ids), reversed(chain_ids(image.diff_ids)), strict=True))

    def layer(self, diff_id: str, progress: Progress) -> Iterator[bytes]:
        """The tar of a layer. Raises OSError, VerificationFailed where it cannot be put together."""
        return told(_gathered(self._pieces(hex_of(self._chains[diff_id]))), progress)

    def documents(self) -> ImageDocuments:
        """The image's config, whose hash is the image's id. Raises OSError, VerificationFailed."""
        with self._tree.open(f"{CONFIGS}/{hex_of(self._image.id)}") as file:
            config = file.read(MAX_DOCUMENT)
        if digest_of(config) != self._image.id:
            raise VerificationFailed(f"the config of image {self._image.id} is not what its name says")
        return ImageDocuments(config=config)

    def _pieces(self, chain: str) -> Iterator[bytes]:
        with self._tree.open(f"{_LAYERS}/{chain}/cache-id") as file:
            cache_id = os.fsdecode(file.read(100))
        if not _CACHE_ID.fullmatch(cache_id):
            raise VerificationFailed(f"layer {chain} is in no folder that an engine names")
        with self._tree.open(f"{_LAYERS}/{chain}/tar-split.json.gz") as file:
            for line in _lines(file):
                match entry := parsed(line):
                    case {"type": 2, "payload": str(payload)}:
                        yield _decoded(payload)
                    case {"type": 1, "size": int(size)} if size > 0:
                        yield from self._content(f"{_FILES}/{cache_id}/diff/{_path(entry)}", size)
                    case {"type": 1 | 2}:
                        pass  # a folder, an empty file, nothing between two of them
                    case _:
                        raise VerificationFailed(f"what is noted of layer {chain} is of no known form")

    def _content(self, path: str, size: int) -> Iterator[bytes]:
        """The first `size` bytes of a file: there is nothing behind them, unless somebody wrote there since."""
        with self._tree.open(path, buffering=0) as file:
            while size and (piece := file.read(min(size, CHUNK))):
                size -= len(piece)
                yield piece
        if size:
            raise VerificationFailed(f"file {path} is too short by {size} bytes")


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """What the engine calls each layer together with those below it (OCI image-spec, config.md)."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(digest_of(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return chains


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a compressed file."""
    try:
        with gzip.GzipFile(fileobj=file) as text:
            while line := text.readline(MAX_DOCUMENT):
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise VerificationFailed(f"what is noted of a layer's tar is damaged: {exc}") from exc


def _decoded(payload: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as exc:
        raise VerificationFailed(f"what is noted of a layer's tar is damaged: {exc}") from exc


def _path(entry: object) -> str:
    """Where below its layer's folder a file is. A name is looked up there however it begins, as the engine does it.

    What is no UTF-8 is in `name_raw`, base64. Raises VerificationFailed for a name that leads out of there.
    """
    match entry:
        case {"name_raw": str(raw)} if raw:
            name = os.fsdecode(_decoded(raw))
        case {"name": str(text)}:
            name = text if text.isascii() else os.fsdecode(text.encode("utf-8", "surrogatepass"))
        case _:
            name = ""
    steps = [step for step in name.split("/") if step not in {"", "."}]
    if not steps or ".." in steps or "\0" in name:
        raise VerificationFailed(f"a layer has a file of the name {name!r}")
    return "/".join(steps)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces`, small ones together: most files are, and a header is 512 bytes."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _GATHERED:
            yield b"".join(held)
            held.clear()
            size = 0
    yield b"".join(held)
