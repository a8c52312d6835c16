"""Images: looked at, pulled, tagged, carried as archives, removed."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from bottle import facts
from bottle.docker_engine.base import Part, label_filters, split_tag
from bottle.docker_engine.buildlog import Layers
from bottle.docker_engine.connection import events, image_ref, raise_error_of
from bottle.errors import NotFound
from bottle.model import ImageFacts, ImageSummary
from bottle.ports import Progress


class Images(Part):
    """`ports.Images` on a Docker Engine."""

    def image(self, ref: str) -> ImageFacts | None:
        """The image, or None."""
        with suppress(NotFound), self._asked_to(f"look at image {ref}"):
            return facts.image_facts(self._dialect.image(self._quick.inspect_image(image_ref(ref))))
        return None

    def images(self, labels: Mapping[str, str | None]) -> tuple[ImageFacts, ...]:
        """All images with these labels, those without a tag and those that others are built on among them."""
        with self._asked_to("list images"):
            ids = dict.fromkeys(each["Id"] for each in self._listed(labels))
        # One that was removed meanwhile is none.
        return tuple(image for image in map(self.image, ids) if image is not None)

    def image_summaries(self, labels: Mapping[str, str | None]) -> tuple[ImageSummary, ...]:
        """As `images`, in one question."""
        with self._asked_to("list images"):
            listed = self._listed(labels)
        return tuple({each["Id"]: facts.image_summary(self._dialect.image(each)) for each in listed}.values())

    def _listed(self, labels: Mapping[str, str | None]) -> list[dict[str, Any]]:
        asked = labels if self._dialect.joins_labels else dict(list(labels.items())[:1])
        listed = self._quick.images(all=True, filters=label_filters(asked))
        return [each for each in listed if asked is labels or facts.has_labels(each.get("Labels"), labels)]

    def pull(self, ref: str, progress: Progress) -> None:
        """Fetch an image from its registry, with the credentials of Docker's own configuration."""
        doing, layers = f"pull {ref}", Layers()
        with self._asked_to(doing):
            for event in events(self._patient.pull(image_ref(ref), stream=True), doing):
                raise_error_of(event, doing)
                for line in layers.news(event):
                    progress.output(line)

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
