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
        known = {each.digest: each for each in map(self.known.get, (subject.image, *subject.own)) if each is not None}
        scan, config = self._layers(subject, known)
        # What packages brought is known of the layers only that were read, and here it might make a difference.
        if known.keys() & set(subject.own) and not scan.is_final:
            scan, config = self._layers(subject, {})
        found = (*scan.finds(), *self._config(subject, config))
        return tuple(sorted(found, key=lambda find: find.path))

    def _layers(self, subject: Subject, known: Mapping[str, LayerScan]) -> tuple[Scan, bytes | None]:
        """What is in the layers, and the config, None where nothing had to be read."""
        missing = [each for each in subject.own if each not in known]
        config, blobs = subject.read(missing) if missing or subject.image not in known else (None, {})
        scan, new = Scan(self.finder), list[LayerScan]()
        to_read = [*(blobs[each] for each in missing), *subject.above]
        with self.progress.phase("looking for credentials", sum(each.diff_size for each in to_read)):
            for each in subject.own:
                if each in known:
                    scan.recall(known[each])
                elif (result := self._layer(scan, blobs[each])) is not None:
                    new.append(result)
            for blob in subject.above:
                self._layer(scan, blob)
        self.known.add(new)
        return scan, config

    def _layer(self, scan: Scan, layer: Blob) -> LayerScan | None:
        try:
            return scan.layer(entries(told(plain(layer), self.progress)), layer.diff_id)
        except VerificationFailed as exc:  # an archive in a form of its own: its bytes are all there all the same
            self.progress.note(f"layer {layer.diff_id} is looked through without names of files: {exc.what}")
            scan.nameless(f"layer {layer.diff_id}", plain(layer))
            return None

    def _config(self, subject: Subject, config: bytes | None) -> tuple[Find, ...]:
        """What is in the config; None is one that is known to be clean."""
        scan = Scan(self.finder)
        if config is not None:
            _look_at(scan, json.loads(config))
            if not scan.finds():
                self.known.add([LayerScan(digest=subject.image)])
        _look_at(scan, {"config": {"Env": [f"{name}={value}" for name, value in subject.env]}})
        return scan.finds()


def _look_at(scan: Scan, document: object) -> None:
    for where, text in texts(document):
        scan.nameless(f"{CONFIG}{where}", (text.encode("utf-8", "surrogateescape"),))
