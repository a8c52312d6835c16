"""The frames in which two bottles talk through one pair of streams: no input or output here.

A frame is a kind (1 byte), the number of the request it belongs to (4 bytes, 0 for none), the payload's length (4
bytes, all big-endian) and the payload: a JSON object, or plain bytes in `DATA` and `OUT`. The owner of a bottle sends
requests; whoever pulls it answers them. `PING` is a sign of life, which either side gives when it has nothing to say.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from bottle.errors import RemoteError

MAGIC = b"bottle-wire 1\n"
DATA_LIMIT = 64 << 10
JSON_LIMIT = 1 << 20
_HEADER = struct.Struct(">BII")


class FrameKind(IntEnum):
    """What a frame is. First those of the owner, then those of whoever pulls, then the one of both."""

    HELLO = 1
    OPEN = 2
    DATA = 3
    END = 4
    CANCEL = 5
    PHASE = 6
    PHASE_END = 7
    ADVANCE = 8
    NOTE = 9
    RESULT = 10
    GO = 32
    REPLY = 33
    OUT = 34
    FAILED = 35
    PING = 64

    @property
    def is_plain(self) -> bool:
        """Whether the payload is bytes and not JSON."""
        return self in {FrameKind.DATA, FrameKind.OUT}


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One frame. `payload` is as long as its kind allows."""

    kind: FrameKind
    request: int = 0
    payload: bytes = b""

    @classmethod
    def of(cls, kind: FrameKind, document: Mapping[str, Any], request: int = 0) -> "WireFrame":
        """A frame with a JSON object. Raises RemoteError when it is too long for one."""
        payload = json.dumps(document, separators=(",", ":")).encode("ascii")
        if len(payload) > JSON_LIMIT:
            raise RemoteError(f"{len(payload)} bytes are too much for one message")
        return cls(kind, request, payload)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object. Raises RemoteError when it is none."""
        try:
            document = json.loads(self.payload)
        except (ValueError, RecursionError) as exc:
            raise RemoteError(f"a message of kind {self.kind.name} cannot be read") from exc
        if not isinstance(document, dict):
            raise RemoteError(f"a message of kind {self.kind.name} is not what it should be")
        return document

    def encode(self) -> bytes:
        """Its bytes."""
        return _HEADER.pack(self.kind, self.request, len(self.payload)) + self.payload


def pieces(kind: FrameKind, request: int, data: bytes) -> Iterator[WireFrame]:
    """`data` in frames of plain bytes; none for no bytes."""
    view = memoryview(data).cast("B")
    for start in range(0, len(view), DATA_LIMIT):
        yield WireFrame(kind, request, bytes(view[start : start + DATA_LIMIT]))


@dataclass(slots=True)
class Decoder:
    """Reads frames from bytes that come in whatever pieces they come in. Holds one frame's bytes at most."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[WireFrame]:
        """The frames that are whole now. Raises RemoteError for what is no frame."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            number, request, length = _HEADER.unpack_from(self._buffer)
            kind = _kind(number)
            if length > (DATA_LIMIT if kind.is_plain else JSON_LIMIT):
                raise RemoteError(f"a message of {length} bytes is longer than allowed")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield WireFrame(kind, request, payload)


def _kind(number: int) -> FrameKind:
    try:
        return FrameKind(number)
    except ValueError:
        raise RemoteError(f"what comes is no message of bottle: it begins with {number}") from None
