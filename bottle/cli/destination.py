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
    *before, last = names
    bottle = named_here(last) if last not in hosts else None
    if bottle is None:
        return (before[0] if before else None), last
    if before:
        raise UsageError(
            f"{last} is a bottle here, and no host: the bottle comes first, then the host",
            left="nothing was changed",
            next_step=f"bottle migrate {bottle} {before[0]}",
        )
    raise UsageError(
        f"the host that {bottle} is to move to is missing",
        left="nothing was changed",
        next_step=f"bottle migrate {bottle} [USER@]HOST   (or, if {last} is a host: bottle migrate IDENTITY {last})",
    )
