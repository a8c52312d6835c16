"""SaveStreamSource over archives made here, in each form that engines write, sound and hostile."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard

from bottle.errors import VerificationFailed
from bottle.model import ImageFacts
from migrate.image.documents import MAX_DOCUMENT
from migrate.image.save_stream import SaveStreamSource, legacy_names
from migrate.image.spool import DirectorySpool
from migrate.model import Codec
from tests.contract.layers import LayerSourceContract, Subject, read as read_layers
from tests.support.blobs import is_whole

REF = "bottle-committed-demo-abcde:1"
Pack = Callable[[bytes], bytes]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def hexes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def layer(*names: str, size: int = 3000, seed: int = 1) -> bytes:
    """A small layer's tar; half of each file does not compress."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(random.Random(seed).randbytes(size // 2) + bytes(size - size // 2)))
    return buffer.getvalue()


LAYERS = (layer("etc/base", size=200_000), layer("work/a", seed=2), layer("work/b", seed=3))
DIFF_IDS = tuple(map(digest, LAYERS))


def config_of(layers: tuple[bytes, ...]) -> bytes:
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]}}
    ).encode()


CONFIG = config_of(LAYERS)


@dataclass
class Entries:
    """A tar in the making; the order of `items` is the archive's."""

    items: list[tuple[str, bytes | str]] = field(default_factory=list)

    def add(self, name: str, content: bytes | str) -> None:
        """A file, or a symlink where the content is text."""
        self.items.append((name, content))

    def tar(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in self.items:
                info = tarfile.TarInfo(name)
                info.pax_headers = {"mtime": "1.5"}  # what the engines' tars have, and what needs an extra header
                if isinstance(content, str):
                    info.type, info.linkname = tarfile.SYMTYPE, content
                    tar.addfile(info)
                else:
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    def without(self, name: str) -> Entries:
        return Entries([item for item in self.items if item[0] != name])

    def replaced(self, name: str, content: bytes | str) -> Entries:
        assert any(item[0] == name for item in self.items)
        return Entries([(each, content if each == name else was) for each, was in self.items])


def legacy(layers: tuple[bytes, ...] = LAYERS, *, names: tuple[str, ...] | None = None) -> Entries:
    """Form of Docker before 25: names that are no digests, a repeated layer as a link, the manifest last."""
    foretold = {diff_id: name for name, diff_id in legacy_names([digest(each) for each in layers]).items()}
    names = names or tuple(foretold.get(digest(each), hexes(b"top" + each)) for each in layers)
    entries = Entries()
    first: dict[bytes, str] = {}
    for name, content in sorted(zip(names, layers, strict=True)):
        entries.add(f"{name}/VERSION", b"1.0")
        entries.add(f"{name}/json", b"{}")
        entries.add(f"{name}/layer.tar", f"../{first[content]}/layer.tar" if content in first else content)
        first.setdefault(content, name)
    config = config_of(layers)
    entries.add(f"{hexes(config)}.json", config)
    manifest = [{"Config": f"{hexes(config)}.json", "RepoTags": [REF], "Layers": [f"{n}/layer.tar" for n in names]}]
    entries.add("manifest.json", json.dumps(manifest).encode())
    entries.add("repositories", b"{}")
    return entries


def podman() -> Entries:
    """Form of Podman: layers under their diff ids, and the form above as links to them."""
    entries = Entries()
    for content in dict.fromkeys(LAYERS):
        entries.add(f"{hexes(content)}.tar", content)
    entries.add(f"{hexes(CONFIG)}.json", CONFIG)
    for content in LAYERS:
        entries.add(f"{hexes(b'top' + content)}/layer.tar", f"../{hexes(content)}.tar")
    manifest = [{"Config": f"{hexes(CONFIG)}.json", "RepoTags": [REF], "Layers": [f"{hexes(n)}.tar" for n in LAYERS]}]
    entries.add("manifest.json", json.dumps(manifest).encode())
    return entries


def oci(*, pack: Pack = bytes, strangers: bool = False, manifest_first: bool = False) -> Entries:
    """Form of Docker from 25 on: plain layers for the classic store, `pack`ed ones for the containerd store."""
    blobs = [pack(each) for each in LAYERS]
    layers = [{"digest": digest(blob), "size": len(blob)} for blob in blobs]
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": digest(CONFIG)}, "layers": layers}).encode()
    documents = [manifest, CONFIG]
    if strangers:  # another platform's image and an attestation
        other = pack(layer("other/platform", seed=9))
        documents.append(config_of((other,)))
        documents.append(b'{"schemaVersion":2,"layers":[{"digest":"' + digest(other).encode() + b'"}]}')
        blobs.append(other)
    every = documents + sorted(blobs, key=hexes) if manifest_first else sorted([*documents, *blobs], key=hexes)
    entries = Entries()
    for blob in every:
        entries.add(f"blobs/sha256/{hexes(blob)}", blob)
    entries.add("index.json", b'{"manifests":[]}')
    entries.add(
        "manifest.json",
        json.dumps(
            [
                {
                    "Config": f"blobs/sha256/{hexes(CONFIG)}",
                    "RepoTags": [REF],
                    "Layers": ["blobs/sha256/" + str(each["digest"])[7:] for each in layers],
                }
            ]
        ).encode(),
    )
    entries.add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    return entries


def zstd(data: bytes) -> bytes:
    return zstandard.compress(data[:5000]) + zstandard.compress(data[5000:])


def gz(data: bytes) -> bytes:
    return gzip.compress(data[:5000], mtime=0) + gzip.compress(data[5000:], mtime=0)


def manifest_digest(entries: Entries) -> str:
    """Digest of the image's OCI manifest: its id in the containerd store."""
    for _, content in entries.items:
        if isinstance(content, bytes) and digest(CONFIG).encode() in content and content.startswith(b'{"schema'):
            return digest(content)
    raise AssertionError("no manifest")


class Engine:
    """An engine that has one image, whose archive is whatever a test says."""

    def __init__(self, archive: bytes, *, diff_ids: tuple[str, ...] = DIFF_IDS, image: str = "", piece: int = 7001):
        self.archive = archive
        self.saves = 0
        self.given = 0
        self.closed = False
        self._piece = piece
        self._facts = ImageFacts(
            id=image or digest(CONFIG),
            tags=(REF,),
            diff_ids=diff_ids,
            config_digest="sha256:" + "1" * 64,
            architecture="amd64",
            os="linux",
            size=1,
            created_at=None,
            labels={},
            defaults=None,  # type: ignore[arg-type]
        )

    def image(self, ref: str) -> ImageFacts | None:
        return self._facts if ref == REF else None

    def save(self, ref: str) -> Iterator[bytes]:
        assert ref == REF
        self.saves += 1
        try:
            for start in range(0, len(self.archive), self._piece):
                self.given = min(start + self._piece, len(self.archive))
                yield self.archive[start : self.given]
        finally:
            self.closed = True


FORMS: dict[str, Callable[[], Entries]] = {
    "legacy": legacy,
    "legacy-unforeseen": lambda: legacy(names=tuple(hexes(each[:512]) for each in LAYERS)),
    "podman": podman,
    "oci-plain": oci,
    "oci-gzip": lambda: oci(pack=gz),
    "oci-zstd": lambda: oci(pack=zstd),
    "oci-zstd-manifest-first": lambda: oci(pack=zstd, manifest_first=True),
    "oci-strangers": lambda: oci(pack=gz, strangers=True),
}


class TestSaveStream(LayerSourceContract):
    """The contract, for every form."""

    @pytest.fixture(params=FORMS)
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        engine = Engine(FORMS[request.param]().tar())
        return Subject(source=SaveStreamSource(engine), ref=REF, diff_ids=DIFF_IDS)


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", Codec.ZSTD)


def read(engine: Engine, spool: DirectorySpool, wanted: tuple[str, ...] = DIFF_IDS) -> bytes:
    return read_layers(SaveStreamSource(engine), REF, frozenset(wanted), spool)


def refused(archive: bytes, spool: DirectorySpool, wanted: tuple[str, ...] = DIFF_IDS) -> str:
    """What is said of an archive that must be refused; nothing half-written may be left of it."""
    engine = Engine(archive)
    with pytest.raises(VerificationFailed) as caught:
        read(engine, spool, wanted)
    assert engine.closed
    assert not [path for path in spool.folder.iterdir() if path.name.startswith(".")]
    return caught.value.what


def test_a_layer_that_is_not_what_its_name_says_is_refused(spool: DirectorySpool) -> None:
    name = f"{hexes(LAYERS[0])}.tar"
    assert "not those that its name says" in refused(podman().replaced(name, LAYERS[0] + b" ").tar(), spool)


@pytest.mark.parametrize("piece", [1, 511, 512, 513, 1 << 20])
def test_it_does_not_matter_how_the_stream_is_cut(piece: int, spool: DirectorySpool) -> None:
    assert read(Engine(oci(pack=zstd).tar(), piece=piece), spool) == CONFIG


def test_with_everything_spooled_the_engine_is_not_asked(spool: DirectorySpool) -> None:
    engine = Engine(legacy().tar())
    assert read(engine, spool) == read(engine, spool) == CONFIG
    assert engine.saves == 1


@pytest.mark.parametrize("image", ["config", "manifest"])
def test_for_the_config_alone_the_stream_is_read_no_further_than_that(image: str, spool: DirectorySpool) -> None:
    entries = oci(manifest_first=True)
    engine = Engine(entries.tar(), image=digest(CONFIG) if image == "config" else manifest_digest(entries))
    assert read(engine, spool, ()) == CONFIG
    assert engine.given < len(engine.archive) / 10
    assert engine.closed


class Counting(DirectorySpool):
    """Counts the layers that somebody began to write."""

    begun = 0

    def writer(self):  # type: ignore[no-untyped-def]
        self.begun += 1
        return super().writer()


@pytest.mark.parametrize(
    ("entries", "image"),
    [(legacy(), "config"), (oci(), "config"), (oci(pack=zstd, manifest_first=True), "manifest")],
    ids=["legacy", "oci-plain", "oci-zstd"],
)
def test_layers_known_to_be_unwanted_are_not_compressed(entries: Entries, image: str, tmp_path: Path) -> None:
    spool = Counting(tmp_path / "spool", Codec.ZSTD)
    engine = Engine(entries.tar(), image=digest(CONFIG) if image == "config" else manifest_digest(entries))
    read(engine, spool, DIFF_IDS[-1:])
    assert spool.begun == 1


def test_a_layer_that_the_image_has_twice_is_kept_once(spool: DirectorySpool) -> None:
    layers = (*LAYERS, LAYERS[1])
    names = tuple("abcd"[i] * 64 for i in range(4))
    engine = Engine(legacy(layers, names=names).tar(), diff_ids=tuple(map(digest, layers)))
    assert read(engine, spool) == config_of(layers)


def test_a_layer_that_comes_twice_does_no_harm(spool: DirectorySpool) -> None:
    entries = oci()
    entries.add(f"blobs/sha256/{hexes(LAYERS[0])}", LAYERS[0])
    assert read(Engine(entries.tar()), spool) == CONFIG


def test_a_wanted_layer_that_begins_like_gzip_is_a_layer(spool: DirectorySpool) -> None:
    """An agent may call a file anything, and the first name is what a layer begins with."""
    odd = layer("\x1f\x08name")
    odd = b"\x1f\x8b\x08" + odd[3:]
    layers = (*LAYERS, odd)
    config = config_of(layers)
    entries = oci().replaced(f"blobs/sha256/{hexes(CONFIG)}", config)
    manifest = json.dumps([{"Config": f"blobs/sha256/{hexes(config)}"}]).encode()
    entries = Entries([(n.replace(hexes(CONFIG), hexes(config)), c) for n, c in entries.items])
    entries = entries.replaced("manifest.json", manifest)
    entries.items.insert(0, (f"blobs/sha256/{hexes(odd)}", odd))
    diff_ids = tuple(map(digest, layers))
    assert read(Engine(entries.tar(), diff_ids=diff_ids), spool, DIFF_IDS) == config
    assert read(Engine(entries.tar(), diff_ids=diff_ids), spool, diff_ids) == config


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_that_is_cut_anywhere_is_refused(form: str, tmp_path: Path) -> None:
    tar = FORMS[form]().tar()
    ends = [*range(0, len(tar) - 10240, len(tar) // 40), 1, 512, 513]
    for number, end in enumerate(ends):
        refused(tar[:end], DirectorySpool(tmp_path / str(number), Codec.NONE))


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_bit_never_changes_what_is_read(form: str, tmp_path: Path) -> None:
    """Whatever is flipped: refused, or what was flipped is nothing that anybody reads."""
    tar = FORMS[form]().tar()
    spots = random.Random(form)
    for number in range(150):
        damaged = bytearray(tar)
        damaged[spots.randrange(len(tar))] ^= 1 << spots.randrange(8)
        spool = DirectorySpool(tmp_path / str(number), Codec.NONE)
        try:
            assert read(Engine(bytes(damaged)), spool) == CONFIG
            assert all(is_whole(spool.blob(diff_id)) for diff_id in DIFF_IDS)
        except VerificationFailed:
            pass
        for content, diff_id in zip(LAYERS, DIFF_IDS, strict=True):
            blob = spool.blob(diff_id)
            assert blob is None or blob.path.read_bytes() == content


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_bit_in_a_layer_is_refused(form: str, spool: DirectorySpool) -> None:
    entries = FORMS[form]()
    name, content = max(entries.items, key=lambda item: len(item[1]))
    assert isinstance(content, bytes)
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 4
    refused(entries.replaced(name, bytes(damaged)).tar(), spool)


@pytest.mark.parametrize("zeros", [0, 512, 1024, 9000])
def test_an_error_that_comes_as_text_at_the_end_is_refused_and_quoted(zeros: int, spool: DirectorySpool) -> None:
    tar = oci().tar().rstrip(b"\0")
    tar += bytes(-len(tar) % 512 + zeros)
    said = refused(tar + b'{"errorDetail":{"message":"content digest not found"}}' + bytes(600), spool)
    if zeros in {0, 1024}:  # else it starts within a block of zeros
        assert "content digest not found" in said


def test_more_zeros_at_the_end_are_in_order(spool: DirectorySpool) -> None:
    assert read(Engine(oci().tar() + bytes(100_000)), spool) == CONFIG


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_that_does_not_come_is_named(form: str, spool: DirectorySpool) -> None:
    entries = FORMS[form]()
    biggest = max(entries.items, key=lambda item: len(item[1]))[0]
    assert DIFF_IDS[0] in refused(entries.without(biggest).tar(), spool)


def test_a_layer_under_the_name_of_another_is_refused(spool: DirectorySpool) -> None:
    said = refused(oci().replaced(f"blobs/sha256/{hexes(LAYERS[1])}", LAYERS[2]).tar(), spool)
    assert "not those that its name says" in said


def test_damage_in_a_compressed_layer_that_nobody_wants_is_damage_too(spool: DirectorySpool) -> None:
    packed = bytearray(gz(LAYERS[0]))
    packed[len(packed) // 2] ^= 1
    name = f"blobs/sha256/{hexes(gz(LAYERS[0]))}"
    entries = oci(pack=gz).without(name)
    entries.items.insert(0, (name, bytes(packed)))
    assert "not those that its name says" in refused(entries.tar(), spool, DIFF_IDS[1:])


def test_a_config_under_a_foreign_digest_is_refused(spool: DirectorySpool) -> None:
    refused(legacy().replaced(f"{hexes(CONFIG)}.json", CONFIG + b" ").tar(), spool)


def test_a_config_that_names_other_layers_is_refused(spool: DirectorySpool) -> None:
    other = config_of(LAYERS[::-1])
    manifest = json.dumps([{"Config": f"{hexes(other)}.json"}]).encode()
    entries = legacy().without(f"{hexes(CONFIG)}.json").replaced("manifest.json", manifest)
    entries.add(f"{hexes(other)}.json", other)
    with pytest.raises(VerificationFailed):
        read(Engine(entries.tar()), spool)
    with pytest.raises(VerificationFailed):
        read(Engine(entries.tar()), spool)


def test_a_config_beside_that_of_the_images_id_is_refused(spool: DirectorySpool) -> None:
    other = CONFIG.replace(b"amd64", b"sparc")
    entries = oci()
    entries.add(f"blobs/sha256/{hexes(other)}", other)
    manifest = json.dumps([{"Config": f"blobs/sha256/{hexes(other)}"}]).encode()
    refused(entries.replaced("manifest.json", manifest).tar(), spool)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"[{}]",
        b"[" * 100_000,
        b'[{"Config":"../../etc/passwd"}]',
        b'[{"Config":7}]',
        b"\xff",
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest: bytes, spool: DirectorySpool) -> None:
    refused(oci().replaced("manifest.json", manifest).tar(), spool)


@pytest.mark.parametrize("how", ["two images", "two manifests"])
def test_more_than_one_image_is_refused(how: str, spool: DirectorySpool) -> None:
    entries = legacy()
    manifest = next(content for name, content in entries.items if name == "manifest.json")
    assert isinstance(manifest, bytes)
    if how == "two images":
        entries = entries.replaced("manifest.json", json.dumps(json.loads(manifest) * 2).encode())
    else:
        entries.add("manifest.json", manifest)
    refused(entries.tar(), spool)


def test_documents_have_a_limit(spool: DirectorySpool) -> None:
    assert "at most" in refused(oci().replaced("manifest.json", bytes(MAX_DOCUMENT + 1)).tar(), spool)
    assert "at most" in refused(legacy().replaced(f"{hexes(CONFIG)}.json", bytes(MAX_DOCUMENT + 1)).tar(), spool)


def test_names_from_the_archive_lead_nowhere(spool: DirectorySpool, tmp_path: Path) -> None:
    entries = oci()
    for name in ("../evil", "/tmp/evil", "blobs/sha256/../../evil", f"../{'a' * 64}/layer.tar", "x" * 3000):
        entries.add(name, b"evil")
    entries.add("blobs/sha256/" + "a" * 64, "/etc/passwd")
    before = set(tmp_path.iterdir())
    assert read(Engine(entries.tar()), spool) == CONFIG
    assert set(tmp_path.iterdir()) == before
    assert len(list((tmp_path / "spool").iterdir())) == 2 * len(LAYERS) + 1


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XGLTYPE, b"z"])
def test_entries_that_no_engine_writes_are_refused(kind: bytes, spool: DirectorySpool) -> None:
    info = tarfile.TarInfo("odd")
    info.type = kind
    refused(info.tobuf() + oci().tar(), spool)


def test_a_zstd_bomb_is_read_in_pieces(spool: DirectorySpool) -> None:
    """A blob that nobody knows is unpacked to see what it is, and may swell to anything."""
    bomb = zstandard.compress(bytes(1 << 24)) * 8
    entries = oci(pack=zstd)
    entries.items.insert(0, (f"blobs/sha256/{hexes(bomb)}", bomb))
    assert read(Engine(entries.tar(), piece=1 << 24), spool) == CONFIG
