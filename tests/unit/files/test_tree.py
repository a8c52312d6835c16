"""Trees of any depth: walked, written, synced and removed, through no link and without a long path."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle.files import tree
from bottle.files.tree import Node, walk
from tests.support.trees import make_deep
from tests.support.users import as_user, lock_up, users_folder

DEEP = 3_000


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder with `DEEP` folders in each other, whose path is longer than PATH_MAX, and a file in the last one."""
    top = tmp_path / "deep"
    top.mkdir()
    make_deep(top, DEEP)
    yield top
    tree.discard(top)


def open_below(top: Path) -> list[str]:
    """The folders and files below `top` that this process holds open; other tests' may be closed at any moment."""
    gc.collect()  # what was given up in the middle is closed by then
    links = (str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return [link for link in links if link.startswith(str(top))]


def paths(top: Path) -> list[str]:
    return [node.path for node in walk(top)]


def test_a_walk_tells_of_everything_parents_first_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "b/c/file").write_bytes(b"12345")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "c-").write_bytes(b"")
    nodes = list(walk(tmp_path))
    assert [node.path for node in nodes] == ["a", "b", "b/c", "b/c/file", "c-"]
    assert [(node.is_folder, node.is_file, node.is_symlink) for node in nodes[:2]] == [
        (False, False, True),
        (True, False, False),
    ]
    assert nodes[3].facts.st_size == 5


def test_a_node_can_be_read_while_the_walk_stands_on_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("nowhere")
    found: dict[str, object] = {}
    for node in walk(tmp_path):
        if node.is_symlink:
            found[node.path] = node.target()
        else:
            with node.open() as file:
                found[node.path] = file.read()
    assert found == {"file": b"content", "link": "nowhere"}


def test_no_link_is_followed_and_a_folder_that_is_not_wanted_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"")
    (tmp_path / "skipped").mkdir()
    (tmp_path / "skipped/file").write_bytes(b"")
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    seen = [node.path for node in walk(tmp_path, entered=lambda node: node.path != "skipped")]
    assert seen == ["link", "real", "real/file", "skipped"]


def test_the_top_may_be_a_link_or_a_descriptor(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"")
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    assert paths(tmp_path / "link") == ["file"]
    descriptor = os.open(tmp_path / "real", os.O_RDONLY)
    assert [node.path for node in walk(descriptor)] == ["file"]
    os.fstat(descriptor)  # still open
    os.close(descriptor)


def test_thousands_of_nested_folders_are_walked_with_few_descriptors(deep: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        nodes = [(node.path.count("/"), node.name) for node in walk(deep)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(nodes) == DEEP + 1
    assert nodes[-1] == (DEEP, "leaf")


def test_no_descriptor_is_left_open(deep: Path) -> None:
    list(walk(deep))
    unfinished = walk(deep)
    assert next(unfinished).is_folder
    assert open_below(deep)
    del unfinished  # given up in the middle
    tree.sync(deep)
    tree.remove(deep)
    assert open_below(deep) == []


def test_what_cannot_be_looked_at_is_told_of_or_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"")
    real = os.open

    def refuse(path: object, *args: object, **kwargs: object) -> int:
        if path == "b":
            raise PermissionError(13, "Permission denied", "b")
        return real(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    lost: list[tuple[str, int | None]] = []
    seen = [node.path for node in walk(tmp_path, lost=lambda path, error: lost.append((path, error.errno)))]
    assert seen == ["a", "a/file", "b", "c", "c/file"]
    assert lost == [("b", 13)]
    with pytest.raises(PermissionError):
        list(walk(tmp_path))


def test_a_folder_that_is_moved_away_meanwhile_is_an_error_and_never_another_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"")
    inside.mkdir()
    make_deep(inside, 50, "d")
    seen: list[str] = []

    def look(node: Node) -> bool:
        seen.append(node.name)
        if node.path == "/".join("d" * 45):
            (inside / "/".join("d" * 5)).rename(outside / "taken")
        return True

    with pytest.raises(OSError, match="moved away"):
        list(walk(inside, entered=look))
    assert "secret" not in seen


def test_a_walk_of_what_is_not_there(tmp_path: Path) -> None:
    assert list(walk(tmp_path / "none", lost=tree.ignore_it)) == []
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "none"))


def test_removing_takes_everything_of_any_kind_and_follows_nothing(tmp_path: Path) -> None:
    kept, doomed = tmp_path / "kept", tmp_path / "doomed"
    kept.mkdir()
    (kept / "file").write_bytes(b"")
    doomed.mkdir()
    make_deep(doomed, DEEP)
    (doomed / "link").symlink_to(kept, target_is_directory=True)
    os.mkfifo(doomed / "ab/fifo")
    tree.remove(doomed)
    assert not doomed.exists()
    assert (kept / "file").exists()
    (tmp_path / "link").symlink_to(kept, target_is_directory=True)
    tree.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_folders_that_their_owner_may_not_write_or_enter_are_removed_all_the_same() -> None:
    with users_folder() as folder, as_user():
        kept, doomed = folder / "kept", folder / "doomed"
        kept.mkdir()
        (kept / "file").write_bytes(b"")
        kept.chmod(0o555)
        doomed.mkdir()
        lock_up(doomed / "locked")
        (doomed / "link").symlink_to(kept, target_is_directory=True)
        doomed.chmod(0o000)
        tree.remove(doomed)
        assert [path.name for path in folder.iterdir()] == ["kept"]
        assert kept.stat().st_mode & 0o777 == 0o555
        assert (kept / "file").exists()


def test_removing_what_is_not_there(tmp_path: Path) -> None:
    tree.discard(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        tree.remove(tmp_path / "none")


def test_what_cannot_be_removed_is_told_of_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "top"
    for name in ("a", "b"):
        (top / name).mkdir(parents=True)
        (top / name / "file").write_bytes(b"")
    real = os.unlink

    def refuse(path: object, *, dir_fd: int | None = None) -> None:
        if Path(f"/proc/self/fd/{dir_fd}").readlink().name == "a":
            raise PermissionError(1, "Operation not permitted", "file")
        real(path, dir_fd=dir_fd)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", refuse)
    lost: list[str] = []
    tree.remove(top, lost=lambda path, _: lost.append(path))
    assert lost == ["file", "a", ""]
    assert paths(top) == ["a", "a/file"]
    with pytest.raises(PermissionError):
        tree.remove(top)


def test_a_sync_reaches_every_file_and_folder(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (deep / "link").symlink_to("nowhere")
    os.mkfifo(deep / "fifo")
    synced: set[tuple[int, int]] = set()
    monkeypatch.setattr(os, "fsync", lambda fd: synced.add((os.fstat(fd).st_dev, os.fstat(fd).st_ino)))
    tree.sync(deep)
    facts = deep.stat()
    wanted = {node.identity for node in walk(deep) if node.is_file or node.is_folder}
    assert synced == {*wanted, (facts.st_dev, facts.st_ino)}


def test_a_size_counts_a_file_with_two_names_once(tmp_path: Path) -> None:
    make_deep(tmp_path, 5, leaf=b"12345")
    (tmp_path / "one").write_bytes(b"123")
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert tree.size_of(tmp_path) == 8
    assert tree.size_of(tmp_path / "none") == 0


def test_attributes_are_read_of_anything(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    try:
        os.setxattr(path, "user.note", b"x")
    except OSError:
        os.setxattr(path, "trusted.note", b"x")
    found = {node.path: node.attributes() for node in walk(tmp_path)}
    assert [name.partition(".")[2] for name in found["file"]] == ["note"]
    assert found["link"] == ()


def test_a_node_knows_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"")
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    one, two = walk(tmp_path)
    assert isinstance(one, Node)
    assert one.identity == two.identity
