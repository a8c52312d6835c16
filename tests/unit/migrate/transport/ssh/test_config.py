"""What is made of `ssh -G`'s answer, and of the tokens in it; whole configurations are tried against a real sshd."""

import base64
import os
import pwd
from pathlib import Path

import pytest

from bottle.errors import UsageError
from migrate.model import Target
from migrate.transport.ssh.config import HostConfig, host_config, jumps
from migrate.transport.ssh.known_hosts import is_revoked
from migrate.transport.ssh.lookup import ask, keywords, lookup
from migrate.transport.ssh.tokens import expand, expand_path, tokens

HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
# As OpenSSH 9.2 prints it, cut to what counts.
ANSWER = """\
host box
user bob
hostname box.example
port 2222
addressfamily inet6
batchmode no
hashknownhosts yes
identitiesonly yes
kbdinteractiveauthentication no
passwordauthentication no
pubkeyauthentication true
hostkeyalias foo
identityagent /run/agent.sock
revokedhostkeys ~/revoked
identityfile /named/on/the/command/line
identityfile ~/.ssh/%r@%h
identityfile none
certificatefile ~/certificate
globalknownhostsfile none
userknownhostsfile /home/bob/.ssh/a /with space/known /home/bob/known-foo
connecttimeout 7
proxycommand nc -X %h %p # not a comment
"""
VALUES = tokens(original="box", hostname="box.example", port=22, user="bob", jump="", alias=None)


def parse(answer: str, target: Target, identity_files: tuple[Path, ...]) -> HostConfig:
    return host_config(keywords(answer), target, identity_files)


def test_an_answer_as_a_value() -> None:
    config = parse(ANSWER, Target("box"), (Path("/named/on/the/command/line"),))
    assert (config.hostname, config.port, config.user) == ("box.example", 2222, "bob")
    assert config.identity_files == (HOME / ".ssh" / "bob@box.example",)
    assert config.certificate_files == (HOME / "certificate",)
    assert config.identities_only
    assert config.identity_agent == Path("/run/agent.sock")
    assert config.methods == {"publickey"}
    assert config.proxy_command == "nc -X box.example 2222 # not a comment"
    assert config.host_key_alias == "foo"
    assert config.user_known_hosts == (
        Path("/home/bob/.ssh/a"), Path("/with space/known"), Path("/home/bob/known-foo")
    )  # fmt: skip
    assert config.global_known_hosts == ()
    assert config.revoked_host_keys == HOME / "revoked"
    assert config.hash_known_hosts
    assert (config.address_family, config.bind_address, config.connect_timeout) == ("inet6", None, 7.0)


def test_jumps_in_the_order_in_which_they_are_visited() -> None:
    config = parse("hostname a\nport 22\nuser me\nproxyjump me@one:23,[::1]:24,three\n", Target("a"), ())
    assert config.proxy_jump == (Target("one", "me", 23), Target("::1", None, 24), Target("three"))


@pytest.mark.parametrize(
    ("setting", "hop"),
    [
        ("alice@corp@jump:2222", Target("jump", "alice@corp", 2222)),
        ("DOM\\bob@jump", Target("jump", "DOM\\bob")),
        ("a+b@[::1]:3", Target("::1", "a+b", 3)),
        ("ssh://a%40b@jump:4/", Target("jump", "a@b", 4)),
        ("@jump", None),
        ("-oProxyCommand=x@jump", None),
        ("a\tb@jump", None),
        ("a\udce9@jump", None),
        ("a@-jump", None),
        ("a@jump:many", None),
    ],
)
def test_who_logs_in_at_a_jump(setting: str, hop: Target | None) -> None:
    if hop is not None:
        assert jumps(setting) == (hop,)
    else:
        with pytest.raises(UsageError):
            jumps(setting)


def test_relative_lists_of_known_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def files(setting: str) -> tuple[str, ...]:
        said = f"hostname a\nport 22\nuser me\nuserknownhostsfile {setting}\n"
        return tuple(map(str, parse(said, Target("a"), ()).user_known_hosts))

    assert files("kh other/kh /far/kh") == ("kh other/kh", "/far/kh")
    (tmp_path / "kh").touch()
    assert files("kh other/kh /far/kh") == ("kh", "other/kh", "/far/kh")
    (tmp_path / "kh other").mkdir()
    (tmp_path / "kh other" / "kh").touch()
    assert files("kh other/kh") == ("kh other/kh",)


@pytest.mark.parametrize(
    ("setting", "socket"),
    [
        ("none", None),
        ("SSH_AUTH_SOCK", "/from/environment"),
        ("$OTHER_SOCK", "/other"),
        ("$NOT_SET_ANYWHERE", None),
        ("~/agent", str(HOME / "agent")),
    ],
)
def test_where_the_agent_is(setting: str, socket: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/from/environment")
    monkeypatch.setenv("OTHER_SOCK", "/other")
    config = parse(f"hostname a\nport 22\nuser me\nidentityagent {setting}\n", Target("a"), ())
    assert config.identity_agent == (Path(socket) if socket else None)


def test_tokens_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE", "value")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert expand("%h-%n-%p-%r-%%h-${A_VARIABLE}", VALUES) == "box.example-box-22-bob-%h-value"
    assert expand("${A_VARIABLE}", VALUES, variables=False) == "${A_VARIABLE}"
    assert expand_path("~/x", VALUES) == HOME / "x"
    assert expand_path("%d/x", VALUES) == HOME / "x"
    for text in ("%", "%y", "${NOT_SET_ANYWHERE}"):
        with pytest.raises(UsageError) as caught:
            expand(text, VALUES)
    assert caught.value.next_step.startswith("export NOT_SET_ANYWHERE=")


def program(folder: Path, script: str) -> str:
    path = folder / "ssh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_client_that_is_not_openssh_is_not_asked(tmp_path: Path) -> None:
    other = program(tmp_path, "echo 'Dropbear v2022.83: unknown option -G' >&2; exit 1")
    assert ask(other, Target("box"), None, ()) is None


def test_what_openssh_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    said = "[ \"$1\" = -V ] && { echo OpenSSH_9.2 >&2; exit; }; printf 'line 2: Bad \\033[31mport\\n' >&2; exit 255"
    with pytest.raises(UsageError, match="line 2: Bad port"):
        ask(program(tmp_path, said), Target("box"), None, ())


def test_all_that_the_target_says_goes_ahead(tmp_path: Path) -> None:
    record = f'printf "%s\\n" "$@" >{tmp_path}/words; printf "hostname h\\nport 1\\nuser u\\n"'
    ask(program(tmp_path, record), Target("box", "bob", 77), Path("/file"), (Path("/key"),))
    assert (tmp_path / "words").read_text().splitlines() == [
        "-G", "-T", "-F", "/file", "-l", "bob", "-p", "77", "-i", "/key", "--", "box"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["Port 2222 # x", "Port=2222", '  Port "2222"', "Port 2222 # it's"])
def test_without_a_client(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "config"
    file.write_text(f"# don't\nHost box # won't\n{text}\n  ProxyCommand run # this\n")
    config = lookup(Target("box"), file, ())
    assert (config.port, config.proxy_command) == (2222, "run # this")


@pytest.mark.parametrize("text", ["Port many", "Match wrong", "Include"])
def test_what_cannot_be_read_without_a_client(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "config"
    file.write_text(f"Host box\n  {text}\n")
    with pytest.raises(UsageError):
        lookup(Target("box"), file, ())


def test_a_list_of_revoked_keys(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text(f"# a comment\nssh-ed25519 {base64.b64encode(b'this one').decode()} comment\n")
    assert is_revoked(file, "ssh-ed25519", b"this one")
    assert not is_revoked(file, "ssh-ed25519", b"another")
    assert is_revoked(tmp_path / "absent", "ssh-ed25519", b"another")
