"""A move while the agent works: for how long it stands still, by a journal of its own, and by what the move says.

Both hosts are on one machine, so the times in the journal are of one clock.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.content import write_tree
from benchmarks.memory import PeakMemory
from benchmarks.rig import ROOT, Rig, copying_to, quietly, run, say
from tests.contract.engine import eventually
from tests.support.distribution import build

_AGENT = "livebench"
_BEGAN = "began"  # the line with which each run begins
_FILE = 12_000  # bytes of a file of the work, on the average
# About 20 times a second a line in the journal, and 51,200 bytes that cannot be compressed, in one of 200 files.
_SCRIPT = """
mkdir -p /srv/log; echo began >>/srv/journal; n=0
while :; do
  n=$(((n + 1) % 200)); head -c 51200 /dev/urandom >/srv/log/$n; date +%s.%N >>/srv/journal; sleep 0.045
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSample:
    """One live move. Times in seconds; `wire` and `memory` in bytes, as in `benchmarks.report.Sample`.

    `downtime` is from the last line that the agent wrote here to its first one there, `said` what the move said of it.
    """

    round: int
    seconds: float
    downtime: float
    said: float
    rounds: int
    wire: int
    memory: int


def measure(rig: Rig, size: int, number: int) -> LiveSample:
    """Move a bottle whose agent has `size` bytes of work, and goes on working."""
    with _working(rig, size) as identity:
        rig.host.exec(["rm", "-rf", "/root/.bottle"])
        rig.only_base()
        before = sum(rig.wire.counts())
        with PeakMemory() as memory:
            began = time.monotonic()
            process = subprocess.Popen(
                [*rig.bottle, "migrate", identity, rig.alias, "--live", "--format", "json"],
                env=rig.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            memory.add(process)
            out, said = process.communicate()
            seconds = time.monotonic() - began
        if process.returncode:
            raise RuntimeError(f"bottle migrate --live ended with {process.returncode}:\n{said.decode()[-3000:]}")
        answer = json.loads(out)
        if not eventually(lambda: _goes_on(_journal(rig, identity))):
            raise RuntimeError("the agent did not go on there")
        journal = _journal(rig, identity)
    sample = LiveSample(
        round=number,
        seconds=seconds,
        downtime=_gap(journal),
        said=answer["downtime_seconds"],
        rounds=len(answer["rounds"]),
        wire=sum(rig.wire.counts()) - before,
        memory=memory.bytes,
    )
    say(f"round {number}, live: {seconds:.1f} s, of which the agent stood still for {sample.downtime:.2f} s")
    return sample


def as_lines(samples: Sequence[LiveSample]) -> Iterator[str]:
    """A table, if there is anything in it."""
    if not samples:
        return
    yield "live: an agent that writes 1 MB/s; it stands still by its journal, and as the move says"
    yield f"  {'round':>5} {'seconds':>8} {'stood still':>12} {'said':>8} {'rounds':>7} {'MB sent':>9} {'peak MB':>8}"
    for each in samples:
        yield (
            f"  {each.round:>5} {each.seconds:>8.1f} {each.downtime:>12.2f} {each.said:>8.2f} {each.rounds:>7} "
            f"{each.wire / 1e6:>9.1f} {each.memory / 1e6:>8.1f}"
        )


@contextmanager
def _working(rig: Rig, size: int) -> Iterator[str]:
    """A bottle whose agent works, with `size` bytes of work; what it leaves on both hosts is removed."""
    say("making a bottle whose agent works")
    with tempfile.TemporaryDirectory() as folder:
        rig.host.install_bottle(build("wheel", ROOT, Path(folder)))
    project = rig.work / "live"
    project.mkdir(exist_ok=True)
    (project / "bottle.toml").write_text(
        f'[agents.{_AGENT}]\nimage = "{rig.base}"\ncommand = ["sh", "-c", {json.dumps(_SCRIPT)}]\n', encoding="utf-8"
    )
    words = ("start", _AGENT, "--detach", "--copy-cwd", "--format", "json")
    identity = str(json.loads(run([*rig.bottle, *words], env=rig.env, cwd=project))["identity"])
    try:
        with copying_to(f"bottle-{identity}") as stream:
            write_tree(stream, "srv/work", size, size // _FILE, "live")
        yield identity
    finally:
        rig.host.docker("rm", "--force", f"bottle-{identity}", check=False)
        quietly(["docker", "rm", "--force", f"bottle-{identity}"])
        images = run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"bottle-committed-{identity}"])
        quietly(["docker", "image", "rm", "--force", *images.split()])


def _journal(rig: Rig, identity: str) -> list[str]:
    """What the agent there has written, and brought along."""
    return rig.host.docker("exec", f"bottle-{identity}", "cat", "/srv/journal").text.splitlines()


def _goes_on(journal: Sequence[str]) -> bool:
    """Whether a second run has written something."""
    return journal.count(_BEGAN) > 1 and journal[-1] != _BEGAN


def _gap(journal: Sequence[str]) -> float:
    """The time between the last line of the first run and the first one of the last, in seconds."""
    last = len(journal) - 1 - journal[::-1].index(_BEGAN)
    return float(journal[last + 1]) - float(journal[last - 1])
