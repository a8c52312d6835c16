"""The bundle's format: names, order, manifest and frame of the one file that `export` writes (docs/BUNDLE.md). Pure.

A bundle is a tar of which every byte is laid down: headers follow from names and sizes, the manifest pins each member's
digest, and the last member pins the manifest's.
"""

import hashlib
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from bottle.errors import StateDamaged, StateTooNew, VerificationFailed
from bottle.naming import Identity
from bottle.store import serial
from migrate.model import Codec

MANIFEST = "bottle-bundle.json"
SEAL = "bottle-bundle.sha256"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
MAX_MANIFEST = 8 << 20

_MAX_LAYERS = 512
_MAX_VOLUMES = 256
_MAX_SIZE = 1 << 50
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9_]{1,32}")

_ENDINGS = {Codec.ZSTD: ".zst", Codec.GZIP: ".gz", Codec.NONE: ""}
_NEXT = "export it again where it came from, or fetch the file again"
LEFT = "nothing was changed here"


class Kind(Enum):
    """What a member holds. The value is its word in the manifest."""

    CONFIG = "image-config"
    LAYER = "layer"
    VOLUME = "volume"
    WORKSPACE = "workspace"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which of the agent's volumes a member holds: its name in the manifest `bottle.toml`, and where it is mounted."""

    volume: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of the bundle. `size` and `digest` are those of its bytes, `plain_…` those of what they unpack to."""

    name: str
    kind: Kind
    codec: Codec
    size: int
    digest: str
    plain_size: int
    plain_digest: str
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`bottle-bundle.json`: whose bundle it is, which commit, and every member in the order in which it comes.

    `diff_ids` are the image's layers, base first; a layer that comes twice in an image is one member.
    """

    identity: Identity
    created_at: datetime
    architecture: str
    os: str
    number: int
    tag: str
    config_digest: str
    diff_ids: tuple[str, ...]
    members: tuple[Member, ...]

    def of(self, kind: Kind) -> tuple[Member, ...]:
        """The members of one kind, in order."""
        return tuple(member for member in self.members if member.kind is kind)

    @property
    def plain_size(self) -> int:
        """Bytes of all that it unpacks to."""
        return sum(member.plain_size for member in self.members)


def member_name(kind: Kind, index: int, codec: Codec) -> str:
    """What the member of a kind is called that has `index` others of it in front."""
    ending = ".tar" + _ENDINGS[codec]
    match kind:
        case Kind.CONFIG:
            return "image/config.json"
        case Kind.LAYER:
            return f"image/layer-{index:03}{ending}"
        case Kind.VOLUME:
            return f"volumes/{index:03}{ending}"
        case Kind.WORKSPACE | Kind.STATE:
            return f"{kind.value}{ending}"


def header(name: str, size: int) -> bytes:
    """The one block in front of a member. GNU's form: a size of 8 GiB and more is a binary number in it."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """The zeros behind a member."""
    return bytes(-size % BLOCK)


def seal(manifest: bytes) -> bytes:
    """What the last member says, as sha256sum reads it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def size_of(manifest: bytes, members: Iterable[Member]) -> int:
    """Bytes of the whole file."""
    sizes = [len(manifest), *(member.size for member in members), len(seal(manifest))]
    return sum(BLOCK + size + len(padding(size)) for size in sizes) + len(END)


def render(manifest: Manifest) -> bytes:
    """The manifest as it is written; the same manifest gives the same bytes."""
    return serial.dump(
        {
            "identity": str(manifest.identity),
            "created_at": manifest.created_at.isoformat(),
            "architecture": manifest.architecture,
            "os": manifest.os,
            "commit": {
                "number": manifest.number,
                "tag": manifest.tag,
                "config_digest": manifest.config_digest,
                "diff_ids": list(manifest.diff_ids),
            },
            "members": [_member_to_json(member) for member in manifest.members],
        }
    )


def parse(data: bytes) -> Manifest:
    """Read a manifest that nobody vouches for. Raises StateTooNew for a newer schema, else VerificationFailed.

    Only what `render` would write again is taken, so there are no unknown keys, and none twice.
    """
    try:
        manifest = serial.load(data, Path(MANIFEST), _manifest_from_json)
    except StateTooNew:
        raise
    except StateDamaged as exc:
        raise refusal(exc.what) from exc
    if render(manifest) != data:
        raise refusal(f"{MANIFEST} holds something that it should not, or says something twice")
    return manifest


def refusal(what: str) -> VerificationFailed:
    """The error for a bundle that is not what it should be."""
    return VerificationFailed(f"the bundle is refused: {what}", left=LEFT, next_step=_NEXT)


def _manifest_from_json(data: serial.Json) -> Manifest:
    commit = serial.table(data, "commit")
    manifest = Manifest(
        identity=Identity.parse(serial.text(data, "identity")),
        created_at=serial.moment(data, "created_at"),
        architecture=_word(serial.text(data, "architecture")),
        os=_word(serial.text(data, "os")),
        number=serial.commit_number(commit, "number"),
        tag=serial.text(commit, "tag"),
        config_digest=_digest(commit, "config_digest"),
        diff_ids=serial.texts(commit, "diff_ids"),
        members=tuple(map(_member_from_json, _listed(data))),
    )
    if manifest.tag != manifest.identity.committed(manifest.number):
        raise ValueError(f"the tag {manifest.tag[:80]!r} is none of {manifest.identity}")
    _check_members(manifest)
    return manifest


def _listed(data: serial.Json) -> list[serial.Json]:
    members = serial.tables(data, "members")
    if len(members) > _MAX_LAYERS + _MAX_VOLUMES + 3:
        raise ValueError("`members` is a list of too many")
    return members


def _check_members(manifest: Manifest) -> None:
    """Every member is one that belongs there, in its place, under its name; nothing is missing and nothing twice."""
    layers = tuple(dict.fromkeys(manifest.diff_ids))
    if not layers or len(manifest.diff_ids) > _MAX_LAYERS:
        raise ValueError(f"an image of {len(manifest.diff_ids)} layers")
    volumes, workspaces = manifest.of(Kind.VOLUME), manifest.of(Kind.WORKSPACE)
    expected = [Kind.CONFIG, *[Kind.LAYER] * len(layers), *[Kind.VOLUME] * len(volumes)]
    expected += [*[Kind.WORKSPACE] * min(1, len(workspaces)), Kind.STATE]
    if [member.kind for member in manifest.members] != expected or len(volumes) > _MAX_VOLUMES:
        raise ValueError("its members are not the config, the layers, the volumes, the workspace and the state")
    counts = dict.fromkeys(Kind, 0)
    for member in manifest.members:
        name = member_name(member.kind, counts[member.kind], member.codec)
        counts[member.kind] += 1
        if member.name != name:
            raise ValueError(f"a member called {member.name[:80]!r} where {name} belongs")
        if (member.place is not None) != (member.kind is Kind.VOLUME):
            raise ValueError(f"{name} is a volume, or says where it is mounted, and not both")
        same = (member.size, member.digest) == (member.plain_size, member.plain_digest)
        if same != (member.codec is Codec.NONE):
            raise ValueError(f"{name} is compressed, or not, and its digests say otherwise")
    if manifest.members[0].codec is not Codec.NONE or manifest.members[0].size > MAX_MANIFEST:
        raise ValueError("the image's config is compressed or too large")
    if tuple(member.plain_digest for member in manifest.of(Kind.LAYER)) != layers:
        raise ValueError("the layers are not those of the commit")
    places = [member.place for member in volumes if member.place]
    if len({place.volume for place in places}) < len(places) or len({place.target for place in places}) < len(places):
        raise ValueError("two volumes have one name or one target")


def _member_to_json(member: Member) -> serial.Json:
    return {
        "name": member.name,
        "kind": member.kind.value,
        "codec": member.codec.value,
        "size": member.size,
        "digest": member.digest,
        "plain_size": member.plain_size,
        "plain_digest": member.plain_digest,
        "place": member.place and {"volume": member.place.volume, "target": member.place.target},
    }


def _member_from_json(data: serial.Json) -> Member:
    return Member(
        name=serial.text(data, "name"),
        kind=Kind(serial.text(data, "kind")),
        codec=Codec(serial.text(data, "codec")),
        size=_number(data, "size", _MAX_SIZE),
        digest=_digest(data, "digest"),
        plain_size=_number(data, "plain_size", _MAX_SIZE),
        plain_digest=_digest(data, "plain_digest"),
        place=serial.optional(_place, data, "place"),
    )


def _place(data: serial.Json, key: str) -> Place:
    place = serial.table(data, key)
    return Place(volume=serial.text(place, "volume"), target=serial.text(place, "target"))


def _number(data: serial.Json, key: str, most: int) -> int:
    value = serial.number(data, key)
    if not 0 <= value <= most:
        raise ValueError(f"`{key}` is {value}")
    return value


def _digest(data: serial.Json, key: str) -> str:
    value = serial.text(data, key)
    if not _DIGEST.fullmatch(value):
        raise ValueError(f"`{key}` is no digest")
    return value


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no architecture and no operating system")
    return text
