"""The hand-over: from when this host lets go on, the other one owns the bottle.

Who owns the bottle is never in doubt. Until the far state folder has its name, this host does. From then on the far one
does: its folder bears the move's nonce. In between, `migration.json` here says "handing off", and whoever wants to
resume here asks the far host first, which takes back what has not arrived: it cannot arrive afterwards.
"""

from dataclasses import replace

from bottle.errors import Conflict, ConnectionLost, PreflightRefused, RemoteError
from bottle.model import CommitRecord, MigrationPhase, MigrationRecord, MoveAccount, Tombstone
from bottle.operations import Context
from bottle.operations.holdings import what_travels
from bottle.plan.history import is_frozen_in
from bottle.store.state import BottleState
from migrate.contents.git import Git
from migrate.contents.index import edited_since, look
from migrate.contents.left import listing
from migrate.contents.live_folder import LiveFolder
from migrate.contents.packing import own_folder
from migrate.contents.repository import edited_in_repository
from migrate.contents.survey import survey
from migrate.host.destination import Destination
from migrate.host.ownership import had_arrived
from migrate.host.probe import probe
from migrate.model import WorkspacePlace
from migrate.move.ahead import require_ahead
from migrate.move.model import MovePlan
from migrate.move.refusals import require_unused
from migrate.move.transfer import Transfer
from migrate.ports import Remote


def hand_over(
    transfer: Transfer,
    there: Destination,
    *,
    account: MoveAccount,
    decided: MovePlan,
    commit: CommitRecord,
    live: LiveFolder | None,
) -> MoveAccount:
    """The last step. What moves has, from here on, an owner that only the far host knows; a copy has two.

    `account` with what somebody did in the `live` workspace in this very moment: it is here only.
    """
    keep, workspace, joined = transfer.options.keep, decided.lands, None
    if workspace is not None and there.host.workspace is WorkspacePlace.LEFT:
        require_unused(probe(transfer.remote, transfer.arrives_as, workspace), transfer.remote.name, workspace)
    if not keep:
        _require_rested(transfer, commit)
        joined = require_ahead(transfer, decided) if decided.joins is not None else None
        left = _left(transfer, live, account) if joined is None else joined.left
        transfer.state.note_workspace_left(left)
    transfer.note(MigrationPhase.STAGING if keep else MigrationPhase.HANDING_OFF, commit.number, account)
    with transfer.context.progress.phase(f"handing over to {transfer.remote.name}"):
        try:
            there.register(transfer.nonce, workspace)
        except RemoteError as exc:
            if isinstance(exc, ConnectionLost) or not _arrived_all_the_same(transfer):
                raise
    if transfer.options.standby:  # not before: by it is known later what is newer here than there
        transfer.state.note_workspace_left(_left(transfer, live, account))
    if keep:
        return account
    edited = _edited_at_last(transfer, live) if live is not None else ()
    edited += joined.worked_in() if joined is not None else ()
    let_go(transfer.context, transfer.state, transfer.remote.name, commit.number, edited)
    return replace(account, edited=edited)


def _left(transfer: Transfer, live: LiveFolder | None, account: MoveAccount) -> bytes | None:
    """What the workspace is as it leaves; None where what is there is more than what travels, or something else."""
    if live is None or account.carried or own_folder(transfer.context.home.path, live.folder):
        return None
    return listing(live.folder, live.index)


def _edited_at_last(transfer: Transfer, live: LiveFolder) -> tuple[str, ...]:
    """The bottle is there: whatever is found here now, it is to be said and no more."""
    try:
        return live.edited()
    except PreflightRefused as exc:
        said = f"{exc.what}: whether somebody worked there during the hand-over is not known"
        transfer.context.progress.note(said)
        return ()


def _require_rested(transfer: Transfer, commit: CommitRecord) -> None:
    """Refuse to hand over a bottle that was started while it travelled: what it did since is in no commit."""
    container = transfer.context.container(transfer.identity)
    if container is not None and not is_frozen_in(container, (commit,)):
        raise Conflict(
            f"{container.name} was started by something else while {transfer.identity} travelled",
            left="this host still owns the bottle, and its work is all here",
            next_step="the same command again: it stops the bottle and sends what is new",
        )


def _arrived_all_the_same(transfer: Transfer) -> bool:
    """The far side says that it failed: have it say who owns the bottle, so that nobody needs to ask later."""
    if transfer.options.keep:
        return False
    arrived = had_arrived(transfer.remote, transfer.arrives_as, transfer.nonce, transfer.context.progress)
    if not arrived:
        transfer.state.note_workspace_left(None)
        transfer.state.migration.clear()
    return arrived


def let_go(
    context: Context, state: BottleState, host_name: str, commit: int | None, edited: tuple[str, ...] = ()
) -> None:
    """The far host owns the bottle, with this commit: say so here, durably. Until `rm` or `prune` all of it stays.

    `edited` is what is newer here than there.
    """
    record = state.migration.read()
    account = record.account if record is not None else None
    history = account.history if account is not None else ()
    state.tombstone.write(
        Tombstone(
            host=host_name,
            moved_at=context.now(),
            arrived=what_travels(state, _with(commit, history)),
            account=replace(account, edited=edited) if account is not None else None,
            nonce=record.nonce if record is not None else None,
            starts=record is not None and record.stopped,
        )
    )
    state.migration.clear()


def has_started(state: BottleState) -> None:
    """Note of a bottle that moved away that its agent, which was stopped for that, goes on there."""
    tombstone = state.tombstone.read()
    if tombstone is not None and tombstone.starts:
        state.tombstone.write(replace(tombstone, starts=False))


def _with(commit: int | None, history: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({*history, commit} if commit is not None else history))


def settle_handoff(context: Context, state: BottleState, record: MigrationRecord, remote: Remote) -> bool:
    """Ask the far host whether a move that was cut while handing over had arrived; true if so.

    Writes what it learns: the tombstone, with what was edited here meanwhile, or that this host is the owner as before.
    The caller holds the lock.
    """
    if record.phase is not MigrationPhase.HANDING_OFF:
        return False
    if had_arrived(remote, state.identity, record.nonce, context.progress):
        let_go(context, state, record.host, record.commit, edited_here(context, state, record))
        return True
    state.note_workspace_left(None)
    state.migration.clear()
    return False


def edited_here(context: Context, state: BottleState, record: MigrationRecord) -> tuple[str, ...]:
    """The files of the workspace, and those of repositories that went along with it, which may be newer here.

    Those of a repository elsewhere are absolute paths. Where it cannot be told, that is noted.
    """
    metadata, begun = state.metadata(), int(record.started_at.timestamp() * 10**9)
    workspace = metadata.mounted
    if workspace is None:
        return ()
    try:
        edited = edited_since(look(workspace, own_folder(context.home.path, workspace)), begun)
        worktrees = survey(workspace, Git.find(), still=False).carriable
        return (*edited, *(path for each in worktrees for path in edited_in_repository(each, begun)))
    except (OSError, PreflightRefused) as exc:
        why = exc.what if isinstance(exc, PreflightRefused) else exc
        context.progress.note(f"whether somebody worked in {workspace} meanwhile is not known: {why}")
        return ()
