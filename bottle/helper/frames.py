"""The frames in which this process and its helper talk: `u8 kind · u32 length, little endian · data`.

The helper begins with HELLO. A CALL is answered with any number of DATA and MEMBER, and then one ANSWER or ERROR. With
WANT the helper asks for more of what a call is given: a PART, which is empty at the end. Nothing else is ever sent by
who calls, so that what comes meanwhile can only be the end.
"""

import json
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, BinaryIO

PIECE = 1 << 20  # bytes of data in a frame, at most, but for documents
_HEAD = struct.Struct("<BI")
_LONGEST = 1 << 30


class Kind(IntEnum):
    """What a frame is; none of them is a character that a program would begin its last words with."""

    HELLO = 1
    CALL = 2
    DATA = 3
    MEMBER = 4
    WANT = 5
    PART = 6
    ANSWER = 7
    ERROR = 8


def frame(kind: Kind, data: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(kind, len(data)) + data


def document(kind: Kind, value: Any) -> bytes:
    """One frame with a value in JSON."""
    return frame(kind, json.dumps(value).encode())


def read_frame(file: BinaryIO) -> tuple[Kind, bytes] | None:
    """The next frame, None at the end. Raises ValueError for what is none, or is cut off."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    kind, length = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
    if kind not in set(Kind) or length > _LONGEST:
        raise ValueError(head)
    data = file.read(length)
    if len(data) < length:
        raise ValueError("a frame is cut off")
    return Kind(kind), data


def cut(data: bytes) -> Iterator[bytes]:
    """Data in pieces that a frame may have."""
    if len(data) <= PIECE:
        yield data
        return
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def as_text(path: bytes) -> str:
    """A path as it stands in JSON, whatever the encoding of names is on either side."""
    return path.decode("latin-1")


def as_path(text: str) -> bytes:
    """The path in such a text."""
    return text.encode("latin-1")
