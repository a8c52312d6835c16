"""Which bottles go, and in which order: decided from facts alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bottle.errors import Conflict, PreflightRefused
from bottle.words import size
from migrate.evacuation.model import Bulk, Candidate, Disk, EvacuationPlan, Need

_SLACK = 64 * 1024**2


@dataclass(slots=True)
class Room:
    """What of the disks there is spoken for. `brought` are the layers that will be there."""

    at_once: int
    stays: dict[Disk, int] = field(default_factory=dict)
    passing: dict[Disk, list[int]] = field(default_factory=dict)
    brought: frozenset[str] = frozenset()

    def needed(self, disk: Disk) -> int:
        """What is needed of a disk: all that stays, and what the largest of those that come at once need beside it."""
        return self.stays.get(disk, 0) + sum(sorted(self.passing.get(disk, ()))[-self.at_once :])


def plan_evacuation(candidates: Sequence[Candidate], host: str, at_once: int = 1) -> EvacuationPlan:
    """Decide an evacuation to `host`, of which `at_once` bottles or groups of them travel at a time.

    As many as possible are to go: what was begun first, then what is small.
    """
    able = [each for each in candidates if not each.went and each.refusal is None]
    room, groups = Room(at_once=at_once), []
    refused = [each for each in candidates if not each.went and each.refusal is not None]
    crowded = list[Candidate]()
    for group in sorted(grouped(able), key=_turn):
        going = list[Candidate]()
        for each in group:
            if going and not going[0].whole:
                refused.append(replace(each, refusal=_cannot_join(each, going[0], host)))
            elif each.bulk is None or take(room, each.bulk, first=not going):
                going.append(each)
            else:
                crowded.append(each)
        if going:
            groups.append(tuple(going) if len(going) == 1 else tuple(map(_held, going)))
    disks = sorted(room.stays, key=lambda disk: disk.name)
    return EvacuationPlan(
        host=host,
        groups=tuple(groups),
        crowded=tuple(crowded),
        went=tuple(each for each in candidates if each.went),
        refused=tuple(refused),
        needs=tuple(Need(disk=disk, needed=room.needed(disk)) for disk in disks),
    )


def grouped(candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, ...]]:
    """The bottles by workspace, those in a folder of it among them; the whole of it comes first.

    Of those that have all of it, the one goes first whose move was begun: another one would find it in its way there.
    """
    rest = sorted(candidates, key=lambda each: (_depth(each.folder), not each.begun, each.identity))
    while rest:
        top = rest[0].folder
        group = [each for each in rest if each is rest[0] or _is_in(each.folder, top)]
        rest = [each for each in rest if each not in group]
        yield tuple(group)


def take(room: Room, bulk: Bulk, *, first: bool) -> bool:
    """Take the room of a bottle, if there is enough. `first`: the workspace travels with it."""
    base = 0 if bulk.layers <= room.brought else bulk.base
    image, workspace = base + bulk.written, bulk.workspace if first else 0
    stays, passing = dict.fromkeys((bulk.docker, bulk.home, bulk.place), 0), {bulk.docker: 0, bulk.home: 0}
    stays[bulk.docker] += image + bulk.volumes
    stays[bulk.home] += bulk.state
    stays[bulk.place] += workspace
    if room.at_once > 1:
        image = bulk.base + bulk.written  # what comes at the same time counts on nothing that the other one brings
    passing[bulk.docker] += image + _SLACK
    files = workspace + bulk.state  # packed, and unpacked before they are put into place
    apart = workspace if bulk.place != bulk.home else 0
    passing[bulk.home] += max(image + files + apart + bulk.volumes + _SLACK - bulk.staged, 0)
    after = Room(at_once=room.at_once, stays=dict(room.stays), brought=room.brought | bulk.layers)
    after.passing = {disk: list(each) for disk, each in room.passing.items()}
    for disk, amount in stays.items():
        after.stays[disk] = after.stays.get(disk, 0) + amount
    for disk, amount in passing.items():
        after.passing.setdefault(disk, []).append(amount)
    if any(after.needed(disk) > disk.free for disk in stays):
        return False
    room.stays, room.passing, room.brought = after.stays, after.passing, after.brought
    return True


def no_room(candidate: Candidate, host: str) -> PreflightRefused:
    """Why a bottle that is `crowded` stays, as far as that can be counted before the others have gone."""
    disk = _largest(candidate.bulk) if candidate.bulk is not None else None
    where = f": {size(disk.free)} are free at {disk.path} now" if disk is not None else ""
    return PreflightRefused(
        f"beside the others there is no room for it on {host}{where}",
        left="nothing was changed on either side",
        next_step="free space there: docker system df; df -h",
    )


def _held(candidate: Candidate) -> Candidate:
    """One of a group, which is stopped before any of it leaves."""
    decided = candidate.decided
    return replace(candidate, decided=replace(decided, live=False)) if decided is not None else candidate


def _cannot_join(candidate: Candidate, first: Candidate, host: str) -> Conflict:
    """Why one stays whose workspace is another folder when it has travelled."""
    return Conflict(
        f"{first.identity} takes the workspace {first.folder} along, but not as it is here: it is a git worktree, or "
        "bottle's home is in it, so no other bottle can join it there",
        left="nothing was changed",
        next_step=f"bottle migrate {candidate.identity} {host} --workspace DIR   (a folder of its own)",
    )


def _largest(bulk: Bulk) -> Disk:
    """The disk that it is most likely too large for."""
    return min((bulk.docker, bulk.home, bulk.place), key=lambda disk: disk.free)


def _turn(group: Sequence[Candidate]) -> tuple[bool, int, str]:
    """What was begun goes first, its staging takes room; then the small ones."""
    bulks = [each.bulk for each in group if each.bulk is not None]
    amount = sum(each.base + each.written + each.volumes + each.state for each in bulks)
    return (
        not any(each.begun for each in group),
        amount + max((each.workspace for each in bulks), default=0),
        str(group[0].identity),
    )


def _depth(folder: Path | None) -> int:
    return len(folder.parts) if folder is not None else 0


def _is_in(folder: Path | None, top: Path | None) -> bool:
    return folder is not None and top is not None and folder.is_relative_to(top)
