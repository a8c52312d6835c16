"""Whether the key that a host shows is its own: what known_hosts decides, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from paramiko import Ed25519Key, PKey, SSHClient

from bottle.errors import HostKeyRejected
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.host_key import HostKeyCheck
from migrate.transport.ssh.keys import fingerprint
from tests.hosts.keys import make_key_pair, write_private

MINE, OTHER = make_key_pair(), make_key_pair()


@pytest.fixture
def key(tmp_path: Path) -> PKey:
    """The key that the host shows."""
    write_private(tmp_path / "key", MINE.private)
    return Ed25519Key.from_private_key_file(str(tmp_path / "key"))


def check(known: Path, *, accept_new: bool = False, revoked: Path | None = None) -> HostKeyCheck:
    config = HostConfig(hostname="box", port=22, user="me", user_known_hosts=(known,), revoked_host_keys=revoked)
    return HostKeyCheck(config, accept_new=accept_new)


def known_as(folder: Path, *lines: str) -> Path:
    path = folder / "known_hosts"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_known_key_is_let_pass(tmp_path: Path, key: PKey) -> None:
    check(known_as(tmp_path, f"box {MINE.public}")).missing_host_key(SSHClient(), "box", key)


@pytest.mark.parametrize("accept_new", [False, True])
@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([f"box {OTHER.public}"], "HAS CHANGED"),
        ([f"box {OTHER.public}", f"elsewhere {MINE.public}"], "HAS CHANGED"),
        ([f"@revoked box {MINE.public}"], "@revoked"),
        ([f"@revoked * {MINE.public}", f"box {MINE.public}"], "@revoked"),
    ],
)
def test_a_key_that_is_not_the_hosts_own_is_refused_in_any_case(
    tmp_path: Path, key: PKey, lines: list[str], says: str, accept_new: bool
) -> None:
    known = known_as(tmp_path, *lines)
    before = known.read_text()
    with pytest.raises(HostKeyRejected, match=says) as caught:
        check(known, accept_new=accept_new).missing_host_key(SSHClient(), "box", key)
    assert fingerprint(key.asbytes()) in caught.value.what
    assert known.read_text() == before


def test_an_unknown_key_is_refused_unless_new_ones_are_accepted(tmp_path: Path, key: PKey) -> None:
    known = known_as(tmp_path, f"elsewhere {MINE.public}", f"!box,b* {MINE.public}")
    with pytest.raises(HostKeyRejected, match="not known"):
        check(known).missing_host_key(SSHClient(), "box", key)
    check(known, accept_new=True).missing_host_key(SSHClient(), "box", key)
    assert known.read_text().splitlines()[-1] == f"box {MINE.public}"
    check(known).missing_host_key(SSHClient(), "box", key)


def test_a_revoked_key_is_refused_though_it_is_known(tmp_path: Path, key: PKey) -> None:
    known = known_as(tmp_path, f"box {MINE.public}")
    revoked = tmp_path / "revoked"
    revoked.write_text(f"{MINE.public}\n")
    with pytest.raises(HostKeyRejected, match="revokes"):
        check(known, revoked=revoked).missing_host_key(SSHClient(), "box", key)
    revoked.write_text(f"{OTHER.public}\n")
    check(known, revoked=revoked).missing_host_key(SSHClient(), "box", key)
