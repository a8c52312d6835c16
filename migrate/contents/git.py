"""Runs `git` so that nothing in the repository that it looks at decides what it does.

It works in repositories that were just made by this program only. Of those that somebody else wrote it reads objects,
and settings as text: their config, hooks, filters and attributes never come into force. Which of their settings
go along is decided here too.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
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

_ONE = {
    "core": frozenset(
        {"abbrev", "autocrlf", "bigfilethreshold", "commentchar", "eol", "filemode", "ignorecase", "logallrefupdates"}
        | {"notesref", "precomposeunicode", "quotepath", "safecrlf", "sparsecheckout", "sparsecheckoutcone", "symlinks"}
        | {"whitespace"}
    ),
    "user": frozenset({"name", "email"}),
    "remote": frozenset({"pushdefault"}),
    "merge": frozenset({"conflictstyle", "ff", "renames", "renamelimit", "log", "directoryrenames"}),
    "submodule": frozenset({"active", "recurse"}),
}
_WHOLE = frozenset({"push", "pull", "rebase", "index", "status", "rerere", "fetch"})
_NAMED = {
    "branch": frozenset({"remote", "merge", "rebase", "pushremote", "description"}),
    "remote": frozenset({"url", "pushurl", "fetch", "push", "tagopt", "prune", "skipdefaultupdate", "skipfetchall"}),
    "submodule": frozenset({"active", "url", "branch"}),
}
_LFS = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
    "filter.lfs.required": "true",
}
_MADE_ANEW = frozenset(
    {"core.repositoryformatversion", "core.bare", "core.worktree", "extensions.objectformat"}
    | {"extensions.worktreeconfig", "extensions.relativeworktrees"}
)
_EXTENSIONS = frozenset({"objectformat", "worktreeconfig", "relativeworktrees", "noop", "preciousobjects"})


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

    def settings(self, content: bytes) -> "tuple[Setting, ...]":
        """What a config says. It is read as text: what it includes is not. Raises GitFailed."""
        nowhere = {"GIT_DIR": os.devnull}
        listing = ("config", "--file", "-", "--no-includes", "--list", "-z")
        return parse_settings(self.run(*listing, cwd=Path("/"), stdin=content, environ=nowhere))


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A line of a git config; `key` as git spells it, section and name in lower case. None: it has no value."""

    key: str
    value: str | None

    @property
    def travels(self) -> bool:
        """Whether it is data, and nobody's secret. What names a program, a file or a login stays behind."""
        section, _, rest = self.key.partition(".")
        named, dot, name = rest.rpartition(".")
        if self.key in _LFS:
            return self.value == _LFS[self.key]
        if dot:
            return name in _NAMED.get(section, frozenset()) and bool(named)
        return name in _ONE.get(section, frozenset()) or section in _WHOLE

    @property
    def carried(self) -> "Setting":
        """The same with no login in it."""
        name = self.key.rpartition(".")[2]
        if self.value is None or name not in {"url", "pushurl"}:
            return self
        scheme, slashes, rest = self.value.partition("://")
        host, slash, path = rest.partition("/")
        if not slashes or scheme == "ssh" or "@" not in host:
            return self
        return Setting(key=self.key, value=f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")


def parse_settings(listed: bytes) -> tuple[Setting, ...]:
    """What `git config --list -z` says."""
    settings = []
    for line in os.fsdecode(listed).split("\0"):
        key, newline, value = line.partition("\n")
        settings += [Setting(key=key, value=value if newline else None)] if key else []
    return tuple(settings)


def staying_settings(settings: Iterable[Setting]) -> tuple[str, ...]:
    """The names of those that stay behind, and of those that go along without their login."""
    names = {each.key for each in settings if not each.travels and each.key not in _MADE_ANEW}
    names |= {f"the login in {each.key}" for each in settings if each.travels and each.carried != each}
    return tuple(sorted(names))


def repository_obstacles(settings: Iterable[Setting]) -> tuple[str, ...]:
    """What in a repository's config makes it one that cannot be taken apart here."""
    found: dict[str, None] = {}
    for each in settings:
        section, _, name = each.key.partition(".")
        if section == "extensions" and name == "refstorage" and each.value != "files":
            found[f"its references are kept as {each.value}"] = None
        elif each.key == "extensions.partialclone" or (section == "remote" and name.endswith(".promisor")):
            found["it is a partial clone, which does not have all of its objects"] = None
        elif section == "extensions" and name != "refstorage" and name not in _EXTENSIONS:
            found[f"it uses an extension that is not known here, {name}"] = None
    return tuple(found)


def is_sha256(settings: Iterable[Setting]) -> bool:
    """Whether a repository names its objects by SHA-256."""
    return any(each.key == "extensions.objectformat" and each.value == "sha256" for each in settings)
