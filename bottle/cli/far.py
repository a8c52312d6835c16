"""Reaching another host from the command line."""

import sys
from pathlib import Path

from bottle.cli.moved import newer_lines
from bottle.cli.moveplan import SENDING
from bottle.cli.output import note, prompted
from bottle.model import MigrationPhase
from bottle.operations import Context
from bottle.state import BottleState
from migrate.handoff import settle_handoff
from migrate.model import Target
from migrate.ssh import SshOptions, SshRemote


def ssh_options(identity_files: tuple[Path, ...], *, accept_new_host_key: bool = False) -> SshOptions:
    """How to log in: keys, agent and ssh_config; passwords only where somebody can type one."""
    return SshOptions(
        identity_files=identity_files,
        accept_new_host_key=accept_new_host_key,
        ask_password=prompted if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )


def settle_by_asking(context: Context, state: BottleState) -> None:
    """Where a move was cut while it was handed over, ask the other host who owns the bottle, and write it down.

    What was edited here meanwhile is told.
    """
    seen = state.migration()
    if seen is None or seen.phase is not MigrationPhase.HANDING_OFF or seen.pulled_by is not None:
        return  # whoever pulls it cannot be connected to; `resume` says where the answer is
    with state.locked("bottle resume"):
        record = state.migration()
        if record is None or record.nonce != seen.nonce:
            return  # another run has settled it meanwhile, and may have begun anew: `resume` says what is so now
        context.progress.note(f"a move to {record.host} was cut while it was handed over: asking that host")
        keys = tuple(Path(name) for name in record.identity_files)
        with SshRemote.connect(Target.parse(record.host), options=ssh_options(keys)) as remote:
            arrived = settle_handoff(context, state, record, remote)
        tombstone = state.tombstone() if arrived else None
    account = tombstone.account if tombstone is not None else None
    for line in newer_lines(account.edited, account.workspace, SENDING) if account is not None else ():
        note(line)
