"""What every LayerSource does, whatever it reads from: one suite for all of them.

A test module subclasses LayerSourceContract and gives it a fixture `subject`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bottle.errors import NotFound, VerificationFailed
from bottle.layers import ImageDocuments, LayerSource, LayerStream
from bottle.ports import Silent
from migrate.image.reading import ImageReading
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.tar.compression import decompress
from tests.support.blobs import is_whole

UNKNOWN = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A source and an image that it can read; `diff_ids` are what the engine says, base first, at least two."""

    source: LayerSource
    ref: str
    diff_ids: tuple[str, ...]


def pieces(blob: Blob) -> Iterator[bytes]:
    """The blob's file, as it is."""
    with blob.path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def check_whole(blob: Blob | None, diff_id: str) -> None:
    """The blob is the layer that it is said to be, in both its forms."""
    assert blob is not None
    packed, plain = hashlib.sha256(), hashlib.sha256()
    size = 0
    for piece in pieces(blob):
        packed.update(piece)
    for piece in decompress(pieces(blob), blob.codec):
        plain.update(piece)
        size += len(piece)
    assert blob.diff_id == diff_id == f"sha256:{plain.hexdigest()}"
    assert blob.digest == f"sha256:{packed.hexdigest()}"
    assert (blob.size, blob.diff_size) == (blob.path.stat().st_size, size)


def spooled(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file of the spool, with what changes when it is written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def read(source: LayerSource, ref: str, wanted: frozenset[str], spool: DirectorySpool) -> bytes:
    """Have the layers `wanted` in a spool; the image's config."""
    reading = ImageReading(source, ref, wanted, spool)
    for _ in reading.layers(Silent()):
        pass
    return reading.config


class LayerSourceContract:
    """The suite."""

    @pytest.fixture(params=list(Codec), ids=lambda codec: codec.name)
    def spool(self, request: pytest.FixtureRequest, tmp_path: Path) -> DirectorySpool:
        """An empty spool, one of each codec."""
        return DirectorySpool(tmp_path / "spool", request.param)

    def test_all_layers_come_whole_and_the_config_names_them(self, subject: Subject, spool: DirectorySpool) -> None:
        config = read(subject.source, subject.ref, frozenset(subject.diff_ids), spool)
        assert tuple(json.loads(config)["rootfs"]["diff_ids"]) == subject.diff_ids
        for diff_id in subject.diff_ids:
            check_whole(spool.blob(diff_id), diff_id)

    def test_each_layer_is_there_before_the_next_one_is_read(self, subject: Subject, spool: DirectorySpool) -> None:
        layers = ImageReading(subject.source, subject.ref, subject.diff_ids, spool).layers(Silent())
        first = next(layers)
        check_whole(spool.blob(first.diff_id), first.diff_id)
        assert [diff_id for diff_id in subject.diff_ids if spool.blob(diff_id)] == [first.diff_id]
        assert {first.diff_id, *(blob.diff_id for blob in layers)} == set(subject.diff_ids)

    def test_what_is_taken_out_of_the_wanted_ones_is_not_read(self, subject: Subject) -> None:
        wanted = set(subject.diff_ids)
        parts = subject.source.read(subject.ref, wanted, Silent())
        assert isinstance(next(parts), LayerStream)
        wanted.clear()
        assert [type(part) for part in parts] == [ImageDocuments]

    def test_what_is_not_wanted_is_not_kept(self, subject: Subject, spool: DirectorySpool) -> None:
        top = subject.diff_ids[-1]
        read(subject.source, subject.ref, frozenset({top}), spool)
        check_whole(spool.blob(top), top)
        assert [diff_id for diff_id in subject.diff_ids if spool.blob(diff_id)] == [top]

    def test_the_config_comes_without_any_layer(self, subject: Subject, spool: DirectorySpool, tmp_path: Path) -> None:
        config = read(subject.source, subject.ref, frozenset(), spool)
        assert config == read(
            subject.source, subject.ref, frozenset(subject.diff_ids), DirectorySpool(tmp_path / "other", Codec.NONE)
        )
        assert not any(spool.blob(diff_id) for diff_id in subject.diff_ids)

    def test_a_second_read_adds_what_is_missing_and_writes_nothing_again(
        self, subject: Subject, spool: DirectorySpool, tmp_path: Path
    ) -> None:
        base, every = frozenset(subject.diff_ids[:1]), frozenset(subject.diff_ids)
        config = read(subject.source, subject.ref, base, spool)
        before = {name: mark for name, mark in spooled(tmp_path / "spool").items() if not name.endswith(".config")}
        assert read(subject.source, subject.ref, every, spool) == config
        after = spooled(tmp_path / "spool")
        assert before.items() <= after.items()
        assert all(is_whole(spool.blob(diff_id)) for diff_id in every)
        assert read(subject.source, subject.ref, every, spool) == config
        assert spooled(tmp_path / "spool") == after

    def test_a_layer_read_anew_has_the_digest_it_had(
        self, subject: Subject, spool: DirectorySpool, tmp_path: Path
    ) -> None:
        every = frozenset(subject.diff_ids)
        read(subject.source, subject.ref, every, spool)
        other = DirectorySpool(tmp_path / "other", spool.codec, threads=2)
        read(subject.source, subject.ref, every, other)
        for diff_id in every:
            first, second = spool.blob(diff_id), other.blob(diff_id)
            assert first is not None
            assert second is not None
            assert first.digest == second.digest

    def test_a_layer_that_the_image_does_not_have_is_refused(self, subject: Subject, spool: DirectorySpool) -> None:
        with pytest.raises(VerificationFailed):
            read(subject.source, subject.ref, frozenset({UNKNOWN}), spool)

    def test_an_image_that_is_not_there_is_not_found(self, subject: Subject, spool: DirectorySpool) -> None:
        with pytest.raises(NotFound):
            read(subject.source, "bottle-committed-nobody-00000:1", frozenset(), spool)
