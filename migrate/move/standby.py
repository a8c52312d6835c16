"""A standby: a copy on another host that owns nothing, brought up to date round by round, until it is taken over."""

import os
import secrets
from dataclasses import replace

from bottle.errors import BottleError, Conflict, RemoteError
from bottle.files.regular import read_regular
from bottle.home import user_home
from bottle.model import Standby
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.takeover import give_way
from bottle.plan.guards import require_here
from bottle.store.state import WORKSPACE_LEFT, BottleState
from migrate.contents.index import look
from migrate.contents.left import listing
from migrate.contents.packing import own_folder
from migrate.host.arguments import Nonce
from migrate.host.commands import Withdraw
from migrate.host.probe import probe
from migrate.model import Presence
from migrate.move.copies import fenced
from migrate.move.execute import move
from migrate.move.model import Moved
from migrate.ports import Remote
from migrate.transport.local import run_here

_HOUR = 3600.0


def stand_by(context: Context, state: BottleState, remote: Remote, options: MoveOptions) -> Moved:
    """Bring the standby on the host of `remote` up to date, or make it; of which commit it is is kept here.

    Raises Fenced where that host has taken the bottle over, Conflict where another one stands by, or what `move`
    raises: the standby is as it was then.
    """
    require_here(state.identity, state.tombstone.read(), "keep a standby of")
    noted = state.standby.read() or Standby(host=remote.name)
    if noted.host != remote.name:  # which would not be asked any more, and may take the bottle over
        raise Conflict(
            f"{noted.host} stands by for {state.identity} already",
            left="nothing was changed",
            next_step=f"bottle standby {state.identity} {noted.host} --end, and there: bottle rm {state.identity}",
        )
    noted = replace(noted, identity_files=tuple(map(str, options.keys)))
    state.standby.write(noted)  # before it can be taken over: from here on it is asked about
    moved = move(context, state, remote, replace(options, keep=True, standby=True))
    if state.standby.read() is not None:  # or somebody ended it meanwhile
        now, commit = context.now(), moved.account.commit
        state.standby.write(replace(noted, commit=commit, brought_at=now, failed_at=None, error=""))
    return moved


def note_failure(context: Context, state: BottleState, failure: BottleError) -> None:
    """Keep why a round failed, where there were any before."""
    noted = state.standby.read()
    if noted is not None:
        state.standby.write(replace(noted, failed_at=context.now(), error=failure.what))


def require_ownership(context: Context, state: BottleState, remote: Remote, *, lets_go: bool = True) -> None:
    """Ask the host that stands by whether it has taken the bottle over. Raises Fenced where it has.

    Where the bottle does not run here, this host then has let go of it, and has what is newer here as a bottle of its
    own; without `lets_go` nothing is changed.
    """
    metadata = state.metadata()
    there = probe(remote, state.identity, "")
    is_owned = there.presence is Presence.OWNED and there.generation == metadata.generation
    if there.generation <= metadata.generation and not is_owned:
        return
    container = context.container(state.identity)
    if not lets_go or (container is not None and container.status.alive):
        raise fenced(state.identity, remote.name)
    unchanged = _is_as_brought(context, state)
    kept = give_way(context, state, remote.name, there.generation, unchanged=unchanged)
    said = fenced(state.identity, remote.name)
    said.left = f"what is newer here is {kept}, a bottle of its own" if kept is not None else "nothing is newer here"
    said.next_step = f"there: bottle resume {state.identity}" + (f"; here: bottle resume {kept}" if kept else "")
    raise said


def _is_as_brought(context: Context, state: BottleState) -> bool:
    """Whether nobody has worked in the workspace since the standby was brought; what cannot be told counts as work."""
    folder = state.metadata().mounted
    if folder is None:
        return True
    try:
        kept = read_regular(state.path / WORKSPACE_LEFT)
        return kept == listing(folder, look(folder, own_folder(context.home.path, folder)))
    except OSError:
        return False


def put_back_here(context: Context, identity: Identity) -> None:
    """Have the standby on this host in its place again that made room for a round which was cut.

    A script of that round which is still at work is waited for. Raises RemoteError.
    """
    command = Withdraw(identity=identity, nonce=Nonce(secrets.token_hex(16))).command()  # of no move: none has arrived
    environment = {**os.environ, "BOTTLE_HOME": str(context.home.path)}
    reply = run_here(command, (), host="this host", environment=environment, folder=user_home(), silence=_HOUR)
    if reply.status:
        raise RemoteError(
            f"what a round that was cut left of {identity} here could not be put back: {reply.err.strip()}",
            left="nothing was changed",
            next_step="the same command again",
        )
