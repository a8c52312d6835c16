"""What ssh_config says of a host, as a value."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from bottle.errors import UsageError
from migrate.model import Target
from migrate.transport.ssh.tokens import expand, expand_path, tokens

_URI = "ssh://"
_NO = frozenset({"no", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """How one host is reached and logged in to. Names and terms are those of ssh_config(5); all tokens are expanded.

    `identity_agent` is the path of the agent's socket, None where there is no agent to ask. `methods` are the ways to
    log in that may be tried, of `publickey` and `password`; the latter stands for keyboard-interactive too.
    `connect_timeout` is in seconds, None where the configuration names none.
    """

    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: Path | None = None
    methods: frozenset[str] = frozenset({"publickey", "password"})
    proxy_command: str | None = None
    proxy_jump: tuple[Target, ...] = ()
    host_key_alias: str | None = None
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    revoked_host_keys: Path | None = None
    hash_known_hosts: bool = False
    address_family: str = "any"
    bind_address: str | None = None
    connect_timeout: float | None = None


def host_config(said: Mapping[str, Sequence[str]], target: Target, identity_files: tuple[Path, ...]) -> HostConfig:
    """What is said of `target`: the values of each keyword, which is in lower case. Values have no quotes.

    Of its values some are expanded and others are not, depending on the version: what has no tokens stays as it is.
    `identity_files` are left out of those that are configured. Raises UsageError.
    """
    one = {keyword: values[0] for keyword, values in said.items()}
    hostname, port, user = one["hostname"], int(one["port"]), one["user"]
    alias, jump = _unless_none(one.get("hostkeyalias")), _unless_none(one.get("proxyjump"))
    values = tokens(original=target.host, hostname=hostname, port=port, user=user, jump=jump or "", alias=alias)
    named = {str(path) for path in identity_files}
    command = _unless_none(one.get("proxycommand"))
    timeout = one.get("connecttimeout", "none")
    revoked = _unless_none(one.get("revokedhostkeys"))
    return HostConfig(
        hostname=hostname,
        port=port,
        user=user,
        identity_files=tuple(
            expand_path(each, values)
            for each in said.get("identityfile", ())
            if _unless_none(each) and each not in named
        ),
        certificate_files=tuple(
            expand_path(each, values) for each in said.get("certificatefile", ()) if _unless_none(each)
        ),
        identities_only=_is_on(one, "identitiesonly", "no"),
        identity_agent=_agent_socket(one.get("identityagent"), values),
        methods=_methods(one),
        proxy_command=expand(command, values, variables=False) if command else None,
        proxy_jump=jumps(jump),
        host_key_alias=alias,
        user_known_hosts=_paths(one.get("userknownhostsfile"), values),
        global_known_hosts=_paths(one.get("globalknownhostsfile"), values),
        revoked_host_keys=expand_path(revoked, values) if revoked else None,
        hash_known_hosts=_is_on(one, "hashknownhosts", "no"),
        address_family=one.get("addressfamily", "any").lower(),
        bind_address=one.get("bindaddress"),
        connect_timeout=float(timeout) if timeout.isdigit() and int(timeout) else None,
    )


def jumps(setting: str | None) -> tuple[Target, ...]:
    """The hosts of a ProxyJump, in the order in which they are visited. Raises UsageError."""
    return tuple(_hop(hop.strip()) for hop in (setting or "").split(",") if hop.strip())


def _hop(text: str) -> Target:
    """`[USER@]HOST[:PORT]`, or that as a URI. A user may be called anything, for no shell ever sees the name."""
    user, at, place = text.removeprefix(_URI).rpartition("@")
    if text.startswith(_URI):
        user, place = unquote(user), place.removesuffix("/")
    if at and (not user or user.startswith("-") or not user.isprintable()):
        raise UsageError(f"{text!r} is no host to jump over: {user!r} can be no user", left="nothing was changed")
    return replace(Target.parse(place), user=user or None)


def _agent_socket(setting: str | None, values: Mapping[str, str]) -> Path | None:
    """Where the agent listens: as IdentityAgent says, by default as SSH_AUTH_SOCK does. Raises UsageError."""
    if setting is None or setting == "SSH_AUTH_SOCK":
        setting = os.environ.get("SSH_AUTH_SOCK", "")
    elif re.fullmatch(r"\$\w+", setting):
        setting = os.environ.get(setting[1:], "")
    elif setting.lower() == "none":
        setting = ""
    else:
        return expand_path(setting, values)
    return Path(setting) if setting else None


def _methods(one: Mapping[str, str]) -> frozenset[str]:
    preferred = one.get("preferredauthentications")
    methods = {
        name
        for name, keyword in (
            ("publickey", "pubkeyauthentication"),
            ("password", "passwordauthentication"),
            ("keyboard-interactive", "kbdinteractiveauthentication"),
        )
        if _is_on(one, keyword, "yes") and (not preferred or name in preferred.split(","))
    }
    types = methods & {"password", "keyboard-interactive"} and not _is_on(one, "batchmode", "no")
    return frozenset({"publickey"} & methods | ({"password"} if types else set()))


def _is_on(one: Mapping[str, str], keyword: str, default: str) -> bool:
    return one.get(keyword, default).lower() not in _NO


def _paths(setting: str | None, values: Mapping[str, str]) -> tuple[Path, ...]:
    """Several paths in one line without quotes: a space begins the next one where what follows begins like a path.

    Of relative ones the files tell: what is none as a whole, and has one among its words, is several.
    """
    if _unless_none(setting) is None or setting is None:
        return ()
    return tuple(
        path
        for each in re.split(r" (?=[/~]|\$\{)", setting)
        for path in _apart(expand_path(each, values), [expand_path(word, values) for word in each.split()])
    )


def _apart(whole: Path, words: Sequence[Path]) -> Sequence[Path]:
    return words if not whole.is_file() and any(map(Path.is_file, words)) else (whole,)


def _unless_none(setting: str | None) -> str | None:
    return None if not setting or setting.lower() == "none" else setting
