"""The snapshot of an agent's transcript: taken out of a container, kept in the state folder, put back into another.

`transcript/files/` holds the contents of regular files under their paths in the container; `transcript/index.json`
says of every file, folder and symlink what it was there. Links are only ever written down, never created here.
"""

import hashlib
import io
import posixpath
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bottle.agent.admission import RESERVED
from bottle.errors import NotFound, StateDamaged, VerificationFailed
from bottle.files import tree
from bottle.files.atomic import recover_tree, replace_tree, standing_tree, write_atomic, writing
from bottle.files.opentree import OpenTree
from bottle.files.regular import read_regular
from bottle.files.unpack import Policy, unpack
from bottle.launch import is_below
from bottle.model import Mount
from bottle.ports import Contents
from bottle.store.form import Form
from bottle.store.forms import Forms
from bottle.store.values import InvalidValue, between, number, text
from bottle.tar.chunks import reading
from bottle.tar.items import Item, ItemReader, ItemType, relative
from bottle.tar.rules import SPECIAL, Limits, Rules
from bottle.text import printable

_LIMITS = Limits(entries=200_000, size=4 * 1024**3)
_FILES_ALONE = Policy(bare=True, hard_links=False)
_TYPES = {each.value: each for each in (ItemType.FILE, ItemType.FOLDER, ItemType.SYMLINK)}
_LINKS = 40  # paths that a transcript may consist of when links are followed: as many as Linux follows


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEntry:
    """A file, folder or symlink of a snapshot, as its index has it; `sha256`, in hex, is a file's.

    `path` is relative, in posix form. `mtime` is in whole seconds, as an engine gives times.
    """

    path: str
    type: ItemType
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    sha256: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptIndex:
    """`transcript/index.json`: every file, folder and link of a snapshot."""

    entries: tuple[TranscriptEntry, ...]


def _target(value: object, _: object) -> str:
    if "\0" in text(value):
        raise InvalidValue("ends in its middle")
    return text(value)


def _type(value: object, _: object) -> ItemType:
    if text(value) not in _TYPES:
        raise InvalidValue(f"is none of {', '.join(_TYPES)}")
    return _TYPES[text(value)]


_ID = between(0, 2**32 - 1)  # of a user or a group
_ENTRY = Form(
    read={
        "path": lambda value, _: relative(text(value)),
        "type": _type,
        "mode": lambda value, _: number(value) & 0o7777,
        "uid": _ID,
        "gid": _ID,
        "size": between(0, _LIMITS.size),
        "target": _target,
    }
)
INDEX = Forms({TranscriptEntry: _ENTRY})


def capture(
    engine: Contents, container: str, paths: tuple[str, ...], folder: Path, *, mounted: Iterable[Mount] = ()
) -> int:
    """Replace the snapshot in `folder` by what is at `paths` in a container; the number of files it has now.

    A path that does not exist there is left out. Where one is a link, what it leads to is taken too, unless that is
    `mounted` and so outlives the container. Raises VerificationFailed or EngineError, leaving the snapshot as it was,
    when the transcript is too large to be believed, is nothing that can be saved or followed, or changes while it is
    read, or when the engine cannot look into the container.
    """
    new = folder.with_name(f"{folder.name}.new")
    files = new / "files"
    with writing(folder):
        recover_tree(folder)
        tree.discard(new)
        new.mkdir(mode=0o700)
        files.mkdir(mode=0o700)
    try:
        entries: list[TranscriptEntry] = []
        elsewhere = (RESERVED, *(mount.target for mount in mounted))
        waiting, done = [*_outermost(paths)], list[str]()
        while waiting:
            done.append(waiting.pop(0))
            found = _take(engine, container, done[-1], files)
            entries += found
            link = next((each.target for each in found if _is_link_at(done[-1], each)), None)
            if link is not None:
                waiting += _leads_to(done[-1], link, (*done, *waiting), elsewhere)
        write_atomic(new / "index.json", INDEX.dump(TranscriptIndex(entries=tuple(entries))))
        replace_tree(new, folder)
    finally:
        tree.discard(new)
    return sum(entry.type is ItemType.FILE for entry in entries)


def _outermost(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The paths that are not below another one, each once."""
    return tuple(
        path
        for path in dict.fromkeys(paths)
        if not any(path != other and path.startswith(other.rstrip("/") + "/") for other in paths)
    )


def _take(engine: Contents, container: str, path: str, files: Path) -> tuple[TranscriptEntry, ...]:
    above = posixpath.dirname(path).lstrip("/")
    rules = Rules(what="an archive", special=SPECIAL, limits=_LIMITS)
    try:
        with reading(engine.read_archive(container, path)) as archive:
            tar = ItemReader(archive, renamed=lambda name: posixpath.join(above, name))
            entries = tuple(map(_noted, unpack(tar, files, rules, _FILES_ALONE)))
    except NotFound as exc:
        _require_readable(engine, container, exc)
        return ()
    if not entries:
        raise VerificationFailed(
            f"the transcript {path} is neither a file nor a folder, but a pipe, a socket or a device",
            left="the last snapshot of the transcript is kept",
            next_step=f"inside the bottle, put a file or a folder in the place of {path}",
        )
    return entries


def _noted(item: Item) -> TranscriptEntry:
    return TranscriptEntry(
        path=item.path,
        type=item.type,
        mode=item.mode,
        uid=item.uid,
        gid=item.gid,
        mtime=item.mtime_ns // 10**9,
        size=item.size,
        sha256=item.sha256,
        target=item.link,
    )


def _is_link_at(path: str, entry: TranscriptEntry) -> bool:
    return entry.type is ItemType.SYMLINK and entry.path == path.lstrip("/")


def _leads_to(path: str, link: str, taken: tuple[str, ...], elsewhere: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be taken besides `taken`, because `path` is a link: the link alone would be an empty transcript.

    Raises VerificationFailed where that holds more than a transcript, or the links do not end.
    """
    target = "/" + posixpath.normpath(posixpath.join(posixpath.dirname(path), link)).lstrip("/")
    if any(is_below(target, each) for each in (*taken, *elsewhere)):
        return ()
    spelt = target.encode("utf-8", "ignore").decode() == target
    if not spelt or len(taken) > _LINKS or any(is_below(each, target) for each in (*taken, *elsewhere)):
        raise VerificationFailed(
            f"the transcript {path} is a link to {printable(target, 80)}, which cannot be saved as a transcript",
            left="the last snapshot of the transcript is kept",
            next_step=f"inside the bottle, put a folder of its own in the place of {path}",
        )
    return (target,)


def _require_readable(engine: Contents, container: str, cause: NotFound) -> None:
    """Tell a path that is not there from a container that cannot be read.

    The engine says "not found" of every path when the source of one of the container's mounts is missing.
    """
    try:
        with reading(engine.read_archive(container, "/")):
            return
    except NotFound:
        raise VerificationFailed(
            f"the engine cannot read files of {container}; a folder that is mounted into it is missing on the host",
            left="the last snapshot of the transcript is kept",
            next_step=f"docker inspect --format '{{{{json .Mounts}}}}' {container}",
        ) from cause


def read_index(folder: Path) -> tuple[TranscriptEntry, ...]:
    """What the snapshot in `folder` holds; nothing when there is none; nothing is changed. Raises StateDamaged."""
    path = standing_tree(folder) / "index.json"
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return ()
    except OSError as exc:
        raise StateDamaged(f"cannot read {path}: {exc.strerror}", next_step=f"ls -l {path}") from exc
    return INDEX.load(data, path, TranscriptIndex).entries


def restore(engine: Contents, container: str, folder: Path, *, spared: Callable[[str], bool] = lambda _: False) -> int:
    """Put the snapshot in `folder` into a container that does not run; the number of files put back.

    Nothing is written to a path in the container that is `spared`. Raises VerificationFailed when a file is not what
    the index says.
    """
    folder = standing_tree(folder)
    entries = tuple(entry for entry in read_index(folder) if not spared(f"/{entry.path}"))
    if not entries:
        return 0
    with _as_tar(entries, folder / "files") as tar:
        engine.write_archive(container, "/", tar)
    return sum(entry.type is ItemType.FILE for entry in entries)


@contextmanager
def _as_tar(entries: tuple[TranscriptEntry, ...], files: Path) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as spool:
        with _opened(files) as below, tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in entries:
                member = tarfile.TarInfo(entry.path)
                member.mode, member.uid, member.gid, member.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
                if entry.type is ItemType.FILE:
                    content = _checked(entry, below, files)
                    member.size = entry.size
                    archive.addfile(member, content)
                    content.close()
                else:
                    member.type = tarfile.DIRTYPE if entry.type is ItemType.FOLDER else tarfile.SYMTYPE
                    member.linkname = entry.target
                    archive.addfile(member)
        spool.seek(0)
        yield spool


def _opened(files: Path) -> OpenTree:
    try:
        return OpenTree(files)
    except OSError as exc:
        raise _damaged(files, f"lacks {files}: {exc.strerror}") from exc


def _checked(entry: TranscriptEntry, below: OpenTree, files: Path) -> BinaryIO:
    try:
        content = below.open(entry.path)
    except OSError as exc:
        raise _damaged(files, f"lacks {entry.path!r}: {exc.strerror}") from exc
    digest = hashlib.sha256()
    while chunk := content.read(1024 * 1024):
        digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        content.close()
        raise _damaged(files, f"was changed: {entry.path!r} is not what its index says")
    content.seek(0, io.SEEK_SET)
    return content


def _damaged(files: Path, how: str) -> VerificationFailed:
    return VerificationFailed(
        f"the transcript's snapshot {how}",
        left="nothing was put back",
        next_step=f"to go on without it: mv {files.parent} {files.parent}.damaged",
    )
