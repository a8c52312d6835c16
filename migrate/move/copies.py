"""The copies of a bottle on other hosts: the one that is brought up to date instead of making another."""

from collections.abc import Mapping

from bottle.errors import Conflict, Fenced, PreflightRefused
from bottle.model import CopiesThere, CopyThere, MountKind
from bottle.naming import Identity, generations
from bottle.store.state import BottleState
from migrate.contents.outside import volumes_of
from migrate.model import Presence
from migrate.move.model import MoveFacts

_STARTED = frozenset({"container", "former"})


def copy_on(state: BottleState, host: str) -> Identity | None:
    """What the newest copy on a host is called, as far as is known; it may be gone from there."""
    return next((each.identity for each in _copies(state) if each.host == host), None)


def is_copy(state: BottleState, identity: Identity) -> bool:
    """Whether that is a copy which was made from here, or is being made."""
    earlier = state.migration.read()
    being_made = earlier is not None and earlier.arrives_as == identity != state.identity
    return being_made or any(each.identity == identity for each in _copies(state))


def is_first(state: BottleState, identity: Identity) -> bool:
    """Whether no move has brought that copy to its end before."""
    return all(each.identity != identity for each in _copies(state))


def note_copy(state: BottleState, copy: CopyThere) -> None:
    """Keep in mind that it is there, in place of what was known of that host. Raises StateDamaged."""
    others = (each for each in _copies(state) if each.host != copy.host)
    state.copies.write(CopiesThere(copies=(*others, copy)))


def require_unworked_copy(facts: MoveFacts, workspace: str | None) -> None:
    """Refuse to replace a copy on which somebody has worked, or at work with it now. Raises Conflict."""
    host, why = facts.host, None
    if host.presence is Presence.MOVED:
        why = "has moved away from there"
    elif host.presence is Presence.OWNED and not host.copied:
        why = f"has been worked on: {_what_changed(host.changed)}"
    elif host.presence is Presence.OWNED and workspace is not None and host.left not in {None, workspace}:
        why = f"has its workspace at {host.left}, and would have it at {workspace}"
    elif host.presence is Presence.OWNED and host.volumes_used:
        volume, container = host.volumes_used[0]
        why = f"is in use: container {container} has its volume {volume}"
    if why is not None:
        raise Conflict(
            f"{facts.arrives_as}, the copy of {facts.metadata.identity} on {facts.host_name}, {why}",
            left="nothing was changed on either side",
            next_step=f"the same command with {another(workspace)}, makes another copy; that one stays as it is",
        )


def require_standing_by(facts: MoveFacts) -> None:
    """Refuse a host that has taken the bottle over, and a bottle of which no standby can be kept.

    Raises Fenced or PreflightRefused.
    """
    identity, name = facts.metadata.identity, facts.host_name
    if facts.host.presence is Presence.OWNED:
        raise fenced(identity, name)
    if volumes_of(facts.metadata):
        raise PreflightRefused(
            f"{identity} has volumes, of which no standby can be kept yet",
            left="nothing was changed on either side",
            next_step=f"a copy of this moment: bottle migrate {identity} {name} --keep",
        )


def fenced(identity: Identity, host: str) -> Fenced:
    """What is said where the other host is the owner by now."""
    return Fenced(
        f"{host} has taken {identity} over: it owns the bottle",
        left=f"what {identity} did here since is here",
        next_step=f"bottle stop {identity}; bottle resume {identity}   (keeps what is newer here as another bottle)",
    )


def renamed_volumes(facts: MoveFacts) -> Mapping[str, str]:
    """What the volumes of a copy that is brought up to date are called there, by what they are called here.

    None of them has the name of one that is there: a copy keeps its own, whole, until the state that names the newer
    ones is in its place.
    """
    taken, names = set(facts.host.volumes), dict[str, str]()
    for each in facts.metadata.agent.volumes:
        if each.kind is MountKind.VOLUME and each.source not in names:
            free = (name for name in generations(each.source) if facts.arrives_as.volume(name) not in taken)
            names[each.source] = next(free)
            taken.add(facts.arrives_as.volume(names[each.source]))
    return names


def another(workspace: str | None) -> str:
    """The options that make another copy, where that one has its workspace already."""
    return "--new" if workspace is None else "--new and --workspace DIR, a folder there that is new or empty"


def _what_changed(changed: tuple[str, ...]) -> str:
    if not changed:
        return "whether it still is as it came cannot be told there"
    return "it was started there" if _STARTED.intersection(changed) else f"{', '.join(changed)} changed"


def _copies(state: BottleState) -> tuple[CopyThere, ...]:
    known = state.copies.read()
    return known.copies if known is not None else ()
