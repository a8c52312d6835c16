"""Look at all that is to leave, and at the host that it is to go to; nothing is changed on either side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bottle.errors import BottleError, Interrupted
from bottle.model import MigrationPhase, Tombstone
from bottle.moveoptions import MoveOptions
from bottle.operations import Context
from bottle.plan.guards import require_docker, require_here, require_settled
from bottle.store.state import BottleState
from migrate.contents.packing import outgoing
from migrate.evacuation.model import Bulk, Candidate, Disk
from migrate.model import HostFacts
from migrate.move.execute import look
from migrate.move.model import MoveFacts, MovePlan
from migrate.move.transfer import Transfer
from migrate.ports import Remote

Carry = Callable[[BottleState], tuple[str, ...]]


def observe_all(
    context: Context, states: Sequence[BottleState], remote: Remote, asked: MoveOptions, carry: Carry
) -> tuple[Candidate, ...]:
    """Each bottle, with what a move of it would do, or why it cannot go.

    Whatever is wrong with one is an answer for that one. What shares the workspace of one that an earlier run was
    handing over when it was cut is not looked at: whether that is there is known only when its turn has come.
    """
    found, cut = [], tuple(_cut_folders(states, remote.name))
    for number, state in enumerate(states, 1):
        context.progress.note(f"{state.identity} ({number} of {len(states)})")
        try:
            found.append(_observe(context, state, remote, replace(asked, carry=carry(state)), cut=cut))
        except Interrupted:
            raise
        except BottleError as exc:
            found.append(Candidate(identity=state.identity, refusal=exc))
    return tuple(found)


def options_for(
    context: Context, state: BottleState, host: str, asked: MoveOptions, *, alone: bool = True
) -> MoveOptions:
    """What is asked of the move of one bottle: what did not run here, and had not been stopped for it, is not started.

    `alone`: nobody else goes with its workspace; it may work on until its last round.
    """
    container = context.container(state.identity) if state.tombstone.read() is None else None
    runs = container is not None and container.status.alive
    starts = (asked.resume or asked.live) and (runs or is_to_start(state, host))
    live = asked.live and runs and alone
    return replace(asked, resume=starts and not live, live=live)


def is_to_start(state: BottleState, host: str) -> bool:
    """Whether an earlier run stopped its agent, which is to go on there and is not known to."""
    record, tombstone = state.migration.read(), state.tombstone.read()
    if tombstone is not None:
        return tombstone.host == host and tombstone.starts
    return record is not None and record.host == host and record.stopped


def is_unfinished(context: Context, state: BottleState) -> bool:
    """Whether something of a move that has handed over was to be cleared still."""
    return outgoing(context, state.identity).exists()


def _cut_folders(states: Sequence[BottleState], host: str) -> Iterator[Path]:
    """The workspaces of those that an earlier run was handing over when it was cut."""
    for state in states:
        with suppress(BottleError):  # which is told when it is looked at
            folder = _folder(state)
            if folder is not None and _was_handing_over(state, host):
                yield folder


def _folder(state: BottleState) -> Path | None:
    folder = state.metadata().mounted
    return folder.resolve() if folder is not None else None


def _was_handing_over(state: BottleState, host: str) -> bool:
    record = state.migration.read()
    return record is not None and record.phase is MigrationPhase.HANDING_OFF and record.host == host


def _observe(
    context: Context, state: BottleState, remote: Remote, asked: MoveOptions, *, cut: Sequence[Path]
) -> Candidate:
    tombstone, record = state.tombstone.read(), state.migration.read()
    if went_to(tombstone, remote.name):
        return Candidate(identity=state.identity, went=True)
    require_here(state.identity, tombstone, "evacuate")
    folder = _folder(state)
    if _was_handing_over(state, remote.name):
        return Candidate(identity=state.identity, folder=folder, begun=True)
    require_settled(state.identity, record)
    if folder is not None and any(map(folder.is_relative_to, cut)):
        require_docker(state.metadata(), "evacuate")
        return Candidate(identity=state.identity, folder=folder)
    options = options_for(context, state, remote.name, asked)
    transfer = Transfer(context=context, state=state, remote=remote, options=options, arrives_as=state.identity)
    seen, decided = look(transfer)
    return Candidate(
        identity=state.identity,
        folder=folder,
        begun=record is not None and record.host == remote.name,
        decided=decided,
        bulk=_bulk(seen.facts, decided),
        whole=not seen.facts.survey.carriable and seen.facts.own is None,
    )


def went_to(tombstone: Tombstone | None, host: str) -> bool:
    """Whether a bottle has been handed over to a host."""
    return tombstone is not None and tombstone.host == host


def _bulk(facts: MoveFacts, decided: MovePlan) -> Bulk:
    host = facts.host
    missing = frozenset(facts.layers) - facts.present
    home = Disk(name=host.disk_home, path=host.bottle_home, free=host.free_home)
    return Bulk(
        layers=missing,
        base=facts.image_size if missing else 0,
        written=facts.written,
        volumes=sum(each.size for each in facts.volumes.values()),
        workspace=facts.workspace.size if decided.lands is not None else 0,
        state=facts.state.size,
        staged=host.staged,
        docker=Disk(name=host.disk_docker, path=host.docker_root, free=host.free_docker),
        home=home,
        place=_place(host, decided.lands) or home,
    )


def _place(host: HostFacts, lands: str | None) -> Disk | None:
    if lands is None or not host.disk_workspace:
        return None
    return Disk(name=host.disk_workspace, path=lands, free=host.free_workspace)
