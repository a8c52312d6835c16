"""What changed in a folder since it was looked at: found, and made anew elsewhere, whatever was done."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from bottle.naming import Identity
from migrate.admission.arrived_state import unpack_folder
from migrate.admission.arrived_update import Instructions, bring_up_to_date, without
from migrate.bundle.members import one_tar
from migrate.contents import index
from migrate.contents.index import GRAIN, Delta, Index, IndexEntry, compare, reconcile
from migrate.contents.live_folder import FolderUpdate, keep_up
from migrate.contents.packing import live_folder
from migrate.host import commands
from migrate.host.arguments import Count, Digest, FolderKind, Nonce, StagedWorkspace
from migrate.host.destination import update_lines
from migrate.host.script import PlainScript
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.tar.compression import decompress
from migrate.transport.testing import LocalRemote

FILE, FOLDER, LINK, SOCKET = (kind | 0o755 for kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFSOCK))
LONG_AGO = 1_000_000_000_000


def entry(mode: int = FILE, inode: int = 1, size: int = 1, ctime: int = 0) -> IndexEntry:
    return IndexEntry(mode, 1, inode, size, 0, ctime)


def at(begun: int, **entries: IndexEntry) -> Index:
    """An index of `a`, `b`, …; `d_x` is `d/x`."""
    found = {name.replace("_", "/"): each for name, each in entries.items()}
    return Index(begun=begun, ended=begun + 1000, entries={".": entry(FOLDER, 99), **found})


NOW, LATER = LONG_AGO, LONG_AGO + 10 * GRAIN


@pytest.mark.parametrize(
    ("before", "after", "delta"),
    [
        pytest.param(at(NOW, a=entry()), at(LATER, a=entry()), Delta(), id="nothing"),
        pytest.param(
            at(NOW, a=entry()), at(LATER, a=entry(ctime=NOW + 1)), Delta(changed=(".", "a"), edited=("a",)), id="a file"
        ),
        pytest.param(
            at(NOW, a=entry()), at(LATER, a=entry(inode=2)), Delta(changed=(".", "a"), edited=("a",)), id="another file"
        ),
        pytest.param(at(NOW), at(LATER, a=entry()), Delta(changed=(".", "a"), edited=("a",)), id="a new file"),
        pytest.param(
            at(NOW, a=entry()), at(LATER), Delta(changed=(".",), removed=("a",), edited=("a",)), id="a file that went"
        ),
        pytest.param(
            at(NOW, d=entry(FOLDER, 5), d_a=entry()),
            at(LATER),
            Delta(changed=(".",), removed=("d",), edited=("d/a",)),
            id="a folder that went, with all in it",
        ),
        pytest.param(
            at(NOW, d=entry(FOLDER, 5), d_a=entry()),
            at(LATER, d=entry(inode=6)),
            Delta(changed=(".", "d"), removed=("d",), edited=("d", "d/a")),
            id="a folder that is a file now",
        ),
        pytest.param(
            at(NOW, a=entry(LINK)),
            at(LATER, a=entry(FOLDER, 2), a_b=entry(inode=3)),
            Delta(changed=(".", "a", "a/b"), removed=("a",), edited=("a/b",)),
            id="a link that is a folder now",
        ),
        pytest.param(
            at(NOW, d=entry(FOLDER, 5), d_a=entry()),
            at(LATER, d=entry(FOLDER, 6), d_a=entry(inode=7)),
            Delta(changed=(".", "d", "d/a"), edited=("d/a",)),
            id="a folder made anew",
        ),
        pytest.param(
            at(NOW, d=entry(FOLDER - 0o200, 5), d_a=entry()),
            at(LATER, d=entry(FOLDER - 0o200, 5), d_a=entry(ctime=NOW)),
            Delta(changed=("d", "d/a"), closed=("d",), edited=("d/a",)),
            id="a file in a folder that nobody may write in",
        ),
        pytest.param(
            at(NOW, a=entry(), b=entry()),
            at(LATER, a=entry(), b=entry(ctime=NOW)),
            Delta(changed=(".", "a", "b"), edited=("b",)),
            id="all names of one file, also one that was looked at before it changed",
        ),
        pytest.param(
            at(NOW, a=entry(ctime=NOW - 1)), at(LATER, a=entry(ctime=NOW - 1)), Delta(changed=(".", "a")), id="a doubt"
        ),
        pytest.param(
            at(NOW, a=entry(ctime=NOW - GRAIN - 1)), at(LATER, a=entry(ctime=NOW - GRAIN - 1)), Delta(), id="no doubt"
        ),
        pytest.param(
            at(NOW, a=entry(ctime=2 * LATER)), at(LATER, a=entry(ctime=2 * LATER)), Delta(), id="a time yet to come"
        ),
        pytest.param(at(LATER, a=entry()), at(NOW, a=entry()), Delta(changed=(".", "a")), id="a clock that went back"),
        pytest.param(at(NOW), at(LATER, a=entry(SOCKET)), Delta(), id="a socket"),
        pytest.param(
            at(NOW, a=entry()),
            at(LATER, a=entry(SOCKET)),
            Delta(changed=(".",), removed=("a",), edited=("a",)),
            id="a file that is a socket now",
        ),
        pytest.param(at(NOW, a=entry(SOCKET)), at(LATER), Delta(), id="a socket that went"),
    ],
)
def test_how_two_looks_differ(before: Index, after: Index, delta: Delta) -> None:
    assert compare(before, after) == delta


@pytest.mark.parametrize(
    ("packed", "after", "delta"),
    [
        pytest.param({"a": FILE}, at(LATER, a=entry()), Delta(), id="as it was"),
        pytest.param({}, at(LATER, a=entry(SOCKET)), Delta(), id="a socket, which does not travel"),
        pytest.param({}, at(LATER, a=entry()), Delta(changed=(".", "a"), closed=(".",), edited=("a",)), id="elsewhere"),
        pytest.param(
            {"d": FOLDER, "d/a": FILE},
            at(LATER, d=entry(FOLDER, 5)),
            Delta(changed=("d",), removed=("d/a",), closed=("d",), edited=("d/a",)),
            id="it came and went",
        ),
        pytest.param(
            {"d": LINK},
            at(LATER, d=entry(FOLDER, 5), d_a=entry()),
            Delta(changed=(".", "d", "d/a"), removed=("d",), closed=(".",), edited=("d", "d/a")),
            id="a link in the place of a folder",
        ),
        pytest.param(
            {"d": FOLDER, "d/a": FILE},
            at(LATER, d=entry(LINK, 5)),
            Delta(changed=(".", "d"), removed=("d",), closed=(".",), edited=("d", "d/a")),
            id="a folder in the place of a link",
        ),
        pytest.param(
            {"a": FILE},
            at(LATER, a=entry(), b=entry()),
            Delta(changed=(".", "a", "b"), closed=(".",), edited=("b",)),
            id="all names of one file",
        ),
    ],
)
def test_what_was_packed_is_compared_too(packed: dict[str, int], after: Index, delta: Delta) -> None:
    held = {".": FOLDER} | packed
    assert reconcile(Delta(), {path: stat.S_IFMT(mode) for path, mode in held.items()}, after) == delta
    also = reconcile(Delta(changed=("x",), removed=("d/z",), closed=("y",), edited=("z",)), {}, at(LATER))
    assert (also.changed, also.removed, also.closed, also.edited) == ((".", "x"), ("d/z",), ("y",), (".", "z"))


# --- on a disk --------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "sub", "new\nline", "back\\slash %b", "-dash", "ü", os.fsdecode(b"\xff"))
PATHS = st.builds("/".join, st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
DEEDS = st.lists(
    st.tuples(st.sampled_from(["write", "append", "replace", "folder", "link", "hard link", "remove", "move", "mode"]),
              PATHS, PATHS),
    max_size=12,
)  # fmt: skip


def do(folder: Path, deed: str, one: str, other: str) -> None:
    """Do something in a folder, as far as it can be done."""
    path, target, aside = folder / one, folder / other, folder.with_name("aside")
    if not path.parent.is_dir() or any(each.is_symlink() for each in path.parents if each.is_relative_to(folder)):
        path, target = folder / one.split("/", maxsplit=1)[0], folder / other.split("/", maxsplit=1)[0]
    deeds: dict[str, Callable[[], object]] = {
        "write": lambda: path.write_bytes(os.fsencode(f"{deed} {other}")),
        "append": lambda: path.write_bytes(path.read_bytes() + b"more"),
        "replace": lambda: (aside.write_bytes(os.fsencode(other)), aside.replace(path)),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(other),
        "hard link": lambda: path.hardlink_to(target),
        "remove": lambda: shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(),
        "move": lambda: path.rename(target),
        "mode": lambda: path.chmod(0o700 if path.is_dir() else 0o640, follow_symlinks=False),
    }
    try:
        if not (deed in {"write", "append", "mode"} and path.is_symlink()):
            deeds[deed]()
    except (OSError, NotImplementedError, shutil.Error):
        pass


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that a move keeps of a folder, times to the second."""
    found: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, list[str]] = {}
    paths = sorted([folder, *(Path(root, name) for root, dirs, files in os.walk(folder) for name in (*dirs, *files))])
    for path in paths:
        name, facts = str(path.relative_to(folder)), path.lstat()
        content: object = None
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
            inodes.setdefault(facts.st_ino, []).append(name)
        found[name] = (facts.st_mode, int(facts.st_mtime), content)
    return found | {f"{names}": (0,) for names in inodes.values() if len(names) > 1}


IDENTITY, NONCE = Identity.parse("demo-abc12"), Nonce("0123456789abcdef" * 2)


class Bench:
    """A folder that is worked in, and three copies that are kept up: by a far shell, by who pulls, in a bundle."""

    def __init__(self, top: Path, deeds: list[tuple[str, str, str]]) -> None:
        self.folder = top / "work"
        self.folder.mkdir()
        self.work(deeds)
        self.spool = DirectorySpool(top / "spool", Codec.GZIP)
        self.live = live_folder(self.folder, self.spool)
        self.remote = LocalRemote(top)
        self.staging = top / ".bottle" / "incoming" / str(IDENTITY)
        self.pulled, self.fresh, self.bundled = top / "pulled", top / "fresh", top / "bundled"
        whole = unpack_folder(plain_tar(self.live.tarball.blob), self.pulled, owners=True, links=True, room=1 << 30)
        self.known = whole.files
        self.stage(self.live.tarball.blob)
        blob = Digest(digest(self.live.tarball.blob))
        self.run(
            commands.Extract(identity=IDENTITY, blob=blob, codec=Codec.GZIP, kind=FolderKind.WORKSPACE, nonce=NONCE)
        )

    def work(self, deeds: list[tuple[str, str, str]]) -> None:
        for deed in deeds:
            do(self.folder, *deed)

    def stage(self, blob: Blob) -> None:
        (self.staging / "blobs" / digest(blob)).mkdir(parents=True, exist_ok=True)
        shutil.copy(blob.path, self.staging / "blobs" / digest(blob) / "00000000-x")

    def run(self, script: PlainScript, stdin: bytes = b"") -> None:
        reply = self.remote.run(script.command(), (stdin,))
        assert reply.status == 0, reply.err

    def keep_up(self) -> None:
        keep_up(self.live, self.take, left="", next_step="")

    def take(self, update: FolderUpdate) -> None:
        blob, folder = update.tarball.blob, StagedWorkspace(FolderKind.WORKSPACE.folder(NONCE))
        self.stage(blob)
        lines = update_lines(update.delta)
        told = commands.Update(identity=IDENTITY, blob=Digest(digest(blob)), codec=Codec.GZIP, folder=folder)
        assert told.stdin.line is not None
        assert all(told.stdin.line.fullmatch(line.decode()) for line in lines.splitlines(keepends=True))
        self.run(told, lines)
        files, links, folders = map(Count, update.counts)
        verify = commands.Verify(identity=IDENTITY, folder=folder, files=files, links=links, folders=folders)
        self.run(verify, update.tarball.sums)
        came = unpack_folder(plain_tar(blob), self.fresh, owners=True, links=True, room=1 << 30)
        instructions = Instructions.parse(lines.splitlines(keepends=True))
        bring_up_to_date(self.pulled, self.fresh, instructions, named=came.folders, owners=True)
        self.known = without(self.known, instructions.removed) | came.files
        shutil.rmtree(self.fresh)

    def bundle(self) -> None:
        whole = one_tar(self.live, self.spool, {})
        unpack_folder(plain_tar(whole), self.bundled, owners=True, links=True, room=1 << 30)


def digest(blob: Blob) -> str:
    return blob.digest.removeprefix("sha256:")


def plain_tar(blob: Blob) -> Iterator[bytes]:
    return decompress(iter((blob.path.read_bytes(),)), blob.codec)


def keeps_up(before: list[tuple[str, str, str]], *rounds: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        bench = Bench(Path(top), before)
        for deeds in rounds:
            bench.work(deeds)
            bench.keep_up()
        bench.bundle()
        here = seen(bench.folder)
        assert seen(bench.staging / f"workspace-{NONCE}") == here
        assert seen(bench.pulled) == here
        assert seen(bench.bundled) == here
        assert bench.known == {name for name, (mode, *_) in here.items() if mode and stat.S_ISREG(mode)}


@settings(max_examples=12)
@given(before=DEEDS, first=DEEDS, second=DEEDS)
def test_whatever_is_done_in_a_folder_arrives_everywhere(
    before: list[tuple[str, str, str]], first: list[tuple[str, str, str]], second: list[tuple[str, str, str]]
) -> None:
    keeps_up(before, first, second)


def test_what_lies_above_a_change_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "GRAIN", -(10**18))  # nothing is sent because of a doubt only
    before = [("folder", "sub", ""), ("folder", "sub/a", ""), ("mode", "sub", ""), ("write", "sub/a/b", "")]
    keeps_up(before, [("append", "sub/a/b", "")])
    keeps_up([*before, ("folder", "a", "")], [("write", "sub/a/b", "more"), ("folder", "a/b", "")])


def test_what_was_written_within_the_same_second_shows_where_inodes_keep_whole_seconds() -> None:
    """A file of an ext2 or ext3: packed at 100.5, written once more at 100.9, and of the same times and size."""
    second = 10**9
    entry = IndexEntry(mode=stat.S_IFREG | 0o644, device=1, inode=7, size=3, mtime=100 * second, ctime=100 * second)
    before = Index(begun=100 * second + second // 2, ended=100 * second + second // 2, entries={"f": entry})
    after = Index(begun=103 * second, ended=103 * second, entries={"f": entry})
    assert compare(before, after).changed == ("f",)
    assert compare(after, replace(after, begun=104 * second, ended=104 * second)).changed == ()
