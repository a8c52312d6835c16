"""Images, as an engine describes and makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefaults:
    """The parts of an image's config that decide how a container of it runs when nothing else is said."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image as the engine describes it. `size` is in bytes and counts layers shared with other images."""

    id: str
    tags: tuple[str, ...]
    diff_ids: tuple[str, ...]
    config_digest: str
    architecture: str
    os: str
    size: int
    created_at: datetime | None
    labels: Mapping[str, str]
    defaults: ImageDefaults
    declared_volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSummary:
    """What the engine's list says of an image, without looking at each.

    `size` is in bytes and counts shared layers; in containerd's store, where that of `ImageFacts` counts them as they
    are packed, it counts them unpacked too.
    """

    id: str
    tags: tuple[str, ...]
    size: int
    created_at: datetime | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSpec:
    """What a commit's image is called and what its config says."""

    tag: str
    labels: tuple[tuple[str, str], ...]
    defaults: ImageDefaults
    message: str
