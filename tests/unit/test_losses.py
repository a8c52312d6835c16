"""What Docker's commit drops, found in a container's own layer before it is lost."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bottle.files.opentree import OpenTree
from bottle.files.tree import discard, walk
from bottle.losses import _HELD, Account, Trait, Way, dropped_by_archive, dropped_by_commit, unseen, worth_telling
from tests.support.trees import make_deep

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
        "tool": ["user.note", "security.capability", "trusted.overlay.origin", "user.overlay.origin", "user.overlay.x"],
        "usr": ["system.posix_acl_access", "system.posix_acl_default"],
    }
    monkeypatch.setattr(os, "listxattr", lambda path, **_: keys.get(Path(path).name, []))
    assert dropped_by_commit(layer) == (
        "1 file with extended attributes: /usr/tool (user.note, user.overlay.x)",
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


def test_what_is_the_same_each_time_is_told_once_or_not_at_all() -> None:
    fractions, socket_ = "the fractions of a second of 2 modification times", "1 socket: /run/x"
    volume = tuple(f"volume cache: {line}" for line in (fractions, *unseen()))
    lines = (fractions, socket_, *unseen(), *volume)
    assert worth_telling(lines) == (socket_,)
    assert worth_telling(lines, first=True) == (socket_, *unseen(), volume[1])


# --- other ways -------------------------------------------------------------------------------------------------------


def account(folder: Path, way: Way) -> tuple[str, ...]:
    found = Account(way)
    for node in walk(folder):
        found.see(node, node.path)
    return found.lines()


def test_each_way_tells_what_it_does_not_hold(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    plant(folder, "socket")
    os.mkfifo(folder / "fifo")
    (folder / "one").write_bytes(b"")
    (folder / "two").hardlink_to(folder / "one")
    (folder / "shared").write_bytes(b"")
    (tmp_path / "outside").hardlink_to(folder / "shared")
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 22)
    for node in list(walk(folder)):
        os.utime(folder / node.path, (CUT, CUT))
    os.utime(folder / "one", ns=(1, CUT * 10**9 + 1))
    socket_, fifo = "1 socket: socket", "1 fifo: fifo"
    linked = "3 files with hard links, which become copies: one, shared, two"
    shared = "1 file with a hard link to outside of it: shared"
    sparse = "1 sparse file, whose holes are written out: sparse"
    times = "the fractions of a second of 2 modification times"
    assert account(folder, Way.COMMIT) == (socket_, sparse, times)
    assert account(folder, Way.ARCHIVE) == (socket_, shared, sparse, times)
    assert account(folder, Way.TRANSCRIPT) == (socket_, fifo, linked, sparse, times)
    assert account(folder, Way.TAR) == (socket_, fifo, shared, sparse)
    assert dropped_by_archive(folder) == account(folder, Way.ARCHIVE)


def test_every_trait_is_held_or_lost_on_purpose() -> None:
    """The table of traits and ways, once more: whoever adds a trait says here what becomes of it."""
    rows = {trait.name: "".join("x" if trait in _HELD[way] else "-" for way in Way) for trait in Trait}
    assert rows == {
        "SOCKET": "----",
        "FIFO": "xx--",
        "DEVICE": "xx--",
        "ATTRIBUTES": "----",
        "ACL": "----",
        "FILE_CAPABILITY": "xx--",
        "FLAGS": "----",
        "LINKED": "xx-x",
        "SHARED": "x-x-",
        "HOLES": "----",
        "FRACTION": "---x",
        "UNSEEN": "----",
    }


def test_flags_of_files_are_named_where_the_filesystem_has_them(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: int, request: int, data: bytes) -> bytes:
        assert (request, len(data)) == (0x80086601, 8)
        return (0x10 | 0x40 | 0x80000).to_bytes(8, "little")

    monkeypatch.setattr("bottle.files.flags.fcntl.ioctl", answer)
    assert dropped_by_commit(layer) == (
        "2 files with file flags: /usr (immutable, no dump), /usr/tool (immutable, no dump)",
    )


def test_what_only_the_copy_of_a_transcript_loses_is_told_as_such(layer: Path) -> None:
    (layer / "root/t").mkdir(parents=True)
    os.mkfifo(layer / "root/t/fifo")
    os.mkfifo(layer / "root/fifo")
    plant(layer / "root/t", "socket")
    assert dropped_by_commit(layer, ("/root/t",)) == (
        "1 socket: /root/t/socket",
        "the transcript's copy beside the image: 1 fifo: /root/t/fifo",
    )


def test_what_cannot_be_looked_at_is_told(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listxattr", refuse)
    assert dropped_by_archive(layer) == ("3 files that could not be looked at: usr, usr/link, usr/tool",)


def test_a_deep_layer_is_looked_at_to_its_end(layer: Path) -> None:
    path = make_deep(layer, 3_000)
    with OpenTree(layer) as below:
        below.dress(path, mode=0o600, owner=None, mtime_ns=CUT * 10**9 + 1)
    assert dropped_by_commit(layer) == ("the fractions of a second of 1 modification time",)
    discard(layer / "ab")
