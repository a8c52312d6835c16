"""The image that the bottle is started from: Python, the agent, and a tree of known content."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import docker

from tests.integration.smallimage import build_small
from tests.oracle import known

FOLDER = "/usr/local/lib/oracle"
PROGRAMS = ("agent.py", "journal.py", "known.py", "listing.py", "operations.py")
_TOOLS = "cat python3 sh sleep"
_FILES = "/usr/lib/python3.13 /usr/lib/*/libffi.so.8* /etc/issue"
_USER_ATTRIBUTE = "SCHILY.xattr.user.x"


def build(engine: docker.DockerClient, python: str, tag: str) -> str:
    """Make it, of an image of Debian that has Python; returns its name."""
    small = build_small(engine, python, "bottle-oracle-python", tag, _TOOLS, _FILES)
    holder = engine.containers.create(small, "none")
    try:
        packed = io.BytesIO(b"".join(holder.export()))
    finally:
        holder.remove()
        engine.images.remove(small)
    with tarfile.open(fileobj=packed, mode="a", format=tarfile.PAX_FORMAT) as tar:
        _add_programs(tar)
        _add_tree(tar)
    engine.api.import_image_from_data(packed.getvalue(), repository="bottle-oracle", tag=tag)
    return f"bottle-oracle:{tag}"


def _add_programs(tar: tarfile.TarFile) -> None:
    for name in PROGRAMS:
        content = Path(__file__).with_name(name).read_bytes()
        member = tarfile.TarInfo(f"{FOLDER}/{name}".lstrip("/"))
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def _add_tree(tar: tarfile.TarFile) -> None:
    """Owners, modes and times are those that `operations.revive` gives; one file of a folder has an attribute."""
    times = {"mtime": f"{known.TIME}.{known.FRACTION}"}
    for path in (known.WORK, *known.folders()):
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.mode, member.pax_headers = tarfile.DIRTYPE, 0o755, dict(times)
        tar.addfile(member)
    for path in known.files():
        member = tarfile.TarInfo(path.lstrip("/"))
        content = known.content(path)
        member.size, member.mode, member.pax_headers = len(content), 0o644, dict(times)
        if path.endswith("/second"):
            member.pax_headers[_USER_ATTRIBUTE] = "of the base"
        tar.addfile(member, io.BytesIO(content))
    for base in known.BASES:
        first, second = (f"{base}/{twin}".lstrip("/") for twin in known.TWINS)
        member = tarfile.TarInfo(first)
        member.size, member.pax_headers = 5, dict(times)
        tar.addfile(member, io.BytesIO(b"twins"))
        member = tarfile.TarInfo(second)
        member.type, member.linkname = tarfile.LNKTYPE, first
        tar.addfile(member)
