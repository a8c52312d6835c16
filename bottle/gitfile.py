"""The file `.git` of a git worktree or a submodule: it names the folder where git keeps what belongs to it."""

import os
from pathlib import Path

from bottle.files.regular import open_regular

MOST = 64 * 1024  # bytes; git itself takes a path of no more than 4,096
_PREFIX = b"gitdir: "


def parse(content: bytes) -> str | None:
    """The path that such a file names, absolute or relative to the folder that it is in; None if it is no such file."""
    if not content.startswith(_PREFIX):
        return None
    return os.fsdecode(content.removeprefix(_PREFIX).rstrip(b"\r\n")) or None


def kept_elsewhere(folder: Path) -> Path | None:
    """Where git keeps the repository of `folder`, if `.git` is a file there and that is not below the folder itself."""
    try:
        with open_regular(folder / ".git") as file:
            named = parse(file.read(MOST))
    except OSError:
        return None
    if named is None or "\0" in named:
        return None
    kept = Path(os.path.realpath(folder / named))
    return None if kept.is_relative_to(os.path.realpath(folder)) else kept
