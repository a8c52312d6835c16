"""`bottle migrate --from`: fetch a bottle from the host that owns it."""

from dataclasses import dataclass, replace
from pathlib import Path

from bottle.cli.consent import agreement
from bottle.cli.interruption import explained, same_command
from bottle.cli.moved import moved_document, moved_lines
from bottle.cli.moveplan import FETCHING, plan_document, plan_lines, plan_rows
from bottle.cli.output import answer
from bottle.errors import Interrupted, UsageError
from bottle.naming import Identity, is_identity_prefix
from bottle.operations import Context
from bottle.operations import resume as bring_back
from bottle.plan import ResumeRequest
from bottle.words import ssh_to
from migrate.model import Target
from migrate.pull import UNCHANGED, Conversing, PullPlan, PullRequest, pull

_NOT_OURS = "bottle itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `bottle migrate --from` was told on the command line."""

    identity: str
    plan: bool
    keep: bool
    resume: bool
    workspace: Path | None
    allow_secrets: bool
    rate: int | None
    jobs: int
    keys: tuple[Path, ...]
    yes: bool


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


def pull_from(context: Context, remote: Conversing, goal: Target, wanted: Wanted, form: str) -> None:
    """Fetch it, or print what that would take."""
    request = PullRequest(
        identity=wanted.identity,
        plan=wanted.plan,
        keep=wanted.keep,
        workspace=wanted.workspace,
        allow_secrets=wanted.allow_secrets,
        consent=wanted.yes,
        jobs=wanted.jobs,
        rate=wanted.rate,
        agree=agreement(yes=wanted.yes, left=UNCHANGED),
    )
    with explained(lambda: _pulling_interrupted(goal, wanted)):
        result = pull(context, remote, request)
    if isinstance(result, PullPlan):
        missing = _missing(result.move.missing_there)
        document = {
            "identity": wanted.identity,
            "from": str(goal),
            "plan": plan_document(result.move, FETCHING, missing)
            | {"asks": list(result.asks), "not_taken_over": list(result.refused)},
        }
        rows = [("would ask", f"let it have {item}?") for item in result.asks]
        rows += [("not taken over", item) for item in result.refused]
        answer(form, document, [*plan_lines(result.move, FETCHING, missing), *plan_rows(rows)])
        return
    if wanted.resume:
        back = bring_back(context, context.home.bottle(result.arrived_as), ResumeRequest())
        result = replace(result, resumed=back.plan.row + ("; it ended at once, with exit code 0" if back.ended else ""))
    missing = _missing(result.missing_there)
    told = moved_document(result, FETCHING, missing, str(goal))
    answer(form, told, moved_lines(result, FETCHING, missing, str(goal)))


def _pulling_interrupted(goal: Target, wanted: Wanted) -> Interrupted:
    return Interrupted(
        f"pulling {wanted.identity} was interrupted",
        left=f"{goal} owns the bottle, unless it was being handed over; what arrived here is kept",
        next_step=same_command(
            wanted.identity,
            goal,
            pulls=True,
            keep=wanted.keep,
            resume=wanted.resume,
            allow_secrets=wanted.allow_secrets,
            workspace=wanted.workspace,
            keys=wanted.keys,
            yes=wanted.yes,
        ),
    )


def _missing(missing: tuple[str, ...]) -> tuple[str, ...]:
    """What is missing here; bottle itself is not, whatever the other host was told of the PATH."""
    return tuple(item for item in missing if not item.startswith(_NOT_OURS))
