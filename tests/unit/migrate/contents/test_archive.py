"""Parcels: what is packed, what is promised of it, and that it is the same when it is packed again."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle.errors import PreflightRefused, VerificationFailed
from migrate.admission.arrived_state import unpack_folder
from migrate.contents.archive import Tarball, pack_folder, pack_stream
from migrate.image.spool import DirectorySpool
from migrate.model import Codec

WEIRD = ("a b", "new\nline", "back\\slash", "-dash", "cr\r", "ünï", "quote'\"")


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", Codec.NONE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    (folder / "file").chmod(0o4751)
    os.link(folder / "file", folder / "sub" / "linked")
    (folder / "symlink").symlink_to("/etc/passwd")
    for name in WEIRD:
        (folder / name).write_text(name)
    return folder


def members(tarball: Tarball) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tarball.blob.path) as archive:
        return {member.name: member for member in archive}


def test_everything_is_packed_as_it_is(folder: Path, spool: DirectorySpool) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        tarball = pack_folder(folder, spool)
    found = members(tarball)
    assert (tarball.files, tarball.links, tarball.folders) == (2 + len(WEIRD), 1, 3)
    assert sorted(tarball.skipped) == [str(folder / "fifo"), str(folder / "socket")]
    assert len(found) == tarball.files + tarball.links + tarball.folders
    assert found["./file"].mode == 0o4751
    assert (found["./sub/linked"].type, found["./sub/linked"].linkname) == (tarfile.LNKTYPE, "./file")
    assert (found["./symlink"].type, found["./symlink"].linkname) == (tarfile.SYMTYPE, "/etc/passwd")
    assert found["./sub/empty"].isdir()
    assert abs(found["./file"].mtime - (folder / "file").stat().st_mtime) < 0.001


@pytest.mark.parametrize("time", [1_700_000_000_123_456_789, 1_700_000_000_000_000_000, 1, -1, -1_250_000_000])
def test_times_are_packed_to_the_nanosecond(folder: Path, spool: DirectorySpool, tmp_path: Path, time: int) -> None:
    os.utime(folder / "file", ns=(time, time))
    tarball = pack_folder(folder, spool)
    unpacked = tmp_path / "unpacked"
    unpack_folder([tarball.blob.path.read_bytes()], unpacked, owners=False, links=True, room=1 << 30)
    assert (unpacked / "file").stat().st_mtime_ns == time
    subprocess.run(["tar", "-xpf", tarball.blob.path, "-C", tmp_path, "./file"], check=True)
    assert (tmp_path / "file").stat().st_mtime_ns == time


def test_what_is_exchanged_travels_in_the_place_of_what_is_there(folder: Path, spool: DirectorySpool) -> None:
    other = folder.parent / "other" / "linked"
    (other / "deep").mkdir(parents=True)
    (other / "deep" / "file").write_text("new")
    tarball = pack_folder(folder, spool, exchanged={"sub/linked": other.parent})
    found = members(tarball)
    assert found["./sub/linked"].isdir()
    assert found["./sub/linked/deep/file"].isreg()
    assert hashlib.sha256(b"new").hexdigest() in tarball.sums.decode()
    assert set(found) >= {"./file", "./sub/empty"}
    some = pack_folder(
        folder, spool, exchanged={"sub/linked": other.parent}, wanted=frozenset({"sub/linked/deep/file"})
    )
    assert list(members(some)) == ["./sub/linked/deep/file"]


def test_what_has_attributes_that_no_tar_keeps_is_counted(folder: Path, spool: DirectorySpool) -> None:
    assert pack_folder(folder, spool).lost == ()
    os.setxattr(folder / "file", "user.note", b"precious")
    os.setxattr(folder / "sub", "user.note", b"precious")
    assert pack_folder(folder, spool).lost == (
        "3 files with extended attributes: file (user.note), sub (user.note), sub/linked (user.note)",
    )


def test_the_list_names_what_sha256sum_can_spell(folder: Path, spool: DirectorySpool) -> None:
    lines = pack_folder(folder, spool).sums.decode().splitlines()
    digest = hashlib.sha256(b"content").hexdigest()
    assert f"{digest}  ./file" in lines
    assert f"{digest}  ./sub/linked" in lines
    assert {line[68:] for line in lines} == {"file", "sub/linked", "a b", "-dash", "ünï", "quote'\""}


def test_names_that_are_no_utf8_keep_their_bytes(folder: Path, spool: DirectorySpool) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/raw-\xff")).write_text("raw")
    tarball = pack_folder(folder, spool)
    assert b"  ./raw-\xff\n" in tarball.sums
    assert "./raw-\udcff" in members(tarball)


def test_what_lies_beside_the_state_stays_and_what_replaces_it_goes(folder: Path, spool: DirectorySpool) -> None:
    (folder / "sub" / "lock").write_text("not at the top, so it travels")
    (folder / "lock").write_text("stays")
    tarball = pack_folder(folder, spool, leave_out=frozenset({"lock"}), instead={"file": b"other", "new": b"new"})
    found = members(tarball)
    assert "./lock" not in found
    assert "./sub/lock" in found
    assert (found["./file"].size, found["./file"].mode) == (5, 0o600)
    assert f"{hashlib.sha256(b'other').hexdigest()}  ./file\n".encode() in tarball.sums


def test_packed_again_after_the_notes_of_a_move_it_is_the_same(folder: Path, spool: DirectorySpool) -> None:
    left_out = frozenset({"migration.json"})
    first = pack_folder(folder, spool, leave_out=left_out)
    (folder / "migration.json").write_text("{}")
    os.utime(folder, (1, 1))
    assert pack_folder(folder, spool, leave_out=left_out).blob.digest == first.blob.digest
    (folder / "file").write_bytes(b"changed")
    assert pack_folder(folder, spool, leave_out=left_out).blob.digest != first.blob.digest


def test_a_file_that_shrinks_while_it_is_read_is_refused(
    folder: Path, spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def shrinking(path: Path, flags: int, *args: int, **options: int) -> int:
        if path == "file":
            os.truncate(folder / "file", 3)
        return opened(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", shrinking)
    with pytest.raises(PreflightRefused, match="cannot be packed"):
        pack_folder(folder, spool)


def test_a_tar_of_the_engines_is_kept_byte_for_byte_counted_and_hashed(spool: DirectorySpool) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("v/a", b"one"), ("v/b", b"two" * 1000)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("v/c")
        link.type, link.linkname = tarfile.LNKTYPE, "v/a"
        archive.addfile(link)
    data = buffer.getvalue()
    tarball = pack_stream((data[i : i + 700] for i in range(0, len(data), 700)), spool, "volume v")
    assert tarball.blob.path.read_bytes() == data
    assert tarball.entries == 3
    assert tarball.content == hashlib.sha256(b"one" + b"two" * 1000).hexdigest()


def test_an_archive_that_is_refused_is_let_go_of(spool: DirectorySpool) -> None:
    """While a container is read the engine answers nothing else about it: what comes next would wait for ever."""
    closed: list[bool] = []

    def archive() -> Iterator[bytes]:
        try:
            yield b"no tar" * 1000
            yield b"and more"
        finally:
            closed.append(True)

    chunks = archive()
    with pytest.raises(VerificationFailed):
        pack_stream(chunks, spool, "volume v")
    assert closed == [True]


@pytest.mark.parametrize("torn", [0, 512, 600, 1024, 1024 + 512, 1024 + 700, 2048, 2048 + 512])
def test_a_torn_tar_of_the_engines_is_none(spool: DirectorySpool, torn: int) -> None:
    """Between two entries, in a header, in a file, in front of the end mark and in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("v/a", "v/b"):
            member = tarfile.TarInfo(name)
            member.size = 300
            archive.addfile(member, io.BytesIO(b"x" * 300))
    whole = buffer.getvalue()
    assert pack_stream([whole[: 2048 + 1024]], spool, "volume v").entries == 2
    with pytest.raises(VerificationFailed, match="no whole tar") as caught:
        pack_stream([whole[:torn]], spool, "volume v")
    assert caught.value.left == "this host still owns the bottle"
    assert "bottle doctor" in caught.value.next_step
    with pytest.raises(VerificationFailed, match="no whole tar"):
        pack_stream([whole[:1024], b"\xff" * 512, whole[1536:]], spool, "volume v")
