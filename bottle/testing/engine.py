"""`ports.Engine` in memory: for fast tests of what uses an engine. The contract suite holds it to the real one."""

import hashlib
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bottle.errors import BuildFailed, Conflict, EngineError, NameTaken, NotFound, PortTaken
from bottle.model import (
    Change,
    ChangeKind,
    CommitSpec,
    ContainerEvent,
    ContainerFacts,
    ContainerSummary,
    Endpoint,
    EngineInfo,
    EventKind,
    ImageFacts,
    ImageSummary,
    LaunchSpec,
    Mount,
    MountKind,
    NetworkFacts,
    Status,
    Store,
    Usage,
    VolumeFacts,
)
from bottle.ports import Engine, Progress
from bottle.testing.builder import StepFailed, instructions, perform, printed, with_args
from bottle.testing.container import FakeContainer, FakeExecution, FakeSession
from bottle.testing.events import FakeEvents
from bottle.testing.faults import Call, Faults, recorded
from bottle.testing.images import BadArchive, FakeImage, load_archive, save_archive
from bottle.testing.progress import Clock
from bottle.testing.tree import (
    FOLDER,
    Node,
    Tree,
    absolute,
    archive_of,
    below,
    exists,
    follow,
    is_of_another_kind,
    layer_between,
    parents,
    put,
    unpack,
)

__all__ = ["Call", "FakeContainer", "FakeEngine", "FakeExecution", "FakeSession"]


class FakeEngine(Faults):
    """An engine whose containers run nothing; `write`, `say` and `exit` do what an agent would.

    The one program it knows is `cat`, which says what it hears. Binds are checked at create, and their content is not
    seen; volumes have content. Images come from `add_image`, `build`, `load` and, for `pull`, from `registry`, whose
    images are offered under their names. For faults see `fail_next`; what was called is in `calls`.
    """

    def __init__(self, *, store: Store = Store.CLASSIC, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__()
        self.id = str(uuid.uuid4())
        self.store = store
        self.is_local = True
        self.mounts_memory = True
        self.cpus, self.memory, self.runtimes = 4, 8 << 30, ("runc",)
        self.more_networks: set[str] = set()
        self.endpoint = Endpoint(address="unix:///var/run/docker.sock")
        self.clock = clock or Clock()
        self.registry: dict[str, FakeImage] = {}
        self.layers_on_disk: dict[str, Path] = {}
        self.volumes_on_disk: dict[str, Path] = {}
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

    # What tests do to it.

    def add_image(
        self, tag: str, files: Mapping[str, bytes] | None = None, *, architecture: str = "amd64", **config: Any
    ) -> ImageFacts:
        """Put an image with one layer of `files` in place; `config` is in Docker's words (`Cmd=["sh"]`)."""
        image = self.make_image(files or {}, architecture=architecture, **config)
        return self._facts(self._keep(image, (tag,)))

    def make_image(self, files: Mapping[str, bytes], *, architecture: str = "amd64", **config: Any) -> FakeImage:
        """An image that is nowhere yet, for `registry`."""
        tree: Tree = {}
        for path, data in files.items():
            put(tree, path, Node(data=data))
        return FakeImage(
            layers=(layer_between({}, tree),), config=config, created=self.clock(), architecture=architecture
        )

    def write(self, ref: str, path: str, data: bytes = b"", *, node: Node | None = None) -> None:
        """Work of the agent: a file, or any node."""
        with self._changed:
            container = self._container(ref)
            tree, inside = self._tree_at(container, path)
            put(tree, inside, node or Node(data=data, mtime=int(self.clock().timestamp())))

    def erase(self, ref: str, path: str) -> None:
        """Work of the agent: a path deleted."""
        with self._changed:
            tree, inside = self._tree_at(self._container(ref), path)
            for each in below(tree, inside):
                del tree[each]

    def read(self, ref: str, path: str) -> bytes:
        """A file's content in a container. Raises KeyError."""
        tree, inside = self._tree_at(self._container(ref), path)
        return tree[inside].data

    def say(self, ref: str, data: bytes) -> None:
        """Output of the agent, or of the newest command that runs beside it."""
        with self._changed:
            container = self._container(ref)
            if execution := container.execution:
                execution.show(data)
            else:
                container.say(data, self.clock)
            self._changed.notify_all()

    def heard(self, ref: str) -> bytes:
        """All input that the agent was given."""
        return bytes(self._container(ref).stdin)

    def exit(self, ref: str, code: int = 0) -> None:
        """The agent ends, or the newest command that runs beside it."""
        with self._changed:
            container = self._container(ref)
            if execution := container.execution:
                execution.end(code)
            else:
                self._end(container, code)
            self._changed.notify_all()

    def reboot(self) -> None:
        """The machine starts anew: what ran has ended, and what has the policy for it runs again, stopped or not."""
        with self._changed:
            for container in self._containers.values():
                self._end(container, 137)
                if container.restart == "always":
                    container.begin(self.clock())

    # ports.Engine

    @recorded
    def info(self) -> EngineInfo:
        """Who answers."""
        return EngineInfo(
            version="26.1.5",
            api_version="1.45",
            architecture="amd64",
            os="linux",
            store=self.store,
            root_dir="/var/lib/docker",
            id=self.id,
            cpus=self.cpus,
            memory=self.memory,
            runtimes=self.runtimes,
        )

    @recorded
    def networks(self) -> tuple[NetworkFacts, ...]:
        """Those that every engine has, and what a test put into `more_networks`."""
        names = sorted({"bridge", "host", "none", *self.more_networks})
        return tuple(NetworkFacts(id=hashlib.sha256(name.encode()).hexdigest(), name=name) for name in names)

    @recorded
    def container(self, ref: str) -> ContainerFacts | None:
        """The container, or None."""
        found = self._find(ref)
        return found.facts() if found else None

    @recorded
    def containers(self, labels: Mapping[str, str | None]) -> tuple[ContainerFacts, ...]:
        """All containers with these labels, newest first."""
        everything = [each.facts() for each in reversed(self._containers.values())]
        return tuple(each for each in everything if _has(each.labels, labels))

    @recorded
    def container_summaries(self, labels: Mapping[str, str | None]) -> tuple[ContainerSummary, ...]:
        """As `containers`, in one question."""
        everything = [each.summary() for each in reversed(self._containers.values())]
        return tuple(each for each in everything if _has(each.labels, labels))

    @recorded
    def events(self, labels: Mapping[str, str | None]) -> FakeEvents:
        """What happens from now on to containers with these labels; ends with an error while `down` is set."""
        stream = FakeEvents(self._changed, lambda: self.down, lambda event: _has(event.labels, labels))
        self._audience.append(stream)
        return stream

    def _tell(self, kind: EventKind, container: FakeContainer) -> None:
        event = ContainerEvent(kind=kind, container=container.id, name=container.name, labels=dict(container.labels))
        self._audience = [stream for stream in self._audience if stream.hear(event)]
        self._changed.notify_all()

    def _end(self, container: FakeContainer, code: int) -> None:
        alive = container.status.alive
        container.end(code, self.clock())
        if alive:
            self._tell(EventKind.DIE, container)

    @recorded
    def usage(self, ref: str) -> Usage | None:
        """What a test put into `usages` under the container's name, else an idle megabyte."""
        container = self._container(ref)
        idle = Usage(cpu=0.0, memory=1_000_000)
        return self.usages.get(container.name, idle) if container.status.alive else None

    @recorded
    def image(self, ref: str) -> ImageFacts | None:
        """The image, or None."""
        found = self._find_image(ref)
        return self._facts(found) if found else None

    @recorded
    def images(self, labels: Mapping[str, str | None]) -> tuple[ImageFacts, ...]:
        """All images with these labels, newest first."""
        everything = [self._facts(each) for each in reversed(self._images)]
        return tuple(each for each in everything if _has(each.labels, labels))

    @recorded
    def image_summaries(self, labels: Mapping[str, str | None]) -> tuple[ImageSummary, ...]:
        """As `images`, in one question; containerd's store counts layers as they are packed, and here unpacked too."""
        times = 2 if self.store is Store.CONTAINERD else 1
        everything = [self._facts(each) for each in reversed(self._images)]
        return tuple(
            ImageSummary(
                id=each.id,
                tags=each.tags,
                size=each.size * times,
                created_at=each.created_at,
                labels=dict(each.labels),
            )
            for each in everything
            if _has(each.labels, labels)
        )

    @recorded
    def build(
        self,
        *,
        dockerfile: bytes,
        context: Path,
        tag: str,
        labels: Mapping[str, str],
        args: Mapping[str, str],
        secrets: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Build; see `builder` for what it knows of Dockerfiles."""
        where = ""
        try:
            if not context.is_dir():
                raise StepFailed(f"the build context {context} could not be read")
            lines = instructions(dockerfile)
            image = FakeImage(created=self.clock())
            for number, (line, meant) in enumerate(with_args(lines, args), start=1):
                where = f"Step {number}/{len(lines)} : {line}"
                progress.note(where)
                image = self._step(image, meant, context)
                for text in printed(meant):
                    progress.output(text)
        except StepFailed as error:
            raise BuildFailed(
                f"building {tag} failed{' at ' if where else ''}{where}: {error}", next_step="mend the Dockerfile"
            ) from error
        config = {**image.config, "Labels": {**image.config.get("Labels", {}), **labels}}
        self._keep(_changed(image, config=config), (tag,))

    def _step(self, image: FakeImage, line: str, context: Path) -> FakeImage:
        name, _, rest = line.partition(" ")
        if name.upper() == "FROM":
            return self._base(rest.split()[0])
        before = image.tree()
        tree, config = dict(before), dict(image.config)
        perform(line, tree, config, context)
        layers = image.layers
        if name.upper() in {"COPY", "ADD", "RUN"}:
            layers = (*layers, layer_between(before, tree))
        return _changed(image, layers=layers, config=config, comment=f"{image.comment}\n{line}")

    def _base(self, ref: str) -> FakeImage:
        if ref == "scratch":
            return FakeImage(created=self.clock())
        found = self._find_image(ref)
        if found is None and ref in self.registry:
            found = self._keep(self.registry[ref], (ref,))
        if found is None:
            raise StepFailed(f"pull access denied for {ref}, repository does not exist or may require 'docker login'")
        return _changed(self._images[found], created=self.clock(), parent=found)

    @recorded
    def pull(self, ref: str, progress: Progress) -> None:
        """Fetch an image from `registry`."""
        image = self.registry.get(ref)
        if image is None:
            raise NotFound(f"Docker could not pull {ref}: repository does not exist")
        progress.output(f"Pulling from {ref}")
        self._keep(image, (ref,))

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
        environment = dict(pair.split("=", 1) for pair in origin.config.get("Env") or ())
        environment |= dict(container.spec.env)
        config = {
            **origin.config,
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Entrypoint": list(spec.defaults.entrypoint),
            "Cmd": list(spec.defaults.command),
            "User": spec.defaults.user or ("0" if container.spec.user or origin.config.get("User") else ""),
            "WorkingDir": container.spec.workdir,
            "Labels": {**container.labels, **dict(spec.labels)},
        }
        image = FakeImage(
            layers=(*origin.layers, layer_between(container.base, container.tree)),
            config=config,
            created=self.clock(),
            architecture=origin.architecture,
            comment=spec.message,
            parent=container.image,
        )
        facts = self._facts(self._keep(image, (spec.tag,)))
        self._tell(EventKind.COMMIT, container)
        return facts

    @recorded
    def tag(self, ref: str, tag: str) -> None:
        """Give an image one more tag."""
        self._tags[_full(tag)] = self._image_id(ref)

    @recorded
    def remove_image(self, ref: str) -> None:
        """Take a tag away, and the image with its last one."""
        image = self._find_image(ref)
        if image is None:
            return
        tags = self._tags_of(image)
        by_tag = _full(ref) in tags
        if not by_tag and len(tags) > 1:
            raise Conflict(f"Docker could not remove image {ref}: it has several tags")
        if len(tags) <= 1 and any(each.image == image for each in self._containers.values()):
            raise Conflict(f"Docker could not remove image {ref}: a container is using it")
        if not by_tag and self._has_children(image):
            raise Conflict(f"Docker could not remove image {ref}: it has dependent child images")
        for tag in [_full(ref)] if by_tag else tags:
            del self._tags[tag]
        self._collect(image)

    def _collect(self, image: str) -> None:
        """Delete an image that nothing needs, and then the untagged ones it was built on."""
        used = {each.image for each in self._containers.values()}
        while image in self._images and not (self._tags_of(image) or image in used or self._has_children(image)):
            image = self._images.pop(image).parent

    def _has_children(self, image: str) -> bool:
        return any(each.parent == image for each in self._images.values())

    @recorded
    def changes(self, ref: str) -> tuple[Change, ...]:
        """How a container's filesystem differs from its image, the folders around included."""
        container = self._container(ref)
        base, now = container.base, container.tree
        found = {path: ChangeKind.ADDED for path in now if path not in base}
        found |= {path: ChangeKind.MODIFIED for path in now if path in base and base[path] != now[path]}
        gone = [path for path in base if path not in now]
        found |= {path: ChangeKind.DELETED for path in gone if not any(each in gone for each in parents(path))}
        for path in list(found):
            for parent in parents(path):
                found.setdefault(parent, ChangeKind.MODIFIED)
        return tuple(Change(found[path], path) for path in sorted(found))

    @recorded
    def writable_size(self, ref: str) -> int:
        """Bytes in the files that a container has written."""
        container = self._container(ref)
        return sum(len(node.data) for path, node in container.tree.items() if container.base.get(path) != node)

    @recorded
    def writable_layer(self, ref: str) -> Path | None:
        """What a test put into `layers_on_disk` under the container's name."""
        return self.layers_on_disk.get(self._container(ref).name)

    @recorded
    def read_archive(self, ref: str, path: str) -> Iterator[bytes]:
        """A tar of `path` in a container."""
        container = self._container(ref)
        try:
            follow(container.tree, path, last=True)
            real = follow(container.tree, path, last=False)
        except OSError as error:
            raise EngineError(f"Docker could not read {path} in container {ref}: {error.strerror}") from error
        tree, inside = self._tree_at(container, real)
        if not exists(tree, inside):
            raise NotFound(f"Docker could not read {path} in container {ref}: there is none")
        seen = tree
        if inside == "/" and real != "/":  # the top of a volume is called like the folder it is mounted on
            seen = {real: FOLDER, **{real + each: node for each, node in tree.items()}}
            inside = real
        archive = archive_of(seen, inside + "/." if path.endswith("/.") else inside)
        return iter([archive[start : start + 65536] for start in range(0, len(archive), 65536)])

    @recorded
    def write_archive(self, ref: str, path: str, tar: BinaryIO, *, replace: bool = True) -> None:
        """Unpack a tar into folder `path` of a container."""
        container = self._container(ref)
        tree, inside = self._tree_at(container, path)
        if not exists(tree, inside) or (inside != "/" and not tree[inside].is_folder):
            raise NotFound(f"Docker could not write to {path} in container {ref}: there is no such folder")
        try:
            nodes = unpack(tar.read())
        except tarfile.TarError as error:
            raise EngineError(f"Docker could not write to {path} in container {ref}: {error}") from error
        for name, node in nodes.items():
            into, where = self._tree_at(container, absolute(path + name))
            if not replace and is_of_another_kind(into, where, node):
                raise EngineError(f"Docker could not write to {path} in container {ref}: {where} is of another kind")
            put(into, where, node)

    @recorded
    def save(self, ref: str) -> Iterator[bytes]:
        """An archive of an image."""
        image = self._images[self._image_id(ref)]
        tag = _full(ref) if _full(ref) in self._tags else None
        return save_archive(image, tag, self.store)

    @recorded
    def load(self, tar: Iterable[bytes]) -> None:
        """Read an archive."""
        held = {
            image.diff_ids[:count]: image.layers[count - 1]
            for image in self._images.values()
            for count in range(1, len(image.layers) + 1)
        }
        try:
            for image, tags in load_archive(b"".join(tar), self.store, held):
                self._keep(image, tags)
        except BadArchive as error:
            raise EngineError(f"Docker could not load an archive: {error}") from error

    @recorded
    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """What a container has said, and with `follow` what it says until it ends."""
        return self._log(self._container(ref), follow=follow, tail=tail, since=since, timestamps=timestamps)

    def _log(
        self, container: FakeContainer, *, follow: bool, tail: int | None, since: datetime | None, timestamps: bool
    ) -> Iterator[bytes]:
        done = len(container.said)
        lines = [each.shown(timestamps=timestamps) for each in container.said if since is None or each.at >= since]
        yield from lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
        while follow:
            with self._changed:
                self._changed.wait_for(partial(container.has_news, done))
                news = container.said[done:]
            if not news:
                return
            done += len(news)
            yield from (each.shown(timestamps=timestamps) for each in news)

    @recorded
    def attach(self, ref: str) -> FakeSession:
        """Join a container's standard streams."""
        container = self._container(ref)
        session = FakeSession(
            tty=container.spec.tty,
            heard=lambda data: self._hear(container, data),
            input_ended=lambda: self._end_input(container),
        )
        container.sessions.append(session)
        return session

    def _hear(self, container: FakeContainer, data: bytes) -> None:
        with self._changed:
            container.stdin += data
            self._play_cat(container, data)

    def _end_input(self, container: FakeContainer) -> None:
        with self._changed:
            if container.is_cat and container.status.alive:
                self._end(container, 0)

    def _play_cat(self, container: FakeContainer, data: bytes) -> None:
        if container.is_cat and container.status.alive and data:
            container.say(data, self.clock)
            self._changed.notify_all()

    @recorded
    def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Remember a terminal's size."""
        container = self._container(ref)
        if not container.status.alive:
            raise Conflict(f"Docker could not resize the terminal of container {ref}: it does not run")
        container.terminal = (rows, columns)

    @recorded
    def execute(self, ref: str, command: tuple[str, ...], *, tty: bool) -> FakeExecution:
        """Start one more command, which then speaks and ends through `say` and `exit`."""
        container = self._container(ref)
        if container.status is not Status.RUNNING:
            raise Conflict(f"Docker could not run {command[0]} in container {ref}: it does not run")
        execution = FakeExecution(command, tty=tty)
        container.executions.append(execution)
        return execution

    @recorded
    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a named volume."""
        self._volumes.setdefault(name, dict(labels))
        self._volume_times.setdefault(name, self.clock())
        self._volume_trees.setdefault(name, {})

    @recorded
    def volumes(self, labels: Mapping[str, str | None]) -> tuple[str, ...]:
        """Names of the volumes with these labels."""
        return tuple(sorted(name for name, has in self._volumes.items() if _has(has, labels)))

    @recorded
    def volume_facts(self, labels: Mapping[str, str | None]) -> tuple[VolumeFacts, ...]:
        """The volumes with these labels."""
        found = [
            VolumeFacts(name=name, labels=dict(has), created_at=self._volume_times.get(name))
            for name, has in sorted(self._volumes.items())
        ]
        return tuple(volume for volume in found if _has(volume.labels, labels))

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

    # How it finds things.

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
        if _full(ref) in self._tags:
            return self._tags[_full(ref)]
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
        self._tags |= {_full(tag): id_ for tag in tags}
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


if TYPE_CHECKING:
    _held_to: Engine = FakeEngine()


def _changed(image: FakeImage, **fields: Any) -> FakeImage:
    return FakeImage(**{**vars(image), **fields})


def _full(tag: str) -> str:
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


def _has(labels: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    return all(key in labels and (value is None or labels[key] == value) for key, value in wanted.items())
