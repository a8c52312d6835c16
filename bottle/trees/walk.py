"""Takes the index of a folder in one walk by descriptors, and makes the filesystem write down first what it holds."""

import ctypes
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from bottle.files.descent import Descent
from bottle.trees.index import FIXED, OPAQUE, SECOND, SOCKETS, Folder

GRAIN = 20_000_000  # nanoseconds by which the clock of the filesystem's times may be behind
_OPAQUE = "trusted.overlay.opaque"
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_SYS_ADMIN = 1 << 21
_FIRST_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO (Linux, include/linux/proc_ns.h)
_MOVED = 3  # walks that may find a folder moved away before the tree counts as one that never stands still

# Those where a page that was written back sets the file's ctime when it is written again through a shared mapping,
# which is what `sync` is for (Linux, include/uapi/linux/magic.h). tmpfs does not.
_FILESYSTEMS = {0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs"}


def shows_marks() -> bool:
    """Whether overlay's marks are shown to this process; to others the kernel says that there are none.

    It takes CAP_SYS_ADMIN in the first user namespace (Linux, fs/xattr.c, xattr_permission).
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return bool(effective & _SYS_ADMIN) and Path("/proc/self/ns/user").stat().st_ino == _FIRST_NAMESPACE


def filesystem(folder: Path) -> str | None:
    """The filesystem that a folder is on, None for one whose change times do not tell of every change."""
    answer = (ctypes.c_long * 32)()
    if _libc().statfs(os.fsencode(folder), answer) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    return _FILESYSTEMS.get(answer[0])


def sync(folder: Path) -> int:
    """Have the whole filesystem of a folder written back; the moment from which changes count as later ones.

    A page that stays dirty in a shared mapping is changed without a trace. Once it is written back it is protected, and
    its next change sets the file's ctime (Linux, mm/page-writeback.c, folio_clear_dirty_for_io).
    """
    moment = time.time_ns() - GRAIN
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc().syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(descriptor)
    return moment


def folders(top: Path, *, whole: bool = False) -> Iterator[Folder]:
    """All folders below `top`, itself first, with what is in them.

    Raises OSError (ESTALE) when a folder is moved away while it is looked at. One that vanishes before that is left
    out, or the same with `whole`.
    """
    with Descent(top, link=False) as descent:
        folder, below = _look(descent.folder, b"")
        yield folder
        ahead, path = [below], b""
        while ahead:
            if not ahead[-1]:
                ahead.pop()
                if ahead:
                    descent.up()
                    path = path.rpartition(b"/")[0]
                continue
            name = ahead[-1].pop()
            try:
                descent.down(os.fsdecode(name))
            except OSError as exc:
                if exc.errno not in _GONE:
                    raise
                if whole:
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), os.fsdecode(name)) from exc
                continue
            path = b"%s/%s" % (path, name) if path else name
            folder, below = _look(descent.folder, path)
            yield folder
            ahead.append(below)


def _look(descriptor: int, path: bytes) -> tuple[Folder, list[bytes]]:
    """One folder, and the names of those in it, the first one last."""
    found, below, newest, total, flags = [], [], 0, 0, _opaque(descriptor)
    pack, fsencode, is_folder, is_socket = FIXED.pack, os.fsencode, stat.S_ISDIR, stat.S_ISSOCK  # it is a hot loop
    with os.scandir(descriptor) as listing:
        for each in listing:
            try:
                facts = each.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            mode, ctime, name = facts.st_mode, facts.st_ctime_ns, fsencode(each.name)
            latest = ctime if ctime % SECOND else ctime + SECOND - 1  # as certain_from has it
            if latest > newest:  # noqa: PLR1730  (`max` costs a twentieth of the walk)
                newest = latest
            size = 0
            if is_folder(mode):
                below.append(name)
            elif is_socket(mode):
                flags |= SOCKETS
            else:
                size = facts.st_size
                total += size // facts.st_nlink if facts.st_nlink > 1 else size
            uid, gid, links = facts.st_uid, facts.st_gid, facts.st_nlink
            fixed = pack(mode, facts.st_ino, size, facts.st_mtime_ns, ctime, uid, gid, links, facts.st_rdev, len(name))
            found.append((name, fixed))
    found.sort()
    below.sort(reverse=True)
    return Folder(path, b"".join([fixed + name for name, fixed in found]), newest, total, flags), below


def _opaque(descriptor: int) -> int:
    try:
        return OPAQUE if os.getxattr(descriptor, _OPAQUE) == b"y" else 0
    except OSError as exc:
        if exc.errno in {errno.ENODATA, errno.ENOTSUP}:
            return 0
        raise


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
