"""Who owns a bottle that was on its way when the line broke: only the far host knows."""

from collections.abc import Iterator

from bottle.errors import RemoteError
from bottle.naming import Identity
from bottle.ports import Progress
from bottle.text import printable
from migrate.host.arguments import Nonce
from migrate.host.commands import Withdraw
from migrate.host.probe import require_done
from migrate.ports import Remote

_HOUR = 3600.0
_KEPT = "somebody still works in the workspace that the bottle had left on {host}: it is kept there, in {place}"
_REST = "what is left of the workspace that the bottle had left on {host} could not be deleted: {place}"
_NOTES = {b"kept": _KEPT, b"rest": _REST}


def notes_of_what_was_left(out: bytes, host: str) -> Iterator[str]:
    """What scripts say has become of a workspace that gave way (`let_left_go` in migrate/host/scripts/places.sh)."""
    for line in out.split(b"\n"):
        word, _, place = line.partition(b"=")
        if word in _NOTES:
            yield _NOTES[word].format(host=host, place=printable(place.decode("utf-8", "replace"), 300))


def had_arrived(remote: Remote, identity: Identity, nonce: str, progress: Progress) -> bool:
    """Ask the far host whether the move called `nonce` has arrived there.

    If it has not, it never will: what was staged for it is withdrawn. Raises RemoteError when the answer is none.
    """
    reply = remote.run(Withdraw(identity=identity, nonce=Nonce(nonce)).command(), silence=_HOUR)
    answer, _, rest = require_done(remote, reply, "asking whether the bottle had arrived").out.partition(b"\n")
    for note in notes_of_what_was_left(rest, remote.name):
        progress.note(note)
    match answer.strip():
        case b"arrived":
            return True
        case b"withdrawn":
            return False
        case _:
            raise RemoteError(f"{remote.name} does not say who owns {identity}", left="nothing was changed")
