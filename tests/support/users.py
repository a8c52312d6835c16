"""A user without root's rights, whoever runs the tests: root may write into any folder, and so sees no fault there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bottle.files import tree

_NOBODY = 65534
_ROOT = os.geteuid() == 0
# What to put before a command, so that such a user runs it.
AS_USER = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--") if _ROOT else ()


def member_of(group: int) -> tuple[str, ...] | None:
    """What runs this Python's modules as a user who has nothing but a group; None where no such user can run one.

    Whoever runs the tests without root's rights is such a user. A Python in root's own folder is replaced by the
    system's, if that is as new: it finds what this one has installed by PYTHONPATH.
    """
    if not _ROOT:
        return (sys.executable,)
    prefix = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", f"--groups={group}", "--")
    asked = "import os, sys; print(sys.version_info[:2], os.access(os.path.realpath(sys.executable), os.X_OK))"
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run((*prefix, python, "-c", asked), capture_output=True, text=True, check=False, cwd="/")
        if done.stdout.strip() == f"{sys.version_info[:2]} True":
            return (*prefix, python)
    return None


@contextmanager
def as_user() -> Iterator[None]:
    """Be such a user in this process for a while."""
    if not _ROOT:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(_NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextmanager
def users_folder() -> Iterator[Path]:
    """A folder of such a user's, which others can reach; pytest's own are in one that is root's alone."""
    above = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    folder = Path(tempfile.mkdtemp(prefix=f"bottle-tests-{os.getpid()}-", dir=above))
    folder.chmod(0o755)
    if _ROOT:
        os.chown(folder, _NOBODY, _NOBODY)
    try:
        yield folder
    finally:
        tree.discard(folder)


def lock_up(top: Path) -> None:
    """Fill a new folder with folders that their owner may not write, not read or not enter, each in the other."""
    top.mkdir()
    made = []
    for mode in (0o555, 0o333, 0o444, 0o000):
        top = top / f"mode-{mode:o}"
        top.mkdir()
        (top / "file").write_bytes(b"x")
        made.append((top, mode))
    for folder, mode in reversed(made):
        folder.chmod(mode)
