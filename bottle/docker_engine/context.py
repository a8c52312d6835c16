"""What is sent to a builder: the context's files as a tar, with the Dockerfile put in."""

import hashlib
import io
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from docker.utils.build import exclude_paths

from bottle.errors import BuildFailed

_IGNORE_FILE = ".dockerignore"


@contextmanager
def build_context(folder: Path, dockerfile: bytes) -> Iterator[tuple[IO[bytes], str]]:
    """A tar of `folder` without what its .dockerignore excludes, in a temporary file, and the Dockerfile's name in it.

    The Dockerfile and the .dockerignore are put in under the rules of Docker's own client: an extra line of the
    .dockerignore makes the builder drop the Dockerfile before it looks for files to COPY. The name is made from the
    Dockerfile's content, so that an unchanged build finds its cache. Owners become root, as Docker's client has it.
    Raises BuildFailed for what cannot be read.
    """
    name = _unused_name(folder, dockerfile)
    with tempfile.TemporaryFile(prefix="bottle-context-") as spool:
        try:
            _write(spool, folder, dockerfile, name)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise BuildFailed(
                f"the build context {folder} could not be read{where}: {error.strerror or error}",
                left="nothing was built",
                next_step=f"exclude it in {folder / _IGNORE_FILE}, or make it readable",
            ) from error
        spool.seek(0)
        yield spool, name


def _unused_name(folder: Path, dockerfile: bytes) -> str:
    digest = hashlib.sha256(dockerfile).hexdigest()
    name = f".bottle-dockerfile.{digest[:20]}"
    while (folder / name).exists():
        name += "_"
    return name


def _write(spool: IO[bytes], folder: Path, dockerfile: bytes, name: str) -> None:
    if not folder.is_dir():
        raise NotADirectoryError(20, "no such folder", str(folder))
    ignore_file = folder / _IGNORE_FILE
    ignore = ignore_file.read_bytes() if ignore_file.is_file() else None
    paths = exclude_paths(str(folder), _patterns(ignore or b""), dockerfile=name)
    with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(paths - {_IGNORE_FILE}):
            _add(tar, folder / path, path)
        head = ignore.rstrip(b"\n") if ignore is not None else _IGNORE_FILE.encode()
        _add_bytes(tar, _IGNORE_FILE, head + b"\n" + name.encode() + b"\n")
        _add_bytes(tar, name, dockerfile)


def _patterns(ignore: bytes) -> list[str]:
    """The lines of a .dockerignore that count."""
    lines = (line.strip() for line in ignore.decode("utf-8-sig", "surrogateescape").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _add(tar: tarfile.TarFile, source: Path, name: str) -> None:
    if stat.S_ISSOCK(source.lstat().st_mode):  # nothing that could be copied
        return
    member = tar.gettarinfo(str(source), arcname=name)
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    if member.isfile():
        with source.open("rb") as content:
            tar.addfile(member, content)
    else:
        tar.addfile(member)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(content))
