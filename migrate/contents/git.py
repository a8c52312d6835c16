"""Runs `git` so that nothing in the repository that it looks at decides what it does.

It works in repositories that were just made by this program only. Of those that somebody else wrote it reads objects,
and settings as text: their config, hooks, filters and attributes never come into force.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bottle.errors import BottleError
from bottle.text import printable

# 2.32 reads GIT_CONFIG_GLOBAL; before that, the user's own settings could not be kept out.
_OLDEST = (2, 32)
_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "init.defaultBranch": "main",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "pack.threads": "1",  # two packs of the same objects are the same bytes, and a move that was cut goes on with them
    "protocol.allow": "never",
}
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_PROTOCOL_FROM_USER": "0",
    "HOME": os.devnull,
    "XDG_CONFIG_HOME": os.devnull,
    "LC_ALL": "C",
}


class GitFailed(BottleError):
    """git ended with an error."""


@dataclass(frozen=True, slots=True)
class Git:
    """The `git` of this host. `why_not` says why it cannot be used, empty where it can."""

    program: str
    why_not: str = ""

    @classmethod
    def find(cls, path: str | None = None) -> Self:
        """Look for it on the PATH, or on `path`."""
        program = shutil.which("git", path=path)
        if program is None:
            return cls("", "git is not installed on this host")
        said = subprocess.run(
            [program, "version"], env=_environment({}), cwd="/", capture_output=True, check=False
        ).stdout.decode("utf-8", "replace")
        version = re.search(r"(\d+)\.(\d+)", said)
        if version is None or (int(version[1]), int(version[2])) < _OLDEST:
            return cls(program, f"git on this host is older than {'.'.join(map(str, _OLDEST))}")
        return cls(program)

    def run(
        self,
        *args: str,
        cwd: Path,
        stdin: bytes = b"",
        environ: Mapping[str, str] | None = None,
        keeps: tuple[int, ...] = (),
    ) -> bytes:
        """What `git ARGS` says, run in a folder of our own; it has the descriptors `keeps` too. Raises GitFailed."""
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        # No repository above is taken for that of a folder which has none.
        environ = {"GIT_CEILING_DIRECTORIES": str(cwd.parent), **(environ or {})}
        done = subprocess.run(
            [self.program, *settings, *args],
            cwd=cwd,
            env=_environment(environ),
            input=stdin,
            pass_fds=keeps,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            said = printable(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2], 300)
            raise GitFailed(f"git {args[0]}: {said or f'exit code {done.returncode}'}")
        return done.stdout

    def settings(self, content: bytes) -> bytes:
        """What a config says, for `parse_settings`. It is read as text: what it includes is not. Raises GitFailed."""
        nowhere = {"GIT_DIR": os.devnull}
        listing = ("config", "--file", "-", "--no-includes", "--list", "-z")
        return self.run(*listing, cwd=Path("/"), stdin=content, environ=nowhere)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT, **more}
