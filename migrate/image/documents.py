"""What a source of layers asks of an engine about an image, and reads in the JSON documents that the image has."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from bottle.errors import NotFound, VerificationFailed
from bottle.layers import KnownBlob
from bottle.model import ImageFacts

MAX_DOCUMENT = 8 << 20
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


class ImageFinder(Protocol):
    """The part of an Engine that is needed here."""

    def image(self, ref: str) -> ImageFacts | None:
        """The image, or None."""


def found(engine: ImageFinder, ref: str) -> ImageFacts:
    """The image. Raises NotFound."""
    facts = engine.image(ref)
    if facts is None:
        raise NotFound(f"there is no image {ref}", next_step="docker image ls")
    return facts


def parsed(document: bytes) -> object:
    """The value of a JSON document, None for what is none."""
    try:
        return json.loads(document.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None


def known_blobs(layers: Sequence[object], diff_ids: Sequence[str]) -> Iterator[tuple[str, KnownBlob]]:
    """Each layer's blob by diff id, from as many descriptors of a manifest (OCI image-spec, descriptor.md).

    Whoever asks has seen to it that there are as many of both.
    """
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        match layer:
            case {"digest": str(digest), "size": int(size), "mediaType": str(media_type)}:
                yield diff_id, KnownBlob(digest=digest, size=size, media_type=media_type)
            case _:
                continue


def hex_of(digest: str) -> str:
    """The 64 hex digits of `sha256:<64 hex>`, which is a file's name then. Raises VerificationFailed for all else."""
    match = _SHA256.fullmatch(digest)
    if match is None:
        raise VerificationFailed(f"{digest} is no digest that is known here")
    return match[1]
