"""What a container must be allowed in order to run Docker itself, and which form of it this kernel grants."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.errors import APIError

# Every capability that Docker 20.10 knows, less SYS_RESOURCE: a machine may itself lack that one, and then
# --privileged, which asks for all of them, is refused.
CAPABILITIES = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
]


@dataclass(frozen=True, slots=True)
class Powers:
    """What to create the container with.

    docker-py's arguments; folders of the machine to mount writable; and fields of the Engine API's HostConfig
    for which docker-py has no argument.
    """

    arguments: dict[str, Any]
    mounts: tuple[str, ...] = ()
    host_config: dict[str, Any] = field(default_factory=dict)


_granted: dict[str, Powers] = {}


def docker_in_docker(client: docker.DockerClient, image: str) -> Powers:
    """The powers of a container that may run Docker; tried once per engine, then remembered."""
    engine = client.api.base_url + str(client.info().get("ID"))
    if engine not in _granted:
        _granted[engine] = Powers({"privileged": True}) if _privileged_works(client, image) else _named(client)
    return _granted[engine]


def add_host_config(client: docker.DockerClient, fields: dict[str, Any]) -> None:
    """Let this client put ``fields`` into the HostConfig of each container that it creates."""
    create: Callable[..., Any] = client.api.create_container_from_config

    def create_with_fields(config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        config["HostConfig"].update(fields)
        return create(config, *args, **kwargs)

    client.api.create_container_from_config = create_with_fields  # type: ignore[method-assign]


def _privileged_works(client: docker.DockerClient, image: str) -> bool:
    name = f"agent-bottle-probe-{secrets.token_hex(4)}"
    probe = client.containers.create(
        image, entrypoint=["true"], name=name, privileged=True, network_mode="none", labels={"agent-bottle.probe": "1"}
    )
    try:
        probe.start()
        return bool(probe.wait(timeout=60)["StatusCode"] == 0)
    except APIError:
        return False
    finally:
        probe.remove(force=True)


def _named(client: docker.DockerClient) -> Powers:
    security = ["seccomp=unconfined"]
    options = client.info().get("SecurityOptions") or []
    if any("name=apparmor" in option for option in options):
        security.append("apparmor=unconfined")
    if any("name=selinux" in option for option in options):
        security.append("label=disable")
    return Powers(
        {
            "cap_add": list(CAPABILITIES),
            "security_opt": security,
            "device_cgroup_rules": ["a *:* rwm"],
            "cgroupns": "host",
        },
        mounts=("/sys/fs/cgroup",),
        # What the docker client makes of --security-opt systempaths=unconfined: dockerd must write below /proc/sys.
        host_config={"MaskedPaths": [], "ReadonlyPaths": []},
    )
