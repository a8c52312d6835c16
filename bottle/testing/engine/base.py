"""What the parts of the fake engine share: what it holds, and how that is found."""

import hashlib
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from bottle.errors import NotFound
from bottle.model import ContainerEvent, Endpoint, EventKind, ImageFacts, MountKind, Runtime, Store, Usage
from bottle.testing.container import FakeContainer, FakeEvents
from bottle.testing.faults import Faults
from bottle.testing.image import FakeImage
from bottle.testing.progress import Clock
from bottle.testing.tree import Tree, absolute


class Part(Faults):
    """A part of the fake engine; all parts of one hold the same."""

    def __init__(self, *, store: Store = Store.CLASSIC, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__()
        self.id = str(uuid.uuid4())
        self.store = store
        self.is_local = True
        self.mounts_memory = True
        self.cpus, self.memory, self.runtimes = 4, 8 << 30, (Runtime(name="runc", program="runc"),)
        self.default_runtime = "runc"
        self.more_networks: set[str] = set()
        self.endpoint = Endpoint(address="unix:///var/run/docker.sock")
        self.clock = clock or Clock()
        self.registry: dict[str, FakeImage] = {}
        self.layers_on_disk: dict[str, Path] = {}
        self.volumes_on_disk: dict[str, Path] = {}
        self.helpers: list[subprocess.Popen[bytes]] = []
        self.usages: dict[str, Usage] = {}
        self._audience: list[FakeEvents] = []
        self._changed = threading.Condition(threading.RLock())
        self._images: dict[str, FakeImage] = {}
        self._tags: dict[str, str] = {}
        self._containers: dict[str, FakeContainer] = {}
        self._volumes: dict[str, dict[str, str]] = {}
        self._volume_trees: dict[str, Tree] = {}
        self._volume_times: dict[str, datetime] = {}
        self._serial = 0

    def _tell(self, kind: EventKind, container: FakeContainer) -> None:
        event = ContainerEvent(kind=kind, container=container.id, name=container.name, labels=dict(container.labels))
        self._audience = [stream for stream in self._audience if stream.hear(event)]
        self._changed.notify_all()

    def _end(self, container: FakeContainer, code: int) -> None:
        alive = container.status.alive
        container.end(code, self.clock())
        if alive:
            self._tell(EventKind.DIE, container)

    def _play_cat(self, container: FakeContainer, data: bytes) -> None:
        if container.is_cat and container.status.alive and data:
            container.say(data, self.clock)
            self._changed.notify_all()

    def _new_id(self, kind: str) -> str:
        self._serial += 1
        return hashlib.sha256(f"{kind}{self._serial}".encode()).hexdigest()

    def _named(self, name: str) -> FakeContainer | None:
        return next((each for each in self._containers.values() if each.name == name), None)

    def _find(self, ref: str) -> FakeContainer | None:
        if ref in self._containers:
            return self._containers[ref]
        if named := self._named(ref):
            return named
        matches = [each for id_, each in self._containers.items() if ref and id_.startswith(ref)]
        return matches[0] if len(matches) == 1 else None

    def _container(self, ref: str) -> FakeContainer:
        found = self._find(ref)
        if found is None:
            raise NotFound(f"no such container: {ref}")
        return found

    def _find_image(self, ref: str) -> str | None:
        if ref in self._images:
            return ref
        if full_name(ref) in self._tags:
            return self._tags[full_name(ref)]
        matches = [id_ for id_ in self._images if ref and id_.removeprefix("sha256:").startswith(ref)]
        return matches[0] if len(matches) == 1 else None

    def _image_id(self, ref: str) -> str:
        found = self._find_image(ref)
        if found is None:
            raise NotFound(f"no such image: {ref}")
        return found

    def _keep(self, image: FakeImage, tags: Iterable[str]) -> str:
        id_ = image.id(self.store)
        self._images.setdefault(id_, image)
        self._tags |= {full_name(tag): id_ for tag in tags}
        return id_

    def _tags_of(self, image: str) -> tuple[str, ...]:
        return tuple(sorted(tag for tag, id_ in self._tags.items() if id_ == image))

    def _facts(self, image: str) -> ImageFacts:
        return self._images[image].facts(self.store, self._tags_of(image))

    def _tree_at(self, container: FakeContainer, path: str) -> tuple[Tree, str]:
        """The tree that `path` lies in, the container's own or a volume's, and where in it."""
        path = absolute(path)
        for mount in sorted(container.mounts, key=lambda mount: -len(mount.target)):
            target = absolute(mount.target)
            if mount.kind is MountKind.VOLUME and (path == target or path.startswith(target + "/")):
                return self._volume_trees[mount.source], absolute(path.removeprefix(target))
        return container.tree, path


def full_name(tag: str) -> str:
    """A tag as an engine has it, `latest` where it names none."""
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"
