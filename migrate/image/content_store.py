"""The folder of containerd's content store: each blob of an image, as it was pulled, loaded or made, under its digest.

An image's id is the digest of its manifest, or of an index of manifests (OCI image-spec, image-index.md and
manifest.md; containerd, docs/content-flow.md).
"""

import os
from collections.abc import Iterator, Sequence
from itertools import chain

from bottle.errors import VerificationFailed
from bottle.files.opentree import OpenTree
from bottle.layers import ImageDocuments
from bottle.model import ImageFacts
from bottle.ports import Progress
from bottle.tar.chunks import CHUNK
from migrate.image.documents import MAX_DOCUMENT, hex_of, known_blobs, parsed
from migrate.tar.compression import SNIFF, decompress, digest_of, sniff, told

BLOBS = "io.containerd.content.v1.content/blobs/sha256"
_MAX_MANIFESTS = 256  # of all platforms, with what is attested of each


class ContentStore:
    """The layers and the config of one image, below containerd's root folder. Memory is a few chunks."""

    def __init__(self, tree: OpenTree, image: ImageFacts) -> None:
        """Reads the image's documents in `tree`, containerd's root folder. Raises OSError, VerificationFailed."""
        self._tree = tree
        self._image = image
        self._config, self._layers = self._resolved()

    def layer(self, diff_id: str, progress: Progress) -> Iterator[bytes]:
        """The tar of a layer. Raises OSError, VerificationFailed where it cannot be read."""
        match self._layers[self._image.diff_ids.index(diff_id)]:
            case {"digest": str(digest)}:
                packed = told(self._pieces(digest), progress)
                return packed if digest == diff_id else _unpacked(packed)
            case _:
                raise VerificationFailed(f"the manifest of image {self._image.id} names no blob for layer {diff_id}")

    def documents(self) -> ImageDocuments:
        """The image's config; as known what is there of the blobs that its manifest names. Raises OSError."""
        known = dict(known_blobs(self._layers, self._image.diff_ids))
        here = {diff_id: blob for diff_id, blob in known.items() if self._has(blob.digest, blob.size)}
        return ImageDocuments(config=self._config, known=here)

    def _resolved(self) -> tuple[bytes, Sequence[object]]:
        """The config and the layers' descriptors, in the one manifest that leads to the image that the engine means.

        A config says what it is of: so other platforms are passed over, and what is attested of an image.
        """
        for manifest in self._manifests():
            match parsed(manifest):
                case {"config": {"digest": str(digest)}, "layers": list(layers)}:
                    config = self._document(digest)
                    if config and self._is_meant(config) and len(layers) == len(self._image.diff_ids):
                        return config, layers
                case _:
                    continue
        raise VerificationFailed(f"no manifest below {self._image.id} is there that leads to its config")

    def _manifests(self) -> Iterator[bytes]:
        """The manifest, or those that an index names and that are there; an index may be in an index."""
        digests = [self._image.id]
        for digest in digests:
            manifest = self._document(digest)
            yield manifest
            match parsed(manifest):
                case {"manifests": list(below)}:
                    more = [str(each.get("digest")) for each in below if isinstance(each, dict)]
                    digests += [each for each in dict.fromkeys(more) if each not in digests]
                case _:
                    continue
            if len(digests) > _MAX_MANIFESTS:
                raise VerificationFailed(f"{self._image.id} leads to too many manifests")

    def _is_meant(self, config: bytes) -> bool:
        match parsed(config):
            case {"architecture": str(architecture), "os": str(system), "rootfs": {"diff_ids": list(diff_ids)}}:
                image = self._image
                return (architecture, system, tuple(diff_ids)) == (image.architecture, image.os, image.diff_ids)
            case _:
                return False

    def _document(self, digest: str) -> bytes:
        """A blob that is a document, empty where it is not there, as of other platforms. Raises VerificationFailed."""
        try:
            with self._tree.open(f"{BLOBS}/{hex_of(digest)}") as file:
                content = file.read(MAX_DOCUMENT)
        except FileNotFoundError:
            return b""
        if digest_of(content) != digest:
            raise VerificationFailed(f"blob {digest} is not what its name says")
        return content

    def _has(self, digest: str, size: int) -> bool:
        try:
            return os.lstat(hex_of(digest), dir_fd=self._tree.folder(BLOBS)).st_size == size
        except FileNotFoundError:
            return False

    def _pieces(self, digest: str) -> Iterator[bytes]:
        with self._tree.open(f"{BLOBS}/{hex_of(digest)}") as file:
            while piece := file.read(CHUNK):
                yield piece


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The tar in a blob that is compressed, as its first bytes tell, or is none and has another digest nevertheless."""
    head = next(pieces, b"")
    codec = sniff(head[:SNIFF])
    return decompress(chain((head,), pieces), codec)
