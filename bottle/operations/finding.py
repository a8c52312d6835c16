"""Find a bottle's own container by what is known of it, whatever it is called."""

from collections.abc import Iterable
from dataclasses import replace

from bottle.model import ContainerSummary
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.plan.ownership import Claims, bears_our_marks, in_the_making, own_containers, strays
from bottle.ports import Engine
from bottle.store.state import BottleState


def find_containers(
    engine: Engine, state: BottleState, everything: Iterable[ContainerSummary]
) -> tuple[ContainerSummary, ...]:
    """Those of `everything` that may be the bottle's own container; more than one only where that cannot be told.

    The engine is asked, and the history read, only where a container is neither the recorded one nor called as bottle
    calls it. Raises StateDamaged or EngineError.
    """
    return own_containers(_claims(engine, state, everything))


def find_drafts(
    engine: Engine, state: BottleState, everything: Iterable[ContainerSummary]
) -> tuple[ContainerSummary, ...]:
    """Those of `everything` that a run was making for the bottle. Raises StateDamaged or EngineError."""
    return in_the_making(_claims(engine, state, everything))


def _claims(engine: Engine, state: BottleState, everything: Iterable[ContainerSummary]) -> Claims:
    identity, label, former = state.identity, str(state.identity), state.former_containers()
    labelled = tuple(each for each in everything if each.labels.get(LABEL_IDENTITY) == label and each.id not in former)
    claims = Claims(identity=identity, labelled=labelled, recorded=state.container_id())
    unclear = strays(claims)
    if not unclear:
        return claims
    committed = {each.mark.container_id for each in state.commits() if each.mark is not None}
    noted = claims.recorded in {each.id for each in labelled}
    return replace(claims, committed=committed, made=set() if noted else _made(engine, identity, unclear))


def _made(engine: Engine, identity: Identity, unclear: Iterable[ContainerSummary]) -> set[str]:
    looked_at = (engine.container(each.id) for each in unclear)
    return {
        each.id for each in looked_at if each is not None and bears_our_marks(identity, each, engine.image(each.image))
    }
