"""What `prune` knows of what is here, and what it may take away of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from bottle.model import ContainerSummary, ImageFacts, VolumeFacts
from bottle.naming import Identity
from bottle.plan.sizes import Chain


class GarbageKind(Enum):
    """What a piece of garbage is."""

    CONTAINER = "container"
    IMAGE = "image"
    VOLUME = "volume"
    FOLDER = "folder"
    BOTTLE = "bottle"


class Area(Enum):
    """Which of our folders something was found in; `LOOSE` are files that were being written when their run died."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"
    DRAFT = "draft"
    DELETED = "deleted"
    WORKSPACES = "workspaces"
    LOOSE = "loose"


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleFacts:
    """What is known of a bottle here. `chains` are the diff ids of all commits in its history.

    `busy`: another run holds its lock. `nonce` is that of a commit in flight. `damaged`: its files cannot be read, and
    of the rest nothing is known. `trial_of_use`: its next resume builds what a trial build has in the cache.
    `only_here` says what of one that moved exists nowhere else. `copied`: it came as a copy, which may be brought up to
    date at any time.
    """

    identity: Identity
    moved_to: str | None = None
    moving: bool = False
    nonce: str | None = None
    busy: bool = False
    alive: bool = False
    damaged: bool = False
    trial_of_use: bool = False
    chains: frozenset[Chain] = frozenset()
    size: int | None = None
    only_here: tuple[str, ...] = ()
    copied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """A folder, or a file, of ours that is no bottle. `touched_at` is when something in it last changed.

    `outside` is what the run that made it left elsewhere; `placed` a workspace that has its place, and no bottle.
    `replaced`: it holds the state folder of a bottle that moved away, which was to give way to what did not arrive.
    `gave_way` is the place of a workspace that was moved aside for it.
    """

    path: Path
    area: Area
    identity: Identity | None
    size: int
    touched_at: datetime
    busy: bool = False
    outside: tuple[Path, ...] = ()
    placed: Path | None = None
    replaced: bool = False
    gave_way: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GarbageFacts:
    """All that decides. Containers, images and volumes are those that have our label; `sizes` are of whole images.

    `parts` are images with no more than the first layers of a commit. `superseded` are volumes that a bottle
    here, a copy, had before it was brought up to date, or would have had. What is younger than `patience` may belong to
    a run that is at it now, here or on another host.
    """

    bottles: Mapping[Identity, BottleFacts]
    folders: tuple[FolderFacts, ...]
    containers: tuple[ContainerSummary, ...]
    images: tuple[ImageFacts, ...]
    volumes: tuple[VolumeFacts, ...]
    sizes: Mapping[Chain, int]
    now: datetime
    patience: timedelta
    parts: tuple[ImageFacts, ...] = ()
    superseded: Mapping[str, Identity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """One thing that may go. `ref` is what it is removed by: a path, an id, a tag, a volume's name, an identity.

    `size` are the bytes that it frees, None where nobody can tell. `consent`: only when the user said so. `only_here`
    names work that exists nowhere else and goes with it. `nobodys`: the bottle that it is called after, which must not
    be known here when it goes. `superseded`: the copy that has another volume in its place.
    """

    kind: GarbageKind
    ref: str
    name: str
    why: str
    size: int | None = None
    consent: bool = False
    only_here: tuple[str, ...] = ()
    nobodys: Identity | None = None
    superseded: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that looks like garbage, and why it stays."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What goes, in this order, and what stays though it was looked at."""

    garbage: tuple[Garbage, ...]
    kept: tuple[Kept, ...]

    @property
    def size(self) -> int:
        """Bytes that are known to be freed."""
        return sum(each.size or 0 for each in self.garbage)

    def agreed(self, *, consent: bool) -> tuple[Garbage, ...]:
        """What goes with or without the user's consent to the rest."""
        return tuple(each for each in self.garbage if consent or not each.consent)
