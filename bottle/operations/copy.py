"""`cp`: files into a bottle and out of it, as `docker cp` does it, whether it runs or not.

What is put into a stopped container is work that no commit has, and is noted before it is there.
"""

import os
import posixpath
import shlex
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bottle.errors import BottleError, NotFound, UsageError, VerificationFailed
from bottle.files.copyplace import CONTENTS, Landing, Source, landing, means_contents
from bottle.files.unpack import Policy, unpack
from bottle.model import ContainerFacts
from bottle.operations.context import Context
from bottle.operations.images import bare_container
from bottle.operations.settle import settle
from bottle.plan.guards import require_here
from bottle.plan.history import commit_in_force, with_more_in
from bottle.store.state import BottleState
from bottle.tar.chunks import reading
from bottle.tar.items import ItemReader, ItemType
from bottle.tar.reader import Member, TarStream, whole
from bottle.tar.rules import SPECIAL, Limits, Rules
from bottle.workspace import pack_as, resolve_user

_NOTHING = "nothing was copied"
_TYPES = {tarfile.SYMTYPE: ItemType.SYMLINK, tarfile.DIRTYPE: ItemType.FOLDER}  # all else is copied as a file is
_LINKS = 40  # that are followed: as many as Linux follows
_RULES = Rules(what="an archive", special=SPECIAL, limits=Limits(entries=10_000_000))  # the user has asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was copied, and to which path. `commit` is the one that it was read from where there is no container."""

    place: str
    commit: int | None = None


def copy_in(
    context: Context, state: BottleState, source: str, place: str, *, archive: bool = False, follow: bool = False
) -> Copied:
    """Copy a file or a folder of this host to `place` in a bottle, for the agent's user.

    With `archive` it belongs to who it belongs to here; with `follow` a link is what it leads to. Raises UsageError,
    NotFound, Conflict, Locked, MovedAway, PathTooLong or EngineError.
    """
    path = _on_host(source, follow=follow)
    with _receiving(context, state) as container:
        seen = _Looked(context, container.id, place)
        is_folder = path.is_dir() and not path.is_symlink()
        into = landing(
            Source(name=_name(source), is_folder=is_folder, contents=means_contents(source)), seen.path, seen.type
        )
        owner = None if archive else resolve_user(context.engine, container.id, state.metadata().user)
        with tempfile.TemporaryFile() as spool, context.progress.phase(f"copying {source} into {state.identity}"):
            try:
                with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    pack_as(tar, path, into.name, owner)
            except OSError as exc:
                raise BottleError(f"cannot read {source}: {exc}", left=_NOTHING, next_step=f"ls -la {source}") from exc
            spool.seek(0)
            _put(context, state, container, into.folder, spool)
    return Copied(place=into.path)


def unpack_in(context: Context, state: BottleState, tar: BinaryIO, place: str) -> Copied:
    """Unpack a tar into folder `place` of a bottle, with the owners that it names. Raises as `copy_in`."""
    with _receiving(context, state) as container:
        seen = _Looked(context, container.id, place)
        if seen.type is not ItemType.FOLDER:
            raise UsageError(f"{place} is no folder of {state.identity}, and a tar is unpacked into one", left=_NOTHING)
        with context.progress.phase(f"unpacking a tar into {state.identity}"):
            _put(context, state, container, seen.path, tar)
    return Copied(place=seen.path)


def copy_out(
    context: Context, state: BottleState, place: str, target: str, *, archive: bool = False, follow: bool = False
) -> Copied:
    """Copy `place` in a bottle, or in its last commit, to a path of this host; it belongs to who runs this.

    With `archive`, and as root, it belongs to who it belongs to there. Raises UsageError, NotFound, VerificationFailed,
    EngineError or StateDamaged; what was copied before stays.
    """
    with _giving(context, state) as (container, commit):
        seen = _require(_Looked(context, container, place, follow=follow), state)
        into = landing(
            Source(
                name=posixpath.basename(posixpath.normpath(place)),
                is_folder=seen.type is ItemType.FOLDER,
                contents=means_contents(place),
            ),
            target,
            _type_here(target),
        )
        if not Path(into.folder).is_dir():
            raise UsageError(f"{into.folder} is no folder", left=_NOTHING, next_step=f"mkdir -p {into.folder}")
        with (
            context.progress.phase(f"copying {place} out of {state.identity}"),
            reading(context.engine.read_archive(container, seen.packed)) as chunks,
        ):
            try:
                _take(chunks, into, top=posixpath.basename(seen.path), owners=archive and os.geteuid() == 0)
            except VerificationFailed as exc:
                raise VerificationFailed(
                    f"{place} of {state.identity} cannot be copied to {into.path}: {exc.what}",
                    left="what was copied before stays",
                    next_step="choose an empty folder, or look at what is in the way",
                ) from exc
    return Copied(place=into.path, commit=commit)


def pack_out(context: Context, state: BottleState, place: str, *, follow: bool = False) -> Iterator[bytes]:
    """A tar of `place` in a bottle, or in its last commit. Raises as `copy_out`, also where the tar is torn."""
    with _giving(context, state) as (container, _):
        seen = _require(_Looked(context, container, place, follow=follow), state)
        with reading(context.engine.read_archive(container, seen.packed)) as chunks:
            yield from whole(
                chunks, f"{place} of {state.identity}", left="what was written of it is no whole tar",
                next_step="the same command again",
            )  # fmt: skip


class _Looked:
    """What is at a path in a container: its `type`, None for nothing, and where it is, links followed."""

    def __init__(self, context: Context, container: str, place: str, *, follow: bool = True) -> None:
        slash = "/" if place.endswith("/") and place.strip("/") else ""
        self.path = _absolute(place)
        for _ in range(_LINKS):
            member = _first_member(context, container, self.path)
            if member is None or member.type != tarfile.SYMTYPE or not (follow or slash):
                break
            self.path = _absolute(posixpath.join(posixpath.dirname(self.path), member.link))
        else:
            raise UsageError(f"{place} is a link that leads nowhere", left=_NOTHING)
        self.type = _TYPES.get(member.type, ItemType.FILE) if member is not None else None
        if self.type is not ItemType.FOLDER:
            self.path += slash  # which only a folder can be called
        self.packed = self.path if self.path != "/" else "/."  # the root has no name that a tar could begin with


def _absolute(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(f"{path!r} can be asked of no engine: it is no Unicode", left=_NOTHING) from exc
    return "/" + posixpath.normpath(f"/{path}").lstrip("/")


def _first_member(context: Context, container: str, path: str) -> Member | None:
    try:
        with reading(context.engine.read_archive(container, path)) as chunks:
            return next(TarStream(chunks).members(), None)
    except NotFound:
        return None


def _require(seen: _Looked, state: BottleState) -> _Looked:
    if seen.type is None or (seen.path.endswith("/") and seen.type is not ItemType.FOLDER):
        look = shlex.join(["ls", "-la", posixpath.dirname(seen.path.rstrip("/")) or "/"])
        step = f"where it runs: bottle exec {state.identity} -- {look}"
        raise NotFound(f"{state.identity} has no {seen.path}", left=_NOTHING, next_step=step)
    return seen


def _on_host(source: str, *, follow: bool) -> Path:
    path = Path(source)
    try:
        path = path.resolve(strict=True) if follow or means_contents(source) or source.endswith("/") else path
        mode = path.lstat().st_mode
    except (OSError, RuntimeError) as exc:
        raise UsageError(f"there is no {source}, or it cannot be looked at", left=_NOTHING) from exc
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        raise UsageError(f"{source} is neither a file nor a folder", left=_NOTHING)
    return path


def _name(source: str) -> str:
    """What something of this host is called, also where it is spelt as `..`."""
    return posixpath.basename(posixpath.normpath(posixpath.join(Path.cwd(), source)))


def _type_here(path: str) -> ItemType | None:
    if Path(path).is_dir():
        return ItemType.FOLDER
    return ItemType.FILE if Path(path).exists() else None


@contextmanager
def _receiving(context: Context, state: BottleState) -> Iterator[ContainerFacts]:
    """The bottle's container, which something may be put into while the context is open."""
    identity = state.identity
    with state.locked("bottle cp"):
        require_here(identity, state.tombstone.read(), "copy into")
        settle(context, state)
        container = context.container(identity)
        if container is None or not container.ever_ran:
            what = "has no container" if container is None else "has never run"
            raise NotFound(
                f"{identity} {what}, so there is nothing to copy into",
                left=_NOTHING,
                next_step=f"bottle resume -d {identity}, then the same again",
            )
        yield container


def _put(context: Context, state: BottleState, container: ContainerFacts, folder: str, tar: BinaryIO) -> None:
    if not container.status.alive:
        state.write_commits(with_more_in(container, state.commits()))
    context.engine.write_archive(container.id, folder, tar, replace=False)


@contextmanager
def _giving(context: Context, state: BottleState) -> Iterator[tuple[str, int | None]]:
    """A container that has the bottle's files: its own, else one of its last commit, and which that is."""
    container = context.container(state.identity)
    if container is not None:
        yield container.id, None
        return
    commit = commit_in_force(state.commits(), state.committed_image())
    if commit is None or context.engine.image(commit.tag) is None:
        raise NotFound(
            f"{state.identity} has neither a container nor a committed image to copy out of",
            left=_NOTHING,
            next_step=f"bottle resume {state.identity}",
        )
    with bare_container(context, commit.tag) as name:
        yield name, commit.number


def _take(chunks: Iterable[bytes], into: Landing, *, top: str, owners: bool) -> None:
    """Write what a tar has of `top` to its landing. No link that is there, or comes, is followed below that."""
    folder = Path(into.folder)

    def renamed(path: str) -> str:
        rest = path.partition("/")[2] if top else path
        return posixpath.join(into.name, rest) if rest else into.name

    tar = ItemReader(chunks, renamed=renamed)
    for _ in unpack(tar, folder, _RULES, Policy(owners=owners, replace=True), wanted=lambda path: path != CONTENTS):
        pass
