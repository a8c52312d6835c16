"""What Docker's commit drops, found in a container's own layer before it is lost."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bottle.losses import dropped_by_commit, unseen

CUT = 1_700_000_000


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer in which nothing is lost."""
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "tool").write_bytes(b"")
    (tmp_path / "usr" / "link").symlink_to("nowhere")
    os.utime(tmp_path / "usr" / "tool", (CUT, CUT))
    return tmp_path


def plant(folder: Path, name: str) -> None:
    """A socket, whose path must be short to be bound."""
    where = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{where}/{name}")
    os.close(where)


def test_where_nothing_is_lost_nothing_is_said(layer: Path) -> None:
    assert dropped_by_commit(layer) == ()


def test_sockets_are_named(layer: Path) -> None:
    plant(layer, "s")
    assert dropped_by_commit(layer) == ("1 socket: /s",)
    plant(layer, "a")
    assert dropped_by_commit(layer) == ("2 sockets: /a, /s",)


def test_of_many_some_are_named(layer: Path) -> None:
    for number in range(7):
        plant(layer, f"s{number}")
    assert dropped_by_commit(layer) == ("7 sockets: /s0, /s1, /s2, /s3, /s4, and 2 more",)


def test_extended_attributes_and_acls_are_named_but_not_capabilities_and_overlays_own(
    layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {
        "tool": ["user.note", "security.capability", "trusted.overlay.origin", "user.overlay.x"],
        "usr": ["system.posix_acl_access", "system.posix_acl_default"],
    }
    monkeypatch.setattr(os, "listxattr", lambda path, **_: keys.get(Path(path).name, []))
    assert dropped_by_commit(layer) == (
        "1 file with extended attributes: /usr/tool (user.note)",
        "1 file with an ACL: /usr",
    )
    keys["tool"] = ["security.capability"]
    keys["usr"] = []
    assert dropped_by_commit(layer) == ()


def test_fractions_of_seconds_are_counted(layer: Path) -> None:
    os.utime(layer / "usr" / "tool", ns=(1, CUT * 10**9 + 1))
    assert dropped_by_commit(layer) == ("the fractions of a second of 1 modification time",)


def test_what_vanishes_while_it_is_looked_at_is_not_counted(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> list[str]:
        raise FileNotFoundError

    plant(layer, "s")
    monkeypatch.setattr(os, "listxattr", gone)
    assert dropped_by_commit(layer) == ()


def test_where_nothing_can_be_seen_that_is_said() -> None:
    assert "not checked" in unseen()[0]
