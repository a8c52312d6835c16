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
from bottle.model import MOST_COMMITS
from bottle.naming import Identity
from bottle.store.form import Form
from bottle.store.forms import Forms
from bottle.store.values import InvalidValue, between, text
from migrate.model import Codec

MANIFEST = "bottle-bundle.json"
SEAL = "bottle-bundle.sha256"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
MAX_MANIFEST = 8 << 20

_MAX_LAYERS = 512
_MAX_VOLUMES = 256
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9_]{1,32}")

_ENDINGS = {Codec.ZSTD: ".zst", Codec.GZIP: ".gz", Codec.NONE: ""}
_NEXT = "export it again where it came from, or fetch the file again"
LEFT = "nothing was changed here"


class MemberKind(Enum):
    """What a member holds. The value is its word in the manifest."""

    CONFIG = "image-config"
    LAYER = "layer"
    VOLUME = "volume"
    WORKSPACE = "workspace"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlace:
    """Which of the agent's volumes a member holds: its name in the manifest `bottle.toml`, and where it is mounted."""

    volume: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMember:
    """One file of the bundle. `size` and `digest` are those of its bytes, `plain_…` those of what they unpack to."""

    name: str
    kind: MemberKind
    codec: Codec
    size: int
    digest: str
    plain_size: int
    plain_digest: str
    place: VolumePlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledCommit:
    """The commit in a bundle. `diff_ids` are its image's layers, base first; one that comes twice is one member."""

    number: int
    tag: str
    config_digest: str
    diff_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest:
    """`bottle-bundle.json`: whose bundle it is, which commit, and every member in the order in which it comes."""

    identity: Identity
    created_at: datetime
    architecture: str
    os: str
    commit: BundledCommit
    members: tuple[BundleMember, ...]

    def of(self, kind: MemberKind) -> tuple[BundleMember, ...]:
        """The members of one kind, in order."""
        return tuple(member for member in self.members if member.kind is kind)

    @property
    def plain_size(self) -> int:
        """Bytes of all that it unpacks to."""
        return sum(member.plain_size for member in self.members)


def member_name(kind: MemberKind, index: int, codec: Codec) -> str:
    """What the member of a kind is called that has `index` others of it in front."""
    ending = ".tar" + _ENDINGS[codec]
    match kind:
        case MemberKind.CONFIG:
            return "image/config.json"
        case MemberKind.LAYER:
            return f"image/layer-{index:03}{ending}"
        case MemberKind.VOLUME:
            return f"volumes/{index:03}{ending}"
        case MemberKind.WORKSPACE | MemberKind.STATE:
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


def bundle_size(manifest: bytes, members: Iterable[BundleMember]) -> int:
    """Bytes of the whole file."""
    sizes = [len(manifest), *(member.size for member in members), len(seal(manifest))]
    return sum(BLOCK + size + len(padding(size)) for size in sizes) + len(END)


def render(manifest: BundleManifest) -> bytes:
    """The manifest as it is written; the same manifest gives the same bytes."""
    return FORMS.dump(manifest)


def parse_manifest(data: bytes) -> BundleManifest:
    """Read a manifest that nobody vouches for. Raises StateTooNew for a newer schema, else VerificationFailed.

    Only what `render` would write again is taken, so there are no unknown keys, and none twice.
    """
    try:
        manifest = FORMS.load(data, Path(MANIFEST), BundleManifest)
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


def _check(manifest: BundleManifest) -> None:
    """Every member is one that belongs there, in its place, under its name; nothing is missing and nothing twice."""
    commit = manifest.commit
    if commit.tag != manifest.identity.committed(commit.number):
        raise ValueError(f"the tag {commit.tag[:80]!r} is none of {manifest.identity}")
    layers = tuple(dict.fromkeys(commit.diff_ids))
    if not layers or len(commit.diff_ids) > _MAX_LAYERS:
        raise ValueError(f"an image of {len(commit.diff_ids)} layers")
    volumes, workspaces = manifest.of(MemberKind.VOLUME), manifest.of(MemberKind.WORKSPACE)
    expected = [MemberKind.CONFIG, *[MemberKind.LAYER] * len(layers), *[MemberKind.VOLUME] * len(volumes)]
    expected += [*[MemberKind.WORKSPACE] * min(1, len(workspaces)), MemberKind.STATE]
    if [member.kind for member in manifest.members] != expected or len(volumes) > _MAX_VOLUMES:
        raise ValueError("its members are not the config, the layers, the volumes, the workspace and the state")
    counts = dict.fromkeys(MemberKind, 0)
    for member in manifest.members:
        name = member_name(member.kind, counts[member.kind], member.codec)
        counts[member.kind] += 1
        if member.name != name:
            raise ValueError(f"a member called {member.name[:80]!r} where {name} belongs")
        if (member.place is not None) != (member.kind is MemberKind.VOLUME):
            raise ValueError(f"{name} is a volume, or says where it is mounted, and not both")
        same = (member.size, member.digest) == (member.plain_size, member.plain_digest)
        if same != (member.codec is Codec.NONE):
            raise ValueError(f"{name} is compressed, or not, and its digests say otherwise")
    if manifest.members[0].codec is not Codec.NONE or manifest.members[0].size > MAX_MANIFEST:
        raise ValueError("the image's config is compressed or too large")
    if tuple(member.plain_digest for member in manifest.of(MemberKind.LAYER)) != layers:
        raise ValueError("the layers are not those of the commit")
    places = [member.place for member in volumes if member.place]
    if len({place.volume for place in places}) < len(places) or len({place.target for place in places}) < len(places):
        raise ValueError("two volumes have one name or one target")


def _digest(value: object, _: object) -> str:
    if not _DIGEST.fullmatch(text(value)):
        raise InvalidValue("is no digest")
    return text(value)


def _word(value: object, _: object) -> str:
    if not _WORD.fullmatch(text(value)):
        raise ValueError(f"{text(value)[:40]!r} is no architecture and no operating system")
    return text(value)


_SIZE = between(0, 1 << 50)
FORMS = Forms(
    {
        BundleManifest: Form(read={"architecture": _word, "os": _word}, check=_check),
        BundledCommit: Form(read={"number": between(1, MOST_COMMITS), "config_digest": _digest}),
        BundleMember: Form(read={"size": _SIZE, "digest": _digest, "plain_size": _SIZE, "plain_digest": _digest}),
    }
)
