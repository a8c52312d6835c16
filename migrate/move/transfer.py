"""One move on its way: who acts, what the bottle is called at both ends, and what is said where it is cut."""

import secrets
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property

from bottle.errors import BottleError, PreflightRefused, StateDamaged, VerificationFailed
from bottle.model import CommitRecord, CopyThere, MigrationPhase, MigrationRecord, MoveAccount, Tombstone
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.holdings import what_travels
from bottle.store.state import BottleState
from migrate.contents.packing import outgoing
from migrate.host.destination import Destination
from migrate.host.upload import Uploader
from migrate.image.spool import DirectorySpool
from migrate.model import Codec, HostFacts
from migrate.move.copies import note_copy
from migrate.ports import Remote
from migrate.secrets.kept import StoredScans
from migrate.secrets.patterns import Finder
from migrate.secrets.policy import Allowed, finder_for
from migrate.secrets.search import Search
from migrate.transport.steady import Retrying, Throttled

AGAIN = "the same command again"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A move of `state`'s bottle to the host of `remote`, where it is called `arrives_as`. The caller holds its lock.

    The `nonce` tells what this move brings there from what any other does.
    """

    context: Context
    state: BottleState
    remote: Remote
    options: MoveOptions
    arrives_as: Identity
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def identity(self) -> Identity:
        """What the bottle is called here."""
        return self.state.identity

    @cached_property
    def finder(self) -> Finder:
        """Finds credentials, the values of the agent's secrets among them."""
        return finder_for(self.state.metadata(), self.context.environ, self.context.progress)

    @cached_property
    def search(self) -> Search:
        """Looks for them, and keeps what it has found."""
        known = StoredScans(self.state.scanned, self.finder)
        return Search(finder=self.finder, progress=self.context.progress, known=known)

    @property
    def allowed(self) -> Allowed:
        """Which credentials may go along."""
        carry = (*self.state.metadata().agent.carry, *self.options.carry)
        return Allowed(everything=self.options.allow_secrets, carry=carry)

    def destination(self, host: HostFacts) -> Destination:
        """The far side, over a line whose breaks are waited out."""
        stop, progress = threading.Event(), self.context.progress
        shell = Retrying(self.remote, progress, stop)
        sending = Retrying(Throttled(self.remote, self.options.rate, stop), progress, stop)
        uploader = Uploader(sending, self.arrives_as, progress, stop, jobs=self.options.jobs)
        return Destination(shell=shell, host=host, identity=self.arrives_as, uploader=uploader, progress=progress)

    def spool(self, kind: str, codec: Codec, level: int | None = None) -> DirectorySpool:
        """Where what is to be sent waits here."""
        folder = outgoing(self.context, self.identity) / f"{kind}-{codec.value or 'tar'}"
        return DirectorySpool(folder, codec, level=level, threads=2)

    def note(
        self,
        phase: MigrationPhase,
        commit: int | None = None,
        account: MoveAccount | None = None,
        *,
        stopped: bool | None = None,
    ) -> None:
        """Write down, durably, how far it has come, and whether its agent was stopped; None is as this move has it.

        A standby's round is gone on with by none: the next one begins anew, and finds what is staged there.
        """
        if self.options.standby:
            return
        before = self.state.migration.read()
        was_stopped = before is not None and before.nonce == self.nonce and before.stopped
        self.state.migration.write(
            MigrationRecord(
                phase=phase,
                host=self.remote.name,
                nonce=self.nonce,
                commit=commit,
                started_at=self.context.now(),
                identity_files=tuple(map(str, self.options.keys)),
                arrives_as=self.arrives_as,
                pulled_by=self.options.pulled_by,
                account=account,
                stopped=was_stopped if stopped is None else stopped,
            )
        )

    def note_copy(self, commit: int) -> None:
        """Write down, durably, that the copy is there, and of which commit; whoever pulls one knows that itself."""
        if self.options.pulled_by is None and not self.options.standby:
            there, now = self.remote.name, self.context.now()
            note_copy(self.state, CopyThere(host=there, identity=self.arrives_as, commit=commit, brought_at=now))

    def standing_by(self, commit: CommitRecord, history: Collection[int]) -> Tombstone:
        """What a standby of `commit` says of who owns the bottle."""
        arrived = what_travels(self.state, tuple(sorted({*history, commit.number})))
        return Tombstone(host=socket.gethostname(), moved_at=self.context.now(), arrived=arrived, standby=True)

    @property
    def left(self) -> str:
        """What state the bottle is in once it was held still."""
        here = "goes on as it was" if self._goes_on else "is stopped and committed"
        return f"this host still owns the bottle, which {here}"

    @property
    def following(self) -> str:
        """What to type once it was held still."""
        return AGAIN + self.staying

    @property
    def staying(self) -> str:
        """What to type instead to stay on this host, as the rest of a line; nothing where it is not held still."""
        return "" if self._goes_on else f"; or to stay on this host: bottle resume {self.identity}"

    @property
    def _goes_on(self) -> bool:
        """Whether its agent works, or will do so in a moment."""
        if self.options.keep:
            return True
        with suppress(BottleError):
            container = self.context.container(self.identity)
            return container is not None and container.status.alive
        return False

    @contextmanager
    def writing_here(self) -> Iterator[None]:
        """Have errors of what is read and kept on this host, a full disk as a rule, say what is left and the way on."""
        try:
            yield
        except (StateDamaged, PreflightRefused, VerificationFailed) as exc:
            first = "" if exc.next_step in {"", AGAIN} else f"{exc.next_step}; then "
            exc.left, exc.next_step = self.left, first + self.following
            raise
