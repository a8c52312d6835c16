"""`migrate`: observe, plan, quiesce, stage, verify, hand off. The source owns the bottle until the very last step."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from bottle.errors import Conflict, RemoteError
from bottle.files import tree
from bottle.model import CommitRecord, MigrationPhase, MoveAccount
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.settle import settle
from bottle.operations.still import frozen, stopped
from bottle.plan.guards import require_owned, require_settled
from bottle.store.state import BottleState
from migrate.contents.outside import require_consent, restated
from migrate.contents.packing import outgoing
from migrate.host.destination import Destination
from migrate.host.link_speed import look_at_link
from migrate.host.payload import total
from migrate.host.probe import probe
from migrate.model import Presence
from migrate.move.copies import is_first
from migrate.move.earlier import arrived_before, copied, name_there, was_stopped_by, went_on_since
from migrate.move.estimate import Sample, estimate, work_of
from migrate.move.facts import Observed, observe
from migrate.move.files import (
    beside,
    drop_what_is_stale,
    follow_workspace,
    pack_at_first,
    pack_files,
    send_update,
    stage_files,
    stage_workspace,
)
from migrate.move.handoff import hand_over, has_started
from migrate.move.history import History
from migrate.move.image import bring_image
from migrate.move.live import LiveMove
from migrate.move.model import Delivered, Estimate, Moved, MovePlan
from migrate.move.plan import plan_move
from migrate.move.rehearsal import LEFT, Looked, look_ahead, rehearse, require_possible
from migrate.move.transfer import Transfer
from migrate.move.volumes import retire_volumes
from migrate.ports import Remote
from migrate.secrets.policy import require_clean, send_along


def plan(context: Context, state: BottleState, remote: Remote, options: MoveOptions) -> MovePlan:
    """What a move would do; nothing is changed. Raises what `plan_move` raises, or Conflict for one that was cut."""
    earlier, there = state.migration.read(), name_there(state, remote, options)
    require_settled(state.identity, earlier)
    transfer = Transfer(context=context, state=state, remote=remote, options=options, arrives_as=there)
    seen = observe(transfer)
    is_there = seen.facts.host.presence is Presence.OWNED
    if earlier is not None and earlier.arrives_as == there != state.identity and is_there and is_first(state, there):
        said = copied(state.identity, earlier)
        if options.pulled_by is not None or not went_on_since(context, state, earlier.commit):
            raise Conflict(
                f"{said}, since an earlier run",
                left="nothing was changed on either side",
                next_step="the same command without --plan, which says so and clears up; after that, it copies again",
            )
        goes_on = "it would be brought up to date"
        if options.new:
            goes_on, seen = "another would be made", observe(replace(transfer, arrives_as=Identity.fresh(there.agent)))
        context.progress.note(f"{said}; work has gone on since, so {goes_on}")
    decided = _decide(transfer, seen)
    rehearse(context, seen.facts.metadata, seen.facts.survey.carriable)
    along, looked = _look_ahead(transfer, seen)
    return replace(decided, along=along, estimate=_estimated(transfer, seen, decided, looked))


def look(transfer: Transfer) -> tuple[Observed, MovePlan]:
    """What a move would do, with all that can be refused while the agent works, of one that was not cut handing over.

    Nothing is changed. Raises what `plan` raises.
    """
    _require_asked(transfer.state, transfer.options)
    seen = observe(transfer)
    decided = _decide(transfer, seen)
    if not transfer.options.consent:
        require_consent(decided.left_behind, transfer.identity, left=LEFT)
    rehearse(transfer.context, seen.facts.metadata, seen.facts.survey.carriable)
    along, _ = _look_ahead(transfer, seen)
    return seen, replace(decided, along=along)


def move(
    context: Context,
    state: BottleState,
    remote: Remote,
    options: MoveOptions,
    registered: Callable[[Identity], None] = lambda _: None,
) -> Moved:
    """Move a bottle to another host, or copy it there.

    `registered` is told what it is called there as soon as it is there: what follows is clearing up, and its resume.
    Raises Locked, MovedAway, NotFound, NameTaken, Conflict, PreflightRefused, RemoteError and its kinds, or
    VerificationFailed. On any of them this host still owns the bottle, and the same call goes on where this one
    stopped.
    """
    with state.locked(f"bottle migrate to {remote.name}"):
        _require_asked(state, options)
        there = name_there(state, remote, options)
        transfer = Transfer(context=context, state=state, remote=remote, options=options, arrives_as=there)
        was_stopped = (options.live or options.resume) and was_stopped_by(transfer)
        account = arrived_before(transfer)
        if account is not None:
            done = _Done(
                there=transfer.destination(probe(remote, there, "")),
                account=account,
                starts=options.resume or options.live,
            )
            return _follow_up(transfer, done, registered)
        # A copy that was settled just now leaves its name free.
        transfer = replace(transfer, arrives_as=name_there(state, remote, options))
        return _follow_up(transfer, _run(transfer, was_stopped=was_stopped), registered)


def _require_asked(state: BottleState, options: MoveOptions) -> None:
    """Refuse to move what a standby may have taken over, which was not asked. Raises Conflict."""
    standby = state.standby.read() if not (options.keep or options.asked) else None
    if standby is not None and state.tombstone.read() is None:
        require_owned(state.identity, standby, f"bottle standby {state.identity} {standby.host} --end")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A bottle that is there. `starts`: it is to be started. `live` is how it got there, if its agent worked."""

    there: Destination
    account: MoveAccount
    starts: bool
    live: LiveMove | None = None


def _run(transfer: Transfer, *, was_stopped: bool) -> _Done:
    """All of it, in the order in which it happens. `was_stopped`: by an earlier run, and is to go on there."""
    options = transfer.options
    settle(transfer.context, transfer.state)
    seen = observe(transfer)
    decided = _require_ready(transfer, seen)
    drop_what_is_stale(transfer, decided, seen)
    there, live = transfer.destination(seen.facts.host), None
    history = History(transfer, there, decided, seen.facts)
    history.gather()
    transfer.note(MigrationPhase.QUIESCING, stopped=was_stopped or (options.resume and decided.stops))
    if decided.live:
        live = LiveMove(transfer, there, decided, seen, history)
        live.approach()
        with live.brought_back():
            delivered = live.finish()
            account = _hand_over(transfer, there, decided, delivered)
    else:
        delivered = _deliver(transfer, there, decided, seen, history)
        account = _hand_over(transfer, there, decided, delivered)
    starts = options.resume or was_stopped or (live is not None and live.stopped_at is not None)
    return _Done(there=there, account=account, starts=starts, live=live)


def _deliver(transfer: Transfer, there: Destination, decided: MovePlan, seen: Observed, history: History) -> Delivered:
    """Have all of a bottle there that is held still for it."""
    with _still(transfer, decided) as commit:
        followed = pack_at_first(transfer, there, decided)
        packed = pack_files(transfer, decided, commit, followed, history=history.fitting(commit))
        if transfer.options.keep:
            follow_workspace(transfer, decided, packed)
    transfer.note(MigrationPhase.STAGING, commit.number)
    brought = bring_image(transfer, there, commit, images=seen.images, codec=decided.layer_codec, beside=beside(packed))
    history.bring(commit, brought)
    if packed.workspace is not None:
        stage_workspace(transfer, there, packed.workspace)
    stage_files(transfer, there, packed, commit)
    if not transfer.options.keep:
        follow_workspace(transfer, decided, packed, lambda update: send_update(transfer, there, update))
    return Delivered(
        commit=commit,
        packed=packed,
        staged=total((*brought.staged, *history.staged, *beside(packed))),
        along=(*brought.along, *history.along),
        dropped=(*commit.dropped, *packed.lost),
        history=history.arrived(commit),
        history_stays=history.stays(commit),
    )


def _hand_over(transfer: Transfer, there: Destination, decided: MovePlan, delivered: Delivered) -> MoveAccount:
    packed = delivered.packed
    account = MoveAccount(
        commit=delivered.commit.number,
        workspace=decided.workspace,
        staged=delivered.staged,
        skipped=packed.skipped,
        stays=restated(decided.stays, delivered.history_stays),
        missing_there=decided.missing_there,
        along=delivered.along,
        dropped=delivered.dropped,
        carried=tuple(each.line for each in packed.outside.carried),
        left_behind=packed.outside.left,
        history=delivered.history,
        history_stays=delivered.history_stays,
        refreshed=decided.refreshes is not None,
    )
    return hand_over(
        transfer,
        there,
        account=account,
        decided=decided,
        commit=delivered.commit,
        live=packed.workspace,
    )


def _decide(transfer: Transfer, seen: Observed) -> MovePlan:
    """The plan, once it is known that the bottle can be committed and packed: afterwards it may be stopped."""
    decided = plan_move(seen.facts, seen.workspace)
    workspace = seen.facts.metadata.cwd if decided.lands is not None else None
    reads = not seen.facts.host.root
    require_possible(transfer.context, transfer.state, workspace, commits=decided.commits, owner_reads=reads)
    return decided


def _require_ready(transfer: Transfer, seen: Observed) -> MovePlan:
    """The plan, and all that can be refused while the agent works."""
    decided = _decide(transfer, seen)
    if decided.running and not decided.live:  # whose first round refuses them while the agent works
        _look_ahead(transfer, seen)
    for line in decided.shared:
        transfer.context.progress.note(f"WARNING: {line}")
    if not transfer.options.consent:
        require_consent(decided.left_behind, transfer.identity, left=LEFT)
    rehearse(transfer.context, seen.facts.metadata, seen.facts.survey.carriable)
    return decided


def _look_ahead(transfer: Transfer, seen: Observed) -> tuple[tuple[str, ...], Looked]:
    """Refuse, while the agent works, credentials that would be refused when it is stopped; those that may go along."""
    facts = seen.facts
    looked = look_ahead(
        transfer.context, facts.metadata, facts.container, seen.image, transfer.search, present=facts.present
    )
    subject, next_step = str(transfer.identity), send_along(facts.metadata)
    return require_clean(looked.finds, transfer.allowed, subject=subject, left=LEFT, next_step=next_step), looked


def _estimated(transfer: Transfer, seen: Observed, decided: MovePlan, looked: Looked) -> Estimate | None:
    """About how long it would take, where that can be said; for who pulls, nothing is measured."""
    remote, progress, work = transfer.remote, transfer.context.progress, work_of(seen.facts, decided)
    if transfer.options.pulled_by is not None:
        return None
    if work is None:
        progress.note("how long it would take is not known: how large its volumes are cannot be seen from here")
        return None
    try:
        with progress.phase(f"measuring the line to {remote.name}"):
            link = look_at_link(remote)
    except RemoteError as exc:
        progress.note(f"how long it would take is not known: {exc.what}")
        return None
    return estimate(work, Sample.of(looked.written, looked.seconds), link.limited(transfer.options.rate))


def _still(transfer: Transfer, decided: MovePlan) -> AbstractContextManager[CommitRecord]:
    """Hold the bottle still: a move stops it, a copy pauses it and lets it go on."""
    context, state, keep = transfer.context, transfer.state, transfer.options.keep
    message = f"{'copied' if keep else 'moved'} to {transfer.remote.name}" if decided.commits else None
    if keep:
        return frozen(context, state, message=message, by="a copy")
    return stopped(context, state, running=decided.stops, message=message)


def _follow_up(transfer: Transfer, done: _Done, registered: Callable[[Identity], None]) -> Moved:
    """What comes once it is there. A copy stays on record until the end: a run that is cut here is gone on with."""
    registered(transfer.arrives_as)
    if transfer.options.keep:
        transfer.note_copy(done.account.commit)
    there, live, downtime = done.there, done.live, None
    try:
        resumed = there.resume() if done.starts else None
        downtime = live.stood_still(resumed) if live is not None else None
        if resumed is not None:
            has_started(transfer.state)
    finally:
        _clear(transfer, there)
    transfer.state.migration.clear()
    return Moved(
        identity=transfer.identity,
        arrived_as=transfer.arrives_as,
        host=transfer.remote.name,
        account=done.account,
        resumed=resumed.said if resumed is not None else None,
        rounds=tuple(live.rounds) if live is not None else (),
        downtime=downtime,
    )


def _clear(transfer: Transfer, there: Destination) -> None:
    """The move is done; what cannot be cleared is garbage, and no reason to call it failed."""
    if transfer.options.keep:
        retire_volumes(transfer, there)
    try:
        there.clear()
    except RemoteError as exc:
        transfer.context.progress.note(f"staging on {transfer.remote.name} was not cleared: {exc.what}")
    tree.discard(outgoing(transfer.context, transfer.identity))
