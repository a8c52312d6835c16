"""The pictures of the dashboard in docs/images, of bottles that are made up: `python -m tests.screenshots [FOLDER]`.

They are the same on every machine, as long as Textual draws the same.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bottle.agent import review
from bottle.composition import make_context
from bottle.dashboard.app import Dashboard
from bottle.dashboard.desk import Desk, Outcome
from bottle.model import (
    Agent,
    CapabilityRequest,
    CommitRecord,
    ContainerEvent,
    ImageDefaults,
    ImageFacts,
    Metadata,
    Usage,
)
from bottle.naming import Identity
from bottle.operations import BottleView, History, HistoryEntry, Inspection
from bottle.operations.inspection import TranscriptSize
from bottle.operations.request_review import RequestDetail
from bottle.plan.sizes import Weight
from bottle.requests.request import digest_of
from bottle.testing import FakeEngine
from tests.support.dashboard import Screen

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEFORE = "FROM debian:trixie-slim\nRUN apt-get update && apt-get install -y git\nUSER agent\n"
AFTER = BEFORE.replace("-y git", "-y git jq").replace("USER agent", "RUN curl -fsSL https://example.org/setup.sh | sh")
REASON = "jq, to read the test reports that CI writes as JSON"
ASKER = "claude-x7k2p"


def view(
    identity: str,
    state: str,
    hours: float,
    commit: int | None,
    size: int | None,
    *,
    detail: str = "",
    moved_to: str | None = None,
) -> BottleView:
    """A bottle that was started `hours` ago and committed at half that time."""
    return BottleView(
        identity=Identity.parse(identity),
        agent=identity.rpartition("-")[0],
        state=state,
        detail=detail,
        started_at=NOW - timedelta(hours=hours),
        commit=commit,
        committed_at=NOW - timedelta(hours=hours / 2) if commit else None,
        preserved=commit is not None,
        weight=Weight(own=size, shared=0) if size is not None else None,
        moved_to=moved_to,
    )


VIEWS = (
    view(ASKER, "running", 5, 3, 412_000_000),
    view("codex-04qab", "running", 0.4, None, None),
    view("codex-9d1zz", "stopped", 30, 1, 88_000_000, detail="exited with 0"),
    view("gemini-m3n8c", "committed", 200, 7, 1_240_000_000),
    view("claude-q2w3e", "moved", 300, 4, 650_000_000, detail="on 2026-11-12", moved_to="me@newhost"),
)
USAGE = {ASKER: Usage(cpu=37.0, memory=512_000_000), "codex-04qab": Usage(cpu=2.0, memory=96_000_000)}
REQUEST = CapabilityRequest(
    number=1,
    digest=digest_of(REASON, AFTER),
    reason=REASON,
    dockerfile=AFTER,
    received_at=NOW - timedelta(minutes=4),
)


IMAGE = ImageFacts(
    id="sha256:4",
    tags=(),
    labels={},
    diff_ids=(),
    size=1_900_000_000,
    created_at=NOW,
    architecture="amd64",
    os="linux",
    config_digest="sha256:5",
    defaults=ImageDefaults(),
)
MESSAGES = ("set up", "the importer reads CSV", "", "tests pass", "before the rewrite", "", "rewrite, half done")


class Quiet:
    """Events of which there are none."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[ContainerEvent]:
        self._closed.wait()
        return iter(())

    def close(self) -> None:
        self._closed.set()


class Scene(Desk):
    """A desk on which nothing moves."""

    def __init__(self) -> None:
        super().__init__(make_context(home=Path("/nowhere"), engine=FakeEngine(), environ={}))

    def bottles(self) -> tuple[BottleView, ...]:
        return VIEWS

    def events(self) -> Quiet:
        return Quiet()

    def usage(self, identity: Identity) -> Usage | None:
        return USAGE.get(str(identity))

    def requests(self, view: BottleView) -> tuple[CapabilityRequest, ...]:
        return (REQUEST,) if str(view.identity) == ASKER else ()

    def detail(self, identity: Identity, digest: str) -> RequestDetail:
        return RequestDetail(
            identity=identity,
            request=replace(REQUEST),
            in_force="agents/claude/Dockerfile, the agent's",
            diff=review.differences(BEFORE, AFTER),
            warnings=review.warnings(BEFORE, AFTER),
            notes=(),
        )

    def inspect(self, identity: Identity) -> Inspection:
        seen = next(each for each in VIEWS if each.identity == identity)
        return Inspection(
            metadata=Metadata(
                identity=identity,
                agent=Agent(name=seen.agent, image="debian", user="agent"),
                cwd=Path("/home/me/shop"),
                started_at=NOW - timedelta(hours=200),
                image=f"bottle-{seen.agent}:latest",
                base=("sha256:1", "sha256:2", "sha256:3"),
            ),
            path=Path(f"/home/me/.bottle/state/{identity}"),
            container=None,
            written=None,
            committed_tag=identity.committed(7),
            image=IMAGE,
            history=self.history(identity),
            mounts=(),
            own_dockerfile=None,
            requests=(),
            asked=(),
            preserved=True,
            tombstone=None,
            migration=None,
            intent=None,
            unfinished="",
            transcript=TranscriptSize(files=48, bytes=3_100_000),
            state_size=3_400_000,
        )

    def history(self, identity: Identity) -> History:
        entries = tuple(
            HistoryEntry(
                commit=CommitRecord(
                    number=number,
                    tag=identity.committed(number),
                    config_digest="",
                    diff_ids=(),
                    message=message,
                    created_at=NOW - timedelta(hours=100 + 12 * (7 - number)),
                    parent=number - 1 or None,
                ),
                image="present" if number > 2 else "expired",
                size=31_000_000 * number if number > 2 else None,
                own=None,
                in_force=number == 7,
                forks=(Identity.parse("gemini-t5r1a"),) if number == 4 else (),
            )
            for number, message in enumerate(MESSAGES, 1)
        )
        return History(identity=identity, origin=None, entries=entries, rebuild_due=False)

    def approve(self, identity: Identity, digest: str, *, build: bool) -> Outcome:
        return Outcome(
            text=f"request 1 of {identity} is approved; bottle resume {identity} --at 4 goes back",
            line=f"bottle resume {identity}",
        )


# name, size, the bottle under the cursor, the keys that lead there, and what is seen then
PICTURES = (
    ("dashboard", (84, 24), "codex-9d1zz", (), "exited with 0"),
    ("dashboard-details", (150, 28), "gemini-m3n8c", (), "commits     7"),
    ("dashboard-request", (100, 32), ASKER, (), "digest "),
    ("dashboard-approve", (80, 24), ASKER, ("a",), "try the build first"),
    ("dashboard-approved", (80, 24), ASKER, ("a", "y"), "next:  bottle resume"),
    ("dashboard-history", (80, 24), "gemini-m3n8c", ("h",), "in force"),
    ("dashboard-move", (80, 24), "codex-04qab", ("m",), "keep it here too"),
    ("dashboard-help", (80, 32), ASKER, ("question_mark",), "leave; bottles go on"),
)


async def draw(folder: Path) -> None:
    """Make all of them."""
    for name, size, chosen, keys, seen in PICTURES:
        app = Dashboard(Scene(), now=lambda: NOW)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.until(lambda screen=screen: screen.row("bottles", "codex-04qab")[-2:] == ["2%", "96.0 MB"])
            await screen.choose(next(each for each in VIEWS if str(each.identity) == chosen))
            if chosen == ASKER:
                await screen.until(lambda screen=screen: "digest " in screen.read())
            await screen.press(*keys)
            await screen.see(seen)
            await pilot.pause()
            picture = app.export_screenshot(title="bottle dashboard", simplify=True)
        # No picture of ours fetches fonts from elsewhere.
        picture = re.sub(r"@font-face \{.*?\}\n", "", picture, flags=re.DOTALL)
        (folder / f"{name}.svg").write_text("\n".join(map(str.rstrip, picture.splitlines())) + "\n", encoding="utf-8")


def main() -> None:
    """Write them to a folder, docs/images if none is given."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(folder))


if __name__ == "__main__":
    main()
