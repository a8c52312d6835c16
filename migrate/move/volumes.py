"""Volumes that travel in rounds: filled whole in the first one, then brought up to date by what changed in them.

A tar of ours holds less of some files than the engine's own does. Where there are such, or anything else goes wrong,
the volume is brought whole, by the engine, when the agent stands still.
"""

import posixpath
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bottle.errors import BottleError, ConnectionLost, NotFound, RemoteError, VerificationFailed
from bottle.model import CommitRecord, Mount
from migrate.contents.archive import Tarball, pack_folder
from migrate.contents.index import Index, look
from migrate.contents.live_folder import LiveFolder
from migrate.contents.outside import volumes_of
from migrate.contents.packing import metadata_there, pack_volume
from migrate.host.destination import Destination
from migrate.move.model import MovePlan
from migrate.move.transfer import Transfer

# A socket travels in no tar whatever.
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFSOCK)


def retire_volumes(transfer: Transfer, there: Destination) -> None:
    """Delete those that a copy had before it was brought up to date; what stays of them is told, and is no failure."""
    if not volumes_of(transfer.state.metadata()):
        return
    host, note = transfer.remote.name, transfer.context.progress.note
    try:
        for name in there.retire():
            note(
                f"volume {name} on {host}, which {transfer.arrives_as} had before, is kept: somebody uses it, or has "
                f"written in it (if it may go: docker volume rm {name})"
            )
    except RemoteError as exc:
        note(f"the volumes that {transfer.arrives_as} had before on {host} may still be there: {exc.what}")


@dataclass(slots=True)
class _Volume:
    """One that is followed: as it is mounted here and there, its folder, and what of it is there, once something is."""

    here: Mount
    there: Mount
    folder: Path
    live: LiveFolder | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """What was packed of one, and what puts it there once it was sent. `fills`: it is all of it."""

    tarball: Tarball
    act: Callable[[], None]
    fills: bool


class LiveVolumes:
    """The volumes of one move whose folders can be looked into from here. The others travel whole."""

    def __init__(self, transfer: Transfer, there: Destination, plan: MovePlan) -> None:
        self._transfer = transfer
        self._there = there
        self._spool = transfer.spool("files", plan.file_codec)
        metadata = transfer.state.metadata()
        arriving = volumes_of(metadata_there(metadata, transfer.arrives_as, 0, plan.workspace))
        self._followed: dict[str, _Volume] = {}
        for here, mount in zip(volumes_of(metadata), arriving, strict=True):
            with suppress(NotFound):  # one that was never used
                folder = transfer.context.engine.volume_folder(here.source)
                if folder is not None:
                    self._followed[here.source] = _Volume(here, mount, folder)
                else:
                    self._tell(here.source, "it cannot be looked into from here")

    @property
    def followed(self) -> frozenset[str]:
        """Those that need not be brought whole, by what they are called here."""
        return frozenset(self._followed)

    def pack(self, commit: CommitRecord) -> tuple[tuple[Tarball, ...], Callable[[], None]]:
        """Pack what of them is not there yet; what puts it there once it was sent, and the image of `commit` is."""
        tarballs: list[Tarball] = []
        steps: dict[str, _Step] = {}
        for name, volume in tuple(self._followed.items()):
            try:
                packed = self._packed(volume, commit)
            except (BottleError, OSError) as exc:
                self._give_up(name, exc)
                continue
            if packed is not None:
                steps[name] = packed
                tarballs.append(packed.tarball)
        return tuple(tarballs), partial(self._stage, steps)

    def _packed(self, volume: _Volume, commit: CommitRecord) -> _Step | None:
        tag = self._transfer.arrives_as.committed(commit.number)
        if volume.live is None:
            volume.live = self._begun(volume, commit)
            tarball = volume.live.tarball
            return _Step(tarball, partial(self._there.fill, volume.there, tarball, tag), fills=True)
        update = volume.live.update()
        if update is None:
            return None
        if update.tarball.lost:
            raise OSError(f"it holds {update.tarball.lost[0]}")
        return _Step(update.tarball, partial(self._there.renew, volume.there, update, tag), fills=False)

    def _begun(self, volume: _Volume, commit: CommitRecord) -> LiveFolder:
        """Pack all of a volume, as the engine gives it out, and begin to follow it."""

        def looked() -> Index:
            seen = look(volume.folder)
            if any(entry.kind not in _KINDS for entry in seen.entries.values()):
                raise OSError("it holds a fifo or a device")
            return seen

        def packed(wanted: frozenset[str] | None) -> Tarball:
            if wanted is None:
                return pack_volume(self._transfer.context, volume.here, commit, self._spool)
            top = posixpath.basename(posixpath.normpath(volume.there.target))
            return pack_folder(volume.folder, self._spool, wanted=wanted, live=True, top=top)

        return LiveFolder(volume.folder, packed, look=looked)

    def _stage(self, steps: dict[str, _Step]) -> None:
        for name, step in steps.items():
            try:
                step.act()
            except (RemoteError, VerificationFailed) as exc:
                # What stands in the way of filling it does so at the end too, when the agent stands still.
                if isinstance(exc, ConnectionLost) or (step.fills and isinstance(exc, RemoteError)):
                    raise
                self._give_up(name, exc)

    def _give_up(self, name: str, error: BottleError | OSError) -> None:
        del self._followed[name]
        self._tell(name, error.what if isinstance(error, BottleError) else str(error))

    def _tell(self, name: str, why: str) -> None:
        self._transfer.context.progress.note(f"volume {name} is brought whole when the agent stands still: {why}")
