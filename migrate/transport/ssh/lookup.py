"""Asks the `ssh` client what ssh_config says of a host; where there is none, paramiko's parser has to do.

`ssh -G HOST` prints what OpenSSH makes of the whole configuration (ssh(1)): a line each, the keyword in lower case, a
space, the value without quotes.
"""

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path

from paramiko import ConfigParseError, CouldNotCanonicalize, SSHConfig

from bottle.errors import UsageError
from bottle.text import printable
from migrate.model import Target
from migrate.transport.ssh.config import HostConfig, host_config
from migrate.transport.ssh.tokens import expand_home, home, local_user

_PATIENCE = 30.0
_SAID = 400
_SYSTEM_FILE = Path("/etc/ssh/ssh_config")
_KEYWORD = re.compile(r"\s*(include|host|match)(?:\s*=\s*|\s+)(.*\S)\s*$", re.IGNORECASE)
_WHOLE_LINE = re.compile(r"\s*(?:proxycommand|localcommand|remotecommand|knownhostscommand)\b", re.IGNORECASE)
_BEFORE_COMMENT = re.compile(r'(?:[^"#\s]|"[^"]*"|"[^"]*$|\s+(?!#)|(?<=\S)#)*')
_DEPTH = 16
_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_EXPANDED_BY_PARSER = ("hostname", "proxyjump", "match-exec")
_LISTS = {
    "userknownhostsfile": "~/.ssh/known_hosts ~/.ssh/known_hosts2",
    "globalknownhostsfile": "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",
}


def lookup(target: Target, file: Path | None, identity_files: tuple[Path, ...]) -> HostConfig:
    """All that ssh_config says of `target`; what the target itself says goes ahead of it.

    `file` stands in for the user's and the system's file. With `identity_files` named, the usual keys are not tried.
    Raises UsageError when the configuration cannot be read or is not valid.
    """
    program = shutil.which("ssh")
    found = ask(program, target, file, identity_files) if program is not None else None
    return found or _parsed(target, file, identity_files)


def ask(program: str, target: Target, file: Path | None, identity_files: tuple[Path, ...]) -> HostConfig | None:
    """What the client at `program` makes of the configuration for `target`; None where it is none of OpenSSH's.

    Raises UsageError with the client's own words where the configuration is not valid.
    """
    words = [program, "-G", "-T"]
    words += ["-F", str(file)] if file is not None else []
    words += ["-l", target.user] if target.user is not None else []
    words += ["-p", str(target.port)] if target.port is not None else []
    words += [word for path in identity_files for word in ("-i", str(path))]
    answer = _run([*words, "--", target.host])
    if answer.returncode != 0:
        if b"OpenSSH" not in _run([program, "-V"]).stderr:
            return None
        said = printable(answer.stderr, _SAID) or f"exit {answer.returncode}"
        raise UsageError(
            f"the ssh configuration for {target} cannot be used: {said}",
            left="nothing was changed",
            next_step=f"see what ssh itself makes of it: ssh -G {target.host}",
        )
    return host_config(keywords(answer.stdout.decode(errors="surrogateescape")), target, identity_files)


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as exc:
        raise UsageError(
            f"ssh does not say within {_PATIENCE:.0f} seconds what its configuration means",
            left="nothing was changed",
            next_step=f"see what takes so long (a `Match exec`?): {' '.join(words)}",
        ) from exc
    except OSError as exc:
        raise UsageError(f"{words[0]} cannot be run: {exc.strerror}", left="nothing was changed") from exc


def keywords(text: str) -> dict[str, list[str]]:
    """The output of `ssh -G`, as `host_config` takes it."""
    said: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        said[keyword.lower()].append(value)
    return said


def _parsed(target: Target, file: Path | None, identity_files: tuple[Path, ...]) -> HostConfig:
    try:
        return host_config(_read(target, file, default_keys=() if identity_files else _KEYS), target, identity_files)
    except (ConfigParseError, CouldNotCanonicalize, ValueError, KeyError, OSError) as exc:
        raise UsageError(
            f"the ssh configuration for {target} cannot be used: {printable(str(exc), 300)}",
            left="nothing was changed",
            next_step="install an ssh client, which knows all of its rules, or mend that line",
        ) from exc


def _read(target: Target, file: Path | None, *, default_keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
    parser = SSHConfig()
    # Only what it needs itself to find its way: the rest is expanded as what `ssh` says is.
    parser.TOKENS_BY_CONFIG_KEY = {key: parser.TOKENS_BY_CONFIG_KEY[key] for key in _EXPANDED_BY_PARSER}
    parser.parse(StringIO(_overlay(target)))
    for path in (file,) if file else (home() / ".ssh" / "config", _SYSTEM_FILE):
        folder = _SYSTEM_FILE.parent if path == _SYSTEM_FILE else home() / ".ssh"
        parser.parse(StringIO("\n".join(_lines(path, folder, must_exist=file is not None))))
    found = {"port": "22", "user": local_user(), "identityfile": default_keys} | _LISTS | parser.lookup(target.host)
    said = {keyword: [value] if isinstance(value, str) else value for keyword, value in found.items() if value}
    return said | {keyword: [said[keyword][0].replace('"', "")] for keyword in _LISTS}


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
    for line in map(_without_comment, text.splitlines()):
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


def _without_comment(line: str) -> str:
    """A `#` that begins a word outside of quotes ends the line, but not that of a command."""
    if _WHOLE_LINE.match(line):
        return line
    match = _BEFORE_COMMENT.match(line)
    return match[0].rstrip() if match else line


def _included(patterns: str, folder: Path) -> Iterator[Path]:
    for pattern in re.findall(r'"[^"]*"|\S+', patterns):
        full = folder / expand_home(pattern.strip('"'))
        yield from sorted(Path(full.anchor).glob(str(full.relative_to(full.anchor))))
