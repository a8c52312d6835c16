"""Which capability request is meant: by its digest, or as the only one that is open. Pure."""

import re
from collections.abc import Iterable

from bottle.errors import Conflict, NotFound, UsageError
from bottle.model import CapabilityRequest, RequestStatus
from bottle.naming import Identity
from bottle.requests.request import SHORT_DIGEST

_DIGEST = re.compile(r"[0-9a-f]{8,64}")


def requests_named(
    identity: Identity, requests: Iterable[CapabilityRequest], digest: str
) -> tuple[CapabilityRequest, ...]:
    """The requests with a digest, by number: more than one where an agent asked for the same again.

    Raises UsageError, NotFound, or Conflict where it changed since it had that digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise UsageError(
            f"{digest!r} is no digest of a request: 8 to 64 hexadecimal digits, as `show` prints them",
            next_step=f"bottle capability list {identity}",
        )
    known = tuple(requests)
    fitting = {each.digest for each in known if each.digest.startswith(digest)}
    changed = [each for each in known if any(old.startswith(digest) and old not in fitting for old in each.superseded)]
    if changed:
        raise Conflict(
            f"request {changed[0].number} of {identity} has changed since it was {digest}",
            left="nothing was decided",
            next_step=f"bottle capability show {identity} {short_digest(changed[0])}",
        )
    if not fitting:
        raise NotFound(
            f"{identity} has no request {digest}",
            left="nothing was decided",
            next_step=f"bottle capability list {identity}",
        )
    if len(fitting) > 1:
        raise UsageError(f"{digest!r} fits {len(fitting)} requests of {identity}", next_step="type more of it")
    return tuple(each for each in known if each.digest in fitting)


def only_open(identity: Identity, requests: Iterable[CapabilityRequest]) -> CapabilityRequest:
    """The request that is open, where it is the only one. Raises NotFound or UsageError."""
    waiting = {each.digest: each for each in requests if each.status.open}
    match list(waiting.values()):
        case [request]:
            return request
        case []:
            raise NotFound(f"no request of {identity} is waiting", next_step=f"bottle capability list {identity}")
        case several:
            names = ", ".join(map(short_digest, several))
            raise UsageError(
                f"{len(several)} requests of {identity} are waiting: {names}",
                next_step=f"bottle capability show {identity} DIGEST",
            )


def refuse_two_at_once(identity: Identity, requests: Iterable[CapabilityRequest], chosen: CapabilityRequest) -> None:
    """Refuse to begin an approval while that of another request is not finished. Raises Conflict."""
    for each in requests:
        if each.status is RequestStatus.APPROVING and each.digest != chosen.digest:
            raise Conflict(
                f"the approval of request {each.number} of {identity} has begun and is not finished",
                left="nothing was changed",
                next_step=f"{approve_line(identity, each)}   (finishes it)",
            )


def short_digest(request: CapabilityRequest) -> str:
    """Enough of its digest to name it."""
    return request.digest[:SHORT_DIGEST]


def approve_line(identity: Identity, request: CapabilityRequest) -> str:
    """The command that approves it."""
    return f"bottle capability approve {identity} {short_digest(request)}"


def decided_on(request: CapabilityRequest) -> str:
    """The moment of its decision, in words."""
    return f"{request.decided_at:%Y-%m-%d %H:%M} UTC" if request.decided_at is not None else "an unknown day"
