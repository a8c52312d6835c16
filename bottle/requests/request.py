"""Capability requests: what counts as one and what names it. They come out of a container: none of it is trusted."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from bottle.model import CapabilityRequest, RequestStatus

MAX_DOCKERFILE = 256 * 1024  # bytes
MAX_REASON = 4 * 1024  # bytes
MAX_OPEN = 16  # undecided requests of one bottle
MAX_KEPT = 200  # requests of one bottle that are kept, decided ones too
MAX_SUPERSEDED = 50  # digests that one request had before; none is forgotten, or an agent could have two texts for one
SHORT_DIGEST = 12  # hexadecimal digits shown

_ANSWERS = {
    RequestStatus.PENDING: "pending",
    RequestStatus.APPROVING: "approved",
    RequestStatus.APPROVED: "approved",
    RequestStatus.DENIED: "denied",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it lies in the bottle. `flaw` says why it is none."""

    number: int
    reason: str
    dockerfile: str
    flaw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What is to be kept, as it is to be kept, and what to tell the operator."""

    changed: tuple[CapabilityRequest, ...]
    notes: tuple[str, ...]


def digest_of(reason: str, dockerfile: str) -> str:
    """SHA-256 of all that an approval consents to, in hexadecimal."""
    return hashlib.sha256(f"{len(reason)}\n{reason}{dockerfile}".encode("utf-8", "surrogateescape")).hexdigest()


def answer_to(request: CapabilityRequest) -> str:
    """What the bottle reads of its request: `pending`, `approved` or `denied` on a line, then the operator's note."""
    return "\n".join([_ANSWERS[request.status], *([request.note] if request.note else []), ""])


def require_sound(request: CapabilityRequest, number: int) -> None:
    """Refuse, by ValueError, a record of request `number` that this program never writes: it came from elsewhere."""
    if request.number != number:
        raise ValueError(f"it is numbered {request.number}")
    try:
        too_long = len(request.reason.encode()) > MAX_REASON or len(request.dockerfile.encode()) > MAX_DOCKERFILE
    except UnicodeEncodeError as exc:
        raise ValueError("it is no text that can be written") from exc
    if request.digest != digest_of(request.reason, request.dockerfile):
        raise ValueError("its digest is that of something else")
    if len(request.superseded) > MAX_SUPERSEDED:
        raise ValueError("it has had more digests than are kept")
    if too_long:
        raise ValueError("it is too long")


def take_in(
    known: Iterable[CapabilityRequest], asked: Iterable[Asked], now: datetime, *, most_open: int = MAX_OPEN
) -> Intake:
    """Decide which of the requests in the bottle are new, changed or none at all; a decided one stays what it is."""
    kept = {request.number: request for request in known}
    undecided = sum(request.status.open for request in kept.values())
    changed: list[CapabilityRequest] = []
    waiting = refused = 0
    for each in sorted(asked, key=lambda each: each.number):
        before = kept.get(each.number)
        if before is None and len(kept) >= MAX_KEPT:
            refused += 1
        elif before is None and undecided >= most_open and not each.flaw:
            waiting += 1
        elif before is None or before.status is RequestStatus.PENDING:
            request = _taken_in(before, each, now)
            if request != before:
                undecided += request.status.open - (before is not None)
                changed.append(request)
                kept[each.number] = request
    notes = []
    if waiting:
        notes.append(f"{waiting} more requests stay in the bottle until some of the {most_open} open ones are decided")
    if refused:
        notes.append(f"{refused} more requests are ignored: a bottle may make {MAX_KEPT} in its life")
    return Intake(changed=tuple(changed), notes=tuple(notes))


def _taken_in(before: CapabilityRequest | None, asked: Asked, now: datetime) -> CapabilityRequest:
    digest = digest_of(asked.reason, asked.dockerfile)
    if before is not None and before.digest == digest and not asked.flaw:
        return before
    superseded = dict.fromkeys((*before.superseded, before.digest)) if before is not None else {}
    superseded.pop(digest, None)
    flaw = asked.flaw
    if not flaw and len(superseded) >= MAX_SUPERSEDED:
        flaw = f"it was changed {MAX_SUPERSEDED} times; ask anew, under another number"
    request = CapabilityRequest(
        number=asked.number,
        digest=digest,
        reason=asked.reason,
        dockerfile=asked.dockerfile,
        received_at=now,
        superseded=tuple(superseded),
    )
    if flaw:
        request = replace(request, status=RequestStatus.DENIED, note=flaw, decided_at=now)
    return request
