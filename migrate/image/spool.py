"""A local folder where layers wait, compressed, until the destination has acknowledged them.

```
<hex diff id>.<codec>        a layer; uncompressed ones end in `tar`
<hex diff id>.<codec>.json   its record: {"schema": 1, "diff_size", "digest", "size"}
<hex>.config                 an image's config: {"schema": 1, "digest", "config"}
.<random>.part               a layer being written; of no use to a later run
```
A layer is whole once its record exists. A config's name is the hash of its image's id.
"""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bottle.errors import StateDamaged, VerificationFailed
from bottle.files.atomic import sync_folder, write_atomic, writing
from bottle.files.regular import read_regular
from migrate.model import Blob, Codec
from migrate.tar.compression import CompressingWriter, digest_of

SCHEMA = 1
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_RECORD = ".json"
_CONFIG = ".config"
# `.tmp` is what write_atomic leaves behind when it is killed.
_LEFTOVERS = (".part", ".tmp")
_Adopt = Callable[[Path, CompressingWriter], Blob]


class DirectorySpool:
    """Layers by their diff ids. One process at a time uses a folder: the caller holds the bottle's lock."""

    def __init__(self, folder: Path, codec: Codec, *, level: int | None = None, threads: int = 1) -> None:
        """Open or make `folder`. Raises StateDamaged when it is not a folder of this user alone."""
        self.folder = folder
        self.codec = codec
        self._level = level
        self._threads = threads
        with writing(folder):
            _make_private(folder)
            for leftover in folder.iterdir():
                if leftover.name.startswith(".") and leftover.name.endswith(_LEFTOVERS):
                    leftover.unlink()

    def blob(self, diff_id: str) -> Blob | None:
        """The layer, if it is here with the size that its record says. Its bytes are checked where they arrive."""
        path = self._path(diff_id)
        record = _read_json(_record_of(path))
        try:
            status = path.lstat()
        except OSError:
            return None
        match record:
            case {"schema": 1, "diff_size": int(diff_size), "digest": str(digest), "size": int(size)} if (
                _DIGEST.fullmatch(digest) and diff_size >= 0 and stat.S_ISREG(status.st_mode) and status.st_size == size
            ):
                return Blob(diff_id=diff_id, diff_size=diff_size, digest=digest, size=size, codec=self.codec, path=path)
            case _:
                return None

    def keep_only(self, diff_ids: frozenset[str]) -> None:
        """Throw away all other layers. Raises StateDamaged where one cannot be."""
        kept = {path.name for each in diff_ids for path in (self._path(each), _record_of(self._path(each)))}
        with writing(self.folder):
            for path in self.folder.iterdir():
                if path.name not in kept and path.suffix != _CONFIG:
                    path.unlink()

    def discard(self, diff_id: str) -> None:
        """Throw a layer away, whole or not; gone already is fine."""
        path = self._path(diff_id)
        # The record first: without it the layer counts for nothing.
        _record_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    @contextmanager
    def writer(self) -> Iterator["SpoolWriter"]:
        """Take in one layer; what was not kept when the context closes is gone.

        Raises StateDamaged when it cannot be written, for want of space as a rule.
        """
        temporary = self.folder / f".{secrets.token_hex(8)}.part"
        with writing(temporary):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            # Unbuffered: a compressor's pieces are large, and closing after a failed write must not fail again.
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                packer = CompressingWriter(file, self.codec, self._level, self._threads)
                yield SpoolWriter(file, temporary, packer, self._adopt)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def config(self, image: str) -> bytes | None:
        """The config that was kept for the image with this id, if it still has the digest it had."""
        match _read_json(self._config_path(image)):
            case {"schema": 1, "digest": str(digest), "config": str(text)}:
                config = text.encode("utf-8", "surrogateescape")
                return config if digest == digest_of(config) else None
            case _:
                return None

    def keep_config(self, image: str, config: bytes) -> None:
        """Keep an image's config under the image's id."""
        record = {"schema": SCHEMA, "digest": digest_of(config), "config": config.decode("utf-8", "surrogateescape")}
        write_atomic(self._config_path(image), json.dumps(record).encode())

    def _adopt(self, temporary: Path, written: CompressingWriter) -> Blob:
        """Name first, record last: a layer counts once its record exists."""
        diff_id = written.plain.digest
        path = self._path(diff_id)
        self.discard(diff_id)
        temporary.rename(path)
        sync_folder(self.folder)
        record = {
            "schema": SCHEMA,
            "diff_size": written.plain.size,
            "digest": written.packed.digest,
            "size": written.packed.size,
        }
        write_atomic(_record_of(path), json.dumps(record).encode())
        blob = self.blob(diff_id)
        if blob is None:
            raise VerificationFailed(f"the layer {diff_id} was written to {path} and is not there as written")
        return blob

    def _path(self, diff_id: str) -> Path:
        match = _DIGEST.fullmatch(diff_id)
        if match is None:
            raise VerificationFailed(f"{diff_id[:100]!r} is no digest of a layer")
        return self.folder / f"{match[1]}.{self.codec.value or 'tar'}"

    def _config_path(self, image: str) -> Path:
        return self.folder / (hashlib.sha256(image.encode()).hexdigest() + _CONFIG)


class SpoolWriter:
    """Takes one layer's tar, piece by piece, hashing and compressing as it goes."""

    def __init__(self, file: BinaryIO, temporary: Path, packer: CompressingWriter, adopt: _Adopt) -> None:
        self._file = file
        self._temporary = temporary
        self._packer = packer
        self._adopt = adopt

    def write(self, chunk: bytes) -> None:
        """The next bytes of the uncompressed tar."""
        with writing(self._temporary):
            self._packer.write(chunk)

    @property
    def diff_id(self) -> str:
        """What the layer's diff id is, if the bytes so far are all of it."""
        return self._packer.plain.digest

    def keep(self) -> Blob:
        """Make the layer durable under its diff id, in the place of whatever was there."""
        with writing(self._temporary):
            self._packer.finish()
            os.fsync(self._file.fileno())
            return self._adopt(self._temporary, self._packer)


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + _RECORD)


def _read_json(path: Path) -> object:
    """What a file of ours says, or None when it is missing or damaged: what is spooled can always be had again."""
    try:
        return json.loads(read_regular(path))
    except (OSError, ValueError):
        return None


def _make_private(folder: Path) -> None:
    """Bottles' work passes through here: nobody else may have planted the folder, or may look into it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StateDamaged(f"{folder} is not a folder of this user alone", next_step=f"ls -ld {folder}")
    folder.chmod(0o700)
