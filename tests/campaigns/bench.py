"""A desk whose agent is small and quick, and what the campaigns do there."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from docker.errors import DockerException

from tests.campaigns.promises import MARK, Work, bottles, work_of
from tests.integration.migration import Desk

RecordProperty = Callable[[str, object], None]  # pytest's `record_property`
STRUCK = "points struck"  # what a test of a campaign records with it

TOOLS = "sh sleep cat test mkdir true head"
LIFE = "mkdir -p /root/.agent; echo $0 >>/root/.agent/journal; trap 'exit 0' TERM; while :; do sleep 0.1; done"
MANIFEST = """\
[agents.{agent}]
image = "{image}"
command = ["sh", "-c", "{life}", "first"]
resume_command = ["sh", "-c", "{life}", "again"]
transcript = ["/root/.agent"]
volumes = ["cache:/cache"]
network = "none"
"""
ASK = """
cd /run/bottle/requests || exit
printf 'FROM %s AS r%s\\nENV NEW=1\\n' "$1" "$2" >"$2.Dockerfile"
printf 'to have it' >"$2.reason"
: >"$2.ready"
"""


@dataclass
class Bench:
    """A desk, the one agent in its manifest, and that one's image."""

    desk: Desk
    agent: str
    image: str
    requests: int = 0

    def running(self, identity: str | None) -> str:
        """The bottle, running; a new one where there is none yet."""
        if identity is None:
            return self.desk.start(self.agent)
        self.desk.ok("resume", "-d", identity)
        return identity

    def marked(self, identity: str) -> Work:
        """The bottle with new work in it, and all that it has."""
        mark = secrets.token_hex(8)
        assert self.desk.run_in(identity, "sh", "-c", f"printf {mark} >{MARK}") is not None
        return work_of(self.desk, identity, mark)

    def committed(self, identity: str) -> Work:
        """The bottle with new work, committed."""
        work = self.marked(identity)
        self.desk.ok("commit", identity)
        return work_of(self.desk, identity, work.mark)

    def asked(self, identity: str) -> str:
        """A request that waits, for a Dockerfile that nobody asked for before; its digest."""
        self.requests += 1
        ask = ("sh", "-c", ASK, "ask", self.image, str(self.requests))
        assert self.desk.run_in(identity, *ask) is not None
        listed = self.desk.ok("capability", "list", identity)["requests"]
        (waiting,) = (each for each in listed if each["status"] == "pending")
        return str(waiting["digest"])

    def remove(self, identity: str) -> subprocess.CompletedProcess[bytes]:
        """Have a bottle gone, as a user would."""
        with suppress(DockerException):
            self.desk.container(identity).kill()
        return self.desk.bottle("rm", identity, "--yes")

    def history(self, identity: str) -> list[dict[str, Any]]:
        """The commits of a bottle, as its state has them."""
        return list(json.loads((self.desk.states / identity / "commits.json").read_text())["commits"])

    def clear(self) -> None:
        """Remove all that the agent's bottles have in the engine, known to bottle or not."""
        for identity in bottles(self.desk):
            self.remove(identity)
        api = self.desk.engine.api
        for each in api.containers(all=True, filters={"label": f"bottle.agent={self.agent}"}):
            with suppress(DockerException):
                api.remove_container(each["Id"], force=True, v=True)
        for each in api.images(filters={"label": f"bottle.agent={self.agent}"}):
            with suppress(DockerException):
                api.remove_image(each["Id"], force=True)
        for each in api.volumes()["Volumes"] or ():
            if f"{self.agent}-" in each["Name"]:
                with suppress(DockerException):
                    api.remove_volume(each["Name"], force=True)
