"""What is sent to a builder: the context's files as a tar, with the Dockerfile put in."""

import errno
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from docker.utils.build import PatternMatcher

from bottle.errors import BuildFailed
from bottle.files.paths import OPENABLE
from bottle.files.tree import Node, walk
from bottle.text import shortened

_IGNORE_FILE = ".dockerignore"
_TYPES = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE, stat.S_IFIFO: tarfile.FIFOTYPE}


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
    matcher = PatternMatcher([*_patterns(ignore or b""), f"!{name}"])
    with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for node in walk(folder, entered=lambda node: _may_hold_some(matcher, node.path)):
            if node.path != _IGNORE_FILE and not _is_excluded(matcher, node.path):
                _add(tar, node)
        head = ignore.rstrip(b"\n") if ignore is not None else _IGNORE_FILE.encode()
        _add_bytes(tar, _IGNORE_FILE, head + b"\n" + name.encode() + b"\n")
        _add_bytes(tar, name, dockerfile)


def _is_excluded(matcher: PatternMatcher, path: str) -> bool:
    return bool(matcher.matches(path))  # type: ignore[arg-type]  # it needs a text, whatever its stub says


def _may_hold_some(matcher: PatternMatcher, path: str) -> bool:
    """As docker-py has it: a folder that is excluded is entered only where an exception may begin in it."""
    return not _is_excluded(matcher, path) or any(
        pattern.exclusion and pattern.cleaned_pattern.startswith(path) for pattern in matcher.patterns
    )


def _patterns(ignore: bytes) -> list[str]:
    """The lines of a .dockerignore that count."""
    lines = (line.strip() for line in ignore.decode("utf-8-sig", "surrogateescape").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _add(tar: tarfile.TarFile, node: Node) -> None:
    member = tarfile.TarInfo(node.path)
    member.mode, member.mtime = stat.S_IMODE(node.facts.st_mode), node.facts.st_mtime
    if len(os.fsencode(node.path)) > OPENABLE:
        raise OSError(errno.ENAMETOOLONG, "a path that Docker cannot open", shortened(node.path))
    if node.is_file:
        member.size = node.facts.st_size
        with node.open() as content:
            tar.addfile(member, content)
    elif type_ := _TYPES.get(stat.S_IFMT(node.facts.st_mode)):
        member.type, member.linkname = type_, node.target() if node.is_symlink else ""
        tar.addfile(member)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(content))
