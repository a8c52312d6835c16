"""A file that is consumed: all of it comes, and what has come takes no room."""

from __future__ import annotations

import os
from pathlib import Path

from bottle.files.consuming import consumed


def test_what_was_read_takes_no_room_any_more(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    file = tmp_path / "file"
    file.write_bytes(content)
    room, came = [], b""
    for chunk in consumed(file):
        room.append(512 * file.stat().st_blocks >> 20)
        came += chunk
    assert came == content
    assert room == [3, 2, 1]
    assert (file.stat().st_blocks, file.stat().st_size) == (0, len(content))


def test_nor_where_it_has_no_name(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR)
    try:
        content = bytes(1 << 20)
        os.write(descriptor, content + b"end")
        assert list(consumed(Path(f"/proc/self/fd/{descriptor}"))) == [content, b"end"]
        assert os.fstat(descriptor).st_blocks < 100
    finally:
        os.close(descriptor)
