"""DirectorySpool: what is kept survives, what is not kept is gone, what is damaged is not believed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import StateDamaged, VerificationFailed
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from tests.support.blobs import is_whole

LAYER = b"a layer's tar" * 5000
DIFF_ID = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool"


def put(spool: DirectorySpool, layer: bytes = LAYER) -> None:
    with spool.writer() as writer:
        writer.write(layer[:1000])
        writer.write(layer[1000:])
        writer.keep()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("codec", list(Codec), ids=lambda codec: codec.name)
def test_a_kept_layer_is_there_in_the_next_run(folder: Path, codec: Codec) -> None:
    put(DirectorySpool(folder, codec))
    spool = DirectorySpool(folder, codec)
    blob = spool.blob(DIFF_ID)
    assert blob is not None
    assert (blob.diff_id, blob.diff_size, blob.codec) == (DIFF_ID, len(LAYER), codec)
    assert is_whole(blob)
    assert names(folder) == sorted((blob.path.name, blob.path.name + ".json"))


def test_codecs_do_not_get_into_each_others_way(folder: Path) -> None:
    put(DirectorySpool(folder, Codec.ZSTD))
    gzip = DirectorySpool(folder, Codec.GZIP)
    assert gzip.blob(DIFF_ID) is None
    put(gzip)
    zstd = DirectorySpool(folder, Codec.ZSTD)
    assert is_whole(zstd.blob(DIFF_ID))
    assert is_whole(gzip.blob(DIFF_ID))
    assert zstd.blob(DIFF_ID) != gzip.blob(DIFF_ID)


def test_what_is_not_kept_is_gone(folder: Path) -> None:
    spool = DirectorySpool(folder, Codec.ZSTD)
    with spool.writer() as writer:
        writer.write(LAYER)
        assert writer.diff_id == DIFF_ID
        assert spool.blob(DIFF_ID) is None
    assert names(folder) == []
    with suppress(KeyboardInterrupt), spool.writer() as writer:
        writer.write(LAYER)
        raise KeyboardInterrupt
    assert names(folder) == []


def test_leftovers_of_a_killed_run_are_removed(folder: Path) -> None:
    put(DirectorySpool(folder, Codec.ZSTD))
    kept = names(folder)
    for leftover in (".0123456789abcdef.part", ".name.json.00ff00ff00ff.tmp"):
        (folder / leftover).write_bytes(b"half")
    DirectorySpool(folder, Codec.ZSTD)
    assert names(folder) == kept


@pytest.mark.parametrize("killed_at", ["fsync", "rename", "record"])
def test_killed_while_keeping_there_is_no_layer_or_a_whole_one(
    folder: Path, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    spool = DirectorySpool(folder, Codec.NONE)
    with monkeypatch.context() as patch:
        match killed_at:
            case "fsync":
                patch.setattr("migrate.image.spool.os.fsync", kill)
            case "rename":
                patch.setattr(Path, "rename", kill)
            case _:
                patch.setattr("migrate.image.spool.write_atomic", kill)
        with pytest.raises(KeyboardInterrupt):
            put(spool)
    again = DirectorySpool(folder, Codec.NONE)
    assert again.blob(DIFF_ID) is None
    put(again)
    assert is_whole(again.blob(DIFF_ID))


def test_the_layer_is_on_disk_before_its_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append(f"{kind} {[path.suffix for path in sorted(folder.iterdir())]}")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    put(DirectorySpool(folder, Codec.NONE))
    assert steps == [
        "file ['.part']",
        "folder ['.tar']",
        "file ['.tmp', '.tar']",
        "folder ['.tar', '.json']",
    ]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema":2,"diff_size":1,"digest":"sha256:' + b"0" * 64 + b'","size":65000}',
        b'{"schema":1,"diff_size":-1,"digest":"sha256:' + b"0" * 64 + b'","size":65000}',
        b'{"schema":1,"diff_size":1,"digest":"../../x","size":65000}',
        b'{"schema":1,"diff_size":1,"digest":"sha256:' + b"0" * 64 + b'","size":64999}',
    ],
)
def test_a_damaged_record_makes_the_layer_missing(folder: Path, record: bytes) -> None:
    spool = DirectorySpool(folder, Codec.NONE)
    put(spool)
    blob = spool.blob(DIFF_ID)
    assert blob is not None
    assert blob.size == 65_000
    (folder / (blob.path.name + ".json")).write_bytes(record)
    assert spool.blob(DIFF_ID) is None
    put(spool)
    assert is_whole(blob)


def test_a_cut_or_missing_file_makes_the_layer_missing(folder: Path) -> None:
    spool = DirectorySpool(folder, Codec.ZSTD)
    put(spool)
    blob = spool.blob(DIFF_ID)
    assert blob is not None
    os.truncate(blob.path, blob.size - 1)
    assert spool.blob(DIFF_ID) is None
    blob.path.unlink()
    assert spool.blob(DIFF_ID) is None


def test_only_its_user_sees_anything(folder: Path) -> None:
    old = os.umask(0)
    try:
        spool = DirectorySpool(folder, Codec.ZSTD)
        put(spool)
        spool.keep_config("sha256:" + "1" * 64, b"{}")
        with spool.writer():
            modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(old)
    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_planted_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(StateDamaged):
        DirectorySpool(folder, Codec.ZSTD)


def test_a_folder_that_others_could_read_is_closed(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    DirectorySpool(folder, Codec.ZSTD)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("diff_id", ["", "sha256:../../etc/passwd", "../x", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_no_name_is_made_of_anything_but_a_digest(folder: Path, diff_id: str) -> None:
    spool = DirectorySpool(folder, Codec.ZSTD)
    for method in (spool.blob, spool.discard):
        with pytest.raises(VerificationFailed):
            method(diff_id)


def test_a_full_disk_is_our_error_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, _: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = DirectorySpool(folder, Codec.NONE)
    monkeypatch.setattr("migrate.image.spool.CompressingWriter.write", full)
    with pytest.raises(StateDamaged, match="No space left"):
        put(spool)
    assert names(folder) == []


def test_of_many_layers_some_are_kept(folder: Path) -> None:
    spool = DirectorySpool(folder, Codec.ZSTD)
    put(spool)
    kept = names(folder)
    put(spool, b"another" * 5000)
    spool.keep_config("image", b"{}")
    spool.keep_only(frozenset({DIFF_ID, "sha256:" + "0" * 64}))
    assert is_whole(spool.blob(DIFF_ID))
    assert len(names(folder)) == len(kept) + 1
    assert spool.config("image") == b"{}"


def test_configs_come_back_byte_for_byte(folder: Path) -> None:
    spool = DirectorySpool(folder, Codec.ZSTD)
    assert spool.config("sha256:" + "1" * 64) is None
    for number, config in enumerate((b'{"a": "\xc3\xa4"}', b"", b"\xff\xfe not text")):
        spool.keep_config(f"image {number}/../..", config)
        assert DirectorySpool(folder, Codec.GZIP).config(f"image {number}/../..") == config


def test_a_damaged_config_is_not_believed(folder: Path) -> None:
    spool = DirectorySpool(folder, Codec.ZSTD)
    spool.keep_config("image", b'{"os":"linux"}')
    path = next(folder.iterdir())
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps(record | {"config": "{}"}))
    assert spool.config("image") is None
