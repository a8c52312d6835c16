"""The helper's end: answers calls on its standard input until that ends, or nothing was asked for a while."""

import json
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from bottle.errors import BottleError
from bottle.helper.failures import told
from bottle.helper.frames import PIECE, Kind, cut, document, frame, read_frame
from bottle.trees.walk import shows_marks

PROTOCOL = 1
IDLE = 60.0  # seconds without a call, after which it ends by itself


class Ended(Exception):
    """Whoever asked is gone."""


class _Sink:
    """Where frames go. Raises Ended, so that no error of reading is taken for one of the line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as exc:
            raise Ended from exc

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as exc:
            raise Ended from exc


class Call:
    """One call: what it is `given`, and ways to answer it."""

    def __init__(self, given: Mapping[str, Any], source: BinaryIO, sink: _Sink) -> None:
        self.given = given
        self._source = source
        self._sink = sink
        self._sent = 0
        self._held = bytearray()

    def send(self, kind: Kind, data: bytes) -> None:
        """Send one frame. Raises Ended where nobody is there any more."""
        self._sink.write(frame(kind, data))
        self._sent += len(data)
        if self._sent >= PIECE:
            self._sent = 0
            if select.select([self._source], [], [], 0)[0]:
                raise Ended

    def write(self, data: bytes) -> None:
        """Send data, small pieces together. Raises Ended."""
        self._held += data
        if len(self._held) >= PIECE:
            self.flush()

    def flush(self) -> None:
        """Send what was held back."""
        for piece in cut(bytes(self._held)):
            self.send(Kind.DATA, piece)
        self._held.clear()

    def parts(self) -> Iterator[bytes]:
        """What the call is given piece by piece, asked for when it is needed. Raises Ended."""
        while True:
            self._sink.write(frame(Kind.WANT))
            self._sink.flush()
            match read_frame(self._source):
                case (Kind.PART, b""):
                    return
                case (Kind.PART, data):
                    yield data
                case _:
                    raise Ended


Handler = Callable[[Call], Any]


def serve(handlers: Mapping[str, Handler], source: BinaryIO, file: BinaryIO) -> None:
    """Answer the calls in `source` until it ends. An error that is neither the system's nor ours ends it too."""
    sink = _Sink(file)
    try:
        sink.write(document(Kind.HELLO, {"protocol": PROTOCOL, "shows_marks": shows_marks()}))
        sink.flush()
        while select.select([source], [], [], IDLE)[0]:
            match read_frame(source):
                case (Kind.CALL, data):
                    asked = json.loads(data)
                    sink.write(_answered(handlers[asked["call"]], Call(asked["given"], source, sink)))
                    sink.flush()
                case _:
                    return
    except Ended:
        return


def _answered(handler: Handler, call: Call) -> bytes:
    try:
        return document(Kind.ANSWER, handler(call))
    except (OSError, BottleError) as error:
        return document(Kind.ERROR, told(error))


def run(handlers: Mapping[str, Handler]) -> None:
    """Serve this process's standard streams; nothing else gets into them."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=PIECE)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    serve(handlers, source, sink)
    sys.exit(0)
