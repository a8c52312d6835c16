"""Files and folders that are either the old ones or the new ones, whole, whatever dies in between."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bottle.errors import StateDamaged
from bottle.files import tree


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path`: temporary name, fsync, rename, fsync of the folder. Raises StateDamaged."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with writing(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Delete a file, durably; gone already is fine."""
    with writing(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_tree(new: Path, target: Path) -> None:
    """Put folder `new` in the place of `target`, on the same filesystem.

    A kill in between leaves `<target>.old`, which `recover_tree` puts back.
    """
    old = target.with_name(f"{target.name}.old")
    with writing(target):
        recover_tree(target)
        tree.sync(new)
        if target.exists():
            target.rename(old)
        new.rename(target)
        sync_folder(target.parent)
        tree.discard(old)


def standing_tree(target: Path) -> Path:
    """Where the tree is that `replace_tree` keeps at `target`, for who may only read: a writer may be at it now."""
    old = target.with_name(f"{target.name}.old")
    return old if old.exists() and not target.exists() else target


def recover_tree(target: Path) -> None:
    """Finish or undo a `replace_tree` that was killed."""
    old = target.with_name(f"{target.name}.old")
    if not old.exists():
        return
    if target.exists():
        tree.discard(old)
    else:
        old.rename(target)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of what the operating system does not let us do that it was to write `path`. Raises StateDamaged."""
    try:
        yield
    except OSError as exc:
        raise cannot_write(path, exc) from exc


def cannot_write(path: Path, cause: OSError) -> StateDamaged:
    """The error for a file or folder that the operating system does not let us write."""
    return StateDamaged(
        f"cannot write {path}: {cause.strerror or cause}",
        left="what was there before is unchanged",
        next_step=f"df -h {path.parent}; ls -ld {path.parent}",
    )
