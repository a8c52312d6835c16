"""Everything that can go wrong, each with its exit code and the next command to type.

BottleError                 1  failed
├── BuildFailed             1
├── EndedAtOnce             1
├── AnswerLost              1  it was done, and could not be told
├── TreeUnfit               1  a layer cannot be written of what has changed; caught: the engine commits
├── HelperLost              1  no container reads the engine's folders; caught: the engine is asked
├── StateDamaged            1
│   └── StateTooNew         1
├── UsageError              2
│   ├── InvalidIdentity     2
│   ├── AmbiguousIdentity   2
│   └── ManifestError       2
├── NotFound                3  no such bottle, agent or commit
│   └── NothingToResume     3
├── Conflict                4
│   ├── NameTaken           4
│   ├── PortTaken           4
│   ├── Locked              4
│   ├── MovedAway           4
│   │   └── Fenced          4
│   ├── NeedsConsent        4
│   ├── TwoContainers       4
│   └── BackendUnsupported  4
├── EngineError             5  Docker not reachable, or it refused
│   ├── EngineUnreachable   5
│   │   └── ContextUnusable 5
│   ├── CannotPause         5
│   └── StillPaused         5
├── RemoteError             6  SSH or remote failure
│   ├── HostKeyRejected     6
│   ├── LoginRefused        6
│   └── ConnectionLost      6
├── VerificationFailed      7
├── PreflightRefused        8  architecture, disk, engine, credentials
│   └── PathTooLong         8
└── Interrupted           130
"""

from typing import ClassVar


class BottleError(Exception):
    """The one error users see: what happened, what state is left, and the next command to type.

    Each of them is shown as one line, whatever is in it. `details` are further lines, such as the last output of what
    failed: they are shown behind a mark, so that none of them can pass for one of ours.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, left: str = "", next_step: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((what, *details)))
        self.what = what
        self.left = left
        self.next_step = next_step
        self.details = details

    @property
    def code(self) -> str:
        """The stable name of the cause, as in the JSON form of an error."""
        return type(self).__name__


class BuildFailed(BottleError):
    """The image of an agent could not be built."""


class EndedAtOnce(BottleError):
    """An agent was started, and failed in its first moments."""


class AnswerLost(BottleError):
    """What was asked for was done, and its answer could not be printed."""


class TreeUnfit(BottleError):
    """What a container has written cannot be told as a layer of what changed; it is committed another way."""


class HelperLost(BottleError):
    """A container that reads the engine's folders cannot be had, or has ended before it had answered."""


class StateDamaged(BottleError):
    """A file of the state folder cannot be read as what it should be."""


class StateTooNew(StateDamaged):
    """A file of the state folder was written by a newer version of bottle."""


class UsageError(BottleError):
    """The command line, or a value in it, is not valid."""

    exit_code = 2


class InvalidIdentity(UsageError):
    """A text is no identity of a bottle."""


class AmbiguousIdentity(UsageError):
    """A prefix fits more than one bottle."""


class ManifestError(UsageError):
    """The manifest is missing, unreadable or says something that is not allowed."""


class NotFound(BottleError):
    """No such bottle, agent or commit."""

    exit_code = 3


class NothingToResume(NotFound):
    """Neither container, image nor Dockerfile of the bottle is left."""


class Conflict(BottleError):
    """What was asked for contradicts something that exists."""

    exit_code = 4


class NameTaken(Conflict):
    """A name is in use by something that is not this bottle's."""


class PortTaken(Conflict):
    """A port of the host that a bottle is to have is somebody else's."""


class Locked(Conflict):
    """Another run is working on the same bottle."""


class MovedAway(Conflict):
    """The bottle lives on another host now."""


class Fenced(MovedAway):
    """The host that stood by has taken the bottle over, and owns it."""


class NeedsConsent(Conflict):
    """Unasked, going on would delete the only copy of work, leave what it needs, or give a bottle a hold here.

    `parts` is what the question is about, where a yes is to hold for that and no more.
    """

    def __init__(
        self,
        what: str,
        *,
        left: str = "",
        next_step: str = "",
        details: tuple[str, ...] = (),
        parts: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, left=left, next_step=next_step, details=details)
        self.parts = parts


class TwoContainers(Conflict):
    """More than one container may be the bottle's, and nobody can tell which has its work."""


class BackendUnsupported(Conflict):
    """The bottle runs on a backend other than docker."""


class EngineError(BottleError):
    """Docker refused, or answered with an error."""

    exit_code = 5


class EngineUnreachable(EngineError):
    """No Docker Engine answers."""


class ContextUnusable(EngineUnreachable):
    """The Docker context that is named is not there, or cannot be read: which engine is meant is not known."""


class CannotPause(EngineError):
    """The engine pauses no containers."""


class StillPaused(EngineError):
    """A container that was paused for a moment cannot be let go on: its agent is frozen."""


class RemoteError(BottleError):
    """A remote host refused, or a command there failed."""

    exit_code = 6


class HostKeyRejected(RemoteError):
    """The host's key is unknown or has changed; nothing was sent."""


class LoginRefused(RemoteError):
    """The host accepts none of the keys that were offered."""


class ConnectionLost(RemoteError):
    """The connection broke or went silent; what was acknowledged is kept."""


class VerificationFailed(BottleError):
    """What arrived, or what is there, is not what it should be."""

    exit_code = 7


class PreflightRefused(BottleError):
    """A fact found before anything was built, sent or replaced makes it impossible, or unwise, to go on."""

    exit_code = 8


class PathTooLong(PreflightRefused):
    """Folders lie in each other so deeply that Docker, or a tar, cannot open what is in them by its path."""


class Interrupted(BottleError):
    """The user pressed Ctrl-C, or SIGTERM or SIGHUP ended the command."""

    exit_code = 130
