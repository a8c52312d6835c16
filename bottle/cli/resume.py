"""`bottle resume`."""

from dataclasses import replace
from shlex import join

import click

from bottle.cli.aftermath import resume_again, resume_interrupted, standing
from bottle.cli.begun import begun_document, begun_lines
from bottle.cli.behind import WithCommand
from bottle.cli.completion import commits, identities
from bottle.cli.far import settle_by_asking
from bottle.cli.interruption import explained
from bottle.cli.output import answer, confirmed, note, on_terminal
from bottle.cli.session import attend
from bottle.cli.shared import choose, command, format_option, make_context, typed
from bottle.errors import NeedsConsent, UsageError
from bottle.launch import Once
from bottle.model import Agent
from bottle.operations import Context, observe_resume, require_launchable
from bottle.operations import resume as bring_back
from bottle.plan import Attach, FromCommit, ResumePlan, ResumeRequest, StartAgain, plan_resume
from bottle.state import BottleState


@click.command(cls=WithCommand)
@click.argument("identity", required=False, shell_complete=identities)
@click.option("--at", type=int, metavar="N", shell_complete=commits, help="Go back to commit N.")
@click.option("--rebuild", is_flag=True, help="Build from the Dockerfile though a commit exists.")
@click.option("-d", "--detach", is_flag=True, help="Leave it running in the background.")
@click.option("--force", is_flag=True, help="Take back a bottle that moved to another host.")
@click.option("-y", "--yes", is_flag=True, help="With --at or --rebuild: let work newer than the commit go.")
@click.option("--remote-control", is_flag=True, help="Add the agent's `remote_control` arguments, this once.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@format_option
@command
def resume(
    identity: str | None,
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

    Where a move was cut while it was handed over, the other host is asked who owns the bottle, and the answer is
    written down: with --dry-run too, as nothing can be said without it.

    It runs the agent's `resume_command`, or its `command` where it has none. CMD and --remote-control are for this
    once; what runs already cannot be told to run something else.

    Exit codes that matter: 2 no `remote_control` in the manifest, 3 nothing to resume from, 4 moved away, newer work
    in the way, or it runs something else; 5 Docker.
    """
    if rebuild and at is not None:
        raise UsageError("--at goes back to a commit and --rebuild does without one", next_step="leave one out")
    context = make_context()
    state = choose(context, identity, "taken back" if force else "resumed")
    once = Once(command=words, remote_control=remote_control)
    request = ResumeRequest(at=at, rebuild=rebuild, force=force, consent=yes, once=once)
    if not force:
        settle_by_asking(context, state)
    if dry_run:
        if state.intent() is not None:
            note("a commit that was cut is settled first, which may change the answer")
        plan = plan_resume(observe_resume(context, state, request), request)
        if not isinstance(plan, Attach):
            require_launchable(context, state.metadata().agent)
        decided = {
            "identity": str(state.identity),
            "plan": type(plan).__name__,
            "row": plan.row,
            "remote_control": remote_control,
            "command": list(plan.command.now) if isinstance(plan, StartAgain | FromCommit) else None,
        }
        answer(form, decided, [f"would resume {state.identity}: {plan.row}{_runs(plan, state.metadata().agent, once)}"])
        return
    before, unasked = state.container_id(), resume_again(state.identity, request, detach=detach)
    with explained(lambda: resume_interrupted(standing(context, state), before, typed(), unasked)):
        _resume(context, state, request, detach=detach, form=form)


def _resume(context: Context, state: BottleState, request: ResumeRequest, *, detach: bool, form: str) -> None:
    """Bring it back, and stay with it unless it is to be left in the background."""
    try:
        resumed = bring_back(context, state, request, begin=detach, tty=detach or on_terminal())
    except NeedsConsent as exc:
        if not on_terminal() or not confirmed(f"{exc.what}. Let it go?"):
            raise
        resumed = bring_back(context, state, replace(request, consent=True), begin=detach)
    note(f"resuming {resumed.identity}: {resumed.plan.row}")
    for warning in resumed.warnings:
        note(f"WARNING: {warning}")
    document: dict[str, object] = {
        "identity": str(resumed.identity),
        "container": resumed.container,
        "plan": type(resumed.plan).__name__,
        "row": resumed.plan.row,
        "warnings": list(resumed.warnings),
    }
    if detach:
        answer(form, {**document, **begun_document(resumed.ended)}, begun_lines(resumed.identity, resumed.ended))
        return
    attend(context, state, form=form, document=document, remove=False, begin=not resumed.running)


def _runs(plan: ResumePlan, agent: Agent, once: Once) -> str:
    """What it will run; of an image that is built first, only what is asked for is known."""
    if isinstance(plan, StartAgain | FromCommit):
        return f"; it runs {join(plan.command.now)}"
    asked = (*once.command, *(agent.remote_control if once.remote_control else ()))
    return f"; with {join(asked)}" if asked else ""
