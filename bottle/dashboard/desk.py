"""What the dashboard knows of the world, and does with it.

Every call here may take long, raises BottleError, and may be made from any thread.
"""

import hashlib
from collections.abc import Generator
from dataclasses import replace

from bottle.dashboard.operating import Operator, own_errors
from bottle.errors import NotFound
from bottle.launch import REQUESTS_MOUNT
from bottle.model import CapabilityRequest, Usage
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations import (
    BottleView,
    Context,
    History,
    Inspection,
    RequestDetail,
    history,
    inspect,
    list_bottles,
    list_requests,
    show,
    unfinished,
)
from bottle.plan.guards import require_output
from bottle.ports import Events, Silent
from bottle.requests.folder import MAX_STREAM

_SHORT = 1.0  # seconds, more than taking requests in takes
_HAS_REQUESTS = {"running", "paused", "stopped"}  # the states in which a bottle may have something new
_TAIL = 500  # lines of output that are shown


class Desk(Operator):
    """The operator's desk: the bottles of one context."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._seen: dict[Identity, str] = {}

    def bottles(self) -> tuple[BottleView, ...]:
        """Every bottle that is known here."""
        with own_errors():
            return list_bottles(self._context)

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
            if not list_requests(self._context, identity).notes:
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
                return show(quiet, self._context.home.bottle(identity), digest)
        finally:
            if ours:
                turn.release()

    def inspect(self, identity: Identity) -> Inspection:
        """All that is known of a bottle."""
        with own_errors():
            return inspect(self._context, self._context.home.bottle(identity))

    def history(self, identity: Identity) -> History:
        """A bottle's commits."""
        with own_errors():
            return history(self._context, self._context.home.bottle(identity))

    def whereabouts(self, identity: Identity) -> str:
        """Which host owns a bottle, by what is on record of its moves here."""
        with own_errors():
            state = self._context.home.bottle(identity)
            tombstone = state.tombstone.read()
            if tombstone is not None:
                return f"{tombstone.host} owns the bottle"
            return unfinished(state) or "this host owns the bottle"

    def output(self, identity: Identity) -> Generator[bytes]:
        """The last that a bottle's agent wrote, and what it writes until it ends."""
        with own_errors():
            tombstone = self._context.home.bottle(identity).tombstone.read()
            container = require_output(identity, self._context.container(identity), tombstone)
            yield from self._context.engine.logs(container.id, follow=True, tail=_TAIL)
