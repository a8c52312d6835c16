"""ssh_config, read as OpenSSH reads it: `Include` too, which paramiko does not know."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from paramiko import SSHConfig
from paramiko.config import SSHConfigDict

from bottle.errors import UsageError
from migrate.model import Target

_USER_FILE = Path("~/.ssh/config")
_SYSTEM_FILE = Path("/etc/ssh/ssh_config")
_KEYWORD = re.compile(r"\s*(include|host|match)(?:\s*=\s*|\s+)(.*\S)\s*$", re.IGNORECASE)
_DEPTH = 16


def lookup(target: Target, file: Path | None) -> SSHConfigDict:
    """All that ssh_config says of `target`; what the target itself says goes ahead of it.

    `file` stands in for the user's and the system's file. Raises UsageError when it cannot be read.
    """
    config = SSHConfig()
    config.parse(StringIO(_overlay(target)))
    for path in (file,) if file else (_USER_FILE, _SYSTEM_FILE):
        folder = _SYSTEM_FILE.parent if path == _SYSTEM_FILE else _USER_FILE.parent.expanduser()
        config.parse(StringIO("\n".join(_lines(path.expanduser(), folder, must_exist=file is not None))))
    return config.lookup(target.host)


def _overlay(target: Target) -> str:
    user = f"User {target.user}\n" if target.user else ""
    port = f"Port {target.port}\n" if target.port else ""
    return f"Host {target.host}\n{user}{port}" if user or port else ""


def _lines(path: Path, folder: Path, *, must_exist: bool, depth: int = 0) -> Iterator[str]:
    """The file's lines with every Include replaced by what it names.

    An Include inside a block brings its own blocks; the enclosing one goes on after it. Relative names are of `folder`.
    """
    try:
        text = path.read_text(errors="replace")
    except OSError as exc:
        if must_exist:
            raise UsageError(f"the ssh configuration {path} cannot be read: {exc.strerror}") from exc
        return
    block = "Host *"
    for line in text.splitlines():
        keyword = _KEYWORD.match(line)
        if keyword is None:
            yield line
        elif keyword[1].lower() != "include":
            block = line
            yield line
        elif depth < _DEPTH:
            for included in _included(keyword[2], folder):
                yield from _lines(included, folder, must_exist=False, depth=depth + 1)
                yield block


def _included(patterns: str, folder: Path) -> Iterator[Path]:
    for pattern in re.findall(r'"[^"]*"|\S+', patterns):
        full = folder / Path(pattern.strip('"')).expanduser()
        yield from sorted(Path(full.anchor).glob(str(full.relative_to(full.anchor))))
