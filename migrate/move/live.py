"""A move while the agent works: rounds that bring what has changed, and a last one for which it stops.

Each round is a commit, loaded and proved there, and the workspace as it is by then. Until it is stopped the agent
notices nothing but the pauses of the commits. Where the last round fails, it is brought back here.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from bottle.errors import BottleError
from bottle.model import CommitRecord, MigrationPhase
from bottle.operations.commit import commit_locked
from bottle.operations.firstmoments import see_it_run
from bottle.operations.resume import resume_locked
from bottle.operations.settle import settle
from bottle.operations.still import stopped
from bottle.plan.resume import ResumeRequest
from bottle.words import seconds, size
from migrate.contents.archive import Tarball
from migrate.contents.outside import volumes_of
from migrate.contents.packing import Packed
from migrate.host.destination import Destination, ResumedThere
from migrate.host.payload import Payload, total
from migrate.move.facts import Observed
from migrate.move.files import (
    beside,
    follow_workspace,
    pack_at_first,
    pack_files,
    require_what_was_planned,
    send_update,
    stage_files,
    stage_update,
    stage_workspace,
)
from migrate.move.history import History
from migrate.move.image import Brought, bring_image
from migrate.move.model import Delivered, MovePlan, Round
from migrate.move.rounds import downtime, is_last, require_short
from migrate.move.transfer import AGAIN, Transfer
from migrate.move.volumes import LiveVolumes

_Packed = tuple[tuple[Tarball, ...], Callable[[], None]]  # and what puts it there once it was sent


class LiveMove:
    """One move in rounds, of a bottle that runs. `rounds` are those that are over, but for the last one."""

    def __init__(
        self, transfer: Transfer, there: Destination, plan: MovePlan, seen: Observed, history: History
    ) -> None:
        """`seen` is what `plan` was made of."""
        self._transfer = transfer
        self._there = there
        self._plan = plan
        self._images = seen.images
        self._facts = seen.facts
        self._history = history
        self._volumes = LiveVolumes(transfer, there, plan)
        self._followed = pack_at_first(transfer, there, plan)
        self._brought: Brought | None = None
        self._staged: list[Payload] = []
        self._along: dict[str, None] = {}
        self._dropped: dict[str, None] = {}
        self.rounds: list[Round] = []
        self.stopped_at: float | None = None  # as `time.monotonic` has it

    def approach(self) -> None:
        """Bring what there is, and what has changed meanwhile, until stopping the agent is all that is left.

        Raises PreflightRefused where it would stand still for longer than it may, and what a commit and a move raise.
        """
        transfer, options = self._transfer, self._transfer.options
        while not (self.rounds and is_last(self.rounds, options.rounds)):
            try:
                commit, done = self._round(len(self.rounds) + 1)
                self._bring_history(commit)
            except BottleError as exc:
                exc.left = exc.left or f"{transfer.left}; what was staged there is used by the next run"
                raise
            self.rounds.append(done)
            transfer.context.progress.note(
                f"round {len(self.rounds)}: commit {done.commit}, {size(done.staged)} in {seconds(done.seconds)}"
            )
        with transfer.writing_here():
            require_what_was_planned(transfer, self._plan, self._followed, transfer.left)
        identity, host, whole = transfer.identity, transfer.remote.name, self._size_of_whole_volumes()
        if options.max_downtime is not None:
            require_short(self.rounds, whole, options.max_downtime, identity=identity, host=host)
        still = f", for about {seconds(downtime(self.rounds, whole))}" if whole is not None else ""
        transfer.context.progress.note(f"the last round: the agent is stopped{still}")

    def finish(self) -> Delivered:
        """Stop the agent, and bring the rest."""
        transfer, there, plan = self._transfer, self._there, self._plan
        container = transfer.context.container(transfer.identity)
        runs = container is not None and container.status.alive
        if runs:
            transfer.note(MigrationPhase.QUIESCING, stopped=True)
            self.stopped_at = time.monotonic()
        with stopped(
            transfer.context, transfer.state, running=runs, message=f"moved to {transfer.remote.name}"
        ) as commit:
            volumes = self._volumes.pack(commit)
            apart = self._volumes.followed
            packed = pack_files(transfer, plan, commit, self._followed, apart=apart)
        self._bring(commit, volumes, packed)
        if missed := apart - self._volumes.followed:
            packed = self._send_whole(packed, commit, missed)
        stage_files(transfer, there, packed, commit)
        follow_workspace(transfer, plan, packed, lambda update: send_update(transfer, there, update))
        return Delivered(
            commit=commit,
            packed=packed,
            staged=total((*self._staged, *beside(packed))),
            along=tuple(self._along),
            dropped=(*self._dropped, *packed.lost),
            history=self._history.arrived(commit),
            history_stays=self._history.stays(commit),
        )

    @contextmanager
    def brought_back(self) -> Iterator[None]:
        """Where what is done within fails, have the agent go on here, if it was stopped for it."""
        try:
            yield
        except Exception as exc:
            if self.stopped_at is not None:
                self._bring_back(exc)
            raise

    def _bring_back(self, error: Exception) -> None:
        """Say in an error of ours what has become of the agent."""
        context, state, staying = self._transfer.context, self._transfer.state, self._transfer.staying
        record = state.migration.read()
        if state.tombstone.read() is not None or (record and record.phase is MigrationPhase.HANDING_OFF):
            return  # the other host has it, or may have it: what went wrong says so
        told = error if isinstance(error, BottleError) else BottleError("")
        try:
            settle(context, state)
            resumed = resume_locked(context, state, ResumeRequest())
            see_it_run(context, state.identity, resumed.container)
        except BottleError as exc:
            context.progress.note(f"its agent could not be started again here: {exc.what}")
            told.left = "this host still owns the bottle, which is stopped, with all its work"
            told.next_step = f"bottle resume {state.identity}   (or {AGAIN})"
            return
        for warning in resumed.warnings:
            context.progress.note(warning)
        self._transfer.note(MigrationPhase.STAGING, stopped=False)
        told.left = "this host still owns the bottle, and its agent goes on here"
        told.next_step = told.next_step.replace(staying, "") or AGAIN

    def stood_still(self, resumed: ResumedThere | None) -> float | None:
        """For how many seconds no agent has worked anywhere, now that it was resumed there; None where none did."""
        if self.stopped_at is None or resumed is None:
            return None
        return max(time.monotonic() - self.stopped_at - (resumed.running or 0.0), 0.0)

    def _bring_history(self, commit: CommitRecord) -> None:
        """Have the images of older commits there, once, while the agent works; that of each round's is by now."""
        if not self.rounds and self._brought is not None:
            self._history.bring(commit, self._brought)
            self._staged += self._history.staged
            self._along |= dict.fromkeys(self._history.along)
        self._history.came(commit)

    def _round(self, number: int) -> tuple[CommitRecord, Round]:
        began, transfer = time.monotonic(), self._transfer
        message = f"on its way to {transfer.remote.name}, round {number}"
        commit = commit_locked(transfer.context, transfer.state, message=message, pause=True).commit
        staged = self._bring(commit, self._volumes.pack(commit))
        return commit, Round(commit=commit.number, staged=staged, seconds=time.monotonic() - began)

    def _bring(self, commit: CommitRecord, volumes: _Packed, packed: Packed | None = None) -> int:
        """Have a commit there, with the workspace as it is by now, and what else was packed; the bytes that it took."""
        self._transfer.note(MigrationPhase.STAGING, commit.number)
        workspace, stage = self._workspace()
        others = (*packed.volumes.values(), packed.state) if packed is not None else ()
        self._brought = brought = bring_image(
            self._transfer,
            self._there,
            commit,
            images=self._images,
            codec=self._plan.layer_codec,
            beside=[Payload.of(each.blob) for each in (*workspace, *volumes[0], *others)],
            before=self._brought,
        )
        stage()
        volumes[1]()
        self._staged += brought.staged
        self._along |= dict.fromkeys(brought.along)
        self._dropped |= dict.fromkeys(commit.dropped)
        return total(brought.staged)

    def _send_whole(self, packed: Packed, commit: CommitRecord, missed: Collection[str]) -> Packed:
        """Have volumes there, packed whole, which could not be brought up to date at last."""
        others = {mount.source for mount in volumes_of(self._facts.metadata)}.difference(missed)
        whole = pack_files(self._transfer, self._plan, commit, self._followed, apart=others).volumes
        self._there.uploader.send([Payload.of(each.blob) for each in whole.values()], "sending volumes")
        return replace(packed, volumes={**packed.volumes, **whole})

    def _size_of_whole_volumes(self) -> int | None:
        """The bytes of the volumes that travel whole in the last round; None where one cannot be looked into."""
        whole = {mount.source for mount in volumes_of(self._facts.metadata)} - self._volumes.followed
        known = [self._facts.volumes[name].size for name in whole if name in self._facts.volumes]
        return sum(known) if len(known) == len(whole) else None

    def _workspace(self) -> _Packed:
        """Pack what of the workspace is not there yet; what puts it there once it was sent."""
        folder = self._followed.folder
        if folder is None:
            return (), _nothing
        if not self.rounds:
            return (folder.tarball,), partial(stage_workspace, self._transfer, self._there, folder)
        with self._transfer.writing_here():
            update = folder.update()
        if update is None:
            return (), _nothing
        return (update.tarball,), partial(stage_update, self._transfer, self._there, update)


def _nothing() -> None:
    """Nothing is to be put there."""
