"""A Docker Engine, in the parts that its adapters have too.

Every method raises EngineUnreachable when nothing answers and EngineError when the engine refuses; those that take a
container or an image raise NotFound when there is none. Containers are named by id or name, images by id or tag. The
contract is held by one test suite that runs against every implementation.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from bottle.model import (
    Change,
    CommitSpec,
    ContainerFacts,
    ContainerSummary,
    Endpoint,
    EngineInfo,
    HelperSpec,
    ImageFacts,
    ImageSummary,
    LaunchSpec,
    NetworkFacts,
    Usage,
    VolumeFacts,
)
from bottle.ports.progress import Progress
from bottle.ports.streams import Events, Execution, Session


class Builds(Protocol):
    """Images, made of a Dockerfile."""

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
        """Build `dockerfile` in `context`, honouring its .dockerignore, and tag the image. Raises BuildFailed.

        `args` are values for what the Dockerfile declares with ARG, `secrets` those that a step of it may mount, by id,
        where the builder can. Each step is a note of progress, all else output.
        """


class Containers(Protocol):
    """Containers: found, created, run, frozen, committed, removed."""

    def container(self, ref: str) -> ContainerFacts | None:
        """The container, or None."""

    def containers(self, labels: Mapping[str, str | None]) -> tuple[ContainerFacts, ...]:
        """All containers, stopped ones too, with these labels (None: any value)."""

    def container_summaries(self, labels: Mapping[str, str | None]) -> tuple[ContainerSummary, ...]:
        """As `containers`, in one question to the engine, however many there are."""

    def events(self, labels: Mapping[str, str | None]) -> Events:
        """What happens from now on to containers with these labels (None: any value); a pause may be told twice."""

    def usage(self, ref: str) -> Usage | None:
        """What a container uses right now, None where it does not run. It is measured, which takes a second or two."""

    def create(self, spec: LaunchSpec) -> str:
        """Create a container, not started, and return its id. Raises NameTaken."""

    def start(self, ref: str) -> None:
        """Start a created or stopped container. Raises PortTaken."""

    def stop(self, ref: str, grace: int = 10) -> None:
        """End a container's processes, by force after `grace` seconds. A stopped one stays as it is."""

    def pause(self, ref: str) -> None:
        """Freeze a running container's processes."""

    def unpause(self, ref: str) -> None:
        """Let a paused container go on."""

    def update(self, ref: str, *, restart: str) -> None:
        """Give a container another restart policy, in Docker's words; it runs, or does not, as before."""

    def rename(self, ref: str, name: str) -> None:
        """Give a container another name. Raises NameTaken."""

    def remove_container(self, ref: str) -> None:
        """Delete a container, stopping it first, with its anonymous volumes; gone already is fine."""

    def wait(self, ref: str) -> int:
        """Block until the container has stopped; its exit code."""

    def ended_within(self, ref: str, seconds: float) -> int | None:
        """The exit code of a container that stops within that time; None for one that goes on."""

    def commit(self, ref: str, spec: CommitSpec) -> ImageFacts:
        """Freeze a container's filesystem into an image. It pauses nothing: that is the caller's part.

        The engine may finish the image though the answer is lost: look for the nonce label before trying again.
        """

    def commit_config(self, ref: str, spec: CommitSpec) -> Mapping[str, Any]:
        """The config that the image of such a commit has, in Docker's spelling; for who makes that image himself."""


class Contents(Protocol):
    """What is inside containers: their changes, files in and out, and their streams."""

    def changes(self, ref: str) -> tuple[Change, ...]:
        """How a container's filesystem differs from its image."""

    def writable_size(self, ref: str) -> int:
        """Apparent bytes that a container has written: holes of sparse files count."""

    def writable_layer(self, ref: str) -> Path | None:
        """The folder that holds what a container has written, where this process may read it."""

    def layer_folder(self, ref: str) -> Path | None:
        """As `writable_layer`, whether this process may read it or not; None where the engine does not tell."""

    def read_archive(self, ref: str, path: str) -> Iterator[bytes]:
        """A tar of `path` in a container, its last component being the first member. Raises NotFound."""

    def write_archive(self, ref: str, path: str, tar: BinaryIO, *, replace: bool = True) -> None:
        """Unpack a tar into folder `path` of a container.

        Without `replace` no folder gives way to something else, nor the other way round: EngineError.
        """

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """What a container wrote to its standard streams, all of it or from a moment on.

        `timestamps` puts in front of each line when it was written: RFC 3339 with nanoseconds, UTC, and a space.
        """

    def attach(self, ref: str) -> Session:
        """Join a container's standard streams; do it before `start` to miss nothing."""

    def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Tell a container's terminal its size."""

    def execute(self, ref: str, command: tuple[str, ...], *, tty: bool) -> Execution:
        """Start one more command in a running container, as its user and in its folder. Raises Conflict where not."""


class Images(Protocol):
    """Images: found, pulled, tagged, removed, saved and loaded."""

    def image(self, ref: str) -> ImageFacts | None:
        """The image, or None."""

    def images(self, labels: Mapping[str, str | None]) -> tuple[ImageFacts, ...]:
        """All images, untagged ones too, with these labels (None: any value)."""

    def image_summaries(self, labels: Mapping[str, str | None]) -> tuple[ImageSummary, ...]:
        """As `images`, in one question to the engine, however many there are."""

    def pull(self, ref: str, progress: Progress) -> None:
        """Fetch an image from its registry."""

    def tag(self, ref: str, tag: str) -> None:
        """Give an image one more tag, taking it from the image that has it."""

    def remove_image(self, ref: str) -> None:
        """Take a tag away, and the image with its last one; gone already is fine."""

    def save(self, ref: str) -> Iterator[bytes]:
        """The engine's archive of an image, as `docker save` writes it."""

    def load(self, tar: Iterable[bytes]) -> None:
        """Read an archive as `save` writes it. Success is no proof: look at the image afterwards."""


class Volumes(Protocol):
    """Named volumes."""

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a named volume; there already is fine."""

    def volumes(self, labels: Mapping[str, str | None]) -> tuple[str, ...]:
        """Names of the volumes with these labels."""

    def volume_facts(self, labels: Mapping[str, str | None]) -> tuple[VolumeFacts, ...]:
        """The volumes with these labels, sorted by name."""

    def volume_folder(self, name: str) -> Path | None:
        """The folder that holds what is in a volume, where this process may read it."""

    def remove_volume(self, name: str) -> None:
        """Delete a volume; gone already is fine."""


class Helpers(Protocol):
    """Programs of this machine that run in a container, to read what this process may not."""

    def run_helper(self, spec: HelperSpec) -> Session:
        """Run a program in an empty container, and join its streams, both of its outputs being one.

        It is told that its input ends when the session is closed, or this process ends, and is gone with its program.
        """


class Engine(Builds, Containers, Contents, Helpers, Images, Volumes, Protocol):
    """All of an engine, and what it says of itself."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it is looked for, and what said so. Raises ContextUnusable."""

    @property
    def is_local(self) -> bool:
        """Whether it is reached through a socket of this machine, and so can mount this machine's folders."""

    @property
    def mounts_memory(self) -> bool:
        """Whether files can be copied into and out of a container that has a folder in memory mounted read-only."""

    def info(self) -> EngineInfo:
        """Who answers, or has answered some seconds ago."""

    def networks(self) -> tuple[NetworkFacts, ...]:
        """The networks that a container can be in, sorted by name."""
