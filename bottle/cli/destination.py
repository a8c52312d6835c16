"""Which of the words behind `migrate` is the bottle, and which the host. Pure."""

from collections.abc import Callable, Collection, Sequence

from bottle.errors import UsageError
from bottle.naming import Identity


def bottle_and_host(
    names: Sequence[str], named_here: Callable[[str], Identity | None], hosts: Collection[str]
) -> tuple[str | None, str]:
    """The identity, None where it is to be chosen, and the host. Raises UsageError, naming the one that is missing.

    `named_here` says which bottle of this host a word names; `hosts` are the names that ssh_config has.
    """
    if len(names) > 2:
        raise UsageError(
            f"one bottle and one host are expected, not {len(names)} names", next_step="bottle migrate --help"
        )
    if len(names) == 2:
        identity, host = names
        bottle = named_here(host) if host not in hosts and named_here(identity) is None else None
        if bottle is None:
            return identity, host
        raise UsageError(
            f"{host} is a bottle here, and no host: the bottle comes first, then the host",
            left="nothing was changed",
            next_step=f"bottle migrate {bottle} {identity}",
        )
    (name,) = names
    bottle = named_here(name) if name not in hosts else None
    if bottle is None:
        return None, name
    raise UsageError(
        f"the host that {bottle} is to move to is missing",
        left="nothing was changed",
        next_step=f"bottle migrate {bottle} [USER@]HOST   (or, if {name} is a host: bottle migrate IDENTITY {name})",
    )
