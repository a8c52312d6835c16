"""How a move is told, to who sends and to who fetches: its plan, what came of it, and what is so where it was cut."""

import shlex
from collections.abc import Iterable, Sequence

from bottle.cli.forms import document_of
from bottle.cli.interruption import cut
from bottle.cli.movewords import FETCHING, Sides, missing, staying
from bottle.errors import Interrupted
from bottle.losses import worth_telling
from bottle.model import MigrationPhase
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.plan.copies import named_commits
from bottle.store.state import BottleState
from bottle.words import about, counted, rate, seconds, size
from migrate import Estimate, Moved, MovePlan, Target


def plan_document(plan: MovePlan, sides: Sides) -> dict[str, object]:
    """The plan for programs."""
    return {
        "stop": plan.stops,
        "commit": plan.commits,
        "live": plan.live,
        "travels": [{"name": part.name, "bytes": part.size, "at_most_on_the_wire": part.most} for part in plan.parts],
        "layers": {
            "total": plan.layers,
            f"present_{sides.destination}": plan.present,
            "compression": plan.layer_codec.value,
        },
        **document_of(plan, "workspace", "replaces", "joins", "shared", "left_behind", "history", "history_stays"),
        "refreshes": str(plan.refreshes) if plan.refreshes is not None else None,
        "credentials_along": list(plan.along),
        "stays": staying(plan.stays, sides),
        f"missing_{sides.destination}": missing(plan.missing_there, sides),
        "needed": {"docker": plan.needed_docker, "home": plan.needed_home},
        "free": {"docker": plan.free_docker, "home": plan.free_home},
        **document_of(plan, "estimate"),
    }


def plan_lines(plan: MovePlan, sides: Sides) -> list[str]:
    """The plan for people."""
    rows = [("would", f"bring {plan.refreshes} up to date, its copy there")] if plan.refreshes is not None else []
    rows += [("would", "bring it there in rounds while its agent works")] if plan.live else []
    rows += [("would", "stop it")] if plan.stops else []
    rows += [("would", "commit it")] if plan.commits else []
    rows += [("would", "start it there")] if plan.live else []
    rows.append(("would", "look for credentials once more in what it wrote, before that is sent"))
    for part in plan.parts:
        amount = "size not known yet" if part.most is None else f"at most {size(part.most)} on the wire"
        rows.append(("travels", f"{part.name} ({amount})"))
    rows += [("travels", f"images of older commits: {line}, no layer more")] if (line := _older(plan.history)) else []
    if plan.workspace is not None:
        former = "its copy has" if plan.refreshes is not None else "it left"
        instead = f", in place of the one that {former} there, which is as it was" if plan.replaces else ""
        joined = f", with {plan.joins}: it is there already" if plan.joins is not None else ""
        rows.append(("workspace lands", f"{plan.workspace}, {sides.destination}{instead}{joined}"))
    rows += [("takes", _in_words(plan.estimate))] if plan.estimate is not None else []
    disk = f"disk {sides.destination}"
    rows += [
        (disk, f"{size(plan.needed_docker)} needed for Docker, {size(plan.free_docker)} free"),
        (disk, f"{size(plan.needed_home)} needed for staging, {size(plan.free_home)} free"),
    ]
    rows += [("shared", item) for item in plan.shared]
    rows += [("credential", f"goes along: {item}") for item in plan.along]
    rows += [("left behind", f"{item} (wants --yes)") for item in plan.left_behind]
    rows += [(f"stays {sides.source}", item) for item in staying(plan.stays, sides)]
    rows += [(f"missing {sides.destination}", item) for item in missing(plan.missing_there, sides)]
    return plan_rows(rows)


def _in_words(estimate: Estimate) -> str:
    """About how long it would take."""
    still = estimate.standstill_seconds
    of_which = f", of which the agent stands still for {about(still)}" if still is not None else ""
    return f"{about(estimate.seconds)} in all{of_which} (the line brings {rate(estimate.line_bytes_per_second)})"


def plan_rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of a plan: what a thing is, and the thing."""
    return [f"{label + ':':<16} {text}" for label, text in rows]


def _older(numbers: tuple[int, ...]) -> str:
    return named_commits(numbers) if numbers else ""


def moved_document(moved: Moved, sides: Sides, other: str) -> dict[str, object]:
    """The move for programs; `other` is the other host."""
    account = moved.account
    return {
        **document_of(moved, "identity", "arrived_as", "host", "resumed"),
        "rounds": [
            {"commit": each.commit, "staged_bytes": each.staged, "seconds": each.seconds} for each in moved.rounds
        ],
        "downtime_seconds": moved.downtime,
        **document_of(account, "commit", "workspace", "skipped", "dropped", "carried", "left_behind"),
        **document_of(account, "history", "history_stays", "refreshed"),
        "staged_bytes": account.staged,
        "stays": staying(account.stays, sides),
        "credentials_along": list(account.along),
        f"newer_{sides.source}": list(account.edited),
        f"missing_{sides.destination}": missing(account.missing_there, sides),
        "resume": f"bottle resume {moved.arrived_as}",
        **({"from": other} if sides == FETCHING else {}),
    }


def newer_lines(edited: tuple[str, ...], workspace: str | None, sides: Sides) -> list[str]:
    """What is newer at the source than at the destination, and what to do about it."""
    if not edited:
        return []
    newer = f"newer {sides.source} than {sides.destination}"
    lines = [f"WARNING: edited during the hand-over, so {newer}: {item}" for item in edited]
    return [*lines, f"bring them to {workspace} {sides.destination}, before the agent goes on there"]


def account_lines(moved: Moved, sides: Sides, other: str) -> list[str]:
    """What became of all that was to move, for people; `other` is what the other host is called."""
    fetched, account = sides == FETCHING, moved.account
    where = f"here now, from {other}" if fetched else f"on {other} now"
    verb = "lives" if moved.arrived_as == moved.identity else f"is copied, as {moved.arrived_as}: that lives"
    said = f"{moved.identity} {verb} {where}"
    if account.refreshed:
        said = f"{moved.arrived_as}, the copy of {moved.identity} on {other}, is up to date"
    lines = [f"{said} (commit {account.commit}, {size(account.staged)} staged)"]
    if account.workspace is not None:
        lines.append(f"  its workspace is at {account.workspace}")
    lines += [f"  with images of older commits: {line}"] if (line := _older(account.history)) else []
    lines += [f"  {line}" for line in newer_lines(account.edited, account.workspace, sides)]
    lines += [f"  went along: {item}" for item in account.carried]
    lines += [f"  was left behind: {item}" for item in account.left_behind]
    lines += [f"  holds no content, so did not travel: {item}" for item in account.skipped]
    lines += [f"  did not travel: {item}" for item in staying(account.stays, sides)]
    lines += [f"  dropped: {item}" for item in worth_telling(account.dropped, first=True)]
    lines += [f"  a credential went along: {item}" for item in account.along]
    return [*lines, *(f"  missing {sides.destination}: {item}" for item in missing(account.missing_there, sides))]


def moved_lines(moved: Moved, sides: Sides, other: str) -> list[str]:
    """The move for people, and how to go on."""
    fetched, lines = sides == FETCHING, account_lines(moved, sides, other)
    after = "" if fetched else "there:  "
    if moved.downtime is not None:
        rounds = counted(len(moved.rounds), "round")
        lines.append(f"  its agent stood still for {seconds(moved.downtime)}, after {rounds} while it worked")
    if moved.resumed is None:
        return [*lines, f"{after}bottle resume {moved.arrived_as}"]
    if not fetched:
        return [*lines, f"{after}{moved.resumed}"]
    return [*lines, f"resumed: {moved.resumed}", f"  bottle attach {moved.arrived_as}"]


def following(identity: str, goal: Target, options: MoveOptions, *, pulls: bool = False) -> str:
    """The command that goes on: all that decides what it does, without what decides how fast."""
    way = ("--from",) if pulls else ()
    return shlex.join(("bottle", "migrate", identity, str(goal), *way, *options.unhurried.to_argv()))


def sending_interrupted(
    state: BottleState, goal: Target, again: str, *, keep: bool, works: bool, registered: Sequence[Identity]
) -> Interrupted:
    """A move or copy to another host, by what is on record of it; `again` goes on with it.

    `works`: its agent does, here. `registered` has what it is called there once it is there: of a copy, nothing else
    tells that in the end.
    """
    identity, tombstone, migration = state.identity, state.tombstone.read(), state.migration.read()
    if keep and registered:
        return Interrupted(
            f"interrupted, after {identity} had been copied",
            left=f"{goal} has the copy, {registered[-1]}; {identity} is here as it was",
            next_step=f"there: bottle resume {registered[-1]}",
        )
    if tombstone is not None:
        return Interrupted(
            f"interrupted, after {identity} had been handed over",
            left=f"{tombstone.host} owns the bottle",
            next_step=f"there: bottle resume {identity}",
        )
    if migration is None:
        return cut("nothing was sent; this host owns the bottle", again)
    if migration.phase is MigrationPhase.HANDING_OFF:
        return Interrupted(
            f"the move of {identity} was interrupted while it was handed over",
            left=f"only {migration.host} knows which host owns the bottle",
            next_step=f"{again}   (asks it, and finishes the move)",
        )
    if keep:
        return Interrupted(
            f"copying {identity} was interrupted",
            left="the bottle is here as it was; what was staged is kept on both sides",
            next_step=again,
        )
    goes_on = ", and its agent goes on here" if works else ""
    return Interrupted(
        f"the move of {identity} was interrupted",
        left=f"this host still owns the bottle{goes_on}; what was staged is kept on both sides",
        next_step=again if works else f"{again}   (or stay here: bottle resume {identity})",
    )


def pulling_interrupted(identity: str, goal: Target, again: str, *, keep: bool, here: Identity | None) -> Interrupted:
    """A move or copy from another host; `here` is what has come of it to live here, None where nothing has."""
    if here is not None:
        return has_arrived(here, goal, f"bottle resume {here}" if keep else f"{again}   (has {goal} know it, too)")
    owner = f"{goal} has the bottle as it was" if keep else f"{goal} owns the bottle, unless it was being handed over"
    return Interrupted(
        f"pulling {identity} was interrupted", left=f"{owner}; what arrived here is kept", next_step=again
    )


def has_arrived(here: Identity, goal: Target, following: str = "", details: tuple[str, ...] = ()) -> Interrupted:
    """A move or copy from another host that had come to its end; `here` is what it is called on this one."""
    return Interrupted(
        "interrupted, after it had arrived",
        left=f"{here} is here now, from {goal}",
        next_step=following or f"bottle resume {here}",
        details=details,
    )
