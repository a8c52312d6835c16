"""Layers merged into one: the same tree as before on any base, and every head as it was."""

from __future__ import annotations

import io
import itertools
import tarfile
import tracemalloc
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings, strategies as st

from bottle.errors import VerificationFailed
from migrate.image.merge import OPAQUE, WHITEOUT, ground_of, merge, names_in
from migrate.tar.headers import plain_head, renamed

CAPABILITY = "SCHILY.xattr.security.capability"
NET_BIND = b"\x01\x00\x00\x02\x00\x04\x00\x00" + 12 * b"\x00"
NAMES = ("a", "b", "c")
PATHS = tuple("/".join(names) for depth in (1, 2, 3) for names in itertools.product(NAMES, repeat=depth))


# --- a filesystem, and the layers that its changes make -------------------------------------------------------------


@dataclass(eq=False)
class Inode:
    """What a name leads to; two names may lead to the same one."""

    type: bytes
    data: bytes = b""
    mode: int = 0o644
    mtime: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)

    @property
    def facts(self) -> tuple[object, ...]:
        return (self.type, self.data, self.mode, self.mtime, self.target, self.device)


Tree = dict[str, Inode]


def above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def below(tree: Iterable[str], path: str) -> list[str]:
    return [each for each in tree if each.startswith(f"{path}/")]


def erase(tree: Tree, path: str) -> None:
    for each in (path, *below(list(tree), path)):
        tree.pop(each, None)


def shown(tree: Tree) -> dict[str, tuple[object, ...]]:
    """What can be seen of a tree: of each path its facts, and the first path that leads to the same inode."""
    first: dict[int, str] = {}
    for path in sorted(tree):
        if tree[path].type != tarfile.DIRTYPE:
            first.setdefault(id(tree[path]), path)
    return {path: (inode.facts, first.get(id(inode))) for path, inode in tree.items()}


@dataclass
class Disk:
    """A filesystem that is worked on; `commit` is what an engine's does. New inodes stand for what was copied up."""

    tree: Tree = field(default_factory=dict)
    clock: int = 0
    committed: Tree = field(default_factory=dict)

    def touch_folders(self, path: str) -> None:
        for folder in reversed(list(above(path))):
            if folder in self.tree and self.tree[folder].type != tarfile.DIRTYPE:
                erase(self.tree, folder)
            if folder not in self.tree:
                self.tree[folder] = self.inode(tarfile.DIRTYPE, mode=0o755)

    def inode(self, kind: bytes, **facts: object) -> Inode:
        self.clock += 1
        return Inode(kind, mtime=self.clock, **facts)  # type: ignore[arg-type]

    def write(self, path: str, inode: Inode) -> None:
        self.touch_folders(path)
        erase(self.tree, path)
        self.tree[path] = inode

    def folder(self, path: str, mode: int) -> None:
        self.touch_folders(path)
        inode = self.inode(tarfile.DIRTYPE, mode=mode)
        if path in self.tree and self.tree[path].type != tarfile.DIRTYPE:
            erase(self.tree, path)
        self.tree[path] = inode  # one that is there keeps what is in it

    def recreate(self, path: str) -> None:
        self.write(path, self.inode(tarfile.DIRTYPE, mode=0o711))

    def link(self, path: str, to: str) -> None:
        """The kernel copies a file up before it links it; other names that it has below stay what they were."""
        if to not in self.tree or self.tree[to].type == tarfile.DIRTYPE or path == to or to in above(path):
            return
        inode = self.tree[to]
        if self.committed.get(to) is inode:
            inode = Inode(**{name: getattr(inode, name) for name in inode.__dataclass_fields__})
            self.tree[to] = inode
        self.touch_folders(path)
        erase(self.tree, path)
        if to in self.tree:
            self.tree[path] = inode

    def commit(self, *, opaque: bool) -> bytes:
        """The layer of what changed since. `opaque` says how folders are marked that were made anew."""
        before, now = self.committed, self.tree
        changed = {path for path in now if before.get(path) is not now[path]}
        gone = [path for path in before if path not in now and not any(each not in now for each in above(path))]
        gone = [path for path in gone if all(now[each].type == tarfile.DIRTYPE for each in above(path))]
        fresh: list[str] = []
        if opaque:
            fresh = [
                path
                for path in sorted(changed)
                if now[path].type == tarfile.DIRTYPE and below(before, path) and not (set(below(now, path)) - changed)
            ]
            gone = [path for path in gone if not any(each in fresh for each in above(path))]
        named = changed | {folder for path in (*changed, *gone) for folder in above(path)}
        members: list[tuple[str, Inode | None]] = [(path, now[path]) for path in named]
        members += [(f"{path}/{OPAQUE}", None) for path in fresh]
        members += [("/".join([*path.split("/")[:-1], WHITEOUT + path.split("/")[-1]]), None) for path in gone]
        self.committed = dict(now)
        return pack(sorted(members, key=lambda member: member[0].split("/")))


def pack(members: Iterable[tuple[str, Inode | None]]) -> bytes:
    """A layer; the second name of an inode is a hard link to its first."""
    buffer = io.BytesIO()
    first: dict[int, str] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, inode in members:
            info = tarfile.TarInfo(path)
            if inode is None:
                tar.addfile(info)
                continue
            info.type, info.mode, info.mtime = inode.type, inode.mode, inode.mtime
            info.linkname, (info.devmajor, info.devminor) = inode.target, inode.device
            if inode.type != tarfile.DIRTYPE and id(inode) in first:
                info.type, info.linkname = tarfile.LNKTYPE, first[id(inode)]
                tar.addfile(info)
                continue
            first[id(inode)] = path
            info.size = len(inode.data)
            tar.addfile(info, io.BytesIO(inode.data))
    return buffer.getvalue()


def apply(tree: Tree, layer: bytes) -> None:
    """Lay a layer over a tree, as the OCI image-spec has it: whiteouts concern only what was there before."""
    placed: Tree = {}
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = list(tar)
        for member in members:
            folder, _, name = member.name.rpartition("/")
            if name == OPAQUE:
                for each in below(list(tree), folder):
                    del tree[each]
            elif name.startswith(WHITEOUT):
                erase(tree, f"{folder}/{name[len(WHITEOUT) :]}".lstrip("/"))
        for member in members:
            path, name = member.name, member.name.rpartition("/")[2]
            if name.startswith(WHITEOUT):
                continue
            assert path not in placed, f"{path} twice"
            for folder in above(path):
                assert folder in placed or folder in tree, f"{path} before its folder"
            if member.islnk():
                inode = placed[member.linkname]
            else:
                content = tar.extractfile(member) if member.isfile() else None
                inode = Inode(
                    type=member.type,
                    data=content.read() if content else b"",
                    mode=member.mode,
                    mtime=int(member.mtime),
                    target=member.linkname,
                    device=(member.devmajor, member.devminor),
                )
            if not (path in tree and tree[path].type == inode.type == tarfile.DIRTYPE):
                erase(tree, path)
            tree[path] = placed[path] = inode


def merged(*layers: bytes, ground: Set[str] = frozenset({"", "etc", "d", "a"})) -> bytes:
    """The one layer, above folders that are called `ground`."""
    return b"".join(merge([lambda layer=layer: iter([layer]) for layer in layers], ground))  # type: ignore[misc]


def ground_under(*layers: bytes) -> Set[str]:
    return ground_of(names_in(iter([layer])) for layer in layers)


def names(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return tar.getnames()


CHOSEN = st.sampled_from(PATHS)
STEPS = st.one_of(
    st.tuples(st.just("write"), CHOSEN, st.binary(max_size=3)),
    st.tuples(st.just("folder"), CHOSEN, st.sampled_from((0o700, 0o755, 0o1777))),
    st.tuples(st.just("recreate"), CHOSEN),
    st.tuples(st.just("erase"), CHOSEN),
    st.tuples(st.just("link"), CHOSEN, CHOSEN),
    st.tuples(st.just("symlink"), CHOSEN, CHOSEN),
    st.tuples(st.just("device"), CHOSEN),
    st.tuples(st.just("fifo"), CHOSEN),
)
STACKS = st.lists(st.tuples(st.lists(STEPS, max_size=12), st.booleans()), min_size=2, max_size=6)


def worked(stack: list[tuple[list[tuple[object, ...]], bool]]) -> tuple[Disk, list[bytes]]:
    disk, layers = Disk(), []
    for steps, opaque in stack:
        for step in steps:
            match step:
                case ("write", str(path), bytes(data)):
                    disk.write(path, disk.inode(tarfile.REGTYPE, data=data))
                case ("folder", str(path), int(mode)):
                    disk.folder(path, mode)
                case ("recreate", str(path)):
                    disk.recreate(path)
                case ("erase", str(path)):
                    erase(disk.tree, path)
                case ("link", str(path), str(to)):
                    disk.link(path, to)
                case ("symlink", str(path), str(to)):
                    disk.write(path, disk.inode(tarfile.SYMTYPE, target=f"/{to}"))
                case ("device", str(path)):
                    disk.write(path, disk.inode(tarfile.CHRTYPE, device=(1, 3)))
                case ("fifo", str(path)):
                    disk.write(path, disk.inode(tarfile.FIFOTYPE))
        layers.append(disk.commit(opaque=opaque))
    return disk, layers


@settings(max_examples=400, deadline=None)
@given(stack=STACKS, data=st.data())
def test_any_layers_merged_give_the_tree_that_they_gave_on_any_base(
    stack: list[tuple[list[tuple[object, ...]], bool]], data: st.DataObject
) -> None:
    disk, layers = worked(stack)
    tree: Tree = {}
    for layer in layers:
        apply(tree, layer)
    assert shown(tree) == shown(disk.tree), "the layers themselves"
    base = data.draw(st.integers(0, len(layers) - 2))
    ground = ground_under(*layers[:base])
    one = merged(*layers[base:], ground=ground)
    lowest: Tree = {}
    for layer in layers[:base]:
        apply(lowest, layer)
    assert ground == {"", *(path for path, inode in lowest.items() if inode.type == tarfile.DIRTYPE)}
    folded: Tree = {}
    for layer in (*layers[:base], one):
        apply(folded, layer)
    assert shown(folded) == shown(disk.tree)
    # Stores that keep a layer in a folder of its own have one name for a thing and for its deletion.
    found = set(names(one))
    for name in found:
        folder, _, last = name.rpartition("/")
        if last.startswith(WHITEOUT) and last != OPAQUE:
            assert f"{folder}/{last[len(WHITEOUT) :]}".lstrip("/") not in found
            assert folder in ground, "it would be seen as a file"
    # What was merged can be merged again, and a part first is the same as all at once.
    half = data.draw(st.integers(base + 1, len(layers)))
    again: Tree = {}
    parts = [merged(*layers[base:half], ground=ground), *layers[half:]]
    for layer in (*layers[:base], merged(*parts, ground=ground)):
        apply(again, layer)
    assert shown(again) == shown(disk.tree)


# --- one by one -----------------------------------------------------------------------------------------------------


def file(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    info.size = len(data)
    return info, data


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, type=tarfile.LNKTYPE, linkname=target)


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, type=tarfile.DIRTYPE, mode=mode)


def layer_of(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def read(layer: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer), encoding="utf-8", errors="surrogateescape") as tar:
        return {member.name: member for member in tar}


def test_a_deletion_is_kept_for_what_the_base_may_have_and_so_is_that_of_what_came_after() -> None:
    one = merged(layer_of(file("f"), file("etc/.wh.g")), layer_of(file(".wh.f")))
    assert names(one) == ["etc/.wh.g", ".wh.f"]


def test_a_deletion_in_a_folder_that_the_base_does_not_have_is_none() -> None:
    assert names(merged(layer_of(folder("new"), file("new/f")), layer_of(folder("new"), file("new/.wh.f")))) == ["new"]


def test_what_is_made_anew_is_no_longer_deleted_but_a_folder_hides_what_was_in_it() -> None:
    one = merged(layer_of(file(".wh.f"), file(".wh.d")), layer_of(file("f"), folder("d"), file("d/new")))
    assert names(one) == ["d", f"d/{OPAQUE}", "f", "d/new"]


def test_a_folder_over_a_file_hides_the_folder_that_the_base_has_there() -> None:
    one = merged(layer_of(file("d", b"x")), layer_of(folder("d"), file("d/new")))
    assert names(one) == ["d", f"d/{OPAQUE}", "d/new"]


def test_a_file_over_a_folder_hides_all_of_it() -> None:
    one = merged(layer_of(folder("d"), file("d/old"), folder("d/e"), file(f"d/e/{OPAQUE}")), layer_of(file("d", b"x")))
    assert names(one) == ["d"]


def test_an_opaque_folder_hides_only_what_is_below_its_layer() -> None:
    one = merged(
        layer_of(folder("d", 0o700), file("d/old"), file("d/.wh.base")),
        layer_of(folder("d", 0o711), file(f"d/{OPAQUE}"), file("d/kept")),
        layer_of(folder("d", 0o755), file("d/new")),
    )
    assert names(one) == ["d", f"d/{OPAQUE}", "d/new", "d/kept"]
    assert read(one)["d"].mode == 0o755


def test_a_folder_that_only_an_upper_layer_implies_has_the_lower_ones_head_and_stands_before_what_is_in_it() -> None:
    one = merged(layer_of(folder("d", 0o700)), layer_of(file("d/new")))
    assert names(one) == ["d", "d/new"]
    assert read(one)["d"].mode == 0o700


def test_a_folder_that_was_deleted_and_implied_again_is_named_so_that_it_hides() -> None:
    one = merged(layer_of(folder("d", 0o700)), layer_of(file(".wh.d")), layer_of(file("d/new")))
    assert names(one) == ["d", f"d/{OPAQUE}", "d/new"]
    assert read(one)["d"].mode == 0o755


def test_nothing_is_deleted_in_what_is_deleted_or_hidden_anyway() -> None:
    assert names(merged(layer_of(file(".wh.d")), layer_of(file("d/.wh.a")))) == [".wh.d"]
    one = merged(layer_of(folder("d"), file(f"d/{OPAQUE}")), layer_of(folder("d"), file("d/.wh.a")))
    assert names(one) == ["d", f"d/{OPAQUE}"]


def test_the_root_folder_may_be_named() -> None:
    one = merged(layer_of(folder("./"), file("./a")), layer_of(folder("./", 0o700), file("/b")))
    found = read(one)
    assert sorted(found) == [".", "./a", "/b"]
    assert found["."].mode == 0o700


@pytest.mark.parametrize("masked", ["first", "second", "both", "all"])
def test_hard_links_keep_their_content_while_a_name_is_left(masked: str) -> None:
    gone = {"first": ("a",), "second": ("b",), "both": ("a", "b"), "all": ("a", "b", "c", "d")}[masked]
    low = layer_of(
        file("z"), file("a", b"content", mode=0o4750, mtime=99), link("b", "a"), link("c", "a"), link("d", "b")
    )
    one = merged(low, layer_of(*(file(name, b"other") for name in gone)))
    tree: Tree = {}
    apply(tree, one)
    left = [name for name in "abcd" if name not in gone]
    assert all(tree[name].data == b"other" for name in gone)
    assert len({id(tree[name]) for name in left}) == min(len(left), 1)
    assert all(tree[name].facts[1:4] == (b"content", 0o4750, 99) for name in left)


def test_a_hard_linked_symlink_moves_too() -> None:
    low = layer_of(file("a", type=tarfile.SYMTYPE, linkname="/target"), link("b", "a"))
    found = read(merged(low, layer_of(file(".wh.a"))))
    assert (found["b"].type, found["b"].linkname) == (tarfile.SYMTYPE, "/target")


LONG = "folder/" * 30 + "x" * 200
ODD = (
    LONG,
    "p" * 99,
    "p" * 100,
    "p" * 101,
    "sp ace",
    "caf\udce9",
    "ünï",
    "new\nline",
    ".w.h",
    "q" * 140 + "/" + "r" * 90,
)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("name", ODD)
def test_every_name_survives_and_so_does_one_that_inherits_content(name: str, form: int) -> None:
    low = layer_of(file("a", b"one"), link(name, "a"), link(f"{name}.2", "a"), file(f"{name}.3", b"three"), form=form)
    found = read(merged(low, layer_of(file(".wh.a"))))
    assert set(found) == {".wh.a", name, f"{name}.2", f"{name}.3"}
    assert (found[name].type, found[name].size) == (tarfile.REGTYPE, 3)
    assert (found[f"{name}.2"].type, found[f"{name}.2"].linkname) == (tarfile.LNKTYPE, name)


def test_file_capabilities_and_fractions_of_seconds_are_not_touched() -> None:
    records = {
        CAPABILITY: NET_BIND.decode("utf-8", "surrogateescape"),
        "mtime": "12.5",
        "SCHILY.xattr.user.x": "\udcff",
    }
    low = layer_of(file("a", b"program", pax_headers=records), link("b", "a"), file("c", b"2", pax_headers=records))
    for top, left in ((file("unrelated"), ("a", "c")), (file(".wh.a"), ("b", "c"))):
        found = read(merged(low, layer_of(top)))
        for name in left:
            told = found[name].pax_headers
            assert told[CAPABILITY].encode("utf-8", "surrogateescape") == NET_BIND
            assert told["SCHILY.xattr.user.x"] == "\udcff"
            assert found[name].mtime == 12.5


def test_a_member_that_is_not_changed_is_copied_byte_for_byte() -> None:
    low = layer_of(file("odd", b"1" * 700, uid=2**31, gid=7, uname="who", mtime=-5, pax_headers={"comment": "kept"}))
    one = merged(low, layer_of(file("other")))
    assert low.rstrip(b"\0") in one


def test_heads_can_be_renamed_in_every_form() -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo("d" * 90 + "/" + "f" * 90)
        info.mode, info.mtime, info.uid = 0o4711, 123456, 1234
        head = info.tobuf(form)
        for name in ("short", LONG, "caf\udce9"):
            (found,) = read(renamed(head, path=name) + bytes(1024)).values()
            assert (found.name, found.mode, found.mtime, found.uid) == (name, 0o4711, 123456, 1234)
    (found,) = read(plain_head(LONG + "/", tarfile.DIRTYPE, 0o755) + bytes(1024)).values()
    assert (found.name, found.isdir(), found.uid, found.mtime) == (LONG, True, 0, 0)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_more_than_8_gib_of_one_file_pass_in_little_memory(form: int) -> None:
    size, piece = (8 << 30) + 5, bytes(8 << 20)
    info = tarfile.TarInfo("huge")
    info.size = size

    def low() -> Iterator[bytes]:
        yield info.tobuf(form)
        yield from itertools.repeat(piece, size // len(piece))
        yield bytes(size % len(piece)) + bytes(-size % 512) + bytes(1024)

    def top() -> Iterator[bytes]:
        yield layer_of(file("small", b"x"))

    tracemalloc.start()
    total = sum(map(len, merge([low, top], frozenset())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > size
    assert peak < 24 << 20


def test_the_same_layers_give_the_same_bytes_however_they_are_cut() -> None:
    layers = [
        layer_of(folder("d"), file("d/a", b"x" * 3000), link("d/b", "d/a")),
        layer_of(file(".wh.gone"), file("d/a", b"new")),
    ]

    def crumbs(layer: bytes) -> Iterator[bytes]:
        return (layer[at : at + 7] for at in range(0, len(layer), 7))

    cut = b"".join(merge([lambda layer=layer: crumbs(layer) for layer in layers], {""}))  # type: ignore[misc]
    assert cut == merged(*layers)


def test_the_bookkeeping_of_aufs_is_left_out() -> None:
    assert names(merged(layer_of(folder(".wh..wh.plnk"), file(".wh..wh.aufs"), file("a")), layer_of(file("b")))) == [
        "b",
        "a",
    ]


@pytest.mark.parametrize(
    "layer",
    [
        layer_of(link("b", "a")),
        layer_of(link("b", "a"), file("a")),
        layer_of(file("../a")),
        layer_of(file("a"), file("a")),
        layer_of(file("a"), folder("a")),
        layer_of(file("a"), file("a/b")),
        layer_of(file(".wh.")),
        layer_of(file("d/.wh...")),
        layer_of(file("a", pax_headers={"GNU.sparse.major": "1"})),
        layer_of(file("a", b"text"))[:700],
        b"no tar at all",
    ],
)
def test_what_no_engine_writes_is_refused(layer: bytes) -> None:
    with pytest.raises(VerificationFailed):
        merged(layer, layer_of(file("other")))
