"""The archive that a destination is fed: its bytes, its documents, and what it refuses to be made of."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import VerificationFailed
from bottle.layers import KnownBlob
from bottle.model import Store
from migrate.image.load_archive import (
    Archive,
    Layer,
    Literal,
    NamedImage,
    beginning,
    choose_codec,
    compose,
    compose_upon,
)
from migrate.model import Blob, Codec

TAG = "bottle-committed-demo-abcde:3"
CONTENTS = (b"base layer " * 500, b"x", b"top" * 171)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


DIFF_IDS = tuple(digest(b"plain" + content) for content in CONTENTS)
CONFIG = json.dumps({"rootfs": {"diff_ids": DIFF_IDS}}).encode()


@pytest.fixture
def blobs(tmp_path: Path) -> dict[str, Blob]:
    made = {}
    for number, (diff_id, content) in enumerate(zip(DIFF_IDS, CONTENTS, strict=True)):
        path = tmp_path / f"{number}.zstd"
        path.write_bytes(content)
        made[diff_id] = Blob(
            diff_id=diff_id, diff_size=9, digest=digest(content), size=len(content), codec=Codec.ZSTD, path=path
        )
    return made


def archive(blobs: dict[str, Blob], **changes: Any) -> Archive:
    arguments: dict[str, Any] = {
        "config": CONFIG, "diff_ids": DIFF_IDS, "blobs": blobs, "tag": TAG, "store": Store.CLASSIC
    }  # fmt: skip
    return compose(**arguments | changes)


def joined(made: Archive) -> bytes:
    return b"".join(part.blob.path.read_bytes() if isinstance(part, Layer) else part.data for part in made.parts)


def members(made: Archive) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(joined(made))) as tar:
        for member in tar:
            assert member.name not in found
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
            file = tar.extractfile(member)
            found[member.name] = file.read() if file else b""
    return found


def path(name: str) -> str:
    return "blobs/sha256/" + name.removeprefix("sha256:")


def test_it_is_a_docker_archive_with_one_image_of_one_name(blobs: dict[str, Blob]) -> None:
    found = members(archive(blobs))
    assert json.loads(found["manifest.json"]) == [
        {"Config": path(digest(CONFIG)), "RepoTags": [TAG], "Layers": [path(digest(each)) for each in CONTENTS]}
    ]
    assert found[path(digest(CONFIG))] == CONFIG
    assert "repositories" not in found
    for content in CONTENTS:
        assert found[path(digest(content))] == content


def test_it_is_an_oci_layout_as_well(blobs: dict[str, Blob]) -> None:
    found = members(archive(blobs, store=Store.CONTAINERD))
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": f"docker.io/library/{TAG}",
        "org.opencontainers.image.ref.name": "3",
    }
    raw = found[path(entry["digest"])]
    assert (digest(raw), len(raw)) == (entry["digest"], entry["size"])
    manifest = json.loads(raw)
    assert manifest["config"]["digest"] == digest(CONFIG)
    assert manifest["config"]["size"] == len(CONFIG)
    assert manifest["layers"] == [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": digest(each), "size": len(each)}
        for each in CONTENTS
    ]


def test_several_images_of_layers_that_are_there_come_in_one_archive() -> None:
    known = {each: KnownBlob(digest=each, size=7, media_type=Codec.ZSTD.media_type) for each in DIFF_IDS}
    images = [
        NamedImage(config=json.dumps({"depth": depth}).encode(), diff_ids=DIFF_IDS[:depth], tag=f"{TAG}{depth}")
        for depth in (1, 2)
    ]
    for store in Store:
        made = compose_upon(images, store=store, known=known)
        assert not any(isinstance(part, Layer) for part in made.parts)
        found = members(made)
        for image, entry, listed in zip(
            images, json.loads(found["manifest.json"]), json.loads(found["index.json"])["manifests"], strict=True
        ):
            assert found[entry["Config"]] == image.config
            assert entry["RepoTags"] == [image.tag]
            assert entry["Layers"] == [path(each) for each in image.diff_ids]
            assert listed["annotations"]["io.containerd.image.name"] == f"docker.io/library/{image.tag}"
            manifest = json.loads(found[path(listed["digest"])])
            assert manifest["config"]["digest"] == digest(image.config)
            assert [each["digest"] for each in manifest["layers"]] == list(image.diff_ids)
    assert compose_upon(images, store=Store.CLASSIC, known={}).parts  # which goes by the diff ids
    with pytest.raises(VerificationFailed, match="neither travels nor is known"):
        compose_upon(images, store=Store.CONTAINERD, known={DIFF_IDS[0]: known[DIFF_IDS[0]]})
    with pytest.raises(VerificationFailed, match="no tag"):
        compose_upon([replace(images[0], tag="else/where:1")], store=Store.CLASSIC, known={})


def test_the_size_is_known_without_a_layer_being_read(blobs: dict[str, Blob]) -> None:
    made = archive(blobs)
    assert made.size == len(joined(made))
    assert made.size % 512 == 0
    gone = {i: replace(blob, path=Path("/nonexistent")) for i, blob in blobs.items()}
    assert archive(gone).size == made.size


def test_it_begins_with_the_layers_whatever_is_said_of_them(blobs: dict[str, Blob]) -> None:
    begun = beginning(blobs.values())
    assert archive(blobs).parts[: len(begun.parts)] == begun.parts
    assert [part.blob for part in begun.parts if isinstance(part, Layer)] == list(blobs.values())
    assert beginning(()).parts == ()


def test_the_same_arguments_give_the_same_bytes(blobs: dict[str, Blob]) -> None:
    assert joined(archive(blobs)) == joined(archive(dict(reversed(blobs.items()))))


def test_literals_and_layers_alternate(blobs: dict[str, Blob]) -> None:
    kinds = [type(part) for part in archive(blobs).parts]
    assert kinds == [Literal, Layer, Literal, Layer, Literal, Layer, Literal]


def test_the_classic_store_is_sent_no_layer_that_it_has_but_a_place_for_each(blobs: dict[str, Blob]) -> None:
    top = {DIFF_IDS[2]: blobs[DIFF_IDS[2]]}
    found = members(archive(top))
    layers = json.loads(found["manifest.json"])[0]["Layers"]
    assert len(layers) == 3
    assert [name in found for name in layers] == [False, False, True]


def test_the_containerd_store_is_told_the_blobs_that_it_has(blobs: dict[str, Blob]) -> None:
    known = {
        diff_id: KnownBlob(
            digest=digest(diff_id.encode()),
            size=number,
            media_type="application/vnd.docker.image.rootfs.diff.tar.gzip",
        )
        for number, diff_id in enumerate(DIFF_IDS[:2])
    }
    made = archive({DIFF_IDS[2]: blobs[DIFF_IDS[2]]}, store=Store.CONTAINERD, known=known)
    found = members(made)
    manifest = json.loads(found[path(json.loads(found["index.json"])["manifests"][0]["digest"])])
    assert [each["digest"] for each in manifest["layers"][:2]] == [known[i].digest for i in DIFF_IDS[:2]]
    assert path(known[DIFF_IDS[0]].digest) not in found
    # Nothing but the documents when nothing is missing.
    known[DIFF_IDS[2]] = replace(known[DIFF_IDS[0]], digest=DIFF_IDS[2])
    assert archive({}, store=Store.CONTAINERD, known=known).size < 20_000


def test_the_containerd_store_cannot_do_without_a_layer(blobs: dict[str, Blob]) -> None:
    del blobs[DIFF_IDS[1]]
    with pytest.raises(VerificationFailed, match=DIFF_IDS[1]):
        archive(blobs, store=Store.CONTAINERD)


def test_a_layer_that_the_image_has_twice_travels_once(blobs: dict[str, Blob]) -> None:
    found = members(archive(blobs, diff_ids=(*DIFF_IDS, DIFF_IDS[0])))
    assert len(json.loads(found["manifest.json"])[0]["Layers"]) == 4


@pytest.mark.parametrize("size", [8 << 30, (8 << 30) + 1, 1 << 41])
def test_layers_of_8_gib_and_more(blobs: dict[str, Blob], size: int) -> None:
    large = replace(blobs[DIFF_IDS[1]], size=size)
    made = archive(blobs | {DIFF_IDS[1]: large})
    position = next(number for number, part in enumerate(made.parts) if isinstance(part, Layer) and part.blob == large)
    before, after = made.parts[position - 1], made.parts[position + 1]
    assert isinstance(before, Literal)
    assert isinstance(after, Literal)
    assert tarfile.TarInfo.frombuf(before.data[-512:], "utf-8", "strict").size == size
    assert tarfile.TarInfo.frombuf(after.data[-size % 512 :][:512], "utf-8", "strict").name == path(digest(CONTENTS[2]))
    assert made.size > size


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "demo",
        "demo:",
        "../demo:1",
        "evil.org/demo:1",
        "Demo:1",
        "demo:1 ",
        'demo:"1',
        "demo:1\n",
        "-demo:1",
        "a:b:c",
    ],
)
def test_only_a_plain_local_tag_will_do(blobs: dict[str, Blob], tag: str) -> None:
    with pytest.raises(VerificationFailed):
        archive(blobs, tag=tag)


def test_what_is_not_well_formed_is_refused(blobs: dict[str, Blob]) -> None:
    with pytest.raises(VerificationFailed):
        archive(blobs, diff_ids=("sha256:../../etc/passwd",))
    with pytest.raises(VerificationFailed):
        archive(blobs | {DIFF_IDS[0]: blobs[DIFF_IDS[1]]})
    sound = KnownBlob(digest=DIFF_IDS[0], size=1, media_type=Codec.GZIP.media_type)
    archive({}, diff_ids=DIFF_IDS[:1], known={DIFF_IDS[0]: sound})
    for lie in (
        replace(sound, digest="sha256:.."),
        replace(sound, size=-1),
        replace(sound, media_type="text/html"),
        replace(sound, media_type=Codec.GZIP.media_type + "\n"),
    ):
        with pytest.raises(VerificationFailed):
            archive({}, diff_ids=DIFF_IDS[:1], known={DIFF_IDS[0]: lie})


@pytest.mark.parametrize(
    ("version", "store", "codec"),
    [
        ("20.10.24+dfsg1", Store.CLASSIC, Codec.GZIP),
        ("22.06.0-beta.0", Store.CLASSIC, Codec.GZIP),
        ("23.0.0-rc.1", Store.CLASSIC, Codec.ZSTD),
        ("26.1.5+dfsg1", Store.CLASSIC, Codec.ZSTD),
        ("100.0.1", Store.CLASSIC, Codec.ZSTD),
        ("dev", Store.CLASSIC, Codec.GZIP),
        ("", Store.CLASSIC, Codec.GZIP),
        ("24.0.7", Store.CONTAINERD, Codec.ZSTD),
        ("dev", Store.CONTAINERD, Codec.ZSTD),
    ],
)
def test_choose_codec(version: str, store: Store, codec: Codec) -> None:
    assert choose_codec(version, store) is codec
