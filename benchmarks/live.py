"""A move while the agent works: for how long it stands still, by a journal of its own, and by what the move says.

Both hosts are on one machine, so that the times in the journal are of one clock.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.content import write_tree
from benchmarks.memory import PeakMemory
from benchmarks.rig import ROOT, Rig, copying_to, run, say
from tests.support.distribution import build

AGENT = "livebench"
_FILE = 12_000  # bytes of a file of the work, on the average
# Twenty times a second a line in the journal, and 51,200 bytes of new work: one in fifty files is a new one each time.
_SCRIPT = """
mkdir -p /srv/log; echo began >>/srv/journal; n=0
while :; do
  n=$(((n + 1) % 200)); head -c 51200 /dev/urandom >/srv/log/$n; date +%s.%N >>/srv/journal; sleep 0.045
done
"""


def measure(rig: Rig, size: int) -> dict[str, object]:
    """Move a bottle with `size` bytes of work live; what came of it, times in seconds."""
    identity = _begin(rig, size)
    rig.host.exec(["rm", "-rf", "/root/.bottle"])
    rig.only_base()
    before = sum(rig.wire.counts())
    with PeakMemory() as memory:
        began = time.monotonic()
        process = subprocess.Popen(
            [*rig.bottle, "migrate", identity, rig.alias, "--live", "--format", "json"],
            env=rig.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )  # fmt: skip
        memory.add(process)
        said = process.communicate()[0]
        seconds = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"bottle migrate --live ended with {process.returncode}")
    answer = json.loads(said)
    time.sleep(1)
    journal = rig.host.docker("exec", f"bottle-{identity}", "cat", "/srv/journal").text.splitlines()
    rig.host.docker("rm", "--force", f"bottle-{identity}")
    gap = _gap(journal)
    say(f"live: {seconds:.1f} s, the agent stood still for {gap:.2f} s by its journal")
    return {
        "seconds": seconds,
        "downtime_by_journal": gap,
        "downtime_said": answer["downtime_seconds"],
        "rounds": answer["rounds"],
        "bytes": sum(rig.wire.counts()) - before,
        "memory": memory.bytes,
    }


def _begin(rig: Rig, size: int) -> str:
    say("making a bottle whose agent works")
    with tempfile.TemporaryDirectory() as folder:
        rig.host.install_bottle(build("wheel", ROOT, Path(folder)))
    project = rig.work / "live"
    project.mkdir(exist_ok=True)
    (project / "bottle.toml").write_text(
        f'[agents.{AGENT}]\nimage = "{rig.base}"\ncommand = ["sh", "-c", {json.dumps(_SCRIPT)}]\n'
    )
    words = ["start", AGENT, "--detach", "--copy-cwd", "--format", "json"]
    identity = str(json.loads(run([*rig.bottle, *words], env=rig.env, cwd=project))["identity"])
    with copying_to(f"bottle-{identity}") as stream:
        write_tree(stream, "srv/work", size, size // _FILE, "live")
    return identity


def _gap(journal: list[str]) -> float:
    """The time between the last line of the first run and the first one of the last, in seconds."""
    last = len(journal) - 1 - journal[::-1].index("began")
    if last == 0 or last + 1 >= len(journal):
        raise RuntimeError("the agent did not go on there")
    return float(journal[last + 1]) - float(journal[last - 1])
