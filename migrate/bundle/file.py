"""Bundles on disk: written whole or not at all, and read with every byte checked. Memory is one chunk."""

import os
import secrets
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from bottle.errors import Conflict, NotFound, PreflightRefused, VerificationFailed
from bottle.files.atomic import sync_folder, writing
from bottle.ports import Progress
from bottle.tar.chunks import CHUNK
from bottle.words import size
from migrate.bundle import format as bundle
from migrate.bundle.format import BLOCK, MANIFEST, SEAL, BundleManifest, BundleMember
from migrate.tar.compression import Meter, decompress, metered, pieces_of


class BundleFile:
    """A bundle that is open for reading. Its frame and manifest are checked; its members are, as they are read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Check all but the members' contents. Raises VerificationFailed or StateTooNew."""
        self._file = file
        self.name = name
        self.size = os.fstat(file.fileno()).st_size
        document = self._document(0, MANIFEST, bundle.MAX_MANIFEST)
        self.manifest: BundleManifest = self._parse(document)
        self._offsets: dict[str, int] = {}
        self._check_frame(document)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open a bundle. Raises NotFound too."""
        try:
            # Opening a pipe would wait for somebody to write into it.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            raise NotFound(f"cannot read {path}: {exc.strerror}", next_step=f"ls -l {path}") from exc
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise bundle.refusal(f"{path} is no regular file")
            yield cls(file, str(path))

    def raw(self, member: BundleMember, progress: Progress | None = None) -> Iterator[bytes]:
        """A member's bytes. Raises VerificationFailed at their end when they are not those that were sealed."""
        meter, offset, left = Meter(), self._offsets[member.name], member.size
        while left:
            piece = self._at(offset, min(left, CHUNK))
            offset, left = offset + len(piece), left - len(piece)
            meter.update(piece)
            if progress is not None:
                progress.advance(len(piece))
            yield piece
        if meter.digest != member.digest:
            raise bundle.refusal(f"{member.name} was changed: its bytes have another digest than the manifest says")

    def plain(self, member: BundleMember, progress: Progress | None = None) -> Iterator[bytes]:
        """What a member unpacks to, and never more than it declares. Raises VerificationFailed."""
        meter = Meter()
        try:
            for piece in decompress(self.raw(member, progress), member.codec):
                meter.update(piece)
                if meter.size > member.plain_size:
                    raise bundle.refusal(
                        f"{member.name} unpacks to more than the {member.plain_size} bytes it declares"
                    )
                yield piece
        except VerificationFailed as exc:
            raise exc if exc.left == bundle.LEFT else bundle.refusal(f"{member.name}: {exc.what}") from exc
        if (meter.size, meter.digest) != (member.plain_size, member.plain_digest):
            raise bundle.refusal(f"{member.name} does not unpack to what the manifest says")

    def _document(self, offset: int, name: str, limit: int) -> bytes:
        """A member that is read whole, with the header in front of it."""
        head = self._at(offset, BLOCK)
        try:
            found = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as exc:
            raise bundle.refusal(f"{self.name} is no bundle: it does not begin with {MANIFEST}") from exc
        if not 0 <= found.size <= limit or head != bundle.header(name, found.size):
            raise bundle.refusal(f"{name} belongs at byte {offset}, and {found.name[:80]!r} is there")
        return self._at(offset + BLOCK, found.size)

    def _parse(self, document: bytes) -> BundleManifest:
        """Read the manifest; one that makes no sense and was not sealed so was changed on its way."""
        try:
            return bundle.parse_manifest(document)
        except VerificationFailed:
            seal = bundle.seal(document)
            tail = seal + bundle.padding(len(seal)) + bundle.END
            if self.size < len(tail) or self._at(self.size - len(tail), len(tail)) != tail:
                raise bundle.refusal(f"{MANIFEST} was changed: it is not the one that was sealed") from None
            raise

    def _check_frame(self, document: bytes) -> None:
        """Every header, all padding, the seal and the end are what follows from the manifest, to the last byte."""
        expected = bundle.bundle_size(document, self.manifest.members)
        if self.size != expected:
            verb = "was cut short" if self.size < expected else "is too long"
            raise bundle.refusal(f"{self.name} {verb}: it has {self.size} bytes, and {expected} were declared")
        offset = BLOCK + len(document)
        for member in self.manifest.members:
            offset = self._check_header(offset, member.name, member.size)
            self._offsets[member.name] = offset
            offset += member.size
        seal = bundle.seal(document)
        offset = self._check_header(offset, SEAL, len(seal))
        if self._at(offset, len(seal)) != seal:
            raise bundle.refusal(f"{MANIFEST} was changed: it is not the one that was sealed")
        tail = bundle.padding(len(seal)) + bundle.END
        if self._at(offset + len(seal), len(tail)) != tail:
            raise bundle.refusal("something stands where its end should be")

    def _check_header(self, offset: int, name: str, size: int) -> int:
        """The offset of the content behind the next header, which follows on `offset` and some zeros."""
        zeros = bytes(-offset % BLOCK)
        if self._at(offset, len(zeros) + BLOCK) != zeros + bundle.header(name, size):
            raise bundle.refusal(f"{name} belongs behind byte {offset}, and something else is there")
        return offset + len(zeros) + BLOCK

    def _at(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            try:
                piece = os.pread(self._file.fileno(), size, offset)
            except OSError as exc:
                raise bundle.refusal(f"{self.name} cannot be read at byte {offset}: {exc.strerror}") from exc
            if not piece:
                raise bundle.refusal(f"{self.name} was cut short at byte {offset}")
            parts.append(piece)
            offset, size = offset + len(piece), size - len(piece)
        return b"".join(parts)


def require_free(target: Path) -> None:
    """Refuse a name that is taken, or a folder that is not there, before any work is done."""
    if os.path.lexists(target):
        raise Conflict(
            f"{target} exists already, and is not overwritten",
            left="nothing was changed",
            next_step="choose another name, or remove it",
        )
    if not target.parent.is_dir():
        raise NotFound(
            f"there is no folder {target.parent}", left="nothing was changed", next_step=f"mkdir -p {target.parent}"
        )


def require_bundle_space(target: Path, needed: int) -> None:
    """Refuse to begin a file that does not fit. Raises PreflightRefused."""
    facts = os.statvfs(target.parent)
    free = facts.f_bavail * facts.f_frsize
    if needed > free:
        raise PreflightRefused(
            f"the bundle has {size(needed)}, and {target.parent} has {size(free)} free",
            left="no file was written; the bottle goes on as it was",
            next_step=f"df -h {target.parent}",
        )


@contextmanager
def writing_bundle(
    target: Path,
    manifest: BundleManifest,
    sources: Mapping[str, Path | bytes],
    progress: Progress,
    *,
    note: Callable[[Path], None],
) -> Iterator[Path]:
    """Write a bundle beside `target`, yield it to be looked at, and give it its name when the context closes well.

    `note` is told where, before anything is there. `sources` are the members' bytes by name. Raises VerificationFailed
    when one is not what the manifest says, Conflict when the name was taken meanwhile, StateDamaged when the file
    cannot be written.
    """
    document = bundle.render(manifest)
    total = bundle.bundle_size(document, manifest.members)
    require_bundle_space(target, total)
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.part")
    note(temporary)
    with writing(target):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file, progress.phase(f"writing {target.name}", total):
                for piece in _pieces(document, manifest, sources):
                    file.write(piece)
                    progress.advance(len(piece))
                file.flush()
                os.fsync(file.fileno())
            yield temporary
            _give_name(temporary, target)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _pieces(document: bytes, manifest: BundleManifest, sources: Mapping[str, Path | bytes]) -> Iterator[bytes]:
    yield bundle.header(MANIFEST, len(document)) + document + bundle.padding(len(document))
    for member in manifest.members:
        yield bundle.header(member.name, member.size)
        yield from _as_promised(member, sources[member.name])
        yield bundle.padding(member.size)
    seal = bundle.seal(document)
    yield bundle.header(SEAL, len(seal)) + seal + bundle.padding(len(seal)) + bundle.END


def _as_promised(member: BundleMember, source: Path | bytes) -> Iterator[bytes]:
    meter = Meter()
    yield from metered((source,) if isinstance(source, bytes) else pieces_of(source), meter)
    if (meter.size, meter.digest) != (member.size, member.digest):
        raise VerificationFailed(
            f"{member.name} changed on this disk between packing and writing it",
            left="no bundle was written; the bottle goes on as it was",
            next_step="the same command again",
        )


def _give_name(temporary: Path, target: Path) -> None:
    """A link cannot overwrite what somebody else put there meanwhile; where there are no links, a rename must do."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        require_free(target)
        raise
    except OSError:
        require_free(target)
        temporary.rename(target)
    sync_folder(target.parent)
