"""`bottle doctor`."""

from pathlib import Path

import click

from bottle.cli.completion import hosts
from bottle.cli.far import connect, identity_file_option, ssh_options
from bottle.cli.forms import document_of
from bottle.cli.goal import host_meant
from bottle.cli.output import answer, table
from bottle.cli.shared import answering, make_context
from bottle.cli.table import Coloured
from bottle.errors import BottleError, RemoteError
from bottle.model import Endpoint, EngineInfo
from bottle.operations import Check, Context, examine, exit_code
from bottle.operations.doctor import Verdict, endpoint, failed
from migrate import Target, examine_host

_MARKS = {
    Verdict.GOOD: Coloured("ok", "green"),
    Verdict.WARNING: Coloured("WARN", "yellow"),
    Verdict.BAD: Coloured("BAD", "red"),
}


@click.command()
@click.argument("target", metavar="[[USER@]HOST[:PORT]]", required=False, shell_complete=hosts)
@identity_file_option
@click.option("--accept-new-host-key", is_flag=True, help="Trust a host never seen before. A changed key never is.")
@answering
def doctor(target: str | None, keys: tuple[Path, ...], accept_new_host_key: bool, form: str) -> None:
    """Look what is missing here for bottle to work, or on another host for a bottle to move there.

    Nothing is changed, here or there.

    \b
    Example:
      bottle doctor
      bottle doctor me@newhost

    Exit codes that matter: 0 all is well, warnings apart; else that of the worst: 5 Docker here, 6 SSH, 8 the other
    host is not fit, 4 a bottle that moved away runs here, 1 the home or a bottle's state, 2 the manifest.
    """
    context = make_context()
    goal = host_meant(target) if target is not None else None
    if goal is None:
        checks = examine(context, Path.cwd())
    else:
        checks = _examine_far(context, goal, keys, accept_new=accept_new_host_key)
    code = exit_code(checks)
    rows = [(_MARKS[check.verdict], check.name, check.detail) for check in checks]
    advice = [f"next, for {check.name}: {check.next_step}" for check in checks if check.next_step]
    document = {
        "host": str(goal) if goal is not None else None,
        "engine": engine_document(endpoint(context)) if goal is None else None,
        "checks": [
            {**document_of(check, "name", "verdict", "detail"), "next": check.next_step or None} for check in checks
        ],
        "exit_code": code,
    }
    answer(form, document, [*table(("RESULT", "WHAT", "FOUND"), rows), *advice])
    if code:
        raise SystemExit(code)


def _examine_far(context: Context, goal: Target, keys: tuple[Path, ...], *, accept_new: bool) -> tuple[Check, ...]:
    try:
        with connect(goal, ssh_options(keys, accept_new_host_key=accept_new)) as remote:
            here = answering_engine(context)  # for comparison only: what is wrong with it is told without a host
            return examine_host(remote, here if isinstance(here, EngineInfo) else None)
    except RemoteError as exc:
        return (failed("login", exc),)


def answering_engine(context: Context) -> EngineInfo | BottleError:
    """What answers, or why nothing does."""
    try:
        return context.engine.info()
    except BottleError as exc:
        return exc


def engine_document(where: Endpoint | None) -> dict[str, object] | None:
    """Which engine was asked; null where the context that is named is of no use."""
    if where is None:
        return None
    return {"address": where.address, "context": where.context, "from": where.origin or None}
