"""What the owner of a bottle reports to the host that pulls it: a plan, a move that is done, or an error."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bottle import errors
from bottle.errors import BottleError, RemoteError
from bottle.model import Missing, MoveAccount, Stays
from bottle.store.form import Form
from bottle.store.forms import Forms, Unreadable
from bottle.store.values import Read, optional, text, wrong
from bottle.text import printable
from migrate.move.model import Moved, MovePlan, Part

_MOST = 500  # entries of a list
_LONGEST = 1000
_AGAIN = "the same command"  # what was typed here, not there
# "there is no bottle" speaks of no place.
_PLACES = re.compile(
    r"(?:^|[;:,.(] |\b(?:and|but|if|or|since|that|when|where) )there (?:is|are|was|were)\b"
    r"|(?<![\w/.-])(?:this host|there|here)(?![\w/-])"
)
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
    rf"|move that folder aside there, then {_AGAIN} again; or with --workspace DIR"
    rf"|{_AGAIN} with --workspace DIR, a folder (?:there that is new or empty|that the user there may make)"
    r"(?:; or stop what uses it there)?"
    rf"|put it into the workspace; or, to leave it behind: {_AGAIN} with --yes"
)

_LINES = ("skipped", "along", "dropped", "edited", "carried", "left_behind")
_LATER = ("along", "shared", "dropped", "edited", "carried", "left_behind", "history_stays")
_FACTS = ("parts", "stays", "missing_there", "history_stays")

Json = Mapping[str, Any]
T = TypeVar("T")


def told_from_here(text: str, host: str) -> str:
    """What `host` says, as it is said on the other of the two hosts."""
    return _PLACES.sub(
        lambda match: {"this host": host, "there": "here", "here": "there"}.get(match[0], match[0]), text
    )


def report_to_json(report: MovePlan | Moved) -> Json:
    """A plan, or a move that is done, as it travels."""
    return _forms().to_json(report)


def report_from_json(data: Json, cls: type[T], host: str) -> T:
    """The inverse of `report_to_json` on the host that pulls; the texts are told from there. Raises RemoteError."""
    try:
        return _forms(host).from_json(data, cls)
    except Unreadable as exc:
        raise RemoteError(f"the far host's report makes no sense: {printable(str(exc), 100)}") from exc


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
    details = _lines(data["details"]) if isinstance(data.get("details"), list) else ()
    if following and not _ADVICE.fullmatch(said[2]):
        details, following = (*details, f"{host} advises: {following}"), f"see above what {host} advises"
    return kind(f"{host}: {what}", left=left, next_step=following.removeprefix("here: "), details=details)


def _forms(host: str = "") -> Forms:
    """Plans and moves as they travel, and as `host`, which said them, is to be understood here."""

    def shown(value: object, _: object) -> str:
        return printable(text(value), _LONGEST)

    def told(value: object, _: object) -> str:
        return told_from_here(printable(text(value), _LONGEST), host)

    read: dict[str, Read] = {
        "workspace": optional(shown),
        **dict.fromkeys(_LINES, lambda value, _: _lines(value)),
        "shared": lambda value, _: _lines(value, host),  # sentences, which say "here" and "there"
    }
    # A pull brings the image of one commit, and makes a new copy, whoever says what.
    form = Form(read=read, later=_LATER, omitted=("history", "refreshed"), unfolded=_shortened)
    return Forms(
        {
            MovePlan: replace(
                form, later=(*_LATER, "replaces"), omitted=("live", "estimate", "history", "refreshes", "renamed")
            ),
            MoveAccount: form,
            Moved: Form(read={"host": shown}, omitted=("resumed", "rounds", "downtime")),
            Part: Form(read={"name": shown}),
            Stays: Form(read={"name": told, "place": shown}),
            Missing: Form(read={"name": told, "identity": shown}),
        }
    )


def _shortened(document: dict[str, Any]) -> dict[str, Any]:
    """With no more of each list than is sent."""
    lines = {key: _cut(document[key]) for key in (*_LINES, "shared") if key in document}
    return {**document, **lines, **{key: document[key][:_MOST] for key in _FACTS if key in document}}


def _cut(lines: Sequence[str]) -> list[str]:
    kept = [printable(line, _LONGEST) for line in lines[:_MOST]]
    return kept if len(lines) <= _MOST else [*kept, f"and {len(lines) - _MOST} more"]


def _lines(value: object, host: str = "") -> tuple[str, ...]:
    """Texts; with `host`, which said them, they are sentences, and told from here."""
    if not isinstance(value, list):
        raise wrong(value, "a list")
    lines = (printable(str(line), _LONGEST) for line in value[: _MOST + 1])
    return tuple(told_from_here(line, host) if host else line for line in lines)
