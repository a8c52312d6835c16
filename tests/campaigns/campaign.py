"""A campaign against one command: count its calls, strike some of them, and look at every promise after each."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass

from tests.campaigns import promises, strace
from tests.campaigns.bench import Bench
from tests.campaigns.calls import Point, choose
from tests.campaigns.commands import Case, Prepare
from tests.campaigns.promises import bottles

_LOG = logging.getLogger("campaign")  # seen as it goes with `-o log_cli=true --log-cli-level=INFO`
# For a quick look: a share of the points.
SHARE = float(os.environ.get("CAMPAIGN_SHARE", "1"))


@dataclass(frozen=True, slots=True)
class Report:
    """What was struck, and which promises broke where."""

    struck: int
    missed: tuple[str, ...]
    broken: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        lines = (
            f"{self.struck} points in {self.seconds:.0f} s",
            *self.broken,
            *(f"missed {each}" for each in self.missed),
        )
        return "\n".join(lines)


def strike_all(bench: Bench, prepare: Prepare, points: int) -> Report:
    """Strike a command at so many points."""
    began = time.monotonic()
    case = prepare(bench, None)
    counted = strace.count(bench.desk, *case.words)
    assert counted.code == 0, counted.said
    folders = (str(bench.desk.states.parent), *case.folders)
    logs = str(bench.desk.states.parent / "logs")
    calls = [call for call in counted.calls if call.concerns(folders) and logs not in call.text]
    chosen = choose(calls, max(1, round(points * SHARE)))
    missed, broken = [], []
    worn = case.work.identity if case.work is not None else None
    tidy(bench, worn)
    for point in chosen:
        case = prepare(bench, worn)
        struck, found = strike(bench, case, point)
        _LOG.info("%s %s: %s", case.words[:2], point, found or "held")
        missed += [] if struck else [str(point)]
        broken += [f"{point}\n  {each}" for each in found]
        worn = case.work.identity if case.work is not None and not found else None
        found = tidy(bench, worn)
        broken += [f"{point}, and all removed\n  {each}" for each in found]
    found = tidy(bench, None)
    broken += [f"all removed\n  {each}" for each in found]
    return Report(len(chosen) - len(missed), tuple(missed), tuple(broken), time.monotonic() - began)


def strike(bench: Bench, case: Case, point: Point) -> tuple[bool, list[str]]:
    """Strike once; whether that was where it was meant to be, and the promises that broke."""
    run = strace.strike(bench.desk, point, *case.words)
    broken = promises.plainly_said(run)
    broken += promises.commits_stand(bench.desk, case.work) if case.work is not None else []
    again = bench.desk.bottle(*case.words)
    if again.returncode not in case.again or b"Traceback" in again.stderr:
        broken.append(
            f"said again: exit {again.returncode}: {again.stderr.decode()}\n(at first: {run.code}: {run.said})"
        )
    for check in case.holds:
        broken += check()
    if case.work is not None:
        broken += promises.commits_stand(bench.desk, case.work)
        broken += promises.nothing_half(bench.desk, case.work.identity)
        broken += promises.comes_back(bench.desk, case.work)
        broken += promises.one_container(bench.desk, case.work.identity)
    broken += promises.nothing_unseen(bench.desk, bench.agent)
    return run.struck is not None, broken


def tidy(bench: Bench, keep: str | None) -> list[str]:
    """Remove every bottle but one, as a user would; what `rm` and `prune` leave is told."""
    broken = []
    for identity in bottles(bench.desk) - {keep}:
        done = bench.remove(identity)
        broken += [f"rm {identity}: exit {done.returncode}: {done.stderr.decode()}"] if done.returncode != 0 else []
    broken += promises.nothing_unseen(bench.desk, bench.agent)
    if broken:
        bench.clear()
    return broken
