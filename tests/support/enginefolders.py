"""Images as an engine of either store keeps them in its folders, made here."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bottle.model import EngineInfo, ImageFacts, Product, Store

REF = "bottle-committed-demo-abcde:1"
ROOT_DIR = "/var/lib/docker"
Entry = dict[str, Any]
Pack = Callable[[bytes], bytes]


def hexes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(data: bytes) -> str:
    return f"sha256:{hexes(data)}"


def layer(*names: str, size: int = 3000, seed: int = 1) -> bytes:
    """A layer's tar: files of bytes that do not compress, a folder, a link and an empty file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            folder = tarfile.TarInfo(name.rpartition("/")[0])
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(random.Random(f"{seed}{name}").randbytes(size)))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, names[0]
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("empty"))
    return buffer.getvalue()


LAYERS = (layer("etc/base", size=400_000), layer("work/a", "work/deep/er/b", seed=2), layer("work/b", seed=3))
DIFF_IDS = tuple(map(digest, LAYERS))


def config_of(diff_ids: tuple[str, ...] = DIFF_IDS, architecture: str = "amd64") -> bytes:
    return json.dumps(
        {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()


CONFIG = config_of()


def members(tar: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return opened.getmembers()


def split(tar: bytes) -> list[Entry]:
    """The tar without its files, as tar-split notes it; each file's bytes are beside it in `content`."""
    entries: list[Entry] = []
    end = 0

    def segment(to: int) -> None:
        entries.append({"type": 2, "payload": base64.b64encode(tar[end:to]).decode(), "position": len(entries)})

    for member in members(tar):
        segment(member.offset_data)
        end = member.offset_data + member.size
        name, content = member.name, tar[member.offset_data : end]
        entry = {"type": 1, "name": name, "payload": "AAAAAAAAAAA=", "position": len(entries), "content": content}
        entries.append({**entry, "size": member.size} if member.size else entry)
    segment(len(tar))
    return entries


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@dataclass(frozen=True)
class Classic:
    """The folders of a classic store below `machine`, which has one image."""

    machine: Path
    root_dir: str = ROOT_DIR

    @property
    def top(self) -> Path:
        return self.machine / self.root_dir.lstrip("/")

    @property
    def config(self) -> Path:
        return self.top / "image/overlay2/imagedb/content/sha256" / hexes(CONFIG)

    def noted(self, number: int) -> Path:
        """The folder of what is noted of a layer."""
        chain = DIFF_IDS[0]
        for diff_id in DIFF_IDS[1 : number + 1]:
            chain = digest(f"{chain} {diff_id}".encode())
        return self.top / "image/overlay2/layerdb/sha256" / chain[7:]

    def files(self, number: int) -> Path:
        """The folder of a layer's files."""
        return self.top / "overlay2" / f"{number}cacheid" / "diff"

    def fill(self) -> None:
        write(self.config, CONFIG)
        for number, tar in enumerate(LAYERS):
            write(self.noted(number) / "cache-id", f"{number}cacheid".encode())
            self.note(number, split(tar))
            for member in members(tar):
                if member.isfile():
                    content = tar[member.offset_data : member.offset_data + member.size]
                    write(self.files(number) / member.name, content)

    def note(self, number: int, entries: list[Entry]) -> None:
        lines = ({key: value for key, value in entry.items() if key != "content"} for entry in entries)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write(self.noted(number) / "tar-split.json.gz", gzip.compress(text.encode()))


@dataclass
class Content:
    """A content store below `machine`; `image` is the id of the one image that it has."""

    machine: Path
    root_dir: str = f"{ROOT_DIR}/containerd/daemon"
    image: str = ""

    def blob(self, content: bytes) -> Path:
        """Where a blob of this content is, or would be."""
        blobs = self.machine / self.root_dir.lstrip("/") / "io.containerd.content.v1.content/blobs/sha256"
        return blobs / hexes(content)

    def put(self, content: bytes, media_type: str = "application/octet-stream") -> Entry:
        write(self.blob(content), content)
        return {"digest": digest(content), "size": len(content), "mediaType": media_type}

    def manifest(self, config: bytes, layers: tuple[bytes, ...]) -> Entry:
        document = {"config": self.put(config), "layers": [self.put(each, "a layer") for each in layers]}
        return self.put(json.dumps(document).encode())

    def index(self, *below: Entry) -> Entry:
        return self.put(json.dumps({"manifests": below}).encode())

    def fill(self, pack: Pack = bytes) -> None:
        self.image = self.manifest(CONFIG, tuple(map(pack, LAYERS)))["digest"]

    def fill_index(self, pack: Pack = bytes, *, nested: bool = False) -> None:
        """With an attestation, another platform that is there, and one that is not."""
        other = layer("other")
        mine = self.manifest(CONFIG, tuple(map(pack, LAYERS)))
        strangers = (
            self.manifest(config_of((digest(other),), "unknown"), (other,)),
            {"digest": digest(b"elsewhere"), "size": 9, "mediaType": "a manifest"},
            self.manifest(config_of(architecture="arm64"), LAYERS),
        )
        index = self.index(*strangers, mine)
        self.image = (self.index(index) if nested else index)["digest"]


@dataclass
class Engine:
    """What sources of layers ask of an engine; its archive has the layers plain, as Podman writes it."""

    image_id: str = digest(CONFIG)
    store: Store = Store.CLASSIC
    root_dir: str = ROOT_DIR
    is_local: bool = True
    product: Product = Product.DOCKER
    saves: int = 0

    def image(self, ref: str) -> ImageFacts | None:
        if ref != REF:
            return None
        return ImageFacts(
            id=self.image_id,
            tags=(REF,),
            diff_ids=DIFF_IDS,
            config_digest="sha256:" + "1" * 64,
            architecture="amd64",
            os="linux",
            size=1,
            created_at=None,
            labels={},
            defaults=None,  # type: ignore[arg-type]
        )

    def info(self) -> EngineInfo:
        return EngineInfo(
            version="26.1.5",
            api_version="1.45",
            architecture="amd64",
            os="linux",
            store=self.store,
            root_dir=self.root_dir,
            product=self.product,
        )

    def save(self, ref: str) -> Iterator[bytes]:
        self.saves += 1
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            manifest = json.dumps([{"Config": f"{hexes(CONFIG)}.json"}]).encode()
            files = {f"{hexes(each)}.tar": each for each in LAYERS}
            files |= {f"{hexes(CONFIG)}.json": CONFIG, "manifest.json": manifest}
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        yield buffer.getvalue()
