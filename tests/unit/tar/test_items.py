"""What engines write into tars is read as it is meant, and what no file can be is refused."""

from __future__ import annotations

import tarfile

import pytest

from bottle.errors import VerificationFailed
from bottle.tar.items import Item, ItemReader, ItemType, item_header

END = bytes(2 * tarfile.BLOCKSIZE)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode("utf-8", "surrogateescape")
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def extension(kind: bytes, data: bytes) -> bytes:
    head = tarfile.TarInfo("PaxHeaders.0/x")
    head.type, head.size = kind, len(data)
    return head.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def header(
    name: str = "x", kind: bytes = tarfile.REGTYPE, format_: int = tarfile.USTAR_FORMAT, **facts: object
) -> bytes:
    head = tarfile.TarInfo(name)
    head.type = kind
    for key, value in facts.items():
        setattr(head, key, value)
    return head.tobuf(format_)


def pax(head: bytes, **records: str) -> bytes:
    data = b"".join(record(key.replace("__", "."), value) for key, value in sorted(records.items()))
    return extension(tarfile.XHDTYPE, data) + head


def only(*parts: bytes, layer: bool = False) -> Item:
    (item,) = ItemReader([b"".join(parts), END], layer=layer).items()
    return item


@pytest.mark.parametrize(
    ("spelt", "nanoseconds"),
    [
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("-1.25", -1_250_000_000),
        ("-0.000000001", -1),
        ("-7", -7_000_000_000),
        ("253402300799", 253_402_300_799_000_000_000),
        ("1e-05", 10_000),
    ],
    ids=[
        "to the nanosecond",
        "trailing zeros cut",
        "negative",
        "just before",
        "whole",
        "in 9999",
        "as Python spells it",
    ],
)
def test_times_are_read_to_the_nanosecond(spelt: str, nanoseconds: int) -> None:
    assert only(pax(header(), mtime=spelt)).mtime_ns == nanoseconds


@pytest.mark.parametrize("spelt", ["nan", "inf", "-inf", "1e30", "", "x", "1e999999999", "snan"])
def test_times_that_cannot_be_are_refused(spelt: str) -> None:
    with pytest.raises(VerificationFailed, match="a time that cannot be"):
        only(pax(header(), mtime=spelt))


def test_what_is_written_is_read_again() -> None:
    for nanoseconds in (0, 1, -1, -(10**9), 5 * 10**9, -1_250_000_000, 1_700_000_000_123_456_789):
        item = Item(path="a/b", type=ItemType.FILE, mode=0o640, uid=5, gid=6, mtime_ns=nanoseconds, size=0)
        assert only(item_header(item, item.path, "")) == item


def test_numbers_are_octal_or_base_256_or_of_a_pax_record() -> None:
    assert only(header(uid=5, gid=6, mtime=7)).uid == 5
    big = only(header(format_=tarfile.GNU_FORMAT, uid=2**31, gid=2**31 + 1, mtime=-5))
    assert (big.uid, big.gid, big.mtime_ns) == (2**31, 2**31 + 1, -5 * 10**9)
    told = only(pax(header(), uid="4000000000", gid="4000000001"))
    assert (told.uid, told.gid) == (4_000_000_000, 4_000_000_001)


@pytest.mark.parametrize("owner", ["-1", "x", "4294967295", "1" * 30])
def test_owners_that_cannot_be_are_refused(owner: str) -> None:
    with pytest.raises(VerificationFailed, match="an owner that cannot be"):
        only(pax(header(), uid=owner))


def test_long_names_are_read_in_each_form() -> None:
    name, target = "d/" * 80 + "name", "t/" * 90 + "target"
    gnu = header(name, tarfile.SYMTYPE, tarfile.GNU_FORMAT, linkname=target)
    assert (only(gnu).path, only(gnu).link) == (name, target)
    told = only(pax(header("short", tarfile.SYMTYPE, linkname="short"), path=name, linkpath=target))
    assert (told.path, told.link) == (name, target)
    assert only(header("p" * 100 + "/" + "n" * 90)).path == "p" * 100 + "/" + "n" * 90


def test_attributes_are_passed_over_but_for_capabilities() -> None:
    attributes = {"SCHILY.xattr.user.note": "a=b\nc", "SCHILY.xattr.security.capability": "\udc80\x00x"}
    told = only(pax(header(), **{key.replace(".", "__"): value for key, value in attributes.items()}))
    assert told.capability == "\udc80\x00x"


@pytest.mark.parametrize("ascii_name", ["/x", "..", "../x", ""])
def test_a_name_that_go_has_stripped_of_what_is_not_ascii_counts_in_layers_only(ascii_name: str) -> None:
    """Go spells `\u00e9/x` as `/x` in the header, behind a record that has the name."""
    data = pax(header(ascii_name), path="..\u00e9/x")
    assert only(data).path == "..\u00e9/x"
    if ".." in ascii_name:
        with pytest.raises(VerificationFailed, match="escapes"):
            only(data, layer=True)
    else:
        assert only(data, layer=True).path == "..\u00e9/x"


def test_absolute_paths_are_in_order_in_layers_only() -> None:
    assert only(header("/etc/x"), layer=True).path == "etc/x"
    with pytest.raises(VerificationFailed, match="escapes"):
        only(header("/etc/x"))


@pytest.mark.parametrize(
    "parts",
    [
        (pax(b"", path="a"), pax(header(), path="b")),
        (extension(tarfile.GNUTYPE_LONGNAME, b"a\0"), pax(header(), path="b")),
        (extension(tarfile.GNUTYPE_LONGNAME, b"a\0"),) * 3 + (header(),),
    ],
    ids=["pax twice", "GNU and pax", "GNU thrice"],
)
def test_an_entry_is_named_once(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(VerificationFailed, match="named more than once"):
        only(*parts)


@pytest.mark.parametrize(
    "data",
    [
        extension(tarfile.XGLTYPE, record("comment", "x")) + header(),
        header(kind=tarfile.GNUTYPE_SPARSE),
        pax(header(), GNU__sparse__major="1"),
        header(kind=tarfile.SYMTYPE, linkname="a", size=512) + bytes(512),
        header(kind=b"7"),
        header(kind=tarfile.SYMTYPE),
        pax(header(kind=tarfile.SYMTYPE), linkpath="a\0b"),
    ],
    ids=["global", "sparse", "sparse in pax", "a link with content", "contiguous", "no target", "a target with NUL"],
)
def test_what_no_engine_writes_is_refused(data: bytes) -> None:
    """moby's and Podman's archives come from Go's writer: none of these is ever in them."""
    with pytest.raises(VerificationFailed):
        only(data)
