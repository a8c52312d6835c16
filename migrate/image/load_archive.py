"""Composes, without reading a layer, the archive that the destination's `docker load` is fed.

It is two forms in one: an OCI layout, which the containerd store reads, and the `manifest.json` that the classic store
goes by. Layers stay compressed in it. Those that the destination has are left out: the classic store looks for a layer
by its diff id before it looks into the archive, the containerd store by the blob that the OCI manifest names.
(OCI image-spec, image-layout.md and manifest.md; moby, image/tarexport/load.go; containerd, images/archive.)
"""

import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bottle.errors import VerificationFailed
from bottle.layers import KnownBlob
from bottle.model import ImageFacts, Store
from bottle.naming import LABEL_PART
from bottle.ports import Progress
from migrate.model import Blob, Codec
from migrate.tar.compression import digest_of, told

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"(?P<repository>[a-z0-9][a-z0-9_.-]*):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})")
_MEDIA_TYPE = re.compile(r"application/vnd\.(?:oci\.image\.layer|docker\.image\.rootfs)\.[a-z0-9.+-]+")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_FIRST_WITH_ZSTD = 23


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes of the archive that are no layer: headers, padding, documents, the end mark."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Layer:
    """The bytes of a blob, all of them and nothing else."""

    blob: Blob

    @property
    def size(self) -> int:
        """Bytes."""
        return self.blob.size


@dataclass(frozen=True, slots=True)
class Archive:
    """What `docker load` is fed: the parts, one after the other. Literals and layers alternate."""

    parts: tuple[Literal | Layer, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole archive."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image by its documents: the `config`, its layers base first, and what it is called."""

    config: bytes
    diff_ids: tuple[str, ...]
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """An image, its manifest as OCI has it, and its entry in Docker's own; `named` is its tag."""

    image: NamedImage
    named: re.Match[str]
    manifest: bytes
    legacy: Mapping[str, object]


def choose_codec(engine_version: str, store: Store) -> Codec:
    """How layers are compressed inside an archive for this engine.

    The engine unpacks them itself, by its own means, whatever tools its host has: zstd is read by the containerd store,
    and by the classic store since Docker 23; gzip by all of them.
    """
    major = re.match(r"[0-9]{1,4}(?=\.)", engine_version)
    if store is Store.CONTAINERD or (major is not None and int(major[0]) >= _FIRST_WITH_ZSTD):
        return Codec.ZSTD
    return Codec.GZIP


def compose(
    *,
    config: bytes,
    diff_ids: Iterable[str],
    blobs: Mapping[str, Blob],
    tag: str,
    store: Store,
    known: Mapping[str, KnownBlob] | None = None,
) -> Archive:
    """The archive of an image with `config`, whose layers are `diff_ids`, base first, called `tag` and nothing else.

    `blobs` are the layers that travel, by diff id; the destination must have the others. For the containerd store
    `known` says as what, by diff id; the classic store needs no such help. The same arguments give the same bytes.
    Raises VerificationFailed when the containerd store would lack a layer, or an argument is not well formed.
    """
    image = NamedImage(config=config, diff_ids=tuple(diff_ids), tag=tag)
    return _archive((image,), blobs, known or {}, store)


def compose_upon(images: Sequence[NamedImage], *, store: Store, known: Mapping[str, KnownBlob]) -> Archive:
    """The archive of images all of whose layers the destination has, as `known`, as for `compose`. It holds no layer.

    Raises VerificationFailed as `compose`.
    """
    return _archive(images, {}, known, store)


def _archive(
    images: Sequence[NamedImage], blobs: Mapping[str, Blob], known: Mapping[str, KnownBlob], store: Store
) -> Archive:
    described = [_described(image, blobs, known, store) for image in images]
    layers = dict.fromkeys(diff_id for image in images for diff_id in image.diff_ids)
    documents = {digest_of(each): each for one in described for each in (one.manifest, one.image.config)}
    writer = _Writer()
    writer.layers(blobs[diff_id] for diff_id in layers if diff_id in blobs)
    for digest, document in documents.items():
        writer.file(_path(digest), document)
    writer.file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    writer.file("index.json", _index(described))
    writer.file("manifest.json", _json([each.legacy for each in described]))
    return writer.finish()


def first_layers_config(image: ImageFacts, depth: int, nonce: str) -> bytes:
    """The config of an image that has the lowest `depth` layers of `image`, and says by `nonce` what it is good for."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return _json(
        {
            "architecture": image.architecture,
            "os": image.os,
            "created": now,
            "config": {"Labels": {LABEL_PART: nonce}},
            "rootfs": {"type": "layers", "diff_ids": image.diff_ids[:depth]},
            "history": [{"created": now, "created_by": "bottle migrate"}] * depth,
        }
    )


def beginning(blobs: Iterable[Blob]) -> Archive:
    """What an archive begins with whose layers that travel are `blobs`, base first, whatever else `compose` is told."""
    writer = _Writer()
    writer.layers(blobs)
    return writer.begun()


def fed(archive: Archive, read: Callable[[Blob], Iterable[bytes]], progress: Progress) -> Iterator[bytes]:
    """The bytes of an archive for an engine's `load`; `read` gives those of a blob as it stands in the archive."""
    for part in archive.parts:
        yield from told(read(part.blob) if isinstance(part, Layer) else (part.data,), progress)


def _manifest(config: bytes, layers: Sequence[Mapping[str, object]]) -> bytes:
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest_of(config),
        "size": len(config),
    }
    return _json({"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": layers})


def _index(images: Iterable[_Described]) -> bytes:
    manifests = [
        {
            "mediaType": _MANIFEST,
            "digest": digest_of(each.manifest),
            "size": len(each.manifest),
            "annotations": {
                "io.containerd.image.name": f"docker.io/library/{each.named[0]}",
                "org.opencontainers.image.ref.name": each.named["tag"],
            },
        }
        for each in images
    ]
    media_type = "application/vnd.oci.image.index.v1+json"
    return _json({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})


def _described(
    image: NamedImage, blobs: Mapping[str, Blob], known: Mapping[str, KnownBlob], store: Store
) -> _Described:
    named = _TAG.fullmatch(image.tag)
    if named is None:
        raise VerificationFailed(f"{image.tag!r} is no tag of an image that is ours")
    for diff_id in image.diff_ids:
        _check_layer(diff_id, blobs, known, store)
    layers = [_descriptor(diff_id, blobs, known) for diff_id in image.diff_ids]
    paths = [_path(str(layer["digest"])) for layer in layers]
    legacy = {"Config": _path(digest_of(image.config)), "RepoTags": [image.tag], "Layers": paths}
    return _Described(image=image, named=named, manifest=_manifest(image.config, layers), legacy=legacy)


class _Writer:
    """A tar whose layers are not in memory. Times are 0 and owners root, so that the bytes depend on the content."""

    def __init__(self) -> None:
        self._parts: list[Literal | Layer] = []
        self._literal = bytearray()

    def layers(self, blobs: Iterable[Blob]) -> None:
        for name in ("blobs", "blobs/sha256"):
            self._begin(name, 0, kind=tarfile.DIRTYPE, mode=0o755)
        for blob in blobs:
            self._begin(_path(blob.digest), blob.size)
            self._parts += [Literal(bytes(self._literal)), Layer(blob)]
            self._literal.clear()
            self._pad(blob.size)

    def file(self, name: str, data: bytes) -> None:
        self._begin(name, len(data))
        self._literal += data
        self._pad(len(data))

    def begun(self) -> Archive:
        return Archive(tuple(self._parts))

    def finish(self) -> Archive:
        self._literal += bytes(2 * tarfile.BLOCKSIZE)
        return Archive((*self._parts, Literal(bytes(self._literal))))

    def _begin(self, name: str, size: int, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> None:
        header = tarfile.TarInfo(name)
        header.type, header.mode, header.size = kind, mode, size
        # GNU's form: a size of 8 GiB and more is a binary number in the same single block.
        self._literal += header.tobuf(tarfile.GNU_FORMAT)

    def _pad(self, size: int) -> None:
        self._literal += bytes(-size % tarfile.BLOCKSIZE)


def _check_layer(diff_id: str, blobs: Mapping[str, Blob], known: Mapping[str, KnownBlob], store: Store) -> None:
    if not _DIGEST.fullmatch(diff_id):
        raise VerificationFailed(f"{diff_id[:100]!r} is no digest of a layer")
    blob, there = blobs.get(diff_id), known.get(diff_id)
    if blob is not None:
        if blob.diff_id != diff_id or not _DIGEST.fullmatch(blob.digest) or blob.size < 0:
            raise VerificationFailed(f"what is to travel as layer {diff_id} is not that layer")
    elif there is not None:
        if not (_DIGEST.fullmatch(there.digest) and there.size >= 0 and _MEDIA_TYPE.fullmatch(there.media_type)):
            raise VerificationFailed(f"the destination says something of layer {diff_id} that cannot be")
    elif store is Store.CONTAINERD:
        raise VerificationFailed(
            f"the destination's containerd store needs layer {diff_id}, which neither travels nor is known to be there"
        )


def _descriptor(diff_id: str, blobs: Mapping[str, Blob], known: Mapping[str, KnownBlob]) -> dict[str, object]:
    """How the OCI manifest names a layer; one that the classic store has by its diff id goes by that."""
    blob, there = blobs.get(diff_id), known.get(diff_id)
    if blob is not None:
        return {"mediaType": blob.codec.media_type, "digest": blob.digest, "size": blob.size}
    if there is not None:
        return {"mediaType": there.media_type, "digest": there.digest, "size": there.size}
    return {"mediaType": Codec.NONE.media_type, "digest": diff_id, "size": 0}


def _path(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
