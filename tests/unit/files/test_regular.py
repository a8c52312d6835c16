"""Regular files read whole: all of them, and nothing that is too large or no file."""

import errno
import os
from pathlib import Path

import pytest

from bottle.files import regular
from bottle.files.regular import read_regular


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_all_of_a_file_is_read(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(data := os.urandom(size))
    assert read_regular(tmp_path / "file") == data


def test_all_is_read_of_a_file_that_is_longer_than_it_said() -> None:
    """As one is that grows meanwhile."""
    path = Path("/proc/self/status")
    assert path.stat().st_size == 0
    assert read_regular(path).splitlines()[-1].startswith(b"nonvoluntary_ctxt_switches")


@pytest.mark.parametrize("path", ["file", "/proc/self/status"])
def test_what_is_too_large_is_refused(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(bytes(101))
    monkeypatch.setattr(regular, "LARGEST", 100)
    with pytest.raises(OSError, match="too large") as raised:
        read_regular(tmp_path / path)
    assert raised.value.errno == errno.EFBIG


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/proc/self/status")
    for name, words in (("pipe", "no regular file"), ("link", "it is a link")):
        with pytest.raises(OSError, match=words):
            read_regular(tmp_path / name)
    assert read_regular(tmp_path / "link", follow=True)
