"""Results of searches that are kept, so that a layer which was looked through is not read for it again.

A result is kept only where it holds whatever the layer is stacked on, or under: all that is found bears the name of a
file that holds credentials, which nothing explains, and whatever else looked like one is explained by the layer alone.
"""

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from bottle.errors import BottleError
from bottle.model import LayerScan, LayerScans
from bottle.store.document import StoredDocument
from migrate.secrets.patterns import Finder

# The version of all that decides what is found: patterns, packages, what was published. A result of another counts for
# nothing. A test knows the files, and fails when one has changed and this has not.
PATTERNS = 2

_MOST = 300  # results that are kept; a bottle has no more layers than 125, and a few branches
_MOST_PATHS = 2000  # of one
_SALT = re.compile(r"[0-9a-f]{32}")


class KnownScans(Protocol):
    """Where results are kept."""

    def get(self, digest: str) -> LayerScan | None:
        """What is known of a layer, or of an image's config."""

    def add(self, scans: Iterable[LayerScan]) -> None:
        """Keep what was found."""


class NoScans:
    """Nothing is known, and nothing kept."""

    def get(self, digest: str) -> None:
        """What is known of a layer, or of an image's config."""

    def add(self, scans: Iterable[LayerScan]) -> None:
        """Keep what was found."""


class StoredScans:
    """Those of one bottle, for what `finder` looks for. A document that cannot be read, or written, is none."""

    def __init__(self, document: StoredDocument[LayerScans], finder: Finder) -> None:
        self._document = document
        kept = None
        with suppress(BottleError):
            kept = document.read()
        if kept is None or kept.patterns != PATTERNS or _SALT.fullmatch(kept.salt) is None:
            kept = LayerScans(patterns=PATTERNS, salt=secrets.token_hex(16))
        self._salt = kept.salt
        self._values = finder.told_apart(bytes.fromhex(kept.salt))
        self._scans = {each.digest: each for each in kept.scans}

    def get(self, digest: str) -> LayerScan | None:
        """What is known of a layer, or of an image's config, for the secrets whose values are looked for now."""
        found = self._scans.get(digest)
        return found if found is not None and found.values == self._values else None

    def add(self, scans: Iterable[LayerScan]) -> None:
        """Keep what was found, but for what is too much; not for secrets that could be guessed from what is kept."""
        if self._values is None:
            return
        new = [each for each in scans if len(each.finds) + len(each.hides) <= _MOST_PATHS]
        if not new:
            return
        for each in new:
            self._scans.pop(each.digest, None)
            self._scans[each.digest] = LayerScan(
                digest=each.digest, values=self._values, finds=each.finds, hides=each.hides
            )
        kept = tuple(self._scans.values())[-_MOST:]
        with suppress(BottleError):
            self._document.write(LayerScans(patterns=PATTERNS, salt=self._salt, scans=kept))
