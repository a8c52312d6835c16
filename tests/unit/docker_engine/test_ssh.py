"""The line over ssh, with programs in its place that do what it may do: arrive, refuse, talk, hang."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from bottle.docker_engine import ssh
from bottle.docker_engine.engine import DockerEngine
from bottle.docker_engine.ssh import ProcessSocket, dial, ssh_command
from bottle.errors import EngineUnreachable

FLAGS = ("-o", "ConnectTimeout=30", "-T", "--")
DIAL = "docker system dial-stdio"


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("ssh://box", ("ssh", *FLAGS, "box", DIAL)),
        ("ssh://Box/", ("ssh", *FLAGS, "Box", DIAL)),  # capitals count in ssh_config
        ("ssh://me@box:2222", ("ssh", "-l", "me", "-p", "2222", *FLAGS, "box", DIAL)),
        ("ssh://a%40b@box", ("ssh", "-l", "a@b", *FLAGS, "box", DIAL)),
        ("ssh://[::1]:22", ("ssh", "-p", "22", *FLAGS, "::1", DIAL)),
        ("ssh://-oProxyCommand=x", ("ssh", *FLAGS, "-oProxyCommand=x", DIAL)),
        ("ssh://box/run/d.sock", ("ssh", *FLAGS, "box", "docker --host=unix:///run/d.sock system dial-stdio")),
        ("ssh://box/a b;c", ("ssh", *FLAGS, "box", "docker '--host=unix:///a b;c' system dial-stdio")),
    ],
)
def test_ssh_is_called_as_the_docker_client_calls_it(address: str, command: tuple[str, ...]) -> None:
    assert ssh_command(address) == command


@pytest.mark.parametrize("address", ["ssh://", "ssh:///x", "ssh://me:word@box", "ssh://box?x", "ssh://box:port"])
def test_what_ssh_cannot_be_given_is_refused(address: str) -> None:
    with pytest.raises(EngineUnreachable) as caught:
        DockerEngine({"DOCKER_HOST": address}).info()
    assert address in caught.value.what


def sh(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


ANSWER = r"printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK'"
HEAR = r'while read -r line && [ "$line" != "$(printf "\r")" ]; do :; done'


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'ssh: no such host' >&2; exit 255", "ssh: no such host"),
        ("printf 'a\\n\\nb\\nc\\033[31md\\ne\\n' >&2; exit 255", "b; cd; e"),
        ("exec >&- <&-; echo late >&2", "late"),
        (f"{HEAR}; echo This account is currently not available.", "This account is currently not available."),
        (f"{HEAR}; exit 1", "Remote end closed connection without response"),
    ],
)
def test_what_ssh_says_last_is_the_error(script: str, words: str) -> None:
    with pytest.raises(ConnectionRefusedError) as caught:
        dial(sh(script), 5)
    assert words in str(caught.value.strerror)


def test_who_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_GREETING_SECONDS", 0.05)
    monkeypatch.setattr(ssh, "_ENDING_SECONDS", 0.05)
    with pytest.raises(ConnectionRefusedError, match="timed out"):
        dial(sh("exec sleep 60"), 5)


def test_a_machine_without_ssh_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnreachable, match="there is no command ssh here"):
        DockerEngine({"DOCKER_HOST": "ssh://box"}).info()


def test_a_line_is_a_socket_that_closes_in_one_direction(tmp_path: Path) -> None:
    with dial(sh(f"{HEAR}; {ANSWER}; cat; echo bye"), 5) as line:
        line.sendall(b"hello ")
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as answer:
            assert answer.read() == b"hello bye\n"


def test_the_process_ends_with_its_socket_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_ENDING_SECONDS", 0.05)
    line = dial(sh(f"{HEAR}; {ANSWER}; read -r word; echo $word; exec sleep 60"), 5)
    line.sendall(b"word\n")
    process = line._process
    file = line.makefile("rb")
    line.close()  # as http.client does when an answer ends with its connection
    assert process.poll() is None
    assert file.readline() == b"word\n"
    file.close()
    assert process.poll() is not None
    assert line.fileno() == -1


def test_what_was_sent_before_the_end_arrives(tmp_path: Path) -> None:
    with dial(sh(f"{HEAR}; {ANSWER}; cat >{tmp_path / 'heard'}"), 5) as line:
        line.sendall(b"x" * 100_000)
    assert (tmp_path / "heard").stat().st_size == 100_000


def test_many_threads_each_have_a_line(tmp_path: Path) -> None:
    errors = []

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def work() -> None:
        try:
            with dial(sh(f"{HEAR}; {ANSWER}; cat"), 5) as line:
                line.sendall(b"x")
                assert line.recv(1) == b"x"
        except (OSError, AssertionError) as error:
            errors.append(error)

    before = descriptors()
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert descriptors() <= before  # what another test left may be collected meanwhile


def test_ctrl_c_does_not_reach_ssh() -> None:
    with ProcessSocket(sh("ps -o sid= -p $$")) as line, line.makefile("rb") as said:
        assert int(said.read()) != os.getsid(0)
