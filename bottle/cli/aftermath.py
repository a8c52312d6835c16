"""What an interrupted command left: the facts as they are then, and what is said of them."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bottle.cli.interruption import again, cut
from bottle.errors import Interrupted
from bottle.model import CapabilityRequest, ContainerFacts, RequestStatus, Status
from bottle.naming import Identity
from bottle.operations import Context
from bottle.plan.history import commit_in_force
from bottle.plan.resume import ResumeRequest
from bottle.store.home import StateHome
from bottle.store.state import TOMBSTONE, BottleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of a bottle decides what is said of a command on it that was cut short.

    `exists`: it has a state folder. `in_force` is the number of the commit in force, 0 for none; `unsettled`: another
    one was begun, and whether it is whole is not known.
    """

    identity: Identity
    exists: bool
    container: ContainerFacts | None
    in_force: int
    unsettled: bool

    @property
    def runs(self) -> bool:
        """Whether it has processes."""
        return self.container is not None and self.container.status.alive

    @property
    def joining(self) -> str:
        """How to come back to one that runs."""
        frozen = self.container is not None and self.container.status is Status.PAUSED
        return f"bottle {'resume' if frozen else 'attach'} {self.identity}"

    @property
    def agent(self) -> str:
        """What its agent does."""
        if self.container is None or not self.runs:
            return f"{self.identity} does not run"
        return f"{self.identity} is paused" if self.container.status is Status.PAUSED else f"{self.identity} runs"


def standing(context: Context, state: BottleState) -> Standing:
    """How a bottle stands now. Raises EngineError, StateDamaged, TwoContainers or NameTaken."""
    return Standing(
        identity=state.identity,
        exists=state.exists(),
        container=context.container(state.identity) if state.exists() else None,
        in_force=in_force(state),
        unsettled=state.intent.read() is not None,
    )


def in_force(state: BottleState) -> int:
    """The number of the commit that resume uses, 0 for none."""
    commit = commit_in_force(state.commits(), state.committed_image())
    return commit.number if commit is not None else 0


def start_interrupted(now: Standing, words: Sequence[str]) -> Interrupted:
    """A start; the bottle that it was to make is what stands."""
    identity = now.identity
    if not now.exists:
        return cut("nothing of the new bottle is left", again(words))
    if now.container is None:
        return cut(f"{identity} was being taken away again: its container is gone", f"bottle rm {identity}")
    if now.runs:
        return cut(now.agent, f"{now.joining}   (or end it: bottle stop {identity})")
    return cut(
        f"{identity} stays, with all its work", f"bottle resume {identity}   (or away with it: bottle rm {identity})"
    )


def commit_interrupted(now: Standing, before: int, words: Sequence[str]) -> Interrupted:
    """A commit; number `before` was in force when it began."""
    if now.in_force != before:
        left, following = f"commit {now.in_force} is made, and in force", f"bottle history {now.identity}"
    elif now.unsettled:
        left, following = "the next commit, or resume, finds out whether it was made", again(words)
    else:
        left, following = "no commit was made", again(words)
    return cut(f"{left}; {now.agent}", following)


def resume_interrupted(now: Standing, before: str | None, same: str, unasked: str) -> Interrupted:
    """A resume; `before` is the id of the container that the bottle had.

    `same` is the same command, and `unasked` the one without a consent: what that let go is no more.
    """
    identity = now.identity
    kept = now.container is not None and now.container.id == before
    if now.runs:
        new = "" if kept or before is None else ", in a new container"
        return cut(f"{now.agent}{new}", now.joining)
    if kept:
        return cut(f"{now.agent}; its container is as it was", same)
    if now.container is None:
        return cut(f"{identity} has no container; its commits are all there", unasked)
    what = "container" if before is None else "new container"
    return cut(f"{identity} has a {what}, which does not run", unasked)


def resume_again(identity: Identity, request: ResumeRequest, *, detach: bool) -> str:
    """The resume that goes on, without a consent to let work go."""
    words = ["bottle", "resume", str(identity)]
    words += ["--at", str(request.at)] if request.at is not None else []
    words += ["--rebuild"] if request.rebuild else []
    words += ["-d"] if detach else []
    words += ["--force"] if request.force else []
    words += ["--remote-control"] if request.once.remote_control else []
    words += ["--", *request.once.command] if request.once.command else []
    return shlex.join(words)


def stop_interrupted(now: Standing, words: Sequence[str]) -> Interrupted:
    """A stop. Docker goes on with one that it has begun, whoever waits for it."""
    left = f"{now.agent} still, unless Docker is ending it" if now.runs else f"{now.agent}; all its work is there"
    return cut(left, again(words))


def rm_interrupted(now: Standing, words: Sequence[str]) -> Interrupted:
    """A deletion, of which the container is the first thing to go, and the state folder the last."""
    if not now.exists:
        return cut(f"{now.identity} is gone", "bottle list")
    if now.container is not None:
        return cut(f"{now.identity} is there, with its container", again(words))
    return cut(f"what was deleted of {now.identity} is gone; the rest goes with the same command", again(words))


def approve_interrupted(
    now: Standing, requests: Iterable[CapabilityRequest], digest: str, words: Sequence[str]
) -> Interrupted:
    """An approval of the request that has `digest`, or begins so."""
    status = next((each.status for each in requests if each.digest.startswith(digest)), None)
    if status is RequestStatus.APPROVED:
        return cut(f"the request is approved; {now.agent}", f"bottle resume {now.identity}")
    left = "the approval was begun" if status is RequestStatus.APPROVING else "nothing was decided"
    return cut(f"{left}; {now.agent}", again(words))


def living(home: StateHome) -> frozenset[Identity]:
    """The bottles that live here."""
    return frozenset(each for each in home.identities() if not (home.bottle(each).path / TOMBSTONE).exists())


def copied_since(home: StateHome, before: frozenset[Identity]) -> list[Identity]:
    """The copies that have come to live here since `before` did: no bottle that somebody started meanwhile."""
    new = (each for each in living(home) - before if home.bottle(each).metadata().copied_from is not None)
    return sorted(new, key=str)


def making_interrupted(home: StateHome, before: frozenset[Identity], words: Sequence[str], *, noun: str) -> Interrupted:
    """A fork or an import, before which the bottles `before` lived here: what it makes is one when it is whole."""
    made = copied_since(home, before)
    if not made:
        return cut(f"no {noun} was made", again(words))
    return cut(f"the {noun} is made, and whole: {', '.join(map(str, made))}", f"bottle resume {made[0]}")


def export_interrupted(now: Standing, file: Path, words: Sequence[str], *, there: bool) -> Interrupted:
    """An export; `there` says that the file was there before, which it never overwrites."""
    if there or not file.exists():
        left, following = f"{file} is as it was" if there else f"there is no {file}", again(words)
    else:
        left, following = f"{file} is written, and whole", shlex.join(("bottle", "import", str(file)))
    return cut(f"{left}; {now.agent}", following)
