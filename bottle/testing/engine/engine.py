"""`ports.Engine` in memory: for fast tests of what uses an engine. The contract suite holds it to the real one."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bottle.model import EngineInfo, ImageFacts, NetworkFacts
from bottle.ports import Engine
from bottle.testing.engine.builds import Builds
from bottle.testing.engine.containers import Containers
from bottle.testing.engine.contents import Contents
from bottle.testing.engine.helpers import Helpers
from bottle.testing.engine.images import Images
from bottle.testing.engine.volumes import Volumes
from bottle.testing.faults import recorded
from bottle.testing.image import FakeImage
from bottle.testing.tree import FakeNode, Tree, below, layer_between, put


class FakeEngine(Builds, Containers, Contents, Helpers, Images, Volumes):
    """An engine whose containers run nothing; `write`, `say` and `exit` do what an agent would.

    The one program it knows is `cat`, which says what it hears; what a helper runs is a process of this machine. Binds
    are checked at create, and their content is not seen; volumes have content. Images come from `add_image`, `build`,
    `load` and, for `pull`, from `registry`, whose images are offered under their names. For faults see `fail_next`;
    what was called is in `calls`.
    """

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
            put(tree, path, FakeNode(data=data))
        return FakeImage(
            layers=(layer_between({}, tree),), config=config, created=self.clock(), architecture=architecture
        )

    def write(self, ref: str, path: str, data: bytes = b"", *, node: FakeNode | None = None) -> None:
        """Work of the agent: a file, or any node."""
        with self._changed:
            container = self._container(ref)
            tree, inside = self._tree_at(container, path)
            put(tree, inside, node or FakeNode(data=data, mtime=int(self.clock().timestamp())))

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

    # What nothing but itself is asked.

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
            default_runtime=self.default_runtime,
        )

    @recorded
    def networks(self) -> tuple[NetworkFacts, ...]:
        """Those that every engine has, and what a test put into `more_networks`."""
        names = sorted({"bridge", "host", "none", *self.more_networks})
        return tuple(NetworkFacts(id=hashlib.sha256(name.encode()).hexdigest(), name=name) for name in names)


if TYPE_CHECKING:
    _held_to: Engine = FakeEngine()
