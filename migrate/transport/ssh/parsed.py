"""ssh_config where no `ssh` client can be asked: paramiko's parser, and `Include`, which that does not know."""

import os
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from paramiko import ConfigParseError, CouldNotCanonicalize, SSHConfig
from paramiko.config import SSHConfigDict

from bottle.errors import UsageError
from bottle.text import printable
from migrate.model import Target
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.openssh import agent_socket, jumps
from migrate.transport.ssh.tokens import expand_home, home, local_user

_SYSTEM_FILE = Path("/etc/ssh/ssh_config")
_KEYWORD = re.compile(r"\s*(include|host|match)(?:\s*=\s*|\s+)(.*\S)\s*$", re.IGNORECASE)
_WHOLE_LINE = re.compile(r"\s*(?:proxycommand|localcommand|remotecommand|knownhostscommand)\b", re.IGNORECASE)
_BEFORE_COMMENT = re.compile(r'(?:[^"#\s]|"[^"]*"|"[^"]*$|\s+(?!#)|(?<=\S)#)*')
_DEPTH = 16
_DEFAULTS = ("id_ed25519", "id_ecdsa", "id_rsa")
_USER_KNOWN = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_GLOBAL_KNOWN = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"


def lookup(target: Target, file: Path | None, identity_files: tuple[Path, ...]) -> HostConfig:
    """As `config.lookup`. Raises UsageError."""
    try:
        return _host_config(_read(target, file), target, identity_files)
    except (ConfigParseError, CouldNotCanonicalize, ValueError, KeyError, OSError) as exc:
        raise UsageError(
            f"the ssh configuration for {target} cannot be used: {printable(str(exc), 300)}",
            left="nothing was changed",
            next_step="install an ssh client, which knows all of its rules, or mend that line",
        ) from exc


def _host_config(said: SSHConfigDict, target: Target, identity_files: tuple[Path, ...]) -> HostConfig:
    named = [os.path.expandvars(each) for each in said.get("identityfile", [])]
    if not named and not identity_files:
        named = [str(home() / ".ssh" / name) for name in _DEFAULTS]
    command, timeout = said.get("proxycommand", "none"), said.get("connecttimeout", "none")
    jump = said.get("proxyjump", "none")
    revoked = said.get("revokedhostkeys", "none")
    return HostConfig(
        hostname=said["hostname"],
        port=int(said.get("port", 22)),
        user=said.get("user") or local_user(),
        identity_files=tuple(expand_home(each) for each in named if each.lower() != "none"),
        certificate_files=tuple(expand_home(each) for each in (said.get("certificatefile"),) if each),
        identities_only=said.get("identitiesonly", "no").lower() == "yes",
        identity_agent=agent_socket(said.get("identityagent"), {}),
        methods=frozenset(
            name
            for name, keyword in (("publickey", "pubkeyauthentication"), ("password", "passwordauthentication"))
            if said.get(keyword, "yes").lower() != "no"
        ),
        proxy_command=command if command.lower() != "none" else None,
        proxy_jump=jumps(jump) if jump and jump.lower() != "none" else (),
        host_key_alias=said.get("hostkeyalias"),
        user_known_hosts=_files(said.get("userknownhostsfile", _USER_KNOWN)),
        global_known_hosts=_files(said.get("globalknownhostsfile", _GLOBAL_KNOWN)),
        revoked_host_keys=expand_home(revoked) if revoked.lower() != "none" else None,
        hash_known_hosts=said.get("hashknownhosts", "no").lower() == "yes",
        address_family=said.get("addressfamily", "any").lower(),
        bind_address=said.get("bindaddress"),
        connect_timeout=float(timeout) if timeout.isdigit() and int(timeout) else None,
    )


def _files(setting: str) -> tuple[Path, ...]:
    """Several paths; the parser has taken the quotes of a single one."""
    if expand_home(setting).exists():
        return (expand_home(setting),)
    names = (name.strip('"').replace("%d", str(home())) for name in re.findall(r'"[^"]*"|\S+', setting))
    return tuple(expand_home(os.path.expandvars(name)) for name in names if name.lower() != "none")


def _read(target: Target, file: Path | None) -> SSHConfigDict:
    config = SSHConfig()
    config.parse(StringIO(_overlay(target)))
    for path in (file,) if file else (home() / ".ssh" / "config", _SYSTEM_FILE):
        folder = _SYSTEM_FILE.parent if path == _SYSTEM_FILE else home() / ".ssh"
        config.parse(StringIO("\n".join(_lines(path, folder, must_exist=file is not None))))
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
