"""What commits are measured on: a running bottle with many files, whose agent notices when it stands still."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
from docker.errors import DockerException

from benchmarks.content import write_tree
from benchmarks.memory import PeakMemory
from benchmarks.rig import ROOT, run
from tests.hosts import BASE_IMAGE, ensure_base_image

METHODS = {
    "bottle": "bottle commit",
    "docker": "docker commit",
    "unpaused": "docker commit --pause=false",
}
_TICK = 0.01
_TICKS = "/dev/shm/ticks"  # noqa: S108  # in memory, which is no part of a commit
# Says when it ran, on a clock that a container shares with its host: seconds, to the hundredth.
_TICKING = f"""\
$SIG{{TERM}} = sub {{ exit 0 }};
open U, "<", "/proc/uptime" or die $!;
open F, ">", "{_TICKS}" or die $!;
while (1) {{
    sysseek U, 0, 0; sysread U, $_, 50;
    syswrite F, (split)[0] . "\\n";
    select undef, undef, undef, {_TICK};
}}
"""
# Writes into so many of the files, at random, and makes some new ones.
_CHANGING = """\
my ($files, $changed, $new, $seed) = @ARGV;
srand $seed;
for (1..$changed) {
    my $n = int rand $files;
    open F, "+<", sprintf "/work/%04d/%06d", $n / 200, $n or die $!;
    print F rand; close F or die $!;
}
mkdir "/work/new";
for (1..$new) { open F, ">", "/work/new/$seed-$_" or die $!; print F rand() x 300; close F or die $!; }
"""
_MANIFEST = """\
[agents.commitbench]
image = "{image}"
command = {command}
network = "none"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One commit.

    `seconds` it took, `pause` is the longest in seconds that the agent stood still; `added` are bytes on the engine's
    disk, `memory` those of the process that was started for it, at its peak.
    """

    seconds: float
    pause: float
    added: int
    memory: int


@dataclass(frozen=True, slots=True)
class _Image:
    layers: tuple[str, ...]
    size: int


class Workplace:
    """Context manager: a bottle with `files` files of `size` bytes in all; at its end all that was made is gone."""

    def __init__(self, *, size: int, files: int) -> None:
        self._size = size
        self._files = files
        self._home = Path(tempfile.mkdtemp(prefix="bottle-commitbench-"))
        self._name = f"bottle-commitbench-{secrets.token_hex(3)}"
        self._engine = docker.from_env(timeout=1800)
        self._environ = os.environ | {"BOTTLE_HOME": str(self._home / "bottles"), "PYTHONPATH": str(ROOT)}
        self._identity = ""
        self._images: list[str] = []
        self._known: dict[str, list[_Image]] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def fill(self) -> None:
        """Make the files."""
        process = subprocess.Popen(["docker", "cp", "-", f"{self._container}:/"], stdin=subprocess.PIPE)
        assert process.stdin is not None
        with process.stdin as stdin:
            write_tree(stdin, "work", self._size, self._files, "work")
        if process.wait() != 0:
            raise RuntimeError("the files could not be made")

    def change(self, changed: int, new: int, seed: int) -> None:
        """Let the agent write into that many files, and make new ones."""
        words = (str(each) for each in (self._files, changed, new, seed))
        run(["docker", "exec", self._container, "perl", "-e", _CHANGING, *words])

    def commit(self, method: str) -> Cost:
        """Commit it in one of the ways. Docker's images stay until they are forgotten, bottle's longer."""
        image = f"{self._name}:{len(self._images)}"
        argv = {
            "bottle": [sys.executable, "-m", "bottle", "commit", self._identity, "--format", "json"],
            "docker": ["docker", "commit", self._container, image],
            "unpaused": ["docker", "commit", "--pause=false", self._container, image],
        }[method]
        os.sync()  # what others have written is not its work
        with PeakMemory() as memory:
            up, began = _uptime(), time.monotonic()
            said = self._measured(argv, memory)
            seconds = time.monotonic() - began
        pause = self._longest_gap(up, _uptime())
        tag = json.loads(said)["commit"]["tag"] if method == "bottle" else image
        added = self._added(method, tag)
        if method != "bottle":
            self._images.append(image)
        return Cost(seconds=seconds, pause=pause, added=added, memory=memory.bytes)

    def forget(self) -> None:
        """Remove Docker's images.

        Not between commits that are compared: without a journal, ext4 looks at each inode that was freed in the last
        five minutes before it makes a file, and takes another one (Linux, fs/ext4/ialloc.c, recently_deleted).
        """
        while self._images:
            self._engine.images.remove(self._images.pop())

    def _measured(self, argv: Sequence[str], memory: PeakMemory) -> bytes:
        process = subprocess.Popen(
            argv, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        memory.add(process)
        said, complained = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"exit {process.returncode}: {' '.join(argv)}\n{complained.decode(errors='replace')}")
        return said

    def _longest_gap(self, began: float, ended: float) -> float:
        """How long the agent stood still between two times: a hundredth or two where it did not."""
        time.sleep(5 * _TICK)
        count = str(int((_uptime() - began) / _TICK) + 100)
        ticks = run(["docker", "exec", self._container, "tail", "-n", count, _TICKS])
        times = [float(each) for each in ticks.split("\n")]
        return max(after - before for before, after in pairwise(times) if after > began and before < ended)

    def _added(self, method: str, tag: str) -> int:
        """What an image has beyond those that the method made before, and its base: a layer lies there once."""
        facts = self._engine.images.get(tag).attrs
        image = _Image(tuple(facts["RootFS"]["Layers"]), int(facts["Size"]))
        known = self._known.setdefault(method, [self._base()])
        beneath = [each.size for each in known if each.layers == image.layers[: len(each.layers)]]
        known.append(image)
        return image.size - max(beneath, default=0)

    def _base(self) -> _Image:
        facts = self._engine.images.get(BASE_IMAGE).attrs
        return _Image(tuple(facts["RootFS"]["Layers"]), int(facts["Size"]))

    @property
    def _container(self) -> str:
        return f"bottle-{self._identity}"

    def _start(self) -> None:
        ensure_base_image(self._engine)
        command = json.dumps(["perl", "-e", _TICKING])
        (self._home / "work").mkdir()
        (self._home / "bottle.toml").write_text(_MANIFEST.format(image=BASE_IMAGE, command=command), encoding="utf-8")
        words = ["start", "commitbench", "--detach", "--cwd", str(self._home / "work"), "--format", "json"]
        said = run([sys.executable, "-m", "bottle", *words], env=self._environ, cwd=self._home)
        self._identity = str(json.loads(said)["identity"])

    def _stop(self) -> None:
        # By its folder: it may have been interrupted before it said what it is called.
        for state in (self._home / "bottles" / "state").glob("commitbench-*"):
            with suppress(DockerException):
                self._engine.containers.get(f"bottle-{state.name}").remove(force=True)
            for image in self._engine.images.list(name=f"bottle-committed-{state.name}"):
                for tag in image.tags:
                    with suppress(DockerException):
                        self._engine.images.remove(tag, force=True)
        for image in self._engine.images.list(name=self._name):
            for tag in image.tags:
                with suppress(DockerException):
                    self._engine.images.remove(tag, force=True)
        self._engine.close()
        shutil.rmtree(self._home, ignore_errors=True)


def _uptime() -> float:
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
