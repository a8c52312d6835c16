"""A source of layers: one pass over the engine's save stream, whichever of its four forms that has.

- Docker before 25: `<name>/layer.tar` under names that are no digests, `<digest>.json`, `manifest.json` last.
- Podman: `<digest>.tar`, each layer plain under its diff id, `<digest>.json`, and the above as links to them.
- The classic store from 25 on: an OCI layout, each layer plain under its diff id.
- The containerd store: an OCI layout, layers as the store holds them, compressed ones under another digest.

(moby, image/tarexport/save.go; containers/image, docker/internal/tarfile/writer.go; OCI image-spec, image-layout.md.)
A name in the archive serves to skip what need not be read; which layer something is, its bytes tell who reads them.
"""

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from itertools import chain
from typing import Protocol

from bottle.errors import VerificationFailed
from bottle.layers import ImageDocuments, KnownBlob, LayerStream
from bottle.model import ImageFacts
from bottle.ports import Progress
from bottle.tar.chunks import ChunkReader, reading
from bottle.tar.reader import Member, TarStream
from migrate.image.documents import MAX_DOCUMENT, ImageFinder, found, known_blobs, parsed
from migrate.model import Codec
from migrate.tar.compression import SNIFF, Meter, decompress, digest_of, metered, sniff, told

# What is kept of an archive until its manifest.json says which document is the config.
_MAX_KEPT = 32 << 20

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_LEGACY_CONFIG = re.compile(r"([0-9a-f]{64})\.json")
_PLAIN_LAYER = re.compile(r"([0-9a-f]{64})\.tar")
_LEGACY_LAYER = re.compile(r"([0-9a-f]{64})/layer\.tar")

_CONTAINER_CONFIG = (
    '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
    '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,'
    '"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}'
)


class ImageSaver(ImageFinder, Protocol):
    """The part of an Engine that is needed here."""

    def save(self, ref: str) -> Iterator[bytes]:
        """The engine's archive of an image, as `docker save` writes it."""


class SaveStreamSource:
    """Implements `bottle.layers.LayerSource`. Memory is a few chunks and the archive's JSON documents."""

    def __init__(self, engine: ImageSaver) -> None:
        self._engine = engine

    def image(self, ref: str) -> ImageFacts:
        """As `LayerSource.image`."""
        return found(self._engine, ref)

    def way(self) -> str:
        """As `LayerSource.way`."""
        return "from the engine's archive, as docker save writes it"

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        """As `LayerSource.read`: the archive is read no further than it takes."""
        facts = self.image(ref)
        with reading(self._engine.save(ref)) as stream:
            yield from _Pass(TarStream(told(stream, progress), image=True), facts, wanted).parts()


class _Pass:
    """One pass over one archive: what came so far, and what is still to come."""

    def __init__(self, tar: TarStream, facts: ImageFacts, wanted: Set[str]) -> None:
        self._tar = tar
        self._wanted = wanted
        # Names the config in the classic store and the manifest in the containerd store.
        self._image = facts.id
        self._named = ""
        # The archive's names of layers, as far as they are known; plain blobs need none, being named by diff id.
        self._legacy = legacy_names(facts.diff_ids)
        self._packed: dict[str, str] = {}
        self._known: dict[str, KnownBlob] = {}
        self._diff_ids = facts.diff_ids
        self._documents: dict[str, bytes] = {}
        self._kept = 0
        self._manifest: bytes | None = None

    def parts(self) -> Iterator[LayerStream | ImageDocuments]:
        """The layers, and the documents last, if no layer is lacking."""
        config_is_all = not self._wanted
        for member in self._tar.members():
            if member.is_file:
                yield from self._take(member)
            if config_is_all and (config := self._documents.get(self._named)) is not None:
                yield ImageDocuments(config=config, known=self._known)
                return  # its hash has come down from the image's id: the rest can add nothing
        if not self._wanted:
            yield ImageDocuments(config=self._config(), known=self._known)

    def _take(self, member: Member) -> Iterator[LayerStream]:
        if member.name == "manifest.json":
            if self._manifest is not None:
                raise VerificationFailed("it has two manifests")
            self._manifest = self._tar.whole(MAX_DOCUMENT)
        elif match := _BLOB.fullmatch(member.name):
            yield from self._blob(f"sha256:{match[1]}", member.size)
        elif match := _LEGACY_CONFIG.fullmatch(member.name):
            self._document(f"sha256:{match[1]}", self._tar.whole(MAX_DOCUMENT))
        elif match := _PLAIN_LAYER.fullmatch(member.name):
            if (digest := f"sha256:{match[1]}") in self._wanted:
                yield LayerStream(chunks=self._tar.data(), expected=digest)
        elif (match := _LEGACY_LAYER.fullmatch(member.name)) and self._may_be_wanted(self._legacy.get(match[1])):
            yield LayerStream(chunks=self._tar.data())

    def _may_be_wanted(self, diff_id: str | None) -> bool:
        """Whether to read a layer of which only a guess of its diff id, or nothing, is known."""
        return bool(self._wanted) and (diff_id is None or diff_id in self._wanted)

    def _blob(self, digest: str, size: int) -> Iterator[LayerStream]:
        """A blob of an OCI layout: a layer, plain or compressed, a config or a manifest. Only its bytes tell."""
        if digest in self._wanted:
            yield LayerStream(chunks=self._tar.data(), expected=digest)
            return
        wanted = self._may_be_wanted(self._packed.get(digest))
        if digest in self._diff_ids or (size > MAX_DOCUMENT and not wanted):
            return
        reader = ChunkReader(self._tar.data())
        head = reader.read(SNIFF)
        data = chain((head,), reader)
        codec = sniff(head)
        if codec is not Codec.NONE and wanted:
            yield from self._compressed(digest, codec, data)
        elif head.startswith(b"{") and size <= MAX_DOCUMENT:
            self._document(digest, b"".join(data))

    def _compressed(self, digest: str, codec: Codec, data: Iterable[bytes]) -> Iterator[LayerStream]:
        meter = Meter()
        data = metered(data, meter)
        yield LayerStream(chunks=_until_damage(decompress(data, codec)))
        for _ in data:
            pass
        if meter.digest != digest:
            raise VerificationFailed(f"the bytes of blob {digest} are not those that its name says")

    def _document(self, digest: str, content: bytes) -> None:
        """Keep what may be the config; learn from the image's manifest which compressed blob is which layer."""
        if digest_of(content) != digest:
            raise VerificationFailed(f"the bytes of {digest} are not those that its name says")
        match parsed(content):
            case {"rootfs": dict()}:
                self._kept += len(content)
                if self._kept > _MAX_KEPT:
                    raise VerificationFailed("it has too many configs")
                self._documents[digest] = content
                if digest == self._image:
                    self._named = digest
            case {"config": {"digest": str(config)}, "layers": list(layers)} if digest == self._image:
                self._named = config
                blobs = [layer.get("digest") for layer in layers if isinstance(layer, dict)]
                if len(blobs) == len(self._diff_ids):
                    self._packed = {str(b): i for b, i in zip(blobs, self._diff_ids, strict=True)}
                    self._known = dict(known_blobs(layers, self._diff_ids))
            case _:
                pass

    def _config(self) -> bytes:
        """The config that manifest.json names, which is the one that the image's id leads to, where it leads to one."""
        match None if self._manifest is None else parsed(self._manifest):
            case [{"Config": str(name)}]:
                match = _BLOB.fullmatch(name) or _LEGACY_CONFIG.fullmatch(name)
            case _:
                raise VerificationFailed("it has no manifest.json that names exactly one image")
        digest = f"sha256:{match[1]}" if match else ""
        config = self._documents.get(digest)
        if config is None or (self._named and self._named != digest):
            raise VerificationFailed("the config that its manifest.json names is not in it, or not that of the image")
        return config


def _until_damage(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Not everything that begins like compressed data is: that is damage only if the blob is not what it is called."""
    with suppress(VerificationFailed):
        yield from pieces


def legacy_names(diff_ids: Sequence[str]) -> dict[str, str]:
    """What Docker before 25 calls each layer of an archive but the last, to its diff id.

    The engine hashes a JSON document made of the layer's chain id, its parent's name and constants, for engines before
    1.10 (moby v20.10, image/tarexport/save.go and image/v1/imagev1.go; chain ids: OCI image-spec, config.md). Only the
    last layer's document holds more. The archive says which layer is which at its very end; this says it before, so
    that a base image that nobody wants is skipped and not compressed. A guess about a guess: use it to skip layers,
    for nothing else.
    """
    names: dict[str, str] = {}
    chain = parent = ""
    for diff_id in diff_ids[:-1]:
        chain = f"sha256:{_hash(f'{chain} {diff_id}')}" if chain else diff_id
        document = (
            f'{{"container_config":{_CONTAINER_CONFIG},"created":"1970-01-01T00:00:00Z","layer_id":"{chain}"'
            + (f',"parent":"sha256:{parent}"' if parent else "")
            + "}"
        )
        parent = _hash(document)
        names[parent] = diff_id
    return names


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
