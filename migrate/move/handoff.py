"""The hand-over: from when this host lets go on, the other one owns the bottle.

Who owns the bottle is never in doubt. Until the far state folder has its name, this host does. From then on the far one
does: its folder bears the move's nonce. In between, `migration.json` here says "handing off", and whoever wants to
resume here asks the far host first, which takes back what has not arrived: it cannot arrive afterwards.
"""

from dataclasses import replace

from bottle.errors import PreflightRefused
from bottle.model import MigrationPhase, MigrationRecord, Tombstone
from bottle.operations import Context
from bottle.operations.holdings import what_travels
from bottle.store.state import BottleState
from migrate.contents.git import Git
from migrate.contents.index import edited_since, look
from migrate.contents.packing import own_folder
from migrate.contents.repository import edited_in_repository
from migrate.contents.survey import survey
from migrate.host.ownership import had_arrived
from migrate.ports import Remote


def let_go(
    context: Context, state: BottleState, host_name: str, commit: int | None, edited: tuple[str, ...] = ()
) -> None:
    """The far host owns the bottle, with this commit: say so here, durably. Until `rm` or `prune` all of it stays.

    `edited` is what is newer here than there.
    """
    record = state.migration.read()
    account = record.account if record is not None else None
    state.tombstone.write(
        Tombstone(
            host=host_name,
            moved_at=context.now(),
            arrived=what_travels(state, commit),
            account=replace(account, edited=edited) if account is not None else None,
            nonce=record.nonce if record is not None else None,
        )
    )
    state.migration.clear()


def settle_handoff(context: Context, state: BottleState, record: MigrationRecord, remote: Remote) -> bool:
    """Ask the far host whether a move that was cut while handing over had arrived; true if so.

    Writes what it learns: the tombstone, with what was edited here meanwhile, or that this host is the owner as before.
    The caller holds the lock.
    """
    if record.phase is not MigrationPhase.HANDING_OFF:
        return False
    if had_arrived(remote, state.identity, record.nonce):
        let_go(context, state, record.host, record.commit, edited_here(context, state, record))
        return True
    state.migration.clear()
    return False


def edited_here(context: Context, state: BottleState, record: MigrationRecord) -> tuple[str, ...]:
    """The files of the workspace, and those of repositories that went along with it, which may be newer here.

    Those of a repository elsewhere are absolute paths. Where it cannot be told, that is noted.
    """
    metadata, begun = state.metadata(), int(record.started_at.timestamp() * 10**9)
    if metadata.cwd is None or metadata.copy_cwd:
        return ()
    try:
        edited = edited_since(look(metadata.cwd, own_folder(context.home.path, metadata.cwd)), begun)
        worktrees = survey(metadata.cwd, Git.find(), still=False).carriable
        return (*edited, *(path for each in worktrees for path in edited_in_repository(each, begun)))
    except (OSError, PreflightRefused) as exc:
        why = exc.what if isinstance(exc, PreflightRefused) else exc
        context.progress.note(f"whether somebody worked in {metadata.cwd} meanwhile is not known: {why}")
        return ()
