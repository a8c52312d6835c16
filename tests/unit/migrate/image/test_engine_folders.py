"""EngineFolders over folders made here, sound, damaged and hostile; and what another source does where they fail."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import zstandard

from bottle.errors import NotFound, VerificationFailed
from bottle.helper.container import Helper
from bottle.layers import ImageDocuments, LayerSource
from bottle.model import Product, Store
from bottle.ports import Silent
from bottle.testing import FakeEngine
from migrate.image.documents import MAX_DOCUMENT
from migrate.image.engine_folders import EngineFolders
from migrate.image.first_that_can import FirstThatCan
from migrate.image.save_stream import SaveStreamSource
from migrate.image.spool import DirectorySpool
from migrate.image.through_helper import HelperFolders
from migrate.model import Codec
from tests.contract.layers import LayerSourceContract, Subject, read
from tests.support.blobs import is_whole
from tests.support.enginefolders import (
    CONFIG,
    DIFF_IDS,
    LAYERS,
    REF,
    ROOT_DIR,
    Classic,
    Content,
    Engine,
    Entry,
    digest,
    layer,
    split,
)
from tests.support.helping import PACKAGES

ARCHIVE = "from the engine's archive, as docker save writes it"


@dataclass
class Bench:
    """A machine with an engine whose folders have one image."""

    machine: Path
    engine: Engine

    @property
    def folders(self) -> EngineFolders:
        return EngineFolders(self.engine, self.machine)

    @property
    def either(self) -> FirstThatCan:
        return FirstThatCan(self.folders, SaveStreamSource(self.engine))


def gz(data: bytes) -> bytes:
    return gzip.compress(data[:5000], mtime=0) + gzip.compress(data[5000:], mtime=0)


def classic(machine: Path) -> Bench:
    Classic(machine).fill()
    return Bench(machine, Engine())


def content(machine: Path, fill: Callable[[Content], None], root_dir: str = f"{ROOT_DIR}/containerd/daemon") -> Bench:
    store = Content(machine, root_dir)
    fill(store)
    return Bench(machine, Engine(image_id=store.image, store=Store.CONTAINERD))


FORMS: dict[str, Callable[[Path], Bench]] = {
    "classic": classic,
    "plain": lambda machine: content(machine, Content.fill),
    "gzip": lambda machine: content(machine, lambda store: store.fill(gz)),
    "zstd": lambda machine: content(machine, lambda store: store.fill(zstandard.compress)),
    "index": lambda machine: content(machine, lambda store: store.fill_index(gz)),
    "nested-index": lambda machine: content(machine, lambda store: store.fill_index(nested=True)),
    "containerd-of-the-system": lambda machine: content(machine, Content.fill, "/var/lib/containerd"),
}


class TestEngineFolders(LayerSourceContract):
    """The contract, for every form."""

    @pytest.fixture(params=FORMS)
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
        return Subject(source=FORMS[request.param](tmp_path / "machine").folders, ref=REF, diff_ids=DIFF_IDS)


class TestHelperFolders(LayerSourceContract):
    """The contract, read by another process."""

    @pytest.fixture(params=["classic", "index"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
        bench = FORMS[request.param](tmp_path / "machine")
        with closing(Helper(FakeEngine(), "tests.support.helping", PACKAGES)) as helper:
            yield Subject(source=through(helper, bench), ref=REF, diff_ids=DIFF_IDS)


def through(helper: Helper, bench: Bench) -> HelperFolders:
    """The folders of a bench as a helper reads them: it is shown them where they are."""
    return HelperFolders(replace(bench.engine, root_dir=f"{bench.machine}{bench.engine.root_dir}"), helper)


def test_a_helper_says_where_it_reads_and_why_it_cannot(tmp_path: Path, spool: DirectorySpool) -> None:
    bench = classic(tmp_path / "machine")
    with closing(Helper(FakeEngine(), "tests.support.helping", PACKAGES)) as helper:
        source = through(helper, bench)
        assert source.way() == f"from the engine's folders below {bench.machine}{ROOT_DIR}, through a helper container"
        (Classic(bench.machine).files(1) / "work/a").write_bytes(b"short")
        assert "is too short by" in why_not(source, spool)
        shutil.rmtree(bench.machine)
        assert "No such file" in why_not(source, spool)
    lost = HelperFolders(bench.engine, Helper(FakeEngine(), "no_such_module", PACKAGES))
    assert "No module named no_such_module" in why_not(lost, spool)
    source = FirstThatCan(bench.folders, lost, SaveStreamSource(bench.engine))
    read(source, REF, frozenset(DIFF_IDS), spool)
    assert re.fullmatch(rf"{ARCHIVE} \(.*No such file.*; the helper container does not start.*\)", source.way())


class TestFirstThatCan(LayerSourceContract):
    """The contract: with folders, without them, and where one layer of three is damaged."""

    @pytest.fixture(params=["whole", "none", "damaged"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
        bench = classic(tmp_path / "machine")
        if request.param == "none":
            shutil.rmtree(bench.machine)
        elif request.param == "damaged":
            (Classic(bench.machine).files(1) / "work/a").write_bytes(b"short")
        return Subject(source=bench.either, ref=REF, diff_ids=DIFF_IDS)


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", Codec.NONE)


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything in a folder, with what changes when it is written."""
    return {
        str(path): (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)
        for path in folder.rglob("*")
        for facts in (path.lstat(),)
    }


def why_not(source: LayerSource, spool: DirectorySpool, wanted: tuple[str, ...] = DIFF_IDS) -> str:
    """What is said of folders that cannot be read; nothing half-written may be left of it."""
    with pytest.raises(VerificationFailed) as caught:
        read(source, REF, frozenset(wanted), spool)
    assert not [path for path in spool.folder.iterdir() if path.name.startswith(".")]
    return caught.value.what


@pytest.mark.parametrize("form", FORMS)
def test_folders_are_read_without_the_archive_and_nothing_in_them_is_written(
    form: str, tmp_path: Path, spool: DirectorySpool
) -> None:
    bench = FORMS[form](tmp_path / "machine")
    before = state(bench.machine)
    source = bench.either
    assert source.way().startswith("from the engine's folders below ")
    assert read(source, REF, frozenset(DIFF_IDS), spool) == CONFIG
    assert bench.engine.saves == 0
    assert source.way().startswith("from the engine's folders below ")
    assert state(bench.machine) == before


# What makes layer 1 of a classic store unreadable, or another one.


def noted(change: Callable[[list[Entry]], None]) -> Callable[[Classic], None]:
    """Something else noted of the layer's tar than there was."""

    def damage(store: Classic) -> None:
        entries = split(LAYERS[1])
        change(entries)
        store.note(1, entries)

    return damage


def renamed(name: str) -> Callable[[Classic], None]:
    """The file `work/a` is where `name`, from the layer's folder, leads to; its bytes are the right ones."""

    def change(entries: list[Entry]) -> None:
        next(entry for entry in entries if entry.get("name") == "work/a")["name"] = name

    return noted(change)


def out_of_the_way(path: str) -> Callable[[Classic], None]:
    """Something below the layer's folder has gone elsewhere, and a link leads there."""

    def damage(store: Classic) -> None:
        there = store.files(1) / path
        elsewhere = store.machine / "elsewhere"
        there.rename(elsewhere)
        there.symlink_to(elsewhere)

    return damage


def outside(store: Classic) -> None:
    """A name that leads out of the folder, to the very file."""
    shutil.copy(store.files(1) / "work/a", store.machine / "a")
    renamed("../" * 7 + "a")(store)


def other_cache(store: Classic) -> None:
    (store.noted(1) / "cache-id").write_text("2cacheid")


def cache_elsewhere(store: Classic) -> None:
    store.files(1).parent.rename(store.machine / "elsewhere")
    (store.noted(1) / "cache-id").write_text("../../../../elsewhere")


def diff_elsewhere(store: Classic) -> None:
    store.files(1).rename(store.machine / "elsewhere")
    store.files(1).symlink_to(store.machine / "elsewhere")


def fifo(store: Classic) -> None:
    (store.files(1) / "work/a").unlink()
    os.mkfifo(store.files(1) / "work/a")


def cut_notes(store: Classic) -> None:
    notes = store.noted(1) / "tar-split.json.gz"
    notes.write_bytes(notes.read_bytes()[:-100])


DAMAGES: dict[str, tuple[str, Callable[[Classic], None]]] = {
    "no-notes": ("tar-split.json.gz: No such file", lambda store: (store.noted(1) / "tar-split.json.gz").unlink()),
    "notes-cut": ("is damaged", cut_notes),
    "notes-not-packed": ("is damaged", lambda store: (store.noted(1) / "tar-split.json.gz").write_bytes(b"x" * 99)),
    "notes-of-another": ("other bytes", lambda store: store.note(1, split(layer("etc/x"))[:1])),
    "notes-empty": ("other bytes", lambda store: store.note(1, [])),
    "no-entry": ("no known form", noted(lambda entries: entries.insert(1, {"type": 7}))),
    "no-payload": ("is damaged", noted(lambda entries: entries.insert(1, {"type": 2, "payload": "?"}))),
    "no-name": ("of the name ''", noted(lambda entries: entries.insert(1, {"type": 1, "size": 9}))),
    "long-line": ("no known form", noted(lambda e: e.insert(1, {"type": 2, "payload": "A" * MAX_DOCUMENT}))),
    "no-cache-id": ("cache-id: No such file", lambda store: (store.noted(1) / "cache-id").unlink()),
    "cache-id-of-another": ("No such file", other_cache),
    "cache-id-leads-out": ("in no folder that an engine names", cache_elsewhere),
    "name-leads-out": ("a file of the name '../", outside),
    "name-with-nul": ("a file of the name", renamed("work/a\0")),
    "no-file": ("a: No such file", lambda store: (store.files(1) / "work/a").unlink()),
    "file-cut": ("too short by 2000 bytes", lambda store: os.truncate(store.files(1) / "work/a", 1000)),
    "file-changed": ("other bytes", lambda store: (store.files(1) / "work/a").write_bytes(bytes(3000))),
    "file-a-link": ("symbolic links", out_of_the_way("work/a")),
    "folder-a-link": ("Not a directory", out_of_the_way("work")),
    "diff-a-link": ("Not a directory", diff_elsewhere),
    "file-a-fifo": ("no regular file", fifo),
    "huge": ("too short", noted(lambda entries: entries[3].update(size=1 << 80) or None)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_layer_comes_from_the_archive_and_no_other(
    damage: str, tmp_path: Path, spool: DirectorySpool
) -> None:
    bench = classic(tmp_path / "machine")
    said, strike = DAMAGES[damage]
    strike(Classic(bench.machine))
    reason = why_not(bench.folders, spool)
    assert f"layer {DIFF_IDS[1]} cannot be had from the engine's folders: " in reason
    assert said in reason
    assert "\n" not in reason
    assert is_whole(spool.blob(DIFF_IDS[0]))
    assert spool.blob(DIFF_IDS[1]) is None

    source, wanted, came = bench.either, set(DIFF_IDS), []
    for part in source.read(REF, wanted, Silent()):
        if isinstance(part, ImageDocuments):
            assert part.config == CONFIG
            break
        tar = b"".join(part.chunks)
        came.append(digest(tar))
        wanted.discard(digest(tar))
    assert [each for each in came if each in DIFF_IDS] == list(DIFF_IDS)
    assert bench.engine.saves == 1
    assert source.way().startswith(f"{ARCHIVE} (layer {DIFF_IDS[1]} cannot be had")
    assert said in source.way()


def test_where_the_folders_are_whole_again_they_are_read_again(tmp_path: Path) -> None:
    bench = classic(tmp_path / "machine")
    source, config = bench.either, Classic(bench.machine).config
    config.write_bytes(b"{}")
    read(source, REF, frozenset(DIFF_IDS), DirectorySpool(tmp_path / "first", Codec.NONE))
    assert source.way() == f"{ARCHIVE} (the config of image {digest(CONFIG)} is not what its name says)"
    config.write_bytes(CONFIG)
    read(source, REF, frozenset(DIFF_IDS), DirectorySpool(tmp_path / "second", Codec.NONE))
    assert source.way().startswith("from the engine's folders below ")
    assert bench.engine.saves == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"is_local": False}, "the engine is on another machine"),
        ({"product": Product.PODMAN}, "where this engine keeps images is not known"),
        ({"root_dir": ""}, "where this engine keeps images is not known"),
        ({"root_dir": "/nowhere"}, "/nowhere/image/overlay2/imagedb/content/sha256: No such file or directory"),
        ({"store": Store.CONTAINERD}, "blobs/sha256: No such file or directory; "),
    ],
)
def test_where_there_are_no_folders_it_says_so_before_and_after(
    change: dict[str, object], why: str, tmp_path: Path, spool: DirectorySpool
) -> None:
    bench = classic(tmp_path / "machine")
    for name, value in change.items():
        setattr(bench.engine, name, value)
    with pytest.raises(VerificationFailed) as caught:
        bench.folders.way()
    assert why in caught.value.what
    source = bench.either
    assert source.way() == f"{ARCHIVE} ({caught.value.what})"
    assert read(source, REF, frozenset(DIFF_IDS), spool) == CONFIG
    assert source.way().startswith(f"{ARCHIVE} (")
    assert bench.engine.saves == 1


def test_an_image_that_is_nowhere_is_looked_for_in_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        list(classic(tmp_path).either.read("nothing", frozenset(), Silent()))


def test_names_are_looked_up_below_the_layers_folder_however_they_begin(tmp_path: Path, spool: DirectorySpool) -> None:
    bench = classic(tmp_path / "machine")
    renamed("/./work//a")(Classic(bench.machine))
    assert read(bench.folders, REF, frozenset(DIFF_IDS), spool) == CONFIG


def test_a_name_that_is_no_text_is_read_as_bytes(tmp_path: Path, spool: DirectorySpool) -> None:
    bench = classic(tmp_path / "machine")
    store = Classic(bench.machine)
    (store.files(1) / "work/a").rename(store.files(1) / os.fsdecode(b"work/\xff\xfe"))

    def change(entries: list[Entry]) -> None:
        entry = next(entry for entry in entries if entry.get("name") == "work/a")
        del entry["name"]
        entry["name_raw"] = base64.b64encode(b"work/\xff\xfe").decode()

    noted(change)(store)
    assert read(bench.folders, REF, frozenset(DIFF_IDS), spool) == CONFIG


# What can be wrong in a content store.


def replaced(store: Content, was: bytes, by: bytes) -> None:
    store.blob(was).write_bytes(by)


BLOB_DAMAGES: dict[str, tuple[str, Callable[[Content], None]]] = {
    "blob-gone": ("No such file", lambda store: store.blob(gz(LAYERS[1])).unlink()),
    "blob-cut": ("other bytes", lambda store: os.truncate(store.blob(gz(LAYERS[1])), 2000)),
    "blob-empty": ("other bytes", lambda store: replaced(store, gz(LAYERS[1]), b"")),
    "blob-of-another": ("other bytes", lambda store: replaced(store, gz(LAYERS[1]), gz(layer("x")))),
    "blob-damaged": ("gzip data is damaged", lambda s: replaced(s, gz(LAYERS[1]), gz(LAYERS[1])[:20] + b"\xff" * 99)),
    "config-of-another": ("is not what its name says", lambda store: replaced(store, CONFIG, b"{}")),
    "config-gone": ("no manifest below", lambda store: store.blob(CONFIG).unlink()),
    "config-a-link": ("symbolic links", lambda store: linked(store.blob(CONFIG))),
    "blob-a-link": ("symbolic links", lambda store: linked(store.blob(gz(LAYERS[1])))),
}


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("damage", BLOB_DAMAGES)
def test_what_a_damaged_content_store_lacks_comes_from_the_archive(
    damage: str, tmp_path: Path, spool: DirectorySpool
) -> None:
    bench = content(tmp_path / "machine", lambda store: store.fill_index(gz))
    said, strike = BLOB_DAMAGES[damage]
    strike(Content(bench.machine))
    assert said in why_not(bench.folders, spool)
    assert bench.engine.saves == 0
    source = bench.either
    assert read(source, REF, frozenset(DIFF_IDS), spool) == CONFIG
    assert all(is_whole(spool.blob(diff_id)) for diff_id in DIFF_IDS)
    assert bench.engine.saves == 1
    assert said in source.way()


@pytest.mark.parametrize(
    "manifest",
    [
        b"no JSON",
        b"[" * 100_000,
        json.dumps({"manifests": [{"digest": f"sha256:{number:064}"} for number in range(1000)]}).encode(),
        json.dumps({"manifests": [{"digest": "../../../x"}]}).encode(),
        json.dumps({"config": {"digest": digest(CONFIG)}, "layers": []}).encode(),
        json.dumps({"config": {"digest": "sha256:x"}, "layers": []}).encode(),
        json.dumps({"config": {"digest": digest(CONFIG)}, "layers": [1, 2, 3]}).encode(),
        json.dumps({"config": {"digest": digest(CONFIG)}, "layers": [{"digest": "/etc/passwd"}] * 3}).encode(),
    ],
    ids=["text", "deep", "many", "path", "no-layers", "no-digest", "numbers", "layer-path"],
)
def test_an_image_whose_manifest_leads_nowhere_is_none(manifest: bytes, tmp_path: Path, spool: DirectorySpool) -> None:
    def fill(store: Content) -> None:
        store.put(CONFIG)
        store.image = store.put(manifest)["digest"]

    bench = content(tmp_path / "machine", fill)
    why_not(bench.folders, spool)


def test_what_is_known_is_what_is_there(tmp_path: Path) -> None:
    bench = content(tmp_path / "machine", lambda store: store.fill_index(gz))
    store = Content(bench.machine)
    store.blob(gz(LAYERS[1])).unlink()
    os.truncate(store.blob(gz(LAYERS[2])), 10)
    (documents,) = bench.folders.read(REF, frozenset(), Silent())
    assert isinstance(documents, ImageDocuments)
    assert {diff_id: blob.digest for diff_id, blob in documents.known.items()} == {DIFF_IDS[0]: digest(gz(LAYERS[0]))}


def test_a_containerd_of_its_own_that_an_engine_had_once_is_passed_over(tmp_path: Path, spool: DirectorySpool) -> None:
    bench = content(tmp_path / "machine", Content.fill, "/var/lib/containerd")
    Content(bench.machine).put(b"of another time")
    assert read(bench.either, REF, frozenset(DIFF_IDS), spool) == CONFIG
    assert bench.engine.saves == 0
