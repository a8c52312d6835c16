"""Trees with every kind of entry that a move must keep, and what they are here and there, to compare."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from tests.hosts import DockerHost

CAPABILITY = "SCHILY.xattr.security.capability"
# struct vfs_cap_data, version 2: cap_net_bind_service=ep (linux/capability.h).
NET_BIND = "\x01\x00\x00\x02\x00\x04\x00\x00" + 12 * "\x00"
WEIRD = (
    "with space",
    "new\nline",
    "back\\slash",
    "ünï-çødé-☃",
    "-leading-dash",
    "quote'\"$(x)`;",
    "tab\there",
    "cr\r",
    "*",
)
RAW = b"not-utf8-\xff\xfe"


def tree(data: bytes) -> dict[str, tuple[object, ...]]:
    """A tar as a mapping from names to all that a move must keep; hard links by what they are linked with."""
    found: dict[str, tuple[object, ...]] = {}
    groups: dict[str, set[str]] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        top = None
        for member in archive:
            top = member.name if top is None else top
            name = os.path.relpath(member.name, top)
            content = b""
            if member.isreg():
                file = archive.extractfile(member)
                assert file is not None  # as it is for every regular file
                content = file.read()
            if member.islnk():
                first = os.path.relpath(member.linkname, top)
                groups.setdefault(first, {first}).add(name)
                content = str(found[first][-1]).encode()
            digest = hashlib.sha256(content).hexdigest() if not member.islnk() else content.decode()
            kind = "file" if member.isreg() or member.islnk() else member.type.decode()
            found[name] = (
                kind, oct(member.mode & 0o7777), member.uid, member.gid, int(member.mtime),
                member.linkname if member.issym() else "", member.pax_headers.get(CAPABILITY, ""), digest,
            )  # fmt: skip
    for group in groups.values():
        for name in group:
            found[name] = (*found[name][:-1], tuple(sorted(group)), found[name][-1])
    return found


def folder_tree(path: Path) -> dict[str, tuple[object, ...]]:
    """The tree of a folder of this machine."""
    return tree(subprocess.run(("tar", "-C", path, "-cf", "-", "."), check=True, capture_output=True).stdout)


def far_folder_tree(host: DockerHost, path: str) -> dict[str, tuple[object, ...]]:
    """The tree of a folder of a host."""
    return tree(host.exec(["tar", "-C", path, "-cf", "-", "."]).stdout)


def container_tree(container: Container, path: str) -> dict[str, tuple[object, ...]]:
    """The tree of a folder in a container."""
    return tree(b"".join(container.get_archive(path)[0]))


def far_container_tree(host: DockerHost, identity: str, path: str) -> dict[str, tuple[object, ...]]:
    """The tree of a folder in a bottle's container on a host."""
    return tree(host.docker("cp", f"bottle-{identity}:{path}", "-").stdout)


def work() -> bytes:
    """A tar of what an agent may leave behind: every kind of entry that a commit keeps."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def put(name: str, content: bytes | None = None, **facts: Any) -> None:
            member = tarfile.TarInfo(name)
            member.mode, member.mtime, member.type = 0o644, 1_700_000_000, tarfile.DIRTYPE
            if content is not None:
                member.type, member.size = tarfile.REGTYPE, len(content)
            for key, value in facts.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content or b""))

        put("work", mode=0o755)
        put("work/mine", b"root's\n")
        put("work/others", b"worker's\n", uid=1234, gid=4321, mode=0o640)
        put("work/setuid", b"#!/bin/sh\n", mode=0o4755)
        put("work/able", b"#!/bin/sh\n", mode=0o755, pax_headers={CAPABILITY: NET_BIND})
        put("work/empty folder", mode=0o1777, uid=1234)
        put("work/linked", type=tarfile.LNKTYPE, linkname="work/mine")
        put("work/symlink", type=tarfile.SYMTYPE, linkname="../etc/passwd")
        put("work/dangling", type=tarfile.SYMTYPE, linkname="/nowhere/at all")
        for name in WEIRD:
            put(f"work/{name}", name.encode())
    return buffer.getvalue()


def fill_workspace(folder: Path) -> None:
    """Work in a mounted folder: tracked or not does not matter to a move, so there is no git here."""
    (folder / ".git").mkdir()
    (folder / ".gitignore").write_text("ignored\n")
    (folder / "ignored").write_text("ignored, and still work\n")
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o751)
    (folder / "private").write_text("secret plans\n")
    (folder / "private").chmod(0o600)
    os.link(folder / "script", folder / "script again")
    (folder / "symlink").symlink_to("script")
    (folder / "absolute link").symlink_to("/etc/hostname")
    (folder / "empty folder").mkdir(mode=0o700)
    (folder / "deep" / "er" / ("long " * 20)).mkdir(parents=True)
    (folder / "deep" / "er" / ("long " * 20) / "file").write_text("deep\n")
    (folder / "large").write_bytes(os.urandom(300_000))
    (folder / "zero").touch()
    for name in WEIRD:
        (folder / name).write_text(name)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + RAW)).write_text("raw")
    os.chown(folder / "private", 1234, 4321)
    os.chown(folder / "empty folder", 1234, 1234)
