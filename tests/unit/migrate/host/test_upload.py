"""Staging: pieces that are acknowledged, and what cuts, damage and refusals make of them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bottle.errors import ConnectionLost, RemoteError, VerificationFailed
from bottle.naming import Identity
from bottle.testing import RecordingProgress
from migrate.host import commands
from migrate.host.arguments import Digest, PieceNumber, PieceSize
from migrate.host.payload import Payload, cut
from migrate.host.upload import Uploader
from migrate.model import RemoteCommand, Reply
from migrate.transport.testing import LocalRemote
from tests.support.uploading import make_uploader

KILO = 1024


def payload(data: bytes, path: Path | None = None) -> Payload:
    if path is None:
        return Payload.literal(data)
    path.write_bytes(data)
    return Payload(digest=hashlib.sha256(data).hexdigest(), size=len(data), content=path)


def largest(item: Payload) -> int:
    return max(piece.size for piece in cut(item))


def uploader(remote: LocalRemote, identity: Identity, **options: Any) -> tuple[Uploader, RecordingProgress]:
    progress = RecordingProgress()
    return make_uploader(remote, identity, progress, **options), progress


@pytest.fixture
def blobs(far: Path, identity: Identity) -> Path:
    return far / ".bottle" / "incoming" / str(identity) / "blobs"


def staged(blobs: Path, item: Payload) -> bytes:
    return b"".join(piece.read_bytes() for piece in sorted((blobs / item.digest).glob("[0-9]*")))


@pytest.fixture
def large(tmp_path: Path) -> Payload:
    return payload(os.urandom(3000 * KILO), tmp_path / "large")


@given(st.integers(0, 3 << 30))
def test_pieces_make_up_the_cargo_and_a_lost_one_is_a_small_part_of_it(size: int) -> None:
    item = Payload(digest="", size=size, content=b"")
    end, count = 0, 0
    for piece in cut(item):
        assert (piece.number, piece.offset) == (count, end)
        assert piece.size <= max(size // 20, 512 * KILO)  # two of them stay below 12 %
        end, count = end + piece.size, count + 1
    assert (end, count > 0) == (size, True)


def test_what_is_sent_arrives_and_is_not_sent_again(
    remote: LocalRemote, identity: Identity, blobs: Path, large: Payload
) -> None:
    small = payload(b"{}")
    ship, progress = uploader(remote, identity, jobs=2)
    ship.send([small, large, small], "sending")
    assert staged(blobs, large) == large.content.read_bytes()  # type: ignore[union-attr]
    assert staged(blobs, small) == b"{}"
    assert progress.done["sending"] == large.size + small.size
    assert oct(blobs.stat().st_mode) == "0o40700"

    before = remote.sent
    again, progress = uploader(remote, identity)
    again.send([small, large], "sending")
    assert "sending" not in progress.done
    assert remote.sent - before < 1000  # the digests that are to be checked


def test_what_is_to_stay_alone_has_what_else_is_staged_deleted(
    remote: LocalRemote, identity: Identity, blobs: Path, large: Payload
) -> None:
    small, new, late = payload(b"{}"), payload(b"new"), payload(os.urandom(100 * KILO))
    ship, _ = uploader(remote, identity)
    for items in ([small, large], [late]):
        ship.send(items, "sending")
    assert {path.name for path in blobs.iterdir()} == {small.digest, large.digest, late.digest}
    before = remote.sent
    ship.send([large, new], "sending", keep=[large, new])
    assert remote.sent - before < 1000
    assert {path.name for path in blobs.iterdir()} == {large.digest, new.digest, small.digest}
    assert staged(blobs, large) == large.content.read_bytes()  # type: ignore[union-attr]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_after_a_cut_only_what_was_not_acknowledged_is_sent(
    remote: LocalRemote, identity: Identity, blobs: Path, tmp_path: Path, part: float
) -> None:
    item = payload(os.urandom(5000 * KILO), tmp_path / "item")
    remote.faults.cut_after = int(part * item.size)
    ship, progress = uploader(remote, identity)
    ship.send([item], "sending")
    assert any("trying again" in note for note in progress.notes)
    assert staged(blobs, item) == item.content.read_bytes()  # type: ignore[union-attr]
    assert remote.sent <= item.size + largest(item) + 1000
    assert progress.done["sending"] == item.size


def test_a_line_that_stays_broken_is_given_up(identity: Identity) -> None:
    class Broken(LocalRemote):
        def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
            self.runs += 1
            raise ConnectionLost("the connection broke")

    broken, slept = Broken(Path("/nowhere")), []
    ship, _ = uploader(broken, identity, wait=slept.append)
    with pytest.raises(ConnectionLost):
        ship.send([payload(b"x")], "sending")
    assert broken.runs == len(slept) + 1 > 5
    assert slept == sorted(slept)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("00000001-" + 64 * "0")),
    ],
    ids=["flipped", "short", "empty", "gone", "misnamed"],
)
def test_a_damaged_piece_is_found_and_sent_again(
    remote: LocalRemote, identity: Identity, blobs: Path, large: Payload, damage: Callable[[Path], object]
) -> None:
    uploader(remote, identity)[0].send([large], "sending")
    damage(sorted((blobs / large.digest).iterdir())[1])
    before = remote.sent
    ship, progress = uploader(remote, identity)
    ship.send([large], "sending")
    assert staged(blobs, large) == large.content.read_bytes()  # type: ignore[union-attr]
    assert progress.done["sending"] == largest(large)
    assert remote.sent - before < largest(large) + 4 * KILO


def test_pieces_of_another_making_are_thrown_away(
    remote: LocalRemote, identity: Identity, blobs: Path, large: Payload
) -> None:
    uploader(remote, identity)[0].send([large], "sending")
    stray = b"a piece that is what its name says"
    (blobs / large.digest / f"00000099-{hashlib.sha256(stray).hexdigest()}").write_bytes(stray)
    ship, progress = uploader(remote, identity)
    ship.send([large], "sending")
    assert staged(blobs, large) == large.content.read_bytes()  # type: ignore[union-attr]
    assert any("damaged pieces" in note for note in progress.notes)


def test_a_disk_that_damages_everything_is_told_of(
    remote: LocalRemote, identity: Identity, blobs: Path, large: Payload, programs: Path
) -> None:
    # The far host's `mv`, by which a piece gets its name, changes it on the way.
    (programs / "mv").write_text('#!/bin/sh\necho damage >>"$2"\nexec /bin/mv "$@"\n')
    (programs / "mv").chmod(0o755)
    ship, progress = uploader(remote, identity)
    with pytest.raises(VerificationFailed, match="again and again"):
        ship.send([large], "sending")
    assert len([note for note in progress.notes if "sent again" in note]) == 3


def test_what_was_damaged_here_is_thrown_away_and_made_anew(
    remote: LocalRemote, identity: Identity, large: Payload
) -> None:
    assert isinstance(large.content, Path)
    good = large.content.read_bytes()
    large.content.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    ship, _ = uploader(remote, identity)
    with pytest.raises(VerificationFailed, match="on this host's disk"):
        ship.send([large, payload(b"{}")], "sending")
    assert not large.content.exists()
    large.content.write_bytes(good)
    ship.send([large], "sending")


def test_what_changes_on_its_way_is_not_accepted(remote: LocalRemote, identity: Identity, blobs: Path) -> None:
    item = Payload(digest=hashlib.sha256(b"said").hexdigest(), size=4, content=b"sent")
    with pytest.raises(VerificationFailed):
        uploader(remote, identity)[0].send([item], "sending")


@pytest.mark.parametrize("line", ["x", "x 1-a much", "x 1 5", f"x 1-a {'9' * 5000}"])
def test_a_staging_that_makes_no_sense_is_not_believed(
    remote: LocalRemote, identity: Identity, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("migrate.host.script._text", lambda name: f"echo '{line}'" if name == "staged" else "")
    with pytest.raises(RemoteError, match="makes no sense"):
        uploader(remote, identity)[0].send([payload(b"x")], "sending")


def test_a_host_that_cannot_take_it_says_why(remote: LocalRemote, identity: Identity, far: Path) -> None:
    (far / ".bottle").write_text("a file where a folder should be")
    with pytest.raises(RemoteError, match="cannot make"):
        uploader(remote, identity)[0].send([payload(b"x")], "sending")


def test_a_shipment_that_could_not_be_taken_can_be_sent_again(
    remote: LocalRemote, identity: Identity, far: Path, blobs: Path, large: Payload
) -> None:
    (far / ".bottle").mkdir()
    (far / ".bottle" / "incoming").write_text("a file where a folder should be")
    ship, _ = uploader(remote, identity, jobs=2)
    with pytest.raises(RemoteError, match="cannot make"):
        ship.send([large], "sending")
    (far / ".bottle" / "incoming").unlink()
    ship.send([large], "sending")
    assert staged(blobs, large) == large.content.read_bytes()  # type: ignore[union-attr]


def test_each_is_sent_before_the_next_one_is_made(
    remote: LocalRemote, identity: Identity, blobs: Path, large: Payload
) -> None:
    first, sent = payload(b"first"), []

    def made() -> Iterator[Payload]:
        yield first
        deadline = time.monotonic() + 60
        while not sent and time.monotonic() < deadline:  # the senders are threads
            sent.extend((blobs / first.digest).glob("[0-9]*"))
        yield large

    ship, progress = uploader(remote, identity)
    ship.send(made(), "sending")
    assert sent
    assert staged(blobs, large) == large.content.read_bytes()  # type: ignore[union-attr]
    assert large.size <= progress.done["sending"] <= first.size + large.size  # what is left when all of it is known


@pytest.mark.parametrize(("data", "status"), [(b"said", 0), (b"sent", 23), (b"sai", 22), (b"", 22), (b"said more", 22)])
def test_a_piece_has_its_name_only_once_it_is_what_it_says(
    remote: LocalRemote, identity: Identity, blobs: Path, data: bytes, status: int
) -> None:
    digest = hashlib.sha256(b"said").hexdigest()
    piece = commands.Piece(
        identity=identity, blob=Digest("blob"), number=PieceNumber(0), sha256=Digest(digest), size=PieceSize(4)
    )
    reply = remote.run(piece.command(), (data,))
    assert reply.status == status
    assert [each.name for each in (blobs / "blob").iterdir()] == ([f"00000000-{digest}"] if status == 0 else [])
