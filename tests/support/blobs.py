"""What is spooled, read again."""

import hashlib

from migrate.model import Blob


def is_whole(blob: Blob | None) -> bool:
    """Whether a layer is there, and its bytes are still what was kept."""
    if blob is None:
        return False
    content = blob.path.read_bytes()
    return (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content)) == (blob.digest, blob.size)
