"""Configurations that people have: bottle logs in with them where `ssh` itself does, and nowhere else."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bottle.errors import BottleError
from migrate.model import Target
from migrate.transport.ssh import SshOptions, SshRemote
from tests.contract.remote import script
from tests.integration.sshd import Sshd, free_port, make_key, running

PASSPHRASE = "open-sesame"


@dataclass(frozen=True)
class Place:
    """Servers, a folder with keys, agents, and what configurations are written with.

    `trusting` lets in whoever has a certificate, and one key that is not `server`'s.
    """

    server: Sshd
    trusting: Sshd
    folder: Path

    def text(self, configuration: str) -> str:
        names = {
            "PORT": str(self.server.port), "KEY": str(self.server.user_key), "FOLDER": str(self.folder),
            "KNOWN": str(self.folder / "known_hosts"), "CLOSED": str(free_port()),
            "AGENT": str(self.folder / "agent"), "CROWD": str(self.folder / "crowd"),
            "STRANGERS": str(self.folder / "strangers"), "CERTIFIED": str(self.folder / "certified"),
            "TRUSTING": str(self.trusting.port),
        }  # fmt: skip
        for name, value in names.items():
            configuration = configuration.replace(f"@{name}@", value)
        return configuration


@contextmanager
def agent(sock: Path, *keys: Path) -> Iterator[None]:
    """An agent that holds these, in this order."""
    process = subprocess.Popen(("ssh-agent", "-D", "-a", str(sock)), stdout=subprocess.DEVNULL)
    try:
        while not sock.exists():
            time.sleep(0.02)
        ask = sock.with_suffix(".ask")
        ask.write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
        ask.chmod(0o700)
        asking = {"SSH_AUTH_SOCK": str(sock), "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        for key in keys:
            subprocess.run(("ssh-add", "-q", str(key)), check=True, env=os.environ | asking)
        yield
    finally:
        process.terminate()
        process.wait()


def certify(folder: Path, key: Path) -> Path:
    """Sign the key's public half into KEY-cert.pub; returns a folder of its own with that and the public half only."""
    words = ("ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "test", "-n", "root", f"{key}.pub")
    subprocess.run(words, check=True, capture_output=True)
    alone = folder / f"{key.name} without its private half"
    alone.mkdir()
    for name in (f"{key.name}.pub", f"{key.name}-cert.pub"):
        (alone / name).write_bytes((folder / name).read_bytes())
    return alone


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("configurations")
    make_key(folder / "authority")
    trust = (f"TrustedUserCAKeys {folder}/authority.pub",)
    with (
        running(folder / "sshd") as server,
        running(folder / "trusting", settings=trust) as trusting,
        ExitStack() as agents,
    ):
        for each in (server, trusting):
            each.known_hosts(folder / "known_hosts")
        server.known_hosts(folder / "known as alias", name="the-alias")
        server.known_hosts(folder / "known-box", name="127.0.0.1")
        (folder / "empty").touch()
        spaced = folder / "with space"
        spaced.mkdir()
        for name in ("key", "key-127.0.0.1-root", "50%", "box.key"):
            (spaced / name).write_bytes(server.user_key.read_bytes())
            (spaced / name).chmod(0o600)
        shutil.copy(trusting.user_key, folder / f"key of {pwd.getpwuid(os.getuid()).pw_name}")
        make_key(folder / "wrong")
        (folder / "included").write_text(f"Host box\n  Port {server.port}\n")
        public = server.host_keys[0].with_suffix(".pub").read_text()
        (folder / "revoked").write_text(public)
        (folder / "revoked other").write_text((folder / "wrong.pub").read_text())
        krl = ("ssh-keygen", "-q", "-k", "-f", str(folder / "krl"), str(server.host_keys[0].with_suffix(".pub")))
        subprocess.run(krl, check=True)
        strangers = [make_key(folder / f"stranger{number}") for number in range(7)]
        locked = make_key(folder / "locked", passphrase=PASSPHRASE)
        with trusting.authorized.open("a") as file:
            file.write(locked.with_suffix(".pub").read_text())
        locked.with_suffix(".pub").unlink()
        certified = [make_key(folder / f"certified-{kind}", kind=kind) for kind in ("ed25519", "rsa")]
        agents.enter_context(agent(folder / "agent", server.user_key))
        agents.enter_context(agent(folder / "crowd", *strangers, server.user_key, locked))
        agents.enter_context(agent(folder / "strangers", *strangers, *certified))
        for key in certified:
            certify(folder, key)
        agents.enter_context(agent(folder / "certified", *certified))
        yield Place(server, trusting, folder)


# What every configuration begins with, which is what counts where it says the same thing again below.
REST = """
Host *
  HostName 127.0.0.1
  Port @PORT@
  User root
  IdentityFile @KEY@
  IdentityAgent none
  UserKnownHostsFile @KNOWN@
  GlobalKnownHostsFile none
"""
CONFIGURATIONS = {
    "plain": "",
    "a comment behind the port": "Host box\n  Port @PORT@ # x\n",
    "an apostrophe in a comment": "# it's mine\nHost box # it's the box\n  Port @PORT@\n",
    "an apostrophe in another host's comment": "Host other # don't\n  Port 1\n",
    "quoted values": 'Host "box"\n  Port "@PORT@"\n  IdentityFile "@FOLDER@/with space/key"\n',
    "equals signs": "Host=box\n  Port=@PORT@\n  User = root\n",
    "keywords in capitals": "HOST box\n  PORT @PORT@\n",
    "tabs and trailing space": "Host\tbox\t\n\tPort\t@PORT@ \t\n",
    "an agent by its path": "Host box\n  IdentityAgent @AGENT@\n  IdentityFile @FOLDER@/absent\n",
    "an agent by a variable": "Host box\n  IdentityAgent $BOTTLE_TEST_AGENT\n  IdentityFile @FOLDER@/absent\n",
    "an agent by a variable in braces": "Host box\n  IdentityAgent ${BOTTLE_TEST_AGENT}\n  IdentityFile @FOLDER@/no\n",
    "the agent that the environment names": "Host box\n  IdentityAgent SSH_AUTH_SOCK\n  IdentityFile @FOLDER@/no\n",
    "no agent and no key": "Host box\n  IdentityFile none\n  IdentityAgent none\n",
    "a key by a variable": "Host box\n  IdentityFile ${BOTTLE_TEST_FOLDER}/sshd/user_key\n",
    "a key by a variable that is not set": "Host box\n  IdentityFile ${BOTTLE_TEST_UNSET}/key\n",
    "a key by tokens": 'Host box\n  IdentityFile "@FOLDER@/with space/key-%h-%r"\n',
    "a key by the name that was typed": 'Host box\n  IdentityFile "@FOLDER@/with space/%n.key"\n',
    "a percent sign in a key's name": 'Host box\n  IdentityFile "@FOLDER@/with space/50%%"\n',
    "only the wrong key, and the agent left out": "Host box\n  IdentityFile @FOLDER@/wrong\n  IdentitiesOnly yes\n",
    "no public keys": "Host box\n  PubkeyAuthentication no\n",
    "another way preferred": "Host box\n  PreferredAuthentications password\n",
    "a host name by a token": "Host 127.0.0.1 box\n  HostName 127.0.0.1\n  Port @PORT@\nHost *\n  HostName %h\n",
    "a closed port": "Host box\n  Port @CLOSED@\n",
    "the first value counts": "Host box\n  Port @PORT@\n  Port @CLOSED@\n",
    "a negated pattern": "Host * !box\n  Port @CLOSED@\n",
    "a list of patterns": "Host elsewhere b?x\n  Port @PORT@\nHost box\n  Port @CLOSED@\n",
    "an include": "Include @FOLDER@/included\nHost box\n  Port @CLOSED@\n",
    "an include by a variable": "Include ${BOTTLE_TEST_FOLDER}/included\nHost box\n  Port @CLOSED@\n",
    "an include in a block that does not fit": "Host other\n  Include @FOLDER@/included\nHost box\n  Port @CLOSED@\n",
    "a match by a command": 'Match host box exec "test -e @FOLDER@/included"\n  Port @PORT@\nHost box\n  Port 1\n',
    "a match by a command that fails": 'Match exec "false"\n  Port @CLOSED@\n',
    "a match by the original host and the user": "Match originalhost box user root\n  Port @PORT@\n",
    "a match that is final": "Match final host 127.0.0.1\n  Compression yes\n",
    "a key's alias": 'Host box\n  HostKeyAlias the-alias\n  UserKnownHostsFile "@FOLDER@/known as alias"\n',
    "an alias that nobody knows": "Host box\n  HostKeyAlias stranger\n",
    "several known_hosts": "Host box\n  UserKnownHostsFile @FOLDER@/empty @FOLDER@/known_hosts\n",
    "known_hosts by a token": "Host box\n  UserKnownHostsFile @FOLDER@/known_%k @FOLDER@/known-%n @KNOWN@\n",
    "known_hosts by a variable": "Host box\n  UserKnownHostsFile ${BOTTLE_TEST_FOLDER}/known_hosts\n",
    "an unknown host": "Host box\n  UserKnownHostsFile @FOLDER@/empty\n",
    "a known_hosts of the system": "Host box\n  UserKnownHostsFile none\n  GlobalKnownHostsFile @KNOWN@\n",
    "a revoked host": "Host box\n  RevokedHostKeys @FOLDER@/revoked\n",
    "a host in a revocation list": "Host box\n  RevokedHostKeys @FOLDER@/krl\n",
    "another key revoked": 'Host box\n  RevokedHostKeys "@FOLDER@/revoked other"\n',
    "an address family": "Host box\n  AddressFamily inet\n",
    "the other address family": "Host box\n  AddressFamily inet6\n",
    "an address to come from": "Host box\n  BindAddress 127.0.0.2\n",
    "a command instead of a line": "Host box\n  ProxyCommand nc %h %p # ''\n  HostName 127.0.0.1\n",
    "an option that nobody knows": "Host box\n  NoSuchOption yes\n",
    "an option that nobody knows, and need not": "IgnoreUnknown NoSuch*\nHost box\n  NoSuchOption yes\n",
    "a port that is none": "Host box\n  Port many\n",
    "relative known_hosts": "Host box\n  UserKnownHostsFile empty ./known_hosts\n",
    "relative known_hosts of which one is absent": "Host box\n  UserKnownHostsFile absent known_hosts\n",
    "a key by the name of who runs this": 'Host box\n  Port @TRUSTING@\n  IdentityFile "@FOLDER@/key of %u"\n',
    "a named key behind many in the agent": "Host box\n  IdentityAgent @CROWD@\n",
    "a locked key behind many in the agent": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @CROWD@\n  IdentityFile @FOLDER@/locked\n"
    ),
    "a locked key behind many, and only named ones": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @CROWD@\n  IdentityFile @FOLDER@/locked\n  IdentitiesOnly yes\n"
    ),
    "a key of a file behind many in the agent": "Host box\n  IdentityAgent @STRANGERS@\n",
    "a key of a file, and the agent's left out": "Host box\n  IdentityAgent @STRANGERS@\n  IdentitiesOnly yes\n",
    "the certificate of a key that only an agent holds": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @STRANGERS@\n"
        "  CertificateFile @FOLDER@/certified-ed25519-cert.pub\n"
    ),
    "the certificate of an RSA key that only an agent holds": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @STRANGERS@\n  CertificateFile @FOLDER@/certified-rsa-cert.pub\n"
    ),
    "the same, and only keys that are named": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @STRANGERS@\n  CertificateFile @FOLDER@/certified-rsa-cert.pub\n"
        "  IdentitiesOnly yes\n"
    ),
    "the certificate of a key that is not there": (
        "Host box\n  Port @TRUSTING@\n  CertificateFile @FOLDER@/certified-rsa-cert.pub\n"
    ),
    "the certificate of a key in a file, behind many in the agent": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @CROWD@\n  CertificateFile @FOLDER@/certified-rsa-cert.pub\n"
        "  IdentityFile @FOLDER@/certified-rsa\n"
    ),
    "a certificate beside the key": "Host box\n  Port @TRUSTING@\n  IdentityFile @FOLDER@/certified-rsa\n",
    "a certificate beside the key, and another one named": (
        "Host box\n  Port @TRUSTING@\n  IdentityFile @FOLDER@/certified-rsa\n"
        "  CertificateFile @FOLDER@/certified-ed25519-cert.pub\n"
    ),
    "a certificate beside where the key would be, which an agent holds": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @STRANGERS@\n  IdentitiesOnly yes\n"
        '  IdentityFile "@FOLDER@/certified-rsa without its private half/certified-rsa"\n'
    ),
    "certificates that the agent holds": "Host box\n  Port @TRUSTING@\n  IdentityAgent @CERTIFIED@\n",
    "an RSA certificate that the agent holds": (
        "Host box\n  Port @TRUSTING@\n  IdentityAgent @CERTIFIED@\n  IdentitiesOnly yes\n"
        "  IdentityFile @FOLDER@/certified-rsa\n"
    ),
}


def ssh_logs_in(config: Path) -> bool:
    words = ("ssh", "-F", str(config), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "box", "echo in")
    done = subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
    return done.stdout == b"in\n"


def bottle_logs_in(config: Path) -> bool:
    try:
        with SshRemote.connect(Target("box"), options=SshOptions(ssh_config=config, connect_timeout=10)) as remote:
            return remote.run(script("echo in")).out == b"in\n"
    except BottleError:
        return False


@pytest.fixture
def config(request: pytest.FixtureRequest, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of the configurations, in a file."""
    monkeypatch.chdir(place.folder)
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "somebody-else")
    monkeypatch.setenv("BOTTLE_TEST_AGENT", str(place.folder / "agent"))
    monkeypatch.setenv("BOTTLE_TEST_FOLDER", str(place.folder))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place.folder / "agent"))
    path = tmp_path / "config"
    path.write_text(place.text(CONFIGURATIONS[request.param] + REST))
    return path


@pytest.mark.parametrize("config", CONFIGURATIONS, indirect=True)
def test_bottle_logs_in_where_ssh_does(config: Path) -> None:
    assert bottle_logs_in(config) == ssh_logs_in(config)


def test_the_matrix_tells_logins_from_refusals(place: Place, tmp_path: Path) -> None:
    """Both are in it, so that a client which always or never gets in would not pass."""
    for name, gets_in in (("plain", True), ("an unknown host", False)):
        (tmp_path / "config").write_text(place.text(CONFIGURATIONS[name] + REST))
        assert ssh_logs_in(tmp_path / "config") is gets_in


# What the parser that stands in for an absent client makes of them; the rest ends in an error, never in a traceback.
KNOWN_WITHOUT = (
    "plain", "a comment behind the port", "an apostrophe in a comment", "an apostrophe in another host's comment",
    "quoted values", "equals signs", "keywords in capitals", "tabs and trailing space", "an agent by its path",
    "an agent by a variable", "a key by a variable", "a key by tokens", "no public keys", "a closed port",
    "a negated pattern", "a list of patterns", "an include", "a key's alias", "several known_hosts", "an unknown host",
    "a known_hosts of the system", "a revoked host", "another key revoked", "an address family",
    "an address to come from", "a port that is none", "relative known_hosts", "a named key behind many in the agent",
    "a locked key behind many in the agent", "a key of a file behind many in the agent",
    "a key of a file, and the agent's left out", "the certificate of a key that only an agent holds",
    "the certificate of a key in a file, behind many in the agent", "a certificate beside the key",
    "certificates that the agent holds", "an RSA certificate that the agent holds",
)  # fmt: skip


@pytest.mark.parametrize("config", CONFIGURATIONS, indirect=True)
def test_without_an_ssh_client(request: pytest.FixtureRequest, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ssh_logs_in(config)
    monkeypatch.setattr("migrate.transport.ssh.lookup.shutil.which", lambda name: None)
    logged_in = bottle_logs_in(config)
    if request.node.callspec.params["config"] in KNOWN_WITHOUT:
        assert logged_in == expected
