"""Hold a running bottle still: the one way to pause one, and whatever becomes of who did, it goes on."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from bottle.errors import (
    BottleError,
    CannotPause,
    Conflict,
    EngineError,
    EngineUnreachable,
    NotFound,
    PreflightRefused,
    StillPaused,
)
from bottle.model import ContainerFacts, Status
from bottle.naming import Identity
from bottle.operations.context import Context
from bottle.ports import Containers
from bottle.store.state import BottleState

_DESCRIPTORS = 4  # for a connection to the engine and its certificate, and for the note
_TRIES = (0.1, 0.5, 2.0)  # seconds from one try to pause it, or to let it go on, to the next
_BELIEVED = 2.0  # seconds after which it is true that a running container is not paused
_INTERVAL = 0.05
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def paused(context: Context, state: BottleState, container: ContainerFacts | None, by: str) -> Iterator[None]:
    """Freeze a container's processes while the context is open; the caller holds the bottle's lock.

    One that does not run, or that somebody else has paused, is left as it is. `by`, such as "a commit", is noted in the
    state folder, so that the next command lets the container go on if this process dies. Raises EngineError when it
    cannot be paused, and StillPaused when it cannot be let go on. An error from within comes first: of a container that
    is still paused after it only a note tells.
    """
    if container is None or container.status is not Status.RUNNING:
        yield
        return
    with ExitStack() as spare:
        _reserve(spare, container)
        state.mark_paused(by)
        try:
            _freeze(context.engine, state.identity, container)
            yield
        except BaseException:
            spare.close()
            try:
                let_go_on(context, state, container)
            except BottleError as exc:
                context.progress.note(f"{exc.what}; to let it go on: {exc.next_step}")
            raise
    let_go_on(context, state, container)


def _reserve(spare: ExitStack, container: ContainerFacts) -> None:
    """Keep what letting it go on will take, lest the work within use up the last file descriptor."""
    try:
        for _ in range(_DESCRIPTORS):
            spare.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as exc:
        raise PreflightRefused(
            f"too few file descriptors are left to pause {container.name} and be sure to let it go on: {exc.strerror}",
            left="nothing was changed; it goes on",
            next_step="ulimit -n 1024, then the same again",
        ) from exc


def _freeze(engine: Containers, identity: Identity, container: ContainerFacts) -> None:
    """Pause, and look whether that is so: the daemon may say that it did, and not have.

    On a busy machine runc gives up on a freezer that takes long ("unable to freeze", tried with Docker 20.10).
    """
    for delay in (*_TRIES, None):
        try:
            engine.pause(container.id)
            break
        except Conflict:  # it has ended, or is paused, which may be an earlier pause that the daemon hears of only now
            if delay is None or _status(engine, container) not in {Status.RUNNING, Status.PAUSED}:
                raise
            time.sleep(delay)
        except EngineError as exc:
            if isinstance(exc, EngineUnreachable):
                raise
            if delay is None or isinstance(exc, CannotPause):
                raise type(exc)(
                    exc.what,
                    details=exc.details,
                    left="nothing was made of it; it goes on",
                    next_step=f"bottle stop {identity}, then the same again",
                ) from exc
            time.sleep(delay)
            if _is_paused(engine, container):
                break
    if not _is_paused(engine, container):
        raise EngineError(
            f"{container.name} could not be paused",
            left="nothing was made of it",
            next_step=f"bottle stop {identity}, then the same again",
        )


def _is_paused(engine: Containers, container: ContainerFacts) -> bool:
    return _status(engine, container) is Status.PAUSED


def _status(engine: Containers, container: ContainerFacts) -> Status | None:
    now = engine.container(container.id)
    return None if now is None else now.status


def let_go_on(context: Context, state: BottleState, container: ContainerFacts) -> None:
    """Let a container go on that was paused here, in several tries, and forget that it was. Raises StillPaused."""
    with _uninterrupted():
        for delay in (*_TRIES, None):
            try:
                _thaw(context.engine, container)
                break
            except EngineError as exc:
                if delay is None:
                    raise StillPaused(
                        f"{container.name} was paused, and cannot be let go on: {exc.what}",
                        left="its agent is frozen, and has lost nothing",
                        next_step=f"docker unpause {container.name}   (or: bottle resume {state.identity})",
                    ) from exc
                time.sleep(delay)
        state.clear_paused()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have Ctrl-C and its like wait until the context is closed: who is in a hurry presses it twice."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    came: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, wait) for number in _INTERRUPTIONS if _is_ours(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came[:1]:
            signal.raise_signal(late)  # to this thread, and now: one for the process is heard when it happens to be


def _is_ours(number: signal.Signals) -> bool:
    return signal.getsignal(number) not in {None, signal.SIG_IGN}


def _thaw(engine: Containers, container: ContainerFacts) -> None:
    """Let it go on, and see that it does.

    That a running container is not paused is believed after a while only: the daemon says so of one that was just
    paused when it hears late of an earlier unpause, and the container stays frozen (one in 2,000 with Docker 20.10).
    """
    deadline = time.monotonic() + _BELIEVED
    while True:
        try:
            engine.unpause(container.id)
            break
        except NotFound:
            return
        except Conflict:  # not paused, it says, or ended meanwhile
            if _status(engine, container) is not Status.RUNNING or time.monotonic() > deadline:
                break
            time.sleep(_INTERVAL)
    if _is_paused(engine, container):
        raise EngineError(f"Docker says that {container.name} is paused still")
