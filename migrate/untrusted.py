"""What was staged here by a host that nobody vouches for, looked at before anything acts on it."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from bottle.capability import MAX_KEPT, require_sound
from bottle.errors import BottleError, RemoteError, VerificationFailed
from bottle.model import CommitRecord, Metadata, MountKind, RequestStatus
from bottle.naming import Identity
from bottle.plan import commit_in_force
from bottle.state import (
    ARRIVED,
    COMMIT_INTENT,
    CONTAINER,
    LOCK,
    MIGRATION,
    PAUSED,
    REBUILD,
    REQUESTS,
    RESUME_INTENT,
    TOMBSTONE,
    BottleState,
    request_number,
)
from bottle.unpack import Entry, EntryType, Limits, receive
from migrate.model import Codec
from migrate.stream import CHUNK, decompress, sniff
from migrate.tarstream import TarStream

_DOCUMENT = 4 << 20
_ENTRIES = 500_000
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_FOLDERS = {"blobs", "blobs/sha256"}
_FOREIGN = (LOCK, MIGRATION, TOMBSTONE, COMMIT_INTENT, RESUME_INTENT, CONTAINER, PAUSED, ARRIVED)
_NAMES = {"io.containerd.image.name", "org.opencontainers.image.ref.name"}
_KEPT = "nothing of it was used"


def staged(folder: Path, blob: str) -> Iterator[bytes]:
    """The bytes of a staged blob, from its pieces. Raises VerificationFailed when they are not what its name says."""
    digest = hashlib.sha256()
    for piece in sorted((folder / blob).glob("[0-9]*")):
        with os.fdopen(os.open(piece, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                yield chunk
    if digest.hexdigest() != blob:
        raise VerificationFailed(f"what is staged as {blob} is something else", left=_KEPT)


def unpack_folder(chunks: Iterable[bytes], folder: Path, *, owners: bool, links: bool, room: int) -> frozenset[str]:
    """Unpack a tar into the new `folder`; the paths of the files in it, relative.

    Only files, folders and, with `links`, links are made, and nothing through a symlink; a setuid bit is none. With
    `owners` the owners of the tar are kept. Raises VerificationFailed, or RemoteError where `room` bytes are too few.
    """
    folder.mkdir(mode=0o700)
    limits = Limits(entries=_ENTRIES, size=room)
    entries = tuple(receive(_within(chunks, room), folder, ".", limits, hard_links=links))
    for entry in entries:
        if entry.type is EntryType.SYMLINK and not links:
            raise VerificationFailed(f"the state of a bottle holds a link, {entry.path[:80]!r}", left=_KEPT)
        if entry.type is EntryType.FOLDER:
            (folder / entry.path).mkdir(mode=0o700, parents=True, exist_ok=True)
        elif entry.type is EntryType.SYMLINK:
            (folder / entry.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / entry.path).symlink_to(entry.target)
    # Deepest first: a folder that nobody may write is made so when all is in it.
    for entry in sorted(entries, key=lambda each: each.path.count("/") + (each.path != "."), reverse=True):
        _dress(folder / entry.path, entry, owners=owners)
    return frozenset(entry.path for entry in entries if entry.type is EntryType.FILE)


def _dress(path: Path, entry: Entry, *, owners: bool) -> None:
    """Give what was unpacked its owner, mode and time. Raises VerificationFailed for those that no file can have."""
    try:
        if owners:
            os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
        if entry.type is not EntryType.SYMLINK:
            path.chmod(entry.mode & (0o3777 if entry.type is EntryType.FOLDER else 0o777))
        os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)
    except OverflowError as exc:
        raise VerificationFailed(f"an owner or a time that cannot be: {entry.path[:80]!r}", left=_KEPT) from exc


def measure(chunks: Iterable[bytes], codec: Codec, room: int) -> None:
    """Decompress it all into nowhere. Raises RemoteError when that is more than `room` bytes."""
    for _ in _within(decompress(chunks, codec), room):
        pass


def require_archive(chunks: Iterable[bytes], identity: Identity, room: int) -> None:
    """See that an archive for `docker load` gives one image of this bottle its name, and touches no other.

    Its form is that of `migrate.archive`. Raises VerificationFailed, or RemoteError when its layers do not fit.
    """
    documents: dict[str, bytes] = {}
    seen: set[str] = set()
    tar = TarStream(chunks)
    for member in tar.members():
        name = member.name.rstrip("/")
        if name in seen or member.link:
            raise _foreign(f"{name[:80]!r} twice, or as a link")
        seen.add(name)
        blob = _BLOB.fullmatch(name)
        if not member.is_file:
            if name not in _FOLDERS:
                raise _foreign(repr(name[:80]))
        elif name in {"oci-layout", "index.json", "manifest.json"}:
            documents[name] = tar.whole(_DOCUMENT)
        elif blob is None:
            raise _foreign(repr(name[:80]))
        else:
            kept, room = _read_blob(tar.data(), blob[1], room)
            if kept is not None:
                documents[name] = kept
    _require_names(documents, identity)


def _read_blob(chunks: Iterator[bytes], digest: str, room: int) -> tuple[bytes | None, int]:
    """A blob that is a document, or None for a layer; and the room that is left behind it. Checks its name."""
    meter, head, size = hashlib.sha256(), bytearray(), 0
    first = next(chunks, b"")
    is_document = first.startswith(b"{")

    def passing() -> Iterator[bytes]:
        for chunk in chain((first,), chunks):
            meter.update(chunk)
            yield chunk

    if is_document:
        for chunk in passing():
            head += chunk
            if len(head) > _DOCUMENT:
                raise _foreign("a document that is too long")
    else:
        for piece in _within(decompress(passing(), sniff(first)), room):
            size += len(piece)
    if meter.hexdigest() != digest:
        raise VerificationFailed(f"blob {digest} of an image is something else", left=_KEPT)
    return (bytes(head) if is_document else None), room - size


def _require_names(documents: Mapping[str, bytes], identity: Identity) -> None:
    try:
        manifest, index = (json.loads(documents[name]) for name in ("manifest.json", "index.json"))
        (legacy,), (described,) = manifest, index["manifests"]
        (tag,) = legacy["RepoTags"]
        expected = re.fullmatch(rf"{re.escape(identity.committed_repository)}:([0-9]{{1,9}})", tag)
        names = {f"docker.io/library/{tag}", expected[1] if expected else ""}
        annotations = described.get("annotations", {})
        sound = (
            expected is not None
            and set(annotations) <= _NAMES
            and set(annotations.values()) <= names
            and legacy["Config"] in documents
            and "blobs/" + described["digest"].replace(":", "/") in documents
        )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise _foreign("documents that make no sense") from exc
    if not sound:
        raise _foreign("names that are not this bottle's")


def read_state(folder: Path, identity: Identity) -> tuple[Metadata, CommitRecord]:
    """What an unpacked state folder says of the bottle, and its commit in force. Raises VerificationFailed."""
    for name in _FOREIGN:
        if os.path.lexists(folder / name):
            raise VerificationFailed(f"the state that came holds {name}, which belongs to one host", left=_KEPT)
    state = BottleState(identity, folder)
    try:
        metadata, commits, tag = state.metadata(), state.commits(), state.committed_image()
    except BottleError as exc:
        raise VerificationFailed(f"the state that came makes no sense: {exc.what}", left=_KEPT) from exc
    _require_requests(state)
    commit = commit_in_force(commits, tag)
    if commit is None or commit.tag != identity.committed(commit.number):
        raise VerificationFailed("the history that came is not this bottle's", left=_KEPT)
    return metadata, commit


def _require_requests(state: BottleState) -> None:
    """See that `requests/` holds capability requests and nothing else, and that the marker `rebuild` is a file."""
    folder = state.path / REQUESTS
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    strange = sorted(name for name in names if request_number(name) is None)
    if strange:
        raise VerificationFailed(f"the state that came holds {REQUESTS}/{strange[0][:80]!r}", left=_KEPT)
    if len(names) > MAX_KEPT:
        raise VerificationFailed(f"the state that came holds more than {MAX_KEPT} capability requests", left=_KEPT)
    if (state.path / REBUILD).is_dir():
        raise VerificationFailed(f"the state that came holds {REBUILD}, which is no file", left=_KEPT)
    try:
        requests = state.requests()
        for request in requests:
            require_sound(request, request.number)
    except (BottleError, ValueError) as exc:
        raise VerificationFailed(f"the requests that came make no sense: {exc}", left=_KEPT) from exc
    if {f"{request.number}.json" for request in requests} != set(names):
        raise VerificationFailed("the requests that came have each other's numbers", left=_KEPT)


def reopen_requests(state: BottleState) -> None:
    """Make what was approved elsewhere, and not carried out there, undecided: nobody has approved it here."""
    for request in state.requests():
        if request.status is RequestStatus.APPROVING:
            state.write_request(replace(request, status=RequestStatus.PENDING, note="", decided_at=None))


def wishes(metadata: Metadata) -> tuple[str, ...]:
    """What of this host the bottle would get hold of, beyond its workspace, when it is resumed here."""
    agent = metadata.agent
    asked = [
        f"the folder {volume.source} of this host, mounted at {volume.target}"
        for volume in agent.volumes
        if volume.kind is MountKind.BIND
    ]
    asked += [f"the capability {name}" for name in agent.cap_add]
    if agent.network not in {"bridge", "none"}:
        asked.append(f"the network {agent.network}")
    if metadata.copy_cwd and metadata.cwd is not None and metadata.cwd.is_dir():
        asked.append(f"a copy of the folder {metadata.cwd} of this host, should it be rebuilt")
    if agent.dockerfile is not None and agent.dockerfile.parent.is_dir():
        asked.append(f"the folder {agent.dockerfile.parent} of this host, should it be rebuilt")
    return tuple(asked)


def remove_unpacked(staging: Path, kind: str) -> None:
    """Take away what earlier moves had unpacked."""
    for old in staging.glob(f"{kind}-*"):
        shutil.rmtree(old)


@contextmanager
def alone(staging: Path) -> Iterator[None]:
    """As `alone` in common.sh: wait for a script that still works on this bottle."""
    descriptor = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _within(chunks: Iterable[bytes], room: int) -> Iterator[bytes]:
    for chunk in chunks:
        room -= len(chunk)
        if room < 0:
            raise RemoteError("what came is larger than the space that is free here", left=_KEPT)
        yield chunk


def _foreign(what: str) -> VerificationFailed:
    return VerificationFailed(f"the archive of the image holds {what}; it is not one that bottle makes", left=_KEPT)
