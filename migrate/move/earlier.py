"""What an earlier run of the same move has done: it is gone on with, or told, and never done twice."""

from bottle.errors import Conflict, MovedAway
from bottle.model import MigrationPhase, MigrationRecord, MoveAccount
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.settle import settle
from bottle.plan.guards import require_settled
from bottle.plan.history import commit_in_force, is_frozen_in
from bottle.store.state import BottleState
from migrate.host.commands import Clear
from migrate.host.ownership import had_arrived
from migrate.host.probe import probe
from migrate.model import Presence
from migrate.move.copies import copy_on, is_copy
from migrate.move.handoff import settle_handoff
from migrate.move.transfer import Transfer
from migrate.move.volumes import retire_volumes
from migrate.ports import Remote


def name_there(state: BottleState, remote: Remote, options: MoveOptions) -> Identity:
    """What moves keeps its own; a copy gets a fresh one, and the same when it is tried again or brought up to date.

    One that is to be a `new` copy has none that was there before.
    """
    if not options.keep or options.standby:
        return state.identity
    made = copy_on(state, remote.name) if options.pulled_by is None else None
    earlier = state.migration.read()
    if (
        earlier is not None
        and earlier.arrives_as is not None
        and earlier.arrives_as != state.identity
        and _same_goal(earlier, remote, options)
        and not (options.new and earlier.arrives_as == made)
    ):
        return earlier.arrives_as
    return made if made is not None and not options.new else Identity.fresh(state.identity.agent)


def copied(identity: Identity, earlier: MigrationRecord) -> str:
    """What is said of a copy that is there."""
    return f"the copy of commit {earlier.commit} of {identity} is on {earlier.host}, as {earlier.arrives_as}"


def went_on_since(context: Context, state: BottleState, number: int | None) -> bool:
    """Whether there is work that commit `number` cannot hold; of one that runs only what it committed is known."""
    commit = commit_in_force(state.commits(), state.committed_image())
    if commit is None or commit.number != number:
        return True
    container = context.container(state.identity)
    return container is not None and not container.status.alive and not is_frozen_in(container, (commit,))


def arrived_before(transfer: Transfer) -> MoveAccount | None:
    """What an earlier run brought to this very host, if only its end was cut off; None where it is still to be done.

    What it learns of a hand-over it writes down. Raises Conflict for one that was cut on its way to another host.
    """
    state, remote, options = transfer.state, transfer.remote, transfer.options
    earlier = state.migration.read()
    if earlier is not None and earlier.phase is MigrationPhase.HANDING_OFF:
        if options.keep or not _same_goal(earlier, remote, options):
            require_settled(state.identity, earlier)
        arrived = settle_handoff(transfer.context, state, earlier, remote)
    elif options.keep:
        arrived = _copied_before(transfer, earlier)
    else:
        arrived = _moved_before(transfer.context, state, remote)
    return _account(transfer) if arrived else None


def was_stopped_by(transfer: Transfer) -> bool:
    """Whether an earlier run to this very host, a live one, was cut when it had stopped the agent."""
    earlier = transfer.state.migration.read()
    return earlier is not None and earlier.stopped and _same_goal(earlier, transfer.remote, transfer.options)


def _same_goal(earlier: MigrationRecord, remote: Remote, options: MoveOptions) -> bool:
    """Whether an earlier run was to the very host of this one; hosts that pull may share a name, but not an id."""
    return earlier.pulled_by == options.pulled_by and (options.pulled_by is not None or earlier.host == remote.name)


def _moved_before(context: Context, state: BottleState, remote: Remote) -> bool:
    """Whether this host let the bottle go to that one, which still owns it."""
    tombstone = state.tombstone.read()
    if tombstone is None or tombstone.host != remote.name:
        return False
    presence = probe(remote, state.identity, "").presence
    if presence is Presence.MOVED:
        raise MovedAway(
            f"{state.identity} moved to {remote.name}, and has moved on from there",
            left="nothing was changed",
            next_step=f"there: bottle inspect {state.identity}",
        )
    # What bears its name there need not be it; and whoever is pulled from has to show that it brought it.
    nonce = tombstone.nonce
    if presence is not Presence.OWNED:
        return False
    return nonce is None or had_arrived(remote, state.identity, nonce, context.progress)


def _copied_before(transfer: Transfer, earlier: MigrationRecord | None) -> bool:
    """Whether the copy that an earlier run was making is there, and is still what was asked for.

    A copy or a standby that was to be replaced, and was not, is in its place again afterwards.
    """
    context, state, copy = transfer.context, transfer.state, transfer.arrives_as
    if transfer.options.standby or earlier is None or earlier.arrives_as != copy:
        if transfer.options.standby or is_copy(state, copy):
            had_arrived(transfer.remote, copy, transfer.nonce, context.progress)
        return False
    if not had_arrived(transfer.remote, copy, earlier.nonce, context.progress):
        return False
    settle(context, state)
    said = copied(state.identity, earlier)
    if not went_on_since(context, state, earlier.commit):
        context.progress.note(f"{said}, since an earlier run; what was done after that commit is not in it")
        return True
    retire_volumes(transfer, transfer.destination(probe(transfer.remote, copy, "")))
    transfer.remote.run(Clear(identity=copy).command())
    if earlier.commit is not None:
        transfer.note_copy(earlier.commit)
    state.migration.clear()
    if transfer.options.pulled_by is not None:  # whoever pulls takes one bottle at a time
        raise Conflict(
            f"{said}, and work has gone on since",
            left=f"{copy} stays as it is; this host goes on with {state.identity}",
            next_step="the same command again makes another copy, of what is here now",
        )
    context.progress.note(f"{said}; work has gone on since, so it is brought up to date")
    return False


def _account(transfer: Transfer) -> MoveAccount:
    """What an earlier run did, by its own account."""
    state = transfer.state
    told = state.migration.read() if transfer.options.keep else state.tombstone.read()
    if told is not None and told.account is not None:
        return told.account
    commit = commit_in_force(state.commits(), state.committed_image())
    there = f"{transfer.arrives_as} is on {transfer.remote.name}"
    transfer.context.progress.note(f"{there} since an earlier run, which did not write down what it sent")
    return MoveAccount(commit=commit.number if commit else 0, dropped=commit.dropped if commit else ())
