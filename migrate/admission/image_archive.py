"""What an archive for `docker load` holds that somebody else made: its image, as values that were checked.

The archive itself is given to nobody. `migrate.image.load_archive` makes another of these values, and the engine is fed
that one.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bottle.errors import VerificationFailed
from bottle.naming import Identity
from bottle.tar.items import ItemReader
from bottle.tar.reader import TarStream
from bottle.tar.rules import admitted
from migrate.admission.arrived_state import KEPT, within
from migrate.admission.image_config import composed, strict
from migrate.admission.tar_rules import LAYER
from migrate.model import Blob
from migrate.tar.compression import Meter, decompress, sniff

_DOCUMENT = 4 << 20
_DOCUMENTS = 32 << 20  # bytes of all of them, which are kept until the manifest says which one is the config
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_FOLDERS = {"blobs", "blobs/sha256"}
_NAMED = {"oci-layout", "index.json", "manifest.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedImage:
    """An image of the arriving bottle. `config` was composed here; `blobs` are the layers that came, by diff id.

    A blob's `path` is but its digest: where its bytes are, the caller knows.
    """

    tag: str
    config: bytes
    diff_ids: tuple[str, ...]
    blobs: Mapping[str, Blob]


def read_image(chunks: Iterable[bytes], identity: Identity, room: int) -> OfferedImage:
    """Read all of an archive that is to give one image of this bottle its name; its form is that of `load_archive`.

    Raises VerificationFailed, or RemoteError when its layers need more than `room` bytes.
    """
    documents: dict[str, bytes] = {}
    left = _DOCUMENTS
    blobs: dict[str, Blob] = {}
    seen: set[str] = set()
    tar = TarStream(chunks, image=True)
    for member in tar.members():
        name = member.name.rstrip("/")
        if name in seen or member.link:
            raise _foreign(f"{name[:80]!r} twice, or as a link")
        seen.add(name)
        blob = _BLOB.fullmatch(name)
        if not member.is_file:
            if name not in _FOLDERS:
                raise _foreign(repr(name[:80]))
        elif name in _NAMED:
            documents[name] = tar.whole(min(_DOCUMENT, left))
            left -= len(documents[name])
        elif blob is None:
            raise _foreign(repr(name[:80]))
        else:
            first = next(data := tar.data(), b"")
            content = chain((first,), data)
            if first.startswith(b"{"):
                documents[name] = _document(content, blob[1], min(_DOCUMENT, left))
                left -= len(documents[name])
            else:
                layer = _layer(content, blob[1], member.size, first, room)
                room -= layer.diff_size
                blobs[layer.diff_id] = layer
    return _image(documents, blobs, identity)


def _document(chunks: Iterable[bytes], digest: str, limit: int) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > limit:
            raise _foreign("a document that is too long, or too many")
    if hashlib.sha256(content).hexdigest() != digest:
        raise _not_its_name(digest)
    return bytes(content)


def _layer(chunks: Iterable[bytes], digest: str, size: int, head: bytes, room: int) -> Blob:
    """A layer, every entry of which was looked at. Its diff id is that of what it unpacks to, whatever anybody says."""
    packed, plain, codec = Meter(), Meter(), sniff(head)
    content = within(decompress(_metered(chunks, packed), codec), room)
    for _ in admitted(ItemReader(_metered(content, plain), layer=True), LAYER):
        pass
    if packed.digest != f"sha256:{digest}":
        raise _not_its_name(digest)
    return Blob(
        diff_id=plain.digest, diff_size=plain.size, digest=packed.digest, size=size, codec=codec, path=Path(digest)
    )


def _image(documents: Mapping[str, bytes], blobs: Mapping[str, Blob], identity: Identity) -> OfferedImage:
    try:
        (said,) = strict(documents["manifest.json"])
        (tag,) = said["RepoTags"]
        ours = re.fullmatch(rf"{re.escape(identity.committed_repository)}:[0-9]{{1,9}}", tag)
        config = documents[said["Config"]]
    except (KeyError, ValueError, TypeError) as exc:
        raise _foreign("documents that make no sense") from exc
    if ours is None:
        raise _foreign("names that are not this bottle's")
    made = composed(config)
    diff_ids = tuple(strict(made)["rootfs"]["diff_ids"])
    if strange := blobs.keys() - set(diff_ids):
        raise _foreign(f"{len(strange)} layers that are not its image's")
    return OfferedImage(tag=tag, config=made, diff_ids=diff_ids, blobs=blobs)


def _metered(chunks: Iterable[bytes], meter: Meter) -> Iterator[bytes]:
    for chunk in chunks:
        meter.update(chunk)
        yield chunk


def _not_its_name(digest: str) -> VerificationFailed:
    return VerificationFailed(f"blob {digest} of an image is something else", left=KEPT)


def _foreign(what: str) -> VerificationFailed:
    return VerificationFailed(f"the archive of the image holds {what}; it is not one that bottle makes", left=KEPT)
