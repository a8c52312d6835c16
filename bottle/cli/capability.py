"""`bottle capability`: what bottles ask for, and the operator's answer."""

from collections.abc import Sequence

import click

from bottle import operations
from bottle.cli.aftermath import approve_interrupted, standing
from bottle.cli.completion import identities
from bottle.cli.forms import document_of
from bottle.cli.group import Group
from bottle.cli.interruption import explained
from bottle.cli.output import Shown, answer, note, quoted, table
from bottle.cli.shared import answering, make_context, typed
from bottle.cli.table import Cell, Coloured, Column
from bottle.model import CapabilityRequest
from bottle.operations import Approved, RequestDetail, RequestView, list_requests
from bottle.operations.request_decision import DockerfileStanding
from bottle.requests.request import MAX_DOCKERFILE, SHORT_DIGEST
from bottle.text import printable, printable_lines
from bottle.words import age

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_COLUMNS = (
    Column("IDENTITY"),
    Column("REQUEST"),
    Column("DIGEST"),
    Column("STATUS"),
    Column("RECEIVED", drop=1),
    Column("REASON", cut=True),
)
_LONGEST = 4 * MAX_DOCKERFILE  # characters shown of a diff: all of the largest request


@click.group(cls=Group)
def capability() -> None:
    """See what agents ask for, and approve or deny it.

    A request is a new Dockerfile for the bottle that asks. It is decided by its digest, of which 8 digits are enough:
    one that changed since it was shown is not approved.

    \b
    Example:
      bottle capability list
      bottle capability show claude-x7k2p
      bottle capability approve claude-x7k2p 3f9a2c41 --build
      bottle capability deny claude-x7k2p 3f9a2c41 --note "use python's json instead"

    Exit codes that matter: 3 no such request, 4 it changed or was decided, 5 Docker.
    """


@capability.command("list")
@click.argument("identity", required=False, shell_complete=identities)
@answering
def list_command(identity: str | None, form: str) -> None:
    """List the requests of a bottle, or of all that are here.

    \b
    Example:
      bottle capability list
      bottle capability list claude-x7k2p --format json | jq .requests[].digest

    Exit codes that matter: 3 no such bottle, 4 it moved away, 5 Docker.
    """
    context = make_context()
    found = list_requests(context, context.home.find(identity).identity if identity is not None else None)
    for line in found.notes:
        note(f"WARNING: {line}")
    rows = [_row(each) for each in found.requests]
    lines: Sequence[Shown] = table(_COLUMNS, rows) if rows else ["nothing was asked for"]
    document = {
        "requests": [{"identity": str(each.identity), **document_of(each.request)} for each in found.requests],
        "notes": list(found.notes),
    }
    answer(form, document, lines)


@capability.command()
@click.argument("identity", shell_complete=identities)
@click.argument("digest", required=False)
@answering
def show(identity: str, digest: str | None, form: str) -> None:
    """Show a request: its reason, how it differs from the Dockerfile in force, and what to look at twice.

    Without DIGEST the one request that is waiting.

    \b
    Example:
      bottle capability show claude-x7k2p
      bottle capability show claude-x7k2p 3f9a2c41

    Exit codes that matter: 3 no such request, 4 it changed since it had that digest, 5 Docker.
    """
    context = make_context()
    detail = operations.show(context, context.home.find(identity), digest)
    for line in detail.notes:
        note(f"WARNING: {line}")
    answer(form, document_of(detail), _shown(detail))


@capability.command()
@click.argument("identity", shell_complete=identities)
@click.argument("digest")
@click.option("--build", is_flag=True, help="Build it first, while the bottle still runs; nothing changes if it fails.")
@click.option("--note", "word", default="", metavar="TEXT", help="A word to the agent.")
@answering
def approve(identity: str, digest: str, *, build: bool, word: str, form: str) -> None:
    """Approve a request: its Dockerfile becomes the bottle's own, and `bottle resume` builds it.

    The bottle is stopped and committed, so that nothing is lost whichever way the build goes, and its container is
    removed. `bottle resume` brings it back with its transcript and a fresh filesystem; `bottle resume --at N` goes
    back to the commit. Cut short, the same command goes on.

    \b
    Example:
      bottle capability approve claude-x7k2p 3f9a2c41 --build

    Exit codes that matter: 1 it does not build, 3 no such request, 4 it changed or was denied, 5 Docker.
    """
    context = make_context()
    state = context.home.find(identity)
    with explained(lambda: approve_interrupted(standing(context, state), state.requests(), digest, typed())):
        approved = operations.approve(context, state, digest, build=build, note=word)
        for line in approved.notes:
            note(f"WARNING: {line}")
        answer(form, _approved_document(approved), _approved_lines(approved))


@capability.command()
@click.argument("identity", shell_complete=identities)
@click.argument("digest")
@click.option("--note", "word", default="", metavar="TEXT", help="A word to the agent, such as why.")
@answering
def deny(identity: str, digest: str, *, word: str, form: str) -> None:
    """Deny a request; the bottle goes on as it was, and its agent is told.

    \b
    Example:
      bottle capability deny claude-x7k2p 3f9a2c41 --note "use python's json instead"

    Exit codes that matter: 3 no such request, 4 it changed or was approved, 5 Docker.
    """
    context = make_context()
    denied = operations.deny(context, context.home.find(identity), digest, note=word)
    verb = "was denied already" if denied.already else "denied"
    answer(form, document_of(denied), [_decision(denied.identity, denied.request, verb)])


def _row(view: RequestView) -> tuple[Cell, ...]:
    request = view.request
    return (
        str(view.identity),
        str(request.number),
        request.digest[:SHORT_DIGEST],
        Coloured(request.status.value, "yellow" if request.status.open else None),
        age(request.received_at),
        request.reason,
    )


def _shown(detail: RequestDetail) -> list[str | Coloured]:
    request, identity = detail.request, detail.identity
    lines: list[str | Coloured] = [
        f"request {request.number} of {identity}, {request.status.value}, received {age(request.received_at)}",
        f"digest    {request.digest}",
        *_labelled("reason", request.reason),
        *(_labelled("answer", request.note) if request.note else ()),
        f"in force  {printable(detail.in_force)}",
        "",
        *_diff(detail),
        *(Coloured(f"WARNING: {printable(each, 1000)}", "yellow") for each in detail.warnings),
    ]
    if request.status.open:
        short = request.digest[:SHORT_DIGEST]
        lines += ["", f"bottle capability approve {identity} {short} --build"]
        lines += [f"bottle capability deny {identity} {short} --note TEXT"]
    return lines


def _labelled(label: str, text: str) -> list[str]:
    first, *others = printable_lines(text, 5000)
    return [f"{label:<9} {first}", *(f"{'':<9} {line}" for line in quoted(others))]


def _diff(detail: RequestDetail) -> list[str | Coloured]:
    if not detail.diff:
        return ["no difference to the Dockerfile in force" if detail.request.dockerfile else "it has no Dockerfile", ""]
    lines = printable_lines(detail.diff, _LONGEST)
    return [*(Coloured(shown, _COLOURS.get(line[:1])) for line, shown in zip(lines, quoted(lines), strict=True)), ""]


def _approved_document(approved: Approved) -> dict[str, object]:
    return {
        **document_of(approved),
        "commit": approved.commit.number if approved.commit is not None else None,
        "back": approved.back_line,
        "resume": approved.resume_line,
    }


def _approved_lines(approved: Approved) -> list[str]:
    lines = [_decision(approved.identity, approved.request, "was approved already" if approved.already else "approved")]
    if approved.tried:
        lines.append("  it was built, and builds")
    if approved.was_running:
        lines.append("  the bottle was stopped" + (", and its transcript saved" if approved.has_transcript else ""))
    if approved.committed and approved.commit is not None:
        lines.append(f"  all its work is in commit {approved.commit.number} ({approved.commit.tag})")
    if approved.back_line is not None:
        lines.append(f"to have it as it was instead:    {approved.back_line}")
    fresh = "its transcript and a fresh filesystem" if approved.has_transcript else "a fresh filesystem"
    match approved.standing:
        case DockerfileStanding.DUE:
            lines.append(f"to build it and bring it back, with {fresh}:")
        case DockerfileStanding.OWN:
            lines.append(f"a newer commit is in force; to build it all the same, with {fresh}:")
        case DockerfileStanding.REPLACED:
            lines.append("another Dockerfile is in force since; to bring the bottle back:")
    return [*lines, approved.resume_line]


def _decision(identity: object, request: CapabilityRequest, word: str) -> str:
    return f"request {request.number} of {identity} ({request.digest[:SHORT_DIGEST]}) {word}"
