"""What the disk of an engine on this machine has room for."""

import os


def free_room(root: str) -> int | None:
    """What is free, in bytes, where an engine keeps its data; None where that cannot be told."""
    try:
        facts = os.statvfs(root)
    except OSError:
        return None  # the engine hides its folder
    return facts.f_bavail * facts.f_frsize
