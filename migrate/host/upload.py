"""Bring payloads into the far staging area in pieces, each acknowledged once it is whole there.

A piece is a file there called `NUMBER-SHA256`, which it becomes only after its bytes have that digest. What is
acknowledged is never sent again: not after a cut, not in the next run, not after a reboot of either side.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Protocol

from bottle.errors import RemoteError, VerificationFailed
from bottle.naming import Identity
from bottle.ports import Progress
from bottle.words import size
from migrate.host import commands
from migrate.host.arguments import Digest, PieceNumber, PieceSize
from migrate.host.payload import Payload, Piece, cut, lines, names, total
from migrate.host.probe import require_done
from migrate.host.script import ScriptStatus
from migrate.ports import Shell

_ROUNDS = 3
_SMALL = 1 << 16  # bytes of what may stay: the documents of an image, which are known only when all of it was read
_DAMAGED = {ScriptStatus.CAME_SHORT, ScriptStatus.NOT_AS_SENT}
_SIZE = re.compile(r"[0-9]{1,19}")
_HOUR = 3600.0
Staged = dict[tuple[str, str], tuple[str, int]]
Lacking = tuple[Payload, tuple[Piece, ...]]


class Arrivals(Protocol):
    """Somebody who does something with payloads there as soon as they are whole."""

    def coming(self, payload: Payload, pieces: Sequence[Future[None]]) -> None:
        """This one is being sent; it is there when all of its `pieces` are done, some of which may fail."""

    def proven(self) -> frozenset[str]:
        """The digests of those that were found to be whole there: nobody need read them once more."""


class _Nobody:
    """Who only sends."""

    def coming(self, payload: Payload, pieces: Sequence[Future[None]]) -> None:
        """As `Arrivals.coming`."""

    def proven(self) -> frozenset[str]:
        """As `Arrivals.proven`."""
        return frozenset()


_NOBODY = _Nobody()


class Uploader:
    """Brings payloads to one bottle's staging area on one host, by a shell that waits out breaks of the line.

    `stop` is set when sending fails or is interrupted: whoever sends beside it then ends.
    """

    def __init__(
        self, shell: Shell, identity: Identity, progress: Progress, stop: threading.Event, *, jobs: int = 2
    ) -> None:
        self._shell = shell
        self._identity = identity
        self._progress = progress
        self._jobs = jobs
        self._lock = threading.Lock()
        self._stop = stop
        self._senders: ThreadPoolExecutor | None = None
        self._left = 0  # bytes that are to be sent
        self._is_told = False  # whether progress is told of what is sent

    def send(
        self,
        payloads: Iterable[Payload],
        what: str,
        *,
        keep: Iterable[Payload] = (),
        arrivals: Arrivals = _NOBODY,
    ) -> None:
        """Bring `payloads` there, one by one as they come, and have the far host check them, whole.

        What else is staged there, and large, is deleted first, but for `keep`, unless that is empty. What was
        acknowledged stays there for the next run. Raises ConnectionLost when the line stays broken, RemoteError when
        the far side refuses, VerificationFailed when what arrives is damaged again and again.
        """
        if self._senders is not None:
            self._senders.shutdown()  # those that were told to stop have, before others are let go
        self._stop.clear()
        came: Sequence[Payload] = ()
        kept = frozenset(each.digest for each in keep)
        for _ in range(_ROUNDS):
            came = self._send_missing(came or payloads, what, kept, arrivals)
            proven, kept, arrivals = arrivals.proven(), frozenset(), _NOBODY
            if self._are_whole([each for each in came if each.digest not in proven]):
                return
            self._progress.note(f"{self._shell.name}: damaged pieces were thrown away and are sent again")
        _require_whole(came)
        raise VerificationFailed(
            f"what is staged on {self._shell.name} is damaged again and again",
            left="this host still owns the bottle; nothing damaged was loaded there",
            next_step="look at that host's disk and memory, then the same command again",
        )

    def bring(self, payloads: Sequence[Payload]) -> None:
        """Bring a few small ones there at once, past all that waits to be sent. Raises as `send`."""
        with ThreadPoolExecutor(max_workers=len(payloads), thread_name_prefix="bottle-bring") as pool:
            for task in [pool.submit(self._deliver, piece) for each in payloads for piece in cut(each)]:
                task.result()

    def _send_missing(
        self, payloads: Iterable[Payload], what: str, kept: frozenset[str], arrivals: Arrivals
    ) -> tuple[Payload, ...]:
        """Send what is not there yet; all that came."""
        there, known = self._staged(), None
        if kept and (stale := _large(there) - kept):
            there = self._staged(lines(kept | {blob for blob, _ in there} - stale))
        lacking: Iterable[Lacking] = ((each, tuple(_pieces(each, there))) for each in _each_once(payloads))
        if isinstance(payloads, Sequence):  # how much it is can be told beforehand
            lacking = tuple(lacking)
            known = sum(piece.size for _, pieces in lacking for piece in pieces)
            if known and (have := total(payloads) - known) > 0:
                self._progress.note(f"{size(have)} of it are staged on {self._shell.name} already")
        return self._send_all(lacking, what, known, arrivals)

    def _send_all(
        self, lacking: Iterable[Lacking], what: str, known: int | None, arrivals: Arrivals
    ) -> tuple[Payload, ...]:
        pool = self._senders = ThreadPoolExecutor(max_workers=self._jobs, thread_name_prefix="bottle-send")
        came: list[Payload] = []
        tasks: list[Future[None]] = []
        self._left = known or 0
        try:
            with ExitStack() as shown:
                if known:
                    shown.enter_context(self._told(what))
                for payload, pieces in lacking:
                    came.append(payload)
                    with self._lock:
                        self._left += sum(piece.size for piece in pieces) if known is None else 0
                    sending = [pool.submit(self._send_piece, piece) for piece in pieces]
                    arrivals.coming(payload, sending)
                    tasks += sending
                    _require_fine(tasks)
                if known is None and self._left:
                    shown.enter_context(self._told(what))
                wait(tasks, return_when=FIRST_EXCEPTION)
                _require_fine(tasks)
        except BaseException:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        return tuple(came)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Somebody watches how what is left to be sent is sent."""
        left = self._left
        with self._progress.phase(what, left):
            with self._lock:
                self._progress.advance(left - self._left)
                self._is_told = True
            try:
                yield
            finally:
                self._is_told = False

    def _send_piece(self, piece: Piece) -> None:
        self._deliver(piece)
        with self._lock:
            self._left -= piece.size
            if self._is_told:
                self._progress.advance(piece.size)

    def _deliver(self, piece: Piece) -> None:
        digest = piece.sha256()
        command = commands.Piece(
            identity=self._identity,
            blob=Digest(piece.payload.digest),
            number=PieceNumber(piece.number),
            sha256=Digest(digest),
            size=PieceSize(piece.size),
        ).command()
        for _ in range(_ROUNDS):
            reply = self._shell.run(command, piece)
            if reply.status not in _DAMAGED:
                break
        require_done(self._shell, reply, "staging a piece")

    def _staged(self, wanted: bytes = b"") -> Staged:
        """By blob and piece number: the digest and size that a staged piece has by its name.

        What is `wanted`, where it is given, is all that stays.
        """
        reply = self._shell.run(commands.Staged(identity=self._identity).command(), (wanted,))
        there = {}
        for line in (
            require_done(self._shell, reply, "listing what is staged").out.decode("ascii", "replace").splitlines()
        ):
            fields = line.split(" ")
            if len(fields) != 3 or not _SIZE.fullmatch(fields[2]) or "-" not in fields[1]:
                raise RemoteError(f"{self._shell.name} describes its staging in a way that makes no sense")
            number, _, digest = fields[1].partition("-")
            there[fields[0], number] = (digest, int(fields[2]))
        return there

    def _are_whole(self, payloads: Iterable[Payload]) -> bool:
        """Whether the far host, reading all of it again, finds each to be what it should be.

        What is not has its damaged pieces thrown away there.
        """
        wanted = names(payloads)
        if not wanted:
            return True
        with self._progress.phase(f"checking what arrived on {self._shell.name}"):
            command = commands.Check(identity=self._identity).command()
            reply = self._shell.run(command, (wanted,), silence=_HOUR)
        return not require_done(self._shell, reply, "checking what is staged").out.strip()


def _large(there: Staged) -> set[str]:
    """The blobs that take more room there than it costs to send them once more."""
    sizes: Counter[str] = Counter()
    for (blob, _), (_, size_there) in there.items():
        sizes[blob] += size_there
    return {blob for blob, size_there in sizes.items() if size_there > _SMALL}


def _each_once(payloads: Iterable[Payload]) -> Iterator[Payload]:
    seen: set[str] = set()
    for each in payloads:
        if each.digest not in seen:
            seen.add(each.digest)
            yield each


def _pieces(payload: Payload, there: Staged) -> Iterator[Piece]:
    """Those that are not there yet."""
    for piece in cut(payload):
        found = there.get((payload.digest, piece.label))
        if found is None or found[1] != piece.size or found[0] != piece.sha256():
            yield piece


def _require_fine(tasks: Iterable[Future[None]]) -> None:
    """Raises what those raised that are done."""
    for task in tasks:
        if task.done():
            task.result()


def _require_whole(payloads: Iterable[Payload]) -> None:
    """Throw away what was kept here to be sent and is not what it was. Raises VerificationFailed for it."""
    rotten = [each for each in payloads if not each.is_whole()]
    for each in rotten:
        each.discard()
    if rotten:
        raise VerificationFailed(
            "what was kept here to be sent was damaged on this host's disk, and is thrown away",
            left="this host still owns the bottle; nothing damaged was loaded there",
            next_step="look at this host's disk, then the same command again reads it anew",
        )
