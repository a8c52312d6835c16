"""Images of the fake engine, and the archives that `save` and `load` speak.

The archive's forms are Docker's own: https://github.com/moby/docker-image-spec for manifest.json, and the OCI image
layout beside it for the containerd store, as engines from 25 on write it.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import zstandard

from bottle import facts
from bottle.model import ImageFacts, Store
from bottle.testing.tree import Tree, apply_layer

_PIECE = 64 * 1024
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


def digest(data: bytes) -> str:
    """`sha256:` and the SHA-256 of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hexadecimal(name: str) -> str:
    """A digest without its algorithm."""
    return name.removeprefix("sha256:")


@dataclass(frozen=True, kw_only=True)
class FakeImage:
    """An image: layers as uncompressed tars, base first, and its config as Docker spells it."""

    layers: tuple[bytes, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    created: datetime
    architecture: str = "amd64"
    os: str = "linux"
    comment: str = ""
    parent: str = ""

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The layers' digests."""
        return tuple(map(digest, self.layers))

    @property
    def config_json(self) -> bytes:
        """The config blob (OCI image-spec, config.md); its digest is the image's id in a classic store."""
        document = {
            "architecture": self.architecture,
            "os": self.os,
            "created": self.created.isoformat(),
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            "history": [{"comment": self.comment}],
        }
        return json.dumps(document, sort_keys=True).encode()

    @property
    def manifest_json(self) -> bytes:
        """The manifest (OCI image-spec, manifest.md); its digest is the image's id in a containerd store."""
        layer = "application/vnd.oci.image.layer.v1.tar"
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", self.config_json),
            "layers": [_descriptor(layer, each) for each in self.layers],
        }
        return json.dumps(document, sort_keys=True).encode()

    def id(self, store: Store) -> str:
        """The image's id in a store of this kind."""
        return digest(self.config_json if store is Store.CLASSIC else self.manifest_json)

    def tree(self) -> Tree:
        """The filesystem that the layers make."""
        tree: Tree = {}
        for layer in self.layers:
            apply_layer(tree, layer)
        return tree

    def facts(self, store: Store, tags: tuple[str, ...]) -> ImageFacts:
        """What an inspect would say."""
        return facts.image_facts(
            {
                "Id": self.id(store),
                "RepoTags": list(tags),
                "RootFS": {"Layers": list(self.diff_ids)},
                "Architecture": self.architecture,
                "Os": self.os,
                "Size": sum(map(len, self.layers)),
                "Created": self.created.isoformat(),
                "Config": self.config,
            }
        )


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def save_archive(image: FakeImage, tag: str | None, store: Store) -> Iterator[bytes]:
    """The archive of an image, in pieces."""
    tags = [tag] if tag else []
    files: dict[str, bytes] = {}
    if store is Store.CLASSIC:
        config_name = f"{hexadecimal(digest(image.config_json))}.json"
        layer_names = [f"{hexadecimal(each)}/layer.tar" for each in image.diff_ids]
    else:
        config_name = _blob_name(digest(image.config_json))
        layer_names = [_blob_name(each) for each in image.diff_ids]
        manifest = _descriptor("application/vnd.oci.image.manifest.v1+json", image.manifest_json)
        if tag:
            manifest["annotations"] = {"io.containerd.image.name": f"docker.io/library/{tag}"}
        files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
        files[_blob_name(digest(image.manifest_json))] = image.manifest_json
    files |= dict(zip(layer_names, image.layers, strict=True))
    files[config_name] = image.config_json
    files["manifest.json"] = json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": layer_names}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole = buffer.getvalue()
    return (whole[start : start + _PIECE] for start in range(0, len(whole), _PIECE))


def _blob_name(blob: str) -> str:
    return f"blobs/sha256/{hexadecimal(blob)}"


class BadArchive(Exception):
    """An archive is not what `load` can read."""


def load_archive(
    archive: bytes, store: Store, held: Mapping[tuple[str, ...], bytes]
) -> list[tuple[FakeImage, tuple[str, ...]]]:
    """The images in an archive, with their tags. Raises BadArchive.

    `held` has the layers that the engine holds, by their chain: the diff ids from the base up to the layer. A classic
    store takes a layer that the archive leaves out from there, where the whole chain is the same; a containerd store
    does so for a blob that an OCI layout leaves out, in any chain, and for nothing else.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {member.name: _content(tar, member) for member in tar if member.isfile()}
        if store is Store.CONTAINERD and "index.json" in files:
            blobs = {chain[-1]: layer for chain, layer in held.items()}
            return [_from_layout(files, each, blobs) for each in json.loads(files["index.json"])["manifests"]]
        if "manifest.json" not in files:
            raise BadArchive("open manifest.json: no such file or directory")
        known = held if store is Store.CLASSIC else {}
        return [_from_manifest(files, entry, known) for entry in json.loads(files["manifest.json"])]
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise BadArchive(f"invalid archive: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    return content.read() if content else b""


def _from_manifest(
    files: Mapping[str, bytes], entry: Mapping[str, Any], held: Mapping[tuple[str, ...], bytes]
) -> tuple[FakeImage, tuple[str, ...]]:
    config = files[entry["Config"]]
    layers: list[bytes] = []
    chain: tuple[str, ...] = ()
    for diff_id, name in zip(json.loads(config)["rootfs"]["diff_ids"], entry["Layers"], strict=True):
        chain = (*chain, diff_id)
        layers.append(_verified(diff_id, files.get(name, held.get(chain)), f"open {name}: no such file or directory"))
    return _image(config, layers), tuple(entry["RepoTags"] or ())


def _from_layout(
    files: Mapping[str, bytes], descriptor: Mapping[str, Any], blobs: Mapping[str, bytes]
) -> tuple[FakeImage, tuple[str, ...]]:
    manifest = json.loads(files[_blob_name(descriptor["digest"])])
    config = files[_blob_name(manifest["config"]["digest"])]
    layers = [
        _verified(diff_id, files.get(_blob_name(each["digest"]), blobs.get(each["digest"])), "content not found")
        for diff_id, each in zip(json.loads(config)["rootfs"]["diff_ids"], manifest["layers"], strict=True)
    ]
    name = str((descriptor.get("annotations") or {}).get("io.containerd.image.name", ""))
    return _image(config, layers), ((name.removeprefix("docker.io/library/"),) if name else ())


def _verified(diff_id: str, layer: bytes | None, missing: str) -> bytes:
    if layer is None:
        raise BadArchive(missing)
    if layer.startswith(_GZIP):
        layer = gzip.decompress(layer)
    elif layer.startswith(_ZSTD):
        layer = zstandard.ZstdDecompressor().stream_reader(layer).read()
    if digest(layer) != diff_id:
        raise BadArchive(f"invalid diffID: expected {diff_id}, got {digest(layer)}")
    return layer


def _image(config_json: bytes, layers: list[bytes]) -> FakeImage:
    config = json.loads(config_json)
    image = FakeImage(
        layers=tuple(layers),
        config=config["config"],
        created=datetime.fromisoformat(config["created"]),
        architecture=config["architecture"],
        os=config["os"],
        comment=config["history"][-1]["comment"],
    )
    if image.config_json != config_json:
        raise BadArchive("the fake engine reads only what a fake engine wrote")
    return image
