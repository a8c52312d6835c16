"""What the dashboard does to bottles, one thing at a time to each of them."""

import sys
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bottle.agent.manifest import Manifest, find_manifest, read_manifest
from bottle.errors import BottleError
from bottle.model import Agent
from bottle.naming import Identity
from bottle.operations import (
    Context,
    Ended,
    ForkRequest,
    Removed,
    StartRequest,
    approve,
    commit,
    deny,
    fork,
    plan_start,
    remove,
    resume,
    start,
    stop,
)
from bottle.plan.copies import named_commits
from bottle.plan.resume import ResumeRequest
from bottle.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an action did: a sentence, the line to type next, and what else there is to know."""

    text: str
    line: str
    notes: tuple[str, ...] = ()


class Operator:
    """Who does it. Every call may take long, raises BottleError, and may be made from any thread.

    Two threads of this program do not get into each other's way as two programs would, with Locked: they take turns.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns: defaultdict[Identity, threading.Lock] = defaultdict(threading.Lock)

    def manifest(self) -> Manifest:
        """The agents that can be started in this folder."""
        with own_errors():
            return read_manifest(find_manifest(Path.cwd(), self._context.home.path))

    def start(self, agent: Agent, *, copy_cwd: bool) -> Outcome:
        """Launch an agent in this folder, detached."""
        request = StartRequest(agent=agent, cwd=Path.cwd(), copy_cwd=copy_cwd)
        with own_errors():
            done = start(self._context, plan_start(self._context, request))
        return _begun(done.identity, done.ended, "in the background", done.notes)

    def commit(self, identity: Identity) -> Outcome:
        """Snapshot a bottle."""
        with self._turns[identity], own_errors():
            done = commit(self._context, self._context.home.bottle(identity))
        notes = tuple(f"not in the commit: {each}" for each in (*done.left_out, *done.told))
        return Outcome(text=f"{identity}: commit {done.commit.number} is made", line=done.resume_line, notes=notes)

    def stop(self, identity: Identity) -> Outcome:
        """End a bottle's processes."""
        with self._turns[identity], own_errors():
            done = stop(self._context, self._context.home.bottle(identity))
        verb = "is stopped" if done.was_running else "was stopped already"
        return Outcome(text=f"{identity} {verb}", line=f"bottle resume {identity}", notes=done.notes)

    def resume(self, identity: Identity, *, at: int | None = None, consent: bool = False) -> Outcome:
        """Bring a bottle back, detached. Raises NeedsConsent where work newer than commit `at` would go."""
        with self._turns[identity], own_errors():
            request = ResumeRequest(at=at, consent=consent)
            done = resume(self._context, self._context.home.bottle(identity), request)
        return _begun(identity, done.ended, done.plan.row, done.warnings)

    def fork(self, identity: Identity, *, at: int | None, cwd: Path | None, share_cwd: bool) -> Outcome:
        """Make a new bottle off commit `at`, or off the one in force."""
        with self._turns[identity], own_errors():
            request = ForkRequest(at=at, cwd=cwd, share_cwd=share_cwd)
            done = fork(self._context, self._context.home.bottle(identity), request)
        shared = (f"the two share {done.shared}: what one writes, both see",) if done.shared is not None else ()
        return Outcome(
            text=f"{done.identity} was forked off commit {done.origin.commit} of {identity}",
            line=f"bottle resume {done.identity}",
            notes=(*shared, *done.notes),
        )

    def remove(self, identity: Identity, *, agreed: Collection[str] = ()) -> Outcome:
        """Delete a bottle. Raises NeedsConsent for work that is nowhere else and was not `agreed` to."""
        with self._turns[identity], own_errors():
            done = remove(self._context, self._context.home.bottle(identity), consent=False, agreed=agreed)
        here = f" from this host; it lives on {done.moved_to}" if done.moved_to is not None else ""
        stays = (f"its workspace stays: {done.workspace}",) if done.workspace is not None else ()
        return Outcome(text=f"{identity} is gone, with {_went(done)}{here}", line="", notes=stays)

    def approve(self, identity: Identity, digest: str, *, build: bool) -> Outcome:
        """Carry a request out."""
        with self._turns[identity], own_errors():
            done = approve(self._context, self._context.home.bottle(identity), digest, build=build)
        kept = f"; {done.back_line} goes back" if done.back_line else ""
        verb = "was approved before" if done.already else "is approved"
        return Outcome(
            text=f"request {done.request.number} of {identity} {verb}{kept}", line=done.resume_line, notes=done.notes
        )

    def deny(self, identity: Identity, digest: str, note: str) -> Outcome:
        """Turn a request down."""
        with self._turns[identity], own_errors():
            done = deny(self._context, self._context.home.bottle(identity), digest, note=note)
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
