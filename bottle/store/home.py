"""`$BOTTLE_HOME`: the state folders of all bottles, made, found and named."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import AmbiguousIdentity, InvalidIdentity, NameTaken, NotFound, StateDamaged
from bottle.files import tree
from bottle.files.atomic import cannot_write, sync_folder, write_atomic, writing
from bottle.files.regular import read_regular
from bottle.model import Metadata
from bottle.naming import Identity, is_identity_prefix
from bottle.store import temporary
from bottle.store.state import ARRIVED, DRAFT, BottleState, leftover_of
from bottle.suggest import did_you_mean


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

    @contextmanager
    def drafted(self, identity: Identity, purpose: str, undo: Callable[[BottleState], object]) -> Iterator[BottleState]:
        """A draft, locked. Where something fails before it is a bottle, `undo` takes away what was made for it."""
        draft = self.draft(identity)
        with writing(draft.path):
            self.states.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.path.mkdir(mode=0o700)
        try:
            with draft.locked(purpose):
                yield draft
        except BaseException:
            if not self.bottle(identity).exists():
                undo(draft)
            raise

    def adopt(self, draft: BottleState) -> BottleState:
        """Make a bottle of a draft that has all it needs, in one step. Raises NameTaken."""
        state = self.bottle(draft.identity)
        with writing(state.path):
            tree.sync(draft.path)
            if state.path.exists():
                raise NameTaken(f"{state.path} exists already", next_step="run the same command again")
            draft.path.rename(state.path)
            sync_folder(self.states)
        return state

    def keep_arrivals(self, identity: Identity) -> None:
        """Keep beyond a deletion which moves arrived: a host whose move was cut may still ask, and take it back."""
        known, kept = self.bottle(identity).path / ARRIVED, self.path / ARRIVED / str(identity)
        if not known.exists():
            return
        with writing(kept):
            nonces = {line for file in (known, kept) if file.exists() for line in read_regular(file).splitlines()}
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.path)
        write_atomic(kept, b"".join(line + b"\n" for line in sorted(nonces)))

    def has_replaced(self, identity: Identity) -> bool:
        """Whether an arrival was cut between taking a former state folder away and putting the new one there."""
        return temporary.replaced(self.path, identity).is_dir() and not self.bottle(identity).path.exists()

    def put_back(self, identity: Identity) -> None:
        """Give a state folder that such an arrival took away its name back."""
        if not self.has_replaced(identity):
            return
        with writing(self.bottle(identity).path):
            temporary.replaced(self.path, identity).rename(self.bottle(identity).path)
            sync_folder(self.states)

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
