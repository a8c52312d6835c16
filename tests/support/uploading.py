"""An uploader as a move has it, whose waits are none."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bottle.naming import Identity
from bottle.ports import Progress
from migrate.host.upload import Uploader
from migrate.ports import Shell
from migrate.transport.steady import Retrying, Throttled


def make_uploader(
    shell: Shell,
    identity: Identity,
    progress: Progress,
    *,
    jobs: int = 1,
    wait: Callable[[float], object] = lambda _: None,
) -> Uploader:
    stop = threading.Event()
    retrying = Retrying(Throttled(shell, None, stop), progress, stop, wait=wait)
    return Uploader(retrying, identity, progress, stop, jobs=jobs)
