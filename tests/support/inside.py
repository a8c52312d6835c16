"""Commands in a container, and all that they say."""

import secrets
from collections.abc import Sequence
from typing import Any

_END = b"all of it was said\n"
_TRIES = 5


def run_inside(container: Any, command: Sequence[str], user: str = "") -> tuple[int, bytes]:
    """Run a command in a container that has a shell; its exit code, and what it said on both its streams.

    A busy engine may lose what a command says (tried with Docker 20.10), which is done all the same: it is kept in the
    container's own memory until all of it has come.
    """
    kept = f"/dev/shm/said-{secrets.token_hex(8)}"
    again = f"cat {kept}; printf '{_END.decode()[:-1]}\\n'"
    once = f'"$@" >{kept} 2>&1; code=$?; {again}; exit $code'
    code, said = container.exec_run(["sh", "-c", once, "sh", *command], user=user)
    for _ in range(_TRIES):
        if said.endswith(_END) or code in {126, 127}:
            break
        said = container.exec_run(["sh", "-c", again], user=user).output
    return code, bytes(said).removesuffix(_END)
