"""What the engine is told at create and at commit: pure functions from our specs to the Engine API's JSON."""

from collections.abc import Mapping
from typing import Any

from bottle.model import CommitSpec, LaunchSpec, Mount, MountKind
from bottle.portbinding import PortBinding

# What switches an inherited health check off:
# https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
NO_HEALTHCHECK = {"Test": ["NONE"]}

# "Nobody in particular" is root. It has to be said where an engine would otherwise fill in somebody else.
_ROOT = "0"


def create_config(spec: LaunchSpec, image: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a create request; `image` is the inspect answer of what `spec.image` names.

    The container's Cmd stays empty: at commit the engine puts it where the image's own was empty. What the image's
    config says of user and health check does not reach the container, since a committed image's is the agent's to
    shape. Each is overruled only where the image says something, lest it show up in the next commit. There is no
    restart policy: after a reboot `resume` decides.
    """
    shaped: Mapping[str, Any] = image.get("Config") or {}
    config: dict[str, Any] = {
        "Image": spec.image,
        "Entrypoint": list(spec.entrypoint),
        "Env": [f"{name}={value}" for name, value in spec.env],
        "Labels": dict(spec.labels),
        "WorkingDir": spec.workdir,
        "User": spec.user or (_ROOT if shaped.get("User") else ""),
        "Hostname": spec.hostname,
        "Tty": spec.tty,
        "OpenStdin": spec.interactive,
        # Whoever is attached can end the input, as with `docker run -i`; a terminal sends its own end-of-file.
        "StdinOnce": spec.interactive and not spec.tty,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "HostConfig": _host_config(spec),
    }
    if shaped.get("Healthcheck"):
        config["Healthcheck"] = NO_HEALTHCHECK
    if spec.ports:  # an engine publishes what is exposed, too; a commit has that, where it opens nothing
        config["ExposedPorts"] = {_exposed(port): {} for port in spec.ports}
    return config


def _host_config(spec: LaunchSpec) -> dict[str, Any]:
    config: dict[str, Any] = {
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.cap_add),
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "NetworkMode": spec.network,
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "PidsLimit": spec.pids,
    }
    if spec.memory is not None:
        # Swap beyond that would make the limit a wish.
        config |= {"Memory": spec.memory, "MemorySwap": spec.memory}
    if spec.cpus is not None:
        config["NanoCpus"] = round(spec.cpus * 1_000_000_000)
    if spec.shm_size is not None:
        config["ShmSize"] = spec.shm_size
    if spec.gpus is not None:
        config["DeviceRequests"] = [_gpus(spec.gpus)]
    if spec.hosts:
        config["ExtraHosts"] = [f"{name}:{address}" for name, address in spec.hosts]
    if spec.ports:
        bindings: dict[str, list[dict[str, str]]] = {}
        for port in spec.ports:
            bindings.setdefault(_exposed(port), []).append({"HostIp": port.address, "HostPort": str(port.host)})
        config["PortBindings"] = bindings
    return config


def _exposed(port: PortBinding) -> str:
    return f"{port.container}/{port.protocol}"


def _gpus(wanted: str) -> dict[str, Any]:
    """What `docker run --gpus` asks for: all, so many, or these (docker/cli, opts/gpus.go)."""
    request: dict[str, Any] = {"Capabilities": [["gpu"]]}
    if wanted.startswith("device="):
        return {**request, "DeviceIDs": wanted.removeprefix("device=").split(",")}
    return {**request, "Count": -1 if wanted == "all" else int(wanted)}


def _mount(mount: Mount) -> dict[str, Any]:
    """A mount for the Mounts API: it refuses a bind whose source is missing, which `-v` would create as root's."""
    spelt: dict[str, Any] = {"Type": mount.kind.value, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.kind is not MountKind.TMPFS:
        spelt["Source"] = "" if mount.anonymous else mount.source
    return spelt


def commit_config(spec: CommitSpec, container: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a commit request; the others are the inspect answers of the container and of its image ({}: gone).

    The engine fills what is null or missing from the container's config, and an empty text or Cmd too; an empty list
    as Entrypoint stands. So a user can only be cleared by naming root, and a health check that `create_config`
    switched off is given back as the image had it.
    """
    running: Mapping[str, Any] = container.get("Config") or {}
    config: dict[str, Any] = {
        "Entrypoint": list(spec.defaults.entrypoint),
        "Cmd": list(spec.defaults.command),
        "User": spec.defaults.user or (_ROOT if running.get("User") else ""),
        "Labels": dict(spec.labels),
    }
    shaped: Mapping[str, Any] = image.get("Config") or {}
    if shaped.get("Shell"):  # which a container does not have, so that a commit would lose it
        config["Shell"] = shaped["Shell"]
    healthcheck = shaped.get("Healthcheck")
    if healthcheck and (running.get("Healthcheck") or {}).get("Test") == NO_HEALTHCHECK["Test"]:
        config["Healthcheck"] = healthcheck
    return config


def committed_config(spec: CommitSpec, container: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine makes of `commit_config`: the config of the image that a commit would make.

    (moby, daemon/commit.go, merge.) Of what is only a container's, such as its host name, an image has no use.
    """
    running: Mapping[str, Any] = container.get("Config") or {}
    config = commit_config(spec, container, image)
    for name in ("User", "WorkingDir", "StopSignal"):
        config[name] = config.get(name) or running.get(name) or ""
    config["Env"] = list(running.get("Env") or ())
    config["Labels"] = {**(running.get("Labels") or {}), **config["Labels"]}
    for name in ("ExposedPorts", "Volumes"):
        config[name] = dict(running.get(name) or {})
    healthcheck = running.get("Healthcheck")
    if healthcheck and "Healthcheck" not in config:
        config["Healthcheck"] = healthcheck
    if not config["Entrypoint"] and not config["Cmd"]:
        config["Cmd"] = list(running.get("Cmd") or ())
    return {name: value for name, value in config.items() if value}
