"""`bottle list`."""

import re
from collections.abc import Sequence

import click

from bottle.cli.bottletable import bottle_table
from bottle.cli.completion import FORMS, forms
from bottle.cli.output import Verbatim, answer, table
from bottle.cli.selection import Template, fields_of, filtered
from bottle.cli.shared import command, make_context
from bottle.cli.table import Line
from bottle.errors import UsageError
from bottle.operations import STATES, BottleView, list_bottles

_FIELDS = (
    "identity",
    "name",
    "agent",
    "state",
    "status",
    "detail",
    "started_at",
    "commit",
    "committed_at",
    "preserved",
    "bytes",
    "moved_to",
    "runs_here",
    "requests",
    "rebuild_due",
)  # of a bottle, as JSON has them
_FILTERS = {
    "identity": lambda view, value: str(view.identity).startswith(value),
    "name": lambda view, value: view.name == value,
    "agent": lambda view, value: view.agent == value,
    "state": lambda view, value: value in {view.state, view.status},
    "host": lambda view, value: view.moved_to is not None and value in {view.moved_to, view.moved_to.split("@")[-1]},
}
_STATUSES = re.compile("no container|image gone|moved to .+")  # what the table says, where that is another word
_IDENTITIES = "{{.Identity}}"


def _known(_context: click.Context, _option: click.Parameter, form: str) -> str:
    """The form, if it is one that every command knows, or a template."""
    if form in FORMS or "{{" in form:
        return form
    raise click.BadParameter(f"{form!r} is none of {', '.join(FORMS)}, and no template such as '{_IDENTITIES}'.")


@click.command("list")
@click.option("-a", "--all", "_everything", is_flag=True, hidden=True, help="What is shown in any case.")
@click.option("-q", "--quiet", is_flag=True, help=f"Identities only, as --format '{_IDENTITIES}'.")
@click.option(
    "-f",
    "--filter",
    "words",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only those with this identity (or its beginning), name, agent, state or host. May be given more than once.",
)
@click.option(
    "--format",
    "form",
    callback=_known,
    shell_complete=forms,
    default="text",
    metavar="[text|json]|TEMPLATE",
    help="How the answer is printed; a template such as '{{.Identity}}\\t{{.State}}' makes a line of each bottle.",
)
@click.option("--fields", metavar="NAME,…", help="With --format json: only these of each bottle.")
@command
def list_command(_everything: bool, quiet: bool, words: tuple[str, ...], form: str, fields: str | None) -> None:
    """Show the bottles that are here, and those that moved away.

    STATE is that of a bottle's container. Without one, `bottle resume` makes another from the last commit. To filters,
    templates and JSON it is running, paused, stopped, created, committed (no container), moved, standby (of a bottle
    elsewhere), gone (neither container nor image), ambiguous (two containers) or damaged.

    SIZE is what a bottle's commits add to the image its agent began with, and would be free without it; SHARED is what
    they stand on together with others. Where that image is not here, as of a bottle that arrived, all is its own that
    stands on no other image. NAME is there where any has one. What has no room on the terminal is left out.

    \b
    Example:
      bottle list
      bottle list -q --filter agent=claude --filter state=running
      bottle list --format 'table {{.Identity}}\\t{{.MovedTo}}'
      bottle list --format json --fields identity,state

    Exit codes that matter: 2 no such filter, format or field, 5 Docker.
    """
    template = _template(form, quiet=quiet)
    names = _names(fields, form)
    _require_states(words)
    views = filtered(list_bottles(make_context()), words, _FILTERS)
    documents = [_document(view) for view in views]
    if template is not None:
        answer(form, {}, _filled(template, documents))
        return
    lines = table(*bottle_table(views))
    answer(form, {"bottles": [{name: each[name] for name in names} for each in documents]}, lines)


def _require_states(words: Sequence[str]) -> None:
    for state in (word.removeprefix("state=") for word in words if word.startswith("state=")):
        if state not in STATES and not _STATUSES.fullmatch(state):
            raise UsageError(f"there is no state {state!r}: expected one of {', '.join(STATES)}")


def _template(form: str, *, quiet: bool) -> Template | None:
    if quiet and form != "text":
        raise UsageError("--quiet and --format say two things", next_step="bottle list -q")
    if quiet:
        return Template.parse(_IDENTITIES, _FIELDS)
    if form in {"text", "json"}:
        return None
    return Template.parse(form, _FIELDS)


def _names(fields: str | None, form: str) -> tuple[str, ...]:
    if fields is None:
        return _FIELDS
    if form != "json":
        raise UsageError("--fields goes with --format json", next_step=f"bottle list --format json --fields {fields}")
    return fields_of(fields, _FIELDS)


def _filled(template: Template, documents: list[dict[str, object]]) -> list[Line] | list[Verbatim]:
    if template.is_table:
        return table(*template.table(documents))
    return [Verbatim(template.line(document)) for document in documents]


def _document(view: BottleView) -> dict[str, object]:
    return {
        "identity": str(view.identity),
        "name": view.name,
        "agent": view.agent,
        "state": view.state,
        "status": view.status,
        "detail": view.detail,
        "started_at": view.started_at.isoformat() if view.started_at else None,
        "commit": view.commit,
        "committed_at": view.committed_at.isoformat() if view.committed_at else None,
        "preserved": view.preserved,
        "bytes": {"own": view.weight.own, "shared": view.weight.shared} if view.weight is not None else None,
        "moved_to": view.moved_to,
        "runs_here": view.runs_here,
        "requests": view.requests,
        "rebuild_due": view.rebuild_due,
    }
