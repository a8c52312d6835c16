"""Public keys: in files, and as people compare them. A blob is a key in SSH wire format (RFC 4253, section 6.6)."""

import base64
import hashlib
from pathlib import Path


def fingerprint(blob: bytes) -> str:
    """As OpenSSH shows it: `SHA256:` and unpadded base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def describe(blob: bytes) -> str:
    """Type and fingerprint, for messages."""
    size = int.from_bytes(blob[:4])
    return f"{blob[4 : 4 + size].decode(errors='replace')} {fingerprint(blob)}"


def public_blob(text: str) -> bytes | None:
    """The key in a line as `.pub` files have it: type, base64, comment; None if it holds none."""
    try:
        return base64.b64decode(text.split()[1])
    except (ValueError, IndexError):
        return None


def read_public_blob(path: Path) -> bytes | None:
    """The key in a `.pub` file; None if the file holds none."""
    try:
        return public_blob(path.read_text(errors="replace"))
    except OSError:
        return None
