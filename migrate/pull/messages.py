"""What the owner of a bottle reports to the host that pulls it: a plan, a move that is done, or an error."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bottle import errors
from bottle.errors import BottleError, RemoteError
from bottle.naming import Identity
from bottle.store.serial import flag, number, text
from bottle.text import printable
from migrate.model import Codec
from migrate.move.model import Moved, MovePlan, Part
from migrate.pull.perspective import told_from_here

_MOST = 500  # entries of a list
_LONGEST = 1000
_AGAIN = "the same command"  # what was typed here, not there
_THERE = re.compile(r"(?<![\w/.-])there(?![\w/-])")
# The advice of another host that is passed on as advice: commands of bottle's that delete nothing, in words that no
# shell acts on, and sentences of ours. Whatever else it advises is quoted.
_COMMAND = (
    r"bottle (?:commit|diff|doctor|export|fork|history|inspect|list|logs|migrate|resume|start|stop)"
    r"(?: [A-Za-z0-9@._:-]+)*"
)
_ADVICE = re.compile(
    rf"(?:(?:look at it )?there: |finish it first: )?{_COMMAND}(?:; {_COMMAND})*"
    rf"|(?:run )?{_AGAIN} again"
    r"(?: goes on where this one stopped| makes another copy, of what is here now| once the network is back"
    r"|: it stops the bottle and sends what is new)?"
    rf"(?:; or to stay on this host: {_COMMAND})?"
    rf"|{_AGAIN} with --workspace DIR, a folder (?:there that is new or empty|that the user there may make)"
    rf"|put it into the workspace; or, to leave it behind: {_AGAIN} with --yes"
)

Json = Mapping[str, Any]
T = TypeVar("T")


def plan_to_json(plan: MovePlan) -> Json:
    """A plan as it travels."""
    return {
        "workspace": plan.workspace,
        "present": plan.present,
        "layers": plan.layers,
        "layer_codec": plan.layer_codec.value,
        "file_codec": plan.file_codec.value,
        "parts": [{"name": part.name, "size": part.size} for part in plan.parts[:_MOST]],
        "stays": _cut(plan.stays),
        "missing_there": _cut(plan.missing_there),
        "running": plan.running,
        "stops": plan.stops,
        "commits": plan.commits,
        "needed_docker": plan.needed_docker,
        "needed_home": plan.needed_home,
        "free_docker": plan.free_docker,
        "free_home": plan.free_home,
        "along": _cut(plan.along),
        "shared": _cut(plan.shared),
        "left_behind": _cut(plan.left_behind),
    }


def plan_from_json(data: Json, host: str) -> MovePlan:
    """The inverse of `plan_to_json` on the host that pulls; the texts are told from there. Raises RemoteError."""
    return _read(_plan, data, host)


def moved_to_json(moved: Moved) -> Json:
    """A move that is done, as it travels."""
    return {
        "identity": str(moved.identity),
        "arrived_as": str(moved.arrived_as),
        "host": moved.host,
        "commit": moved.commit,
        "workspace": moved.workspace,
        "staged": moved.staged,
        "skipped": _cut(moved.skipped),
        "stays": _cut(moved.stays),
        "missing_there": _cut(moved.missing_there),
        "along": _cut(moved.along),
        "dropped": _cut(moved.dropped),
        "edited": _cut(moved.edited),
        "carried": _cut(moved.carried),
        "left_behind": _cut(moved.left_behind),
    }


def moved_from_json(data: Json, host: str) -> Moved:
    """The inverse of `moved_to_json` on the host that pulls; the texts are told from there. Raises RemoteError."""
    return _read(_moved, data, host)


def error_to_json(error: BottleError) -> Json:
    """An error as it travels."""
    return {
        "code": error.code,
        "what": error.what,
        "details": _cut(error.details),
        "left": error.left,
        "next": error.next_step,
    }


def error_from_json(data: Json, host: str, here: str = "") -> BottleError:
    """The error that ended it on `host`, told from here, which `host` calls `here`."""
    kind = getattr(errors, str(data.get("code")), RemoteError)
    if not (isinstance(kind, type) and issubclass(kind, BottleError)):
        kind = RemoteError
    said = [printable(str(data.get(key, "")), _LONGEST) for key in ("what", "left", "next")]
    what, left, following = (told_from_here(text, host) for text in said)
    # What the owner would do "there" is to be done here; all else on its own host.
    is_ours = following.startswith(_AGAIN) or _THERE.search(said[2]) is not None
    if here and following == f"bottle doctor {here}":
        following = "bottle doctor"
    elif following and not is_ours:
        following = f"on {host}: {following.replace(_AGAIN, f'{_AGAIN} here')}"
    details = _lines(data, "details") if isinstance(data.get("details"), list) else ()
    if following and not _ADVICE.fullmatch(said[2]):
        details, following = (*details, f"{host} advises: {following}"), f"see above what {host} advises"
    return kind(f"{host}: {what}", left=left, next_step=following.removeprefix("here: "), details=details)


def _plan(data: dict[str, Any], host: str) -> MovePlan:
    parts = [
        Part(name=printable(text(part, "name")), size=None if part["size"] is None else number(part, "size"))
        for part in data["parts"]
    ]
    return MovePlan(
        workspace=_line(data, "workspace"),
        present=number(data, "present"),
        layers=number(data, "layers"),
        layer_codec=Codec(text(data, "layer_codec")),
        file_codec=Codec(text(data, "file_codec")),
        parts=tuple(parts),
        stays=_lines(data, "stays", host),
        missing_there=_lines(data, "missing_there", host),
        running=flag(data, "running"),
        stops=flag(data, "stops"),
        commits=flag(data, "commits"),
        needed_docker=number(data, "needed_docker"),
        needed_home=number(data, "needed_home"),
        free_docker=number(data, "free_docker"),
        free_home=number(data, "free_home"),
        along=_lines(data, "along") if "along" in data else (),
        shared=_lines(data, "shared", host) if "shared" in data else (),
        left_behind=_lines(data, "left_behind") if "left_behind" in data else (),
    )


def _moved(data: dict[str, Any], host: str) -> Moved:
    return Moved(
        identity=Identity.parse(text(data, "identity")),
        arrived_as=Identity.parse(text(data, "arrived_as")),
        host=printable(text(data, "host")),
        commit=number(data, "commit"),
        workspace=_line(data, "workspace"),
        staged=number(data, "staged"),
        skipped=_lines(data, "skipped"),
        stays=_lines(data, "stays", host),
        missing_there=_lines(data, "missing_there", host),
        along=_lines(data, "along") if "along" in data else (),
        dropped=_lines(data, "dropped") if "dropped" in data else (),
        edited=_lines(data, "edited") if "edited" in data else (),
        carried=_lines(data, "carried") if "carried" in data else (),
        left_behind=_lines(data, "left_behind") if "left_behind" in data else (),
    )


def _read(read: Callable[[dict[str, Any], str], T], data: Json, host: str) -> T:
    try:
        return read(dict(data), host)
    except (KeyError, ValueError, TypeError, AttributeError, BottleError) as exc:
        raise RemoteError(f"the far host's report makes no sense: {printable(str(exc), 100)}") from exc


def _cut(lines: tuple[str, ...]) -> list[str]:
    kept = [printable(line, _LONGEST) for line in lines[:_MOST]]
    return kept if len(lines) <= _MOST else [*kept, f"and {len(lines) - _MOST} more"]


def _line(data: Json, key: str) -> str | None:
    return None if data[key] is None else printable(text(dict(data), key), _LONGEST)


def _lines(data: Json, key: str, host: str = "") -> tuple[str, ...]:
    """Texts; with `host`, which said them, they are sentences, and told from here."""
    if not isinstance(data[key], list):
        raise TypeError(f"`{key}` must be a list")
    lines = (printable(str(line), _LONGEST) for line in data[key][: _MOST + 1])
    return tuple(told_from_here(line, host) if host else line for line in lines)
