"""Who owns a bottle that was on its way when the line broke: only the far host knows."""

from bottle.errors import RemoteError
from bottle.naming import Identity
from migrate.host.arguments import Nonce
from migrate.host.commands import Withdraw
from migrate.host.probe import require_done
from migrate.ports import Remote

_HOUR = 3600.0


def had_arrived(remote: Remote, identity: Identity, nonce: str) -> bool:
    """Ask the far host whether the move called `nonce` has arrived there.

    If it has not, it never will: what was staged for it is withdrawn. Raises RemoteError when the answer is none.
    """
    reply = remote.run(Withdraw(identity=identity, nonce=Nonce(nonce)).command(), silence=_HOUR)
    match require_done(remote, reply, "asking whether the bottle had arrived").out.strip():
        case b"arrived":
            return True
        case b"withdrawn":
            return False
        case _:
            raise RemoteError(f"{remote.name} does not say who owns {identity}", left="nothing was changed")
