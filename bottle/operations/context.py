"""The world that operations act on, handed in so that tests can hand in another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bottle.errors import NameTaken
from bottle.helper.container import Helper
from bottle.layers import LayerAppender, LayerSource, LayerSquasher
from bottle.model import ContainerFacts
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations.finding import find_containers
from bottle.plan.ownership import the_one
from bottle.plan.sizes import Chain
from bottle.ports import Engine, Progress, Silent
from bottle.runtime import default_runtime
from bottle.store.home import StateHome


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """State, engine, environment, clock and an audience. `layers` is where an image's layers are read from.

    `runtime` is where secrets are handed to containers.

    Without a `squasher`, commits get deeper until Docker allows no more; without an `appender`, each holds everything.
    Without a `helper`, what this process may not read of the engine's folders is not read.
    `chains` are the layers of images that were looked at, by id.
    """

    home: StateHome
    engine: Engine
    layers: LayerSource
    environ: Mapping[str, str]
    runtime: Path = field(default_factory=default_runtime)
    progress: Progress = field(default_factory=Silent)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    squasher: LayerSquasher | None = None
    appender: LayerAppender | None = None
    helper: Helper | None = None
    chains: dict[str, Chain] = field(default_factory=dict)

    @property
    def handed(self) -> Path:
        """The folder of all that containers see as /run/bottle: `runtime`, which is in memory.

        Where the engine cannot deal with that, it is one on disk, and no secret is written there.
        """
        return self.runtime if self.engine.mounts_memory else self.home.path / "run"

    def container(self, identity: Identity) -> ContainerFacts | None:
        """The bottle's container, whatever it is called now.

        Raises TwoContainers when there is more than one, NameTaken when there is none and another has its name, or
        StateDamaged.
        """
        labelled = self.engine.container_summaries({LABEL_IDENTITY: str(identity)})
        found = the_one(identity, find_containers(self.engine, self.home.bottle(identity), labelled))
        return self.engine.container(found.id) if found is not None else self.standing(identity)

    def former(self, identity: Identity) -> ContainerFacts | None:
        """The container that has the name of the bottle's since before a move brought the bottle back here."""
        container = self.engine.container(identity.container)
        return container if container is not None and self._is_former(identity, container) else None

    def _is_former(self, identity: Identity, container: ContainerFacts) -> bool:
        return container.id in self.home.bottle(identity).former_containers()

    def standing(self, identity: Identity) -> ContainerFacts | None:
        """The container that has the name of the bottle's, and is none of before a move brought the bottle back here.

        Raises NameTaken when it is not this bottle's.
        """
        container = self.engine.container(identity.container)
        if container is not None and self._is_former(identity, container):
            return None
        if container is not None and container.labels.get(LABEL_IDENTITY) != str(identity):
            raise NameTaken(
                f"the container {identity.container} is not this bottle's: it has no label {LABEL_IDENTITY}={identity}",
                left="nothing was changed",
                next_step=f"docker inspect {identity.container}; rename it or remove it",
            )
        return container
