"""Tars that nobody vouches for: whatever they hold, only plain files come of them, and only inside."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bottle.errors import StateDamaged, VerificationFailed
from bottle.files.opentree import OpenTree
from bottle.files.unpack import Policy, unpack
from bottle.tar.items import Item, ItemReader, ItemType, relative
from bottle.tar.rules import SPECIAL, Limits, Rules
from tests.support.trees import snapshot

Member = tuple[str, bytes, bytes, str]  # name, tarfile's type, content, link target
WIDE = Limits(size=8 * 1024**3)
BARE = Policy(bare=True, hard_links=False)


def tar_of(*members: Member, finish: bool = True) -> bytes:
    buffer = io.BytesIO()
    archive = tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  (left unfinished below)
    for name, kind, content, target in members:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname, member.mtime = kind, len(content), target, 1.5
        archive.addfile(member, io.BytesIO(content))
    if finish:
        archive.close()
    return buffer.getvalue()


def file(name: str, content: bytes = b"data") -> Member:
    return name, tarfile.REGTYPE, content, ""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    return name, kind, b"", target


def pieces(data: bytes, size: int = 999) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def take(data: bytes, folder: Path, limits: Limits = WIDE, policy: Policy = BARE) -> tuple[Item, ...]:
    return take_from(pieces(data), folder, limits, policy)


def take_from(chunks: Iterator[bytes], folder: Path, limits: Limits = WIDE, policy: Policy = BARE) -> tuple[Item, ...]:
    tar = ItemReader(chunks, renamed=lambda name: f"root/{name}")
    return tuple(unpack(tar, folder, Rules(what="an archive", special=SPECIAL, limits=limits), policy))


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The folder to receive into, beside something precious."""
    (tmp_path / "precious").write_bytes(b"precious")
    folder = tmp_path / "inside"
    folder.mkdir()
    return folder


def plain(folder: Path) -> bool:
    """Whether nothing but folders and unlinked regular files is below."""
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            facts = Path(root, name).lstat()
            if not (stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)):
                return False
    return True


def test_files_folders_and_links_arrive(inside: Path) -> None:
    data = tar_of(
        ("a", tarfile.DIRTYPE, b"", ""), file("a/x"), link("a/y", "../../etc"), link("a/z", "a/x", tarfile.LNKTYPE)
    )
    entries = {entry.path: entry for entry in take(data, inside)}
    assert [(path, entry.type) for path, entry in entries.items()] == [
        ("root/a", ItemType.FOLDER),
        ("root/a/x", ItemType.FILE),
        ("root/a/y", ItemType.SYMLINK),
        ("root/a/z", ItemType.FILE),
    ]
    assert entries["root/a/y"].link == "../../etc"
    assert entries["root/a/z"].sha256 == entries["root/a/x"].sha256
    assert (inside / "root/a/z").read_bytes() == b"data"
    assert not (inside / "root/a/y").exists()
    assert plain(inside)


@pytest.mark.parametrize(
    "members",
    [
        (file("../precious"),),
        (file("/precious"),),
        (file("//precious"),),
        (file("a/../../precious"),),
        (file(".."),),
        (file(""),),
        (link("a", "/tmp"), file("a/x")),
        (link("a", ".."), file("a/precious")),
        (file("a/x"), link("a", "..")),
        (file("a"), file("a/x")),
        (file("a/x"), file("a")),
        (file("a"), file("a")),
        (file("a"), file("./a")),
        (file("a"), link("a", "b")),
        (("a", tarfile.DIRTYPE, b"", ""), file("a")),
        (link("a", "../precious", tarfile.LNKTYPE),),
        (link("a", "/etc/passwd", tarfile.LNKTYPE),),
        (link("a", "missing", tarfile.LNKTYPE),),
        (link("a", "a", tarfile.LNKTYPE),),
        (link("s", "/etc/passwd"), link("a", "s", tarfile.LNKTYPE)),
        (("d", tarfile.DIRTYPE, b"", ""), link("a", "d", tarfile.LNKTYPE)),
        (file("x" * 300),),
        (file("/".join(["x" * 200] * 330)),),
    ],
)
def test_what_escapes_or_contradicts_itself_is_refused(inside: Path, members: tuple[Member, ...]) -> None:
    before = snapshot(inside.parent)
    with pytest.raises(VerificationFailed):
        take(tar_of(*members), inside)
    assert plain(inside)
    after = snapshot(inside.parent)
    assert {name: after[name] for name in before} == before
    assert all(name in before or name.startswith("inside/") for name in after)


def test_nothing_that_is_there_is_written_to_or_through(inside: Path) -> None:
    (inside / "root").mkdir()
    (inside / "root" / "link").symlink_to(inside.parent / "precious")
    (inside / "root" / "file").write_bytes(b"here before")
    for name in ("link", "file"):
        with pytest.raises(VerificationFailed):
            take(tar_of(file(name)), inside)
    assert (inside.parent / "precious").read_bytes() == b"precious"
    assert (inside / "root" / "file").read_bytes() == b"here before"


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_fifos_are_left_out(inside: Path, kind: bytes) -> None:
    entries = take(tar_of(("dev", kind, b"", ""), file("x")), inside)
    assert [entry.path for entry in entries] == ["root/x"]
    assert plain(inside)


@pytest.mark.parametrize(
    ("members", "limits"),
    [
        ([file(str(number), b"") for number in range(6)], Limits(entries=5)),
        ([(f"f{number}", tarfile.FIFOTYPE, b"", "") for number in range(6)], Limits(entries=5)),
        ([("d", tarfile.DIRTYPE, b"", "")] * 6, Limits(entries=5)),
        ([file("a", bytes(600)), file("b", bytes(600))], Limits(size=1000)),
    ],
)
def test_more_than_allowed_is_refused(inside: Path, members: list[Member], limits: Limits) -> None:
    with pytest.raises(VerificationFailed, match="larger than allowed"):
        take(tar_of(*members), inside, limits=limits)


def header(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo("x")
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def test_a_size_that_is_claimed_is_refused_before_it_is_written(inside: Path) -> None:
    with pytest.raises(VerificationFailed, match="larger than allowed"):
        take(header(2**60), inside)
    assert list(inside.iterdir()) == []


def test_a_negative_size_makes_no_room(inside: Path) -> None:
    data = header(-(10**9), tarfile.SYMTYPE) + tar_of(file("y", bytes(600)), file("z", bytes(600)))
    with pytest.raises(VerificationFailed):
        take(data, inside, limits=Limits(size=1000))


def test_a_header_without_end_is_not_held_in_memory(inside: Path) -> None:
    given_out = 0

    def endless() -> Iterator[bytes]:
        nonlocal given_out
        yield header(2**40, tarfile.XHDTYPE)
        while True:
            given_out += 2**20
            yield bytes(2**20)

    with pytest.raises(VerificationFailed, match="header"):
        take_from(endless(), inside)
    assert given_out < 2**24


def test_it_ends_where_the_tar_is_cut(inside: Path) -> None:
    whole = tar_of(file("a", bytes(2000)), file("b", bytes(2000)))
    for cut in (100, 512, 1500, 3000, 5000):
        with pytest.raises(VerificationFailed):
            take(whole[:cut], inside / str(cut))
    assert plain(inside)


def test_a_tar_that_is_torn_between_two_members_is_not_taken_for_a_whole_one(inside: Path) -> None:
    first, whole = tar_of(file("a", bytes(2000)), finish=False), tar_of(file("a", bytes(2000)), file("b"))
    assert whole.startswith(first)
    error = b'{"message":"input/output error"}\n'
    unreadable = first + b"#" * 512 + whole[len(first) + 512 :]
    half, behind = first + bytes(512) + b"#" * 512 + bytes(1024), first + bytes(1024) + error
    ends = (first, first + bytes(512), first + error, first + b"#" * 4096, unreadable, half, behind)
    for number, torn in enumerate(ends):
        with pytest.raises(VerificationFailed, match="the archive is damaged at byte"):
            take(torn, inside / str(number))
    assert len(take(first + bytes(1024), inside / "least")) == 1
    assert len(take(first + bytes(20000), inside / "padded")) == 1


def test_a_disk_that_is_full_is_said_to_be(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., int] = os.open

    def full(path: Path, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, mode, **options)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StateDamaged, match="No space left"):
        take(tar_of(file("a")), inside)


def test_the_times_and_ids_that_a_header_can_hold_are_taken_or_refused(inside: Path) -> None:
    for number, headers in enumerate([{"mtime": "nan"}, {"mtime": "inf"}, {"uid": "x"}, {"size": "-5"}, {"size": "x"}]):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            member = tarfile.TarInfo("x")
            member.pax_headers = headers
            archive.addfile(member)
        with suppress(VerificationFailed):
            take(buffer.getvalue(), inside / str(number))
        assert plain(inside)


def test_copies_of_hard_links_count_as_what_they_hold(inside: Path) -> None:
    members = [file("a", bytes(600)), link("b", "a", tarfile.LNKTYPE)]
    with pytest.raises(VerificationFailed, match="larger than allowed"):
        take(tar_of(*members), inside / "copied", limits=Limits(size=1000))
    assert not (inside / "copied/root/b").exists()
    take(tar_of(*members), inside / "linked", limits=Limits(size=1000), policy=Policy())
    assert (inside / "linked/root/a").samefile(inside / "linked/root/b")


def dressed_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, mode in (
            ("closed", tarfile.DIRTYPE, 0o6555),
            ("closed/su", tarfile.REGTYPE, 0o7755),
            ("closed/link", tarfile.SYMTYPE, 0o777),
            ("closed/below", tarfile.DIRTYPE, 0o500),
            ("closed/below/x", tarfile.REGTYPE, 0o000),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.linkname = kind, mode, "su" if kind == tarfile.SYMTYPE else ""
            member.pax_headers = {"mtime": "1700000000.123456789"}
            archive.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("policy", "modes"),
    [
        (Policy(), [0o555, 0o755, 0o500, 0o000]),
        (Policy(folder_bits=0o3777), [0o2555, 0o755, 0o500, 0o000]),
        (Policy(private=True), [0o700, 0o600, 0o700, 0o600]),
    ],
    ids=["no bits beyond", "a folder's own bits", "private"],
)
def test_modes_are_what_the_policy_leaves_and_times_those_of_the_tar(
    inside: Path, policy: Policy, modes: list[int]
) -> None:
    top = inside / "root"
    lent = [item.path for item in take(dressed_tar(), inside, policy=policy) if item.lends]
    paths = [top / "closed", top / "closed/su", top / "closed/below", top / "closed/below/x"]
    assert [path.stat().st_mode & 0o7777 for path in paths] == modes
    assert {path.lstat().st_mtime_ns for path in (*paths, top / "closed/link")} == {1_700_000_000_123_456_789}
    assert ((top / "closed/link").readlink(), lent) == (Path("su"), ["root/closed/su"])


def test_what_is_in_the_way_stays_unless_it_is_to_be_replaced(inside: Path) -> None:
    (inside / "root").mkdir()
    (inside / "root/file").write_bytes(b"before")
    (inside / "root/link").symlink_to(inside.parent / "precious")
    data = tar_of(file("file"), file("link"))
    with pytest.raises(VerificationFailed):
        take(data, inside, policy=Policy())
    take(data, inside, policy=Policy(replace=True))
    assert [(inside / "root" / name).read_bytes() for name in ("file", "link")] == [b"data", b"data"]
    assert (inside.parent / "precious").read_bytes() == b"precious"


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "\udcff", "c d"]), min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
MEMBERS = st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=20), NAMES), max_size=6)
LENIENT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def receive_anything(data: bytes, folder: Path) -> None:
    """Receive, and hold it to what is promised of every tar there is."""
    before = snapshot(folder.parent)
    (folder / "new").mkdir()
    try:
        entries = take(data, folder / "new")
    except VerificationFailed:
        entries = ()
    assert plain(folder)
    for entry in entries:
        assert relative(entry.path) == entry.path
        assert entry.path == "root" or entry.path.startswith("root/")
        if entry.type is ItemType.FILE:
            with OpenTree(folder / "new") as below, below.open(entry.path) as content:
                assert len(content.read()) == entry.size
    for root, folders, names in os.walk(folder / "new", topdown=False):
        for name in names:
            Path(root, name).unlink()
        for name in folders:
            Path(root, name).rmdir()
    (folder / "new").rmdir()
    assert snapshot(folder.parent) == before


@LENIENT
@given(members=MEMBERS)
def test_no_tar_gets_out(inside: Path, members: list[Member]) -> None:
    receive_anything(tar_of(*[(n, k, c if k == tarfile.REGTYPE else b"", t) for n, k, c, t in members]), inside)


@LENIENT
@given(members=MEMBERS, damage=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4))
def test_no_damaged_tar_gets_out(inside: Path, members: list[Member], damage: list[tuple[int, int]]) -> None:
    data = bytearray(tar_of(*[(n, k, c if k == tarfile.REGTYPE else b"", t) for n, k, c, t in members]))
    for place, value in damage:
        data[place % len(data)] = value
    for start in range(0, len(data), 512):  # make the checksums right again, so that the damage is read
        block = data[start : start + 512]
        if any(block[:100]) and block[257:262] == b"ustar":
            total = sum(block[:148]) + 8 * 32 + sum(block[156:512])
            data[start + 148 : start + 156] = b"%06o\0 " % total
    receive_anything(bytes(data), inside)


@LENIENT
@given(data=st.binary(max_size=1500))
def test_no_bytes_get_out(inside: Path, data: bytes) -> None:
    receive_anything(data, inside)


@given(st.text())
def test_a_relative_path_stays_below(name: str) -> None:
    try:
        path = relative(name)
    except VerificationFailed:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert relative(path) == path
