"""The ways of moving an image that are compared. Each moves one, and leaves it there under a tag that it names."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from benchmarks.rig import Image, Rig

Watch = Callable[["subprocess.Popen[bytes]"], None]
_DONE = re.compile(r": \d+ bytes done in ")
_AMOUNT = re.compile(r": \d+ bytes$")


@dataclass(slots=True)
class Outcome:
    """The far tag; and, where a method tells, how many seconds each of its phases took."""

    tag: str
    phases: dict[str, float] = field(default_factory=dict)


class Method(Protocol):
    """Moves `image` to the far host. `watch` is told of every process that runs here."""

    def __call__(self, rig: Rig, image: Image, watch: Watch) -> Outcome:
        """Return when the image is there."""
        ...


def bottle(rig: Rig, image: Image, watch: Watch) -> Outcome:
    """This tool."""
    argv = [*rig.bottle, "migrate", rig.identity, rig.alias]
    began = time.monotonic()
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=rig.env
    )
    watch(process)
    assert process.stderr is not None
    clock = _Phases(process.stderr, rig.alias, began)
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    phases = clock.finish()
    if code:
        raise RuntimeError(f"bottle migrate ended with {code}:\n{clock.said}")
    return Outcome(image.tag, phases)


def save_load(rig: Rig, image: Image, watch: Watch) -> Outcome:
    """docker save | ssh docker load."""
    _pipeline([["docker", "save", image.tag], [*rig.ssh, "docker load -q"]], watch)
    return Outcome(image.tag)


def save_zstd_load(rig: Rig, image: Image, watch: Watch) -> Outcome:
    """docker save | zstd | ssh 'zstd -d | docker load'."""
    zstd = ["zstd", "-T0", "-3", "-q", "-c"]
    _pipeline([["docker", "save", image.tag], zstd, [*rig.ssh, "zstd -dcq | docker load -q"]], watch)
    return Outcome(image.tag)


def registry(rig: Rig, image: Image, watch: Watch) -> Outcome:
    """Push through an SSH tunnel to a registry there, and pull from it there."""
    assert rig.registry is not None
    number = str(image.number)
    name = rig.registry.name(image.tag, number)
    far_name = f"{rig.registry.far_repository}:{number}"
    with rig.registry.tunnel(watch):
        _pipeline([["docker", "push", "--quiet", name]], watch)
        _pipeline([[*rig.ssh, f"docker pull --quiet {far_name}"]], watch)
    return Outcome(far_name)


METHODS: dict[str, tuple[str, Method]] = {
    "bottle": ("bottle migrate", bottle),
    "plain": ("docker save | ssh docker load", save_load),
    "zstd": ("docker save | zstd | ssh docker load", save_zstd_load),
    "registry": ("push and pull, registry there", registry),
}


def _pipeline(parts: Sequence[Sequence[str]], watch: Watch) -> None:
    """Run programs, each reading what the one before writes. Raises RuntimeError when one of them fails."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        source: IO[bytes] | int = subprocess.DEVNULL
        for argv in parts:
            last = argv is parts[-1]
            process = subprocess.Popen(argv, stdin=source, stdout=subprocess.DEVNULL if last else subprocess.PIPE)
            processes.append(process)
            watch(process)
            if not isinstance(source, int):
                source.close()
            source = process.stdout or subprocess.DEVNULL
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if any(codes):
        raise RuntimeError(f"{' | '.join(' '.join(argv) for argv in parts)} ended with {codes}")


class _Phases:
    """Reads bottle's lines on stderr as they come: a phase lasts until the next one begins."""

    def __init__(self, stream: IO[bytes], host: str, began: float) -> None:
        self._stream = stream
        self._host = host
        self._name, self._since = "starting, logging in", began
        self._spent: dict[str, float] = {}
        self.said = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def finish(self) -> dict[str, float]:
        """Seconds by phase, once the process has ended."""
        self._thread.join()
        self._begin("")
        return self._spent

    def _read(self) -> None:
        for raw in self._stream:
            line = raw.decode("utf-8", "replace").rstrip()
            self.said += f"{line}\n"
            if not _DONE.search(line):
                self._begin(_AMOUNT.sub("", line).replace(self._host, "the far host"))

    def _begin(self, name: str) -> None:
        now = time.monotonic()
        self._spent[self._name] = self._spent.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now
