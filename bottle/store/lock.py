"""One writer per bottle: a file lock that says who holds it and why, and that the kernel frees when the holder dies."""

import errno
import fcntl
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bottle.errors import Locked, NotFound
from bottle.files.atomic import cannot_write, writing
from bottle.files.regular import read_regular

_log = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds that others wait for who said that it will be brief
_INTERVAL = 0.05


@contextmanager
def hold(path: Path, *, subject: str, purpose: str, brief: bool = False) -> Iterator[None]:
    """Hold the lock file at `path`, or raise Locked, naming who holds it.

    Who only looks for a moment says so with `brief`, and others wait for it instead of being turned away.
    The file stays when the lock is released: deleting it would let two writers lock two files of one name. Raises
    NotFound when its folder is gone, StateDamaged when it cannot be opened or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as exc:
        raise _gone(subject) from exc
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise cannot_write(path, OSError(errno.EINVAL, "it is no regular file"))
        _take(descriptor, subject)
        if not _is_at(descriptor, path):
            raise _gone(subject)  # the folder was deleted between opening the file and locking it
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "purpose": purpose,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "brief": brief,
        }
        with writing(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode(), 0)
        if not brief:
            _log.info("%s is locked for `%s`", subject, purpose)
        yield
    finally:
        # Closing it is not enough: what another thread has just forked has it, too, until it executes its program.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def holder(path: Path) -> str | None:
    """Who holds the lock file at `path` right now, in words; None when nobody does, or nobody can tell.

    The lock itself is not touched, as one that is tried would turn away a writer who comes at that moment: the kernel
    lists those that are held, see proc_locks(5).
    """
    try:
        note, inode = read_regular(path), path.stat().st_ino
        held = Path("/proc/locks").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in held.splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
            who = _words(note)
            if who is not None and fields[4] == str(who[1]):
                return who[0]
    return None


def _take(descriptor: int, subject: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            note = os.pread(descriptor, 4096, 0)
            if not _is_brief(note) or time.monotonic() > deadline:
                raise _locked(note, subject) from exc
            time.sleep(_INTERVAL)
        else:
            return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _gone(subject: str) -> NotFound:
    return NotFound(f"{subject} is gone: another run has just deleted it", next_step="bottle list")


def _locked(note: bytes, subject: str) -> Locked:
    who = _words(note)
    by = who[0] if who else "another run"
    wait = f"wait for it to end, or look at it: ps -p {who[1]}" if who else "wait for it to end"
    return Locked(f"{subject} is being worked on by {by}", left="nothing was changed", next_step=wait)


def _is_brief(note: bytes) -> bool:
    """Whether the holder said so; a note that is half written is of one who has just come."""
    try:
        return bool(json.loads(note)["brief"])
    except (ValueError, KeyError, TypeError):
        return False


def _words(note: bytes) -> tuple[str, int] | None:
    """What a lock file says of its holder, and the holder's process."""
    try:
        who = json.loads(note)
        return f"`{who['purpose']}` (process {who['pid']}, since {who['since']})", int(who["pid"])
    except (ValueError, KeyError, TypeError):
        return None
