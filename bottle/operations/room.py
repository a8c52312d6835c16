"""What the engine's disk has room for."""

import os

from bottle.ports import Engine


def free_room(engine: Engine) -> int | None:
    """What the engine's disk has free, in bytes, None where that cannot be told: this machine's is not another's."""
    if not engine.is_local:
        return None
    try:
        facts = os.statvfs(engine.info().root_dir)
    except OSError:
        return None  # the engine hides its folder
    return facts.f_bavail * facts.f_frsize
