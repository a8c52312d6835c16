"""`migrate --from`: the owner of a bottle is told to move it here, over our one connection to it.

The mover runs there, on our streams. What it asks for here goes through `migrate.pull.perform`. A connection that
breaks is made again, and the mover started again: it goes on with what is staged here.
"""

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from bottle.agent.admission import Agree
from bottle.errors import (
    BottleError,
    ConnectionLost,
    InvalidIdentity,
    Locked,
    NameTaken,
    PreflightRefused,
    RemoteError,
    VerificationFailed,
)
from bottle.files.atomic import write_atomic
from bottle.files.regular import read_regular
from bottle.home import user_home
from bottle.model import Metadata
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.store import lock
from bottle.store.kept import KEPT
from bottle.store.values import flag
from migrate.admission.grant import Granted, grant, odd
from migrate.host.commands import Send
from migrate.host.probe import probe
from migrate.host.script import ScriptStatus
from migrate.model import RemoteCommand
from migrate.move.model import Moved, MovePlan
from migrate.pull.messages import error_from_json, report_from_json
from migrate.pull.perform import Performer
from migrate.pull.policy import Terms
from migrate.pull.receiver import Receiver
from migrate.pull.site import Here
from migrate.transport.duplex import Dialogue, FarExit
from migrate.transport.frames import MAGIC

# What the two hosts say to each other. An offer holds a bottle's metadata as the disk does (bottle/store/kept.py): a
# change to that form is one to the protocol.
PROTOCOL = 4
HOST_ID = "host-id"
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
_USAGE = 2
_NOBODY = "0" * 32
UNCHANGED = "nothing was changed on either side"


class Conversing(Protocol):
    """A far host where a command can be started that is then talked with."""

    @property
    def name(self) -> str:
        """The host, as messages call it."""

    def converse(self, command: RemoteCommand) -> Dialogue:
        """Start `command`. Raises ConnectionLost, else RemoteError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """What the user asked for: an identity, its beginning, or a second name there.

    With `plan` only what it would take is told. `agree` is asked about what the bottle would be given here.
    """

    identity: str
    options: MoveOptions = field(default_factory=MoveOptions)
    plan: bool = False
    agree: Agree = field(default=lambda _: False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPlan:
    """What the owner would do, what the user would be asked to agree to, and what is not taken over."""

    move: MovePlan
    asks: tuple[str, ...]
    refused: tuple[str, ...]


def offer(metadata: Metadata, *, rebuild: bool) -> Mapping[str, Any]:
    """What an owner says of a bottle before anything is done with it, and before anybody has agreed to anything."""
    return {
        "protocol": PROTOCOL,
        "identity": str(metadata.identity),
        "metadata": KEPT.to_json(metadata),
        "rebuild": rebuild,
    }


def pull(
    context: Context, remote: Conversing, request: PullRequest, *, sleep: Callable[[float], None] = time.sleep
) -> Moved | PullPlan:
    """Bring a bottle here from the host that owns it, or only learn what that would take.

    Raises what `move` raises on the far host, told from here; Locked when another run pulls it already;
    NeedsConsent; RemoteError when that host says what no honest one says. Until the last step it owns the bottle.
    """
    pauses, broke = list(_PAUSES), False
    agreed: set[str] = set()
    while True:
        session = _Session(context, remote, request, agreed)
        try:
            return session.run()
        except (ConnectionLost, Locked) as exc:
            # A mover whose connection broke holds the bottle's lock until it has noticed.
            if isinstance(exc, Locked) and not (broke and session.is_far_lock):
                raise
            broke = True
            if session.progressed:
                pauses = list(_PAUSES)
            if not pauses:
                raise
            context.progress.note(f"{exc.what}; trying again in {pauses[0]:g} s")
            sleep(pauses.pop(0))


def own_name() -> str:
    """What the far host calls us."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()).strip("-.")
    return name[:64] or "localhost"


def own_id(home: Path) -> str:
    """What tells this `$BOTTLE_HOME` from every other one, whatever its host is called."""
    path = home / HOST_ID
    try:
        kept = read_regular(path).decode("ascii").strip()
        if re.fullmatch(r"[0-9a-f]{32}", kept):
            return kept
    except (OSError, ValueError):
        pass
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = secrets.token_hex(16)
    write_atomic(path, f"{made}\n".encode())
    return made


class _Session:
    """One connection's worth of pulling. `agreed` is what the user has agreed to, in earlier ones too."""

    def __init__(self, context: Context, remote: Conversing, request: PullRequest, agreed: set[str]) -> None:
        self._context = context
        self._remote = remote
        self._request = request
        self._agreed = agreed
        self._offered: Granted | None = None
        self._performer: Performer | None = None
        self.is_far_lock = False

    @property
    def progressed(self) -> bool:
        """Whether something was staged."""
        return self._performer is not None and self._performer.pieces > 0

    def run(self) -> Moved | PullPlan:
        talk = self._remote.converse(Send(words=self._arguments()).command())
        try:
            first = talk.open(MAGIC)
        except FarExit as exc:
            talk.close()
            raise self._not_there(exc) from exc
        except BaseException:
            talk.close()
            raise
        here = Here(self._context.home.path, self._context.environ)
        receiver = Receiver(talk, self._perform, self._context.progress, first=first)
        try:
            hello = receiver.hello()
            if "result" in hello:
                return self._conclude(hello["result"])
            identity = self._identity(hello)
            self._offered = self._granted(hello, identity)
            if not self._request.plan:
                self._ask(self._offered)
            with self._alone(identity):
                terms, engine = self._terms(here, identity), self._context.engine
                self._performer = Performer(terms, here, engine, self._context.progress, frozenset(self._agreed))
                return self._conclude(receiver.serve())
        except ConnectionLost:
            raise
        except RemoteError as exc:
            talk.close()
            said = talk.complaints()[-300:].strip()
            if said and not exc.left:
                exc.left = f"{self._remote.name} said: {said}"
            raise
        except KeyboardInterrupt:
            talk.close()
            receiver.close(wait=False)
            raise
        finally:
            talk.close()
            receiver.close()

    def _alone(self, identity: Identity) -> AbstractContextManager[None]:
        """Be the only one who pulls this bottle here; whoever only looks need not be."""
        if self._request.plan:
            return nullcontext()
        folder = self._context.home.path / "locks"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return lock.hold(folder / f"pull-{identity}", subject=str(identity), purpose="bottle migrate --from")

    def _perform(self, request: Any, stdin: Any) -> Any:
        assert self._performer is not None  # made before anything is served
        return self._performer(request, stdin)

    def _arguments(self) -> tuple[str, ...]:
        request = self._request
        host_id = _NOBODY if request.plan else own_id(self._context.home.path)
        plan = ("--plan",) if request.plan else ()
        options = replace(request.options, resume=False, keys=())  # of these the far host has its own
        return request.identity, "--host", own_name(), "--host-id", host_id, *plan, *options.to_argv()

    def _identity(self, hello: Mapping[str, Any]) -> Identity:
        try:
            identity = Identity.parse(str(hello.get("identity")))
        except InvalidIdentity as exc:
            raise RemoteError(f"{self._remote.name} offers a bottle by a name that is none") from exc
        if hello.get("protocol") != PROTOCOL:
            raise RemoteError(
                f"the bottle installed on {self._remote.name} speaks in another way than this one",
                next_step="install the same version on both: pipx upgrade agent-bottle",
            )
        return identity

    def _granted(self, hello: Mapping[str, Any], identity: Identity) -> Granted:
        """What the bottle would be given here, as its owner describes it: what arrives may ask for no more."""
        try:
            metadata, rebuild = KEPT.from_json(hello["metadata"], Metadata), flag(hello["rebuild"])
        except (KeyError, ValueError, TypeError) as exc:
            raise RemoteError(f"{self._remote.name} describes {identity} in a way that makes no sense") from exc
        asked = self._request.identity
        if not str(identity).startswith(asked) and metadata.name != asked:
            raise RemoteError(f"{self._remote.name} offers {identity}, and {asked} was asked for")
        wrong = "it is another's" if metadata.identity != identity else odd(metadata, verb="migrate")
        if wrong:
            raise VerificationFailed(
                f"{identity}, as {self._remote.name} describes it, is refused: {wrong}",
                left=UNCHANGED,
                next_step=f"look at it there: bottle inspect {identity}",
            )
        return grant(metadata, self._context.home.bottle(identity).path, rebuild=rebuild)

    def _ask(self, granted: Granted) -> None:
        """Have the user agree while the agent over there still works; to what was agreed to before, only once."""
        if not self._agreed.issuperset(granted.demands):
            granted.require(self._request.agree, UNCHANGED, str(granted.metadata.identity))
            self._agreed.update(granted.demands)

    def _terms(self, here: Here, identity: Identity) -> Terms:
        facts = probe(here, identity, "")
        usable = facts.docker and facts.refused is None
        return Terms(
            identity=identity,
            keep=self._request.options.keep,
            looking=self._request.plan,
            workspace=self._request.options.workspace,
            home=Path(os.path.realpath(user_home())),
            bottle_home=self._context.home.path,
            docker=facts.docker if usable else "",
            sudo=facts.sudo,
            store=facts.store,
            docker_root=facts.docker_root,
            consent=self._request.options.consent,
            left=facts.left if not self._request.options.keep else None,
        )

    def _conclude(self, result: Mapping[str, Any]) -> Moved | PullPlan:
        match result:
            case {"error": dict(error)}:
                failure = error_from_json(error, self._remote.name, own_name())
                self.is_far_lock = isinstance(failure, Locked)
                raise failure
            case {"plan": dict(plan)} if self._request.plan:
                offered = self._offered
                asks, refused = (offered.demands, offered.refused) if offered is not None else ((), ())
                return PullPlan(move=report_from_json(plan, MovePlan, self._remote.name), asks=asks, refused=refused)
            case {"moved": dict(moved)} if not self._request.plan:
                return self._checked(report_from_json(moved, Moved, self._remote.name))
            case _:
                raise RemoteError(f"{self._remote.name} ends with a result that makes no sense")

    def _checked(self, moved: Moved) -> Moved:
        """The move, where it happened: nothing is here, or came from there, because a far host says so."""
        performer, offered = self._performer, self._offered
        if performer is None or offered is None or performer.arrives_as != moved.arrived_as or not performer.is_here():
            raise RemoteError(f"{self._remote.name} says that the bottle is here, and it is not")
        arrived = performer.arrived()
        if arrived is None:
            raise NameTaken(
                f"{performer.arrives_as} was here before, and {self._remote.name} does not show that it brought it",
                left="it is as it was",
                next_step=f"bottle inspect {performer.arrives_as}",
            )
        return replace(
            moved,
            identity=offered.metadata.identity,
            arrived_as=arrived.identity,
            host=own_name(),
            account=replace(moved.account, commit=arrived.commit, workspace=arrived.workspace),
        )

    def _not_there(self, exc: FarExit) -> BottleError:
        host = self._remote.name
        if exc.status == ScriptStatus.NOT_INSTALLED:
            return PreflightRefused(
                f"bottle is not installed on {host}, or not where a login without a terminal finds it",
                left=UNCHANGED,
                next_step="there: pipx install agent-bottle   (or push it from there: bottle migrate IDENTITY HOST)",
            )
        if exc.status == _USAGE:
            return PreflightRefused(
                f"the bottle installed on {host} cannot be pulled from: {exc.what}",
                left=UNCHANGED,
                next_step="there: pipx upgrade agent-bottle",
            )
        return exc
