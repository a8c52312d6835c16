"""A search for credentials in a bottle's image, which reads no layer of which an earlier one has kept the result."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bottle.errors import VerificationFailed
from bottle.model import LayerScan
from bottle.ports import Progress
from migrate.model import Blob
from migrate.secrets.kept import KnownScans, NoScans
from migrate.secrets.patterns import Finder
from migrate.secrets.policy import CONFIG, entries, texts
from migrate.secrets.scan import Find, Scan
from migrate.tar.compression import plain, told

# Has the config of an image, and those of its layers that are named by their diff ids.
Reader = Callable[[Collection[str]], tuple[bytes, Mapping[str, Blob]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be looked through: the layers `own`, lowest first, of the image whose id is `image`, and its config.

    `above` are layers that no image has yet, and `env` is what the config will have besides.
    """

    image: str
    own: Sequence[str]
    read: Reader
    above: Sequence[Blob] = ()
    env: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for, and what is known already."""

    finder: Finder
    progress: Progress
    known: KnownScans = field(default_factory=NoScans)

    def through(self, subject: Subject) -> tuple[Find, ...]:
        """What is in it, by path. Its reader is asked for nothing that is known; memory is a few pieces.

        Raises what the reader raises.
        """
        known = {each.digest: each for each in map(self.known.get, subject.own) if each is not None}
        passage, config = self._layers(subject, known)
        return self._all(passage, subject, config)

    def passage(self, own: Collection[str]) -> "Passage":
        """The same for layers that come by one by one, of which `own` are to be looked through."""
        return Passage(self, {each.digest: each for each in map(self.known.get, own) if each is not None})

    def conclude(self, passage: "Passage", subject: Subject) -> tuple[Find, ...]:
        """What `through` says, once all of the subject's own layers came by. Raises what the reader raises."""
        self.known.add(passage.new)
        return self._all(passage, subject, None)

    def _all(self, passage: "Passage", subject: Subject, config: bytes | None) -> tuple[Find, ...]:
        """Of all layers that came by, and of the config, which is read if need be."""
        # What packages brought is known of the layers only that were read, and here it might make a difference.
        if passage.has_recalled and not passage.scan.is_final:
            passage, config = self._layers(subject, {})
        if config is None and self.known.get(subject.image) is None:
            config, _ = subject.read(())
        found = (*passage.scan.finds(), *self._config(subject, config))
        return tuple(sorted(found, key=lambda find: find.path))

    def _layers(self, subject: Subject, known: Mapping[str, LayerScan]) -> tuple["Passage", bytes | None]:
        """Have the layers come by, and the config, None where nothing had to be read."""
        passage = Passage(self, known)
        missing = [each for each in subject.own if each not in known]
        config, blobs = subject.read(missing) if missing else (None, {})
        to_read = [*(blobs[each] for each in missing), *subject.above]
        with self.progress.phase("looking for credentials", sum(each.diff_size for each in to_read)):
            for each in subject.own:
                passage.take(each, blobs.get(each), self.progress)
            for blob in subject.above:
                passage.look_at(blob, self.progress)
        self.known.add(passage.new)
        return passage, config

    def _config(self, subject: Subject, config: bytes | None) -> tuple[Find, ...]:
        """What is in the config; None is one that is known to be clean."""
        scan = Scan(self.finder)
        if config is not None:
            _look_at(scan, json.loads(config))
            if not scan.finds():
                self.known.add([LayerScan(digest=subject.image)])
        _look_at(scan, {"config": {"Env": [f"{name}={value}" for name, value in subject.env]}})
        return scan.finds()


class Passage:
    """Layers of one image that come by, lowest first. What is `known` of some is not looked for again."""

    def __init__(self, search: Search, known: Mapping[str, LayerScan]) -> None:
        self._search = search
        self._known = known
        self.scan = Scan(search.finder)
        self.new: list[LayerScan] = []
        self.has_recalled = False

    def take(self, diff_id: str, layer: Blob | None, progress: Progress) -> None:
        """The next layer, which need not be there where it is known. `progress` is told of the bytes that are read."""
        known = self._known.get(diff_id)
        if known is not None:
            self.scan.recall(known)
            self.has_recalled = True
        elif layer is not None and (result := self.look_at(layer, progress)) is not None:
            self.new.append(result)

    def look_at(self, layer: Blob, progress: Progress) -> LayerScan | None:
        """Look through a layer; what is to be known of it, if that is so for good."""
        try:
            return self.scan.layer(entries(told(plain(layer), progress)), layer.diff_id)
        except VerificationFailed as exc:  # an archive in a form of its own: its bytes are all there all the same
            self._search.progress.note(f"layer {layer.diff_id} is looked through without names of files: {exc.what}")
            self.scan.nameless(f"layer {layer.diff_id}", plain(layer))
            return None


def _look_at(scan: Scan, document: object) -> None:
    for where, text in texts(document):
        scan.nameless(f"{CONFIG}{where}", (text.encode("utf-8", "surrogateescape"),))
