"""Which layers the destination has already, and as what: they need not travel.

The classic store looks for a layer by the chain of diff ids below it, so it has one only on top of the same layers. The
containerd store keeps layers as blobs, under digests that depend on how they were compressed; its manifests say which
blob is which layer (OCI image-spec, manifest.md and config.md).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice

from bottle.errors import RemoteError
from bottle.layers import KnownBlob
from bottle.model import Store
from migrate.host.commands import MOST_NAMED, Images, Known
from migrate.host.probe import require_done
from migrate.model import Blob, EngineAccess
from migrate.ports import Shell

_MOST_IMAGES = 8
_DIFF_ID = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersThere:
    """The layers of an image that its destination has. `blobs` says as what, where the store wants to be told."""

    diff_ids: frozenset[str] = frozenset()
    blobs: Mapping[str, KnownBlob] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesThere:
    """The images of a host that have layers which it was asked about: the diff ids of each, base first, by its id."""

    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def worth_naming(*chains: tuple[str, ...]) -> tuple[str, ...]:
    """The layers to ask a host about: those of `chains`, the first ones first where they are too many."""
    return tuple(islice(dict.fromkeys(filter(_DIFF_ID.fullmatch, chain.from_iterable(chains))), MOST_NAMED))


def ask_images(remote: Shell, host: EngineAccess, named: Iterable[str]) -> ImagesThere:
    """Ask a host which images it has that share any of the layers `named`. Raises RemoteError."""
    stdin = "".join(f"{each}\n" for each in named).encode()
    reply = require_done(remote, remote.run(Images().command(host), (stdin,)), "listing images")
    chains = {}
    for line in reply.out.decode("utf-8", "replace").splitlines():
        identifier, _, layers = line.partition(" ")
        match _json(layers):
            case list(each) if all(isinstance(layer, str) for layer in each):
                chains[identifier] = tuple(each)
            case _:
                raise RemoteError(f"{remote.name} describes its images in a way that makes no sense")
    return ImagesThere(chains=chains)


def ask_layers(remote: Shell, host: EngineAccess, images: ImagesThere, diff_ids: tuple[str, ...]) -> LayersThere:
    """Which of `diff_ids` a host has, in the sense of its store. Raises RemoteError."""
    if host.store is Store.CLASSIC:
        return LayersThere(diff_ids=frozenset(diff_ids[: common_prefix(diff_ids, tuple(images.chains.values()))]))
    wanted = set(diff_ids)
    useful = sorted(images.chains, key=lambda each: -len(wanted.intersection(images.chains[each])))[:_MOST_IMAGES]
    useful = [each for each in useful if wanted.intersection(images.chains[each])]
    blobs = {diff_id: blob for diff_id, blob in ask_known(remote, host, useful).items() if diff_id in wanted}
    return LayersThere(diff_ids=frozenset(blobs), blobs=blobs)


def ask_known(remote: Shell, host: EngineAccess, images: Iterable[str]) -> dict[str, KnownBlob]:
    """As which blobs a containerd store holds the layers of `images`, by their diff ids. Raises RemoteError."""
    stdin = "".join(f"{each}\n" for each in images).encode()
    if not stdin:
        return {}
    reply = remote.run(Known().command(host), (stdin,))
    return parse_known(require_done(remote, reply, "reading manifests").out)


def common_prefix(layers: tuple[str, ...], chains: tuple[tuple[str, ...], ...]) -> int:
    """How many of `layers`, from the base up, some chain begins with."""
    best = 0
    for each in chains:
        same = 0
        for ours, theirs in zip(layers, each, strict=False):
            if ours != theirs:
                break
            same += 1
        best = max(best, same)
    return best


def parse_known(output: bytes) -> dict[str, KnownBlob]:
    """The blob of each layer, from the documents that `known.sh` printed; what makes no sense is no knowledge."""
    documents = {}
    for line in output.decode("utf-8", "replace").splitlines():
        digest, _, text = line.partition(" ")
        documents[digest] = _json(text)
    known: dict[str, KnownBlob] = {}
    for document in documents.values():
        match document:
            case {"config": {"digest": str(config)}, "layers": list(layers)}:
                pass
            case _:
                continue
        match documents.get(config):
            case {"rootfs": {"diff_ids": list(diff_ids)}} if len(diff_ids) == len(layers):
                pass
            case _:
                continue
        for diff_id, layer in zip(diff_ids, layers, strict=True):
            match layer:
                case {"digest": str(digest), "size": int(size), "mediaType": str(media_type)}:
                    known[str(diff_id)] = KnownBlob(digest=digest, size=size, media_type=media_type)
                case _:
                    continue
    return known


def as_known(layer: Blob) -> KnownBlob:
    """As which blob a host that was given a layer holds it."""
    return KnownBlob(digest=layer.digest, size=layer.size, media_type=layer.codec.media_type)


def known_to_text(blobs: Mapping[str, KnownBlob]) -> bytes:
    """The inverse of `parse_known`: a config and a manifest of no image, that say what `blobs` does and no more."""
    config = json.dumps({"rootfs": {"diff_ids": list(blobs)}})
    name = f"sha256:{hashlib.sha256(config.encode()).hexdigest()}"
    layers = [{"digest": each.digest, "size": each.size, "mediaType": each.media_type} for each in blobs.values()]
    return f"{name} {config}\nmanifest {json.dumps({'config': {'digest': name}, 'layers': layers})}\n".encode()


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
