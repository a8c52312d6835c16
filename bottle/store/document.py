"""A JSON document that a bottle's state folder may have: read, written and taken away, the old or the new, whole."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar, overload

from bottle.errors import StateDamaged
from bottle.files.atomic import remove_file, write_atomic
from bottle.files.regular import read_regular
from bottle.store.kept import KEPT

T = TypeVar("T")


class _Folder(Protocol):
    @property
    def path(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class StoredDocument(Generic[T]):
    """The document at `path`, which is there or not."""

    path: Path
    cls: type[T]
    check: Callable[[T], None] | None = None

    def read(self) -> T | None:
        """What it says; None where there is none. Raises StateDamaged, or StateTooNew."""
        data = read_kept(self.path)
        return None if data is None else KEPT.load(data, self.path, self.cls, self.check)

    def write(self, value: T) -> None:
        """Have it say this from now on. Raises StateDamaged."""
        write_atomic(self.path, KEPT.dump(value))

    def clear(self) -> None:
        """Take it away; it may be gone already. Raises StateDamaged."""
        remove_file(self.path)


@dataclass(frozen=True, slots=True)
class Document(Generic[T]):
    """A document in each folder of a class, as its attribute: `tombstone = Document("moved-to.json", Tombstone)`.

    `check` raises ValueError for one that can be read and not be worked with.
    """

    name: str
    cls: type[T]
    check: Callable[[T], None] | None = None

    @overload
    def __get__(self, folder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, folder: _Folder, owner: type) -> StoredDocument[T]: ...
    def __get__(self, folder: _Folder | None, owner: type) -> Self | StoredDocument[T]:
        return self if folder is None else StoredDocument(folder.path / self.name, self.cls, self.check)


def read_kept(path: Path) -> bytes | None:
    """A file of a state folder; None where there is none. Raises StateDamaged."""
    try:
        return read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise StateDamaged(
            f"cannot read {path}: {exc.strerror}", left="nothing was changed", next_step=f"ls -l {path}"
        ) from exc
