"""A bottle that moved away may be coming back: what another host stages for it here is not to be worked against."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bottle.errors import Locked
from bottle.files import tree
from bottle.files.atomic import writing
from bottle.files.descent import OPEN_FOLDER
from bottle.operations.context import Context
from bottle.plan.garbage import Area
from bottle.store.state import TOMBSTONE, BottleState

PATIENCE = timedelta(days=1)


@contextmanager
def nothing_arriving(context: Context, state: BottleState) -> Iterator[None]:
    """Keep a move that brings the bottle back from going on while the context is open. Raises Locked where one is."""
    if not (state.path / TOMBSTONE).exists():
        yield  # it lives here, and no move brings it
        return
    staging = context.home.path / Area.INCOMING.value / str(state.identity)
    with writing(staging):
        staging.parent.mkdir(mode=0o700, exist_ok=True)
        staging.mkdir(mode=0o700, exist_ok=True)
    with undisturbed(staging):
        if any(staging.iterdir()) and context.now() - touched_at(staging) < PATIENCE:
            raise _arriving(staging)
        try:
            yield
        finally:
            with suppress(OSError):  # something is in it now
                staging.rmdir()
                staging.parent.rmdir()


@contextmanager
def undisturbed(staging: Path) -> Iterator[None]:
    """Hold the lock that the scripts of a move take on its staging area. Raises Locked while one of them works."""
    with writing(staging):
        descriptor = os.open(staging, OPEN_FOLDER)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise _arriving(staging) from exc
        yield
    finally:
        os.close(descriptor)


def touched_at(folder: Path) -> datetime:
    """When something in a folder last changed, as the kernel has noted it: the time that a file shows, anybody sets."""
    newest = 0.0
    with suppress(OSError):
        newest = folder.stat().st_ctime
    for node in tree.walk(folder, lost=tree.ignore_it):
        newest = max(newest, node.facts.st_ctime)
    return datetime.fromtimestamp(min(newest, time.time()), UTC)


def _arriving(staging: Path) -> Locked:
    return Locked(
        f"another host may be sending {staging.name}: {staging} is in use, or was not long ago",
        left="nothing was deleted",
        next_step=f"wait for that move to end; if it was given up: rm -r {staging}, then again",
    )
