"""A command under strace: its calls counted, or one of them struck."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from tests.campaigns.calls import FAULTS, KILL, Call, Point, read
from tests.integration.migration import BOTTLE, Desk

# `-y` names the files behind descriptors. Only what is traced stops the program.
STRACE = ("strace", "--follow-forks", "--seccomp-bpf", "-qq", "-y", "--string-limit=200", "--signal=none")


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended that was watched; `struck` are the calls that a fault was put into."""

    words: tuple[str, ...]
    code: int
    said: str
    printed: str
    calls: tuple[Call, ...]
    struck: str | None

    @property
    def killed(self) -> bool:
        return self.code in {-9, 137}


def count(desk: Desk, *words: str) -> Run:
    """Run a command and see its calls."""
    return _run(desk, words, f"trace={','.join(FAULTS)}")


def strike(desk: Desk, point: Point, *words: str) -> Run:
    """Run a command and strike one of its calls."""
    return _run(desk, words, f"trace={point.call.name}", point)


def _run(desk: Desk, words: tuple[str, ...], trace: str, point: Point | None = None) -> Run:
    log = desk.folder / "strace"
    injection = ("-e", point.injection) if point is not None else ()
    argv = (*STRACE, "-o", str(log), "-e", trace, *injection, sys.executable, *BOTTLE, *words)
    done = subprocess.run(
        argv, cwd=desk.folder, env=desk.environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False
    )
    text = log.read_bytes().decode("utf-8", "replace")
    calls = read(text)
    return Run(
        words=words,
        code=done.returncode,
        said=done.stderr.decode("utf-8", "replace"),
        printed=done.stdout.decode("utf-8", "replace"),
        calls=calls,
        struck=None if point is None else _struck(point, text, calls),
    )


def _struck(point: Point, log: str, calls: tuple[Call, ...]) -> str | None:
    """The call that was struck, as this run made it; None if it never came so far."""
    if point.fault != KILL:
        return next((line for line in log.splitlines() if line.endswith("(INJECTED)")), None)
    reached = [call for call in calls if call.number == point.call.number]
    return reached[0].text if reached else None
