"""How an evacuation is told: its plan, and what became of each bottle."""

from collections.abc import Iterator, Sequence

from bottle.cli.moved import moved_document, moved_lines, plan_document as move_document, plan_rows
from bottle.cli.movewords import SENDING, missing
from bottle.cli.output import Shown, error_document, table
from bottle.cli.table import Column
from bottle.errors import BottleError
from bottle.naming import Identity
from bottle.words import NOTHING, size
from migrate import Candidate, EvacuationPlan, MovePlan, Outcome, Result, no_room

_RESULTS = {
    Result.WENT: "went",
    Result.WENT_BEFORE: "went before",
    Result.STAYS: "stays",
    Result.UNKNOWN: "not known",
}
_NOT_ITS_TURN = "it was not moved: the evacuation was interrupted"


def plan_document(plan: EvacuationPlan) -> dict[str, object]:
    """The plan for programs."""
    return {
        "host": plan.host,
        "bottles": [
            {
                "identity": str(each.identity),
                "result": result,
                "goes_with": str(ahead.identity) if ahead is not None else None,
                "move": move_document(each.decided, SENDING) if each.decided is not None else None,
                "error": error_document(error) if error is not None else None,
            }
            for each, result, ahead, error in _planned(plan)
        ],
        "disks": [{"path": each.disk.path, "needed": each.needed, "free": each.disk.free} for each in plan.needs],
    }


def plan_lines(plan: EvacuationPlan) -> list[Shown]:
    """The plan for people."""
    words = {"goes": "would go", "went-before": "went before", "stays": "would stay"}
    rows = []
    for each, result, ahead, error in _planned(plan):
        amount = _amount(each.decided, with_workspace=ahead is None) if result == "goes" else NOTHING
        rows.append((str(each.identity), words[result], amount, _why(each, plan.host, ahead, error)))
    facts = [
        (f"disk {SENDING.destination}", f"{size(each.needed)} needed at {each.disk.path}, {size(each.disk.free)} free")
        for each in plan.needs
    ]
    facts += [(f"missing {SENDING.destination}", line) for line in _missing(plan)]
    columns = ("IDENTITY", "PLAN", "AT MOST", Column("WHERE, OR WHY", cut=True))
    return [*table(columns, rows), *plan_rows(facts)]


def _planned(
    plan: EvacuationPlan,
) -> Iterator[tuple[Candidate, str, Candidate | None, BottleError | None]]:
    """Each bottle, what would become of it, which one it goes with, and why it stays."""
    for group in plan.groups:
        yield group[0], "goes", None, None
        for each in group[1:]:
            yield each, "goes", group[0], None
    for each in plan.went:
        yield each, "went-before", None, None
    for each in plan.crowded:
        yield each, "stays", None, no_room(each, plan.host)
    for each in plan.refused:
        yield each, "stays", None, each.refusal


def _why(each: Candidate, host: str, ahead: Candidate | None, error: BottleError | None) -> str:
    if error is not None:
        return error.what
    if each.went:
        return host
    if each.decided is None and ahead is not None:
        return f"with {ahead.identity}"
    if each.decided is None:
        return f"an earlier run was cut while it was handed over: {host} would be asked whether it has it"
    shared = f", with {ahead.identity}" if ahead is not None else ""
    return f"workspace {each.decided.workspace}{shared}" if each.decided.workspace is not None else host


def _amount(decided: MovePlan | None, *, with_workspace: bool) -> str:
    """At most how much travels of it, as far as that is known."""
    parts = decided.parts if decided is not None else ()
    known = [each.most for each in parts if with_workspace or not each.name.startswith("workspace ")]
    return size(sum(each or 0 for each in known)) + ("" if all(each is not None for each in known) else " and more")


def _missing(plan: EvacuationPlan) -> list[str]:
    """What the other host lacks for any of those that would go, a line each."""
    going = (each.decided for group in plan.groups for each in group)
    found = dict.fromkeys(item for decided in going if decided is not None for item in decided.missing_there)
    return list(dict.fromkeys(missing(found, SENDING)))


def outcome_lines(outcome: Outcome) -> list[str]:
    """What came of a bottle that went, for people."""
    return moved_lines(outcome.moved, SENDING, outcome.moved.host) if outcome.moved is not None else []


def evacuation_document(outcomes: Sequence[Outcome], host: str) -> dict[str, object]:
    """What became of all of them, for programs."""
    return {
        "host": host,
        "bottles": [
            {
                "identity": str(each.identity),
                "result": each.result.value,
                "workspace": each.place,
                "move": moved_document(each.moved, SENDING, host) if each.moved is not None else None,
                "error": error_document(told_error(each.error, each.identity, host)) if each.error else None,
            }
            for each in outcomes
        ],
    }


def evacuation_lines(outcomes: Sequence[Outcome], host: str) -> list[Shown]:
    """The table at the end."""
    rows = [(str(each.identity), _RESULTS[each.result], _told(each, host)) for each in outcomes]
    return list(table(("IDENTITY", "RESULT", Column("WHERE, OR WHY", cut=True)), rows))


def _told(outcome: Outcome, host: str) -> str:
    error = outcome.error.what if outcome.error is not None else ""
    match outcome.result:
        case Result.WENT | Result.WENT_BEFORE:
            where = f"{host}, workspace {outcome.place}" if outcome.place is not None else host
            return f"{where}; {error}" if error else where
        case Result.UNKNOWN:
            return error or f"it was being handed over: only {host} knows who owns it"
        case Result.STAYS:
            return error or _NOT_ITS_TURN


def told_error(error: BottleError, identity: Identity, host: str) -> BottleError:
    """An error of a move, whose advice is to be typed: what one bottle needs is said to `migrate`."""
    if "--workspace" in error.next_step:
        error.next_step = error.next_step.replace("the same command", f"bottle migrate {identity} {host}")
    return error
