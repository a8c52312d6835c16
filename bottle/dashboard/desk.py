"""What the dashboard does with the world. Every call here may take long, raises BottleError, and may be made from any
thread: two of this program do not get into each other's way as two programs would, with Locked."""

import hashlib
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bottle.errors import BottleError, NotFound
from bottle.launch import REQUESTS
from bottle.model import CapabilityRequest, Usage
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations import BottleView, Context, capability, commit, list_bottles, resume, stop
from bottle.plan import ResumeRequest
from bottle.ports import Events
from bottle.progress import Silent
from bottle.requestfolder import MAX_STREAM
from bottle.text import printable

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
    """The operator's desk: the bottles of one context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[Identity, str] = {}
        self._turns: defaultdict[Identity, threading.Lock] = defaultdict(threading.Lock)

    def bottles(self) -> tuple[BottleView, ...]:
        """Every bottle that is known here."""
        with _own_errors():
            return list_bottles(self._context)

    def events(self) -> Events:
        """What happens from now on to containers of bottles."""
        with _own_errors():
            return self._context.engine.events({LABEL_IDENTITY: None})

    def usage(self, identity: Identity) -> Usage | None:
        """What a running bottle uses; None where it does not run any more."""
        with _own_errors():
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
        with _own_errors():
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
            if not capability.list_requests(self._context, identity).notes:
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
            for chunk in self._context.engine.read_archive(container.id, REQUESTS):
                digest.update(chunk)
                left -= len(chunk)
                if left <= 0:
                    break
        except NotFound:
            return ""  # a container from before there were requests, or one that has just gone
        return digest.hexdigest()

    def detail(self, identity: Identity, digest: str) -> capability.RequestDetail:
        """A request with its diff and its warnings."""
        turn = self._turns[identity]
        ours = turn.acquire(timeout=_SHORT)  # where an action goes on, what was known before is shown
        try:
            with _own_errors():
                quiet = replace(self._context, progress=Silent())  # what there is to note was noted when it came
                return capability.show(quiet, self._context.home.bottle(identity), digest)
        finally:
            if ours:
                turn.release()

    def approve(self, identity: Identity, digest: str, *, build: bool) -> Outcome:
        """Carry a request out."""
        with self._turns[identity], _own_errors():
            done = capability.approve(self._context, self._context.home.bottle(identity), digest, build=build)
        kept = f"; {done.back_line} goes back" if done.back_line else ""
        verb = "was approved before" if done.already else "is approved"
        return Outcome(
            text=f"request {done.request.number} of {identity} {verb}{kept}", line=done.resume_line, notes=done.notes
        )

    def deny(self, identity: Identity, digest: str, note: str) -> Outcome:
        """Turn a request down."""
        with self._turns[identity], _own_errors():
            done = capability.deny(self._context, self._context.home.bottle(identity), digest, note=note)
        verb = "had been denied" if done.already else "is denied"
        return Outcome(
            text=f"request {done.request.number} of {identity} {verb}", line=f"bottle capability list {identity}"
        )

    def commit(self, identity: Identity) -> Outcome:
        """Snapshot a bottle."""
        with self._turns[identity], _own_errors():
            done = commit(self._context, self._context.home.bottle(identity))
        notes = tuple(f"not in the commit: {each}" for each in (*done.left_out, *done.told))
        return Outcome(text=f"{identity}: commit {done.commit.number} is made", line=done.resume_line, notes=notes)

    def stop(self, identity: Identity) -> Outcome:
        """End a bottle's processes."""
        with self._turns[identity], _own_errors():
            done = stop(self._context, self._context.home.bottle(identity))
        verb = "is stopped" if done.was_running else "was stopped already"
        return Outcome(text=f"{identity} {verb}", line=f"bottle resume {identity}", notes=done.notes)

    def resume(self, identity: Identity) -> Outcome:
        """Bring a bottle back, detached."""
        with self._turns[identity], _own_errors():
            done = resume(self._context, self._context.home.bottle(identity), ResumeRequest())
        return Outcome(
            text=f"{identity} is running: {done.plan.row}", line=f"bottle attach {identity}", notes=done.warnings
        )

    def logs(self, identity: Identity) -> tuple[str, ...]:
        """The last lines that a bottle's agent wrote."""
        with _own_errors():
            container = self._context.container(identity)
            if container is None:
                raise NotFound(
                    f"{identity} has no container, and its output went with it", next_step=f"bottle resume {identity}"
                )
            output = b"".join(self._context.engine.logs(container.id, tail=_TAIL))
        return tuple(printable(line, 1000) for line in output.decode("utf-8", "replace").splitlines())


def command_line(*words: str) -> tuple[str, ...]:
    """This program once more, with `words`; `-P` because the folder we are in is no place for its modules."""
    return (sys.executable, "-P", "-m", "bottle", *words)


@contextmanager
def _own_errors() -> Iterator[None]:
    """What the operating system refuses is an error as any other."""
    try:
        yield
    except OSError as exc:
        raise BottleError(f"the operating system refused: {exc}", next_step="ls -ld .; df -h .") from exc
