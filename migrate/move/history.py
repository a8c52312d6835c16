"""The images of older commits: where the layers of the newest one are, each of those that it stands on lacks a config.

Their configs are read, and looked through for credentials, while the agent works; they are given to the engine there
once it has the newest image, in one archive without a layer, and each has to prove that it is the very same image.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bottle.errors import ConnectionLost, EngineError, NotFound, RemoteError, VerificationFailed
from bottle.model import CommitRecord, Store
from bottle.plan.copies import is_image_of, named_commits
from bottle.plan.history import standing_below
from bottle.ports import Silent
from bottle.words import counted
from migrate.host.destination import Destination
from migrate.host.payload import Payload, payloads_of
from migrate.image.load_archive import NamedImage, compose_upon
from migrate.image.reading import ImageReading
from migrate.move.image import Brought
from migrate.move.model import MoveFacts, MovePlan
from migrate.move.transfer import Transfer
from migrate.secrets.search import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Older:
    """The image of an older commit, by its config; `along` are the credentials in that which may leave, a line each."""

    commit: CommitRecord
    config: bytes
    along: tuple[str, ...]


class History:
    """Those of one move."""

    def __init__(self, transfer: Transfer, there: Destination, plan: MovePlan, facts: MoveFacts) -> None:
        """`facts` are those that `plan` was made of."""
        self._transfer = transfer
        self._there = replace(there, progress=Silent())
        self._codec = plan.layer_codec
        self._wanted = tuple(each for each in facts.commits if each.number in plan.history)
        self._is_asked_for = facts.history
        self._here = set(facts.imaged)
        self._arrived: set[int] = set()
        self._found: dict[int, _Older] = {}
        self.staged: tuple[Payload, ...] = ()
        self.along: tuple[str, ...] = ()

    def gather(self) -> None:
        """Read the configs of those that the plan names. One that cannot be had, or may not leave, stays: that is told.

        Raises PreflightRefused or StateDamaged where they cannot be kept here.
        """
        if not self._wanted:
            return
        images = counted(len(self._wanted), "older commit")
        with self._transfer.writing_here(), self._transfer.context.progress.phase(f"reading the configs of {images}"):
            for commit in self._wanted:
                try:
                    self._found[commit.number] = self._read(commit)
                except (EngineError, NotFound, VerificationFailed) as exc:
                    self._note(commit, exc.what)

    def fitting(self, newest: CommitRecord) -> tuple[int, ...]:
        """The numbers of those that can be had where the image of `newest` is."""
        older = (each.commit for each in self._found.values() if each.commit.number != newest.number)
        return tuple(each.number for each in standing_below(older, newest.diff_ids))

    def bring(self, newest: CommitRecord, brought: Brought) -> None:
        """Have those there that fit, proved, now that the image of `newest` is. Raises as `bring_image`."""
        older = [self._found[number] for number in self.fitting(newest)]
        known, transfer = brought.layers.blobs, self._transfer
        if self._there.host.store is Store.CONTAINERD and not all(map(known.__contains__, _layers(older))):
            numbers = named_commits([each.commit.number for each in older])
            transfer.context.progress.note(
                f"as what {transfer.remote.name} holds the layers of {numbers} is not known: their images stay here"
            )
            return
        if not older:
            return
        images = [NamedImage(config=each.config, diff_ids=each.commit.diff_ids, tag=self._tag(each)) for each in older]
        self._load(payloads_of(compose_upon(images, store=self._there.host.store, known=known)), older)
        self._arrived.update(each.commit.number for each in older)
        self.along = tuple(line for each in older for line in each.along)

    def came(self, commit: CommitRecord) -> None:
        """The image of a commit is there, proved, as it was the newest one."""
        self._here.add(commit.number)
        if self._is_asked_for:
            self._arrived.add(commit.number)

    def arrived(self, newest: CommitRecord) -> tuple[int, ...]:
        """The numbers of those that are there, besides `newest`."""
        return tuple(sorted(self._arrived - {newest.number}))

    def stays(self, newest: CommitRecord) -> tuple[int, ...]:
        """The numbers of those that are here, and are not there."""
        return tuple(sorted(self._here - self._arrived - {newest.number}))

    def _read(self, commit: CommitRecord) -> _Older:
        """The config of a commit's image. Raises VerificationFailed, NotFound or EngineError where it cannot leave."""
        context, search = self._transfer.context, self._transfer.search
        reading = ImageReading(context.layers, commit.tag, (), self._transfer.spool("layers", self._codec))
        if not is_image_of(reading.image, commit):
            raise VerificationFailed(f"{commit.tag} is another image by now")
        for _ in reading.layers(context.progress):
            pass
        subject = Subject(image=reading.image.id, own=(), read=lambda _: (reading.config, {}))
        finds = search.conclude(search.passage(()), subject)
        if refused := [str(find) for find in finds if not self._transfer.allowed.admits(find)]:
            raise VerificationFailed(f"credentials would leave this machine in it: {'; '.join(refused)}")
        return _Older(commit=commit, config=reading.config, along=tuple(map(str, finds)))

    def _load(self, order: list[Payload], older: list[_Older]) -> None:
        """Have the engine there take them, and each prove itself; what does not is forgotten there."""
        there, progress = self._there, self._transfer.context.progress
        there.uploader.send(order, f"sending to {there.shell.name}")
        self.staged = tuple(order)
        try:
            with progress.phase(f"loading the images of {counted(len(older), 'older commit')} on {there.shell.name}"):
                there.load(order, "the images of older commits")
                for each in older:
                    there.verify_image(each.commit, self._tag(each), config=each.config)
        except (RemoteError, VerificationFailed) as exc:
            if not isinstance(exc, ConnectionLost):
                self._forget(older)
                exc.next_step = f"{exc.next_step or 'the same command again'}   (without them: with --no-history)"
            raise

    def _forget(self, older: Iterable[_Older]) -> None:
        for each in older:
            self._there.unload(self._tag(each))

    def _tag(self, older: _Older) -> str:
        return self._there.identity.committed(older.commit.number)

    def _note(self, commit: CommitRecord, why: str) -> None:
        self._transfer.context.progress.note(f"the image of commit {commit.number} stays here: {why}")


def _layers(older: Iterable[_Older]) -> set[str]:
    return {diff_id for each in older for diff_id in each.commit.diff_ids}
