"""`bottle dashboard`."""

import logging
import sys

import click

from bottle.cli.output import on_terminal
from bottle.cli.shared import command, make_context
from bottle.errors import UsageError


@click.command()
@command
def dashboard() -> None:
    """Show bottles and their capability requests on the whole terminal, and decide there; ? lists the keys.

    Keys start agents, join them and follow what they write; they commit, resume, stop, fork, move and delete bottles,
    go back to commits, filter and order. From 120 columns on, what is known of a bottle stands beside the table.

    It needs Textual: pipx install --force 'agent-bottle[dashboard]'.

    \b
    Example:
      bottle dashboard

    Exit codes that matter: 2 no terminal, or Textual is not installed.
    """
    if not on_terminal():
        raise UsageError(
            "the dashboard needs a terminal to be shown on",
            left="nothing was done",
            next_step="bottle list, or bottle capability list",
        )
    try:
        from bottle.dashboard.app import Dashboard  # noqa: PLC0415  # an extra, and half a second
        from bottle.dashboard.desk import Desk  # noqa: PLC0415
        from bottle.dashboard.status import Teller  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in {"textual", "rich"}:
            raise
        raise UsageError(
            "the dashboard needs Textual, which is not installed",
            left="nothing was done",
            next_step="pipx install --force 'agent-bottle[dashboard]'",
        ) from exc
    _keep_logs_off_the_screen()
    teller = Teller()
    app = Dashboard(Desk(make_context(teller)), teller=teller)
    app.run()
    if app.return_code:
        raise SystemExit(app.return_code)


def _keep_logs_off_the_screen() -> None:
    """With --verbose the story goes to stderr, and that is the screen; the log file still has it."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if getattr(each, "stream", None) is sys.stderr]:
        root.removeHandler(handler)
