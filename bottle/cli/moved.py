"""How a move that happened is told, to who sent and to who fetched."""

from bottle.cli.moveplan import FETCHING, Sides
from bottle.losses import worth_telling
from bottle.words import size
from migrate import Moved


def moved_document(moved: Moved, sides: Sides, missing: tuple[str, ...], other: str) -> dict[str, object]:
    """The move for programs; `missing` is what the destination lacks to resume the bottle, `other` the other host."""
    return {
        "identity": str(moved.identity),
        "arrived_as": str(moved.arrived_as),
        "host": moved.host,
        "commit": moved.commit,
        "workspace": moved.workspace,
        "staged_bytes": moved.staged,
        "skipped": list(moved.skipped),
        "stays": list(moved.stays),
        "dropped": list(moved.dropped),
        "carried": list(moved.carried),
        "left_behind": list(moved.left_behind),
        "credentials_along": list(moved.along),
        f"newer_{sides.source}": list(moved.edited),
        f"missing_{sides.destination}": list(missing),
        "resumed": moved.resumed,
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


def account_lines(moved: Moved, sides: Sides, missing: tuple[str, ...], other: str) -> list[str]:
    """What became of all that was to move, for people; `other` is what the other host is called."""
    fetched = sides == FETCHING
    where = f"here now, from {other}" if fetched else f"on {other} now"
    verb = "lives" if moved.arrived_as == moved.identity else f"is copied, as {moved.arrived_as}: that lives"
    lines = [f"{moved.identity} {verb} {where} (commit {moved.commit}, {size(moved.staged)} staged)"]
    if moved.workspace is not None:
        lines.append(f"  its workspace is at {moved.workspace}")
    lines += [f"  {line}" for line in newer_lines(moved.edited, moved.workspace, sides)]
    lines += [f"  went along: {item}" for item in moved.carried]
    lines += [f"  was left behind: {item}" for item in moved.left_behind]
    lines += [f"  holds no content, so did not travel: {item}" for item in moved.skipped]
    lines += [f"  did not travel: {item}" for item in moved.stays]
    lines += [f"  dropped: {item}" for item in worth_telling(moved.dropped, first=True)]
    lines += [f"  a credential went along: {item}" for item in moved.along]
    return [*lines, *(f"  missing {sides.destination}: {item}" for item in missing)]


def moved_lines(moved: Moved, sides: Sides, missing: tuple[str, ...], other: str) -> list[str]:
    """The move for people, and how to go on."""
    fetched, lines = sides == FETCHING, account_lines(moved, sides, missing, other)
    after = "" if fetched else "there:  "
    if moved.resumed is None:
        return [*lines, f"{after}bottle resume {moved.arrived_as}"]
    if not fetched:
        return [*lines, f"{after}{moved.resumed}"]
    return [*lines, f"resumed: {moved.resumed}", f"  bottle attach {moved.arrived_as}"]
