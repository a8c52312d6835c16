"""A dashboard on a world in memory, driven through Textual's pilot."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from bottle.dashboard.app import Dashboard
from bottle.dashboard.desk import Desk
from bottle.dashboard.diffview import Pane
from bottle.dashboard.tables import Listing
from bottle.model import CapabilityRequest, RequestStatus
from bottle.operations import BottleView, Context
from bottle.requests.request import digest_of
from bottle.store.state import BottleState

SECONDS = 20


@dataclass
class Screen:
    """What is on the screen, and the keys."""

    app: Dashboard
    pilot: Pilot[None]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.pilot.press(*("space" if each == " " else each for each in text))

    async def until(self, true: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Wait until it becomes true; fails, with what is on the screen, when it does not."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.text()
            await self.pilot.pause(0.02)

    async def see(self, *texts: str) -> None:
        """Wait until the screen has all of `texts`."""
        await self.until(lambda: all(text in self.text() for text in texts))

    def text(self) -> str:
        """All that is on the screen, line by line."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def read_words(self, *texts: str) -> None:
        """Wait until the screen has all of `texts`, wherever their lines are folded."""
        await self.until(lambda: all(text in self.words() for text in texts))

    def words(self) -> str:
        """What is on the screen, without the lines that frame it."""
        return " ".join(re.sub("[─-╿▁-▟]", " ", self.text()).split())

    def part(self, id: str) -> str:
        """What one of the texts says."""
        return str(self.app.query_one(f"#{id}", Static).visual)

    def read(self) -> str:
        """What the pane says, also where it is out of sight."""
        return self.app.query_one("#pane", Pane).plain

    def row(self, table: str, key: str) -> list[str]:
        """The cells of a row; empty where there is none."""
        listing = self.app.query_one(f"#{table}", Listing)
        return [str(cell) for cell in listing.get_row(key)] if key in listing.rows else []

    async def choose(self, bottle: BottleState | BottleView) -> None:
        """Put the cursor on a bottle."""
        listing = self.app.query_one("#bottles", Listing)
        await self.until(lambda: str(bottle.identity) in listing.rows)
        listing.point_at(str(bottle.identity))
        await self.until(lambda: self.part("about").startswith(str(bottle.identity)))


class Gate:
    """Holds calls of what `owner` has by that name up until a test lets them go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.reached, self.open, self.passed = threading.Event(), threading.Event(), threading.Event()
        real = getattr(owner, name)

        def held(*args: Any, **kwargs: Any) -> Any:
            self.reached.set()
            assert self.open.wait(SECONDS)
            try:
                return real(*args, **kwargs)
            finally:
                self.passed.set()

        monkeypatch.setattr(owner, name, held)


@asynccontextmanager
async def opened(context: Context, size: tuple[int, int] = (80, 24), **options: Any) -> AsyncIterator[Screen]:
    """A dashboard on `context`."""
    app = Dashboard(Desk(context), **options)
    async with app.run_test(size=size) as pilot:
        yield Screen(app, pilot)


def run(play: Callable[[], Awaitable[None]]) -> None:
    """Run a test's play to its end."""
    asyncio.run(play())  # type: ignore[arg-type]


def ask(
    context: Context, bottle: BottleState, dockerfile: str, *, reason: str = "needs jq", number: int = 1
) -> CapabilityRequest:
    """A request that has been taken in already, in place of an older one of its number."""
    digest = digest_of(reason, dockerfile)
    older = [each for each in bottle.requests() if each.number == number]
    request = CapabilityRequest(
        number=number,
        digest=digest,
        reason=reason,
        dockerfile=dockerfile,
        received_at=context.now(),
        status=RequestStatus.PENDING,
        superseded=tuple(digest for each in older for digest in (*each.superseded, each.digest)),
    )
    bottle.write_request(request)
    return request
