"""`bottle evacuate`."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import click

from bottle.cli.completion import hosts, identities
from bottle.cli.consent import allow_secrets_option, carried
from bottle.cli.evacuated import (
    evacuation_document,
    evacuation_lines,
    outcome_lines,
    plan_document,
    plan_lines,
    told_error,
)
from bottle.cli.far import connect, identity_file_option, ssh_options
from bottle.cli.goal import host_at
from bottle.cli.interruption import again
from bottle.cli.journal import JOURNAL
from bottle.cli.migrate import bytes_a_second
from bottle.cli.output import JSON, TEXT, Shown, answer, report
from bottle.cli.progress import Labelled
from bottle.cli.several import answered
from bottle.cli.shared import answering, make_context, typed
from bottle.cli.sigint import is_interruption
from bottle.cli.terminal import held_off
from bottle.errors import BottleError, Interrupted, UsageError
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.store.state import BottleState
from migrate import (
    EvacuationPlan,
    Outcome,
    Result,
    SshOptions,
    Target,
    Worker,
    evacuate as have_them_leave,
    observe_all,
    plan_evacuation,
)


@click.command()
@click.argument("host", metavar="[USER@]HOST[:PORT]", shell_complete=hosts)
@click.argument("names", metavar="[IDENTITY]…", nargs=-1, shell_complete=identities)
@click.option("-a", "--all", "everything", is_flag=True, help="All bottles that live here.")
@click.option("--plan", "--dry-run", "plan", is_flag=True, help="Print which of them would go; change nothing.")
@click.option("--live", is_flag=True, help="Bring those that run there while they work; they go on there.")
@click.option("--resume", is_flag=True, help="Start those there that run here, through the bottle installed there.")
@click.option("--jobs", type=click.IntRange(1, 16), default=1, show_default=True, help="Bottles that travel at once.")
@click.option("-y", "--yes", is_flag=True, help="Leave behind what a workspace needs of this host.")
@allow_secrets_option
@identity_file_option
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="Port of the SSH server.")
@click.option("--accept-new-host-key", is_flag=True, help="Trust a host never seen before. A changed key never is.")
@click.option(
    "--limit-rate",
    "rate",
    type=bytes_a_second,
    metavar="RATE",
    help="Send no more bytes a second than this in all, such as 2M.",
)
@answering
def evacuate(
    host: str,
    names: tuple[str, ...],
    *,
    everything: bool,
    plan: bool,
    live: bool,
    resume: bool,
    jobs: int,
    yes: bool,
    allow_secrets: bool,
    keys: tuple[Path, ...],
    port: int | None,
    accept_new_host_key: bool,
    rate: int | None,
    form: str,
) -> None:
    """Move several bottles, or all of them, to another Docker host over SSH.

    Each moves as with `bottle migrate`, and one that cannot go keeps no other here: a table at the end says what went
    and what did not, and why. The same command again goes on.

    Bottles that share a workspace leave together: those of them that run are stopped first, then the workspace travels
    once, with the first of them, and they share it there. One that cannot go stays, and so does the workspace.

    \b
    Example:
      bottle evacuate me@newhost --all --plan
      bottle evacuate me@newhost --all --live
      bottle evacuate me@newhost claude-x7k2p codex-9q1zz --resume

    Exit codes that matter: 1 not all of them went; 2 neither bottles nor --all; 3 no such bottle; 5 Docker here;
    6 SSH or the far host, before any of them was looked at; 130 interrupted, after the table.
    """
    context, goal = make_context(), host_at(host, port)
    states = _chosen(context, names, str(goal), everything=everything)
    share = max(rate // jobs, 1) if rate is not None else None
    asked = MoveOptions(resume=resume, live=live, allow_secrets=allow_secrets, consent=yes, rate=share, keys=keys)
    login = ssh_options(keys, accept_new_host_key=accept_new_host_key)
    with ExitStack() as stack:
        remote = stack.enter_context(connect(goal, login))
        found = observe_all(context, states, remote, asked, lambda state: carried(context, state))
        decided = plan_evacuation(found, remote.name, jobs)
        if plan:
            answer(form, plan_document(decided), plan_lines(decided))
            raise SystemExit(1 if decided.refused or decided.crowded else 0)
        first = Worker(context=context, remote=remote, begins=lambda each: context.progress.note(f"{each}:"))
        workers = [first] if jobs == 1 else _workers(stack, goal, login, min(jobs, len(decided.groups)))
        _perform(decided, workers, asked, form)


def _chosen(context: Context, names: Sequence[str], host: str, *, everything: bool) -> tuple[BottleState, ...]:
    """The bottles that are meant, each once. Raises UsageError, NotFound or AmbiguousIdentity."""
    if everything == bool(names):
        raise UsageError(
            "which bottles are to leave? " + ("either some, or --all" if names else "name them, or say --all"),
            left="nothing was changed",
            next_step=f"bottle evacuate {host} --all --plan",
        )
    if names:
        return tuple({state.identity: state for state in map(context.home.find, names)}.values())
    states = map(context.home.bottle, context.home.identities())
    return tuple(state for state in states if not _lives_elsewhere(state, host))


def _lives_elsewhere(state: BottleState, host: str) -> bool:
    """Whether a bottle has left this host for another one than that."""
    with suppress(BottleError):  # which is told of it when it is looked at
        tombstone = state.tombstone.read()
        return tombstone is not None and tombstone.host != host
    return False


def _workers(stack: ExitStack, goal: Target, login: SshOptions, count: int) -> list[Worker]:
    """Those who move bottles at the same time; what they say has the bottle's name before it."""
    found = []
    for _ in range(max(count, 1)):
        shown = Labelled()
        context = make_context(shown)
        remote = stack.enter_context(connect(goal, login))
        found.append(Worker(context=context, remote=remote, begins=_labelling(shown)))
    return found


def _labelling(shown: Labelled) -> Callable[[Identity], None]:
    def begins(identity: Identity) -> None:
        shown.label = str(identity)

    return begins


def _perform(decided: EvacuationPlan, workers: Sequence[Worker], asked: MoveOptions, form: str) -> None:
    """Do it, telling of each bottle as it is done, and of all of them at the end. Raises SystemExit."""
    outcomes, untold = list[Outcome](), list[Shown]()

    def told(outcome: Outcome) -> None:
        outcomes.append(outcome)
        with held_off():
            if outcome.error is not None:
                JOURNAL.failed(outcome.error)
                report(told_error(outcome.error, outcome.identity, decided.host), TEXT, log=JOURNAL.path)
            untold.extend(outcome_lines(outcome))
            if form != JSON and answered(untold):
                untold.clear()

    context, interruption = workers[0].context, None
    try:
        have_them_leave(
            decided,
            workers,
            asked,
            told,
            carry=lambda state: carried(context, state),
            interrupted=is_interruption,
        )
    except KeyboardInterrupt:
        interruption = Interrupted(
            f"the evacuation to {decided.host} was interrupted",
            left="what went is there, all else is here; the table says which",
            next_step=again(typed()),
        )
    with held_off():
        lines = [*untold, *evacuation_lines(outcomes, decided.host)]
        answer(form, evacuation_document(outcomes, decided.host), lines)
        if interruption is not None:
            report(interruption, TEXT)
            raise SystemExit(interruption.exit_code)
    if any(each.error is not None or each.result not in {Result.WENT, Result.WENT_BEFORE} for each in outcomes):
        raise SystemExit(BottleError.exit_code)
