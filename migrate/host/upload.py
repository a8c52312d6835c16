"""Bring blobs into the far staging area in pieces, each acknowledged once it is whole there.

A piece is a file there called `NUMBER-SHA256`, which it becomes only after its bytes have that digest. What is
acknowledged is never sent again: not after a cut, not in the next run, not after a reboot of either side.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bottle.errors import ConnectionLost, RemoteError, VerificationFailed
from bottle.naming import Identity
from bottle.ports import Progress
from bottle.words import size
from migrate.host import commands
from migrate.host.arguments import Digest, PieceNumber, PieceSize
from migrate.host.probe import require_done
from migrate.host.script import Status
from migrate.ports import Remote

T = TypeVar("T")

# A piece costs a far command; two of them may be under way when a line breaks, and are then sent again.
_LEAST, _MOST, _SHARE = 256 * 1024, 8 * 1024**2, 32
_CHUNK = 64 * 1024
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
_ROUNDS = 3
_DAMAGED = {Status.CAME_SHORT, Status.NOT_AS_SENT}
_SIZE = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Bytes to be brought there: a file of this host, or a few bytes in memory. `digest` is sha256, in hex."""

    digest: str
    size: int
    content: Path | bytes

    @classmethod
    def literal(cls, data: bytes) -> "Payload":
        """Payload that is in memory."""
        return cls(digest=hashlib.sha256(data).hexdigest(), size=len(data), content=data)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """`length` bytes from `offset` on, a chunk at a time."""
        if isinstance(self.content, bytes):
            yield self.content[offset : offset + length]
            return
        with self.content.open("rb") as file:
            file.seek(offset)
            while length > 0 and (chunk := file.read(min(_CHUNK, length))):
                length -= len(chunk)
                yield chunk

    def is_whole(self) -> bool:
        """Whether its bytes, read again, have its digest."""
        digest = hashlib.sha256()
        for chunk in self.read(0, self.size):
            digest.update(chunk)
        return digest.hexdigest() == self.digest

    def discard(self) -> None:
        """Delete the file that it is, so that it is made anew; gone already is fine."""
        if isinstance(self.content, Path):
            self.content.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a payload, small enough to be sent again without regret."""

    payload: Payload
    number: int
    offset: int
    size: int

    @property
    def label(self) -> str:
        """Its number in the form that sorts."""
        return str(PieceNumber(self.number))

    def chunks(self) -> Iterator[bytes]:
        """Its bytes."""
        return self.payload.read(self.offset, self.size)

    def sha256(self) -> str:
        """Its digest in hex."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def cut(payload: Payload) -> Iterator[Piece]:
    """The pieces of a payload. Their size follows from the payload's alone, so that the next run cuts alike."""
    size = min(max(payload.size // _SHARE, _LEAST), _MOST)
    for number, offset in enumerate(range(0, max(payload.size, 1), size)):
        yield Piece(payload, number, offset, min(size, payload.size - offset))


class Throttle:
    """Lets bytes pass at no more than `rate` bytes a second, whoever sends them; None lets them all pass."""

    def __init__(self, rate: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._free_at = 0.0
        self._lock = threading.Lock()

    def delay(self, size: int) -> float:
        """How long whoever sends `size` bytes now has to wait first."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            start = max(self._free_at, now)
            self._free_at = start + size / self._rate
            return start - now


class Uploader:
    """Brings payload to one bottle's staging area on one host."""

    def __init__(
        self,
        remote: Remote,
        identity: Identity,
        progress: Progress,
        *,
        jobs: int = 2,
        throttle: Throttle | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._remote = remote
        self._identity = identity
        self._progress = progress
        self._jobs = jobs
        self._throttle = throttle or Throttle(None)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._senders: ThreadPoolExecutor | None = None
        self._sleep = sleep or self._stopping.wait  # whoever stops us wakes us

    def send(self, payload: Sequence[Payload], what: str, *, alone: bool = False) -> None:
        """Bring `payload` there and have the far host check it, whole. `alone`: what else is staged there goes first.

        Raises ConnectionLost when the line stays broken, RemoteError when the far side refuses, VerificationFailed
        when what arrives is damaged again and again. What was acknowledged stays there for the next run.
        """
        if self._senders is not None:
            self._senders.shutdown()  # those that were told to stop have, before others are let go
        self._stopping.clear()
        for _ in range(_ROUNDS):
            self._send_missing(payload, what, alone=alone)
            if not self._damaged(payload):
                return
            self._progress.note(f"{self._remote.name}: damaged pieces were thrown away and are sent again")
        self._require_whole(payload)
        raise VerificationFailed(
            f"what is staged on {self._remote.name} is damaged again and again",
            left="this host still owns the bottle; nothing damaged was loaded there",
            next_step="look at that host's disk and memory, then the same command again",
        )

    def _require_whole(self, payload: Sequence[Payload]) -> None:
        """Throw away what was kept here to be sent and is not what it was. Raises VerificationFailed for it."""
        rotten = [each for each in payload if not each.is_whole()]
        for each in rotten:
            each.discard()
        if rotten:
            raise VerificationFailed(
                "what was kept here to be sent was damaged on this host's disk, and is thrown away",
                left="this host still owns the bottle; nothing damaged was loaded there",
                next_step="look at this host's disk, then the same command again reads it anew",
            )

    def retried(self, attempt: Callable[[], T]) -> T:
        """Make an attempt until the line holds; each break is waited out a little longer."""
        for pause in _PAUSES:
            try:
                return attempt()
            except ConnectionLost as exc:
                if self._stopping.is_set():
                    raise
                self._progress.note(f"{exc.what}; trying again in {pause:g} s")
                self._sleep(pause)
        return attempt()

    def _send_missing(self, payload: Sequence[Payload], what: str, *, alone: bool) -> None:
        there = self._staged(_lines(payload) if alone else b"")
        missing = [
            piece
            for each in {item.digest: item for item in payload}.values()
            for piece in cut(each)
            if not self._is_there(piece, there)
        ]
        total = sum(piece.size for piece in missing)
        if not missing:
            return
        have = sum(item.size for item in {each.digest: each for each in payload}.values()) - total
        if have > 0:
            self._progress.note(f"{size(have)} of it are staged on {self._remote.name} already")
        with self._progress.phase(what, total):
            self._send_all(missing)

    def _send_all(self, pieces: Sequence[Piece]) -> None:
        pool = self._senders = ThreadPoolExecutor(max_workers=self._jobs, thread_name_prefix="bottle-send")
        try:
            tasks = [pool.submit(self._send_piece, piece) for piece in pieces]
            done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            for task in done:
                task.result()
        except BaseException:
            self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()

    def _send_piece(self, piece: Piece) -> None:
        digest = piece.sha256()
        command = commands.Piece(
            identity=self._identity,
            blob=Digest(piece.payload.digest),
            number=PieceNumber(piece.number),
            sha256=Digest(digest),
            size=PieceSize(piece.size),
        ).command()
        for _ in range(_ROUNDS):
            reply = self.retried(lambda: self._remote.run(command, self._throttled(piece)))
            if reply.status not in _DAMAGED:
                break
        require_done(self._remote, reply, "staging a piece")
        with self._lock:
            self._progress.advance(piece.size)

    def _throttled(self, piece: Piece) -> Iterator[bytes]:
        for chunk in piece.chunks():
            delay = self._throttle.delay(len(chunk))
            if delay > 0:
                self._sleep(delay)
            if self._stopping.is_set():
                raise ConnectionLost("sending was stopped")
            yield chunk

    def _staged(self, wanted: bytes) -> dict[tuple[str, str], tuple[str, int]]:
        """By blob and piece number: the digest and size that a staged piece has by its name."""
        reply = self.retried(lambda: self._remote.run(commands.Staged(identity=self._identity).command(), (wanted,)))
        there = {}
        for line in (
            require_done(self._remote, reply, "listing what is staged").out.decode("ascii", "replace").splitlines()
        ):
            fields = line.split(" ")
            if len(fields) != 3 or not _SIZE.fullmatch(fields[2]) or "-" not in fields[1]:
                raise RemoteError(f"{self._remote.name} describes its staging in a way that makes no sense")
            number, _, digest = fields[1].partition("-")
            there[fields[0], number] = (digest, int(fields[2]))
        return there

    def _is_there(self, piece: Piece, there: dict[tuple[str, str], tuple[str, int]]) -> bool:
        found = there.get((piece.payload.digest, piece.label))
        return found is not None and found[1] == piece.size and found[0] == piece.sha256()

    def _damaged(self, payload: Sequence[Payload]) -> bool:
        """Whether the far host, reading everything again, found something that is not what it should be."""
        lines = _lines(payload)
        with self._progress.phase(f"checking what arrived on {self._remote.name}"):
            command = commands.Check(identity=self._identity).command()
            reply = self.retried(lambda: self._remote.run(command, (lines,), silence=3600))
        return bool(require_done(self._remote, reply, "checking what is staged").out.strip())


def _lines(payload: Iterable[Payload]) -> bytes:
    """The names of what travels, a line each."""
    return "".join(f"{digest}\n" for digest in sorted({each.digest for each in payload})).encode()
