"""`bottle prune`."""

from datetime import timedelta

import click

from bottle import operations
from bottle.cli.forms import document_of
from bottle.cli.output import Shown, answer, confirmed, note_table, on_terminal, table
from bottle.cli.shared import answering, make_context
from bottle.cli.table import Line
from bottle.operations import Pruned, plan_for
from bottle.plan.garbage import Garbage, PrunePlan
from bottle.words import counted, size


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would go and what would stay, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Also what needs consent, without asking.")
@click.option(
    "--older-than",
    "hours",
    type=click.FloatRange(0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Leave what is younger and might belong to a run that is at it now, here or on another host.",
)
@answering
def prune(dry_run: bool, yes: bool, hours: float, form: str) -> None:
    """Take away garbage: what runs that died left behind, and, with consent, bottles that moved away.

    Without consent go: staging that no move uses, halves of workspaces and bundles that an import, a move or an export
    left, rests of deleted bottles and of new ones that were cut short, containers that were made to look into something
    and never ran, commits that were cut short and are in no history, first layers of such, and images that were built
    to try a request that was not approved. With consent (--yes, or asked on a terminal) go: image and state of bottles
    that live on another host now; images of a bottle that have no name, as `docker commit` makes them; volumes, builds
    and cut commits of bottles that are not known here; and what a move that did not end had loaded or put into place.
    What of a bottle that moved exists nowhere else, such as its other commits, is named as ONLY HERE: --yes lets it go
    too. Nothing else is touched. SIZE is what would be free.

    \b
    Example:
      bottle prune --dry-run
      bottle prune --yes

    Exit codes that matter: 5 Docker.
    """
    context = make_context()
    plan = plan_for(context, timedelta(hours=hours))
    if dry_run:
        garbage, kept = [_garbage(each) for each in plan.garbage], [document_of(each) for each in plan.kept]
        answer(form, {"plan": {"garbage": garbage, "kept": kept, "bytes": plan.size}}, _plan_lines(plan))
        return
    consent = yes or _asked(plan)
    pruned = operations.prune(context, plan, consent=consent)
    waiting = [each for each in plan.garbage if each.consent and not consent]
    document = {
        "removed": [_garbage(each) for each in pruned.removed],
        "left": [document_of(each) for each in pruned.left],
        "needs_consent": [_garbage(each) for each in waiting],
        "freed": pruned.size,
    }
    answer(form, document, _lines(pruned, waiting))


def _asked(plan: PrunePlan) -> bool:
    """Whether somebody who sees the list agrees to what needs consent."""
    asking = [each for each in plan.garbage if each.consent]
    if not asking or not on_terminal():
        return False
    note_table(_table(asking))
    return confirmed("Take these away too?")


def _table(garbage: list[Garbage]) -> list[Line]:
    rows = [
        (each.kind.value, each.name, size(each.size) if each.size is not None else "-", each.why) for each in garbage
    ]
    return table(("WHAT", "NAME", "SIZE", "WHY"), rows)  # whole, on any terminal: it is what somebody agrees to


def _plan_lines(plan: PrunePlan) -> list[Shown]:
    free = [each for each in plan.garbage if not each.consent]
    asking = [each for each in plan.garbage if each.consent]
    lines: list[Shown] = []
    lines += [f"would take away, {size(plan.size)} as far as that is known:", *_table(free)] if free else []
    lines += ["would take away with consent (--yes):", *_table(asking)] if asking else []
    lines += [f"would leave {each.name}: {each.why}" for each in plan.kept]
    return lines or ["there is nothing to take away"]


def _lines(pruned: Pruned, waiting: list[Garbage]) -> list[str]:
    lines = [f"took away {each.kind.value} {each.name}" for each in pruned.removed]
    lines += [f"left {each.name}: {each.why}" for each in pruned.left]
    lines += [f"left {each.name}: it needs consent (--yes)" for each in waiting]
    return [
        *lines,
        f"{counted(len(pruned.removed), 'thing is', 'things are')} gone, {size(pruned.size)} as far as that is known",
    ]


def _garbage(each: Garbage) -> dict[str, object]:
    said = document_of(each, "kind", "ref", "name", "why", "only_here")
    return {**said, "bytes": each.size, "needs_consent": each.consent}
