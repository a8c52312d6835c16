"""What of a bottle travels besides its image, and what does not: carried, named, or left behind knowingly. Pure.

A path means something else to the agent than to this host: its workspace is mounted at `workdir`, and what else it sees
is its image and its volumes, which travel. So what counts as left behind is what is there on this host, outside the
workspace; paths of the system are what every host has of its own.
"""

import posixpath
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bottle.errors import NeedsConsent
from bottle.files.paths import is_inside, is_system
from bottle.launch import container_mounts
from bottle.model import CommitRecord, Metadata, Mount, MountKind, StayKind, Stays
from bottle.naming import Identity
from bottle.plan.copies import named_commits
from bottle.text import shortened

_SHOWN = 20  # of one kind, by name; the others are counted


class Need(Enum):
    """What names something by its path; the value is how it is called."""

    LINK = "link"
    REPOSITORY = "repository"
    COMMON = "common folder"
    OBJECTS = "objects"
    TREE = "work tree"
    SETTING = "setting"
    REMOTE = "remote"
    WORKTREE = "worktree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Something in a workspace that names a path.

    `path` is where it is, relative to the workspace; `text` the path as it is spelt there; `leads` where that is on
    this host, with no links in it, and `exists` whether anything is there. `name` is that of a setting or a remote.
    """

    needs: Need
    path: str
    text: str
    leads: str
    exists: bool
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A linked git worktree whose repository is elsewhere, and knows of it: each names the other.

    `path` is that of its `.git`, relative to the workspace. `admin` is the folder that git keeps for this worktree,
    `common` the repository's. `obstacles` is why it cannot be made a repository of its own, empty where it can;
    `stays` is what of the repository would not go along, `names` what its settings name of what is elsewhere. `size` is
    that of all of its objects, in bytes, those of LFS among them.
    """

    path: str
    admin: str
    common: str
    sha256: bool = False
    size: int = 0
    obstacles: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    names: tuple[Pointer, ...] = ()

    @property
    def line(self) -> str:
        """What is carried, and how."""
        return (
            f"git worktree {_folder_of(self.path)} of {self.common}: as a repository of its own, with its index, all "
            "branches and tags, and the stash"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found in one workspace. `folder` is its path here, with no links in it; `unread` what is not known."""

    folder: str = ""
    pointers: tuple[Pointer, ...] = ()
    worktrees: tuple[Worktree, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def carriable(self) -> tuple[Worktree, ...]:
        """The worktrees that can be made repositories of their own."""
        return tuple(each for each in self.worktrees if not each.obstacles)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideNeeds:
    """The verdict. `left` is what the workspace would lack there: only with consent. `told` is worth a line."""

    carried: tuple[Worktree, ...] = ()
    left: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def weigh(survey: Survey, *, workdir: str, lands: str | None) -> OutsideNeeds:
    """Decide about all that was found. `lands` is where the workspace will be, None where nobody can know."""
    left = [
        f"git repository {each.common}, of which {_folder_of(each.path)} is a worktree: {'; '.join(each.obstacles)}"
        for each in survey.worktrees
        if each.obstacles
    ]
    told = [line for each in survey.carriable for line in each.stays]
    told += [f"not looked at: {line}" for line in survey.unread]
    links: list[str] = []
    for each in survey.pointers:
        inside = is_inside(each.leads, survey.folder)
        if not inside and each.needs is not Need.REMOTE and is_inside(each.text, workdir):
            continue  # the agent's own way of saying it, which holds there too
        if inside:
            if posixpath.isabs(each.text) and lands != survey.folder:
                told.append(f"{_inside(each)}, which is the path of the workspace here; {_MEND[each.needs]}")
        elif each.needs in {Need.REMOTE, Need.WORKTREE}:
            told += [_out(each)] if each.exists else []
        elif each.needs is Need.LINK:
            links += [f"{each.path} -> {each.text}"] if each.exists and not is_system(each.leads) else []
        elif each.exists and not (each.needs is Need.SETTING and is_system(each.leads)):
            left.append(_out(each))
        elif each.needs is not Need.SETTING:
            told.append(f"{_inside(each)}: {each.name or 'there is no such thing on this host'}")
    led_to = [f"what a link leads to: {line}" for line in few(links)]
    return OutsideNeeds(carried=survey.carriable, left=(*few(left), *led_to), told=tuple(few(told)))


_OUT = {
    Need.REPOSITORY: "git repository {text}, which {path} names: {name}",
    Need.COMMON: "git repository {text}, which {path} names",
    Need.OBJECTS: "objects of {text}, which the git repository {path} borrows: "
    "`git repack -a -d` in it copies them, then delete its objects/info/alternates",
    Need.TREE: "work tree {text}, of which {path} is the git repository",
    Need.SETTING: "{text}, which {name} in {path} names",
    Need.REMOTE: "git remote {name} of {path}, {text}, is on this host",
    Need.WORKTREE: "git worktree {text} of {path}: it has its own files here, and its repository there "
    "(there: git worktree prune)",
}
_MEND = {
    **dict.fromkeys(Need, "mend it there"),
    Need.REPOSITORY: "there: git worktree repair",
    Need.WORKTREE: "there: git worktree repair",
}


def _out(pointer: Pointer) -> str:
    return _OUT[pointer.needs].format(path=pointer.path, text=shortened(pointer.text), name=pointer.name)


def _inside(pointer: Pointer) -> str:
    name = f" {pointer.name}" if pointer.needs in {Need.SETTING, Need.REMOTE} else ""
    return f"{pointer.path}: {pointer.needs.value}{name} {shortened(pointer.text)}"


def _folder_of(path: str) -> str:
    return posixpath.dirname(path) or "the workspace itself"


def few(lines: Iterable[str]) -> list[str]:
    """So many of `lines` as are shown, and how many more there are."""
    shown = sorted(lines)
    return shown if len(shown) <= _SHOWN else [*shown[:_SHOWN], f"and {len(shown) - _SHOWN} more"]


def volumes_of(metadata: Metadata) -> tuple[Mount, ...]:
    """The bottle's named volumes, as Docker calls them."""
    return tuple(mount for mount in container_mounts(metadata) if mount.kind is MountKind.VOLUME)


def what_stays(
    metadata: Metadata,
    commits: tuple[CommitRecord, ...],
    own: Path | None,
    outside: OutsideNeeds,
    images: tuple[Stays, ...],
) -> tuple[Stays, ...]:
    """What does not travel. `own` is bottle's home where it lies in the workspace; `images` are of other commits."""
    told = (Stays(kind=StayKind.LINE, name=line) for line in outside.told)
    return (*_staying(metadata, commits, own, images), *told)


def images_that_stay(numbers: Collection[int]) -> tuple[Stays, ...]:
    """The images of the commits with these numbers, which do not travel."""
    return (Stays(kind=StayKind.COMMITS, name=named_commits(numbers)),) if numbers else ()


def restated(stays: Iterable[Stays], numbers: Collection[int]) -> tuple[Stays, ...]:
    """What was said to stay, now that it is known of which other commits the images do."""
    return (*(each for each in stays if each.kind is not StayKind.COMMITS), *images_that_stay(numbers))


def _staying(
    metadata: Metadata, commits: tuple[CommitRecord, ...], own: Path | None, images: tuple[Stays, ...]
) -> Iterator[Stays]:
    agent, mounts = metadata.agent, container_mounts(metadata)
    yield from (Stays(kind=StayKind.SECRET, name=name) for name in agent.secrets)
    for mount in mounts:
        if mount.kind is MountKind.BIND and mount.target != agent.workdir:
            yield Stays(kind=StayKind.FOLDER, name=mount.source, place=mount.target)
    yield from images
    volumes = {target for commit in commits for target in commit.volumes or ()} - {mount.target for mount in mounts}
    yield from (Stays(kind=StayKind.COMMIT_VOLUME, name=target) for target in sorted(volumes))
    if agent.dockerfile is not None:
        yield Stays(kind=StayKind.BUILD_FOLDER, name=str(agent.dockerfile.parent))
    if agent.network not in {"bridge", "none"}:
        yield Stays(kind=StayKind.NETWORK, name=agent.network)
    yield from (Stays(kind=StayKind.PORT, name=port.place) for port in agent.ports)
    if agent.gpus is not None:
        yield Stays(kind=StayKind.GPUS, name=str(agent.gpus))
    if own is not None:
        yield Stays(kind=StayKind.HOME, name=str(own))


def require_consent(left_behind: Collection[str], identity: Identity, left: str) -> None:
    """Refuse to leave behind what a workspace needs. Raises NeedsConsent."""
    if left_behind:
        raise NeedsConsent(
            f"the workspace of {identity} needs what lies outside of it, and would not have it there: "
            + "; ".join(left_behind),
            left=left,
            next_step="put it into the workspace; or, to leave it behind: the same command with --yes",
        )
