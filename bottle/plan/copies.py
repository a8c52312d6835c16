"""Which of a bottle's work would be gone with what is here: decided from what is known to be elsewhere. Pure.

A copy counts where it can be resumed from: a commit whose image reached the other host under its name, or has a name of
somebody else's here, such as a fork's. That another commit's layers hold a commit's own is none: nothing goes back to
it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from bottle.model import Arrived, CommitRecord, ContainerFacts, ImageFacts
from bottle.naming import Identity
from bottle.plan.history import is_frozen_in, nameless_volumes
from bottle.words import counted

_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a deletion would take of a bottle, and what is elsewhere.

    `images` are those that have a tag of the bottle's, and untagged ones that bear its label. `volumes` are by Docker's
    names, that of its requests not among them. `transcript`: there is a snapshot of it. `arrived` is what the other
    host has of a bottle that lives there; None for one that lives here.
    """

    identity: Identity
    commits: tuple[CommitRecord, ...]
    images: tuple[ImageFacts, ...]
    container: ContainerFacts | None
    volumes: tuple[str, ...]
    transcript: bool
    arrived: Arrived | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyCopies:
    """Work that exists nowhere else. False when there is none.

    `commits` are numbers, and `tags` what their images are called. `images` are in no history. `container` is one's
    name whose work is in no commit, `nameless` where it has volumes that go with it, `committed` whether there are
    commits. `entries` counts those of a history whose images are not on this engine.
    """

    commits: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    container: str | None = None
    nameless: tuple[str, ...] = ()
    committed: bool = False
    volumes: tuple[str, ...] = ()
    transcript: bool = False
    entries: int = 0

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """What there is, in words."""
        found = [named_commits(self.commits)] if self.commits else []
        found += [f"image {image}, which is in no history" for image in self.images]
        found += [f"a history of {counted(self.entries, 'commit')}, without images here"] if self.entries else []
        if self.container is not None:
            since = " since its last commit" if self.committed else ""
            inside = f", with {', '.join(self.nameless)} in a volume without a name" if self.nameless else ""
            found.append(f"a container that has run{since}{inside}")
        found += [f"volume {volume}" for volume in self.volumes]
        found += ["a transcript"] if self.transcript else []
        return tuple(found)

    def keeping(self, identity: Identity) -> str:
        """The commands that keep it by hand."""
        saved = (*self.tags, *self.images)
        lines = [f"docker save {' '.join(saved)} | zstd > {identity}-commits.tar.zst"] if saved else []
        if self.container is not None:
            lines.append(f"docker export {self.container} | zstd > {identity}-container.tar.zst")
            lines += [f"docker cp -a {self.container}:{target} DIR" for target in self.nameless]
        lines += [
            f"docker run --rm -v {volume}:/volume:ro busybox tar -C /volume -cf - . > {volume}.tar"
            for volume in self.volumes
        ]
        return "; ".join(lines)


def only_copies(held: Holdings) -> OnlyCopies:
    """What of it exists nowhere else."""
    there = held.arrived
    arrived = tuple(each for each in held.commits if there is not None and each.number in there.commits)
    doomed = [image for image in held.images if all(map(held.identity.has_tag, image.tags))]
    standing = tuple(each for each in held.commits if not each.expired)
    present = tuple(each for each in standing if any(is_image_of(image, each) for image in held.images))
    lost = {each.number: each for image in doomed for each in _lost_commits(held, image, arrived)}
    container = _working(held.container, (*arrived, *present))
    return OnlyCopies(
        commits=tuple(sorted(lost)),
        tags=tuple(dict.fromkeys(_called(doomed, lost[number]) for number in sorted(lost))),
        images=tuple(sorted(_name(image) for image in doomed if _is_strange(held, image))),
        container=container.name if container is not None else None,
        nameless=nameless_volumes(container) if container is not None else (),
        committed=bool(held.commits),
        volumes=_lost_volumes(held, arrived),
        transcript=held.transcript and there is None,
        entries=len(standing) if there is None and not doomed and not present else 0,
    )


def _lost_commits(held: Holdings, image: ImageFacts, arrived: tuple[CommitRecord, ...]) -> tuple[CommitRecord, ...]:
    """The commits that are gone with an image: none where it arrived elsewhere, or the agent's `keep` gave it up."""
    of = tuple(each for each in held.commits if is_image_of(image, each))
    of = tuple(each for each in of if each.tag in image.tags) or of
    safe = any(is_image_of(image, each) for each in arrived) or all(each.expired for each in of)
    return () if safe else of


def _is_strange(held: Holdings, image: ImageFacts) -> bool:
    """Whether an image may be work that no history knows: builds are none, they are made again."""
    called = any(tag.startswith(f"{held.identity.committed_repository}:") for tag in image.tags)
    return (called or not image.tags) and not any(is_image_of(image, each) for each in held.commits)


def _called(images: Collection[ImageFacts], commit: CommitRecord) -> str:
    """What `docker save` takes for a commit."""
    found = [image for image in images if is_image_of(image, commit)]
    return commit.tag if any(commit.tag in image.tags for image in found) else _name(found[0])


def _name(image: ImageFacts) -> str:
    return image.tags[0] if image.tags else image.id


def is_image_of(image: ImageFacts, commit: CommitRecord) -> bool:
    """Whether it is the very image of a commit, whatever it is called."""
    return (image.diff_ids, image.config_digest) == (commit.diff_ids, commit.config_digest)


def _working(container: ContainerFacts | None, safe: tuple[CommitRecord, ...]) -> ContainerFacts | None:
    """The container, if it did something that no commit holds which is safe for its own part."""
    if container is None or not container.ever_ran:
        return None
    return None if is_frozen_in(container, safe) and not nameless_volumes(container) else container


def _lost_volumes(held: Holdings, arrived: tuple[CommitRecord, ...]) -> tuple[str, ...]:
    container = held.container
    if held.arrived is None:
        return held.volumes  # whatever this container did, one before it may have written to them
    if container is not None and container.ever_ran and not is_frozen_in(container, arrived):
        return held.volumes  # it ran since, and may have written to them
    return tuple(volume for volume in held.volumes if volume not in held.arrived.volumes)


def named_commits(numbers: Collection[int]) -> str:
    """`commit 1`, or `commits 1, 2 and 5`."""
    shown = [str(number) for number in sorted(numbers)]
    if len(shown) > _SHOWN:
        shown = [*shown[: _SHOWN - 1], f"{len(shown) - _SHOWN + 1} more"]
    *most, last = shown
    return f"commits {', '.join(most)} and {last}" if most else f"commit {last}"
