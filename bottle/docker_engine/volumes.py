"""Named volumes."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bottle import facts
from bottle.docker_engine.base import Part, label_filters, readable_folder
from bottle.docker_engine.connection import container_ref
from bottle.errors import NotFound
from bottle.model import VolumeFacts


class Volumes(Part):
    """`ports.Volumes` on a Docker Engine."""

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a named volume; one that is there stays as it is, labels too."""
        with self._asked_to(f"create volume {name}"):
            self._quick.create_volume(name=name, labels=dict(labels))

    def volumes(self, labels: Mapping[str, str | None]) -> tuple[str, ...]:
        """Names of the volumes with these labels, sorted."""
        return tuple(volume.name for volume in self.volume_facts(labels))

    def volume_facts(self, labels: Mapping[str, str | None]) -> tuple[VolumeFacts, ...]:
        """The volumes with these labels, sorted by name."""
        with self._asked_to("list volumes"):
            answer = self._quick.volumes(filters=label_filters(labels))
        found = [
            facts.volume_facts(each)
            for each in answer.get("Volumes") or ()
            if facts.has_labels(each.get("Labels"), labels)
        ]
        return tuple(sorted(found, key=lambda volume: volume.name))

    def volume_folder(self, name: str) -> Path | None:
        """The folder that holds what is in a volume, where this process may read it.

        Only where the engine's own driver keeps it: other drivers mount something there while a container has it.
        """
        with self._asked_to(f"look at volume {name}"):
            answer = self._quick.inspect_volume(container_ref(name))
        plain = answer.get("Driver") == "local" and not answer.get("Options")
        folder = answer.get("Mountpoint") if plain and self._connection.is_local else None
        return Path(folder) if folder and readable_folder(folder) else None

    def remove_volume(self, name: str) -> None:
        """Delete a volume; gone already is fine. Raises Conflict while a container has it."""
        with suppress(NotFound), self._asked_to(f"remove volume {name}"):
            self._quick.remove_volume(container_ref(name))
