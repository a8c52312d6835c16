"""The lines of a file that differ are those that `diff -u` and `patch` know."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bottle.diff.text import LARGEST, unified, why_no_text

TEXTS = st.lists(st.sampled_from([b"a", b"b\r", b"", b"\xff", b"--- x", "\u2028".encode()]), max_size=8).map(b"\n".join)


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch")
@given(TEXTS, TEXTS)
def test_patch_makes_the_one_of_the_other(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes
) -> None:
    lines = unified(before, after, names=("file", "file"))
    assert bool(lines) == (before != after)
    folder: Path = tmp_path_factory.mktemp("patched")
    (folder / "file").write_bytes(before)
    patch = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    if lines:
        subprocess.run(["patch", "--binary", "-E", "file"], cwd=folder, input=patch, check=True, capture_output=True)
    path = folder / "file"
    assert (path.read_bytes() if path.exists() else b"") == after


@pytest.mark.parametrize(
    ("content", "size", "why"),
    [
        (b"text\xff\n", 6, ""),
        (b"", 0, ""),
        (b"a\0b", 3, "binary"),
        (None, LARGEST + 1, "too large"),
        (b"\n" * 20_001, 20_001, "too many lines"),
    ],
)
def test_what_is_no_text_is_said_to_be_none(content: bytes | None, size: int, why: str) -> None:
    said = why_no_text(content, size)
    assert why in said
    assert bool(why) == bool(said)
