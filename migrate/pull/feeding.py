"""What a far host feeds a script here, bounded and looked at."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from bottle.tar.chunks import CHUNK, at_most
from bottle.tar.items import LONGEST_PATH
from migrate.host.script import Input
from migrate.pull.receiver import Breach

_IN_MEMORY = 1 << 20
_LONGEST_LINE = 5 * LONGEST_PATH + 100  # of a path each byte of which is spelt with five, and a digest in front of it


@contextmanager
def spooled(stdin: Iterator[bytes], expected: Input) -> Iterator[IO[bytes]]:
    """All of a standard input, each line of which is what is expected. Raises Breach."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        for chunk in bounded(stdin, expected.most):
            spool.write(chunk)
        spool.seek(0)
        for line in iter(lambda: spool.readline(_LONGEST_LINE), b""):
            text = os.fsdecode(line)
            if expected.line is None or not expected.line.fullmatch(text) or "/../" in text or text.endswith("/..\n"):
                raise Breach("the far host feeds a script what no honest one does")
        spool.seek(0)
        yield spool


def bounded(stdin: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The chunks, as long as they are no more than `most` bytes. Raises Breach."""
    return at_most(stdin, most, Breach("the far host feeds a script more than it takes"))


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """All of a file."""
    while chunk := file.read(CHUNK):
        yield chunk


def lines(file: IO[bytes]) -> list[str]:
    """The lines of a file, without their ends."""
    return [line.decode().strip() for line in file]
