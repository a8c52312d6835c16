"""Which container is a bottle's own: decided from facts alone, and never guessed.

A name does not say it, as `docker rename` changes it behind our back. Labels alone do not either: the images of a
bottle's commits have them, and so has whatever somebody runs from one by hand. The container's id, noted when bottle
made it, does; for those from before it was noted there is other evidence that only bottle can have made them.
"""

from collections.abc import Set
from dataclasses import dataclass

from bottle.agent.admission import RESERVED
from bottle.errors import TwoContainers
from bottle.model import ContainerFacts, ContainerSummary, ImageFacts, Status
from bottle.naming import LABEL_IDENTITY, Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What speaks for a container's being the own one of `identity`, among those `labelled` as that bottle's.

    `recorded` is the id of the one that bottle made last, None where an earlier version did; `committed` are the ids
    of those that commits were made of, and `made` of those that bear the marks of their making (`bears_our_marks`).
    """

    identity: Identity
    labelled: tuple[ContainerSummary, ...]
    recorded: str | None = None
    committed: Set[str] = frozenset()
    made: Set[str] = frozenset()


def strays(claims: Claims) -> tuple[ContainerSummary, ...]:
    """Those of which neither record nor name says whose they are: renamed ones, and what was run from a commit."""
    identity = claims.identity
    placed = {identity.container} if claims.recorded is None else set(identity.containers)
    return tuple(each for each in claims.labelled if each.id != claims.recorded and each.name not in placed)


def in_the_making(claims: Claims) -> tuple[ContainerSummary, ...]:
    """What a run is making, or was when it died: called so, never started, and neither noted nor committed.

    One that was started has work in it, whatever it is called, and is the bottle's.
    """
    return tuple(
        each
        for each in claims.labelled
        if each.name == claims.identity.draft
        and each.status is Status.CREATED
        and each.id not in {claims.recorded, *claims.committed}
    )


def own_containers(claims: Claims) -> tuple[ContainerSummary, ...]:
    """All that may be the bottle's container: none, the one, or several of which nobody can tell."""
    evident, making = {claims.recorded, *claims.committed, *claims.made}, in_the_making(claims)
    return tuple(
        each
        for each in claims.labelled
        if each not in making and (each.name in claims.identity.containers or each.id in evident)
    )


def the_one(identity: Identity, found: tuple[ContainerSummary, ...]) -> ContainerSummary | None:
    """The bottle's container, None where it has none. Raises TwoContainers."""
    if len(found) > 1:
        shown = ", ".join(f"{each.name} ({each.status.value})" for each in found)
        raise TwoContainers(
            f"{identity} has {len(found)} containers, and which of them has its work is not known: {shown}",
            left="nothing was changed",
            next_step=f"look at each (docker diff {found[0].name}), and docker rm the one that is not needed; "
            f"docker commit {found[0].name} {identity.agent}:kept makes an image of it first",
        )
    return found[0] if found else None


def bears_our_marks(identity: Identity, container: ContainerFacts, image: ImageFacts | None) -> bool:
    """Whether only bottle can have made a container: it has our mount, or a label that its image did not give it."""
    if any(mount.target == RESERVED for mount in container.mounts):
        return True
    return image is not None and image.labels.get(LABEL_IDENTITY) != str(identity)
