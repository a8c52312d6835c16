"""Named volumes."""

from collections.abc import Mapping
from pathlib import Path

from bottle.errors import Conflict, NotFound
from bottle.facts import has_labels
from bottle.model import VolumeFacts
from bottle.testing.engine.base import Part
from bottle.testing.faults import recorded


class Volumes(Part):
    """`ports.Volumes` in memory."""

    @recorded
    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a named volume."""
        self._volumes.setdefault(name, dict(labels))
        self._volume_times.setdefault(name, self.clock())
        self._volume_trees.setdefault(name, {})

    @recorded
    def volumes(self, labels: Mapping[str, str | None]) -> tuple[str, ...]:
        """Names of the volumes with these labels."""
        return tuple(sorted(name for name, has in self._volumes.items() if has_labels(has, labels)))

    @recorded
    def volume_facts(self, labels: Mapping[str, str | None]) -> tuple[VolumeFacts, ...]:
        """The volumes with these labels."""
        found = [
            VolumeFacts(name=name, labels=dict(has), created_at=self._volume_times.get(name))
            for name, has in sorted(self._volumes.items())
        ]
        return tuple(volume for volume in found if has_labels(volume.labels, labels))

    @recorded
    def volume_folder(self, name: str) -> Path | None:
        """What a test put into `volumes_on_disk` under the volume's name."""
        if name not in self._volumes:
            raise NotFound(f"Docker could not look at volume {name}: there is none")
        return self.volumes_on_disk.get(name)

    @recorded
    def remove_volume(self, name: str) -> None:
        """Delete a volume."""
        if any(mount.source == name for each in self._containers.values() for mount in each.mounts):
            raise Conflict(f"Docker could not remove volume {name}: a container is using it")
        self._volumes.pop(name, None)
        self._volume_trees.pop(name, None)
        self._volume_times.pop(name, None)
