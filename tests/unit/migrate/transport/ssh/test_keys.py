"""A key file that is named is looked at: what nobody can log in with is an error, and not passed over."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bottle.cli.main import main
from bottle.errors import UsageError
from migrate.transport.ssh import require_key_file


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private key, one that is encrypted, and things that are none."""
    folder = tmp_path_factory.mktemp("keys")
    for name, passphrase in (("key", ""), ("locked", "secret")):
        words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(folder / name))
        subprocess.run(words, check=True)
    (folder / "old").write_text((folder / "key").read_text())
    (folder / "empty").touch()
    (folder / "text").write_text("dear diary\nit rained")
    (folder / "bytes").write_bytes(bytes(range(256)))
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    return folder


@pytest.mark.parametrize("name", ["key", "locked", "old", "key.pub", "locked.pub"])
def test_what_can_be_one(keys: Path, name: str) -> None:
    require_key_file(keys / name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "No such file or directory"),
        ("folder", "it is no regular file"),
        ("fifo", "it is no regular file"),
        ("text", "it is no private key"),
        ("empty", "it is no private key"),
        ("bytes", "it is no private key"),
        ("key/below", "Not a directory"),
    ],
)
def test_what_can_be_none_is_named(keys: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        require_key_file(keys / name)
    assert str(keys / name) in caught.value.what
    assert caught.value.left == "nobody was called"


def test_what_may_not_be_read_is_named(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("migrate.transport.ssh.keys.read_regular", refuse)
    with pytest.raises(UsageError, match="Permission denied"):
        require_key_file(keys / "key")


@pytest.mark.parametrize(
    "words", [("doctor", "me@far"), ("migrate", "a-abcde", "me@far"), ("migrate", "me@far", "--from")]
)
def test_wherever_it_is_named_nobody_is_called(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTTLE_HOME", str(tmp_path))
    result = CliRunner().invoke(main, [*words, "-i", "/nonexistent"], prog_name="bottle")
    assert result.exit_code == 2
    assert "bottle: nobody can log in with the key file /nonexistent: No such file or directory" in result.stderr
    assert "  next:  ls -l /nonexistent" in result.stderr
