"""After a prune, a daemon that died, and an agent that did: what goes on, and what is said to be gone.

On a host of its own, as a prune spares nothing of an engine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import DockerHost
from tests.hosts.runs import RunResult
from tests.integration import migration

# Keeps a journal, and ends badly as soon as it is told to.
AGENT = "while ! [ -e /crash ]; do date >>/root/journal; sleep 0.2; done; rm /crash; echo it crashed; exit 3"
MANIFEST = f"""
[agents.keeper]
image = "IMAGE"
command = ["/bin/sh", "-c", "{AGENT}"]
transcript = ["/root/journal"]
network = "none"
"""


@dataclass(frozen=True)
class Desk:
    """A user of the host."""

    host: DockerHost
    image: str

    def run(self, *words: str, code: int = 0) -> RunResult:
        """A command there that ends with `code`; no user ever sees a traceback."""
        script = 'cd /root/project && exec bottle "$@"'
        done = self.host.exec(["sh", "-c", script, "bottle", *words], check=False)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == code, said
        assert "Traceback" not in said
        return done

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run(*words, "--format", "json", code=code).stdout)
        return answer

    def start(self) -> str:
        """A bottle that runs and has done some work."""
        self.need_image()
        identity = str(self.json("start", "-d", "keeper")["identity"])
        self.inside(identity, "echo work > /srv/work; while ! [ -s /root/journal ]; do sleep 0.1; done")
        return identity

    def inside(self, identity: str, script: str) -> str:
        return self.host.docker("exec", f"bottle-{identity}", "sh", "-c", script).text

    def view(self, identity: str) -> dict[str, Any]:
        """What `list -a` says of it."""
        return next(each for each in self.json("list", "-a")["bottles"] if each["identity"] == identity)

    def prune(self) -> None:
        self.host.docker("system", "prune", "-af")

    def need_image(self) -> None:
        """The agent's image, which a prune takes and no registry has."""
        if self.host.docker("image", "inspect", self.image, check=False).returncode:
            self.host.load_image(self.image)

    def until_stopped(self, identity: str) -> None:
        deadline = time.monotonic() + 30
        while self.view(identity)["state"] != "stopped":
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def desk(
    run_id: str, host_image: str, base_image: str, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """The host, with bottle and a project on it."""
    with DockerHost(run_id=run_id) as host:
        host.install_bottle(wheel)
        manifest: Path = tmp_path_factory.mktemp("project") / "bottle.toml"
        manifest.write_text(MANIFEST.replace("IMAGE", base_image))
        host.put(manifest, "/root/project/bottle.toml")
        yield Desk(host, base_image)


def test_a_running_bottle_goes_on_after_a_prune_and_only_its_commit_is_gone(desk: Desk) -> None:
    identity = desk.start()
    desk.json("commit", identity)
    desk.prune()
    view = desk.view(identity)
    assert view["state"] == "running"
    assert f"bottle-committed-{identity}:1 is gone" in view["detail"]
    assert desk.json("history", identity)["commits"][0]["image"] == "gone"
    assert desk.json("resume", identity, "--dry-run")["plan"] == "Attach"
    assert desk.json("commit", identity)["commit"]["number"] == 2
    assert desk.view(identity)["detail"] == ""
    desk.run("stop", "--grace", "0", identity)
    desk.json("commit", identity)
    assert desk.json("resume", "-d", identity)["plan"] == "FromCommit"
    assert desk.inside(identity, "cat /srv/work") == "work"
    gone = desk.run("resume", identity, "--at", "1", "--yes", code=4).stderr.decode()  # it runs
    assert f"bottle stop {identity}" in gone
    desk.run("stop", "--grace", "0", identity)
    gone = desk.run("resume", "-d", identity, "--at", "1", "--yes", code=3).stderr.decode()
    assert "commit 1" in gone
    assert "is gone from this engine" in gone


def test_a_stopped_bottle_loses_container_and_image_to_a_prune_and_that_is_said(desk: Desk) -> None:
    identity = desk.start()
    desk.run("stop", "--grace", "0", identity)
    desk.json("commit", identity)
    desk.prune()
    view = desk.view(identity)
    assert (view["state"], view["commit"]) == ("gone", 1)
    tag = f"bottle-committed-{identity}:1"
    assert tag in view["detail"]
    assert view["status"] == "image gone"
    seen = desk.json("inspect", identity)
    assert (seen["container"], seen["committed_image"]["present"]) == (None, False)
    assert "WHICH IS GONE" in desk.run("inspect", identity).stdout.decode()
    assert desk.json("history", identity)["commits"][0]["image"] == "gone"
    for words in (
        ("fork", identity, "--share-cwd"),
        ("export", identity, "/root/keeper.bottle"),
        ("commit", identity),
        ("attach", identity),
        ("exec", identity, "--", "true"),
        ("logs", identity),
        ("stop", identity),
        ("resume", "-d", identity, "--at", "1"),
    ):
        said = desk.run(*words, code=3).stderr.decode()
        assert identity in said, words
        assert "next:" in said, words
    assert f"{tag} is gone" in desk.json("resume", identity, "--dry-run")["row"]
    said = desk.run("resume", "-d", identity, code=5).stderr.decode()  # nor has a registry the agent's image
    assert desk.image in said
    assert desk.view(identity)["state"] == "gone"

    desk.need_image()
    resumed = desk.json("resume", "-d", identity)
    assert resumed["plan"] == "Rebuild"
    assert any("THE FILESYSTEM DID NOT SURVIVE" in line and tag in line for line in resumed["warnings"])
    assert desk.inside(identity, "test ! -e /srv/work && head -n 1 /root/journal")  # the transcript did
    assert desk.json("doctor")["checks"]


def test_a_move_of_what_is_gone_says_so(desk: Desk, engine: Any, tmp_path: Path) -> None:
    identity = desk.start()
    desk.run("stop", "--grace", "0", identity)
    desk.json("commit", identity)
    desk.prune()
    with migration.desk_in(tmp_path / "desk", engine) as here:
        here.knows(desk.host)
        said = here.refused(3, "migrate", identity, here.target(desk.host), "--from")
    assert "neither a container nor a committed image" in said
    assert f"bottle resume {identity}" in said


@pytest.mark.parametrize("committed", [True, False])
def test_after_the_daemon_died_a_bottle_shows_it_and_comes_back_with_its_work(desk: Desk, committed: bool) -> None:
    identity = desk.start()
    if committed:
        desk.json("commit", identity)
    desk.inside(identity, "echo newer > /srv/newer")
    desk.host.kill_docker()
    said = desk.run("list", code=5).stderr.decode()
    assert "no Docker Engine answers" in said
    desk.host.start_docker()
    view = desk.view(identity)
    assert view["state"] == "stopped"
    assert view["detail"].startswith("exited with "), view
    assert "exited with 0" not in view["detail"]
    resumed = desk.json("resume", "-d", identity)
    assert resumed["plan"] == "StartAgain"
    assert desk.inside(identity, "cat /srv/work /srv/newer") == "work\nnewer"
    assert desk.view(identity)["state"] == "running"


def test_after_a_daemon_restart_in_order_the_same(desk: Desk) -> None:
    identity = desk.start()
    desk.host.restart_docker()
    assert desk.view(identity)["state"] == "stopped"
    assert desk.json("resume", "-d", identity)["plan"] == "StartAgain"
    assert desk.inside(identity, "cat /srv/work") == "work"


def test_what_moved_or_was_stopped_does_not_come_back_with_the_daemon(desk: Desk, engine: Any, tmp_path: Path) -> None:
    moved, stopped = desk.start(), desk.start()
    for identity in (moved, stopped):
        desk.host.docker("update", "--restart=always", f"bottle-{identity}")
    desk.run("stop", "--grace", "0", stopped)
    with migration.desk_in(tmp_path / "desk", engine) as here:
        here.knows(desk.host)
        here.ok("migrate", moved, here.target(desk.host), "--from", "--workspace", str(tmp_path / "there"))
        desk.host.restart_docker()
        assert desk.view(stopped)["state"] == "stopped"
        assert (desk.view(moved)["state"], desk.view(moved)["runs_here"]) == ("moved", False)
        assert desk.json("doctor")["exit_code"] == 0
        # Somebody means it: then at least it is no secret that it runs in two places.
        desk.host.docker("update", "--restart=always", f"bottle-{moved}")
        desk.host.restart_docker()
        assert [each["runs_here"] for each in desk.json("list")["bottles"] if each["identity"] == moved] == [True]
        assert "RUNS HERE" in desk.run("inspect", moved).stdout.decode()
        (check,) = (each for each in desk.json("doctor", code=4)["checks"] if each["name"] == moved)
        assert check["next"] == f"bottle stop {moved}"
        ended = desk.json("stop", "--grace", "0", moved)
        assert (ended["was_running"], bool(ended["moved_to"])) == (True, True)
        assert any(f"bottle resume {moved} --force" in note for note in ended["notes"])
        desk.run("stop", moved, code=4)
        desk.host.restart_docker()
        assert not desk.view(moved)["runs_here"]


@pytest.mark.parametrize("how", ["its own doing", "killed"])
def test_an_agent_that_crashed_shows_so_and_resumes(desk: Desk, how: str) -> None:
    identity = desk.start()
    crash: Callable[[], object] = {
        "its own doing": lambda: desk.inside(identity, "touch /crash"),
        "killed": lambda: desk.host.docker("kill", f"bottle-{identity}"),
    }[how]
    crash()
    desk.until_stopped(identity)
    code = {"its own doing": 3, "killed": 137}[how]
    assert desk.view(identity)["detail"] == f"exited with {code}"
    assert f"exited with {code}" in desk.run("list").stdout.decode()
    assert desk.json("inspect", identity)["container"]["exit_code"] == code
    assert desk.json("resume", "-d", identity)["plan"] == "StartAgain"
    assert desk.inside(identity, "cat /srv/work") == "work"
    assert desk.view(identity)["state"] == "running"
