"""Whatever the tar of a request folder is, reading it ends, and what is told of it is whole requests."""

from __future__ import annotations

import tarfile

from hypothesis import given, strategies as st

from bottle.requests.folder import read_folder
from bottle.requests.request import Asked
from bottle.testing.tree import FOLDER, FakeNode, pack

MEMBERS = {"requests": FOLDER} | {
    f"requests/{number}.{kind}": FakeNode(data=b"" if kind == "ready" else b"x" * 2000)
    for number in (1, 2)
    for kind in ("Dockerfile", "ready", "reason")
}
TAR = pack(MEMBERS)
WHOLE = tuple(Asked(number=number, reason="x" * 2000, dockerfile="x" * 2000) for number in (1, 2))


def test_it_reads_what_an_engine_sends() -> None:
    for size in (1, 511, 512, 65536):
        folder = read_folder(TAR[start : start + size] for start in range(0, len(TAR), size))
        assert (folder.asked, folder.notes) == (WHOLE, ())


@given(st.integers(0, len(TAR)))
def test_wherever_it_is_torn_only_whole_requests_count(end: int) -> None:
    assert set(read_folder([TAR[:end]]).asked) <= set(WHOLE)


@given(st.binary(max_size=2000), st.integers(0, len(TAR) - 1))
def test_nothing_that_was_changed_in_it_is_an_error(noise: bytes, start: int) -> None:
    read_folder([TAR[:start] + noise + TAR[start + len(noise) :]])
    read_folder([noise])


def test_types_that_are_no_files_are_never_content() -> None:
    for type_ in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        node = FakeNode(type=type_, target="requests/1.reason")
        (asked, _) = read_folder([pack({**MEMBERS, "requests/1.Dockerfile": node})]).asked
        assert (asked.dockerfile, "no regular file" in asked.flaw) == ("", True)
