"""Reaching another host from the command line."""

import socket
import sys
from pathlib import Path
from typing import Any

import click

from bottle.cli.hosts import host_names
from bottle.cli.moved import newer_lines
from bottle.cli.movewords import SENDING
from bottle.cli.output import note, prompted
from bottle.errors import RemoteError
from bottle.model import MigrationPhase
from bottle.operations import Context
from bottle.store.state import BottleState
from bottle.suggest import did_you_mean
from migrate import SshOptions, SshRemote, Target, require_ownership, settle_handoff
from migrate.transport.ssh import require_key_file


class _KeyFile(click.Path):
    """A file that somebody can log in with, as an absolute path."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`value`, if it is one. Raises UsageError."""
        path = Path(value).absolute()
        require_key_file(path)
        return path


identity_file_option = click.option(
    "-i", "--identity-file", "keys", metavar="KEY", multiple=True, type=_KeyFile(), help="Log in with the key file KEY."
)


def ssh_options(identity_files: tuple[Path, ...], *, accept_new_host_key: bool = False) -> SshOptions:
    """How to log in: keys, agent and ssh_config; passwords only where somebody can type one."""
    return SshOptions(
        identity_files=identity_files,
        accept_new_host_key=accept_new_host_key,
        ask_password=prompted if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )


def connect(goal: Target, options: SshOptions) -> SshRemote:
    """Log in to a host. Raises what `SshRemote.connect` raises; a name that is none may be one that is known here."""
    try:
        return SshRemote.connect(goal, options=options)
    except RemoteError as exc:
        if isinstance(exc.__cause__, socket.gaierror):
            names = host_names()
            exc.what += did_you_mean(goal.host, names) if goal.host not in names else ""
        raise


def ask_the_standby(context: Context, state: BottleState, knowing: str = "", *, lets_go: bool = True) -> None:
    """Have the host that stands by for a bottle, if one does, say that it has not taken it over.

    `knowing` is what to type where somebody knows that. Raises Fenced where it has, or RemoteError; without `lets_go`
    nothing is changed here.
    """
    standby = state.standby.read()
    if standby is None or state.tombstone.read() is not None:
        return
    context.progress.note(f"{standby.host} stands by: asking it whether it has taken {state.identity} over")
    keys = tuple(Path(name) for name in standby.identity_files)
    try:
        with connect(Target.parse(standby.host), ssh_options(keys)) as remote:
            require_ownership(context, state, remote, lets_go=lets_go)
    except RemoteError as exc:
        exc.what = f"whether {standby.host} has taken {state.identity} over is not known: {exc.what}"
        exc.left = "nothing was changed"
        knowing = knowing or f"bottle standby {state.identity} {standby.host} --end; then the same command again"
        exc.next_step = f"the same command again   (knowing that it has not: {knowing})"
        raise


def settle_by_asking(context: Context, state: BottleState) -> None:
    """Where a move was cut while it was handed over, ask the other host who owns the bottle, and write it down.

    What was edited here meanwhile is told.
    """
    seen = state.migration.read()
    if seen is None or seen.phase is not MigrationPhase.HANDING_OFF or seen.pulled_by is not None:
        return  # whoever pulls it cannot be connected to; `resume` says where the answer is
    with state.locked("bottle resume"):
        record = state.migration.read()
        if record is None or record.nonce != seen.nonce:
            return  # another run has settled it meanwhile, and may have begun anew: `resume` says what is so now
        context.progress.note(f"a move to {record.host} was cut while it was handed over: asking that host")
        keys = tuple(Path(name) for name in record.identity_files)
        with connect(Target.parse(record.host), ssh_options(keys)) as remote:
            arrived = settle_handoff(context, state, record, remote)
        tombstone = state.tombstone.read() if arrived else None
    account = tombstone.account if tombstone is not None else None
    for line in newer_lines(account.edited, account.workspace, SENDING) if account is not None else ():
        note(line)
