"""Find a bottle's own container by what is known of it, whatever it is called."""

from collections.abc import Iterable

from bottle.model import ContainerSummary
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.ownership import Claims, bears_our_marks, own_containers, strays
from bottle.ports import Engine
from bottle.state import BottleState


def find_containers(
    engine: Engine, state: BottleState, everything: Iterable[ContainerSummary]
) -> tuple[ContainerSummary, ...]:
    """Those of `everything` that may be the bottle's own container; more than one only where that cannot be told.

    The engine is asked, and the history read, only where a container is neither the recorded one nor called as bottle
    calls it. Raises StateDamaged or EngineError.
    """
    identity, former = state.identity, state.former_containers()
    labelled = tuple(
        each for each in everything if each.labels.get(LABEL_IDENTITY) == str(identity) and each.id not in former
    )
    recorded = state.container_id()
    claims = Claims(identity=identity, labelled=labelled, recorded=recorded)
    unclear = strays(claims)
    if not unclear:
        return own_containers(claims)
    committed = {each.mark.container_id for each in state.commits() if each.mark is not None}
    made = set() if recorded in {each.id for each in labelled} else _made(engine, identity, unclear)
    return own_containers(
        Claims(identity=identity, labelled=labelled, recorded=recorded, committed=committed, made=made)
    )


def _made(engine: Engine, identity: Identity, unclear: Iterable[ContainerSummary]) -> set[str]:
    looked_at = (engine.container(each.id) for each in unclear)
    return {
        each.id for each in looked_at if each is not None and bears_our_marks(identity, each, engine.image(each.image))
    }
