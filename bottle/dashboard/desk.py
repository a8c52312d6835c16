"""What the dashboard knows of the world, and does with it.

Every call here may take long, and raises BottleError.
"""

import hashlib
import sys
import threading
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bottle import operations
from bottle.agent.manifest import Manifest, find_manifest, read_manifest
from bottle.errors import BottleError, NotFound
from bottle.launch import REQUESTS_MOUNT
from bottle.model import Agent, CapabilityRequest, Usage
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations import BottleView, Context, Ended, History, Inspection, Removed, RequestDetail
from bottle.plan.copies import named_commits
from bottle.plan.guards import require_output
from bottle.plan.resume import ResumeRequest
from bottle.ports import Events, Silent
from bottle.requests.folder import MAX_STREAM
from bottle.words import counted

_SHORT = 1.0  # seconds, more than taking requests in takes
_HAS_REQUESTS = {"running", "paused", "stopped"}  # the states in which a bottle may have something new
_TAIL = 500  # lines of output that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an action did: a sentence, the line to type next, and what else there is to know."""

    text: str
    line: str
    notes: tuple[str, ...] = ()


class Desk:
    """The operator's desk: the bottles of one context. Every call may be made from any thread.

    Two threads of this program do not get into each other's way as two programs would, with Locked: they take turns.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns: defaultdict[Identity, threading.Lock] = defaultdict(threading.Lock)
        self._seen: dict[Identity, str] = {}

    def bottles(self) -> tuple[BottleView, ...]:
        """Every bottle that is known here."""
        with own_errors():
            return operations.list_bottles(self._context)

    def events(self) -> Events:
        """What happens from now on to containers of bottles."""
        with own_errors():
            return self._context.engine.events({LABEL_IDENTITY: None})

    def usage(self, identity: Identity) -> Usage | None:
        """What a running bottle uses; None where it does not run any more."""
        with own_errors():
            container = self._context.container(identity)
            try:
                return self._context.engine.usage(container.id) if container is not None else None
            except NotFound:
                return None

    def requests(self, view: BottleView) -> tuple[CapabilityRequest, ...]:
        """The requests of a bottle. It is asked for new ones if its request folder changed, or it ended since.

        Taking requests in needs the bottle's lock, which would turn away a command that comes at that moment. So it is
        not done for nothing, and where somebody else is working on the bottle it is tried again the next time.
        """
        with own_errors():
            if view.state in _HAS_REQUESTS:
                seen = self._last_run(view.identity) if view.state == "stopped" else self._fingerprint(view.identity)
                if seen != self._seen.get(view.identity):
                    self._take_in(view.identity, seen)
            return self._context.home.bottle(view.identity).requests()

    def _take_in(self, identity: Identity, seen: str) -> None:
        turn = self._turns[identity]
        if not turn.acquire(blocking=False):
            return  # an action of ours has the lock
        try:
            if not operations.list_requests(self._context, identity).notes:
                self._seen[identity] = seen
        finally:
            turn.release()

    def _last_run(self, identity: Identity) -> str:
        """What tells one end of a bottle's processes from another: nothing is asked for any more after it."""
        container = self._context.container(identity)
        return f"{container.id} ended at {container.finished_at}" if container is not None else ""

    def _fingerprint(self, identity: Identity) -> str:
        """What tells one content of a bottle's request folder from another; as much of it as could ever be taken."""
        digest = hashlib.sha256()
        container = self._context.container(identity)
        if container is None:
            return ""
        try:
            left = MAX_STREAM
            for chunk in self._context.engine.read_archive(container.id, REQUESTS_MOUNT):
                digest.update(chunk)
                left -= len(chunk)
                if left <= 0:
                    break
        except NotFound:
            return ""  # a container from before there were requests, or one that has just gone
        return digest.hexdigest()

    def detail(self, identity: Identity, digest: str) -> RequestDetail:
        """A request with its diff and its warnings."""
        turn = self._turns[identity]
        ours = turn.acquire(timeout=_SHORT)  # where an action goes on, what was known before is shown
        try:
            with own_errors():
                quiet = replace(self._context, progress=Silent())  # what there is to note was noted when it came
                return operations.show(quiet, self._context.home.bottle(identity), digest)
        finally:
            if ours:
                turn.release()

    def inspect(self, identity: Identity) -> Inspection:
        """All that is known of a bottle."""
        with own_errors():
            return operations.inspect(self._context, self._context.home.bottle(identity))

    def history(self, identity: Identity) -> History:
        """A bottle's commits."""
        with own_errors():
            return operations.history(self._context, self._context.home.bottle(identity))

    def whereabouts(self, identity: Identity) -> str:
        """Which host owns a bottle, by what is on record of its moves here."""
        with own_errors():
            state = self._context.home.bottle(identity)
            tombstone = state.tombstone.read()
            if tombstone is not None:
                return f"{tombstone.host} owns the bottle"
            return operations.unfinished(state) or "this host owns the bottle"

    def output(self, identity: Identity) -> Generator[bytes]:
        """The last that a bottle's agent wrote, and what it writes until it ends."""
        with own_errors():
            tombstone = self._context.home.bottle(identity).tombstone.read()
            container = require_output(identity, self._context.container(identity), tombstone)
            yield from self._context.engine.logs(container.id, follow=True, tail=_TAIL)

    # --- what is done, one thing at a time to each bottle

    def manifest(self) -> Manifest:
        """The agents that can be started in this folder."""
        with own_errors():
            return read_manifest(find_manifest(Path.cwd(), self._context.home.path))

    def start(self, agent: Agent, *, copy_cwd: bool) -> Outcome:
        """Launch an agent in this folder, detached."""
        request = operations.StartRequest(agent=agent, cwd=Path.cwd(), copy_cwd=copy_cwd)
        with own_errors():
            done = operations.start(self._context, operations.plan_start(self._context, request))
        return _begun(done.identity, done.ended, "in the background", done.notes)

    def commit(self, identity: Identity) -> Outcome:
        """Snapshot a bottle."""
        with self._turns[identity], own_errors():
            done = operations.commit(self._context, self._context.home.bottle(identity))
        notes = tuple(f"not in the commit: {each}" for each in (*done.left_out, *done.told))
        return Outcome(text=f"{identity}: commit {done.commit.number} is made", line=done.resume_line, notes=notes)

    def stop(self, identity: Identity) -> Outcome:
        """End a bottle's processes."""
        with self._turns[identity], own_errors():
            done = operations.stop(self._context, self._context.home.bottle(identity))
        verb = "is stopped" if done.was_running else "was stopped already"
        return Outcome(text=f"{identity} {verb}", line=f"bottle resume {identity}", notes=done.notes)

    def resume(self, identity: Identity, *, at: int | None = None, consent: bool = False) -> Outcome:
        """Bring a bottle back, detached. Raises NeedsConsent where work newer than commit `at` would go."""
        with self._turns[identity], own_errors():
            request = ResumeRequest(at=at, consent=consent)
            done = operations.resume(self._context, self._context.home.bottle(identity), request)
        return _begun(identity, done.ended, done.plan.row, done.warnings)

    def fork(self, identity: Identity, *, at: int | None, cwd: Path | None, share_cwd: bool) -> Outcome:
        """Make a new bottle off commit `at`, or off the one in force."""
        with self._turns[identity], own_errors():
            request = operations.ForkRequest(at=at, cwd=cwd, share_cwd=share_cwd)
            done = operations.fork(self._context, self._context.home.bottle(identity), request)
        shared = (f"the two share {done.shared}: what one writes, both see",) if done.shared is not None else ()
        return Outcome(
            text=f"{done.identity} was forked off commit {done.origin.commit} of {identity}",
            line=f"bottle resume {done.identity}",
            notes=(*shared, *done.notes),
        )

    def remove(self, identity: Identity, *, agreed: Collection[str] = ()) -> Outcome:
        """Delete a bottle. Raises NeedsConsent for work that is nowhere else and was not `agreed` to."""
        with self._turns[identity], own_errors():
            done = operations.remove(self._context, self._context.home.bottle(identity), consent=False, agreed=agreed)
        here = f" from this host; it lives on {done.moved_to}" if done.moved_to is not None else ""
        stays = (f"its workspace stays: {done.workspace}",) if done.workspace is not None else ()
        return Outcome(text=f"{identity} is gone, with {_went(done)}{here}", line="", notes=stays)

    def approve(self, identity: Identity, digest: str, *, build: bool) -> Outcome:
        """Carry a request out."""
        with self._turns[identity], own_errors():
            done = operations.approve(self._context, self._context.home.bottle(identity), digest, build=build)
        kept = f"; {done.back_line} goes back" if done.back_line else ""
        verb = "was approved before" if done.already else "is approved"
        return Outcome(
            text=f"request {done.request.number} of {identity} {verb}{kept}", line=done.resume_line, notes=done.notes
        )

    def deny(self, identity: Identity, digest: str, note: str) -> Outcome:
        """Turn a request down."""
        with self._turns[identity], own_errors():
            done = operations.deny(self._context, self._context.home.bottle(identity), digest, note=note)
        verb = "had been denied" if done.already else "is denied"
        return Outcome(
            text=f"request {done.request.number} of {identity} {verb}", line=f"bottle capability list {identity}"
        )


def _begun(identity: Identity, ended: Ended | None, how: str, notes: tuple[str, ...]) -> Outcome:
    if ended is None:
        return Outcome(text=f"{identity} is running: {how}", line=f"bottle attach {identity}", notes=notes)
    text = f"{identity} ended at once, with exit code {ended.exit_code}"
    return Outcome(text=text, line=f"bottle resume {identity}", notes=(*ended.output, *notes))


def _went(removed: Removed) -> str:
    """What went with a bottle that is gone."""
    commits = (named_commits(removed.commits),) if removed.commits else ()
    volumes = (counted(len(removed.volumes), "volume"),) if removed.volumes else ()
    return ", ".join((*commits, *volumes, "its state"))


def bottle_command(*words: str) -> tuple[str, ...]:
    """This program once more, with `words`; `-P` because the folder we are in is no place for its modules."""
    return (sys.executable, "-P", "-m", "bottle", *words)


@contextmanager
def own_errors() -> Iterator[None]:
    """What the operating system refuses is an error as any other."""
    try:
        yield
    except OSError as exc:
        raise BottleError(f"the operating system refused: {exc}", next_step="ls -ld .; df -h .") from exc
