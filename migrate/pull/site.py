"""This host, as the destination of a pull: where the bottle goes, what is there of it, and scripts run in its name."""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import RemoteError
from bottle.files.regular import read_regular
from bottle.home import user_home
from bottle.naming import Identity
from bottle.ports import Engine, Progress
from bottle.store.state import ARRIVED, TOMBSTONE, BottleState
from migrate.model import RemoteCommand, Reply
from migrate.pull.policy import Asked, PullPolicy, Terms
from migrate.transport.local import run_here

RESERVE = 64 << 20  # bytes that are left free on every disk
SHOWN = 300  # characters of what comes from there
_NAME = "this host"
_PASSED = ("HOME", "PATH", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK")


class Here:
    """Runs scripts on this host, in the user's name: a `migrate.ports.Shell` without a network."""

    name = _NAME

    def __init__(self, bottle_home: Path, environ: Mapping[str, str]) -> None:
        self._environ = {name: environ[name] for name in environ if name in _PASSED or name.startswith("DOCKER_")}
        self._environ["BOTTLE_HOME"] = str(bottle_home)
        self._environ.setdefault("HOME", str(user_home()))

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Shell.run`."""
        return run_here(command, stdin, host=_NAME, environment=self._environ, folder=Path("/"), silence=silence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where one bottle is brought to. What is called after it raises Breach before it is known how."""

    policy: PullPolicy
    here: Here
    engine: Engine
    progress: Progress

    @property
    def terms(self) -> Terms:
        """What the user agreed to, and what was found here."""
        return self.policy.terms

    @property
    def identity(self) -> Identity:
        """What the bottle is called here."""
        return self.policy.identity

    @property
    def state(self) -> BottleState:
        """The bottle's, as it is here, or will be."""
        return BottleState(self.identity, self.terms.bottle_home / "state" / str(self.identity))

    @property
    def staging(self) -> Path:
        """Where it is until it is put into place."""
        return self.terms.bottle_home / "incoming" / str(self.identity)

    @property
    def blobs(self) -> Path:
        """Where its pieces are staged."""
        return self.staging / "blobs"

    def run(self, script: Asked, stdin: Iterable[bytes] = (), *, silence: float) -> Reply:
        """Run a script here, with our own word for how Docker is reached. Raises what `Here.run` does."""
        return self.here.run(script.command(self.terms), stdin, silence=silence)

    def room(self) -> int:
        """Bytes that may still be written below bottle's home. Raises RemoteError."""
        return _free(self.terms.bottle_home)

    def docker_room(self) -> int:
        """Bytes that may still be written where the engine keeps what it has. Raises RemoteError."""
        root = Path(self.terms.docker_root)
        return _free(root if root.is_absolute() else self.terms.bottle_home)

    def is_owner(self) -> bool:
        """Whether this host owns the bottle now, whatever anybody says."""
        return self.state.path.is_dir() and not (self.state.path / TOMBSTONE).exists()

    def has_arrived(self, nonce: str) -> bool:
        """Whether the move called `nonce`, which only its two hosts know, once put the bottle into place here."""
        noted = (self.state.path / ARRIVED, self.terms.bottle_home / ARRIVED / str(self.identity))
        for file in noted:
            with suppress(OSError):
                if nonce.encode() in read_regular(file).split(b"\n"):
                    return True
        return False


def _free(path: Path) -> int:
    """Bytes that may still be written at `path`, whether it exists yet or not."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return max(shutil.disk_usage(path).free - RESERVE, 0)
    except OSError as exc:
        raise RemoteError(f"the disk of {path} cannot be looked at: {exc.strerror}") from exc
