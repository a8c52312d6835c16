"""Performs here what the owner of a bottle asks for while the bottle is pulled, as far as the policy allows it.

Scripts are run as they are run on a far host. What they would believe is looked at first: archives and state that come
from there are untrusted, and tars of files are unpacked by this program, not by tar.
"""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, assert_never

from bottle.naming import Identity
from bottle.plan.history import commit_in_force
from bottle.ports import Engine, Progress
from bottle.tar.chunks import CHUNK, at_most
from bottle.tar.items import LONGEST_PATH
from bottle.text import printable
from migrate.host import commands
from migrate.host.ownership import notes_of_what_was_left
from migrate.host.script import Effect, Input, ScriptStatus
from migrate.model import Reply
from migrate.pull.folders import StagedFolders
from migrate.pull.images import ImageKeeper
from migrate.pull.policy import Asked, PullPolicy, Terms
from migrate.pull.receiver import Breach, Request
from migrate.pull.registration import prepare
from migrate.pull.site import SHOWN, Here, Site

_MOST_PIECES = 200_000
_DIFFERS = b"differs="
_IN_MEMORY = 1 << 20
_LONGEST_LINE = 5 * LONGEST_PATH + 100  # of a path each byte of which is spelt with five, and a digest in front of it


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedBottle:
    """A bottle that was brought here, as it is here now: `commit` is the one in force."""

    identity: Identity
    commit: int
    workspace: str | None


class Performer:
    """Answers a pull's requests. `agreed` is what the user lets the bottle have here (`bottle.agent.admission`)."""

    def __init__(self, terms: Terms, here: Here, engine: Engine, progress: Progress, agreed: frozenset[str]) -> None:
        self._policy = PullPolicy(terms)
        self._site = Site(policy=self._policy, here=here, engine=engine, progress=progress)
        self._folders = StagedFolders(self._site, agreed)
        self._images = ImageKeeper(self._site)
        self._lock = threading.Lock()
        self._turns = _Turns()
        self.pieces = 0  # that were staged
        self._brought = False

    @property
    def arrives_as(self) -> Identity:
        """What the bottle is called here. Raises Breach before that is known."""
        return self._site.identity

    def is_here(self) -> bool:
        """Whether this host owns the bottle now, whatever anybody says."""
        return self._site.is_owner()

    def __call__(self, request: Request, stdin: Iterator[bytes]) -> Reply:
        """As `migrate.pull.receiver.Perform`."""
        with self._lock:
            script = self._policy.check(request)
        if script.streams:
            with self._turns.turn(alone=False):
                self._require_not_ours(script)
                return self._stream(script, stdin, request.silence)
        with _spooled(stdin, script.stdin) as spool, self._turns.turn(alone=True):
            self._require_not_ours(script)
            reply = self._perform(script, spool, request.silence)
            if isinstance(script, commands.Register | commands.Withdraw):  # which tell of a move by its nonce
                self._brought = self._brought or self._site.has_arrived(script.nonce)
            return reply

    def arrived(self) -> ArrivedBottle | None:
        """What is here of the bottle, if it lives here and the far host has shown that it brought it.

        It has if it registered the bottle, or knows the name of a move that once did. Raises StateDamaged.
        """
        if not self._brought or not self.is_here():
            return None
        metadata = self._site.state.metadata()
        commit = commit_in_force(self._site.state.commits(), self._site.state.committed_image())
        return ArrivedBottle(
            identity=self._site.identity,
            commit=commit.number if commit is not None else 0,
            workspace=str(metadata.mounted) if metadata.mounted is not None else None,
        )

    def _require_not_ours(self, script: Asked) -> None:
        """Let nothing be done to a bottle that lives here. Raises Breach."""
        again = isinstance(script, commands.Register) and self._site.has_arrived(script.nonce)  # its answer was lost
        if script.effect is Effect.CHANGES and not again and self.is_here():
            raise Breach(
                f"{self._site.identity} lives here, and the far host asks for {script.name()!r}",
                left="what is here is as it was",
                next_step=f"bottle inspect {self._site.identity}",
            )

    def _stream(self, script: Asked, stdin: Iterator[bytes], silence: float) -> Reply:
        most = script.stdin.most
        if isinstance(script, commands.Piece):
            most = script.size
            with self._lock:
                self.pieces += 1
                if self.pieces > _MOST_PIECES:
                    raise Breach("the far host sends more pieces than any bottle has")
            if self._site.room() < most:
                full = f"the disk of {self._site.terms.bottle_home} is full"
                return Reply(status=ScriptStatus.STORAGE_FAILED, err=full)
        return self._site.run(script, _bounded(stdin, most), silence=silence)

    def _perform(self, script: Asked, stdin: IO[bytes], silence: float) -> Reply:
        match script:
            case commands.Probe():
                reply = self._kept_back(self._site.run(script, silence=silence))
            case commands.Images():
                reply = self._images.images(_lines(stdin))
            case commands.Known():
                reply = self._images.known(_lines(stdin))
            case commands.Inspect():
                reply = self._images.inspect(script, silence)
            case commands.Load():
                reply = self._images.load(_lines(stdin))
            case commands.Tag():
                reply = self._images.tag(script, silence)
            case commands.Unload():
                reply = self._images.unload(script, silence)
            case commands.Extract() | commands.Seed() | commands.Update() | commands.Volume():
                reply = self._folders.perform(script, stdin, silence)
            case (
                commands.Sink()
                | commands.Staged()
                | commands.Piece()
                | commands.Check()
                | commands.Verify()
                | commands.Clear()
            ):
                self._look_at(script, stdin)
                reply = self._site.run(script, iter(partial(stdin.read, CHUNK), b""), silence=silence)
            case commands.Withdraw() | commands.Register():
                self._look_at(script, stdin)
                reply = self._kept_back(self._site.run(script, silence=silence))
            case _:
                assert_never(script)
        return reply

    def _kept_back(self, reply: Reply) -> Reply:
        """A reply without what it says of the files of a workspace here, which is for the user alone."""
        lines = reply.out.split(b"\n")  # no other ends of lines, which names may hold
        for line in lines:
            if line.startswith(_DIFFERS):
                name = line.removeprefix(_DIFFERS).decode("utf-8", "replace")
                self._site.progress.note(f"not as the bottle left it here: {printable(name, SHOWN)}")
        for note in notes_of_what_was_left(reply.out, self._site.here.name):
            self._site.progress.note(note)
        told = (line for line in lines if not line.startswith((_DIFFERS, b"kept=", b"rest=")))
        return replace(reply, out=b"\n".join(told))

    def _look_at(self, script: Asked, stdin: IO[bytes]) -> None:
        """Look at what a script that is run as it is would believe. Raises Breach, or VerificationFailed."""
        match script:
            case commands.Verify():
                self._folders.require_sent(script, stdin)
            case commands.Register() if not self._site.has_arrived(script.nonce):
                prepare(self._site, self._folders, script)


class _Turns:
    """Pieces come beside each other; everything else waits for them, and is alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shared = 0
        self._taken = False

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """A turn: beside others, or alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not (alone and self._shared))
            self._taken = alone
            self._shared += not alone
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._shared -= not alone
                self._changed.notify_all()


@contextmanager
def _spooled(stdin: Iterator[bytes], expected: Input) -> Iterator[IO[bytes]]:
    """All of a standard input, each line of which is what is expected. Raises Breach."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        for chunk in _bounded(stdin, expected.most):
            spool.write(chunk)
        spool.seek(0)
        for line in iter(lambda: spool.readline(_LONGEST_LINE), b""):
            text = os.fsdecode(line)
            if expected.line is None or not expected.line.fullmatch(text) or "/../" in text or text.endswith("/..\n"):
                raise Breach("the far host feeds a script what no honest one does")
        spool.seek(0)
        yield spool


def _bounded(stdin: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The chunks, as long as they are no more than `most` bytes. Raises Breach."""
    return at_most(stdin, most, Breach("the far host feeds a script more than it takes"))


def _lines(file: IO[bytes]) -> list[str]:
    """The lines of a file, without their ends."""
    return [line.decode().strip() for line in file]
