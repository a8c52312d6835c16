"""Who does the work of an evacuation: one in this thread, or several, each in one of its own."""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bottle.errors import RemoteError
from bottle.naming import Identity
from bottle.operations import Context
from migrate.model import RemoteCommand, Reply
from migrate.ports import Remote

_LOOK = 0.2  # seconds between two looks at whether a Ctrl-C came

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Moves one bottle at a time: where it acts, and its own connection. `begins` is told which bottle is next."""

    context: Context
    remote: Remote
    begins: Callable[[Identity], None] = lambda _: None


def do_all(
    units: Sequence[T], workers: Sequence[Worker], act: Callable[[Worker, T], Iterable[U]], told: Callable[[U], None]
) -> None:
    """Have the workers do each unit, and `told` be told here what came of it, as it comes.

    What one of them raises, or a Ctrl-C, ends them all: each of the others is interrupted, and has ended then.
    """
    if len(workers) == 1:
        for unit in units:
            for result in act(workers[0], unit):
                told(result)
        return
    todo, done = queue.SimpleQueue[T](), queue.SimpleQueue[U | _Ended]()
    for unit in units:
        todo.put(unit)
    over = threading.Event()
    begun = [replace(each, remote=_Breakable(each.remote, over)) for each in workers[: len(units)]]
    threads = [threading.Thread(target=_work, args=(each, act, todo, done), daemon=True) for each in begun]
    for thread in threads:
        thread.start()
    try:
        _listen(done, len(threads), told)
    except BaseException:
        while _next(todo) is not None:
            pass
        over.set()
        for thread, worker in zip(threads, begun, strict=True):
            if thread.is_alive():
                worker.remote.close()  # what waits for the other host waits no more
            thread.join()
        while (item := _next(done)) is not None:
            if not isinstance(item, _Ended):
                told(item)
        raise


@dataclass(frozen=True, slots=True)
class _Ended:
    """A worker has no more to do, or something ended it."""

    by: BaseException | None = None


def _work(
    worker: Worker,
    act: Callable[[Worker, T], Iterable[U]],
    todo: "queue.SimpleQueue[T]",
    done: "queue.SimpleQueue[U | _Ended]",
) -> None:
    try:
        while (unit := _next(todo)) is not None:
            for result in act(worker, unit):
                done.put(result)
        done.put(_Ended())
    except BaseException as exc:  # noqa: BLE001  (it is raised where the results are taken)
        done.put(_Ended(exc))


def _listen(done: "queue.SimpleQueue[U | _Ended]", working: int, told: Callable[[U], None]) -> None:
    """Hear what the workers say until the last one has ended. Raises what ended one of them."""
    while working:
        try:
            item = done.get(timeout=_LOOK)
        except queue.Empty:
            continue
        if not isinstance(item, _Ended):
            told(item)
        elif item.by is not None:
            raise item.by
        else:
            working -= 1


def _next(waiting: "queue.SimpleQueue[T]") -> T | None:
    """What is next in a queue, None where there is nothing."""
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


class _Breakable(Remote):
    """A Remote whose callers are interrupted once `over` is set: a Ctrl-C is heard by the first thread only.

    Here, and nowhere else, so that what must not be broken off on this host is not.
    """

    def __init__(self, remote: Remote, over: threading.Event) -> None:
        self._remote = remote
        self._over = over

    @property
    def name(self) -> str:
        """The host, as messages call it."""
        return self._remote.name

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Shell.run`."""
        if self._over.is_set():
            raise KeyboardInterrupt
        try:
            return self._remote.run(command, stdin, silence=silence)
        except RemoteError as exc:
            if self._over.is_set():
                raise KeyboardInterrupt from exc
            raise

    def close(self) -> None:
        """Hang up."""
        self._remote.close()
