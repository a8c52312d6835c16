"""A bottle that asks for what it lacks, and an operator who decides, by the real program on the real engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound, NotFound

from bottle import runtime
from bottle.launch import LAUNCH
from tests.support.inside import run_inside

STRIKE = Path(__file__).parent / "strike.py"
MANIFEST = """
[agents.asker]
image = "{image}"
command = ["/bin/sh", "-c", "mkdir -p /root/notes; echo first >> /root/notes/log; while :; do sleep 1; done"]
resume_command = ["/bin/sh", "-c", "echo again >> /root/notes/log; while :; do sleep 1; done"]
transcript = ["/root/notes"]
network = "none"
"""
JQ = "RUN apt-get update && apt-get install -y --no-install-recommends jq"
QUICK = "RUN echo jq > /usr/local/bin/jq"


@dataclass(frozen=True)
class Desk:
    """An operator with a manifest, and a state home of its own."""

    folder: Path
    engine: docker.DockerClient
    image: str

    def program(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """What becomes of a program that is started here."""
        return subprocess.run(
            [sys.executable, *argv],
            cwd=self.folder,
            env={**os.environ, "BOTTLE_HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """What a command prints that ends with `code`."""
        done = self.program("-m", "bottle", *words)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def ask(self, *words: str) -> dict[str, Any]:
        """A command's JSON."""
        answer: dict[str, Any] = json.loads(self.run(*words, "--format", "json"))
        return answer

    def struck(self, moment: str, *words: str) -> bool:
        """Run a command and kill it at a moment; whether that came. See strike.py."""
        log = self.folder / "moments"
        done = self.program(str(STRIKE), str(log), moment, *words)
        assert done.returncode in {0, -signal.SIGKILL}, done.stdout + done.stderr
        return done.returncode != 0

    def start(self) -> str:
        """A bottle that runs, with work of its own and a transcript."""
        identity = str(self.ask("start", "asker", "-d")["identity"])
        self.inside(identity, "until [ -s /root/notes/log ]; do sleep 0.1; done; echo work > /work")
        return identity

    def inside(self, identity: str, script: str, code: int = 0) -> str:
        """What a shell in a bottle prints."""
        found, output = run_inside(self.engine.containers.get(f"bottle-{identity}"), ["sh", "-c", script])
        assert found == code, output
        return output.decode()

    def request(self, identity: str, step: str, *flags: str) -> None:
        """What an agent does that lacks something; it goes on while it waits."""
        words = " ".join(flags)
        script = (
            f"printf '%s\\n' 'FROM {self.image}' '{step}' > /tmp/wanted; "
            f"/run/bottle/request-capability --reason 'to read JSON' {words} < /tmp/wanted > /tmp/said 2>&1; "
            "echo $? > /tmp/code"
        )
        container = self.engine.containers.get(f"bottle-{identity}")
        container.exec_run(["sh", "-c", script], detach=True)

    def waiting(self, identity: str) -> str:
        """The digest of the one request that waits, once there is one."""
        for _ in range(100):
            found = [
                each for each in self.ask("capability", "list", identity)["requests"] if each["status"] == "pending"
            ]
            if found:
                return str(found[0]["digest"])
            time.sleep(0.1)
        raise AssertionError("nothing was asked for")

    def status(self, identity: str) -> str | None:
        """The state of a bottle's container."""
        try:
            return str(self.engine.containers.get(f"bottle-{identity}").status)
        except NotFound:
            return None


@pytest.fixture
def desk(tmp_path: Path, engine: docker.DockerClient, base_image: str) -> Iterator[Desk]:
    """A fresh desk, whose bottles are removed from the engine afterwards."""
    (tmp_path / "bottle.toml").write_text(MANIFEST.format(image=base_image))
    states = tmp_path / "home" / "state"
    try:
        yield Desk(tmp_path, engine, base_image)
    finally:
        for identity in [each.name for each in states.iterdir()] if states.is_dir() else []:
            clean(engine, identity)


def clean(engine: docker.DockerClient, identity: str) -> None:
    """Take all of a bottle away."""
    with suppress(NotFound):
        engine.containers.get(f"bottle-{identity}").remove(force=True, v=True)
    for kind in ("committed", "rebuilt"):
        for image in engine.images.list(name=f"bottle-{kind}-{identity}"):
            for tag in image.tags:
                with suppress(ImageNotFound):
                    engine.images.remove(tag)
    for volume in engine.volumes.list(filters={"label": f"bottle.identity={identity}"}):
        volume.remove()
    shutil.rmtree(runtime.default_runtime() / identity, ignore_errors=True)


def test_a_bottle_without_jq_comes_back_with_it_and_with_its_transcript(desk: Desk) -> None:
    identity = desk.start()
    desk.inside(identity, "command -v jq", code=127)
    desk.request(identity, JQ, "--wait")
    digest = desk.waiting(identity)
    assert "1 request waits" in desk.run("list")
    shown = desk.run("capability", "show", identity)
    assert f"+{JQ}" in shown
    assert "to read JSON" in shown
    assert "WARNING" not in shown
    approved = desk.run("capability", "approve", identity, digest[:8], "--build", "--note", "have it").splitlines()
    assert approved[-1] == f"bottle resume {identity}"
    assert any(line.endswith(f"bottle resume {identity} --at 1") for line in approved)
    assert desk.status(identity) is None
    resumed = desk.ask("resume", identity, "-d")
    assert "FRESH" in resumed["warnings"][0]
    assert any("--at 1" in each for each in resumed["warnings"])
    assert desk.inside(identity, "echo '{\"a\": [1, 2]}' | jq -c .a") == "[1,2]\n"
    desk.inside(identity, "until grep -q again /root/notes/log; do sleep 0.1; done")
    assert desk.inside(identity, "cat /root/notes/log").split() == ["first", "again"]
    desk.inside(identity, "test ! -e /work")
    assert desk.inside(identity, "/run/bottle/request-capability --status 1").splitlines() == ["approved", "have it"]
    assert [each["rebuild_due"] for each in desk.ask("list")["bottles"]] == [True]

    desk.run("stop", identity)
    desk.run("commit", identity)
    assert desk.ask("resume", identity, "-d")["plan"] == "FromCommit"
    desk.inside(identity, "command -v jq")
    desk.run("stop", identity)
    desk.run("resume", identity, "-d", "--at", "1", "--yes")
    assert desk.inside(identity, "cat /work") == "work\n"
    desk.inside(identity, "command -v jq", code=127)
    desk.run("stop", identity)
    desk.run("rm", identity, "--yes")
    assert not desk.engine.images.list(name=f"bottle-rebuilt-{identity}")
    assert not desk.engine.volumes.list(filters={"label": f"bottle.identity={identity}"})


def test_a_denial_reaches_the_agent_that_waits_with_its_note(desk: Desk) -> None:
    identity = desk.start()
    desk.request(identity, JQ, "--wait")
    digest = desk.waiting(identity)
    desk.run("capability", "deny", identity, digest, "--note", "use python's json")
    desk.inside(identity, "i=0; until [ -s /tmp/code ] || [ $i = 200 ]; do sleep 0.1; i=$((i+1)); done")
    assert desk.inside(identity, "cat /tmp/code") == "1\n"
    assert "use python's json" in desk.inside(identity, "cat /tmp/said")
    assert desk.status(identity) == "running"
    assert desk.inside(identity, "cat /work") == "work\n"
    assert "was denied" in desk.run("capability", "approve", identity, digest, code=4)


def test_a_request_that_is_replaced_after_it_was_shown_is_not_approved(desk: Desk) -> None:
    identity = desk.start()
    desk.request(identity, JQ)
    shown = desk.waiting(identity)
    desk.inside(identity, "printf 'FROM evil\\n' > /run/bottle/requests/1.Dockerfile")
    assert "has changed" in desk.run("capability", "approve", identity, shown, code=4)
    assert desk.status(identity) == "running"
    now = desk.waiting(identity)
    assert now != shown
    assert "the base image changes" in desk.run("capability", "show", identity)
    assert "has changed" in desk.run("capability", "deny", identity, shown, code=4)


def test_a_dockerfile_that_does_not_build_leaves_the_bottle_running(desk: Desk) -> None:
    identity = desk.start()
    desk.request(identity, "RUN echo no such thing; exit 3")
    digest = desk.waiting(identity)
    said = desk.run("capability", "approve", identity, digest, "--build", code=1)
    assert "no such thing" in said
    assert "goes on as it was" in said
    assert desk.status(identity) == "running"
    assert desk.inside(identity, "cat /work") == "work\n"
    assert desk.waiting(identity) == digest
    assert desk.ask("inspect", identity)["own_dockerfile"] is None
    # Approved all the same, it is found out by resume, which names the way back.
    desk.run("capability", "approve", identity, digest)
    assert f"bottle resume {identity} --at 1" in desk.run("resume", identity, "-d", code=1)
    desk.run("resume", identity, "-d", "--at", "1")
    assert desk.inside(identity, "cat /work") == "work\n"


def test_a_dockerfile_gets_no_file_of_the_state_folder(desk: Desk) -> None:
    identity = desk.start()
    desk.request(identity, "COPY . /stolen")
    desk.run("capability", "approve", identity, desk.waiting(identity))
    desk.run("resume", identity, "-d")
    assert desk.inside(identity, "find /stolen -type f 2>/dev/null | grep -v /.dockerignore; true") == ""


def test_a_volume_keeps_its_work_through_rebuilds_and_through_going_back_and_forward(desk: Desk) -> None:
    project = desk.folder / "project"
    (project / "sub").mkdir(parents=True)
    for name in ("notes", "sub/notes"):
        (project / name).write_text("the host's\n")
    identity = str(desk.ask("start", "asker", "-d", "--copy-cwd", "--cwd", str(project))["identity"])
    desk.request(identity, "VOLUME /workspace/sub")
    desk.run("capability", "approve", identity, desk.waiting(identity))
    desk.run("resume", identity, "-d")
    assert desk.inside(identity, "cat /workspace/sub/notes") == "the host's\n"  # a new volume is filled
    desk.inside(identity, "echo agent | tee /workspace/sub/notes > /workspace/notes")
    desk.request(identity, QUICK)
    desk.run("capability", "approve", identity, desk.waiting(identity))
    desk.run("resume", identity, "-d")
    assert desk.inside(identity, "cat /workspace/notes /workspace/sub/notes") == "the host's\nagent\n"
    desk.run("stop", identity)
    desk.run("commit", identity)
    latest = desk.ask("history", identity)["commits"][-1]["number"]
    desk.run("resume", identity, "-d", "--at", "1")
    assert desk.inside(identity, "cat /workspace/sub/notes") == "the host's\n"
    desk.run("stop", identity)
    desk.run("resume", identity, "-d", "--at", str(latest), "--yes")
    assert desk.inside(identity, "cat /workspace/sub/notes") == "agent\n"


MOMENTS = [
    "before:1.json:1",
    "after:1.json:1",
    "after:Dockerfile:1",
    "after:preserved:1",
    "after:commit-intent.json:1",
    "before:commits.json:1",
    "after:commits.json:1",
    "before:rebuild:1",
    "after:rebuild:1",
    "before:1.json:2",
    "after:1.json:2",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_approval_that_is_killed_costs_nothing_and_is_finished_by_the_same_command(desk: Desk, moment: str) -> None:
    identity = desk.start()
    desk.request(identity, QUICK)
    words = ("capability", "approve", identity, desk.waiting(identity)[:12])
    assert desk.struck(moment, *words), (desk.folder / "moments").read_text()
    status = desk.status(identity)
    if status == "running":
        assert desk.inside(identity, "cat /work") == "work\n"
    else:
        assert desk.ask("inspect", identity)["state"]["preserved"]
        assert desk.ask("resume", identity, "--dry-run")["plan"] in {"StartAgain", "FromCommit", "Rebuild"}
    assert desk.run(*words).splitlines()[-1] == f"bottle resume {identity}"
    assert desk.ask("resume", identity, "-d")["plan"] == "Rebuild"
    assert desk.inside(identity, "cat /usr/local/bin/jq") == "jq\n"
    desk.inside(identity, "until grep -q again /root/notes/log; do sleep 0.1; done")
    assert desk.inside(identity, "head -n 1 /root/notes/log") == "first\n"
    last = desk.ask("history", identity)["commits"][-1]["number"]
    desk.run("stop", identity)
    desk.run("resume", identity, "-d", "--at", str(last), "--yes")
    assert desk.inside(identity, "cat /work") == "work\n"


@pytest.mark.parametrize("moment", ["after:preserved:1", "after:commit-intent.json:1", "after:rebuild:1"])
def test_an_approval_that_is_killed_leaves_a_bottle_that_resume_brings_back(desk: Desk, moment: str) -> None:
    identity = desk.start()
    desk.request(identity, QUICK)
    assert desk.struck(moment, "capability", "approve", identity, desk.waiting(identity))
    resumed = desk.ask("resume", identity, "-d") if desk.status(identity) != "running" else {"plan": "Attach"}
    assert desk.status(identity) == "running"
    assert desk.inside(identity, "head -n 1 /root/notes/log") == "first\n"
    if resumed["plan"] == "Rebuild":
        assert desk.inside(identity, "cat /usr/local/bin/jq") == "jq\n"
        assert [each["status"] for each in desk.ask("capability", "list")["requests"]] == ["approved"]
        desk.run("stop", identity)
        desk.run("resume", identity, "-d", "--at", "1", "--yes")
    assert desk.inside(identity, "cat /work") == "work\n"


@pytest.mark.parametrize(
    ("moment", "back"),
    [
        ("after:resume-intent.json:1", False),
        ("after:resume-intent.json:2", False),
        ("before:metadata.json:1", False),
        ("after:metadata.json:1", False),
        ("after:resume-intent.json:1", True),
        ("before:committed-image:1", True),
        ("after:committed-image:1", True),
        ("before:no resume-intent.json:1", True),
    ],
)
def test_a_resume_that_is_killed_leaves_a_container_whose_commit_runs_as_it_did(
    desk: Desk, moment: str, back: bool
) -> None:
    identity = desk.start()
    desk.request(identity, 'ENTRYPOINT ["/usr/bin/env"]')
    desk.run("capability", "approve", identity, desk.waiting(identity))
    words = ("resume", identity, "-d")
    if back:
        desk.run(*words)
        desk.run("stop", identity)
        desk.run("commit", identity)
        words = (*words, "--at", "1")
    assert desk.struck(moment, *words), (desk.folder / "moments").read_text()
    if desk.status(identity) is None:
        desk.run("resume", identity, "-d")
    runs = desk.engine.containers.get(f"bottle-{identity}").attrs["Config"]["Entrypoint"][len(LAUNCH) :]
    desk.run("commit", identity)
    history = json.loads((desk.folder / "home" / "state" / identity / "commits.json").read_text())["commits"]
    entrypoint = history[-1]["defaults"]["entrypoint"]
    assert runs[: len(entrypoint)] == entrypoint
    assert bool(entrypoint) == ("/usr/bin/env" in runs)
