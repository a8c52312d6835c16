"""The names that somebody gave hosts: in ssh_config(5), and as Docker contexts that lead to one over SSH.

Of ssh_config only names are read, from whatever block: what a name means is what `ssh` says of it.
"""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bottle.docker_engine.endpoint import config_folder, stored_address, stored_contexts
from bottle.errors import ContextUnusable
from bottle.files.regular import read_regular
from bottle.home import user_home
from bottle.model import DEFAULT_CONTEXT

_SYSTEM = Path("/etc/ssh/ssh_config")
_DEEPEST = 16  # files that include each other, as ssh_config(5) has it
_LINE = re.compile(r"\s*(host|include)(?:\s*=\s*|\s+)(.*)", re.IGNORECASE)
_PATTERN = frozenset("*?!")
_OF_ADDRESSES = frozenset("@:.")


def host_names() -> tuple[str, ...]:
    """All of them, sorted."""
    return tuple(sorted({*named_hosts(user_home()), *_contexts_over_ssh()}))


def context_address(name: str) -> str | None:
    """Where the Docker context `name` leads; None where that is no name of one here. Raises ContextUnusable.

    What has a dot, a colon or an @ is a host's address, whatever contexts are called; the default context is no host.
    """
    if name == DEFAULT_CONTEXT or _OF_ADDRESSES & set(name):
        return None
    return stored_address(os.environ, name)


def _contexts_over_ssh() -> Iterator[str]:
    for name in stored_contexts(config_folder(os.environ)):
        with suppress(ContextUnusable):
            if (context_address(name) or "").startswith("ssh://"):
                yield name


def named_hosts(home: Path, system: Path | None = None) -> tuple[str, ...]:
    """The names in the user's and the system's file, sorted; files that cannot be read have none."""
    system = system or _SYSTEM
    found = {*_names(home / ".ssh" / "config", home / ".ssh"), *_names(system, system.parent)}
    return tuple(sorted(found))


def _names(file: Path, folder: Path, depth: int = 0) -> Iterator[str]:
    """The names in `file`. What it includes is relative to `folder`, which is the same for all of them."""
    try:
        text = read_regular(file, follow=True).decode("utf-8", "replace")
    except OSError:
        return
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        for word in _words(match[2]):
            if match[1].lower() == "host":
                yield from () if _PATTERN & set(word) else (word,)
            elif depth < _DEEPEST:
                for included in _included(word, folder):
                    yield from _names(included, folder, depth + 1)


def _included(word: str, folder: Path) -> list[Path]:
    try:
        pattern = folder / Path(word).expanduser()
        return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    except (RuntimeError, ValueError):
        return []  # `~nobody/`, or no pattern


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return []  # a quotation mark without its other half: ssh refuses the file
