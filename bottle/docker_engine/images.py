"""Images: looked at, built, pulled, tagged, carried as archives, removed."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import docker.errors

from bottle import facts
from bottle.docker_engine.base import Part, label_filters, split_tag
from bottle.docker_engine.connection import error_of, events, image_ref, raise_error_of
from bottle.docker_engine.context import build_context
from bottle.errors import BuildFailed, NotFound
from bottle.model import ImageFacts, ImageSummary
from bottle.ports import Progress
from bottle.text import printable

_LAST_LINES = 20


# A heredoc, which only BuildKit knows, reads as instructions that nobody knows.
_NEEDS_BUILDKIT = re.compile(r"requires BuildKit|unknown instruction")
_MEND = "mend the Dockerfile and run the same command again"
_FOR_BUILDKIT = (
    f"{_MEND}; bottle builds with the engine's own builder: for what only BuildKit can, "
    '`docker buildx build -t NAME …` and image = "NAME" in bottle.toml'
)


class Images(Part):
    """The image calls of `ports.Engine`."""

    def image(self, ref: str) -> ImageFacts | None:
        """The image, or None."""
        with suppress(NotFound), self._asked_to(f"look at image {ref}"):
            return facts.image_facts(self._quick.inspect_image(image_ref(ref)))
        return None

    def images(self, labels: Mapping[str, str | None]) -> tuple[ImageFacts, ...]:
        """All images with these labels, those without a tag and those that others are built on among them."""
        with self._asked_to("list images"):
            listed = self._quick.images(all=True, filters=label_filters(labels))
        ids = dict.fromkeys(each["Id"] for each in listed)
        # One that was removed meanwhile is none.
        return tuple(image for image in map(self.image, ids) if image is not None)

    def image_summaries(self, labels: Mapping[str, str | None]) -> tuple[ImageSummary, ...]:
        """As `images`, in one question."""
        with self._asked_to("list images"):
            listed = self._quick.images(all=True, filters=label_filters(labels))
        return tuple({each["Id"]: facts.image_summary(each) for each in listed}.values())

    def build(
        self,
        *,
        dockerfile: bytes,
        context: Path,
        tag: str,
        labels: Mapping[str, str],
        args: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Build with the engine's own builder, which every engine has; a note of progress per step."""
        output = _BuildOutput(tag, progress)
        with build_context(context, dockerfile) as (tar, name), self._asked_to(f"build {tag}"):
            try:
                stream = self._patient.build(
                    fileobj=tar,
                    custom_context=True,
                    dockerfile=name,
                    tag=tag,
                    labels=dict(labels),
                    buildargs=dict(args),
                    rm=True,
                    forcerm=True,
                )
                for event in events(stream, f"build {tag}"):
                    output.see(event)
            except docker.errors.APIError as error:
                raise output.failure(str(error.explanation or error)) from error

    def pull(self, ref: str, progress: Progress) -> None:
        """Fetch an image from its registry, with the credentials of Docker's own configuration."""
        doing = f"pull {ref}"
        with self._asked_to(doing):
            for event in events(self._patient.pull(image_ref(ref), stream=True), doing):
                raise_error_of(event, doing)
                # Those with an id tell of one layer, and there are thousands of them.
                if "id" not in event and event.get("status"):
                    progress.note(f"docker: {printable(str(event['status']))}")

    def tag(self, ref: str, tag: str) -> None:
        """Give an image one more tag, taking it from the image that has it."""
        repository, name = split_tag(tag)
        with self._asked_to(f"tag {ref} as {tag}"):
            self._quick.tag(image_ref(ref), repository, name)

    def remove_image(self, ref: str) -> None:
        """Take a tag away, and the image with its last one; gone already is fine.

        Untagged images that only this one was built on go too, as with `docker rmi`. Raises Conflict while a container
        or another image needs it; an id that has several tags counts as needed.
        """
        with suppress(NotFound), self._asked_to(f"remove image {ref}"):
            self._patient.remove_image(image_ref(ref))

    def save(self, ref: str) -> Iterator[bytes]:
        """The engine's archive of an image, as `docker save` writes it.

        The end of the iterator is no proof of a whole archive: with the containerd store, an error that comes up late
        arrives as text behind the last whole member, under HTTP 200. Read the tar to its end and look for every digest
        that its manifest names.
        """
        return self._connection.stream(f"/images/{image_ref(ref)}/get", f"save {ref}")

    def load(self, tar: Iterable[bytes]) -> None:
        """Read an archive as `save` writes it. An error of `tar` itself is raised as it is."""
        self._connection.post("/images/load", "load an archive", tar, quiet=1)


class _BuildOutput:
    """What a build says: steps for who watches, and the last lines for who has to mend it.

    A Dockerfile's output is untrusted: it is shown without control characters.
    """

    def __init__(self, tag: str, progress: Progress) -> None:
        self._tag = tag
        self._progress = progress
        self._step = ""
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    def see(self, event: Mapping[str, object]) -> None:
        """Take in one event. Raises BuildFailed if it is the error that ended the build."""
        message = error_of(event)
        if message is not None:
            raise self.failure(message)
        for line in str(event.get("stream") or "").splitlines():
            text = printable(line)
            if text.startswith("Step "):
                self._step = text
                self._lines.clear()
                self._progress.note(text)
            elif text:
                self._lines.append(text)

    def failure(self, message: str) -> BuildFailed:
        """The error that says where the build failed, why, and what was printed last."""
        where = f" at {self._step}" if self._step else ""
        return BuildFailed(
            f"building {self._tag} failed{where}: {printable(message, 2000)}",
            details=tuple(self._lines),
            left="no image was tagged; what was there before stays in use",
            next_step=_FOR_BUILDKIT if _NEEDS_BUILDKIT.search(message) else _MEND,
        )
