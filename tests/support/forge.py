"""Bundles made by somebody who knows the format and means no good: genuine ones, taken apart, changed, resealed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from bottle.ports import Silent
from migrate.bundle import format as bundle
from migrate.bundle.file import BundleFile


def digest(data: bytes) -> str:
    """As manifests spell it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Forge:
    """A bundle in pieces: the manifest's JSON, and what each member unpacks to, by name.

    `sealed` gives the file with all digests and sizes put right; whatever is to stay wrong is said to it.
    """

    manifest: dict[str, Any]
    plain: dict[str, bytes]
    packed: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def take_apart(cls, path: Path) -> Forge:
        """Read a genuine bundle."""
        with BundleFile.open(path) as file:
            plain = {member.name: b"".join(file.plain(member, Silent())) for member in file.manifest.members}
            return cls(json.loads(bundle.render(file.manifest)), plain)

    def member(self, kind: str) -> dict[str, Any]:
        """The manifest's entry of the first member of a kind."""
        found: dict[str, Any] = next(each for each in self.manifest["members"] if each["kind"] == kind)
        return found

    def edit_tar(self, kind: str, edit: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
        """Change the entries of a member's tar."""
        name = self.member(kind)["name"]
        entries = read_tar(self.plain[name])
        edit(entries)
        self.plain[name] = make_tar(entries)

    def edit_json(self, file: str, edit: Callable[[dict[str, Any]], None]) -> None:
        """Change a document of the state."""

        def change(entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
            at = next(i for i, (member, _) in enumerate(entries) if member.name == f"./{file}")
            document = json.loads(entries[at][1])
            edit(document)
            entries[at] = entry(f"./{file}", json.dumps(document).encode())

        self.edit_tar("state", change)

    def seal(self) -> Forge:
        """Put sizes and digests right, and the commit's layers."""
        for each in self.manifest["members"]:
            plain = self.plain[each["name"]]
            packed = self.packed.get(each["name"])
            if packed is None:
                packed = zstandard.ZstdCompressor().compress(plain) if each["codec"] else plain
            self.packed[each["name"]] = packed
            each |= {"size": len(packed), "digest": digest(packed)}
            each |= {"plain_size": len(plain), "plain_digest": digest(plain)}
        return self

    def lay_out(self) -> list[tuple[str, bytes]]:
        """The members of the file, by name, in order."""
        document = (json.dumps(self.manifest, indent=2) + "\n").encode()
        names = [each["name"] for each in self.manifest["members"]]
        members = list(zip(names, self.packed.values(), strict=True))
        return [(bundle.MANIFEST, document), *members, (bundle.SEAL, bundle.seal(document))]

    def file(self) -> bytes:
        """The whole bundle."""
        return container(self.lay_out())


def container(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A bundle's outer tar."""
    parts = [bundle.header(name, len(data)) + data + bundle.padding(len(data)) for name, data in members]
    return b"".join(parts) + bundle.END


def entry(name: str, data: bytes = b"", **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    """An entry of an inner tar; `facts` are TarInfo's."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    for key, value in facts.items():
        setattr(member, key, value)
    return member, data


def read_tar(data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    """All entries, with their contents."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            found.append((member, content.read() if content else b""))
    return found


def make_tar(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar of entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in entries:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
