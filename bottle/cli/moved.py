"""How a move that happened is told, to who sent and to who fetched."""

from bottle.cli.movewords import FETCHING, Sides, missing, staying
from bottle.losses import worth_telling
from bottle.words import size
from migrate import Moved


def moved_document(moved: Moved, sides: Sides, other: str) -> dict[str, object]:
    """The move for programs; `other` is the other host."""
    account = moved.account
    return {
        "identity": str(moved.identity),
        "arrived_as": str(moved.arrived_as),
        "host": moved.host,
        "commit": account.commit,
        "workspace": account.workspace,
        "staged_bytes": account.staged,
        "skipped": list(account.skipped),
        "stays": staying(account.stays, sides),
        "dropped": list(account.dropped),
        "carried": list(account.carried),
        "left_behind": list(account.left_behind),
        "credentials_along": list(account.along),
        f"newer_{sides.source}": list(account.edited),
        f"missing_{sides.destination}": missing(account.missing_there, sides),
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


def account_lines(moved: Moved, sides: Sides, other: str) -> list[str]:
    """What became of all that was to move, for people; `other` is what the other host is called."""
    fetched, account = sides == FETCHING, moved.account
    where = f"here now, from {other}" if fetched else f"on {other} now"
    verb = "lives" if moved.arrived_as == moved.identity else f"is copied, as {moved.arrived_as}: that lives"
    lines = [f"{moved.identity} {verb} {where} (commit {account.commit}, {size(account.staged)} staged)"]
    if account.workspace is not None:
        lines.append(f"  its workspace is at {account.workspace}")
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
    if moved.resumed is None:
        return [*lines, f"{after}bottle resume {moved.arrived_as}"]
    if not fetched:
        return [*lines, f"{after}{moved.resumed}"]
    return [*lines, f"resumed: {moved.resumed}", f"  bottle attach {moved.arrived_as}"]
