"""`bottle resume`."""

from contextlib import AbstractContextManager
from dataclasses import replace
from shlex import join

import click

from bottle import operations
from bottle.cli.aftermath import resume_again, resume_interrupted, standing
from bottle.cli.completion import commits, identities
from bottle.cli.forms import document_of
from bottle.cli.interruption import again, cut, explained
from bottle.cli.output import confirmed, note, on_terminal
from bottle.cli.session import attend, begun_document, begun_lines
from bottle.cli.several import Done, one_by_one
from bottle.cli.shared import WithCommand, answering, choose, make_context, typed
from bottle.errors import Interrupted, NeedsConsent, UsageError
from bottle.launch import Once
from bottle.model import Agent
from bottle.operations import Context, Resumed, observe_resume, require_resumable
from bottle.plan.resume import FromCommit, ResumePlan, ResumeRequest, StartAgain, plan_resume
from bottle.store.state import BottleState


@click.command(cls=WithCommand)
@click.argument("names", metavar="[IDENTITY]…", nargs=-1, shell_complete=identities)
@click.option("--at", type=int, metavar="N", shell_complete=commits, help="Go back to commit N.")
@click.option("--rebuild", is_flag=True, help="Build from the Dockerfile though a commit exists.")
@click.option("-d", "--detach", is_flag=True, help="Leave it running in the background.")
@click.option("--force", is_flag=True, help="Take back a bottle that moved to another host.")
@click.option("-y", "--yes", is_flag=True, help="With --at or --rebuild: let work newer than the commit go.")
@click.option("--remote-control", is_flag=True, help="Add the agent's `remote_control` arguments, this once.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@answering
def resume(
    names: tuple[str, ...],
    words: tuple[str, ...],
    *,
    at: int | None,
    rebuild: bool,
    detach: bool,
    force: bool,
    yes: bool,
    remote_control: bool,
    dry_run: bool,
    form: str,
) -> None:
    """Bring a bottle back, by the first of these that works, and say which it was.

    \b
    1. it runs: attach
    2. its stopped container holds work newer than the last commit: start that
    3. a capability request was approved since its last commit: build its own Dockerfile, restore the transcript
    4. its committed image is here: a new container from it, nothing is built
    5. build from its own Dockerfile or its agent's, and restore the transcript

    \b
    Example:
      bottle resume claude-x7k2p
      bottle resume claude-x7k2p --at 2
      bottle resume claude-x7k2p --remote-control
      bottle resume claude-x7k2p -- /bin/sh     this once, instead of the agent
      bottle resume -d $(bottle list -q --filter state=stopped)

    Where a move was cut while it was handed over, the other host is asked who owns the bottle, and the answer is
    written down: with --dry-run too, as nothing can be said without it. A host that stands by is asked whether it has
    taken the bottle over; where it has, what is newer here becomes a bottle of its own.

    It runs the agent's `resume_command`, or its `command` where it has none. CMD and --remote-control are for this
    once; what runs already cannot be told to run something else.

    Exit codes that matter: 2 no `remote_control` in the manifest, 3 nothing to resume from, 4 moved away, newer work
    in the way, or it runs something else; 5 Docker.
    """
    if rebuild and at is not None:
        raise UsageError("--at goes back to a commit and --rebuild does without one", next_step="leave one out")
    _require_one(names, at=at, seen=not detach and not dry_run)
    context = make_context()
    names = names or (str(choose(context, None, "taken back" if force else "resumed").identity),)
    once = Once(command=words, remote_control=remote_control)
    request = ResumeRequest(at=at, rebuild=rebuild, force=force, consent=yes, once=once)
    if dry_run:
        one_by_one(context.home, names, form, lambda state: _foreseen(context, state, request))
    elif detach:
        with explained(_between):
            one_by_one(context.home, names, form, lambda state: _begun(context, state, request, alone=len(names) == 1))
    else:
        state = context.home.find(names[0])
        with _looked_at(context, state, request, detach=False, alone=True):
            resumed, document = _resumed(context, state, request, begin=False, tty=on_terminal())
            attend(context, state, form=form, document=document, remove=False, begin=not resumed.running)


def _looked_at(
    context: Context, state: BottleState, request: ResumeRequest, *, detach: bool, alone: bool
) -> AbstractContextManager[None]:
    """Where the resume of one bottle is interrupted, say what is so then. `alone`: it was the only one named."""
    before, unasked = state.container_id(), resume_again(state.identity, request, detach=detach)
    same = again(typed()) if alone else unasked
    return explained(lambda: resume_interrupted(standing(context, state), before, same, unasked))


def _between() -> Interrupted:
    """What holds before one of several is resumed, and when the last one was."""
    return cut("what was resumed is resumed; the rest is as it was", "bottle list")


def _require_one(names: tuple[str, ...], *, at: int | None, seen: bool) -> None:
    if len(names) < 2:
        return
    if at is not None:
        raise UsageError("--at N is a commit of one bottle, and several are named", next_step="name one")
    if seen:
        raise UsageError(
            "a terminal shows one bottle, and several are named",
            next_step="the same command with -d; what is to run instead of the agent goes behind --",
        )


def _settle(context: Context, state: BottleState, *, lets_go: bool) -> None:
    """Learn from another host who owns the bottle: where a move was cut while it was handed over, or one stands by."""
    if state.migration.read() is None and state.standby.read() is None:
        return
    from bottle.cli.far import ask_the_standby, settle_by_asking  # noqa: PLC0415  (SSH takes long to load)

    settle_by_asking(context, state)
    container = context.container(state.identity)
    if container is None or not container.status.alive:
        ask_the_standby(context, state, f"bottle resume {state.identity} --force", lets_go=lets_go)


def _foreseen(context: Context, state: BottleState, request: ResumeRequest) -> Done:
    if not request.force:
        _settle(context, state, lets_go=False)
        request = replace(request, asked=True)
    if state.intent.read() is not None:
        note("a commit that was cut is settled first, which may change the answer")
    agent = state.metadata().agent
    plan = plan_resume(observe_resume(context, state, request), request)
    require_resumable(context, agent, plan)
    document = {
        "identity": str(state.identity),
        "plan": type(plan).__name__,
        "row": plan.row,
        "remote_control": request.once.remote_control,
        "command": list(plan.command.now) if isinstance(plan, StartAgain | FromCommit) else None,
    }
    return Done(
        document=document, lines=[f"would resume {state.identity}: {plan.row}{_runs(plan, agent, request.once)}"]
    )


def _begun(context: Context, state: BottleState, request: ResumeRequest, *, alone: bool) -> Done:
    with _looked_at(context, state, request, detach=True, alone=alone):
        resumed, document = _resumed(context, state, request, begin=True, tty=True)
    return Done(
        document={**document, **begun_document(resumed.ended)}, lines=begun_lines(resumed.identity, resumed.ended)
    )


def _resumed(
    context: Context, state: BottleState, request: ResumeRequest, *, begin: bool, tty: bool
) -> tuple[Resumed, dict[str, object]]:
    """Bring one back and say how; what it was, for programs."""
    if not request.force:
        _settle(context, state, lets_go=True)
        request = replace(request, asked=True)
    try:
        resumed = operations.resume(context, state, request, begin=begin, tty=tty)
    except NeedsConsent as exc:
        if not on_terminal() or not confirmed(f"{exc.what}. Let it go?"):
            raise
        resumed = operations.resume(context, state, replace(request, consent=True), begin=begin, tty=tty)
    note(f"resuming {resumed.identity}: {resumed.plan.row}")
    for warning in resumed.warnings:
        note(f"WARNING: {warning}")
    return resumed, {
        **document_of(resumed, "identity", "container", "warnings"),
        "plan": type(resumed.plan).__name__,
        "row": resumed.plan.row,
    }


def _runs(plan: ResumePlan, agent: Agent, once: Once) -> str:
    """What it will run; of an image that is built first, only what is asked for is known."""
    if isinstance(plan, StartAgain | FromCommit):
        return f"; it runs {join(plan.command.now)}"
    asked = (*once.command, *(agent.remote_control if once.remote_control else ()))
    return f"; with {join(asked)}" if asked else ""
