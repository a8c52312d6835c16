"""A key file that somebody names: what cannot be one is found before anybody is called."""

from pathlib import Path

from bottle.errors import UsageError
from bottle.files.regular import read_regular
from bottle.text import printable
from migrate.transport.ssh.identities import Encrypted, load
from migrate.transport.ssh.keys import public_blob_of

_SAID = 120  # characters of what a reader says


def require_key_file(path: Path) -> None:
    """Raise UsageError where nobody can log in with this file.

    A public key will do: it says which of the agent's keys is meant. So will one of a kind that only an agent can use.
    """
    try:
        read_regular(path, follow=True)
    except OSError as exc:
        raise _useless(path, exc.strerror or str(exc)) from exc
    if public_blob_of(path) is not None:
        return
    try:
        load(path)
    except Encrypted:
        return
    except (OSError, ValueError) as exc:
        raise _useless(path, f"it is no private key ({printable(str(exc), _SAID)})") from exc


def unusable_without_agent(path: Path, reason: str) -> UsageError:
    """What to say of a key file that was named, where no agent holds its key and it cannot be read as a private one."""
    private = path.with_suffix("")
    if path.suffix == ".pub" and private.is_file():
        return UsageError(
            f"{path} is a public key, and no agent holds the private one",
            left="nobody was logged in",
            next_step=f"-i {private}   (or ssh-add {private})",
        )
    return UsageError(
        f"nobody can log in with {path}: no agent holds its key, and it cannot be read as a private one ({reason})",
        left="nobody was logged in",
        next_step="ssh-add -l",
    )


def _useless(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"nobody can log in with the key file {path}: {reason}", left="nobody was called", next_step=f"ls -l {path}"
    )
