"""The image of a bottle that is pulled, and its tags: the engine here is fed nothing but what was looked at."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from bottle.errors import EngineError, VerificationFailed
from bottle.layers import KnownBlob
from bottle.model import ImageFacts, Store
from migrate.admission.arrived_state import alone, staged
from migrate.admission.image_archive import read_image
from migrate.host.commands import MOST_NAMED, Inspect, Tag, Unload
from migrate.host.destination import shown
from migrate.host.layers import ask_images, ask_known, ask_layers, known_to_text
from migrate.host.script import ScriptStatus
from migrate.image.load_archive import compose, fed
from migrate.model import EngineAccess, Reply
from migrate.ports import Shell
from migrate.pull.receiver import Breach
from migrate.pull.site import Site


class ImageKeeper:
    """Does with images what the far host asks for, and tells it no more of them than it may know."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._disclosure = Disclosure(site.here, site.terms)
        self._given: set[str] = set()  # tags that no image here had

    def images(self, named: Sequence[str]) -> Reply:
        """What images.sh prints, without what is nobody's business there. Raises Breach, RemoteError."""
        self._disclosure.named(named)
        return Reply(status=ScriptStatus.DONE, out=self._disclosure.images())

    def known(self, images: Sequence[str]) -> Reply:
        """What known.sh prints, without what is nobody's business there. Raises RemoteError."""
        return Reply(status=ScriptStatus.DONE, out=self._disclosure.known(images))

    def inspect(self, script: Inspect, silence: float) -> Reply:
        """What inspect.sh answers, without what is nobody's business there."""
        reply = self._site.run(script, silence=silence)
        return replace(reply, out=self._disclosure.image(self._site.engine.image(script.tag)))

    def load(self, order: Sequence[str]) -> Reply:
        """What load.sh does, but for an archive that may be anything: the engine is fed another, of what is in it."""
        site = self._site

        def archive() -> Iterator[bytes]:
            for blob in order:
                yield from staged(site.blobs, blob)

        with site.progress.phase("looking at the image that came"):
            image = read_image(archive(), site.identity, site.docker_room())
        if not {blob.path.name for blob in image.blobs.values()} <= set(order):
            raise Breach("the far host does not send each layer by itself")
        self._disclosure.named(image.diff_ids)
        self._give(image.tag, image.diff_ids)
        try:
            known = self._known(image.diff_ids)
            made = compose(
                config=image.config,
                diff_ids=image.diff_ids,
                blobs=image.blobs,
                tag=image.tag,
                store=site.terms.store,
                known=known,
            )
            with alone(site.staging), site.progress.phase("loading the image", made.size):
                site.engine.load(fed(made, lambda blob: staged(site.blobs, blob.path.name), site.progress))
        except (EngineError, VerificationFailed) as exc:
            # Whoever sends may send more: a layer that was left out since it seemed to be here.
            return Reply(status=ScriptStatus.ENGINE_FAILED, err=exc.what)
        return Reply(status=ScriptStatus.DONE)

    def tag(self, script: Tag, silence: float) -> Reply:
        """Give an image that the far host was told of a tag. Raises Breach, or VerificationFailed where it is taken."""
        if not self._disclosure.is_told(script.image):
            raise Breach("the far host speaks of an image here that it was not told of")
        there = self._site.engine.image(script.image)
        self._give(script.tag, there.diff_ids if there is not None else ())
        return self._site.run(script, silence=silence)

    def unload(self, script: Unload, silence: float) -> Reply:
        """Take a tag away, if it was given by this very pull."""
        if script.tag not in self._given:
            return Reply(status=ScriptStatus.DONE)
        return self._site.run(script, silence=silence)

    def _give(self, tag: str, diff_ids: tuple[str, ...]) -> None:
        """Note that an image gets this tag. Raises VerificationFailed where it would be taken from another one.

        A bottle that moved away has left its commits here, and some of them are nowhere else.
        """
        there = self._site.engine.image(tag)
        if there is None:
            self._given.add(tag)
        elif tag not in self._given and there.diff_ids != diff_ids:
            raise VerificationFailed(
                f"another image is called {tag} here",
                left="it is as it was",
                next_step=f"look at it, and give it another name: docker image inspect {tag}",
            )

    def _known(self, diff_ids: tuple[str, ...]) -> Mapping[str, KnownBlob]:
        """As what the store here has layers: the classic one knows them by their diff ids, and need not be told."""
        here, terms = self._site.here, self._site.terms
        if terms.store is Store.CLASSIC:
            return {}
        return ask_layers(here, terms, ask_images(here, terms, diff_ids), diff_ids).blobs


class Disclosure:
    """Answers what the scripts `images`, `known` and `inspect` would print, from what they print to us.

    It tells of layers that the other side has named, and of nothing else. Who knows the diff id of a layer can have an
    image made of it wherever that layer lies, and look into it. So no diff id is told that was not named, no config,
    and of an image its id only where all of its layers were named.
    """

    def __init__(self, shell: Shell, host: EngineAccess) -> None:
        self._shell = shell
        self._host = host
        self._named: set[str] = set()
        self._images: dict[str, str] = {}  # by the ids that were told

    def named(self, diff_ids: Iterable[str]) -> None:
        """The other side knows these layers. Raises Breach when it names more than any bottle has."""
        self._named.update(diff_ids)
        if len(self._named) > 2 * MOST_NAMED:
            raise Breach("the far host names more layers than any bottle has")

    def images(self) -> bytes:
        """The layers that were named, as the images here have them. Raises RemoteError."""
        told: dict[str, tuple[str, ...]] = {}
        for image, chain in ask_images(self._shell, self._host, self._named).chains.items():
            if known := self._known_of(chain):
                name = image if known == chain else _made_up(known)
                told.setdefault(name, known)
                self._images.setdefault(name, image)
        lines = (f"{name} {json.dumps(known, separators=(',', ':'))}\n" for name, known in told.items())
        return "".join(lines).encode()

    def known(self, images: Iterable[str]) -> bytes:
        """As what the containerd store holds layers of images that were told of. Raises RemoteError."""
        here = [self._images[image] for image in images if image in self._images]
        blobs = ask_known(self._shell, self._host, here)
        return known_to_text({diff_id: blob for diff_id, blob in blobs.items() if diff_id in self._named})

    def is_told(self, image: str) -> bool:
        """Whether the other side was told of this very image, and not of some of its layers."""
        return self._images.get(image) == image

    def image(self, image: ImageFacts | None) -> bytes:
        """What an image is, for who knows all of its layers."""
        return shown(image if image is not None and self._named.issuperset(image.diff_ids) else None)

    def _known_of(self, chain: tuple[str, ...]) -> tuple[str, ...]:
        """The classic store has a layer only on top of those below it."""
        if self._host.store is Store.CLASSIC:
            return tuple(takewhile(self._named.__contains__, chain))
        return tuple(layer for layer in chain if layer in self._named)


def _made_up(layers: tuple[str, ...]) -> str:
    """An id that no image has."""
    return "sha256:" + hashlib.sha256(b"\n".join(layer.encode() for layer in layers)).hexdigest()
