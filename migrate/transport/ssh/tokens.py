"""What ssh_config(5) replaces in values: the tokens `%h`, `%d`, …, the variables `${NAME}`, and `~`."""

import getpass
import hashlib
import os
import pwd
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from bottle.errors import UsageError
from bottle.home import user_home

_TOKEN = re.compile(r"%(.)|%$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def tokens(*, original: str, hostname: str, port: int, user: str, jump: str, alias: str | None) -> Mapping[str, str]:
    """What each letter stands for; `original` is the host as it was typed, `jump` the value of ProxyJump."""
    local = socket.gethostname()
    connection = f"{local}{hostname}{port}{user}{jump}"
    return {
        "%": "%",
        "C": hashlib.sha1(connection.encode(), usedforsecurity=False).hexdigest(),
        "d": str(home()),
        "h": hostname,
        "i": str(os.getuid()),
        "j": jump,
        "k": alias or hostname,
        "L": local.partition(".")[0],
        "l": local,
        "n": original,
        "p": str(port),
        "r": user,
        "u": local_user(),
    }


def expand(text: str, values: Mapping[str, str], *, variables: bool = True) -> str:
    """`text` with its tokens and, where OpenSSH takes them, its variables replaced. Raises UsageError for others."""

    def value(match: re.Match[str]) -> str:
        letter, variable = match[1], match[2]
        if variable is not None:
            if not variables:
                return match[0]
            if variable not in os.environ:
                raise UsageError(
                    f"the ssh configuration names {match[0]}, which is not set",
                    next_step=f"export {variable}=…, then the same again",
                )
            return os.environ[variable]
        if letter not in values:
            raise UsageError(f"the ssh configuration holds {text!r}, and {match[0]} means nothing there")
        return values[letter]

    return _TOKEN.sub(value, text)


def expand_path(text: str, values: Mapping[str, str]) -> Path:
    """A path of ssh_config with its `~`, tokens and variables replaced. Raises UsageError."""
    return expand_home(expand(text, values))


def home() -> Path:
    """The home of who runs this, from the user database: OpenSSH does not look at $HOME."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return user_home()


def local_user() -> str:
    """The name of who runs this, from the user database: OpenSSH does not look at $USER."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return getpass.getuser()


def expand_home(text: str) -> Path:
    """The path with a leading `~` replaced; `~NAME` is the home of another user. Raises UsageError for none."""
    try:
        return home() / text[2:] if text.startswith("~/") else Path(text).expanduser()
    except RuntimeError as exc:
        raise UsageError(f"the ssh configuration names {text}, and there is no such home") from exc
