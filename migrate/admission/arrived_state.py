"""What was staged here by a host that nobody vouches for, looked at before anything acts on it."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bottle import transcript
from bottle.errors import BottleError, RemoteError, VerificationFailed
from bottle.files import tree
from bottle.files.opentree import OpenTree
from bottle.files.paths import is_inside, is_system
from bottle.files.regular import open_regular
from bottle.files.tree import top_down
from bottle.files.unpack import Entry, EntryType, Limits, receive
from bottle.model import CommitRecord, Metadata, RequestStatus
from bottle.naming import Identity
from bottle.plan.history import commit_in_force
from bottle.requests.request import MAX_KEPT, require_sound
from bottle.store.state import (
    COMMITS,
    COMMITTED_IMAGE,
    DOCKERFILE,
    HOST_ONLY,
    METADATA,
    PRESERVED,
    REBUILD,
    REQUESTS,
    TRANSCRIPT,
    BottleState,
    request_number,
)
from migrate.admission.grant import odd
from migrate.admission.tar_rules import MOST_ENTRIES
from migrate.tar.compression import CHUNK

_SET_IDS = 0o6000
KEPT = "nothing of it was used"
TAKEN_OVER = frozenset({DOCKERFILE, TRANSCRIPT, PRESERVED, REBUILD, REQUESTS})
WRITTEN_HERE = frozenset({METADATA, COMMITS, COMMITTED_IMAGE})


def is_kept(path: str) -> bool:
    """Whether a file of somebody else's state folder is taken over as it is."""
    top, _, rest = path.partition("/")
    return top in TAKEN_OVER and (top != REQUESTS or not rest or request_number(rest) is not None)


def staged(folder: Path, blob: str) -> Iterator[bytes]:
    """The bytes of a staged blob, from its pieces. Raises VerificationFailed when they are not what its name says."""
    digest = hashlib.sha256()
    for piece in sorted((folder / blob).glob("[0-9]*")):
        with open_regular(piece) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                yield chunk
    if digest.hexdigest() != blob:
        raise VerificationFailed(f"what is staged as {blob} is something else", left=KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What a tar holds, by relative paths, `.` for the folder that it is of. What it does not name is none of it.

    `unset` are files that had set-id bits, which would lend the rights of this host's user, and have none now.
    """

    files: frozenset[str]
    folders: frozenset[str]
    unset: tuple[str, ...]


def unpack_folder(chunks: Iterable[bytes], folder: Path, *, owners: bool, links: bool, room: int) -> Unpacked:
    """Unpack a tar into the new `folder`.

    Only files, folders and, with `links`, links are made, and nothing through a symlink; a setuid bit is none. With
    `owners` the owners of the tar are kept. Without `links` it is a bottle's state, all of it this user's alone. Raises
    VerificationFailed, or RemoteError where `room` bytes are too few.
    """
    folder.mkdir(mode=0o700)
    limits = Limits(entries=MOST_ENTRIES, size=room)
    entries = tuple(receive(within(chunks, room), folder, ".", limits, hard_links=links, special=False))
    with OpenTree(folder) as below:
        for entry in entries:
            if entry.type is EntryType.SYMLINK and not links:
                raise VerificationFailed(f"the state of a bottle holds a link, {entry.path[:80]!r}", left=KEPT)
            if entry.type is EntryType.FOLDER:
                below.folder(entry.path, make=True)
            elif entry.type is EntryType.SYMLINK:
                below.symlink(entry.path, entry.target)
        # What is in a folder first: one that nobody may write is made so when all is in it.
        for entry in sorted(entries, key=lambda each: top_down(each.path), reverse=True):
            _dress(below, entry, owners=owners, private=not links)
    return Unpacked(
        files=frozenset(entry.path for entry in entries if entry.type is EntryType.FILE),
        folders=frozenset(entry.path for entry in entries if entry.type is EntryType.FOLDER),
        unset=tuple(entry.path for entry in entries if entry.type is EntryType.FILE and entry.mode & _SET_IDS),
    )


def _dress(below: OpenTree, entry: Entry, *, owners: bool, private: bool) -> None:
    """Give what was unpacked its owner, mode and time. Raises VerificationFailed for those that no file can have."""
    mode = None if entry.type is EntryType.SYMLINK else entry.mode
    if mode is not None and private:
        mode = 0o700 if entry.type is EntryType.FOLDER else 0o600
    elif mode is not None:
        mode &= 0o3777 if entry.type is EntryType.FOLDER else 0o777
    try:
        below.dress(
            entry.path,
            mode=mode,
            owner=(entry.uid, entry.gid) if owners else None,
            mtime_ns=entry.mtime * 10**9 + entry.nanoseconds,
        )
    except OverflowError as exc:
        raise VerificationFailed(f"an owner or a time that cannot be: {entry.path[:80]!r}", left=KEPT) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedState:
    """What a state folder says. `commit` is the one in force.

    `dockerfile`: it has one of its own. `rebuild`: the next resume builds it.
    """

    metadata: Metadata
    commits: tuple[CommitRecord, ...]
    commit: CommitRecord
    dockerfile: bool
    rebuild: bool


def read_state(folder: Path, identity: Identity) -> ArrivedState:
    """What an unpacked state folder says of the bottle. Raises VerificationFailed."""
    for name in sorted(HOST_ONLY):
        if os.path.lexists(folder / name):
            raise VerificationFailed(f"the state that came holds {name}, which belongs to one host", left=KEPT)
    state = BottleState(identity, folder)
    try:
        metadata, commits, tag = state.metadata(), state.commits(), state.committed_image()
        transcript.read_index(state.transcript)
    except BottleError as exc:
        raise VerificationFailed(f"the state that came makes no sense: {exc.what}", left=KEPT) from exc
    _require_requests(state)
    commit = commit_in_force(commits, tag)
    if commit is None or commit.tag != identity.committed(commit.number):
        raise VerificationFailed("the history that came is not this bottle's", left=KEPT)
    if wrong := odd(metadata, commits, verb="migrate"):
        raise VerificationFailed(f"the state that came is refused: {wrong}", left=KEPT)
    return ArrivedState(
        metadata=metadata,
        commits=commits,
        commit=commit,
        dockerfile=state.own_dockerfile is not None,
        rebuild=state.rebuild_due,
    )


def _require_requests(state: BottleState) -> None:
    """See that `requests/` holds capability requests and nothing else, and that the marker `rebuild` is a file."""
    folder = state.path / REQUESTS
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    strange = sorted(name for name in names if request_number(name) is None)
    if strange:
        raise VerificationFailed(f"the state that came holds {REQUESTS}/{strange[0][:80]!r}", left=KEPT)
    if len(names) > MAX_KEPT:
        raise VerificationFailed(f"the state that came holds more than {MAX_KEPT} capability requests", left=KEPT)
    if (state.path / REBUILD).is_dir():
        raise VerificationFailed(f"the state that came holds {REBUILD}, which is no file", left=KEPT)
    try:
        requests = state.requests()
        for request in requests:
            require_sound(request, request.number)
    except (BottleError, ValueError) as exc:
        raise VerificationFailed(f"the requests that came make no sense: {exc}", left=KEPT) from exc
    if {f"{request.number}.json" for request in requests} != set(names):
        raise VerificationFailed("the requests that came have each other's numbers", left=KEPT)


def reopen_requests(state: BottleState) -> None:
    """Make what was approved elsewhere, and not carried out there, undecided: nobody has approved it here."""
    for request in state.requests():
        if request.status is RequestStatus.APPROVING:
            state.write_request(replace(request, status=RequestStatus.PENDING, note="", decided_at=None))


def links_to_here(folder: Path, places: Iterable[str]) -> tuple[str, ...]:
    """The links of an unpacked workspace that will lead out of it, to what is on this host.

    It will be at one of `places`. As in `migrate.contents.outside`, the system's own paths are in order.
    """
    top = os.path.realpath(folder)
    found = []
    for node in tree.walk(folder):
        if not node.is_symlink:
            continue
        text, leads = node.target(), os.path.realpath(f"{top}/{node.path}")
        if is_inside(leads, top):
            continue
        climbs = () if text.startswith("/") else places
        there = [os.path.realpath(f"{place}/{os.path.relpath(leads, top)}") for place in climbs]
        if any(os.path.lexists(each) and not is_system(each) for each in (leads, *there)):
            found.append(f"{node.path} -> {text}")
    return tuple(found)


def remove_unpacked(staging: Path, kind: str) -> None:
    """Take away what earlier moves had unpacked."""
    for old in staging.glob(f"{kind}-*"):
        tree.remove(old)


@contextmanager
def alone(staging: Path) -> Iterator[None]:
    """As `alone` in common.sh: wait for a script that still works on this bottle."""
    descriptor = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def within(chunks: Iterable[bytes], room: int) -> Iterator[bytes]:
    """`chunks`, passed through. Raises RemoteError when they are more than `room` bytes."""
    for chunk in chunks:
        room -= len(chunk)
        if room < 0:
            raise RemoteError("what came is larger than the space that is free here", left=KEPT)
        yield chunk
