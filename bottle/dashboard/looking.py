"""What the dashboard knows of the world and hears of it, kept up to date without ever holding the screen up."""

import asyncio
import threading
import time
from collections.abc import Callable

from bottle.dashboard.aside import aside
from bottle.dashboard.desk import Desk
from bottle.errors import BottleError
from bottle.model import CapabilityRequest, Usage
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.ports import Events

_SLOW = 5.0  # seconds between two looks where nothing happens
_BURST = 0.2  # seconds in which events count as one
_MEASURE = 3.0  # seconds between two measurements, each of which takes the engine up to two
_AT_ONCE = 8  # bottles that are asked at the same time
_PATIENCE = 5.0  # seconds after which an engine that does not answer is spoken of
_AGAIN = 2.0  # seconds until an engine that does not answer is asked again

_ASKED_NOTHING = {"moved", "damaged"}


class Sight:
    """All of it is read and written on the screen's loop; `changed` is called after each change.

    `trouble` is what keeps it from being up to date, empty where nothing does. What was known before stays.
    """

    def __init__(self, desk: Desk, changed: Callable[[], None]) -> None:
        self.views: dict[str, BottleView] = {}
        self.usage: dict[str, Usage] = {}
        self.requests: dict[str, tuple[CapabilityRequest, ...]] = {}
        self.stale = asyncio.Event()
        self._desk = desk
        self._changed = changed
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._trouble = ""
        self._silent_since: float | None = None  # while it is being asked: since then, or since its last answer

    @property
    def trouble(self) -> str:
        """Why this may be out of date."""
        since = self._silent_since
        if since is not None and (seconds := time.monotonic() - since) > _PATIENCE:
            return f"Docker has not answered for {seconds:.0f} seconds; still waiting"
        return self._trouble

    async def keep_looking(self) -> None:
        """Look whenever `stale` is set, and every now and then."""
        while True:
            self.stale.clear()
            self._silent_since = time.monotonic()
            await self._look()
            self._silent_since = None
            try:
                await asyncio.wait_for(self.stale.wait(), _SLOW)
                await asyncio.sleep(_BURST)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        try:
            views = await aside(self._desk.bottles)
        except BottleError as exc:
            self._trouble = f"{exc.what}; looking again" + (f" (next: {exc.next_step})" if exc.next_step else "")
            self._changed()
            return
        self._silent_since = time.monotonic()
        self._trouble = ""
        self.views = {str(view.identity): view for view in views}
        self.usage = {key: usage for key, usage in self.usage.items() if self._runs(key)}
        self._changed()
        await asyncio.gather(*(self._ask(view) for view in views if view.state not in _ASKED_NOTHING))
        self.requests = {key: requests for key, requests in self.requests.items() if key in self.views}
        self._changed()

    async def _ask(self, view: BottleView) -> None:
        try:
            async with self._limit:
                self.requests[str(view.identity)] = await aside(self._desk.requests, view)
        except BottleError as exc:
            self._trouble = f"{view.identity}: {exc.what}"
        self._silent_since = time.monotonic()

    async def keep_measuring(self) -> None:
        """Measure what runs, again and again."""
        while True:
            running = [view.identity for key, view in self.views.items() if self._runs(key)]
            await asyncio.gather(*map(self._measure, running))
            await asyncio.sleep(_MEASURE if running else _BURST)

    async def _measure(self, identity: Identity) -> None:
        try:
            async with self._limit:
                usage = await aside(self._desk.usage, identity)
        except BottleError:
            usage = None  # whoever looks at the bottles says why
        if usage is not None and self._runs(str(identity)):
            self.usage[str(identity)] = usage
        else:
            self.usage.pop(str(identity), None)
        self._changed()

    def _runs(self, key: str) -> bool:
        return key in self.views and self.views[key].state == "running"


class Watch:
    """Calls `changed`, from its own thread, once it listens and whenever something happened to a bottle's container.

    When the engine ends the stream, or there is none, it tries again, and calls `changed` so that somebody looks why.
    """

    def __init__(self, events: Callable[[], Events], changed: Callable[[], None]) -> None:
        self._events = events
        self._changed = changed
        self._closed = threading.Event()
        self._stream: Events | None = None

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                stream = self._stream = self._events()
                if self._closed.is_set():  # while the engine was asked
                    stream.close()
                self._changed()
                for _ in stream:
                    self._changed()
            except BottleError:
                self._changed()
            self._closed.wait(_AGAIN)

    def close(self) -> None:
        """End."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()
