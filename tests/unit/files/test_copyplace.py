"""Where things land: what docker's documentation says of `docker cp`, line by line."""

from __future__ import annotations

import pytest

from bottle.errors import UsageError
from bottle.files.copyplace import Landing, Source, landing, means_contents
from bottle.tar.items import ItemType

A_FILE = Source(name="notes", is_folder=False, contents=False)
A_FOLDER = Source(name="notes", is_folder=True, contents=False)
ITS_CONTENTS = Source(name="notes", is_folder=True, contents=True)
FILE, FOLDER = ItemType.FILE, ItemType.FOLDER


@pytest.mark.parametrize(
    ("source", "place", "there", "lands"),
    [
        (A_FILE, "/a/new", None, "/a/new"),
        (A_FILE, "/a/old", FILE, "/a/old"),
        (A_FILE, "/a/dir", FOLDER, "/a/dir/notes"),
        (A_FOLDER, "/a/new", None, "/a/new"),
        (A_FOLDER, "/a/new/", None, "/a/new"),
        (A_FOLDER, "/a/dir", FOLDER, "/a/dir/notes"),
        (ITS_CONTENTS, "/a/new", None, "/a/new"),
        (ITS_CONTENTS, "/a/dir", FOLDER, "/a/dir"),
        (A_FILE, "/", FOLDER, "/notes"),
        (A_FILE, "new", None, "new"),
        (A_FILE, ".", FOLDER, "notes"),
        (ITS_CONTENTS, ".", FOLDER, "."),
    ],
)
def test_it_lands_where_docker_puts_it(source: Source, place: str, there: ItemType | None, lands: str) -> None:
    assert landing(source, place, there).path == lands


@pytest.mark.parametrize(
    ("source", "place", "there"),
    [(A_FOLDER, "/a/old", FILE), (ITS_CONTENTS, "/a/old", FILE), (A_FILE, "/a/new/", None), (A_FILE, "/a/old/", FILE)],
)
def test_what_docker_refuses_is_refused(source: Source, place: str, there: ItemType | None) -> None:
    with pytest.raises(UsageError):
        landing(source, place, there)


def test_the_folder_that_is_written_to_has_a_name() -> None:
    assert landing(A_FILE, "new", None) == Landing(folder=".", name="new")
    assert landing(A_FILE, "/new", None) == Landing(folder="/", name="new")


@pytest.mark.parametrize(
    ("path", "contents"), [("a/.", True), (".", True), ("/", True), ("a", False), ("a/", False), (".a", False)]
)
def test_contents_are_meant_by_a_dot(path: str, contents: bool) -> None:
    assert means_contents(path) is contents
