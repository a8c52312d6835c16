"""Archives that name another image to whoever reads JSON as Go does: what an engine makes of them, and of ours."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import tarfile
from pathlib import Path

import pytest

from bottle.model import Store
from bottle.naming import Identity
from migrate.admission.image_archive import read_image
from migrate.image import load_archive as archive
from migrate.image.load_archive import Archive, Layer, compose
from migrate.model import Blob, Codec
from tests.hosts import DockerHost


def evil(document: object, victim: str) -> bytes:
    """A document as `migrate.image.load_archive` writes it, and behind it what Go takes instead."""
    match document:
        case [dict(entry)]:
            entry["repotags"] = [victim]
        case {"manifests": [dict(entry)]}:
            entry["Annotations"] = {"io.containerd.image.name": f"docker.io/library/{victim}"}
    return json.dumps(document).encode()


def layer(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        member = tarfile.TarInfo("file")
        member.size = len(content)
        made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def composed(content: bytes, tag: str, store: Store) -> tuple[Archive, bytes]:
    """An archive with one layer, and that layer."""
    plain = layer(content)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
    }
    blob = Blob(
        diff_id=digest(plain), diff_size=len(plain), digest=digest(plain), size=len(plain), codec=Codec.NONE,
        path=Path("layer"),
    )  # fmt: skip
    made = compose(
        config=json.dumps(config).encode(), diff_ids=(blob.diff_id,), blobs={blob.diff_id: blob}, tag=tag, store=store
    )
    return made, plain


def joined(made: Archive, plain: bytes) -> bytes:
    return b"".join(plain if isinstance(part, Layer) else part.data for part in made.parts)


def load(host: DockerHost, data: bytes) -> None:
    host.exec(["docker", "load", "--quiet"], stdin=data)


def image(host: DockerHost, tag: str) -> str:
    return host.exec(["docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", tag]).text


def test_no_tag_of_another_image_is_moved(destination: DockerHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host, store = destination, Store(destination.store)
    identity = Identity.fresh("demo")
    tag, victim = identity.committed(1), f"victim-{secrets.token_hex(4)}:latest"
    mine = composed(b"mine", "bottle-committed-mine-abc12:1", store)
    foreign_tags = [victim, tag, "bottle-committed-mine-abc12:1"]
    try:
        load(host, joined(*mine))
        host.docker("tag", "bottle-committed-mine-abc12:1", victim)
        before = image(host, victim)
        with monkeypatch.context() as patch:
            patch.setattr(archive, "_json", lambda document: evil(document, victim))
            hostile = joined(*composed(b"theirs", tag, store))
        load(host, hostile)
        assert image(host, victim) != before  # this is what the engine makes of it
        host.docker("tag", "bottle-committed-mine-abc12:1", victim)

        offered = read_image([hostile], identity, 1 << 20)
        made = compose(
            config=offered.config, diff_ids=offered.diff_ids, blobs=offered.blobs, tag=offered.tag, store=store
        )
        load(host, joined(made, layer(b"theirs")))
        assert image(host, victim) == before
        assert image(host, tag) == json.dumps([digest(layer(b"theirs"))])
    finally:
        host.exec(["docker", "image", "rm", "-f", *foreign_tags], check=False)
