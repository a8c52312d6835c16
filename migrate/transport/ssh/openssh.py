"""ssh_config as OpenSSH reads it: `ssh -G HOST` prints what it makes of the whole configuration (ssh(1))."""

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from bottle.errors import UsageError
from bottle.text import printable
from migrate.model import Target
from migrate.transport.ssh.config import HostConfig
from migrate.transport.ssh.tokens import expand, expand_path, tokens

_PATIENCE = 30.0
_SAID = 400
_URI = "ssh://"
_NO = frozenset({"no", "false"})


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
    return parse(answer.stdout.decode(errors="surrogateescape"), target, identity_files)


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


def parse(text: str, target: Target, identity_files: tuple[Path, ...]) -> HostConfig:
    """The output of `ssh -G`: a line each, the keyword in lower case, a space, the value without quotes.

    Of its values some are expanded and others are not, depending on the version: what has no tokens stays as it is.
    Raises UsageError.
    """
    said: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        said[keyword.lower()].append(value)
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
            expand_path(each, values) for each in said["identityfile"] if _unless_none(each) and each not in named
        ),
        certificate_files=tuple(expand_path(each, values) for each in said["certificatefile"] if _unless_none(each)),
        identities_only=one.get("identitiesonly") == "yes",
        identity_agent=agent_socket(one.get("identityagent"), values),
        methods=_methods(one),
        proxy_command=expand(command, values, variables=False) if command else None,
        proxy_jump=jumps(jump),
        host_key_alias=alias,
        user_known_hosts=_paths(one.get("userknownhostsfile"), values),
        global_known_hosts=_paths(one.get("globalknownhostsfile"), values),
        revoked_host_keys=expand_path(revoked, values) if revoked else None,
        hash_known_hosts=one.get("hashknownhosts") == "yes",
        address_family=one.get("addressfamily", "any"),
        bind_address=one.get("bindaddress"),
        connect_timeout=float(timeout) if timeout.isdigit() and int(timeout) else None,
    )


def agent_socket(setting: str | None, values: Mapping[str, str]) -> Path | None:
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


def _methods(one: Mapping[str, str]) -> frozenset[str]:
    preferred = one.get("preferredauthentications")
    wanted = {
        "publickey": one.get("pubkeyauthentication", "yes") not in _NO,
        "password": one.get("passwordauthentication", "yes") not in _NO,
        "keyboard-interactive": one.get("kbdinteractiveauthentication", "yes") not in _NO,
    }
    methods = {name for name, allowed in wanted.items() if allowed and (not preferred or name in preferred.split(","))}
    asks = one.get("batchmode", "no") in _NO
    return frozenset(
        {"publickey"} & methods | ({"password"} if asks and methods & {"password", "keyboard-interactive"} else set())
    )


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
