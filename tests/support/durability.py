"""What a power cut would leave: which files had reached the disk when a name was given, and whether the name had."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Ledger:
    """Notes every fsync, and every name that is given by a rename or a link, with what was not on disk by then."""

    root: Path
    synced: set[tuple[int, int, int]] = field(default_factory=set)
    given: list[Path] = field(default_factory=list)
    unsynced: dict[Path, list[Path]] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    def note_fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        self.synced.add(_version(path))
        if path.is_dir():
            self.folders.append(path)

    def note_sync(self) -> None:
        """All there is, as sync(2) does."""
        every = [self.root, *(path for path in self.root.rglob("*") if path.exists())]
        self.synced |= {_version(path) for path in every}
        self.folders += [path.resolve() for path in every if path.is_dir()]

    def note_name(self, source: Path, target: Path) -> None:
        every = [source, *source.rglob("*")] if source.is_dir() else [source]
        late = [each for each in every if not each.is_symlink() and _version(each) not in self.synced]
        self.given.append(target)
        self.unsynced[target] = [each for each in late if each.is_file() or each.is_dir()]

    def require_durable(self, target: Path) -> None:
        """All that has this name now was on disk before it had it, and its folder was synced afterwards."""
        assert target in self.given, f"{target} was not given its name by a rename or a link: {self.given}"
        assert self.unsynced[target] == []
        assert target.parent.resolve() in self.folders


def _version(path: Path) -> tuple[int, int, int]:
    """A file as it is now: written again, it counts as another one."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino, 0 if path.is_dir() else facts.st_mtime_ns


def ledger(root: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger that listens to this process, about what is below `root`."""
    book = Ledger(root)
    fsync = os.fsync

    def note_fsync(descriptor: int) -> None:
        fsync(descriptor)
        book.note_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "sync", book.note_sync)
    for name in ("rename", "replace", "link"):
        _listen(monkeypatch, book, name)
    return book


def _listen(monkeypatch: pytest.MonkeyPatch, book: Ledger, name: str) -> None:
    real = getattr(os, name)

    def noting(source: Any, target: Any, **options: Any) -> None:
        paths = [
            Path(f"/proc/self/fd/{options[key]}").resolve() / path if options.get(key) is not None else Path(path)
            for key, path in (("src_dir_fd", source), ("dst_dir_fd", target))
        ]
        # Before: afterwards the source has gone.
        book.note_name(*paths)
        real(source, target, **options)

    monkeypatch.setattr(os, name, noting)
