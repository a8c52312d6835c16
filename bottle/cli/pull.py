"""`bottle migrate --from`: fetch a bottle from the host that owns it."""

from dataclasses import replace
from pathlib import Path

from bottle import operations
from bottle.cli import moved
from bottle.cli.aftermath import copied_since, living
from bottle.cli.consent import agreement
from bottle.cli.far import connect
from bottle.cli.interruption import explained, untouched
from bottle.cli.movewords import FETCHING
from bottle.cli.output import answer
from bottle.cli.shared import typed
from bottle.errors import BottleError, Interrupted, UsageError
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity, is_identity_prefix
from bottle.operations import Context
from bottle.plan.resume import ResumeRequest
from bottle.store.home import StateHome
from bottle.words import ssh_to
from migrate import PullPlan, PullRequest, SshOptions, Target, pull
from migrate.pull.session import UNCHANGED, Conversing


def require_pullable(identity: str | None, goal: Target, workspace: Path | None) -> str:
    """The identity, if it can be asked for; it is looked up on the other host. Raises UsageError."""
    if identity is None:
        raise UsageError(
            f"--from wants a bottle and a host, and {goal} is only one of them",
            left="nothing was changed",
            next_step=f"bottle migrate IDENTITY {goal} --from   (which there are: {ssh_to(str(goal))} bottle list)",
        )
    if not is_identity_prefix(identity):
        Identity.parse(identity)
    if workspace is not None and not workspace.is_absolute():
        raise UsageError(f"--workspace {workspace}: expected an absolute path on this host")
    return identity


def fetch(
    context: Context,
    goal: Target,
    login: SshOptions,
    identity: str,
    options: MoveOptions,
    *,
    plan: bool,
    form: str,
) -> None:
    """Log in to the host that has it, and fetch it from there, or print what that would take."""
    request = PullRequest(
        identity=identity, options=options, plan=plan, agree=agreement(yes=options.consent, left=UNCHANGED)
    )
    here: Identity | None = None
    with (
        explained(lambda: moved.has_arrived(here, goal) if here is not None else untouched("migrate", typed())),
        connect(goal, login) as remote,
    ):
        here = _pull(context, remote, goal, request, form)


def _pull(context: Context, remote: Conversing, goal: Target, request: PullRequest, form: str) -> Identity | None:
    """What it is called here; None where only what it would take was to be told."""
    before = living(context.home)
    with explained(lambda: _interrupted(context.home, before, goal, request)):
        result = pull(context, remote, request)
    if isinstance(result, PullPlan):
        _tell_plan(result, goal, request.identity, form)
        return None
    here = result.arrived_as
    told = tuple(moved.account_lines(result, FETCHING, str(goal)))
    with explained(lambda: moved.has_arrived(here, goal, details=told)):
        if request.options.resume:
            result = replace(result, resumed=_resumed(context, here, goal, told))
        answer(form, moved.moved_document(result, FETCHING, str(goal)), moved.moved_lines(result, FETCHING, str(goal)))
    return here


def _resumed(context: Context, here: Identity, goal: Target, told: tuple[str, ...]) -> str:
    """Resume what has arrived; what is said of it. Whatever that fails of, it has arrived, and `told` is told."""
    following = f"bottle resume {here}"
    try:
        back = operations.resume(context, context.home.bottle(here), ResumeRequest())
    except BottleError as exc:
        first = exc.next_step
        exc.left = f"{here} is here now, from {goal}"
        exc.next_step = first if following in first else f"{first}; then {following}" if first else following
        exc.details = (*exc.details, *told)
        raise
    return back.plan.row + ("; it ended at once, with exit code 0" if back.ended else "")


def _tell_plan(result: PullPlan, goal: Target, identity: str, form: str) -> None:
    document = {
        "identity": identity,
        "from": str(goal),
        "plan": moved.plan_document(result.move, FETCHING)
        | {"asks": list(result.asks), "not_taken_over": list(result.refused)},
    }
    rows = [("would ask", f"let it have {item}?") for item in result.asks]
    rows += [("not taken over", item) for item in result.refused]
    answer(form, document, [*moved.plan_lines(result.move, FETCHING), *moved.plan_rows(rows)])


def _interrupted(home: StateHome, before: frozenset[Identity], goal: Target, request: PullRequest) -> Interrupted:
    if request.plan:
        return untouched("migrate", typed())
    identity, keep = request.identity, request.options.keep
    again = moved.following(identity, goal, request.options, pulls=True)
    return moved.pulling_interrupted(identity, goal, again, keep=keep, here=_arrived(home, before, request))


def _arrived(home: StateHome, before: frozenset[Identity], request: PullRequest) -> Identity | None:
    """What was wanted, if it has come to live here since `before` did: no bottle that somebody started meanwhile."""
    if request.options.keep:
        return next(iter(copied_since(home, before)), None)
    return next((each for each in living(home) - before if str(each).startswith(request.identity)), None)
