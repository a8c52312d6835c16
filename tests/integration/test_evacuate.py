"""`bottle evacuate` on real hosts: all that can go goes, once, however often it is cut; the rest stays and says why."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.hosts import DockerHost
from tests.integration.migration import Desk, forgotten, leftovers, owners

MEGA = 1 << 20
DISK = 900  # megabytes of Docker's disk there


@pytest.fixture
def small(make_host: Callable[..., DockerHost], equipped: Callable[[DockerHost], DockerHost]) -> DockerHost:
    """A host whose disk is small, with bottle."""
    return equipped(make_host(data_disk_mb=DISK))


def start(desk: Desk, workspace: str) -> str:
    """A bottle that works in a folder, which has a file that cannot be compressed."""
    folder = desk.folder / workspace
    if not folder.exists():
        folder.mkdir()
        (folder / "name").write_text(workspace)
        (folder / "large").write_bytes(os.urandom(2 * MEGA))
    identity = str(desk.ok("start", "plain", "-d", "--cwd", str(folder))["identity"])
    desk.known.append(identity)
    return identity


class Office:
    """Twelve bottles: three share a workspace, one works, one has a secret, one is too large for the disk there."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.shared = [start(desk, "shared") for _ in range(3)]
        self.alone = [start(desk, f"alone-{number}") for number in range(6)]
        self.live, self.secret, self.large = (start(desk, name) for name in ("live", "secret", "large"))
        assert desk.run_in(self.secret, "sh", "-c", "echo login >/root/.git-credentials") is not None
        desk.grow(self.large, DISK * MEGA)
        for number, identity in enumerate((*self.alone, *self.shared[:2])):
            assert desk.run_in(identity, "sh", "-c", f"echo {number} >/root/work") is not None
            desk.ok("stop", identity)
        self.able = {*self.shared, *self.alone, self.live}
        self.all = {*self.able, self.secret, self.large}

    def count_owners(self, host: DockerHost) -> int:
        """How many of them live there; each lives on one host."""
        found = [owners(self.desk, identity, host) for identity in self.all]
        assert {sum(each) for each in found} == {1}
        return sum(there for _, there in found)

    def tombstone(self, identity: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.desk.states / identity / "moved-to.json").read_text())
        return told


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {each["identity"]: each["result"] for each in answer["bottles"]}


def errors(answer: dict[str, Any]) -> dict[str, str]:
    return {each["identity"]: each["error"]["what"] for each in answer["bottles"] if each["error"] is not None}


def answered(desk: Desk, code: int, *words: str) -> dict[str, Any]:
    done = desk.bottle(*words, "--format", "json")
    assert done.returncode == code, f"exit {done.returncode}\n{done.stderr.decode()}"
    assert b"Traceback" not in done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def far_cwd(host: DockerHost, identity: str) -> str:
    metadata = host.exec(["cat", f"/root/.bottle/state/{identity}/metadata.json"]).stdout
    return str(json.loads(metadata)["cwd"])


def running(host: DockerHost) -> set[str]:
    names = host.docker("ps", "--format", "{{.Names}}").text.split()
    return {name.removeprefix("bottle-") for name in names}


def test_twelve_bottles_leave_though_it_is_cut_twice(desk: Desk, small: DockerHost) -> None:
    desk.knows(small)
    office, host = Office(desk), desk.target(small)
    words = ("evacuate", host, "--all", "--live")

    plan = answered(desk, 1, *words, "--plan")
    assert {each for each, told in results(plan).items() if told == "stays"} == {office.secret, office.large}
    assert office.count_owners(small) == 0

    for moment, least in (("during:register:2", 1), ("after:moved-to.json:4", 5)):
        code, moments = desk.strike(moment, *words)
        assert code == -signal.SIGKILL, f"{moment}: {moments}\n{(desk.folder / 'said').read_text()}"
        assert least <= office.count_owners(small) < len(office.able)
    gone = {each for each in office.able if not desk.can_resume(each)}

    last = answered(desk, 1, *words)
    expected = {**dict.fromkeys(office.able, "went"), **dict.fromkeys(gone, "went-before")}
    assert results(last) == {**expected, office.secret: "stays", office.large: "stays"}
    assert "credentials would leave this machine" in errors(last)[office.secret]
    assert "MB free at /var/lib/docker" in errors(last)[office.large]
    assert errors(last).keys() == {office.secret, office.large}
    assert office.count_owners(small) == len(office.able)

    # The workspace travelled once, and they share it; what worked here works there, and nothing else does.
    assert {far_cwd(small, each) for each in office.shared} == {str(desk.folder / "shared")}
    sent = [office.tombstone(each)["account"]["staged"] for each in office.shared]
    assert [amount > 2 * MEGA for amount in sent].count(True) == 1
    assert small.exec(["cat", str(desk.folder / "shared" / "name")]).text == "shared"
    assert running(small) == {office.live, office.shared[2]}
    for number, identity in enumerate((*office.alone, *office.shared[:2])):
        small.exec(["bottle", "resume", "-d", identity])
        assert small.docker("exec", f"bottle-{identity}", "cat", "/root/work").text == str(number)
    assert not leftovers(small)

    # Those that stay are as they were, and the table says so.
    assert desk.container(office.secret).status == desk.container(office.large).status == "running"
    said = desk.bottle(*words)
    table = {line.split()[0]: line for line in said.stdout.decode().splitlines()}
    assert said.returncode == 1
    assert all("went before" in table[each] and host in table[each] for each in office.able)
    assert all("stays" in table[each] for each in (office.secret, office.large))


def test_several_at_once_are_interrupted_in_order_and_go_on(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    names = [start(desk, f"{number}") for number in range(4)]
    for name in names:
        desk.grow(name, 4 * MEGA)
        desk.ok("stop", name)
    words = ("evacuate", desk.target(there), *names, "--jobs", "2")
    with forgotten(there, *names):
        with desk.running(*words, "--limit-rate", "200k") as process:
            assert process.stderr is not None
            assert any("sending to" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            told, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert f"next:  bottle {' '.join(words)} --limit-rate 200k" in said
        assert [line.split()[1] for line in told.splitlines() if line.split()[0] in names] == ["stays"] * 4
        assert all(owners(desk, name, there) == (True, False) for name in names)

        answer = answered(desk, 0, *words)
        assert results(answer) == dict.fromkeys(names, "went")
        assert all(owners(desk, name, there) == (False, True) for name in names)
        assert not leftovers(there)
        there.exec(["rm", "-rf", *(each["workspace"] for each in answer["bottles"])])
