"""What ssh_config says of a host, as a value."""

from dataclasses import dataclass
from pathlib import Path

from migrate.model import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """How one host is reached and logged in to. Names and terms are those of ssh_config(5); all tokens are expanded.

    `identity_agent` is the path of the agent's socket, None where there is no agent to ask. `methods` are the ways to
    log in that may be tried, of `publickey` and `password`; the latter stands for keyboard-interactive too.
    `connect_timeout` is in seconds, None where the configuration names none.
    """

    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: Path | None = None
    methods: frozenset[str] = frozenset({"publickey", "password"})
    proxy_command: str | None = None
    proxy_jump: tuple[Target, ...] = ()
    host_key_alias: str | None = None
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    revoked_host_keys: Path | None = None
    hash_known_hosts: bool = False
    address_family: str = "any"
    bind_address: str | None = None
    connect_timeout: float | None = None
