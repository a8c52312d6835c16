"""Capability requests."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class RequestStatus(Enum):
    """How far a capability request has come. `APPROVING`: approved, and not yet carried out to the end."""

    PENDING = "pending"
    APPROVING = "approving"
    APPROVED = "approved"
    DENIED = "denied"

    @property
    def open(self) -> bool:
        """Whether something is still to be done about it."""
        return self in {RequestStatus.PENDING, RequestStatus.APPROVING}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityRequest:
    """`requests/<number>.json`: a Dockerfile that an agent asks for, as it was when the operator's side took it in.

    `number` is the agent's and names the request; `digest` is of what it asks (`requests.request.digest_of`) and is
    what gets approved. `superseded` are the digests that the same number had before. `note` is the operator's word
    on it.
    """

    number: int
    digest: str
    reason: str
    dockerfile: str
    received_at: datetime
    status: RequestStatus = RequestStatus.PENDING
    note: str = ""
    decided_at: datetime | None = None
    superseded: tuple[str, ...] = ()
