"""`bottle attach`, `bottle exec` and `bottle logs`: what people expect of docker's own."""

import re
from contextlib import closing
from datetime import datetime, timedelta

import click

from bottle.cli.completion import identities
from bottle.cli.output import JSON, answer, note, raw
from bottle.cli.relay import Console, OutputClosed, Relayed
from bottle.cli.session import attend
from bottle.cli.shared import answering, choose, make_context
from bottle.errors import BottleError, Conflict, NotFound, UsageError
from bottle.launch import with_secrets
from bottle.model import ContainerFacts, Status
from bottle.operations import Context
from bottle.plan.guards import require_here, require_output
from bottle.store.state import BottleState

# A moment as docker's client takes it: https://docs.docker.com/reference/cli/docker/container/logs/
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)([a-zµ]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_EXPECTED = "expected a duration such as 10m or 1h30m, or a time such as 2026-01-02T15:04:05"


@click.command()
@click.argument("identity", required=False, shell_complete=identities)
@answering
def attach(identity: str | None, form: str) -> None:
    """Join the session of a bottle that runs. Ctrl-P Ctrl-Q leaves it again, and it goes on.

    \b
    Example:
      bottle attach claude-x7k2p

    Exit codes that matter: the agent's own; 3 no such bottle or it does not run, 4 paused or moved, 5 Docker.
    """
    context = make_context()
    state = choose(context, identity, "attached")
    container = _running(context, state, "attach to")
    document = {"identity": str(state.identity), "container": container.name}
    attend(context, state, form=form, document=document, remove=False, begin=False)


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("identity", shell_complete=identities)
@click.argument("words", metavar="-- CMD…", nargs=-1, required=True, type=click.UNPROCESSED)
@answering
def exec_command(identity: str, words: tuple[str, ...], form: str) -> None:
    """Run one more command in a bottle that runs, with the agent's user, folder and secrets.

    On a terminal it gets one of its own; Ctrl-P Ctrl-Q leaves it running.

    \b
    Example:
      bottle exec claude-x7k2p -- git status
      bottle exec claude-x7k2p -- /bin/sh

    Exit codes that matter: the command's own; 3 no such bottle or it does not run, 4 paused or moved, 5 Docker.
    """
    context = make_context()
    state = context.home.find(identity)
    container = _running(context, state, "run a command in")
    exit_code = _execute(context, container, with_secrets(words) if state.metadata().agent.secrets else words, form)
    if exit_code is None:
        note(f"detached; the command goes on in {state.identity}")
    if form == JSON:
        answer(form, {"identity": str(state.identity), "exit_code": exit_code, "detached": exit_code is None}, ())
    if exit_code:
        raise SystemExit(exit_code)


def moment_meant(text: str) -> datetime:
    """The moment that is meant; one without a zone is this machine's. Raises BadParameter."""
    try:
        return moment(text, datetime.now().astimezone())
    except (ValueError, OverflowError, OSError) as exc:
        raise click.BadParameter(f"{text!r} is no moment: {_EXPECTED}.") from exc


def moment(text: str, now: datetime) -> datetime:
    """The moment that `text` means `now`. Raises ValueError, OverflowError, or OSError as the clock does."""
    if _DURATION.fullmatch(text):
        return now - timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
        return datetime.fromtimestamp(float(text)).astimezone()
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.astimezone()


@click.command()
@click.argument("identity", shell_complete=identities)
@click.option("-f", "--follow", is_flag=True, help="Go on until the agent ends.")
@click.option("-n", "--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@click.option("--since", type=moment_meant, metavar="WHEN", help="Only from then on: 10m ago, or 2026-01-02T15:04:05.")
@click.option("-t", "--timestamps", is_flag=True, help="When each line was written, in front of it.")
@answering
def logs(identity: str, *, follow: bool, tail: int | None, since: datetime | None, timestamps: bool, form: str) -> None:
    """Show what a bottle's agent wrote to its terminal.

    It is shown as it was written, control sequences and all. WHEN is as docker takes it: a duration before now (90s,
    1h30m), a date or a time (of this machine, where it has no zone), or seconds since 1970.

    \b
    Example:
      bottle logs claude-x7k2p --tail 20 -f
      bottle logs claude-x7k2p --since 10m -t

    Exit codes that matter: 2 no such time, 3 no such bottle or no container, 4 it moved away, 5 Docker.
    """
    if follow and form == JSON:
        raise UsageError("--follow has no end that a JSON document could be printed at", next_step="leave one out")
    context = make_context()
    state = context.home.find(identity)
    container = require_output(state.identity, context.container(state.identity), state.tombstone.read())
    chunks = context.engine.logs(container.id, follow=follow, tail=tail, since=since, timestamps=timestamps)
    if form == JSON:
        output = b"".join(chunks).decode("utf-8", "replace")
        answer(form, {"identity": str(state.identity), "output": output}, ())
        return
    for chunk in chunks:
        raw(chunk)


def _running(context: Context, state: BottleState, verb: str) -> ContainerFacts:
    """The bottle's container, which runs. Raises NotFound, Conflict or MovedAway."""
    identity = state.identity
    require_here(identity, state.tombstone.read(), verb)
    container = context.container(identity)
    if container is not None and container.status is Status.PAUSED:
        raise Conflict(
            f"{identity} is paused: by a commit that goes on, or by hand",
            left="nothing was done",
            next_step=f"bottle resume {identity}",
        )
    if container is None or not container.status.alive:
        raise NotFound(f"{identity} does not run", left="nothing was done", next_step=f"bottle resume {identity}")
    return container


def _execute(context: Context, container: ContainerFacts, words: tuple[str, ...], form: str) -> int | None:
    """Run a command until it ends or the user leaves; its exit code, None when it goes on."""
    console = Console.for_form(form)
    execution = context.engine.execute(container.id, words, tty=console.interactive)
    try:
        with closing(execution), Relayed(console, execution) as line:
            left = line.relay(lambda rows, columns: execution.resize(rows=rows, columns=columns))
    except OutputClosed as exc:
        raise BottleError("the command was left: nobody reads its output", left="it may still be running") from exc
    return None if left else execution.exit_code()
