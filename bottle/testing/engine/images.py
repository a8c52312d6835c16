"""Images: found, pulled, tagged, removed, saved and loaded."""

from collections.abc import Iterable, Iterator, Mapping

from bottle.errors import Conflict, EngineError, NotFound
from bottle.facts import has_labels
from bottle.model import ImageFacts, ImageSummary, Store
from bottle.ports import Progress
from bottle.testing.engine.base import Part, full_name
from bottle.testing.faults import recorded
from bottle.testing.image import BadArchive, load_archive, save_archive


class Images(Part):
    """`ports.Images` in memory."""

    @recorded
    def image(self, ref: str) -> ImageFacts | None:
        """The image, or None."""
        found = self._find_image(ref)
        return self._facts(found) if found else None

    @recorded
    def images(self, labels: Mapping[str, str | None]) -> tuple[ImageFacts, ...]:
        """All images with these labels, newest first."""
        everything = [self._facts(each) for each in reversed(self._images)]
        return tuple(each for each in everything if has_labels(each.labels, labels))

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
            if has_labels(each.labels, labels)
        )

    @recorded
    def pull(self, ref: str, progress: Progress) -> None:
        """Fetch an image from `registry`."""
        image = self.registry.get(ref)
        if image is None:
            raise NotFound(f"Docker could not pull {ref}: repository does not exist")
        progress.output(f"Pulling from {ref}")
        self._keep(image, (ref,))

    @recorded
    def tag(self, ref: str, tag: str) -> None:
        """Give an image one more tag."""
        self._tags[full_name(tag)] = self._image_id(ref)

    @recorded
    def remove_image(self, ref: str) -> None:
        """Take a tag away, and the image with its last one."""
        image = self._find_image(ref)
        if image is None:
            return
        tags = self._tags_of(image)
        by_tag = full_name(ref) in tags
        if not by_tag and len(tags) > 1:
            raise Conflict(f"Docker could not remove image {ref}: it has several tags")
        if len(tags) <= 1 and any(each.image == image for each in self._containers.values()):
            raise Conflict(f"Docker could not remove image {ref}: a container is using it")
        if not by_tag and self._has_children(image):
            raise Conflict(f"Docker could not remove image {ref}: it has dependent child images")
        for tag in [full_name(ref)] if by_tag else tags:
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
    def save(self, ref: str) -> Iterator[bytes]:
        """An archive of an image."""
        image = self._images[self._image_id(ref)]
        tag = full_name(ref) if full_name(ref) in self._tags else None
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
