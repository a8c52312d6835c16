"""What the tests of `migrate` share: a desk to type at, an agent with work to move, and the other side."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from tests.hosts import DockerHost
from tests.hosts.keys import path_with_config
from tests.integration import trees
from tests.support.inside import run_inside

ROOT = Path(__file__).resolve().parents[2]
STRIKE = ROOT / "tests" / "integration" / "strike.py"
BOTTLE = ("-c", "from bottle.cli.main import main; main(prog_name='bottle')")
IMAGE = f"bottle-migration-test:{secrets.token_hex(4)}"  # of this test run
# What of Debian the agent and the tests use in its bottle: each move reads every layer that is here.
TOOLS = """\
sh cat chmod cp cut date find head id ln ls mkdir mv od perl rm sed sha256sum sleep stat sync tail test touch tr wc"""
FILES = "/etc /usr/share/doc"
DOCKERFILE = """\
FROM {base}
RUN mkdir -p /opt/cache && echo from-the-image >/opt/cache/seed && echo gone >/etc/deleted-later
COPY agent /usr/local/bin/agent
"""
# Keeps a journal, and goes on where it left off.
AGENT = """\
#!/bin/sh
trap 'exit 0' TERM
mkdir -p /root/.agent
last=$(tail -n 1 /root/.agent/journal 2>/dev/null | cut -d' ' -f2)
echo "$1" >>/root/.agent/began
step=${last:-0}
while :; do
	step=$((step + 1))
	echo "step $step" >>/root/.agent/journal
	sleep 0.2 &
	wait $!
done
"""
MANIFEST = """\
[agents.mover]
image = "{image}"
command = ["/usr/local/bin/agent", "first"]
resume_command = ["/usr/local/bin/agent", "again"]
transcript = ["/root/.agent"]
secrets = ["MIGRATION_TEST_SECRET"]
volumes = ["cache:/opt/cache"]
network = "none"

[agents.plain]
image = "{image}"
command = ["/usr/local/bin/agent", "first"]
resume_command = ["/usr/local/bin/agent", "again"]
transcript = ["/root/.agent"]
network = "none"
"""


# --- a desk -----------------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """A user's machine: a home with an ssh_config, a manifest, a state folder, a workspace; and the engine under it."""

    folder: Path
    environ: dict[str, str]
    engine: docker.DockerClient
    known: list[str] = field(default_factory=list)
    python: tuple[str, ...] = (sys.executable,)

    @property
    def states(self) -> Path:
        return self.folder / "bottles" / "state"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def bottle(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run the real command."""
        return subprocess.run(
            [*self.python, *BOTTLE, *words], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=300, check=False, **options,
        )  # fmt: skip

    def program(self, path: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the tests that needs nothing but bottle and Python."""
        return subprocess.run(
            [*self.python, str(path), *words], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """The real command as it runs; it is waited for."""
        with subprocess.Popen(
            [*self.python, *BOTTLE, *words], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            yield process

    def ok(self, *words: str) -> dict[str, Any]:
        """Run the real command, which must succeed, and return its JSON answer."""
        done = self.bottle(*words, "--format", "json")
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stderr.decode()}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refused(self, code: int, *words: str) -> str:
        """Run the real command, which must fail with `code`; what it said."""
        done = self.bottle(*words)
        said = done.stderr.decode()
        assert done.returncode == code, f"{words}: exit {done.returncode}, not {code}\n{said}\n{done.stdout.decode()}"
        assert "Traceback" not in said
        return said

    def strike(self, moment: str, *words: str) -> tuple[int, list[str]]:
        """Run the real command and kill it at a moment (see strike.py); its exit code, and the moments it reached."""
        log = self.folder / "moments"
        log.write_text("")
        done = subprocess.run(
            [sys.executable, str(STRIKE), str(log), moment, *words], cwd=self.folder, env=self.environ,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        (self.folder / "said").write_bytes(done.stderr)
        return done.returncode, log.read_text().splitlines()

    def start(self, agent: str = "plain", *words: str) -> str:
        """A running bottle that has begun its journal."""
        self.workspace.mkdir(exist_ok=True)
        identity = str(self.ok("start", agent, "-d", "--cwd", str(self.workspace), *words)["identity"])
        self.known.append(identity)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.run_in(identity, "test", "-s", "/root/.agent/journal") is None:
            time.sleep(0.05)
        return identity

    def container(self, identity: str) -> Container:
        return self.engine.containers.get(f"bottle-{identity}")

    def run_in(self, identity: str, *command: str) -> bytes | None:
        """What a command in the bottle says; None where it fails."""
        code, output = run_inside(self.container(identity), command, user="0")
        return output if code == 0 else None

    def work(self, identity: str) -> None:
        """Let the agent do all kinds of work, inside and in its volume."""
        container = self.container(identity)
        container.put_archive("/", trees.work())
        assert self.run_in(identity, "rm", "-r", "/etc/deleted-later", "/usr/share/doc") is not None
        if any(mount["Destination"] == "/opt/cache" for mount in container.attrs["Mounts"]):
            container.put_archive("/opt/cache", trees.work())
            assert self.run_in(identity, "rm", "/opt/cache/seed") is not None

    def nest(self, identity: str, path: str, depth: int) -> None:
        """`depth` folders in each other, and a file in the last one."""
        nest = "chdir $ARGV[0]; for (1..$ARGV[1]) { mkdir 'd'; chdir 'd' } open F, '>leaf'; print F 'deep'"
        assert self.run_in(identity, "perl", "-e", nest, path, str(depth)) is not None

    def grow(self, identity: str, size: int) -> None:
        """`size` bytes of work that cannot be compressed."""
        command = f"head -c {size} /dev/urandom >/root/large"
        assert self.run_in(identity, "sh", "-c", command) is not None

    def target(self, host: DockerHost, user: str = "root") -> str:
        return host.alias(user)

    def knows(self, host: DockerHost) -> None:
        """Have the host in ~/.ssh/config."""
        config = self.folder / ".ssh" / "config"
        with config.open("a") as file:
            file.write(host.ssh_config.read_text() + "\n")

    def knows_as(self, alias: str, host: DockerHost, port: int, user: str = "root") -> str:
        """Have the host under another name and port, such as those of a proxy; returns the name."""
        config = self.folder / ".ssh" / "config"
        known = self.folder / f"known-{alias}"
        key = host.known_hosts.read_text().split(" ", 1)[1]
        known.write_text(f"[127.0.0.1]:{port} {key}")
        with config.open("a") as file:
            file.write(
                f"\nHost {alias}\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {host.key_file}\n"
                f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {known}\n"
                "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
            )
        return alias

    def migration(self, identity: str) -> dict[str, Any] | None:
        """The note of a move in flight."""
        with suppress(FileNotFoundError):
            note: dict[str, Any] = json.loads((self.states / identity / "migration.json").read_text())
            return note
        return None

    def can_resume(self, identity: str) -> bool:
        """Whether this host would bring the bottle back; whoever asks changes nothing but what a move left open."""
        done = self.bottle("resume", "--dry-run", identity)
        assert done.returncode in {0, 4}, done.stderr.decode()
        return done.returncode == 0

    def recorded(self, identity: str) -> str:
        """All of a state folder but its lock's note, as text."""
        files = sorted(each for each in (self.states / identity).rglob("*") if each.is_file() and each.name != "lock")
        return "".join(f"{each}\n{each.read_bytes()!r}\n" for each in files)

    def clear(self) -> None:
        """Remove all that the bottles of this desk have in the engine."""
        for identity in {*self.known, *(each.name for each in self.states.iterdir() if self.states.is_dir())}:
            mine = {"label": f"bottle.identity={identity}"}
            for container in self.engine.containers.list(all=True, filters=mine, ignore_removed=True):
                with suppress(NotFound):
                    container.remove(force=True, v=True)
            # By name: the image of a copy bears the labels of what it was copied from.
            for image in self.engine.images.list(name=f"bottle-committed-{identity}"):
                for tag in image.tags:
                    with suppress(NotFound):
                        self.engine.images.remove(tag, force=True)
            for volume in self.engine.volumes.list(filters=mine):
                with suppress(DockerException):
                    volume.remove(force=True)


@contextmanager
def desk_in(folder: Path, engine: docker.DockerClient) -> Iterator[Desk]:
    """A fresh desk; what its bottles leave in the engine is removed."""
    folder.mkdir(exist_ok=True)
    (folder / "bottle.toml").write_text(MANIFEST.format(image=IMAGE))
    environ = {
        **os.environ, "HOME": str(folder), "BOTTLE_HOME": str(folder / "bottles"),
        "MIGRATION_TEST_SECRET": "hush-4711", "PYTHONPATH": str(ROOT),
        "PATH": path_with_config(folder / "bin", folder / ".ssh" / "config"),
    }  # fmt: skip
    desk = Desk(folder, environ, engine)
    (folder / "bottles" / "state").mkdir(parents=True)
    (folder / ".ssh").mkdir(mode=0o700)
    (folder / ".ssh" / "config").touch()
    try:
        yield desk
    finally:
        desk.clear()


def heard(process: subprocess.Popen[str], line: str) -> None:
    """Read what a running command says, up to a line that begins so."""
    assert process.stderr is not None
    assert any(each.startswith(line) for each in process.stderr), f"it ended without {line!r}: {process.wait()}"


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a running command, and the rest of what it says."""
    assert process.stderr is not None
    said = process.stderr.read()
    return process.wait(timeout=20), said


# --- the other side ---------------------------------------------------------------------------------------------------


def far_can_resume(host: DockerHost, identity: str) -> bool:
    """Whether a host would bring the bottle back."""
    done = host.exec(["bottle", "resume", "--dry-run", identity], check=False)
    assert done.returncode in {0, 3, 4}, done.stderr.decode()
    return done.returncode == 0


def owners(desk: Desk, identity: str, host: DockerHost) -> tuple[bool, bool]:
    """Who would bring the bottle back: this host, that host."""
    return desk.can_resume(identity), far_can_resume(host, identity)


def leftovers(host: DockerHost) -> list[str]:
    """What a move must not leave on a host: staging, helpers' containers, volumes without a name."""
    left = host.exec(["sh", "-c", "ls -A /root/.bottle/incoming 2>/dev/null"], check=False).text.split()
    left += host.docker("ps", "-aq", "--filter", "name=bottle-verify-", "--filter", "name=bottle-fill-").text.split()
    left += [name for name in host.docker("volume", "ls", "-q").text.split() if not name.startswith("bottle-")]
    return left


@contextmanager
def stand_in(host: DockerHost, path: str, script: str) -> Iterator[None]:
    """A program of a host that somebody has replaced."""
    host.exec(["sh", "-c", 'cat >"$1" && chmod 755 "$1"', "put", path], stdin=script.encode())
    try:
        yield
    finally:
        host.exec(["rm", "-f", path])


def forget(host: DockerHost, identity: str) -> None:
    """Take all that a host has of a bottle away."""
    host.exec(["sh", "-c", FORGET, "forget", identity])


FORGET = """
docker ps -aq --filter "label=bottle.identity=$1" | xargs -r docker rm -f -v
docker volume ls -q --filter "label=bottle.identity=$1" | xargs -r docker volume rm
docker image ls --format '{{.Repository}}:{{.Tag}}' "bottle-committed-$1" | xargs -r docker image rm
rm -rf "/root/.bottle/state/$1" "/root/.bottle/incoming/$1"
exit 0
"""


@contextmanager
def forgotten(host: DockerHost, *identities: str) -> Iterator[None]:
    """What arrives on a shared host is removed from it."""
    try:
        yield
    finally:
        for identity in identities:
            forget(host, identity)


def build_image(engine: docker.DockerClient, base: str) -> None:
    """The agent's image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as context:
        for name, text, mode in (("Dockerfile", DOCKERFILE.format(base=base), 0o644), ("agent", AGENT, 0o755)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), mode
            context.addfile(member, io.BytesIO(text.encode()))
    buffer.seek(0)
    engine.images.build(fileobj=buffer, custom_context=True, tag=IMAGE, rm=True, forcerm=True)
