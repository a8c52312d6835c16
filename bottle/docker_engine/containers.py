"""Containers: found, created, run, frozen, committed, removed."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from bottle import facts
from bottle.docker_engine.base import Part, label_filters, split_tag
from bottle.docker_engine.configs import commit_config, committed_config, create_config
from bottle.docker_engine.connection import container_ref, image_ref
from bottle.docker_engine.events import DockerEvents
from bottle.docker_engine.failures import refused
from bottle.errors import Conflict, EngineError, NameTaken, NotFound
from bottle.model import (
    CommitSpec,
    ContainerFacts,
    ContainerSummary,
    EventKind,
    ImageFacts,
    LaunchSpec,
    MountKind,
    Status,
    Usage,
)
from bottle.ports import Events

_SETTLED = 5.0  # seconds that the daemon has to say of a container what is so
_INTERVAL = 0.02
_LOOK = 0.1


class Containers(Part):
    """`ports.Containers` on a Docker Engine."""

    def container(self, ref: str) -> ContainerFacts | None:
        """The container, or None."""
        with suppress(NotFound), self._asked_to(f"look at container {ref}"):
            return facts.container_facts(self._dialect.container(self._quick.inspect_container(container_ref(ref))))
        return None

    def containers(self, labels: Mapping[str, str | None]) -> tuple[ContainerFacts, ...]:
        """All containers with these labels, stopped ones too."""
        with self._asked_to("list containers"):
            listed = self._quick.containers(all=True, filters=label_filters(labels))
        found = (self.container(each["Id"]) for each in listed)
        # One that was removed meanwhile is none.
        return tuple(container for container in found if container is not None)

    def container_summaries(self, labels: Mapping[str, str | None]) -> tuple[ContainerSummary, ...]:
        """As `containers`, in one question."""
        with self._asked_to("list containers"):
            listed = self._quick.containers(all=True, filters=label_filters(labels))
            return tuple(map(facts.container_summary, listed))

    def events(self, labels: Mapping[str, str | None]) -> Events:
        """What happens from now on to containers with these labels."""
        doing = "tell what happens to containers"
        filters = {"type": ["container"], "event": self._dialect.event_words(EventKind), **label_filters(labels)}
        response = self._connection.listen("/events", doing, filters=json.dumps(filters))
        return DockerEvents(response, doing, partial(self._asked_to, doing), self._dialect, labels)

    def usage(self, ref: str) -> Usage | None:
        """What a container uses right now, None where it does not run; the engine takes two readings for it."""
        with self._asked_to(f"measure container {ref}"):
            if not self._quick.inspect_container(container_ref(ref))["State"]["Running"]:
                return None  # of which Podman says nothing at all
            return facts.usage(self._quick.stats(container_ref(ref), stream=False))

    def create(self, spec: LaunchSpec) -> str:
        """Create a container, not started. Raises NameTaken; NotFound where there is no such image."""
        self._require_binds(spec)
        with _name_conflicts(spec.name), self._asked_to(f"create container {spec.name}"):
            image = self._quick.inspect_image(image_ref(spec.image))
            answer = self._patient.create_container_from_config(create_config(spec, image), name=spec.name)
        return str(answer["Id"])

    def _require_binds(self, spec: LaunchSpec) -> None:
        if not (self._dialect.makes_binds and self._connection.is_local):
            return
        for mount in spec.mounts:
            if mount.kind is MountKind.BIND and not Path(mount.source).exists():
                raise EngineError(f"cannot create container {spec.name}: there is no {mount.source} to mount")

    def start(self, ref: str) -> None:
        """Start a created or stopped container; a running one stays as it is. Raises PortTaken."""
        with self._asked_to(f"start container {ref}"):
            self._patient.start(container_ref(ref))

    def stop(self, ref: str, grace: int = 10) -> None:
        """End a container's processes, by force after `grace` seconds; a paused one is woken for it."""
        doing = f"stop container {ref}"
        try:
            with self._asked_to(doing):
                self._patient.stop(container_ref(ref), timeout=grace)
        except Conflict:  # of Podman, which stops none that is paused
            container = self.container(ref)
            if container is None or container.status is not Status.PAUSED:
                raise
            self.unpause(ref)
            with self._asked_to(doing):
                self._patient.stop(container_ref(ref), timeout=grace)

    def pause(self, ref: str) -> None:
        """Freeze a running container's processes. Raises Conflict where it does not run, or is paused already."""
        with self._asked_to(f"pause container {ref}"):
            self._quick.pause(container_ref(ref))
            self._await_word_that(ref, is_paused=True)

    def unpause(self, ref: str) -> None:
        """Let a paused container go on. Raises Conflict where it is not paused."""
        with self._asked_to(f"unpause container {ref}"):
            self._quick.unpause(container_ref(ref))
            self._await_word_that(ref, is_paused=False)

    def _await_word_that(self, ref: str, *, is_paused: bool) -> None:
        """Give the daemon time to say what is so.

        It hears of each pause and unpause a second time, from containerd and late, and believes that: for a moment it
        says of a container that was just paused that it runs, and the other way round (tried with Docker 20.10).
        """
        deadline = time.monotonic() + _SETTLED
        while time.monotonic() < deadline:
            if self._quick.inspect_container(container_ref(ref))["State"]["Paused"] is is_paused:
                return
            time.sleep(_INTERVAL)

    def update(self, ref: str, *, restart: str) -> None:
        """Give a container another restart policy, in Docker's words; it runs, or does not, as before."""
        doing = f"change the restart policy of container {ref}"
        try:
            with self._asked_to(doing):
                self._quick.update_container(container_ref(ref), restart_policy={"Name": restart})
        except NotFound as exc:
            if self.container(ref) is None:
                raise
            raise EngineError(f"{self._dialect.product.value} cannot {doing}: it has no call for that") from exc

    def rename(self, ref: str, name: str) -> None:
        """Give a container another name. Raises NameTaken."""
        with _name_conflicts(name), self._asked_to(f"rename container {ref} to {name}"):
            self._quick.rename(container_ref(ref), name)

    def remove_container(self, ref: str) -> None:
        """Delete a container, stopping it first, with its anonymous volumes; gone already is fine."""
        doing = f"remove container {ref}"
        with suppress(NotFound):
            try:
                with self._asked_to(doing):
                    self._patient.remove_container(container_ref(ref), v=True, force=True)
            except Conflict as conflict:
                # The one conflict there is: somebody else is removing it. It will be gone then, too.
                if "already in progress" not in conflict.what:
                    raise
                with self._asked_to(doing):
                    self._patient.wait(ref, condition="removed")

    def wait(self, ref: str) -> int:
        """Block until the container does not run; its exit code. One that never ran counts as ended with 0."""
        doing = f"wait for container {ref}"
        with self._asked_to(doing):
            answer = self._patient.wait(container_ref(ref))
        message = (answer.get("Error") or {}).get("Message")
        if message:
            raise refused(message, doing)
        return max(int(answer["StatusCode"]), 0)  # -1 is Podman's for one that never ran

    def ended_within(self, ref: str, seconds: float) -> int | None:
        """The exit code of a container that stops within that time; None for one that goes on."""
        deadline = time.monotonic() + seconds
        while True:
            with self._asked_to(f"see whether container {ref} runs"):
                state = self._quick.inspect_container(container_ref(ref))["State"]
            if not state["Running"]:
                return int(state["ExitCode"])
            if time.monotonic() > deadline:
                return None
            time.sleep(_LOOK)

    def commit(self, ref: str, spec: CommitSpec) -> ImageFacts:
        """Freeze a container's filesystem into an image whose config says what `spec` does; it pauses nothing.

        Environment, labels, working directory and the rest of the config are the container's, as with `docker commit`.
        When the answer is lost the engine still goes on: whether it committed is not known then.
        """
        repository, tag = split_tag(spec.tag)
        with self._asked_to(f"commit container {ref}"):
            container = self._quick.inspect_container(container_ref(ref))
            config = commit_config(spec, container, self._image_of(container))
            told = self._dialect.commit(config)
            answer = self._patient.commit(
                container["Id"], repository=repository, tag=tag, message=spec.message, pause=False, **told
            )
            return facts.image_facts(self._dialect.image(self._patient.inspect_image(answer["Id"])))

    def commit_config(self, ref: str, spec: CommitSpec) -> Mapping[str, Any]:
        """The config that the image of such a commit has."""
        with self._asked_to(f"look at container {ref}"):
            container = self._quick.inspect_container(container_ref(ref))
            return committed_config(spec, container, self._image_of(container))

    def _image_of(self, container: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inspect answer of a container's image; empty where the image is gone, which a containerd store allows."""
        with suppress(NotFound), self._asked_to("look at the container's image"):
            image: Mapping[str, Any] = self._quick.inspect_image(image_ref(container["Image"]))
            return image
        return {}


@contextmanager
def _name_conflicts(name: str) -> Iterator[None]:
    """Where a name is given, the conflict is about the name."""
    try:
        yield
    except Conflict as conflict:
        raise NameTaken(
            f"the name {name} is in use by another container: {conflict.what}",
            next_step=f"docker ps -a --filter name={name}",
        ) from conflict
