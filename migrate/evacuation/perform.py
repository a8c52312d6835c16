"""Have bottles leave, one after the other or several at a time: a move each, and an outcome each, whatever happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from bottle.errors import BottleError
from bottle.model import MigrationPhase
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations.settle import settle
from bottle.operations.stop import stop_locked
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from migrate.evacuation.model import Candidate, EvacuationPlan, Outcome, Result
from migrate.evacuation.observe import Carry, is_to_start, is_unfinished, options_for, went_to
from migrate.evacuation.workers import Worker, do_all
from migrate.move.ahead import taken_to
from migrate.move.execute import move
from migrate.move.transfer import Transfer

Group = tuple[Candidate, ...]


def evacuate(
    plan: EvacuationPlan,
    workers: Sequence[Worker],
    asked: MoveOptions,
    told: Callable[[Outcome], None],
    *,
    carry: Carry,
    interrupted: Callable[[BaseException], bool],
) -> None:
    """Move all that the plan lets go, as many at a time as there are `workers`; `told` is told of each bottle, once.

    `asked` is asked of each move; with `resume` or `live`, what runs here goes on there. `carry` says which credentials
    a bottle may take along by its manifest, `interrupted` whether an error came of a Ctrl-C: KeyboardInterrupt is
    raised then, when all has been told.
    """
    untold = {each.identity: each for each in _all(plan)}

    def tell(outcome: Outcome) -> None:
        del untold[outcome.identity]
        told(outcome)

    departure = _Departure(asked, carry, interrupted)
    try:
        for each in plan.refused:
            tell(Outcome(identity=each.identity, result=Result.STAYS, error=each.refusal))
        do_all([*((each,) for each in plan.went), *plan.groups], workers, departure.of, tell)
        do_all([(each,) for each in plan.crowded], workers, departure.of, tell)
    except BaseException:
        for each in tuple(untold.values()):
            state = workers[0].context.home.bottle(each.identity)
            tell(Outcome(identity=each.identity, result=_where(state, each, plan.host)))
        raise


def _all(plan: EvacuationPlan) -> Iterator[Candidate]:
    yield from (*plan.refused, *plan.went, *plan.crowded)
    for group in plan.groups:
        yield from group


def _where(state: BottleState, candidate: Candidate, host: str) -> Result:
    """Where a bottle is, by what is on record of it here."""
    record = state.migration.read()
    if went_to(state.tombstone.read(), host):
        return Result.WENT_BEFORE if candidate.went else Result.WENT
    if record is not None and record.phase is MigrationPhase.HANDING_OFF:
        return Result.UNKNOWN
    return Result.STAYS


@dataclass(frozen=True, slots=True)
class _Departure:
    """How a group of bottles leaves."""

    asked: MoveOptions
    carry: Carry
    interrupted: Callable[[BaseException], bool]

    def of(self, worker: Worker, group: Group) -> Iterator[Outcome]:
        """Move them; where they share a workspace, nobody works in it from when the first one goes."""
        held, failed = self._hold(worker, group) if len(group) > 1 else (set[Identity](), {})
        for each in group:
            if each.identity in failed:
                yield Outcome(identity=each.identity, result=Result.STAYS, error=failed[each.identity])
            else:
                yield self._one(worker, each, alone=len(group) == 1, held=each.identity in held)

    def _hold(self, worker: Worker, group: Group) -> tuple[set[Identity], dict[Identity, BottleError]]:
        """Stop those that run; which those were, and which could not be stopped."""
        held, failed = set[Identity](), dict[Identity, BottleError]()
        for each in group:
            worker.begins(each.identity)
            try:
                if self._stop(worker, each.identity):
                    held.add(each.identity)
            except Exception as exc:  # noqa: BLE001  (`_told` raises what is no answer)
                failed[each.identity] = self._told(exc)
        return held, failed

    def _stop(self, worker: Worker, identity: Identity) -> bool:
        context, remote, state = worker.context, worker.remote, worker.context.home.bottle(identity)
        with state.locked(f"bottle evacuate to {remote.name}"):
            if _where(state, Candidate(identity=identity), remote.name) is not Result.STAYS:
                return False  # what was cut handing over is asked about by its move
            settle(context, state)
            container = context.container(identity)
            if container is None or not container.status.alive:
                return is_to_start(state, remote.name)
            options = options_for(context, state, remote.name, self.asked, alone=False)
            transfer = Transfer(context=context, state=state, remote=remote, options=options, arrives_as=identity)
            transfer.note(MigrationPhase.QUIESCING, stopped=options.resume)  # first: a session's end deletes it else
            for note in stop_locked(context, state, grace=10).notes:
                context.progress.note(note)
        return True

    def _one(self, worker: Worker, candidate: Candidate, *, alone: bool, held: bool) -> Outcome:
        context, remote, identity = worker.context, worker.remote, candidate.identity
        state = context.home.bottle(identity)
        worker.begins(identity)
        try:
            options = options_for(context, state, remote.name, self.asked, alone=alone)
            if candidate.went and not (options.resume or is_unfinished(context, state)):
                return Outcome(identity=identity, result=Result.WENT_BEFORE, place=_place(state))
            moved = move(context, state, remote, replace(options, carry=self.carry(state)))
        except Exception as exc:  # noqa: BLE001  (the same)
            error, result = self._told(exc), _where(state, candidate, remote.name)
            if result is Result.STAYS:
                _say_what_is_so(error, context.home, state, remote.name, held=held)
            return Outcome(identity=identity, result=result, error=error, place=_place(state))
        result = Result.WENT_BEFORE if candidate.went else Result.WENT
        return Outcome(identity=identity, result=result, moved=moved, place=moved.account.workspace)

    def _told(self, exc: Exception) -> BottleError:
        """What is told of what went wrong with one bottle. Raises it if it is no answer for that one alone."""
        if self.interrupted(exc):
            raise KeyboardInterrupt from exc
        match exc:
            case BottleError():
                return exc
            case OSError():
                return BottleError(f"the operating system refused: {exc}", next_step="df -h .; the same command again")
        raise exc


def _say_what_is_so(error: BottleError, home: StateHome, state: BottleState, host: str, *, held: bool) -> None:
    """What a move does not know of one that stays: it was stopped before that, and its workspace may be there too."""
    if held:
        staying = f"bottle resume {state.identity}"
        error.left = "this host still owns the bottle, which was stopped to leave with others; all its work is here"
        if staying not in error.next_step:
            first = f"{error.next_step}; or " if error.next_step else ""
            error.next_step = f"{first}to stay on this host: {staying}"
    taken = None
    with suppress(BottleError):  # of a state that is damaged
        taken = next(taken_to(home, state, host), None)
    if taken is not None:
        here = f"its workspace is here, and since {taken.by.identity} left, at {taken.place} on {host}, too"
        error.left = f"{error.left}; {here}" if error.left else here


def _place(state: BottleState) -> str | None:
    tombstone = state.tombstone.read()
    return tombstone.account.workspace if tombstone is not None and tombstone.account is not None else None
