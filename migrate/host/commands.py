"""The scripts that run on the far host, a class each: `Piece` is `scripts/piece.sh`, whose first comment says more.

The texts are constant, and files, so that a shell can check them.
"""

import re
from dataclasses import dataclass

from bottle.naming import Identity
from migrate.host.arguments import (
    PIECE_LIMIT,
    CommitTag,
    Count,
    Digest,
    Filler,
    FolderKind,
    ImageId,
    MountPoint,
    Nonce,
    PieceNumber,
    PieceSize,
    StagedFolder,
    StagedWorkspace,
    Verifier,
    VolumeName,
    Workspace,
)
from migrate.host.script import Effect, EngineScript, Input, PlainScript, ScriptStatus
from migrate.model import Codec

MOST_NAMED = 100_000  # layers that a host is asked about at once
_BLOBS = Input(most=1 << 20, line=re.compile(r"[0-9a-f]{64}\n"))
_ID = re.compile(r"sha256:[0-9a-f]{64}\n")
_SUM = re.compile(r"[0-9a-f]{64}  \./[^\n\\]+\n")
_CONTENTS = re.compile(
    r"(?:[0-9a-f]{64}  \./|[a-z] [0-7]+ [0-9]+ [0-9]+ -?[0-9]+\.[0-9]{10} (?:[0-9]+|-) (?:[0-9]+|-) )[^\n]*\n"
)
_UPDATE = re.compile(r"[+-](?:[A-Za-z0-9/._-]|\\0[0-3][0-7]{2})+\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(PlainScript):
    """What this host is and has, one `key=value` a line. Changes nothing."""

    places = True
    effect = Effect.LOOKS
    identity: Identity
    workspace: Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(PlainScript):
    """Has the move called NONCE arrived? If not, it never will: what was staged for it is taken back."""

    places = True
    exits = frozenset({ScriptStatus.STORAGE_FAILED})
    effect = Effect.SETTLES
    identity: Identity
    nonce: Nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Works(PlainScript):
    """What a bottle is that lives here, where WORKSPACE is a folder; else nothing."""

    effect = Effect.LOOKS
    identity: Identity
    workspace: Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(EngineScript):
    """On standard input diff ids of layers, one a line: the images here that have any of them."""

    stdin = Input(most=len(f"sha256:{'0' * 64}\n") * MOST_NAMED, line=_ID)
    exits = frozenset({ScriptStatus.LISTING_FAILED})
    effect = Effect.LOOKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(EngineScript):
    """On standard input ids of images: what the containerd store holds of them."""

    access = ("SUDO", "DOCKER", "ROOT")
    stdin = Input(most=1 << 20, line=_ID)
    effect = Effect.LOOKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink(PlainScript):
    """Take standard input and do nothing with it: how long that takes tells how fast the link is."""

    stdin = Input(most=1 << 20)
    streams = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged(PlainScript):
    """On standard input the blobs that are wanted, one a line: what is staged, `BLOB PIECE SIZE` a line."""

    stdin = _BLOBS
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece(PlainScript):
    """Take one piece of a blob from standard input. It has its name only once it is whole."""

    stdin = Input(most=PIECE_LIMIT)
    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.CAME_SHORT, ScriptStatus.NOT_AS_SENT})
    streams = True
    identity: Identity
    blob: Digest
    number: PieceNumber
    sha256: Digest
    size: PieceSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(PlainScript):
    """On standard input a blob's SHA256 a line: read what is staged once more."""

    stdin = _BLOBS
    exits = frozenset({ScriptStatus.STORAGE_FAILED})
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(EngineScript):
    """On standard input the blobs, in order, whose contents make up the archive: feed it to the engine."""

    stdin = _BLOBS
    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.ENGINE_FAILED})
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag(EngineScript):
    """The image is here already; give it its name."""

    exits = frozenset({ScriptStatus.ENGINE_FAILED})
    image: ImageId
    tag: CommitTag


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect(EngineScript):
    """The image as the engine describes it, after proof that a container can be made of it."""

    exits = frozenset({ScriptStatus.NO_CONTAINER})
    tag: CommitTag
    container: Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Unload(EngineScript):
    """Forget an image that did not prove itself."""

    tag: CommitTag


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract(PlainScript):
    """Unpack a staged tar into the new folder KIND-NONCE of the staging area."""

    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.UNPACKING_FAILED})
    identity: Identity
    blob: Digest
    codec: Codec
    kind: FolderKind
    nonce: Nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed(PlainScript):
    """On standard input what a workspace is to be: begin it with a copy of what was left, and say what differs."""

    places = True
    stdin = Input(most=256 << 20, line=_CONTENTS)
    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.WORKSPACE_IN_THE_WAY, ScriptStatus.NOT_AS_SENT})
    identity: Identity
    nonce: Nonce
    workspace: Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(PlainScript):
    """Bring an unpacked folder up to date by a staged tar of what changed in it."""

    stdin = Input(most=256 << 20, line=_UPDATE)
    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.UNPACKING_FAILED})
    identity: Identity
    blob: Digest
    codec: Codec
    folder: StagedWorkspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify(PlainScript):
    """On standard input `SHA256  ./PATH` a line: is the folder what was sent?"""

    stdin = Input(most=256 << 20, line=_SUM)
    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.NOT_AS_SENT})
    identity: Identity
    folder: StagedFolder
    files: Count
    links: Count
    folders: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(EngineScript):
    """Fill a new volume of this bottle from a staged tar."""

    places = True
    exits = frozenset(
        {
            ScriptStatus.STORAGE_FAILED,
            ScriptStatus.NOT_AS_SENT,
            ScriptStatus.ENGINE_FAILED,
            ScriptStatus.NO_CONTAINER,
            ScriptStatus.UNPACKING_FAILED,
            ScriptStatus.IN_THE_WAY,
        }
    )
    identity: Identity
    blob: Digest
    codec: Codec
    volume: VolumeName
    target: MountPoint
    tag: CommitTag
    container: Filler
    entries: Count
    breaks: Count
    content: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew(EngineScript):
    """Bring a volume that was filled up to date by a staged tar of what changed in it."""

    stdin = Input(most=256 << 20, line=re.compile(f"{_UPDATE.pattern}|{_SUM.pattern}"))
    exits = frozenset(
        {
            ScriptStatus.STORAGE_FAILED,
            ScriptStatus.NOT_AS_SENT,
            ScriptStatus.NO_CONTAINER,
            ScriptStatus.UNPACKING_FAILED,
        }
    )
    identity: Identity
    blob: Digest
    codec: Codec
    volume: VolumeName
    target: MountPoint
    tag: CommitTag
    container: Filler
    files: Count
    links: Count
    folders: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(PlainScript):
    """Put what was staged and checked into place. The last rename makes this host the owner."""

    places = True
    exits = frozenset({ScriptStatus.STORAGE_FAILED, ScriptStatus.IN_THE_WAY, ScriptStatus.WORKSPACE_IN_THE_WAY})
    identity: Identity
    nonce: Nonce
    workspace: Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(EngineScript):
    """A copy is here, brought up to date: the volumes that it had before go, and what a run that was cut had filled."""

    places = True
    exits = frozenset({ScriptStatus.STORAGE_FAILED})
    identity: Identity
    container: Filler


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear(PlainScript):
    """The move is over; staging goes."""

    exits = frozenset({ScriptStatus.STORAGE_FAILED})
    effect = Effect.SETTLES
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(EngineScript):
    """Start the bottle that arrived, through the bottle installed here."""

    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(PlainScript):
    """Find the bottle that is installed here, and have it speak over the standard streams."""

    exits = frozenset({ScriptStatus.NOT_INSTALLED})
    words: tuple[str, ...]

    def values(self) -> tuple[str, ...]:
        """Any number of arguments: options of a command."""
        return self.words
