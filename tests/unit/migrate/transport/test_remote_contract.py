"""The local stand-in for a far host keeps the contract, whichever shell is at hand, and breaks when it is told to."""

from pathlib import Path

import pytest

from bottle.errors import ConnectionLost, RemoteError
from migrate.transport.testing import LocalRemote
from tests.contract.remote import RemoteContract, script
from tests.support.shells import shells


class TestLocalRemote(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> LocalRemote:
        return LocalRemote(tmp_path)


@pytest.mark.parametrize("shell", shells(("bash", "dash", "zsh", "tcsh", "fish", "busybox")))
def test_noise_of_a_login_shell_is_skipped(tmp_path: Path, shell: str) -> None:
    login = tmp_path / "login"
    command = "busybox sh" if shell == "busybox" else shell
    login.write_text(
        f'#!/bin/sh\necho "Welcome to Host"\nprintf "no line end"\necho warning >&2\nexec {command} "$@"\n'
    )
    login.chmod(0o755)
    reply = LocalRemote(tmp_path, shell=(str(login),)).run(script('printf %s "$1"; exit 3', "it's $(x) !y"))
    assert (reply.status, reply.out) == (3, b"it's $(x) !y")
    assert "warning" in reply.err


def test_login_shell_that_refuses_is_quoted(tmp_path: Path) -> None:
    login = tmp_path / "nologin"
    login.write_text("#!/bin/sh\necho 'This account is currently not available.'\nexit 1\n")
    login.chmod(0o755)
    with pytest.raises(RemoteError, match="currently not available"):
        LocalRemote(tmp_path, shell=(str(login),)).run(script("true"))


def test_home_is_the_one_given(tmp_path: Path) -> None:
    assert (
        LocalRemote(tmp_path).run(script('cd && pwd && printf %s "$HOME"')).out.decode().split() == [str(tmp_path)] * 2
    )


def test_cut_after_so_many_bytes(tmp_path: Path) -> None:
    remote = LocalRemote(tmp_path)
    remote.faults.cut_after = 250_000
    with pytest.raises(ConnectionLost):
        remote.run(script("cat > file"), [bytes(100_000)] * 5)
    assert remote.sent == 250_000
    assert (tmp_path / "file").stat().st_size <= 250_000
    assert remote.run(script("echo back")).out == b"back\n"


def test_kill_after_so_many_bytes(tmp_path: Path) -> None:
    remote = LocalRemote(tmp_path)
    remote.faults.kill_after = 10
    with pytest.raises(RemoteError) as caught:
        remote.run(script("cat > file"), [b"12345"] * 5)
    assert not isinstance(caught.value, ConnectionLost)
