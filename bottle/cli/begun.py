"""How it is told that a bottle was started in the background."""

from bottle.cli.output import quoted
from bottle.naming import Identity
from bottle.operations import Ended


def begun_document(ended: Ended | None) -> dict[str, object]:
    """For programs. `exit_code` and `output` are those of an agent that ended at once."""
    return {
        "running": ended is None,
        "exit_code": ended.exit_code if ended is not None else None,
        "output": list(ended.output) if ended is not None else [],
    }


def begun_lines(identity: Identity, ended: Ended | None) -> list[str]:
    """For people."""
    if ended is None:
        return [f"{identity} is running", f"  bottle attach {identity}"]
    lines = [f"{identity} ended at once, with exit code {ended.exit_code}"]
    return [*lines, *(f"  {line}" for line in quoted(ended.output)), f"  bring it back: bottle resume {identity}"]
