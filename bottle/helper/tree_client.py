"""A folder of the engine's that a helper reads for this process."""

import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from bottle.errors import HelperLost, StateDamaged, TreeUnfit
from bottle.helper.deltas import packed, split
from bottle.helper.frames import PIECE, Kind, as_text
from bottle.helper.session import HelperSession, Stream
from bottle.helper.shortfall import shortfall, take
from bottle.trees.delta import FolderDelta
from bottle.trees.index import Folder, read_folders
from bottle.trees.reader import Lost, Member


class Sessions(Protocol):
    """Where a line to a helper is had."""

    def session(self) -> AbstractContextManager[HelperSession]:
        """A line for one call. Raises HelperLost."""


class HelperTree:
    """Implements `bottle.trees.source.TreeReader`. That there is no helper, or no more, is TreeUnfit."""

    way = ", read through a helper container"

    def __init__(self, place: Path, sessions: Sessions) -> None:
        self.place = place
        self._sessions = sessions
        self._given = {"place": as_text(os.fsencode(place))}

    def inode(self) -> int:
        """As `TreeReader.inode`."""
        return int(self._ask("inode"))

    def filesystem(self) -> str | None:
        """As `TreeReader.filesystem`."""
        found = self._ask("filesystem")
        return None if found is None else str(found)

    def sync(self) -> int:
        """As `TreeReader.sync`."""
        return int(self._ask("sync"))

    def folders(self, *, whole: bool = False) -> Iterator[Folder]:
        """As `TreeReader.folders`."""
        with self._session() as session:
            session.begin("folders", {**self._given, "whole": whole})
            with io.BufferedReader(Stream(session), PIECE) as file:
                yield from read_folders(file)
                if file.read(1):
                    raise HelperLost("the helper container tells of folders behind the last one")

    def members(self, deltas: Iterable[FolderDelta], lost: Lost) -> Iterator[Member]:
        """As `TreeReader.members`."""
        parts = packed(deltas)
        with self._session() as session:
            session.begin("members", {**self._given, "lost": shortfall(lost)})
            while True:
                match session.next():
                    case (Kind.WANT, _):
                        session.give(next(parts, b""))
                    case (Kind.MEMBER, data):
                        yield _member(session, data)
                    case (Kind.ANSWER, data):
                        take(lost, json.loads(data))
                        return
                    case _:
                        raise HelperLost("what the helper container answers is no member")

    def _ask(self, call: str) -> Any:
        with self._session() as session:
            return session.ask(call, self._given)

    @contextmanager
    def _session(self) -> Iterator[HelperSession]:
        with _unfit(), self._sessions.session() as session:
            yield session


@contextmanager
def _unfit() -> Iterator[None]:
    """Whatever the helper did not answer, what has changed cannot be told. Raises TreeUnfit."""
    try:
        yield
    except HelperLost as exc:
        raise TreeUnfit(exc.what) from exc
    except StateDamaged as exc:
        raise TreeUnfit(f"what the helper container answers is no index: {exc.what}") from exc


def _member(session: HelperSession, data: bytes) -> Member:
    folder, name, size, first = split(data)
    return Member(folder, name, size, _chunks(session, first, size))


def _chunks(session: HelperSession, first: bytes, size: int) -> Iterator[bytes]:
    """A member's chunks, which are `size` bytes, or the reading fails."""
    data = first
    while True:
        size -= len(data)
        yield data
        if not size:
            return
        with _unfit():
            kind, data = session.next()
        if kind is not Kind.DATA or len(data) > size:
            raise TreeUnfit("what the helper container answers is not the file that it began with")
