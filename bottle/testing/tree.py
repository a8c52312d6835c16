"""A tiny filesystem in memory, and its way into tars and image layers and back."""

import errno
import io
import os
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WHITEOUT = ".wh."
_NAME_MAX = 255  # bytes, as of most filesystems
_LINKS_MAX = 255  # as moby's evalSymlinksInScope has it


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeNode:
    """A file, folder or symlink; `type` is tarfile's. A hard link is kept as a file of its own with the same bytes."""

    type: bytes = tarfile.REGTYPE
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    target: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether other nodes can be below it."""
        return self.type == tarfile.DIRTYPE


FOLDER = FakeNode(type=tarfile.DIRTYPE, mode=0o755)
Tree = dict[str, FakeNode]


def absolute(path: str) -> str:
    """`path` from the root, without dots, repeated or trailing slashes; `..` at the root stays there."""
    return "/" + posixpath.normpath("/" + path).strip("/")


def is_of_another_kind(tree: Tree, path: str, node: FakeNode) -> bool:
    """Whether a node at `path` would take the place of a folder, or a folder that of something else."""
    above = any(each in tree and tree[each].type == tarfile.REGTYPE for each in parents(path))
    return above or (path in tree and tree[path].is_folder != node.is_folder)


def put(tree: Tree, path: str, node: FakeNode) -> None:
    """Place a node, making the folders above it; what it replaces goes with all that is below."""
    path = absolute(path)
    if path == "/":
        return
    for parent in reversed(list(parents(path))):
        if parent not in tree or not tree[parent].is_folder:
            tree[parent] = FOLDER
    if not node.is_folder:
        delete(tree, path)
    tree[path] = node


def delete(tree: Tree, path: str) -> None:
    """Take a node away, with all that is below."""
    for each in below(tree, absolute(path)):
        del tree[each]


def below(tree: Mapping[str, FakeNode], path: str) -> list[str]:
    """`path` and what is under it, sorted; the root itself has no node."""
    return sorted(each for each in tree if path in ("/", each) or each.startswith(path + "/"))


def parents(path: str) -> Iterator[str]:
    """The folders above `path`, nearest first, without the root."""
    while (path := posixpath.dirname(path)) != "/":
        yield path


def exists(tree: Mapping[str, FakeNode], path: str) -> bool:
    """Whether there is something at `path`; there is always a root."""
    return absolute(path) == "/" or absolute(path) in tree


def follow(tree: Mapping[str, FakeNode], path: str, *, last: bool) -> str:
    """Where `path` leads when links are followed, in its `last` component too or only before it.

    What is not there leads to itself. Raises OSError for links that do not end, a name that is too long, and for a path
    below what is no folder, as a kernel does.
    """
    done, links = "/", 0
    waiting = absolute(path).strip("/").split("/")
    while waiting:
        part = waiting.pop(0)
        if len(os.fsencode(part)) > _NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        here = posixpath.normpath(posixpath.join(done, part))
        node = tree.get(here)
        if node is not None and node.type == tarfile.SYMTYPE and (waiting or last):
            links += 1
            if links > _LINKS_MAX:
                raise OSError(errno.ELOOP, "too many links")
            done = "/" if node.target.startswith("/") else done
            waiting = [*filter(None, node.target.split("/")), *waiting]
        elif waiting and node is not None and not node.is_folder:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        else:
            done = here
    return done


def pack(members: Mapping[str, FakeNode]) -> bytes:
    """A tar of nodes by member name, in the order given; the same nodes make the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, node in members.items():
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = node.type, node.mode, node.mtime
            member.uid, member.gid, member.linkname = node.uid, node.gid, node.target
            member.size = len(node.data)
            tar.addfile(member, io.BytesIO(node.data))
    return buffer.getvalue()


def unpack(tar: bytes) -> dict[str, FakeNode]:
    """The nodes in a tar by absolute path, in its order. Raises tarfile.TarError."""
    nodes: dict[str, FakeNode] = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            path = absolute(member.name)
            if member.islnk():
                original = nodes.get(absolute(member.linkname))
                if original is None:
                    raise tarfile.TarError(f"hard link to {member.linkname}, which is not in the archive")
                nodes[path] = original
                continue
            content = archive.extractfile(member) if member.isfile() else None
            nodes[path] = FakeNode(
                type=tarfile.REGTYPE if member.isfile() else member.type,
                data=content.read() if content else b"",
                mode=member.mode,
                uid=member.uid,
                gid=member.gid,
                mtime=int(member.mtime),
                target=member.linkname,
            )
    return nodes


def archive_of(tree: Mapping[str, FakeNode], path: str) -> bytes:
    """A tar of `path` whose first member is called by its last component, as the engine's archive call names them."""
    top = absolute(path)
    base = "." if path.endswith("/.") or top == "/" else posixpath.basename(top)
    members = {} if top in tree else {base: FOLDER}
    members |= {base + each.removeprefix(top if top != "/" else ""): tree[each] for each in below(tree, top)}
    return pack(members)


def layer_between(base: Mapping[str, FakeNode], now: Mapping[str, FakeNode]) -> bytes:
    """The layer that makes `now` of `base`, deletions as whiteouts (OCI image-spec, layer.md)."""
    members = {each.lstrip("/"): now[each] for each in sorted(now) if base.get(each) != now[each]}
    for each in sorted(set(base) - set(now)):
        folder, name = posixpath.split(each)
        if folder == "/" or folder in now:
            members[posixpath.join(folder, WHITEOUT + name).lstrip("/")] = FakeNode(mode=0)
    return pack(members)


def apply_layer(tree: Tree, layer: bytes) -> None:
    """Lay a layer over a tree."""
    for path, node in unpack(layer).items():
        folder, name = posixpath.split(path)
        if name.startswith(WHITEOUT):
            delete(tree, posixpath.join(folder, name.removeprefix(WHITEOUT)))
        else:
            put(tree, path, node)
