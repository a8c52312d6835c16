"""Reaching another host from the command line."""

import sys
from pathlib import Path

from bottle.cli.output import prompted
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
    """Where a move was cut while it was handed over, ask the other host who owns the bottle, and write it down."""
    record = state.migration()
    if record is None or record.phase is not MigrationPhase.HANDING_OFF or record.pulled_by is not None:
        return  # whoever pulls it cannot be connected to; `resume` says where the answer is
    context.progress.note(f"a move to {record.host} was cut while it was handed over: asking that host")
    keys = tuple(Path(name) for name in record.identity_files)
    with (
        state.locked("bottle resume"),
        SshRemote.connect(Target.parse(record.host), options=ssh_options(keys)) as remote,
    ):
        settle_handoff(context, state, record, remote)
