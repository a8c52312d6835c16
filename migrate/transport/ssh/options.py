"""What the user says about how to log in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions:
    """`ask_password` shows its argument as a prompt and returns what is typed; None where there is no terminal.

    `ssh_config` stands in for ~/.ssh/config and /etc/ssh/ssh_config. Times are in seconds; without `connect_timeout`
    ssh_config's ConnectTimeout holds, else 20 seconds.
    """

    identity_files: tuple[Path, ...] = ()
    accept_new_host_key: bool = False
    ask_password: Callable[[str], str] | None = None
    ssh_config: Path | None = None
    connect_timeout: float | None = None
    keepalive: int = 15
