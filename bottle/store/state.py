"""The state folders under `$BOTTLE_HOME`: what is kept of each bottle, and who may write it.

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
  preserved                  marker: survives session-end cleanup
  rebuild                    marker: its own Dockerfile is newer than the last commit, and resume builds it
  requests/<number>.json     capability requests, taken in from the bottle
  migration.json             a move in flight
  moved-to.json              the tombstone of a bottle that lives elsewhere
  arrived                    the nonces of the moves that brought the bottle here
  lock                       the file lock of the one writer
```
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bottle.agent.admission import beyond_reckoning
from bottle.errors import AmbiguousIdentity, InvalidIdentity, NameTaken, NotFound, StateDamaged
from bottle.files import tree
from bottle.files.atomic import cannot_write, recover_tree, remove_file, sync_folder, write_atomic
from bottle.files.regular import read_regular
from bottle.model import (
    CapabilityRequest,
    CommitIntent,
    CommitRecord,
    Metadata,
    MigrationRecord,
    ResumeIntent,
    Tombstone,
)
from bottle.naming import Identity, is_identity_prefix
from bottle.store import lock, serial, temporary
from bottle.suggest import did_you_mean
from bottle.text import printable

T = TypeVar("T")

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
LOCK = "lock"

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
        f"{TRANSCRIPT}.old",
        f"{TRANSCRIPT}.new",
    }
)

DRAFT = ".draft"
_DELETED = ".deleted"

_REQUEST = re.compile(r"([1-9][0-9]{0,8})\.json")


@dataclass(frozen=True, slots=True)
class BottleState:
    """One bottle's state folder. Reading needs no lock; whoever writes holds `locked`."""

    identity: Identity
    path: Path

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
        metadata = self._document(METADATA, _metadata_from_json)
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
            return serial.name_in(read_regular(self.path / METADATA))
        except OSError:
            return None

    def write_metadata(self, metadata: Metadata) -> None:
        """Keep what the bottle is."""
        write_atomic(self.path / METADATA, serial.dump(serial.metadata_to_json(metadata)))

    def commits(self) -> tuple[CommitRecord, ...]:
        """The history, oldest first."""
        return self._document(COMMITS, _commits_from_json) or ()

    def append_commit(self, commit: CommitRecord) -> None:
        """Add one commit to the history."""
        self.write_commits((*self.commits(), commit))

    def write_commits(self, commits: tuple[CommitRecord, ...]) -> None:
        """Replace the history."""
        document = serial.dump({"commits": [serial.commit_to_json(each) for each in commits]})
        write_atomic(self.path / COMMITS, document)

    def committed_image(self) -> str | None:
        """The tag that resume uses, or None when the bottle was never committed."""
        data = self._read(COMMITTED_IMAGE)
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

    def intent(self) -> CommitIntent | None:
        """The commit that was begun and has not been finished."""
        return self._document(COMMIT_INTENT, serial.intent_from_json)

    def write_intent(self, intent: CommitIntent) -> None:
        """Note that a commit begins."""
        write_atomic(self.path / COMMIT_INTENT, serial.dump(serial.intent_to_json(intent)))

    def clear_intent(self) -> None:
        """The commit is done, or is known not to have happened."""
        remove_file(self.path / COMMIT_INTENT)

    def container_id(self) -> str | None:
        """The id of the container that was made last for the bottle; None where an earlier version made it."""
        data = self._read(CONTAINER)
        return None if data is None else data.decode("ascii", "replace").strip()

    def write_container_id(self, container_id: str) -> None:
        """Keep which container is the bottle's."""
        write_atomic(self.path / CONTAINER, f"{container_id}\n".encode())

    def former_containers(self) -> frozenset[str]:
        """The ids of containers from before a move brought the bottle back here, which are its own no more."""
        data = self._read(FORMER)
        return frozenset() if data is None else frozenset(data.decode("ascii", "replace").split())

    def resume_intent(self) -> ResumeIntent | None:
        """The new container that was begun and is not known to be whole."""
        return self._document(RESUME_INTENT, serial.resume_intent_from_json)

    def write_resume_intent(self, intent: ResumeIntent) -> None:
        """Note that a new container is being made, and how far that has come."""
        write_atomic(self.path / RESUME_INTENT, serial.dump(serial.resume_intent_to_json(intent)))

    def clear_resume_intent(self) -> None:
        """No container is in the making."""
        remove_file(self.path / RESUME_INTENT)

    @property
    def paused_by(self) -> str | None:
        """What its container was paused for, such as "a commit"; it is to go on. Earlier versions noted forks only."""
        data = self._read(PAUSED)
        return None if data is None else printable(data.decode("utf-8", "replace").strip(), 40) or "a fork"

    def mark_paused(self, by: str) -> None:
        """Note that the container is to be paused, and to go on whatever becomes of this process."""
        write_atomic(self.path / PAUSED, f"{by}\n".encode())

    def clear_paused(self) -> None:
        """The container goes on, or is known not to be paused."""
        remove_file(self.path / PAUSED)

    def tombstone(self) -> Tombstone | None:
        """Where the bottle lives now, when that is elsewhere."""
        return self._document(TOMBSTONE, serial.tombstone_from_json)

    def write_tombstone(self, tombstone: Tombstone) -> None:
        """The bottle lives elsewhere from now on."""
        write_atomic(self.path / TOMBSTONE, serial.dump(serial.tombstone_to_json(tombstone)))

    def clear_tombstone(self) -> None:
        """The bottle lives here again."""
        remove_file(self.path / TOMBSTONE)

    def migration(self) -> MigrationRecord | None:
        """The move in flight."""
        return self._document(MIGRATION, serial.migration_from_json)

    def write_migration(self, record: MigrationRecord) -> None:
        """Note how far a move has come."""
        write_atomic(self.path / MIGRATION, serial.dump(serial.migration_to_json(record)))

    def clear_migration(self) -> None:
        """No move is in flight."""
        remove_file(self.path / MIGRATION)

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
        found = (self._document(f"{REQUESTS}/{name}", serial.request_from_json) for name in names)
        return tuple(sorted((each for each in found if each is not None), key=lambda each: each.number))

    def write_request(self, request: CapabilityRequest) -> None:
        """Keep a capability request as it stands."""
        folder = self.path / REQUESTS
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.path)
        except OSError as exc:
            raise cannot_write(folder, exc) from exc
        write_atomic(folder / f"{request.number}.json", serial.dump(serial.request_to_json(request)))

    @property
    def transcript(self) -> Path:
        """Where the last snapshot of the transcript is, if there is one."""
        return self.path / TRANSCRIPT

    def sweep(self) -> None:
        """Clear away what writers that died left behind, and put a transcript back that one was replacing."""
        try:
            recover_tree(self.transcript)
            tree.discard(self.path / f"{TRANSCRIPT}.new")
            for left in (*self.path.glob(".*.tmp"), *self.path.glob(f"{REQUESTS}/.*.tmp")):
                left.unlink()
            for note in (temporary.OUTSIDE, temporary.PLACED):  # of an import that came to its end
                (self.path / note).unlink(missing_ok=True)
        except OSError as exc:
            raise cannot_write(self.path, exc) from exc

    def delete(self) -> None:
        """Delete all that is kept of the bottle; the folder leaves its name in one step, so no half of it is seen."""
        doomed = self.path.with_name(f".{self.path.name}{_DELETED}")
        try:
            tree.discard(doomed)
            self.path.rename(doomed)
            sync_folder(self.path.parent)
            tree.remove(doomed)
        except OSError as exc:
            raise cannot_write(self.path, exc) from exc

    def _document(self, name: str, read: Callable[[serial.Json], T]) -> T | None:
        data = self._read(name)
        return None if data is None else serial.load(data, self.path / name, read)

    def _read(self, name: str) -> bytes | None:
        path = self.path / name
        try:
            return read_regular(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise StateDamaged(
                f"cannot read {path}: {exc.strerror}", left="nothing was changed", next_step=f"ls -l {path}"
            ) from exc


@dataclass(frozen=True, slots=True)
class StateHome:
    """`$BOTTLE_HOME`: the state folders of all bottles."""

    path: Path

    @property
    def states(self) -> Path:
        """The folder of state folders."""
        return self.path / "state"

    def bottle(self, identity: Identity) -> BottleState:
        """The state folder of `identity`, whether it exists or not."""
        return BottleState(identity, self.states / str(identity))

    def create(self, metadata: Metadata) -> BottleState:
        """Make the state folder of a new bottle, whole from the moment that it has its name. Raises NameTaken."""
        draft, state = self.draft(metadata.identity), self.bottle(metadata.identity)
        try:
            self.states.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.path.mkdir(mode=0o700)
        except FileExistsError as exc:
            raise NameTaken(f"{draft.path} exists already", next_step="run the same command again") from exc
        except OSError as exc:
            raise cannot_write(draft.path, exc) from exc
        try:
            with draft.locked("bottle start"):
                draft.write_metadata(metadata)
                return self.adopt(draft)
        except BaseException:
            tree.discard(draft.path if draft.path.exists() else state.path)
            raise

    def draft(self, identity: Identity) -> BottleState:
        """The folder in which a bottle is put together that is not one yet; `adopt` makes it one."""
        return BottleState(identity, self.states / f".{identity}{DRAFT}")

    def adopt(self, draft: BottleState) -> BottleState:
        """Make a bottle of a draft that has all it needs, in one step. Raises NameTaken."""
        state = self.bottle(draft.identity)
        try:
            tree.sync(draft.path)
            if state.path.exists():
                raise NameTaken(f"{state.path} exists already", next_step="run the same command again")
            draft.path.rename(state.path)
            sync_folder(self.states)
        except OSError as exc:
            raise cannot_write(state.path, exc) from exc
        return state

    def keep_arrivals(self, identity: Identity) -> None:
        """Keep beyond a deletion which moves arrived: a host whose move was cut may still ask, and take it back."""
        known, kept = self.bottle(identity).path / ARRIVED, self.path / ARRIVED / str(identity)
        if not known.exists():
            return
        try:
            nonces = {line for file in (known, kept) if file.exists() for line in read_regular(file).splitlines()}
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.path)
        except OSError as exc:
            raise cannot_write(kept, exc) from exc
        write_atomic(kept, b"".join(line + b"\n" for line in sorted(nonces)))

    def has_replaced(self, identity: Identity) -> bool:
        """Whether an arrival was cut between taking a former state folder away and putting the new one there."""
        return temporary.replaced(self.path, identity).is_dir() and not self.bottle(identity).path.exists()

    def put_back(self, identity: Identity) -> None:
        """Give a state folder that such an arrival took away its name back."""
        if not self.has_replaced(identity):
            return
        try:
            temporary.replaced(self.path, identity).rename(self.bottle(identity).path)
            sync_folder(self.states)
        except OSError as exc:
            raise cannot_write(self.bottle(identity).path, exc) from exc

    def leftovers(self) -> tuple[Path, ...]:
        """Folders of drafts and of deletions whose process died, or is at it now."""
        try:
            names = sorted(entry.name for entry in self.states.iterdir() if entry.is_dir())
        except OSError:
            return ()
        return tuple(self.states / name for name in names if leftover_of(name) is not None)

    def identities(self) -> tuple[Identity, ...]:
        """Every bottle that has a state folder here, sorted."""
        try:
            names = [entry.name for entry in self.states.iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise StateDamaged(f"cannot read {self.states}: {exc.strerror}", next_step=f"ls -ld {self.states}") from exc
        found = []
        for name in names:
            try:
                found.append(Identity.parse(name))
            except InvalidIdentity:
                continue  # a folder that is not ours
        return tuple(sorted(found))

    def named(self, name: str) -> tuple[Identity, ...]:
        """The bottles with this second name: one, but for those that came here with a name that one here had."""
        return tuple(identity for identity in self.identities() if self._name(identity) == name)

    def require_free(self, name: str, *, but: Identity | None = None) -> None:
        """Refuse a second name that means a bottle here `but` one, or is the beginning of its identity. NameTaken."""
        left = "nothing was changed"
        for other in self.identities():
            if other == but:
                continue
            if self._name(other) == name:
                raise NameTaken(
                    f"the name {name} is that of {other}",
                    left=left,
                    next_step=f"another --name, or: bottle resume {name}",
                )
            if str(other).startswith(name):
                what = f"the name {name} is the beginning of {other}, and means that"
                raise NameTaken(what, left=left, next_step="bottle list")

    def find(self, text: str) -> BottleState:
        """The bottle that is meant by an identity, a second name, or an unambiguous beginning of an identity.

        In this order: a name hides what it is the beginning of. Raises InvalidIdentity, NotFound or AmbiguousIdentity.
        """
        if not is_identity_prefix(text):
            Identity.parse(text)
        identities = self.identities()
        matches = [identity for identity in identities if str(identity).startswith(text)]
        exact = [identity for identity in matches if str(identity) == text]
        match exact or self.named(text) or matches:
            case [identity]:
                return self.bottle(identity)
            case []:
                near = did_you_mean(text, [*map(str, identities), *filter(None, map(self._name, identities))])
                raise NotFound(f"there is no bottle {text!r} in {self.states}{near}", next_step="bottle list")
            case several:
                names = ", ".join(map(str, several[:8])) + (" …" if len(several) > 8 else "")
                raise AmbiguousIdentity(f"{text!r} fits {len(several)} bottles: {names}", next_step="type more of it")

    def meant(self, text: str) -> Identity | None:
        """The bottle that `find` finds, None where there is none. Raises AmbiguousIdentity."""
        try:
            return self.find(text).identity
        except (InvalidIdentity, NotFound):
            return None

    def _name(self, identity: Identity) -> str | None:
        return self.bottle(identity).name


def request_number(name: str) -> int | None:
    """Which request a file in `requests/` holds, by its name."""
    match = _REQUEST.fullmatch(name)
    return int(match[1]) if match is not None else None


def leftover_of(name: str) -> Identity | None:
    """Whose draft or deletion a folder among the state folders is, by its name."""
    for ending in (DRAFT, _DELETED):
        if name.startswith(".") and name.endswith(ending):
            try:
                return Identity.parse(name[1:].removesuffix(ending))
            except InvalidIdentity:
                return None
    return None


def _metadata_from_json(data: serial.Json) -> Metadata:
    metadata = serial.metadata_from_json(data)
    for line in beyond_reckoning(metadata.agent):
        raise ValueError(line)
    return metadata


def _commits_from_json(data: serial.Json) -> tuple[CommitRecord, ...]:
    commits = tuple(map(serial.commit_from_json, serial.tables(data, "commits")))
    numbers = [commit.number for commit in commits]
    if numbers != sorted(set(numbers)):
        raise ValueError("commit numbers must rise")
    return commits
