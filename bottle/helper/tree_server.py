"""What a helper does for a commit: the calls of `tree_client`."""

import os
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import Any, cast

from bottle.helper.deltas import head_of, unpacked
from bottle.helper.frames import Kind, as_path, cut
from bottle.helper.server import Call, Handler
from bottle.helper.shortfall import shortfall, take
from bottle.trees import walk
from bottle.trees.index import write_folders
from bottle.trees.reader import Lost, Member, members


def _place(call: Call) -> Path:
    return Path(os.fsdecode(as_path(call.given["place"])))


def _inode(call: Call) -> int:
    return _place(call).stat().st_ino


def _filesystem(call: Call) -> str | None:
    return walk.filesystem(_place(call))


def _sync(call: Call) -> int:
    return walk.sync(_place(call))


def _folders(call: Call) -> None:
    write_folders(cast("Any", call), walk.folders(_place(call), whole=call.given["whole"]))
    call.flush()


def _members(call: Call) -> dict[str, Any]:
    lost = Lost()
    take(lost, call.given["lost"])
    for member in members(_place(call), unpacked(call.parts()), lost):
        for kind, piece in zip(chain((Kind.MEMBER,), repeat(Kind.DATA)), _pieces(member), strict=False):
            call.send(kind, piece)
    return shortfall(lost)


def _pieces(member: Member) -> Iterator[bytes]:
    """A member in frames: the first one always, of the others those with something in them."""
    head = head_of(member)
    for chunk in member.chunks:
        for piece in cut(chunk):
            if head or piece:
                yield head + piece
                head = b""


TREE_CALLS: Mapping[str, Handler] = {
    "inode": _inode,
    "filesystem": _filesystem,
    "sync": _sync,
    "folders": _folders,
    "members": _members,
}
