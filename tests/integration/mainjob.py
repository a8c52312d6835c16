"""The main job on a host's own engine: `bottle` typed there from start to move, by one of the host's users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bottle.docker_engine import DockerEngine
from tests.contract.engine import Rig, eventually
from tests.hosts import DockerHost, RunResult, SharedHost

DOCKERFILE = """\
FROM debian:trixie-slim
ARG BOTTLE_UID=1000
RUN [ "$BOTTLE_UID" = 0 ] || useradd --uid "$BOTTLE_UID" agent
WORKDIR /workspace
"""
MANIFEST = """\
[agents.worker]
dockerfile = "Dockerfile"
command = ["sh", "-c", "echo first >>/workspace/seen; echo first >>/var/tmp/journal; exec sleep 600"]
resume_command = ["sh", "-c", "echo again >>/workspace/seen; echo again >>/var/tmp/journal; exec sleep 600"]
transcript = ["/var/tmp/journal"]
network = "none"
memory = "256m"
"""


@dataclass
class Bench:
    """A user of a host: `bottle` typed in a folder of theirs."""

    host: DockerHost
    user: str
    home: str

    @property
    def work(self) -> str:
        return f"{self.home}/work"

    def run(self, *words: str, cwd: str = "") -> RunResult:
        script = f'cd "{cwd or self.work}" && exec "$@"'
        return self.host.exec(["sh", "-c", script, "sh", *words], user=self.user, env={"HOME": self.home}, check=False)

    def ok(self, *words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("bottle", *words, "--format", "json").check().stdout)
        return answer

    def refused(self, code: int, *words: str) -> str:
        done = self.run("bottle", *words)
        assert done.returncode == code, done.stderr.decode()
        return done.stderr.decode()

    def seen(self, folder: str = "") -> list[str]:
        return self.run("cat", f"{folder or self.work}/seen").check().text.splitlines()

    def journal(self, identity: str) -> list[str]:
        return self.host.docker("exec", f"bottle-{identity}", "cat", "/var/tmp/journal").text.splitlines()

    def wait_for(self, identity: str, lines: list[str]) -> None:
        assert eventually(lambda: self.journal(identity) == lines), self.journal(identity)


@contextmanager
def bench_on(host: DockerHost, user: str, home: str) -> Iterator[Bench]:
    """A user's folder with a manifest; what its bottles leave is removed."""
    bench = Bench(host, user, home)
    bench.run("mkdir", "-p", bench.work, cwd=home).check()
    for name, text in (("Dockerfile", DOCKERFILE), ("bottle.toml", MANIFEST)):
        bench.run("sh", "-c", 'printf %s "$1" >"$2"', "sh", text, name).check()
    yield bench
    for each in host.docker("ps", "-aq", "--filter", "label=bottle.identity").text.split():
        host.docker("rm", "-f", each, check=False)
    bench.run("rm", "-rf", bench.work, f"{home}/.bottle", f"{home}/copy", f"{home}/landed", cwd=home)


def the_main_job(bench: Bench, *, pauses: bool) -> str:
    """Start, commit, resume without the container, fork, export, import, stop; the identity of what was committed."""
    identity = str(bench.ok("start", "worker", "-d")["identity"])
    bench.wait_for(identity, ["first"])
    if not pauses:
        assert "rootless, and has no cgroups to pause with" in bench.refused(5, "commit", identity)
        bench.ok("stop", identity)
    bench.ok("commit", identity)
    bench.host.docker("rm", "-f", f"bottle-{identity}")
    bench.ok("resume", identity, "-d")
    bench.wait_for(identity, ["first", "again"])
    assert bench.seen() == ["first", "again"]
    assert bench.run("stat", "-c", "%U", "seen").check().text == bench.user
    bench.run("mkdir", f"{bench.home}/copy").check()
    fork = str(bench.ok("fork", f"{identity}@1", "--cwd", f"{bench.home}/copy")["identity"])
    bench.ok("resume", fork, "-d")
    bench.wait_for(fork, ["first", "again"])
    bench.ok("stop", identity)
    bench.ok("export", identity, f"{bench.work}/{identity}.bottle")
    arrived = bench.ok("import", f"{bench.work}/{identity}.bottle", "--workspace", f"{bench.home}/landed", "--yes")
    twin = str(arrived["identity"])
    bench.ok("resume", twin, "-d")
    bench.wait_for(twin, ["first", "again", "again"])
    assert bench.seen(f"{bench.home}/landed")[:2] == ["first", "again"]
    return identity


def introduce(bench: Bench, destination: DockerHost) -> None:
    """Let root of a host log in at another one as `there`, both being containers on one bridge."""
    destination.container.reload()
    address = destination.container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    public = destination.known_hosts.read_text().split(maxsplit=1)[1]
    config = f"Host there\n  HostName {address}\n  User root\n  IdentitiesOnly yes\n"
    bench.run("mkdir", "-p", "-m", "700", ".ssh", cwd=bench.home).check()
    files = {"id_ed25519": destination.key_file.read_text(), "known_hosts": f"{address} {public}", "config": config}
    for name, text in files.items():
        put = 'umask 077; printf %s "$1" >".ssh/$2"'
        bench.run("sh", "-c", put, "sh", text, name, cwd=bench.home).check()


def it_moves(bench: Bench, identity: str, destination: DockerHost) -> None:
    """It moves to `destination`, which is introduced as `there`, and goes on there."""
    bench.ok("migrate", identity, "there", "--yes")
    destination.exec(["bottle", "resume", identity, "-d"], env={"HOME": "/root"})
    journal = destination.docker("exec", f"bottle-{identity}", "cat", "/var/tmp/journal").text.splitlines()
    assert journal[:2] == ["first", "again"]
    destination.docker("rm", "-f", f"bottle-{identity}")
    destination.exec(["rm", "-rf", bench.work, "/root/.bottle"])


def rig_on(host: SharedHost, base: str, name: str) -> Iterator[Rig]:
    """What the contract of engines is tried with, on this one's."""
    folder = host.shared / f"work-{name}"
    folder.mkdir()
    rig = Rig(engine=DockerEngine(host.environment), base=base, folder=folder)
    yield rig
    rig.clean()
