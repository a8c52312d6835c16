"""`install-plugin`: the program by which the docker client runs bottle as `docker bottle …`.

The docker client looks for `docker-NAME` in the folder `cli-plugins` of its configuration. Source:
https://github.com/docker/cli/blob/master/cli-plugins/manager/manager.go.
"""

import os
import shlex
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bottle.errors import NameTaken
from bottle.files.atomic import remove_file, write_atomic, writing
from bottle.files.regular import read_regular

_FILE = Path("cli-plugins", "docker-bottle")
_MODE = 0o755
_HEAD = "#!/bin/sh\n# Written by `bottle install-plugin`; with --remove it takes this away again.\n"


class PluginChange(Enum):
    """What became of the plugin's file."""

    INSTALLED = "installed"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """The plugin's file, and what became of it."""

    path: Path
    outcome: PluginChange


def install_plugin(config: Path, python: str) -> Plugin:
    """Put the plugin into the docker client's folder `config`; it runs the bottle of the interpreter `python`.

    One of another bottle is replaced. Raises NameTaken where something else is there, StateDamaged where it cannot be
    written.
    """
    path, script = config / _FILE, _script(python)
    there = _standing(path)
    if there == script:
        return Plugin(path=path, outcome=PluginChange.UNCHANGED)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, script, _MODE)
    return Plugin(path=path, outcome=PluginChange.INSTALLED if there is None else PluginChange.REPLACED)


def remove_plugin(config: Path) -> Plugin:
    """Take the plugin away, whichever bottle it runs. Raises NameTaken and StateDamaged as `install_plugin` does."""
    path = config / _FILE
    if _standing(path) is None:
        return Plugin(path=path, outcome=PluginChange.ABSENT)
    remove_file(path)
    return Plugin(path=path, outcome=PluginChange.REMOVED)


def _script(python: str) -> bytes:
    """-P: a folder in which somebody types `docker bottle` has no say in what is imported."""
    return f'{_HEAD}exec {shlex.quote(python)} -P -m bottle.cli.dockerplugin "$@"\n'.encode("utf-8", "surrogateescape")


def _standing(path: Path) -> bytes | None:
    """The plugin that is there, None where nothing is. Raises NameTaken where it is not of bottle's making."""
    if not os.path.lexists(path):
        return None
    try:
        content = read_regular(path)
    except OSError:
        content = b""
    if not content.startswith(_HEAD.encode()):
        raise NameTaken(
            f"{path} is there, and bottle did not write it",
            left="it stays as it is",
            next_step=f"ls -l {path}; move it away, then the same command again",
        )
    return content
