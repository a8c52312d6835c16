"""Containers: found, created, run, frozen, committed, removed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bottle.errors import Conflict, EngineError, NameTaken, PortTaken
from bottle.facts import has_labels
from bottle.model import (
    CommitSpec,
    ContainerFacts,
    ContainerSummary,
    EventKind,
    ImageFacts,
    LaunchSpec,
    Mount,
    MountKind,
    Status,
    Usage,
)
from bottle.testing.container import FakeContainer, FakeEvents
from bottle.testing.engine.base import Part
from bottle.testing.faults import recorded
from bottle.testing.image import FakeImage
from bottle.testing.tree import FOLDER, Tree, absolute, below, layer_between, put


class Containers(Part):
    """`ports.Containers` in memory."""

    @recorded
    def container(self, ref: str) -> ContainerFacts | None:
        """The container, or None."""
        found = self._find(ref)
        return found.facts() if found else None

    @recorded
    def containers(self, labels: Mapping[str, str | None]) -> tuple[ContainerFacts, ...]:
        """All containers with these labels, newest first."""
        everything = [each.facts() for each in reversed(self._containers.values())]
        return tuple(each for each in everything if has_labels(each.labels, labels))

    @recorded
    def container_summaries(self, labels: Mapping[str, str | None]) -> tuple[ContainerSummary, ...]:
        """As `containers`, in one question."""
        everything = [each.summary() for each in reversed(self._containers.values())]
        return tuple(each for each in everything if has_labels(each.labels, labels))

    @recorded
    def events(self, labels: Mapping[str, str | None]) -> FakeEvents:
        """What happens from now on to containers with these labels; ends with an error while `down` is set."""
        stream = FakeEvents(self._changed, lambda: self.down, lambda event: has_labels(event.labels, labels))
        self._audience.append(stream)
        return stream

    @recorded
    def usage(self, ref: str) -> Usage | None:
        """What a test put into `usages` under the container's name, else an idle megabyte."""
        container = self._container(ref)
        idle = Usage(cpu=0.0, memory=1_000_000)
        return self.usages.get(container.name, idle) if container.status.alive else None

    @recorded
    def create(self, spec: LaunchSpec) -> str:
        """Create a container, not started."""
        image = self._image_id(spec.image)
        if self._named(spec.name):
            raise NameTaken(f"the name {spec.name} is in use by another container")
        for mount in spec.mounts:
            if mount.kind is MountKind.BIND and not Path(mount.source).exists():
                raise EngineError(
                    f"Docker could not create container {spec.name}: bind source path does not exist: {mount.source}"
                )
        config = self._images[image].config
        base = self._images[image].tree()
        container = FakeContainer(
            id=self._new_id("container"),
            name=spec.name,
            spec=spec,
            image=image,
            base=base,
            tree=dict(base),
            labels={**config.get("Labels", {}), **dict(spec.labels)},
            mounts=self._mount(spec, config, base),
            created_at=self.clock(),
            runtime=self.default_runtime,
        )
        if spec.workdir:
            put(container.tree, spec.workdir, container.tree.get(absolute(spec.workdir), FOLDER))
        self._containers[container.id] = container
        self._tell(EventKind.CREATE, container)
        return container.id

    def _mount(self, spec: LaunchSpec, config: Mapping[str, Any], base: Tree) -> tuple[Mount, ...]:
        taken = {mount.target for mount in spec.mounts}
        mounts = list(spec.mounts) + [
            Mount(kind=MountKind.VOLUME, source=self._new_id("volume"), target=target, anonymous=True)
            for target in config.get("Volumes") or ()
            if target not in taken
        ]
        for mount in mounts:
            if mount.kind is MountKind.VOLUME:
                self._volumes.setdefault(mount.source, {})
                content = self._volume_trees.setdefault(mount.source, {})
                if not content:  # an empty volume begins with what the image has in that place
                    target = absolute(mount.target)
                    for path in below(base, target):
                        put(content, path.removeprefix(target) or "/", base[path])
        return tuple(sorted(mounts, key=lambda mount: mount.target))

    @recorded
    def start(self, ref: str) -> None:
        """Start a created or stopped container."""
        container = self._container(ref)
        if container.status is Status.PAUSED:
            raise Conflict(f"Docker could not start container {ref}: it is paused")
        if not container.status.alive:
            self._require_free(container)
            container.begin(self.clock())
            self._tell(EventKind.START, container)
            self._play_cat(container, bytes(container.stdin))

    def _require_free(self, container: FakeContainer) -> None:
        """The ports of a container are one's that runs, and nobody else's."""
        held = [port for each in self._containers.values() if each.status.alive for port in each.spec.ports]
        for port in container.spec.ports:
            if any(map(port.clashes, held)):
                raise PortTaken(f"Docker could not start container {container.name}: port {port.place} is taken")

    @recorded
    def stop(self, ref: str, grace: int = 10) -> None:
        """End a container with 143, as a program does that minds SIGTERM."""
        container = self._container(ref)
        self._end(container, 143)

    @recorded
    def pause(self, ref: str) -> None:
        """Freeze a running container."""
        container = self._container(ref)
        if container.status is not Status.RUNNING:
            raise Conflict(f"Docker could not pause container {ref}: it is {container.status.value}")
        container.status = Status.PAUSED
        self._tell(EventKind.PAUSE, container)

    @recorded
    def unpause(self, ref: str) -> None:
        """Let a paused container go on."""
        container = self._container(ref)
        if container.status is not Status.PAUSED:
            raise Conflict(f"Docker could not unpause container {ref}: it is not paused")
        container.status = Status.RUNNING
        self._tell(EventKind.UNPAUSE, container)

    @recorded
    def update(self, ref: str, *, restart: str) -> None:
        """Give a container another restart policy."""
        self._container(ref).restart = restart

    @recorded
    def rename(self, ref: str, name: str) -> None:
        """Give a container another name."""
        container = self._container(ref)
        if self._named(name):
            raise NameTaken(f"the name {name} is in use by another container")
        container.name = name
        self._tell(EventKind.RENAME, container)

    @recorded
    def remove_container(self, ref: str) -> None:
        """Delete a container and its anonymous volumes."""
        container = self._find(ref)
        if container is None:
            return
        self._end(container, 137)
        del self._containers[container.id]
        for mount in container.mounts:
            if mount.anonymous:
                self._volumes.pop(mount.source, None)
                self._volume_trees.pop(mount.source, None)
        self._tell(EventKind.DESTROY, container)

    @recorded
    def wait(self, ref: str) -> int:
        """Block until another thread ends the container; its exit code."""
        container = self._container(ref)
        self._changed.wait_for(lambda: not container.status.alive)
        return container.exit_code

    @recorded
    def ended_within(self, ref: str, seconds: float) -> int | None:
        """Its exit code if it has ended; nothing changes here while one waits."""
        container = self._container(ref)
        return None if container.status.alive else container.exit_code

    @recorded
    def commit(self, ref: str, spec: CommitSpec) -> ImageFacts:
        """Freeze a container's filesystem into an image."""
        container = self._container(ref)
        origin = self._images[container.image]
        image = FakeImage(
            layers=(*origin.layers, layer_between(container.base, container.tree)),
            config=self.commit_config(ref, spec),
            created=self.clock(),
            architecture=origin.architecture,
            comment=spec.message,
            parent=container.image,
        )
        facts = self._facts(self._keep(image, (spec.tag,)))
        self._tell(EventKind.COMMIT, container)
        return facts

    def commit_config(self, ref: str, spec: CommitSpec) -> Mapping[str, Any]:
        """The config that the image of such a commit has."""
        container = self._container(ref)
        origin = self._images[container.image]
        environment = dict(pair.split("=", 1) for pair in origin.config.get("Env") or ())
        environment |= dict(container.spec.env)
        return {
            **origin.config,
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Entrypoint": list(spec.defaults.entrypoint),
            "Cmd": list(spec.defaults.command),
            "User": spec.defaults.user or ("0" if container.spec.user or origin.config.get("User") else ""),
            "WorkingDir": container.spec.workdir,
            "Labels": {**container.labels, **dict(spec.labels)},
        }
