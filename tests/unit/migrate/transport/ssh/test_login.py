"""In which order keys are offered, with no host at the other end; that hosts take them is tried against a real sshd."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from paramiko import AuthenticationException, BadAuthenticationType, Ed25519Key, PKey

from bottle.errors import LoginRefused, UsageError
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.keys import public_blob_of, read_public_blob
from migrate.transport.ssh.login import Login, Prompter

PASSPHRASE = "secret"


class Host:
    """A transport to a host that takes no key, and hangs up after six."""

    def __init__(self) -> None:
        self.offered: list[bytes] = []

    def is_active(self) -> bool:
        return len(self.offered) < 6

    def is_authenticated(self) -> bool:
        return False

    def auth_none(self, user: str) -> list[str]:
        raise BadAuthenticationType("", ["publickey"])

    def auth_publickey(self, user: str, key: PKey) -> list[str]:
        self.offered.append(key.asbytes())
        raise AuthenticationException


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-C", "", "-f")
    for name in (*"abcdefgh", "locked"):
        passphrase = PASSPHRASE if name == "locked" else ""
        subprocess.run((*words, str(folder / name), "-N", passphrase), check=True)
    return folder


def offered(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    held: Sequence[str] = (),
    by_user: Sequence[str] = (),
    named: Sequence[str] = (),
    only: bool = False,
) -> list[str]:
    """The names of the keys, in the order in which they were offered."""

    class Agent:
        def __init__(self, path: Path) -> None:
            pass

        def get_keys(self) -> list[PKey]:
            return [Ed25519Key.from_private_key_file(str(folder / each), PASSPHRASE) for each in held]

        def close(self) -> None:
            pass

    monkeypatch.setattr("migrate.transport.ssh.login.AgentAt", Agent)
    files = tuple(folder / each for each in named)
    config = HostConfig(
        hostname="h", port=22, user="u", identity_files=files, identity_agent=Path("agent"), identities_only=only
    )
    host = Host()
    with pytest.raises(LoginRefused):
        Login("h", "u", config, tuple(folder / each for each in by_user), Prompter(None)).authenticate(host)  # type: ignore[arg-type]
    names = {read_public_blob(path): path.stem for path in folder.glob("*.pub")}
    return [names[blob] for blob in host.offered]


def test_named_keys_of_the_agent_go_first_in_its_own_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(folder, monkeypatch, held="abcdefgh", named="hg") == [*"ghabcd"]
    assert offered(folder, monkeypatch, held="abcdefgh", named="hg", only=True) == [*"gh"]


def test_a_locked_file_whose_key_the_agent_holds_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [*"abcdefg", "locked"]
    for words in ({"by_user": ["locked"]}, {"named": ["locked"]}):
        assert offered(folder, monkeypatch, held=held, **words) == ["locked", *"abcde"]  # type: ignore[arg-type]


def test_what_is_named_by_hand_goes_ahead_of_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(folder, monkeypatch, held="abcd", by_user="hd", named="cf") == [*"dhcabf"]


def test_no_key_is_offered_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(folder, monkeypatch, held="ab", by_user="ac", named="cab") == [*"acb"]


def test_the_public_half_of_a_key_file(folder: Path, tmp_path: Path) -> None:
    """Of OpenSSH's own form it needs no file beside it, and no passphrase; a file that is cut has none."""
    expected = read_public_blob(folder / "locked.pub")
    assert expected is not None
    alone = tmp_path / "alone"
    text = (folder / "locked").read_text()
    alone.write_text(text)
    assert public_blob_of(alone) == expected
    assert public_blob_of(folder / "locked.pub") == expected
    alone.write_text(text[:60])
    assert public_blob_of(alone) is None
    alone.write_text("-----BEGIN PRIVATE KEY-----\n")
    assert public_blob_of(alone) is None
    (tmp_path / "alone.pub").write_bytes((folder / "locked.pub").read_bytes())
    assert public_blob_of(alone) == expected


def test_a_public_key_that_was_named_says_which_of_the_agents_is_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered(folder, monkeypatch, held=("a", "b"), by_user=("b.pub",)) == ["b", "a"]


def test_a_public_key_that_was_named_and_that_no_agent_holds_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"b\.pub is a public key, and no agent holds the private one") as caught:
        offered(folder, monkeypatch, held=("a",), by_user=("b.pub",))
    assert caught.value.next_step.startswith(f"-i {folder / 'b'} ")


@pytest.mark.parametrize("host", ["me@far", "far"])
def test_who_is_asked_for_a_password_is_named_once(host: str) -> None:
    class Asks(Host):
        def auth_none(self, user: str) -> list[str]:
            raise BadAuthenticationType("", ["password"])

    asked: list[str] = []
    config = HostConfig(hostname="far", port=22, user="me")
    with pytest.raises(LoginRefused):
        Login(host, "me", config, (), Prompter(lambda prompt: asked.append(prompt) or "")).authenticate(Asks())  # type: ignore[arg-type,func-returns-value]
    assert asked == ["me@far's password: "]
