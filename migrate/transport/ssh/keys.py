"""Keys: in files, and as people compare them. A blob is a public key in SSH wire format (RFC 4253, section 6.6)."""

import base64
import hashlib
from pathlib import Path

from paramiko import ECDSAKey, Ed25519Key, Message, PasswordRequiredException, PKey, RSAKey, SSHException

from bottle.errors import UsageError
from bottle.files.regular import read_regular
from bottle.text import printable

_PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_CLASSES: tuple[type[PKey], ...] = (Ed25519Key, ECDSAKey, RSAKey)
_SAID = 120  # characters of what a reader says


class Encrypted(Exception):
    """A key file wants a passphrase, or another one."""


def fingerprint(blob: bytes) -> str:
    """As OpenSSH shows it: `SHA256:` and unpadded base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def key_type(blob: bytes) -> str:
    """The name of its algorithm, such as `ssh-ed25519`."""
    return Message(blob).get_binary().decode(errors="replace")


def describe(blob: bytes) -> str:
    """Type and fingerprint, for messages."""
    return f"{key_type(blob)} {fingerprint(blob)}"


def public_blob(text: str) -> bytes | None:
    """The key in a line as `.pub` files have it: type, base64, comment; None if it holds none."""
    try:
        return base64.b64decode(text.split()[1])
    except (ValueError, IndexError):
        return None


def read_public_blob(path: Path) -> bytes | None:
    """The key in a `.pub` file; None if the file holds none."""
    text = _read(path)
    return public_blob(text) if text is not None else None


def public_blob_of(path: Path) -> bytes | None:
    """The public half of the key file `path`, encrypted or not, as OpenSSH looks for it; None if it is not to be had.

    OpenSSH's own form says it in the clear (its PROTOCOL.key); else the file is a public key, or has one beside it.
    """
    text = _read(path)
    own = _public_half(text) if text is not None else None
    return own or read_public_blob(path) or read_public_blob(Path(f"{path}.pub"))


def _public_half(text: str) -> bytes | None:
    begin, end = _PRIVATE
    head, _, rest = text.partition(begin)
    try:
        data = base64.b64decode(rest.partition(end)[0])
    except ValueError:
        return None
    if head.strip() or not data.startswith(_MAGIC):
        return None
    message = Message(data.removeprefix(_MAGIC))
    for _ in ("cipher", "key derivation", "its options"):
        message.get_binary()
    message.get_int()  # the number of keys, which is 1
    return message.get_binary() or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def load(path: Path, passphrase: str | None = None) -> PKey:
    """The key of a file. Raises Encrypted; OSError and ValueError where there is none."""
    failure: Exception | None = None
    for kind in _CLASSES:
        try:
            return kind.from_private_key_file(str(path), passphrase)
        except PasswordRequiredException:
            raise Encrypted from None
        except (SSHException, ValueError, TypeError) as exc:
            failure = failure or exc
    if passphrase is not None:
        raise Encrypted
    raise ValueError(str(failure))


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
