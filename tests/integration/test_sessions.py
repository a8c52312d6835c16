"""Sessions as a person has them: the real commands on a real pseudo-terminal, with a shell for an agent."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pexpect
import pytest
from docker.errors import NotFound

from bottle import runtime
from bottle.naming import Identity
from tests.support.terminal import Terminal

BOTTLE = ("-c", "from bottle.cli.main import main; main(prog_name='bottle')")
DETACH = "\x10\x11"
PROMPT = "shell> "
MANIFEST = """
[agents.shell]
image = "{image}"
command = ["/bin/bash", "--norc", "--noprofile", "-i"]
env = {{ PS1 = "{prompt}", MARK = "42", TERM = "dumb" }}
transcript = ["/root/notes"]
network = "none"

[agents.pipe]
image = "{image}"
command = ["/bin/cat"]
network = "none"

[agents.lost]
image = "{image}"
command = ["/bin/true"]
user = "root:no-such-group-anywhere"

[agents.keeper]
image = "{image}"
command = ["/bin/bash", "--norc", "--noprofile", "-i"]
env = {{ PS1 = "{prompt}" }}
secrets = ["SESSION_TEST_SECRET"]
network = "none"
"""

# An agent that fills the screen with lines that name another bottle, again whenever the window changes, and leaves the
# cursor in their midst; with or without a screen of its own. It never draws while it draws: what was asked for the old
# size, before the new one was known, would erase the new picture.
DRAWS = r"""
draw() {
    set -- $(stty size)
    printf '%b\033[2J' "$SCREEN"
    i=1
    while [ $i -le $1 ]; do
        printf '\033[%d;1Hrow-%d: bottle attach other-zzzzz %*s' $i $i $(($2 - 40)) '<'
        i=$((i + 1))
    done
    printf '\033[5;9H'
}
trap 'drawn=' WINCH
while :; do
    [ -n "$drawn" ] || { drawn=yes; draw; }
    sleep 0.2
done
"""


@dataclass(frozen=True)
class Desk:
    """A folder with a manifest, and a state home of its own."""

    folder: Path
    environ: dict[str, str]
    engine: docker.DockerClient

    @property
    def states(self) -> Path:
        return self.folder / "home" / "state"

    def spawn(self, *words: str) -> pexpect.spawn:
        """A command on a terminal of 30 rows and 100 columns."""
        return pexpect.spawn(
            sys.executable,
            [*BOTTLE, *words],
            cwd=str(self.folder),
            env=self.environ,
            dimensions=(30, 100),
            timeout=30,
            encoding="utf-8",
        )

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """A command off a terminal."""
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        return subprocess.run(
            [sys.executable, *BOTTLE, *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            timeout=60,
            check=False,
            **options,
        )

    @contextmanager
    def watch(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command off a terminal whose output is read while it runs, which ends with what is done to it."""
        argv = [sys.executable, *BOTTLE, *words]
        with subprocess.Popen(
            argv, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            try:
                yield process
                process.wait(60)
            finally:
                process.kill()

    def identities(self) -> list[str]:
        return sorted(each.name for each in self.states.iterdir()) if self.states.is_dir() else []

    @property
    def identity(self) -> str:
        """The only bottle there is."""
        (identity,) = self.identities()
        return identity

    def status(self) -> str:
        return str(self.engine.containers.get(f"bottle-{self.identity}").status)


@pytest.fixture
def desk(tmp_path: Path, engine: docker.DockerClient, base_image: str) -> Iterator[Desk]:
    """A fresh desk, whose bottles are removed from the engine afterwards."""
    (tmp_path / "bottle.toml").write_text(MANIFEST.format(image=base_image, prompt=PROMPT))
    environ = {**os.environ, "BOTTLE_HOME": str(tmp_path / "home"), "SESSION_TEST_SECRET": "hush-1234"}
    desk = Desk(tmp_path, environ, engine)
    seen: set[str] = set()
    try:
        yield desk
    finally:
        seen.update(desk.identities())
        for identity in seen:
            runtime.forget(runtime.default_runtime(), Identity.parse(identity))
        for each in engine.containers.list(all=True, filters={"label": "bottle.identity"}, ignore_removed=True):
            workspace = {mount.get("Source") for mount in each.attrs["Mounts"]}
            if str(tmp_path) in workspace or each.labels["bottle.identity"] in seen:
                each.remove(force=True, v=True)
        for identity in seen:  # no other's are looked at, which may go at this very moment
            for each in engine.images.list(filters={"label": f"bottle.identity={identity}"}):
                for tag in each.tags:
                    engine.images.remove(tag, force=True)


class Cable:
    """A socket that leads to the engine's, and can be cut."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path = path
        self._engine = engine
        self._ends: list[socket.socket] = []
        self._attached: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, for_good: bool) -> None:
        """End every connection; with `for_good`, take no more.

        All at once, as a cable does: the session is the last to end, and nobody is connected anew until it has.
        """
        if for_good:
            self.path.unlink()
        with self._lock:
            for end in sorted(self._ends, key=self._attached.__contains__):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine)
            with self._lock:
                self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if b"/attach?" in data:
                    self._attached |= {source, sink}
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def ask(session: pexpect.spawn, line: str, expected: str) -> None:
    """Type a line to the shell, and read on to its answer and the next prompt."""
    session.sendline(line)
    session.expect(expected)
    session.expect_exact(PROMPT)


def finish(session: pexpect.spawn) -> int:
    """Read to the end; the exit code."""
    session.expect(pexpect.EOF)
    session.close()
    assert session.signalstatus is None
    return int(session.exitstatus)


def test_the_agents_exit_code_is_reported_and_the_way_back_is_named(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    ask(session, "echo seen-$MARK; mkdir -p /root/notes; echo kept >/root/notes/today", "seen-42")
    session.sendline("exit 7")
    session.expect(rf"ended with exit code 7\s+bring it back: bottle resume {desk.identity}")
    assert finish(session) == 7
    assert desk.status() == "exited"
    kept = desk.states / desk.identity / "transcript" / "files" / "root" / "notes" / "today"
    assert kept.read_text() == "kept\n"


def test_ctrl_c_goes_to_the_agent(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    session.sendline("sleep 1000; echo after-$?")
    time.sleep(1)
    session.sendintr()
    session.expect_exact(PROMPT)
    ask(session, "echo code-$?", "code-130")
    session.sendeof()
    assert finish(session) == 0


def test_the_terminals_size_is_the_agents_and_follows_the_window(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    ask(session, "stty size", "30 100")
    session.setwinsize(44, 133)
    time.sleep(0.5)
    ask(session, "stty size", "44 133")
    session.sendline("exit")
    assert finish(session) == 0


def test_detach_look_and_come_back(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    ask(session, "HERE=still-$MARK", "")
    session.send(DETACH)
    session.expect(rf"detached; {desk.identity} goes on\s+come back: +bottle attach {desk.identity}")
    assert finish(session) == 0

    listed = json.loads(desk.run("list", "--format", "json").stdout)["bottles"]
    assert [(each["identity"], each["state"]) for each in listed] == [(desk.identity, "running")]

    session = desk.spawn("attach", desk.identity)
    session.expect_exact(PROMPT)  # drawn again, though nothing was typed
    ask(session, "echo $HERE; stty size", r"still-42\s+30 100")
    session.send("\x10")
    time.sleep(0.2)
    session.send("\x11")
    assert finish(session) == 0

    session = desk.spawn("resume", desk.identity)
    session.expect_exact(f"resuming {desk.identity}")
    session.expect_exact(PROMPT)
    session.sendline("exit 3")
    session.expect_exact(f"bottle resume {desk.identity}")
    assert finish(session) == 3

    refused = desk.run("attach", desk.identity)
    assert refused.returncode == 3
    assert f"bottle resume {desk.identity}" in refused.stderr.decode()


def test_ctrl_p_alone_reaches_the_agent(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    ask(session, "echo once-$MARK", "once-42")
    session.send("\x10\r")  # the shell's key for the line before
    session.expect("once-42")
    session.expect_exact(PROMPT)
    session.sendline("exit")
    assert finish(session) == 0


def test_the_terminal_is_as_it_was_after_each_way_out(desk: Desk) -> None:
    shell = pexpect.spawn(
        "/bin/bash",
        ["--norc", "--noprofile"],
        cwd=str(desk.folder),
        env={**desk.environ, "PS1": "outer> "},
        timeout=30,
        encoding="utf-8",
        dimensions=(30, 100),
    )
    command = f'{sys.executable} {BOTTLE[0]} "{BOTTLE[1]}"'

    def settings() -> str:
        shell.sendline("stty -a | tr '\\n' ' '; echo end-of'-settings'")
        shell.expect(r"speed.*?end-of-settings")
        text = re.sub(r"\s+", " ", shell.match.group())
        shell.expect_exact("outer> ")
        return text

    def leave(keys: str) -> None:
        shell.sendline(f"{command} start shell")
        shell.expect_exact(PROMPT)
        shell.send(keys)
        shell.expect_exact("outer> ")

    shell.expect_exact("outer> ")
    before = settings()
    assert "isig icanon" in before
    leave("exit\r")
    assert settings() == before
    leave(DETACH)
    assert settings() == before
    for number in ("TERM", "HUP"):
        shell.sendline(f"{command} start shell & sleep 0.1; fg")
        shell.expect_exact(PROMPT)
        shell.sendline("tty >/dev/null")  # the shell in the bottle answers, so the terminal is raw
        shell.expect_exact(PROMPT)
        children = subprocess.run(["pgrep", "-P", str(shell.pid)], capture_output=True, text=True, check=True)
        os.kill(int(children.stdout.split()[0]), getattr(signal, f"SIG{number}"))
        shell.expect_exact("was left running")
        shell.expect_exact("outer> ")
        assert settings() == before
    shell.close(force=True)


def test_modes_that_the_agent_switched_are_undone(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    ask(session, r"printf '\033[?1049h\033[?2004h\033[?25lready'", "ready")
    session.send(DETACH)
    session.expect_exact("\x1b[?25h\x1b[?2004l\x1b[?1049l")
    assert finish(session) == 0


@pytest.mark.parametrize("columns", [60, 120])
@pytest.mark.parametrize("screen", ["", r"\033[?1049h\033[?25l"], ids=["on the screen", "on a screen of its own"])
def test_what_detaching_says_stands_on_lines_of_its_own(desk: Desk, columns: int, screen: str) -> None:
    """Also the second time, when bottle has not seen how the agent began."""
    words = ("start", "shell", "--", "/bin/bash", "-c", f"SCREEN='{screen}'{DRAWS}")
    for _ in range(2):
        with Terminal(
            (sys.executable, *BOTTLE, *words), cwd=desk.folder, environ=desk.environ, columns=columns, rows=20
        ) as terminal:
            terminal.shows("(?m)^row-19: ")
            terminal.press("C-p", "C-q")
            assert terminal.exit_code() == 0
            lines = terminal.screen.splitlines()
        said = lines.index(f"detached; {desk.identity} goes on")
        assert lines[said + 1] == f"  come back: bottle attach {desk.identity}"
        assert lines[said + 2] == f"  after it has ended: bottle resume {desk.identity}"
        assert not any("other-zzzzz" in line for line in lines[said:])
        words = ("attach", desk.identity)


def test_rm_removes_what_was_never_committed(desk: Desk) -> None:
    session = desk.spawn("start", "shell", "--rm")
    session.expect_exact(PROMPT)
    name = f"bottle-{desk.identity}"
    session.sendline("exit 5")
    session.expect_exact("was removed")
    assert finish(session) == 5
    assert desk.identities() == []
    with pytest.raises(NotFound):
        desk.engine.containers.get(name)


def test_rm_keeps_what_was_committed(desk: Desk) -> None:
    session = desk.spawn("start", "shell", "--rm")
    session.expect_exact(PROMPT)
    assert desk.run("commit", desk.identity).returncode == 0
    session.sendline("exit")
    session.expect_exact("kept in spite of --rm")
    session.expect_exact(f"bottle resume {desk.identity}")
    assert finish(session) == 0
    assert desk.status() == "exited"


def test_a_stop_from_elsewhere_ends_the_session(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    assert desk.run("stop", "--grace", "0", desk.identity).returncode == 0
    session.expect_exact(f"bottle resume {desk.identity}")
    assert finish(session) == 137


@pytest.mark.parametrize("for_good", [True, False])
def test_a_line_to_the_engine_that_breaks_does_not_end_the_agent(desk: Desk, for_good: bool) -> None:
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    assert address.scheme == "unix", "the cable is made for a socket of this machine"
    cable = Cable(desk.folder / "cable", address.path)
    desk.environ["DOCKER_HOST"] = f"unix://{cable.path}"
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    cable.cut(for_good=for_good)
    if not for_good:
        session.expect_exact("still runs")
        session.sendintr()
    session.expect_exact("broke off" if for_good else "was left running")
    session.expect_exact(f"bottle attach {desk.identity}")
    assert finish(session) == (5 if for_good else 130)
    assert desk.status() == "running"


def test_off_a_terminal_data_is_piped_through(desk: Desk) -> None:
    data = os.urandom(3_000_000)  # more than all the buffers on the way, there and back
    done = desk.run("start", "pipe", input=data)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == data
    assert f"bottle resume {desk.identity}" in done.stderr.decode()


def test_off_a_terminal_with_no_input_the_agents_output_and_exit_code_come_out(desk: Desk) -> None:
    done = desk.run("start", "shell", "--rm", "--", "/bin/sh", "-c", "echo out; echo err >&2; read x; exit 9")
    assert done.returncode == 9
    assert sorted(done.stdout.splitlines()) == [b"err", b"out"]
    assert desk.identities() == []


def test_a_file_as_input(desk: Desk) -> None:
    (desk.folder / "input").write_bytes(b"from a file\n")
    with (desk.folder / "input").open("rb") as source:
        done = desk.run("start", "pipe", "--rm", stdin=source)
    assert (done.returncode, done.stdout) == (0, b"from a file\n")


def test_a_bottle_that_began_off_a_terminal_is_resumed_on_one(desk: Desk) -> None:
    assert desk.run("start", "pipe").returncode == 0
    session = desk.spawn("resume", desk.identity)
    session.expect_exact(f"resuming {desk.identity}")
    time.sleep(1)
    session.sendline("typed")
    session.expect(r"typed\s+typed")  # the terminal's echo, and the agent's answer
    session.sendeof()
    session.expect_exact("ended with exit code 0")
    assert finish(session) == 0


def test_a_bottle_with_a_terminal_is_watched_from_off_one(desk: Desk) -> None:
    script = "until [ -e go ]; do echo not yet; sleep 0.1; done; echo done-$MARK; exit 2"
    assert desk.run("start", "-d", "shell", "--", "/bin/sh", "-c", script).returncode == 0
    with desk.watch("attach", desk.identity) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == b"not yet\r\n"
        (desk.folder / "go").touch()
        assert set(watching.stdout) - {b"not yet\r\n"} == {b"done-42\r\n"}
    assert watching.returncode == 2


def test_a_container_that_is_removed_under_a_session(desk: Desk) -> None:
    session = desk.spawn("start", "shell")
    session.expect_exact(PROMPT)
    desk.engine.containers.get(f"bottle-{desk.identity}").remove(force=True)
    session.expect("was removed while the session was open|ended with exit code 137")
    session.expect_exact(f"bottle resume {desk.identity}")
    assert finish(session) in {3, 137}


def test_a_paused_bottle_is_not_joined(desk: Desk) -> None:
    assert desk.run("start", "-d", "shell").returncode == 0
    desk.engine.containers.get(f"bottle-{desk.identity}").pause()
    for words in (("attach", desk.identity), ("exec", desk.identity, "--", "true")):
        refused = desk.run(*words)
        assert refused.returncode == 4
        assert "paused" in refused.stderr.decode()


def test_json_keeps_stdout_one_document(desk: Desk) -> None:
    done = desk.run("start", "shell", "--format", "json", "--", "/bin/sh", "-c", "echo hello; exit 4")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert document["identity"] == desk.identity
    assert (document["exit_code"], document["detached"], document["removed"]) == (4, False, False)
    assert document["resume"] == f"bottle resume {desk.identity}"
    assert b"hello\n" in done.stderr


def test_when_nobody_reads_the_output_the_agent_goes_on(desk: Desk) -> None:
    command = [sys.executable, *BOTTLE, "start", "shell", "--", "/bin/sh", "-c", "while echo y; do sleep 0.1; done"]
    with subprocess.Popen(
        command, cwd=desk.folder, env=desk.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(2) == b"y\n"
        process.stdout.close()
        assert process.wait(timeout=30) == 1
        assert "was left running" in process.stderr.read().decode()
    assert desk.status() == "running"


def test_an_interrupt_off_a_terminal_leaves_the_agent_running(desk: Desk) -> None:
    command = [sys.executable, *BOTTLE, "start", "shell", "--", "/bin/sh", "-c", "echo up; exec sleep 1000"]
    with subprocess.Popen(
        command, cwd=desk.folder, env=desk.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3) == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
        assert f"bottle attach {desk.identity}" in process.stderr.read().decode()
    assert desk.status() == "running"


def test_a_start_that_fails_leaves_nothing(desk: Desk) -> None:
    done = desk.run("start", "lost")
    assert done.returncode == 5
    assert "no-such-group-anywhere" in done.stderr.decode()
    assert desk.identities() == []
    label = {"label": "bottle.agent=lost"}
    assert desk.engine.containers.list(all=True, filters=label) == []


def test_exec_runs_a_command_beside_the_agent(desk: Desk) -> None:
    assert desk.run("start", "-d", "keeper").returncode == 0
    done = desk.run("exec", desk.identity, "--", "/bin/sh", "-c", "cat; pwd; exit 6", input=b"piped\n")
    assert (done.returncode, done.stdout) == (6, b"piped\n/workspace\n")
    secret = desk.run("exec", desk.identity, "--", "/bin/sh", "-c", "echo $SESSION_TEST_SECRET")
    assert secret.stdout == b"hush-1234\n"
    document = json.loads(desk.run("exec", "--format", "json", desk.identity, "--", "/bin/false").stdout)
    assert document["exit_code"] == 1

    session = desk.spawn("exec", desk.identity, "--", "/bin/bash", "--norc", "-i")
    session.expect_exact(PROMPT)
    ask(session, "stty size", "30 100")
    session.setwinsize(20, 70)
    time.sleep(0.5)
    ask(session, "stty size", "20 70")
    session.sendline("exit 8")
    assert finish(session) == 8
    assert desk.status() == "running"


def test_logs_show_what_the_agent_wrote(desk: Desk) -> None:
    script = "for i in 1 2 3; do echo line-$i; done; until [ -e go ]; do sleep 0.1; done; echo last"
    assert desk.run("start", "-d", "shell", "--", "/bin/sh", "-c", script).returncode == 0
    with desk.watch("logs", desk.identity, "-f") as following:
        assert following.stdout is not None
        assert [following.stdout.readline() for _ in range(3)] == [b"line-1\r\n", b"line-2\r\n", b"line-3\r\n"]
        assert desk.run("logs", desk.identity, "--tail", "1").stdout == b"line-3\r\n"
        (desk.folder / "go").touch()
        assert following.stdout.read() == b"last\r\n"
    assert following.returncode == 0
    document = json.loads(desk.run("logs", desk.identity, "--format", "json").stdout)
    assert document["output"].endswith("last\r\n")
    desk.engine.containers.get(f"bottle-{desk.identity}").remove(force=True)
    gone = desk.run("logs", desk.identity)
    assert gone.returncode == 3
