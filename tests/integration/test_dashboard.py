"""The dashboard on the real engine, through Textual's pilot and on a real terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import docker
import pexpect
import pytest
from docker.errors import NotFound

from bottle import runtime
from bottle.composition import make_context
from bottle.naming import Identity
from bottle.operations import Context
from bottle.store.state import BottleState
from bottle.words import size
from tests.hosts import DockerHost
from tests.integration import migration
from tests.support.dashboard import opened, run
from tests.support.inside import run_inside

BOTTLE = ("-c", "from bottle.cli.main import main; main(prog_name='bottle')")
MANIFEST = """
[agents.asker]
dockerfile = "Dockerfile"
command = ["/bin/sh", "-c", "while :; do echo ready; sleep 0.2; done"]
transcript = ["/root/notes"]
network = "none"
"""
ASK = """
mkdir -p /root/notes && echo 'I lack jq' > /root/notes/log && echo lost > /made-inside
/run/bottle/request-capability --reason 'jq, to [red]read[/] the logs' --wait > /root/notes/answer <<'END'
{dockerfile}END
"""


@dataclass(frozen=True)
class Place:
    """A folder with a manifest, and a state home of its own."""

    folder: Path
    environ: dict[str, str]
    engine: docker.DockerClient
    base: str

    @property
    def context(self) -> Context:
        """What the dashboard acts in."""
        return make_context(home=self.folder / "home", environ=self.environ)

    def run(self, *words: str) -> dict[str, Any]:
        """The JSON of a command that succeeds."""
        done = subprocess.run(
            [sys.executable, *BOTTLE, *words, "--format", "json"], cwd=self.folder, env=self.environ,
            capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def start(self) -> BottleState:
        """A bottle that runs."""
        identity = Identity.parse(self.run("start", "asker", "-d")["identity"])
        return self.context.home.bottle(identity)

    def inside(self, bottle: BottleState, script: str, *, wait: bool = True) -> str:
        """What a shell in a bottle prints."""
        container = self.engine.containers.get(bottle.identity.container)
        if not wait:
            container.exec_run(["sh", "-c", script], detach=True)
            return ""
        code, output = run_inside(container, ["sh", "-c", script])
        assert code == 0, output
        return output.decode()

    def ask(self, bottle: BottleState, dockerfile: str) -> None:
        """The agent asks, and waits for the answer."""
        self.inside(bottle, ASK.format(dockerfile=dockerfile), wait=False)


@pytest.fixture(scope="module", autouse=True)
def tidy(engine: docker.DockerClient) -> Iterator[None]:
    """The image that the agent's Dockerfile makes is removed in the end."""
    yield
    with suppress(NotFound):
        engine.images.remove("bottle-asker:latest", force=True)


@pytest.fixture
def place(tmp_path: Path, engine: docker.DockerClient, base_image: str) -> Iterator[Place]:
    """A fresh one, whose bottles are removed from the engine afterwards."""
    (tmp_path / "bottle.toml").write_text(MANIFEST)
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image}\n")
    environ = {**os.environ, "BOTTLE_HOME": str(tmp_path / "home"), "TERM": "xterm-256color"}
    place = Place(tmp_path, environ, engine, base_image)
    try:
        yield place
    finally:
        for identity in place.context.home.identities():
            with suppress(NotFound):
                engine.containers.get(identity.container).remove(force=True, v=True)
            for repository in (identity.committed_repository, identity.rebuilt, identity.trial):
                for tag in [tag for image in engine.images.list(name=repository) for tag in image.tags]:
                    if str(identity) in tag:
                        engine.images.remove(tag)
            for volume in engine.volumes.list(filters={"label": f"bottle.identity={identity}"}):
                volume.remove()
            runtime.forget(runtime.default_runtime(), identity)


def test_a_bottle_is_seen_measured_and_stopped(place: Place) -> None:
    bottle = place.start()
    key = str(bottle.identity)

    async def play() -> None:
        async with opened(place.context) as screen:
            await screen.choose(bottle)
            await screen.until(lambda: screen.row("bottles", key)[1] == "running")
            await screen.until(lambda: screen.row("bottles", key)[-1] not in {"-", size(0)})
            await screen.press("l")
            await screen.see("ready")
            await screen.press("escape", "s", "y")
            await screen.see(f"{key} is stopped", f"next:  bottle resume {key}")
            await screen.until(lambda: screen.row("bottles", key)[1] == "stopped")
            place.run("resume", key, "-d")  # somebody else does, and the engine's events tell
            await screen.until(lambda: screen.row("bottles", key)[1] == "running", 4)

    run(play)


def test_a_bottle_from_its_start_to_its_end_with_keys(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    copy = place.folder / "copy"
    copy.mkdir()

    async def play() -> None:
        async with opened(place.context, (160, 40)) as screen:
            await screen.see("no bottle yet")
            await screen.press("n")
            await screen.see("Start an agent", "asker")
            await screen.press("enter")
            await screen.until(lambda: "is running: in the background" in screen.part("said"), 90)
            (identity,) = place.context.home.identities()
            bottle, key = place.context.home.bottle(identity), str(identity)
            await screen.until(lambda: screen.row("bottles", key)[1:2] == ["running"])
            await screen.see(f"identity    {key}", "mounted at")
            await screen.press("l")
            await screen.until(lambda: screen.text().count("ready") > 3)
            await screen.press("escape", "c")
            await screen.until(lambda: "commit 1 is made" in screen.part("said"), 90)
            await screen.press("h")
            await screen.see("commit 1 · in force", "present")
            await screen.press("f")
            await screen.see(f"Fork {key} off commit 1")
            await screen.type(str(copy))
            await screen.press("enter")
            await screen.until(lambda: "was forked off commit 1" in screen.part("said"), 90)
            (fork,) = [each for each in place.context.home.identities() if each != identity]
            await screen.choose(place.context.home.bottle(fork))
            await screen.press("r")
            await screen.until(lambda: f"{fork} is running" in screen.part("said"), 90)
            await screen.choose(bottle)
            await screen.press("s", "y")
            await screen.see(f"{key} is stopped")
            await screen.press("D", "y")
            await screen.read_words(
                "would delete it: a container", "the same again asks"
            )  # its commit is the fork's, too
            await screen.press("D", "y")
            await screen.read_words("Only yes does.")
            await screen.type("yes")
            await screen.press("enter")
            await screen.until(lambda: f"{key} is gone" in screen.part("said"), 90)
            await screen.until(lambda: screen.row("bottles", key) == [])
            await screen.until(lambda: screen.row("bottles", str(fork))[1:2] == ["running"])

    run(play)
    (left,) = place.context.home.identities()
    assert place.context.home.bottle(left).metadata().cwd == copy


def test_an_agent_asks_and_the_operator_approves_with_keys(place: Place) -> None:
    bottle = place.start()
    key = str(bottle.identity)
    wanted = f"FROM {place.base}\nRUN printf '#!/bin/sh\\necho jq works\\n' > /usr/bin/jq && chmod +x /usr/bin/jq\n"

    async def play() -> None:
        async with opened(place.context) as screen:
            await screen.choose(bottle)
            place.ask(bottle, wanted)
            await screen.until(lambda: screen.row("bottles", key)[2] == "!1")
            await screen.until(lambda: "digest " in screen.read())
            await screen.see("jq, to [red]read[/] the logs", "1 request waiting")
            assert "+RUN printf" in screen.read()
            await screen.press("a", "b", "y")
            await screen.until(lambda: "is approved" in screen.part("said"), 90)
            await screen.see(f"next:  bottle resume {key}")
            await screen.until(lambda: screen.row("bottles", key)[1] == "no container")
            await screen.press("r")
            await screen.until(lambda: f"{key} is running" in screen.part("said"), 90)
            await screen.until(lambda: screen.row("bottles", key)[1] == "running")

    run(play)
    assert bottle.own_dockerfile is not None
    assert bottle.own_dockerfile.read_text() == wanted
    assert place.inside(bottle, "jq") == "jq works\n"
    assert place.inside(bottle, "cat /root/notes/log") == "I lack jq\n"
    assert place.inside(bottle, "test -e /made-inside || echo fresh") == "fresh\n"


def test_a_denial_reaches_the_agent(place: Place) -> None:
    bottle = place.start()

    async def play() -> None:
        async with opened(place.context) as screen:
            await screen.choose(bottle)
            place.ask(bottle, f"FROM {place.base}\nRUN true\n")
            await screen.until(lambda: "digest " in screen.read())
            await screen.press("d")
            await screen.type("sed will do")
            await screen.press("enter")
            await screen.see("is denied")

    run(play)
    script = "for i in $(seq 100); do grep -q sed /root/notes/answer && break; sleep 0.1; done; cat /root/notes/answer"
    assert "sed will do" in place.inside(bottle, script)


def test_on_a_real_terminal(place: Place) -> None:
    bottle = place.start()
    shell = _terminal(place, "/bin/sh", environ={"PS1": "shell> "})
    try:
        before = _settings(shell)
        shell.sendline("bottle() { " + f'"{sys.executable}" -m bottle "$@"; ' + "}; bottle dashboard; echo ended $?")
        shell.expect_exact("\x1b[?1049h")  # the screen beside
        shell.expect_exact(str(bottle.identity))
        shell.send("?")
        shell.expect_exact("bottle dashboard: keys")
        shell.send("\x1b")
        shell.expect_exact("IDENTITY")
        shell.send("q")
        shell.expect_exact("\x1b[?1049l")
        shell.expect("ended 0\r\n")
        shell.sendline("echo seen $((40 + 2))")  # it is echoed, and its end is a line's
        shell.expect("seen 42\r\n")
        assert _settings(shell) == before
    finally:
        shell.close(force=True)


def test_attach_gives_the_terminal_away_and_takes_it_back(place: Place) -> None:
    bottle = place.start()
    screen = _terminal(place, sys.executable, "-m", "bottle", "dashboard")
    try:
        screen.expect_exact(f"{bottle.identity} · running")  # below the table: it is the one under the cursor
        screen.send("t")
        screen.expect_exact("\x1b[?1049l")
        screen.expect("Ctrl-P Ctrl-Q comes back")
        screen.expect("ready\r\n.*ready\r\n")
        screen.send("\x10\x11")
        screen.expect_exact("\x1b[?1049h")
        screen.expect_exact(f"back from {bottle.identity}")
        screen.send("q")
        screen.expect(pexpect.EOF)
        screen.wait()
        assert screen.exitstatus == 0
    finally:
        screen.close(force=True)
    assert place.engine.containers.get(bottle.identity.container).status == "running"


def test_off_a_terminal_it_says_what_else_there_is(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, *BOTTLE, "dashboard"], cwd=place.folder, env=place.environ, capture_output=True, text=True,
        timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert "bottle list" in done.stderr
    assert "bottle capability list" in done.stderr


def _terminal(place: Place, *command: str, environ: Mapping[str, str] = MappingProxyType({})) -> pexpect.spawn:
    """A command on a terminal of 24 lines; where it does not say what is expected, all that it said since is shown."""
    around = {**place.environ, **environ}
    screen = pexpect.spawn(
        command[0], list(command[1:]), cwd=str(place.folder), env=around, dimensions=(24, 80), timeout=30,
        encoding="utf-8",
    )  # fmt: skip
    screen.str_last_chars = 20_000
    return screen


def _settings(shell: pexpect.spawn) -> str:
    """What `stty` says of the terminal."""
    shell.sendline("stty -a; echo that was $((1 + 1))")
    shell.expect("speed (.*)that was 2\r\n")
    return str(shell.match.group(1)).partition("\r\nshell")[0]


def test_a_move_to_a_real_host(
    tmp_path: Path, engine: docker.DockerClient, base_image: str, classic_host: DockerHost
) -> None:
    with migration.desk_in(tmp_path / "desk", engine) as desk:
        desk.knows(classic_host)
        (desk.folder / "bottle.toml").write_text(MANIFEST)
        (desk.folder / "Dockerfile").write_text(f"FROM {base_image}\n")
        identity = str(desk.ok("start", "asker", "-d")["identity"])
        screen = pexpect.spawn(
            sys.executable, ["-m", "bottle", "dashboard"], cwd=str(desk.folder),
            env={**desk.environ, "TERM": "xterm-256color"}, dimensions=(24, 80), timeout=60, encoding="utf-8",
        )  # fmt: skip
        try:
            screen.expect_exact("running")
            screen.send("m")
            screen.expect_exact("to another host over SSH")
            screen.send("nowhere.invalid\r")
            screen.expect_exact("to nowhere.invalid")
            screen.expect_exact("cannot be reached")
            screen.expect_exact("it has ended")
            screen.send("\x1b")
            screen.expect_exact("IDENTITY")  # the table is there again, and takes the next key
            screen.expect_exact("cannot be reached")
            screen.send("m")
            screen.expect_exact("to another host over SSH")
            screen.send(f"{desk.target(classic_host)}\r")
            screen.expect_exact("Escape goes back")
            screen.send("\x1b")
            screen.expect_exact("arrived on")
            screen.send("q")
            screen.expect(pexpect.EOF)
        finally:
            screen.close(force=True)
        try:
            assert not desk.can_resume(identity)
            classic_host.exec(["test", "-s", f"/root/.bottle/state/{identity}/committed-image"])
        finally:
            migration.forget(classic_host, identity)
