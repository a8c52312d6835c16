"""A bottle's state folder: what is kept of it, and who may write it.

```
state/<identity>/            0700
  metadata.json              what the bottle is
  Dockerfile                 optional: its own, from an approved capability request
  committed-image            optional: the tag that resume uses, one line of text
  commits.json               the history
  commit-intent.json         a commit in flight
  resume-intent.json         a new container in the making
  container                  the id of its container, as a name can be changed
  former                     the ids of containers that it left here when it moved away, and that are not its own since
  paused                     what its container was paused for, which is to go on
  transcript/                the last snapshot of the agent's transcript
  trees/<number>             what its container had written at a commit, to tell later what has changed since
  preserved                  marker: survives session-end cleanup
  rebuild                    marker: its own Dockerfile is newer than the last commit, and resume builds it
  requests/<number>.json     capability requests, taken in from the bottle
  migration.json             a move in flight
  scanned.json               what is known of credentials in its layers
  moved-to.json              the tombstone of a bottle that lives elsewhere
  standby.json               the host that has a standby of it
  copies.json                the copies that it has on other hosts
  copy                       what this folder held when it came as a copy: while it does, nobody has worked on that
  volumes                    what the volumes of a copy held as they came
  volumes-before             the same of those that it had until it was brought up to date
  workspace-left             the workspace that it left here, or that came with a copy, as it was then
  arrived                    the nonces of the moves that brought the bottle here
  lock                       the file lock of the one writer
```
"""

import re
from collections.abc import Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bottle.agent.admission import beyond_reckoning
from bottle.errors import InvalidIdentity, StateDamaged
from bottle.files import tree
from bottle.files.atomic import recover_tree, remove_file, sync_folder, write_atomic, writing
from bottle.files.regular import read_regular
from bottle.model import (
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    CopiesThere,
    LayerScans,
    Metadata,
    MigrationRecord,
    ResumeIntent,
    Standby,
    Tombstone,
)
from bottle.naming import Identity
from bottle.store import lock, temporary
from bottle.store.document import Document, StoredDocument, read_kept
from bottle.store.kept import CommitHistory, name_in
from bottle.text import printable

METADATA = "metadata.json"
COMMITS = "commits.json"
COMMITTED_IMAGE = "committed-image"
COMMIT_INTENT = "commit-intent.json"
RESUME_INTENT = "resume-intent.json"
CONTAINER = "container"
FORMER = "former"
PAUSED = "paused"
PRESERVED = "preserved"
REBUILD = "rebuild"
REQUESTS = "requests"
TOMBSTONE = "moved-to.json"
MIGRATION = "migration.json"
DOCKERFILE = "Dockerfile"
TRANSCRIPT = "transcript"
ARRIVED = "arrived"
SCANNED = "scanned.json"
WORKSPACE_LEFT = "workspace-left"
STANDBY = "standby.json"
COPIES = "copies.json"
COPY = "copy"
VOLUMES = "volumes"
VOLUMES_BEFORE = "volumes-before"
LOCK = "lock"
TREES = "trees"

# What of a state folder is of this host alone: it goes to no other one, and what comes from one holds none of it.
HOST_ONLY = frozenset(
    {
        LOCK,
        MIGRATION,
        TOMBSTONE,
        COMMIT_INTENT,
        RESUME_INTENT,
        CONTAINER,
        FORMER,
        PAUSED,
        ARRIVED,
        TREES,
        SCANNED,
        WORKSPACE_LEFT,
        STANDBY,
        COPIES,
        COPY,
        VOLUMES,
        VOLUMES_BEFORE,
        f"{TRANSCRIPT}.old",
        f"{TRANSCRIPT}.new",
    }
)

DRAFT = ".draft"
DELETED = ".deleted"

_REQUEST = re.compile(r"([1-9][0-9]{0,8})\.json")


def _require_reckonable(metadata: Metadata) -> None:
    for line in beyond_reckoning(metadata.agent):
        raise ValueError(line)


def _require_rising(history: CommitHistory) -> None:
    numbers = [commit.number for commit in history.commits]
    if numbers != sorted(set(numbers)):
        raise ValueError("commit numbers must rise")


@dataclass(frozen=True, slots=True)
class BottleState:
    """One bottle's state folder. Reading needs no lock; whoever writes holds `locked`."""

    identity: Identity
    path: Path

    intent = Document(COMMIT_INTENT, CommitIntent)  # a commit that was begun and has not been finished
    resume_intent = Document(RESUME_INTENT, ResumeIntent)  # a new container that is not known to be whole
    migration = Document(MIGRATION, MigrationRecord)  # a move in flight
    tombstone = Document(TOMBSTONE, Tombstone)  # where the bottle lives now, when that is elsewhere
    standby = Document(STANDBY, Standby)  # on another host
    copies = Document(COPIES, CopiesThere)  # on other hosts
    scanned = Document(SCANNED, LayerScans)  # what need not be looked through again; missing, it is only slower
    _metadata = Document(METADATA, Metadata, _require_reckonable)
    _history = Document(COMMITS, CommitHistory, _require_rising)

    def exists(self) -> bool:
        """Whether there is such a folder."""
        return self.path.is_dir()

    @property
    def locked_by(self) -> str | None:
        """Who is working on it right now, in words, as far as that can be told."""
        return lock.holder(self.path / LOCK)

    def locked(self, purpose: str, *, brief: bool = False) -> AbstractContextManager[None]:
        """Be the one writer while the context is open; others wait for a `brief` one. Raises Locked, naming it."""
        return lock.hold(self.path / LOCK, subject=str(self.identity), purpose=purpose, brief=brief)

    def metadata(self) -> Metadata:
        """What the bottle is. Raises StateDamaged, or StateTooNew."""
        metadata = self._metadata.read()
        if metadata is None:
            raise StateDamaged(
                f"{self.path} has no {METADATA}",
                left="nothing was changed",
                next_step=f"ls -la {self.path}",
            )
        if metadata.identity != self.identity:
            raise StateDamaged(
                f"{self.path / METADATA} speaks of {metadata.identity}, not of {self.identity}",
                left="nothing was changed",
                next_step=f"ls -la {self.path}",
            )
        return metadata

    @property
    def name(self) -> str | None:
        """The bottle's second name, if it has one and its metadata can be read."""
        try:
            return name_in(read_regular(self.path / METADATA))
        except OSError:
            return None

    def write_metadata(self, metadata: Metadata) -> None:
        """Keep what the bottle is."""
        self._metadata.write(metadata)

    def commits(self) -> tuple[CommitRecord, ...]:
        """The history, oldest first."""
        history = self._history.read()
        return history.commits if history is not None else ()

    def append_commit(self, commit: CommitRecord) -> None:
        """Add one commit to the history."""
        self.write_commits((*self.commits(), commit))

    def write_commits(self, commits: tuple[CommitRecord, ...]) -> None:
        """Replace the history."""
        self._history.write(CommitHistory(commits=commits))

    def index(self, number: int) -> Path:
        """Where the index of commit `number` is, if it has one."""
        return self.path / TREES / str(number)

    def keep_indexes(self, numbers: Set[int]) -> None:
        """Throw away the indexes of all commits but these."""
        folder = self.path / TREES
        with writing(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            for path in folder.iterdir():
                if not path.name.isdecimal() or int(path.name) not in numbers:
                    path.unlink()

    def committed_image(self) -> str | None:
        """The tag that resume uses, or None when the bottle was never committed."""
        data = read_kept(self.path / COMMITTED_IMAGE)
        if data is None:
            return None
        tag = data.decode("utf-8", "replace").strip()
        if not tag or len(tag.split()) != 1:
            raise StateDamaged(
                f"{self.path / COMMITTED_IMAGE} is damaged: expected one tag, found {tag[:60]!r}",
                left="nothing was changed",
                next_step=f"docker image ls {self.identity.committed_repository}",
            )
        return tag

    def write_committed_image(self, tag: str) -> None:
        """Make `tag` the image that resume uses."""
        write_atomic(self.path / COMMITTED_IMAGE, f"{tag}\n".encode())

    def container_id(self) -> str | None:
        """The id of the container that was made last for the bottle; None where an earlier version made it."""
        data = read_kept(self.path / CONTAINER)
        return None if data is None else data.decode("ascii", "replace").strip()

    def write_container_id(self, container_id: str) -> None:
        """Keep which container is the bottle's."""
        write_atomic(self.path / CONTAINER, f"{container_id}\n".encode())

    def former_containers(self) -> frozenset[str]:
        """The ids of containers from before a move brought the bottle back here, which are its own no more."""
        data = read_kept(self.path / FORMER)
        return frozenset() if data is None else frozenset(data.decode("ascii", "replace").split())

    @property
    def paused_by(self) -> str | None:
        """What its container was paused for, such as "a commit"; it is to go on. Earlier versions noted forks only."""
        data = read_kept(self.path / PAUSED)
        return None if data is None else printable(data.decode("utf-8", "replace").strip(), 40) or "a fork"

    def mark_paused(self, by: str) -> None:
        """Note that the container is to be paused, and to go on whatever becomes of this process."""
        write_atomic(self.path / PAUSED, f"{by}\n".encode())

    def clear_paused(self) -> None:
        """The container goes on, or is known not to be paused."""
        remove_file(self.path / PAUSED)

    def note_workspace_left(self, listing: bytes | None) -> None:
        """Keep what the workspace was that it leaves here; None where nobody shall go by that."""
        path = self.path / WORKSPACE_LEFT
        if listing is None:
            remove_file(path)
        else:
            write_atomic(path, listing)

    def workspace_left(self) -> bytes | None:
        """What `note_workspace_left` keeps."""
        return read_kept(self.path / WORKSPACE_LEFT)

    @property
    def preserved(self) -> bool:
        """Whether the bottle survives the clean-up at the end of a session."""
        return (self.path / PRESERVED).exists()

    def mark_preserved(self) -> None:
        """Keep the bottle when its session ends."""
        write_atomic(self.path / PRESERVED, b"")

    @property
    def own_dockerfile(self) -> Path | None:
        """The bottle's own Dockerfile, if a capability request was approved."""
        path = self.path / DOCKERFILE
        return path if path.is_file() else None

    def write_own_dockerfile(self, content: str) -> None:
        """Give the bottle a Dockerfile of its own; images are built from it where one must be built."""
        write_atomic(self.path / DOCKERFILE, content.encode())

    @property
    def rebuild_due(self) -> bool:
        """Whether the own Dockerfile is newer than the last commit, so that `resume` is to build it."""
        return (self.path / REBUILD).exists()

    def mark_rebuild(self) -> None:
        """Have `resume` build the own Dockerfile, until a commit is put in force again."""
        write_atomic(self.path / REBUILD, b"")

    def clear_rebuild(self) -> None:
        """A commit is in force again."""
        remove_file(self.path / REBUILD)

    def requests(self) -> tuple[CapabilityRequest, ...]:
        """The capability requests that were taken in, by number."""
        folder = self.path / REQUESTS
        try:
            names = [entry.name for entry in folder.iterdir() if request_number(entry.name) is not None]
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise StateDamaged(f"cannot read {folder}: {exc.strerror}", next_step=f"ls -ld {folder}") from exc
        found = (StoredDocument(folder / name, CapabilityRequest).read() for name in names)
        return tuple(sorted((each for each in found if each is not None), key=lambda each: each.number))

    def write_request(self, request: CapabilityRequest) -> None:
        """Keep a capability request as it stands."""
        folder = self.path / REQUESTS
        with writing(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.path)
        StoredDocument(folder / f"{request.number}.json", CapabilityRequest).write(request)

    @property
    def transcript(self) -> Path:
        """Where the last snapshot of the transcript is, if there is one."""
        return self.path / TRANSCRIPT

    def sweep(self) -> None:
        """Clear away what writers that died left behind, and put a transcript back that one was replacing."""
        with writing(self.path):
            recover_tree(self.transcript)
            tree.discard(self.path / f"{TRANSCRIPT}.new")
            for folder in (self.path, self.path / REQUESTS, self.path / TREES):
                for left in folder.glob(".*.tmp"):
                    left.unlink()
            for note in (temporary.OUTSIDE, temporary.PLACED):  # of an import that came to its end
                (self.path / note).unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete all that is kept of the bottle; the folder leaves its name in one step, so no half of it is seen."""
        doomed = self.path.with_name(f".{self.path.name}{DELETED}")
        with writing(self.path):
            tree.discard(doomed)
            self.path.rename(doomed)
            sync_folder(self.path.parent)
            tree.remove(doomed)


def request_number(name: str) -> int | None:
    """Which request a file in `requests/` holds, by its name."""
    match = _REQUEST.fullmatch(name)
    return int(match[1]) if match is not None else None


def leftover_of(name: str) -> Identity | None:
    """Whose draft or deletion a folder among the state folders is, by its name."""
    for ending in (DRAFT, DELETED):
        if name.startswith(".") and name.endswith(ending):
            try:
                return Identity.parse(name[1:].removesuffix(ending))
            except InvalidIdentity:
                return None
    return None
