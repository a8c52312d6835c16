"""The folder that an agent works in: whose it is, whether the agent may write it, and copying it in."""

import os
import posixpath
import stat
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bottle.errors import BottleError, NotFound, UsageError, VerificationFailed
from bottle.files.paths import require_openable
from bottle.files.tree import walk
from bottle.ports import Contents
from bottle.tar.chunks import ChunkReader, reading
from bottle.tar.reader import TarStream

_FIRST_USER = 1000  # the number of the first user, and of its group, on most systems
_MOST_USERS = 1024 * 1024  # bytes of a list of users


def copy_workspace(
    engine: Contents,
    container: str,
    folder: Path,
    workdir: str,
    user: str,
    *,
    spared: Callable[[str], bool] = lambda _: False,
) -> None:
    """Put all of `folder` into `workdir` of a container that does not run, owned by the agent's user.

    Nothing is written to a path in the container that is `spared`.

    Files, folders and links with their modes, untracked and ignored ones too; sockets, fifos and devices are no
    content and stay behind. Raises BottleError when a file cannot be read, PathTooLong for one that Docker cannot open.
    """
    owner = resolve_user(engine, container, user)

    def wanted(path: str) -> bool:
        return not spared(posixpath.normpath(posixpath.join(workdir, path)))

    with tempfile.TemporaryFile() as spool:
        try:
            with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as archive:
                if wanted("."):
                    archive.addfile(_member(".", folder.stat(), owner, tarfile.DIRTYPE))
                    _pack(archive, folder, owner, wanted)
        except OSError as exc:
            raise BottleError(
                f"cannot copy {folder} into the bottle: {exc}", left="nothing was started", next_step=f"ls -la {folder}"
            ) from exc
        spool.seek(0)
        engine.write_archive(container, workdir, spool)


def pack_as(archive: tarfile.TarFile, source: Path, name: str, owner: tuple[int, int] | None) -> None:
    """Put a file, a link or a folder with all in it into a tar as `name`, owned by `owner` or, if None, as it is.

    Of what is called `.` only that which is in it. Sockets, fifos and devices stay behind. Raises OSError, PathTooLong.
    """
    facts = source.lstat()
    if stat.S_ISDIR(facts.st_mode):
        if name != ".":
            archive.addfile(_member(name, facts, owner, tarfile.DIRTYPE))
        _pack(archive, source, owner, lambda _: True, top=name, left="nothing was copied")
    elif stat.S_ISLNK(facts.st_mode):
        archive.addfile(_member(name, facts, owner, tarfile.SYMTYPE, str(source.readlink())))
    else:
        with source.open("rb") as file:
            member = _member(name, facts, owner, tarfile.REGTYPE)
            member.size = facts.st_size
            archive.addfile(member, file)


def _pack(
    archive: tarfile.TarFile,
    folder: Path,
    owner: tuple[int, int] | None,
    wanted: Callable[[str], bool],
    *,
    top: str = ".",
    left: str = "nothing was started",
) -> None:
    """Put what is in a folder into a tar, below `top`."""
    first_names: dict[tuple[int, int], str] = {}
    for node in walk(folder, entered=lambda node: wanted(node.path)):
        if not (node.is_file or node.is_folder or node.is_symlink) or not wanted(node.path):
            continue
        require_openable(node.path, str(folder), left=left)
        name = f"{top}/{node.path}"
        if node.is_folder:
            archive.addfile(_member(name, node.facts, owner, tarfile.DIRTYPE))
        elif node.is_symlink:
            archive.addfile(_member(name, node.facts, owner, tarfile.SYMTYPE, node.target()))
        elif node.identity in first_names:
            archive.addfile(_member(name, node.facts, owner, tarfile.LNKTYPE, first_names[node.identity]))
        else:
            first_names[node.identity] = name
            member = _member(name, node.facts, owner, tarfile.REGTYPE)
            member.size = node.facts.st_size
            with node.open() as file:
                archive.addfile(member, file)


def _member(
    name: str, facts: os.stat_result, owner: tuple[int, int] | None, type_: bytes, link: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mtime = type_, link, facts.st_mtime
    member.mode, (member.uid, member.gid) = stat.S_IMODE(facts.st_mode), owner or (facts.st_uid, facts.st_gid)
    return member


def resolve_user(engine: Contents, container: str, user: str) -> tuple[int, int]:
    """The ids that a USER (`name`, `uid`, each with an optional `:group`) stands for in a container."""
    name, _, group = user.partition(":")
    uid, gid = 0, 0
    if name.isdigit():
        uid = int(name)
    if name and not (name.isdigit() and group):
        for line in _lines(engine, container, "/etc/passwd"):
            fields = line.split(":")
            if len(fields) > 3 and name in {fields[0], fields[2]} and fields[2].isdigit() and fields[3].isdigit():
                uid, gid = int(fields[2]), int(fields[3])
                break
        else:
            if not name.isdigit():
                raise UsageError(f"user {name!r} is not in the image's /etc/passwd", left="nothing was started")
    if group.isdigit():
        return uid, int(group)
    for line in _lines(engine, container, "/etc/group") if group else ():
        fields = line.split(":")
        if len(fields) > 2 and fields[0] == group and fields[2].isdigit():
            return uid, int(fields[2])
    return uid, gid


def user_id(engine: Contents, container: str, user: str) -> int | None:
    """The number of a user in a container, None where it is not known."""
    name = user.partition(":")[0]
    if name.isdigit():
        return int(name)
    try:
        return resolve_user(engine, container, name)[0]
    except BottleError:
        return None


def workspace_owner(mounted: Path | None, engine_owner: int | None = None) -> tuple[int, int]:
    """The user and group that an agent has to be to write what is `mounted`: whoever owns that folder, and be it root.

    `engine_owner` is who runs a rootless engine, and is root in its containers. Where nothing is mounted, it is who
    runs this, or 1000 instead of root: what is copied belongs to the agent, whoever that is.
    """
    if mounted is not None:
        with suppress(OSError):
            facts = mounted.stat()
            return (0, 0) if facts.st_uid == engine_owner else (facts.st_uid, facts.st_gid)
    return (os.getuid(), os.getgid()) if os.getuid() != 0 else (_FIRST_USER, _FIRST_USER)


def may_not_write(
    folder: Path, uid: int | None, cap_add: tuple[str, ...], engine_owner: int | None = None
) -> str | None:
    """Why an agent that runs as user `uid`, None for an unknown one, would fail to write a mounted folder.

    Root without CAP_DAC_OVERRIDE, which is what a bottle's root is, is stopped by permissions like everybody else; and
    nobody else has a capability of those that are added. `engine_owner` is who runs a rootless engine: that user's
    files are root's in its containers, and those of other users of the host are nobody's, so that nothing is known of
    users that it was given besides.
    """
    try:
        facts = folder.stat()
    except OSError:
        return None  # gone, or not to be looked at from here: nothing is known
    owner = facts.st_uid
    if engine_owner is not None:
        if owner != engine_owner:
            return None
        owner = 0
    if uid is None or uid == owner or facts.st_mode & stat.S_IWOTH or (uid == 0 and "DAC_OVERRIDE" in cap_add):
        return None
    changed = f"chown -R {uid} {folder}" if engine_owner is None and owner == 0 else f'user = "{owner}"'
    remedies = ["--copy-cwd", changed]
    if uid == 0:
        remedies.append('cap_add = ["DAC_OVERRIDE"]')
    return (
        f"the agent runs as user {uid} and {folder} belongs to user {owner}, so it may be unable to write "
        f"there; use {' or '.join(remedies)}"
    )


def _lines(engine: Contents, container: str, path: str) -> list[str]:
    try:
        with reading(engine.read_archive(container, path)) as chunks:
            tar = TarStream(chunks)
            next(tar.members(), None)
            content = ChunkReader(tar.data()).read(_MOST_USERS)
    except (NotFound, VerificationFailed):
        return []
    return content.decode("utf-8", "replace").splitlines()


def require_folder(folder: Path) -> Path:
    """The folder, absolute. Raises UsageError when it is none, or cannot be entered."""
    folder = folder.absolute()
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError(f"{folder} is no folder that can be read", next_step=f"ls -ld {folder}")
    return folder
