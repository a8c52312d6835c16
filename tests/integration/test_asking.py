"""Capability requests out of real containers: by the script that is there, by any user, and by one who means harm."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import docker
import pytest
from docker.errors import ImageNotFound
from mcp import Client, StdioServerParameters

from bottle.composition import make_context
from bottle.model import CapabilityRequest, RequestStatus
from bottle.naming import Identity
from bottle.operations.requests import collect, publish
from bottle.requests.request import MAX_DOCKERFILE, MAX_OPEN
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from bottle.testing import RecordingProgress
from tests.support.inside import run_inside
from tests.support.trees import snapshot

ASK = "/run/bottle/request-capability"
MANIFEST = """\
[agents.{name}]
dockerfile = "Dockerfile"
command = ["sleep", "infinity"]
network = "none"
"""


@dataclass
class Bench:
    """A bottle that runs, and the operator's side of it."""

    folder: Path
    engine: docker.DockerClient
    identity: Identity

    def __post_init__(self) -> None:
        self.progress = RecordingProgress()
        self.context = make_context(home=self.folder / "home", environ={}, progress=self.progress)

    @property
    def state(self) -> BottleState:
        return self.context.home.bottle(self.identity)

    @property
    def container(self) -> Any:
        return self.engine.containers.get(self.identity.container)

    def sh(self, script: str, *, exit_code: int = 0, user: str = "") -> str:
        """Run a script in the bottle; what it prints."""
        code, output = run_inside(self.container, ("/bin/sh", "-c", script), user)
        assert code == exit_code, (script, code, output)
        return output.decode()

    def bottle(self, *words: str) -> str:
        """Run a command; what it says on standard error."""
        return bottle(self.folder, *words).stderr

    def collect(self) -> tuple[CapabilityRequest, ...]:
        with self.state.locked("a test"):
            return collect(self.context, self.state)

    def decide(self, request: CapabilityRequest, status: RequestStatus, note: str) -> None:
        decided = replace(request, status=status, note=note)
        with self.state.locked("a test"):
            self.state.write_request(decided)
            publish(self.context, self.identity, decided)


def bottle(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (sys.executable, "-m", "bottle", *words),
        cwd=folder,
        env={**os.environ, "BOTTLE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done


@pytest.fixture(params=["root", "1234"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, engine: docker.DockerClient, base_image: str
) -> Iterator[Bench]:
    """A bottle whose agent is root, or a user that nobody knows; gone afterwards."""
    name = f"ask{secrets.token_hex(3)}"
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image}\nUSER {request.param}\n")
    (tmp_path / "bottle.toml").write_text(MANIFEST.format(name=name))
    bottle(tmp_path, "start", "-d", "--copy-cwd", name)
    (identity,) = StateHome(tmp_path / "home").identities()
    bench = Bench(tmp_path, engine, identity)
    try:
        yield bench
    finally:
        if bench.state.exists():
            bottle(tmp_path, "stop", "--grace", "0", str(identity))
            bottle(tmp_path, "rm", "--yes", str(identity))
        with suppress(ImageNotFound):
            engine.images.remove(f"bottle-{name}:latest", force=True)


def test_asking_waiting_and_the_answer(bench: Bench) -> None:
    said = bench.sh(f"printf 'FROM x\\nRUN jq' | {ASK} --reason 'jq, ü'")
    assert "request 1 is made" in said
    assert bench.sh(f"{ASK} --status 1") == "pending\n"
    (request,) = bench.collect()
    assert (request.number, request.reason, request.dockerfile) == (1, "jq, ü", "FROM x\nRUN jq")
    assert bench.sh("cat /run/bottle/answers/1") == "pending\n"
    bench.decide(request, RequestStatus.DENIED, "use python\nto read it")
    assert bench.sh(f"{ASK} --status 1") == "denied\nuse python\nto read it\n"
    out = "/tmp/waited"
    bench.container.exec_run(
        ("/bin/sh", "-c", f"echo FROM y | {ASK} --reason again --wait > {out}; echo $? >> {out}"), detach=True
    )
    deadline = time.monotonic() + 60
    while not (waiting := [each for each in bench.collect() if each.number == 2]):
        assert time.monotonic() < deadline
    time.sleep(1)
    assert bench.sh(f"cat {out}").endswith("--status 2\n")
    bench.decide(waiting[0], RequestStatus.APPROVING, "")
    while not bench.sh(f"cat {out}").endswith("approved\n0\n"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_ten_at_once_are_ten(bench: Bench) -> None:
    bench.sh(f"for i in 0 1 2 3 4 5 6 7 8 9; do echo FROM $i | {ASK} --reason r$i & done; wait")
    found = bench.collect()
    assert [each.number for each in found] == list(range(1, 11))
    assert {(each.reason, each.dockerfile) for each in found} == {(f"r{i}", f"FROM {i}\n") for i in range(10)}


def test_a_bottle_writes_nowhere_else_and_sees_no_state(bench: Bench) -> None:
    for path in ("x", "answers/1", "answers/x", "launch", "request-capability"):
        bench.sh(f"echo x > /run/bottle/{path}", exit_code=2)
    for path in ("answers", "requests", "request-capability"):
        bench.sh(f"rm -rf /run/bottle/{path}", exit_code=1)
    assert str(bench.folder) not in bench.sh("cat /proc/mounts")
    assert bench.sh("ls /run/bottle").split() == ["answers", "launch", "request-capability", "requests", "secrets"]


def test_what_a_hostile_agent_leaves_there_harms_nothing(bench: Bench) -> None:
    bench.sh(f"echo FROM good | {ASK} --reason good")
    bench.sh("""
        cd /run/bottle/requests; rm -f /tmp/*; umask 077
        make() { echo FROM "$1" > $1.Dockerfile; echo "$1" > $1.reason; : > $1.ready; }
        for i in 2 3 4 5 6 7 8 9; do make $i; done
        head -c 50000000 /dev/zero > 2.Dockerfile
        rm 3.Dockerfile; ln -s /etc/passwd 3.Dockerfile
        rm 4.Dockerfile; mkfifo 4.Dockerfile
        rm 5.reason; ln -s ../answers/1 5.reason
        rm 6.reason; mkdir 6.reason; echo x > 6.reason/6.ready
        printf '\\033]0;owned\\007\\033[2J red' > 7.reason
        printf 'FROM \\377' > 8.Dockerfile
        rm 9.ready; ln 9.reason 9.ready
        ln -s / everything; : > 0.ready; : > 99999999999.ready
    """)
    before = snapshot(bench.folder)
    found = {each.number: each for each in bench.collect()}
    assert found[1].status is found[7].status is RequestStatus.PENDING
    assert found[7].reason == "\x1b]0;owned\x07\x1b[2J red"
    flaws = {number: each.note for number, each in found.items() if each.status is RequestStatus.DENIED}
    assert set(flaws) == {2, 3, 4, 5, 6, 8, 9}
    assert f"50000000 bytes, and {MAX_DOCKERFILE} are allowed" in flaws[2]
    assert all("no regular file" in flaws[number] for number in (3, 4, 5, 6, 9))
    assert "not UTF-8" in flaws[8]
    assert all(found[number].dockerfile == "" for number in flaws)
    assert bench.sh(f"{ASK} --status 2").startswith("denied\nnot a request that can be decided")
    after = snapshot(bench.folder)
    requests = f"home/state/{bench.identity}/requests"
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if not str(path).startswith(requests)} <= {f"home/state/{bench.identity}"}


def test_a_flood_is_read_within_limits(bench: Bench) -> None:
    bench.sh(f"for i in $(seq {MAX_OPEN + 4}); do echo FROM a | {ASK} --reason $i || exit; done")
    bench.sh("cd /run/bottle/requests; for i in $(seq 2000); do : > z$i; done; head -c 100000000 /dev/zero > zz")
    began = time.monotonic()
    assert len(bench.collect()) == MAX_OPEN
    assert time.monotonic() - began < 20
    assert any("holds too much" in note for note in bench.progress.notes)
    assert any("4 more requests stay" in note for note in bench.progress.notes)


def test_too_much_is_refused_inside_before_anything_is_asked(bench: Bench) -> None:
    assert "too long" in bench.sh(f"head -c 300000 /dev/zero | tr '\\0' a | {ASK} --reason x", exit_code=2)
    assert "too long" in bench.sh(f"echo FROM x | {ASK} --reason $(head -c 5000 /dev/zero | tr '\\0' a)", exit_code=2)
    assert bench.sh("ls /run/bottle/requests") == ""


def test_a_stop_and_a_commit_take_in_what_was_asked_and_leave_out_only_data(bench: Bench) -> None:
    bench.sh(f"echo FROM a | {ASK} --reason one")
    bench.bottle("stop", "--grace", "0", str(bench.identity))
    assert [each.reason for each in bench.state.requests()] == ["one"]
    done = bottle(bench.folder, "commit", "--format", "json", str(bench.identity))
    assert '"not_in_snapshot": []' in done.stdout
    bench.bottle("resume", "-d", str(bench.identity))
    bench.sh(f"echo FROM b | {ASK} --reason two")
    assert [(each.number, each.reason) for each in bench.collect()] == [(1, "one"), (2, "two")]
    # A reboot: what was in memory is gone, and the container has ended.
    bench.container.kill()
    folder = bench.context.runtime / str(bench.identity)
    subprocess.run(("rm", "-r", str(folder)), check=True)
    assert len(bench.collect()) == 2
    bench.bottle("resume", "-d", str(bench.identity))
    assert bench.sh("cat /run/bottle/answers/2") == "pending\n"


def test_requests_travel_in_a_bundle_and_are_answered_where_they_arrive(bench: Bench) -> None:
    bench.sh(f"echo FROM a | {ASK} --reason one")
    file = bench.folder / "asked.bottle"
    bench.bottle("export", str(bench.identity), str(file))
    bench.bottle("import", str(file), "--yes")
    there = replace(bench, identity=next(each for each in bench.context.home.identities() if each != bench.identity))
    try:
        assert there.state.requests() == bench.state.requests()
        (request,) = there.state.requests()
        there.decide(request, RequestStatus.DENIED, "not there either")
        there.bottle("resume", "-d", str(there.identity))
        assert there.sh(f"{ASK} --status 1") == "denied\nnot there either\n"
        assert bench.sh(f"{ASK} --status 1") == "pending\n"
        there.sh(f"echo FROM b | {ASK} --reason two")
        assert [(each.number, each.reason) for each in there.collect()] == [(1, "one"), (2, "two")]
        assert [each.reason for each in bench.collect()] == ["one"]
    finally:
        there.bottle("stop", "--grace", "0", str(there.identity))
        there.bottle("rm", "--yes", str(there.identity))


def test_the_mcp_server_asks_in_a_real_bottle(bench: Bench) -> None:
    """Its folder is the one the container mounts, as the container's own processes see it."""
    seen = Path(f"/proc/{bench.container.attrs['State']['Pid']}/root/run/bottle")

    async def main() -> None:
        words = ["-m", "bottle", "mcp", "--folder", str(seen)]
        root = str(Path(__file__).parents[2])
        environ = {"PYTHONPATH": root, "BOTTLE_HOME": str(bench.folder / "inside")}
        server = StdioServerParameters(command=sys.executable, args=words, env=environ)
        async with Client(server, read_timeout_seconds=60) as client:
            await client.call_tool("capability-block", {"dockerfile": "FROM a", "reason": "by MCP"})
            (request,) = bench.collect()
            assert (request.reason, request.dockerfile) == ("by MCP", "FROM a")
            bench.decide(request, RequestStatus.DENIED, "no")
            result = await client.call_tool("capability-status", {"number": 1})
            assert [part.text for part in result.content if part.type == "text"] == ["request 1: denied\nno"]

    anyio.run(main)
