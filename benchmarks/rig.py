"""What is measured on: a far Docker host, the link to it, and a bottle with two commits.

base image = Debian + generated files             what a far host with other bottles of the agent has
first      = base + the bottle's work             commit 1
second     = first, where 1 % of it was changed   commit 2
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from benchmarks.content import write_files, write_tree
from benchmarks.registry import Registry
from benchmarks.wire import Wire
from tests.hosts import BASE_IMAGE, DockerHost, ImageStore
from tests.hosts.keys import path_with_config, ssh_config_text

ROOT = Path(__file__).resolve().parent.parent
_AGENT = "movebench"
_BASE = 0.9  # of the size of the work
_DEBIAN = 78 << 20
_LEAST = 8 << 20
_FILE = 12_000  # bytes of a file of the work, on the average
_CHANGED = 100  # one in so many files


class Presence(StrEnum):
    """What the far host has before a move."""

    NOTHING = "nothing"
    BASE = "base"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that moves: its name here and its layers."""

    tag: str
    number: int
    diff_ids: tuple[str, ...]
    size: int


def say(text: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(argv: Sequence[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program that is not measured; its standard output. Raises RuntimeError with what it said."""
    done = subprocess.run(
        argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, env=env, cwd=cwd, timeout=1800
    )
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {' '.join(argv)}\n{done.stderr.decode(errors='replace')[-3000:]}")
    return done.stdout.decode().strip()


class Rig:
    """Context manager; at its end all that it made is gone."""

    def __init__(
        self, *, size: int, store: ImageStore, rate: float | None, round_trip: float = 0.0, registry: bool
    ) -> None:
        self._size = size
        self._store: ImageStore = store
        self._rate = rate
        self._round_trip = round_trip
        self._with_registry = registry
        self._stack = ExitStack()
        self._run = secrets.token_hex(3)
        self.base = f"bottle-movebench-base-{self._run}:latest"
        self._kept = f"bottle-movebench-kept-{self._run}"
        self.images: dict[int, Image] = {}
        self.registry: Registry | None = None

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        say("cleaning up")
        self._stack.close()

    # What the methods need

    @property
    def ssh(self) -> tuple[str, ...]:
        """The system's ssh client, up to where options or a command follow."""
        return ("ssh", "-F", str(self.config), self.alias)

    @property
    def bottle(self) -> tuple[str, ...]:
        """The bottle command."""
        return (sys.executable, "-m", "bottle")

    @property
    def env(self) -> dict[str, str]:
        """The environment in which it runs: a home of its own, whose ssh_config leads through the link."""
        return os.environ | {
            "HOME": str(self.home),
            "PATH": path_with_config(self.home / "bin", self.config),
            "BOTTLE_HOME": str(self.home / "bottles"),
            "PYTHONPATH": str(ROOT),
        }

    # Before and after each measurement

    def reset(self, presence: Presence, number: int, *, registry: bool) -> None:
        """Bring both sides to where a measurement begins: the far host has `presence`, here commit `number` counts."""
        self._restore_state(number)
        self.host.exec(["rm", "-rf", "/root/.bottle"])
        self._far_images(presence)
        if registry and self.registry is not None:
            self.registry.restore(presence)
        self.host.exec(["sync"])

    def only_base(self) -> None:
        """Have the far host know the base image, and nothing more."""
        self._far_images(Presence.BASE)

    def require_arrived(self, image: Image, tag: str) -> None:
        """Raise RuntimeError unless the far engine knows `tag` with the layers of `image`."""
        said = self.host.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", tag).text
        if tuple(json.loads(said)) != image.diff_ids:
            raise RuntimeError(f"{tag} arrived with other layers than it left with")

    def _restore_state(self, number: int) -> None:
        shutil.rmtree(self._state)
        shutil.copytree(self.work / f"state-{number}", self._state, symlinks=True)
        run(["docker", "tag", self._tag(number), self._tag("latest")])

    def _far_images(self, presence: Presence) -> None:
        wanted = {Presence.NOTHING: [], Presence.BASE: [0], Presence.FIRST: [0, 1]}[presence]
        keep = {f"{self._kept}:{number}" for number in wanted}
        have = self._far_tags()
        for number in wanted:
            tag = f"{self._kept}:{number}"
            if tag not in have:
                source = self._tag(number) if number else self.base
                self.host.load_image(source)
                self.host.docker("tag", source, tag)
        unwanted = sorted(self._far_tags() - keep)
        if unwanted:
            self.host.docker("image", "rm", "--force", *unwanted)
        self.host.docker("image", "prune", "--force")

    def _far_tags(self) -> set[str]:
        listed = self.host.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").text.split()
        return {tag for tag in listed if "<none>" not in tag}

    # Making it

    def _build(self) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="bottle-movebench-"))
        self._stack.callback(shutil.rmtree, self.work, ignore_errors=True)
        say("starting the far host")
        self.host = self._stack.enter_context(DockerHost(self._store, directory=self.work / "host"))
        self.wire = self._stack.enter_context(Wire(self.host.port))
        self._configure_ssh()
        self._install()
        self._make_images()
        if self._with_registry:
            self._start_registry()
        self.wire.limit(self._rate)
        self.wire.lengthen(self._round_trip)

    def _configure_ssh(self) -> None:
        self.home = self.work / "home"
        (self.home / ".ssh").mkdir(mode=0o700, parents=True)
        known_hosts = self.home / ".ssh" / "known_hosts"
        known_hosts.write_text(
            self.host.known_hosts.read_text().replace(f":{self.host.port} ", f":{self.wire.port} "), encoding="ascii"
        )
        self.config = self.home / ".ssh" / "config"
        self.alias = "far"
        self.config.write_text(
            ssh_config_text(
                name=self.alias,
                users=["root"],
                address=self.host.address,
                port=self.wire.port,
                key_file=self.host.key_file,
                known_hosts=known_hosts,
            ),
            encoding="utf-8",
        )

    def _install(self) -> None:
        packages = ["zstd", "docker-registry"] if self._with_registry else ["zstd"]
        say(f"installing {', '.join(packages)} there")
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        self.host.exec(["apt-get", "update", "-qq"], env=env)
        self.host.exec(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=env)

    def _make_images(self) -> None:
        base = max(int(self._size * _BASE) - _DEBIAN, _LEAST)
        files = self._size // _FILE
        say("making the base image")
        name = f"bottle-movebench-{self._run}"
        run(["docker", "create", "--name", name, BASE_IMAGE, "true"])
        self._stack.callback(quietly, ["docker", "image", "rm", "--force", self.base])
        try:
            with copying_to(name) as stream:
                write_files(stream, "opt/agent", base, "base")
            run(["docker", "commit", name, self.base])
        finally:
            quietly(["docker", "rm", "--force", name])
        say("making the bottle and its two commits")
        self._stack.callback(self._remove_bottle)
        project = self.work / "project"
        project.mkdir()
        (project / "bottle.toml").write_text(
            f'[agents.{_AGENT}]\nimage = "{self.base}"\ncommand = ["sleep", "infinity"]\n', encoding="utf-8"
        )
        answer = run(
            [*self.bottle, "start", _AGENT, "--detach", "--copy-cwd", "--format", "json"], env=self.env, cwd=project
        )
        self.identity = str(json.loads(answer)["identity"])
        self._commit(1, self._size, files)
        # A container of the first commit, as after a move: the second commit is a layer on top of it.
        run([*self.bottle, "resume", self.identity, "--detach"], env=self.env)
        self._commit(2, self._size // _CHANGED, files // _CHANGED)

    def _commit(self, number: int, size: int, files: int) -> None:
        """Write so many files into the bottle, in the place of those that have their names, and commit it."""
        container = f"bottle-{self.identity}"
        with copying_to(container) as stream:
            write_tree(stream, "srv/work", size, files, f"commit {number}")
        run([*self.bottle, "commit", self.identity], env=self.env)
        run(["docker", "rm", "--force", container])
        shutil.copytree(self._state, self.work / f"state-{number}", symlinks=True)
        said = json.loads(run(["docker", "image", "inspect", self._tag(number)]))[0]
        layers = tuple(said["RootFS"]["Layers"])
        self.images[number] = Image(self._tag(number), number, layers, int(said["Size"]))

    def _start_registry(self) -> None:
        say("filling the registry")
        self.registry = Registry(self.host, (*self.ssh[:-1],), self.alias, _free_port())
        self._stack.callback(self.registry.forget)
        self.registry.prepare({Presence.BASE: (self.base, "0"), Presence.FIRST: (self._tag(1), "1")})

    def _remove_bottle(self) -> None:
        # By its folder: it may have been interrupted before it said what it is called.
        for state in (self.home / "bottles" / "state").glob(f"{_AGENT}-*"):
            quietly(["docker", "rm", "--force", f"bottle-{state.name}"])
            for tag in ("1", "2", "latest"):
                quietly(["docker", "image", "rm", "--force", f"bottle-committed-{state.name}:{tag}"])

    @property
    def _state(self) -> Path:
        return self.home / "bottles" / "state" / self.identity

    def _tag(self, number: int | str) -> str:
        return f"bottle-committed-{self.identity}:{number}"


@contextmanager
def copying_to(container: str) -> Iterator[IO[bytes]]:
    """A stream that takes a tar of what is to be in a container."""
    process = subprocess.Popen(["docker", "cp", "-", f"{container}:/"], stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        with process.stdin as stdin:
            yield stdin
    finally:
        code = process.wait()
    if code:
        raise RuntimeError(f"docker cp into {container} ended with {code}")


def quietly(argv: Sequence[str]) -> None:
    """Run a program whose failure makes no difference."""
    with suppress(OSError):
        subprocess.run(argv, check=False, capture_output=True, stdin=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
