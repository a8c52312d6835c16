"""What an agent may do to files, one function each. Runs in containers: Python's own library only.

Arguments are what JSON has: paths, numbers, and the seeds of content. Whatever cannot be done raises OSError.
"""

import ctypes
import mmap
import os
import random
import shutil
import socket
import stat
import struct
from collections.abc import Callable
from typing import IO

import known

MAPS: dict[str, tuple[IO[bytes], mmap.mmap]] = {}
HELD: dict[str, IO[bytes]] = {}
_LIBC = ctypes.CDLL(None, use_errno=True)
_EXCHANGE, _AT_FDCWD = 2, -100  # renameat2(2)
_ACL = {"access": "system.posix_acl_access", "default": "system.posix_acl_default"}


def data(seed: int, size: int) -> bytes:
    """That much content."""
    return random.Random(seed).randbytes(size)


def _open(path: str, mode: str, buffering: int = -1) -> IO[bytes]:
    """Not waiting for who may come to the other end of a FIFO."""
    return open(path, mode, buffering, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK, 0o666))


# --- files ---


def create(path: str, seed: int, size: int) -> None:
    with _open(path, "wb") as file:
        file.write(data(seed, size))


def append(path: str, seed: int, size: int) -> None:
    with _open(path, "ab") as file:
        file.write(data(seed, size))


def save(path: str, seed: int, size: int) -> None:
    """As editors do."""
    create(f"{path}~", seed, size)
    os.rename(f"{path}~", path)


def overwrite(path: str, seed: int) -> None:
    """In place: as long as before, and as old."""
    before = os.stat(path)
    with _open(path, "r+b") as file:
        file.write(data(seed, min(before.st_size, 64)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path: str, size: int) -> None:
    os.truncate(path, size)


def sparse(path: str, seed: int, size: int) -> None:
    with _open(path, "wb") as file:
        file.seek(size // 2)
        file.write(data(seed, 4096))
        file.truncate(size)


def map_write(path: str, seed: int) -> None:
    """Into a mapping that stays, as it was made the first time."""
    if path not in MAPS:
        file = _open(path, "r+b")
        MAPS[path] = (file, mmap.mmap(file.fileno(), 0))
    file, mapped = MAPS[path]
    place = random.Random(seed).randrange(len(mapped))
    if place < os.fstat(file.fileno()).st_size:  # else SIGBUS
        mapped[place] = (mapped[place] + 1) % 256


def map_forget(path: str) -> None:
    for each in MAPS.pop(path):
        each.close()


def held_write(path: str, seed: int, size: int) -> None:
    """Into a file that stays open."""
    if path not in HELD:
        HELD[path] = _open(path, "ab", 0)  # it stays open
    HELD[path].write(data(seed, size))


def revive(path: str) -> None:
    """A file of the base image as it was there."""
    with _open(path, "wb") as file:
        file.write(known.content(path))
    os.chmod(path, 0o644)
    utime(path, known.TIME * 10**9 + known.FRACTION)


# --- names ---


def rename(path: str, other: str) -> None:
    """As mv does: what overlay refuses to rename is copied."""
    try:
        os.rename(path, other)
    except OSError as error:
        if error.errno != 18:  # EXDEV
            raise
        shutil.copytree(path, other, symlinks=True)
        shutil.rmtree(path)


def exchange(path: str, other: str) -> None:
    if _LIBC.renameat2(_AT_FDCWD, os.fsencode(path), _AT_FDCWD, os.fsencode(other), _EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def link(path: str, other: str) -> None:
    os.link(path, other, follow_symlinks=False)


def symlink(path: str, target: str) -> None:
    os.symlink(target, path)


def remove(path: str) -> None:
    """Whatever it is."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def replace(path: str, kind: str) -> None:
    """Something else of that name."""
    remove(path)
    match kind:
        case "mkdir":
            os.mkdir(path)
        case "fifo":
            os.mkfifo(path)
        case "symlink":
            os.symlink("elsewhere", path)
        case "socket":
            unix_socket(path)
        case _:
            create(path, 1, 10)


# --- folders ---


def mkdir(path: str) -> None:
    os.mkdir(path)


def remake(path: str, *names: str) -> None:
    """A folder of that name that has nothing of what was there but new files of some of its names."""
    remove(path)
    os.mkdir(path)
    for name in names:
        create(f"{path}/{name}", 1, 10)


def step_out(path: str, name: str) -> None:
    """A child is moved out, its folder removed and made anew, and the child moved back."""
    aside = f"{known.WORK}/aside"
    rename(f"{path}/{name}", aside)
    remove(path)
    os.mkdir(path)
    rename(aside, f"{path}/{name}")


def many(path: str, count: int) -> None:
    os.mkdir(path)
    for number in range(count):
        create(f"{path}/{number}", number, 5)


def deep(path: str, depth: int) -> None:
    for _ in range(depth):
        os.mkdir(path)
        path += "/d"
    create(path, depth, 5)


# --- facts ---


def chmod(path: str, mode: int) -> None:
    os.chmod(path, mode)


def chown(path: str, uid: int, gid: int) -> None:
    os.lchown(path, uid, gid)


def utime(path: str, ns: int) -> None:
    os.utime(path, ns=(ns, ns), follow_symlinks=False)


def set_xattr(path: str, name: str, seed: int, size: int) -> None:
    os.setxattr(path, f"user.{name}", data(seed, size))


def drop_xattr(path: str, name: str) -> None:
    os.removexattr(path, f"user.{name}")


def acl(path: str, which: str, uid: int) -> None:
    """Two users more than the mode knows (linux/posix_acl_xattr.h)."""
    entries = ((1, 7, -1), (2, 6, uid), (2, 4, uid + 1), (4, 5, -1), (16, 7, -1), (32, 0, -1))
    packed = b"".join(struct.pack("<HHI", tag, perm, who & 0xFFFFFFFF) for tag, perm, who in entries)
    os.setxattr(path, _ACL[which], struct.pack("<I", 2) + packed)


def drop_acl(path: str, which: str) -> None:
    os.removexattr(path, _ACL[which])


def setcap(path: str, bits: int) -> None:
    """File capabilities of version 2 (linux/capability.h)."""
    os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, bits, 0, 0, 0))


# --- what is no file ---


def fifo(path: str) -> None:
    os.mkfifo(path)


def unix_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def device(path: str, major: int, minor: int) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(major, minor))


OPERATIONS: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        *(create, append, save, overwrite, truncate, sparse, map_write, map_forget, held_write, revive),
        *(rename, exchange, link, symlink, remove, replace, mkdir, remake, step_out, many, deep),
        *(chmod, chown, utime, set_xattr, drop_xattr, acl, drop_acl, setcap, fifo, unix_socket, device),
    )
}
