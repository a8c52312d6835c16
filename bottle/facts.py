"""What an engine's JSON says, as values of the model: pure functions, for engines near and far.

The JSON is that of the Engine API's inspect calls, which is also what `docker inspect` prints.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bottle.model import (
    NO_RESTART,
    Change,
    ChangeKind,
    ContainerEvent,
    ContainerFacts,
    ContainerSummary,
    EngineInfo,
    EventKind,
    ImageDefaults,
    ImageFacts,
    ImageSummary,
    Mount,
    MountKind,
    NetworkFacts,
    Product,
    Runtime,
    Status,
    Store,
    Usage,
    VolumeFacts,
)
from bottle.portbinding import PortBinding

Json = Mapping[str, Any]

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_CONTAINERD_SNAPSHOTTER = ["driver-type", "io.containerd.snapshotter.v1"]
_EXITED = re.compile(r"Exited \((-?\d+)\)")
_ANYWHERE = "0.0.0.0"  # noqa: S104  (what an engine means that names no address)
_LISTS = ("Env", "Cmd", "Entrypoint", "Shell", "OnBuild")
_SETS = ("Volumes", "ExposedPorts")
_STATUSES = {status.value for status in Status}
_LIMITS = {"memory": "MemoryLimit", "cpus": "CpuCfsQuota", "pids": "PidsLimit"}
_KINDS = {kind.value for kind in MountKind}
_SOURCES = {MountKind.VOLUME: "Name", MountKind.BIND: "Source"}
_TEXTS = ("WorkingDir", "User", "StopSignal")


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 time with up to nanoseconds, in UTC and cut to microseconds; None for Go's zero time and for none."""
    if text is None or _TIME.fullmatch(text) is None or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def config_digest(inspected: Json) -> str:
    """Digest of what decides how an image runs: equal for one image in every image store and engine from 20.10 on.

    It is `sha256:` and the SHA-256 of canonical JSON (sorted keys, no white space, UTF-8) of `architecture`, `os` and
    of the config's Env, Cmd, Entrypoint, WorkingDir, User, Labels, Volumes, ExposedPorts, StopSignal, Healthcheck,
    Shell and OnBuild. Engines disagree about empties: the classic store prints null, [] or "" and 28 and later leave
    such keys out; so whatever is empty is left out here. Volumes and ExposedPorts are sets that are spelt as objects
    with empty values, and become sorted lists. An empty label is a label and stays. The order of Env and of arguments
    is kept. Layers are no part of this: compare diff ids beside it.
    """
    config: Json = inspected.get("Config") or {}
    picked: dict[str, Any] = {name: list(config.get(name) or ()) for name in _LISTS}
    picked |= {name: sorted(config.get(name) or ()) for name in _SETS}
    picked |= {name: config.get(name) or "" for name in _TEXTS}
    picked["Labels"] = dict(config.get("Labels") or {})
    picked["Healthcheck"] = _without_empties(config.get("Healthcheck") or {})
    document = _without_empties(picked)
    document["architecture"] = inspected.get("Architecture") or ""
    document["os"] = inspected.get("Os") or ""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _without_empties(values: Json) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def image_facts(inspected: Json) -> ImageFacts:
    """The facts in the answer to an image's inspect."""
    config: Json = inspected.get("Config") or {}
    return ImageFacts(
        id=inspected["Id"],
        tags=tuple(tag for tag in inspected.get("RepoTags") or () if tag != "<none>:<none>"),
        diff_ids=tuple((inspected.get("RootFS") or {}).get("Layers") or ()),
        config_digest=config_digest(inspected),
        architecture=inspected.get("Architecture") or "",
        os=inspected.get("Os") or "",
        size=inspected.get("Size") or 0,
        created_at=parse_time(inspected.get("Created")),
        labels=dict(config.get("Labels") or {}),
        defaults=ImageDefaults(
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            user=config.get("User") or "",
        ),
        declared_volumes=tuple(sorted(config.get("Volumes") or ())),
    )


def container_facts(inspected: Json) -> ContainerFacts:
    """The facts in the answer to a container's inspect. `image` is the image's id, as the engine has it."""
    state: Json = inspected.get("State") or {}
    started = parse_time(state.get("StartedAt"))
    status = _status(state)
    return ContainerFacts(
        id=inspected["Id"],
        name=str(inspected.get("Name") or "").removeprefix("/"),
        image=inspected.get("Image") or "",
        status=status,
        created_at=parse_time(inspected.get("Created")) or datetime.fromtimestamp(0, UTC),
        started_at=started,
        finished_at=parse_time(state.get("FinishedAt")),
        # A container that is up, or never was, shows 0 too.
        exit_code=state.get("ExitCode") if started is not None and not status.alive else None,
        labels=dict((inspected.get("Config") or {}).get("Labels") or {}),
        mounts=mounts_of(inspected),
        pid=state.get("Pid") or 0,
        restart=((inspected.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or NO_RESTART,
        argv=(str(inspected.get("Path") or ""), *map(str, inspected.get("Args") or ())),
        runtime=(inspected.get("HostConfig") or {}).get("Runtime") or "",
    )


def _status(state: Json) -> Status:
    """A word that a later engine made up is read by its flag, so that a bottle stays visible."""
    word = state.get("Status") or Status.CREATED.value
    if word in _STATUSES:
        return Status(word)
    return Status.RUNNING if state.get("Running") else Status.EXITED


def mounts_of(inspected: Json) -> tuple[Mount, ...]:
    """What is mounted, sorted by target; volumes that nobody asked for by name are anonymous."""
    host: Json = inspected.get("HostConfig") or {}
    requested = {mount.get("Source") for mount in host.get("Mounts") or () if mount.get("Type") == "volume"}
    requested |= {str(bind).split(":")[0] for bind in host.get("Binds") or ()}
    mounts = [_mount(each, requested) for each in inspected.get("Mounts") or () if each.get("Type") in _KINDS]
    mounts += [
        Mount(kind=MountKind.TMPFS, source="", target=target, read_only="ro" in str(options).split(","))
        for target, options in (host.get("Tmpfs") or {}).items()
    ]
    return tuple(sorted(mounts, key=lambda mount: mount.target))


def _mount(mount: Json, requested: set[Any]) -> Mount:
    kind = MountKind(mount["Type"])
    source = mount.get(_SOURCES.get(kind, "")) or ""
    return Mount(
        kind=kind,
        source=source,
        target=mount.get("Destination") or "",
        read_only=not mount.get("RW", True),
        anonymous=kind is MountKind.VOLUME and source not in requested,
    )


def image_summary(listed: Json) -> ImageSummary:
    """The facts in one entry of the answer to an images list."""
    return ImageSummary(
        id=listed["Id"],
        tags=tuple(tag for tag in listed.get("RepoTags") or () if tag != "<none>:<none>"),
        size=listed.get("Size") or 0,
        created_at=_seconds(listed),
        labels=dict(listed.get("Labels") or {}),
    )


def container_summary(listed: Json) -> ContainerSummary:
    """The facts in one entry of the answer to a containers list, which has the exit code only in a text for people.

    One that is linked to by others has their names for it too, behind a second slash. Podman lists the ports of one
    that does not run, too.
    """
    status = _status({"Status": listed.get("State")})
    names = [str(name) for name in listed.get("Names") or ()]
    exited = _EXITED.match(str(listed.get("Status") or ""))
    return ContainerSummary(
        id=listed["Id"],
        name=next((name[1:] for name in names if "/" not in name[1:]), ""),
        image=listed.get("ImageID") or "",
        status=status,
        exit_code=int(exited[1]) if exited else None,
        created_at=_seconds(listed) or datetime.fromtimestamp(0, UTC),
        labels=dict(listed.get("Labels") or {}),
        ports=tuple(sorted(_ports(listed))) if status.alive else (),
    )


def _ports(listed: Json) -> Iterator[PortBinding]:
    """The ports of the host that lead into a container; one that is only exposed has none."""
    for port in listed.get("Ports") or ():
        if port.get("PublicPort"):
            address, protocol = port.get("IP") or _ANYWHERE, port.get("Type") or "tcp"
            yield PortBinding(address, port["PublicPort"], port["PrivatePort"], protocol)


def container_event(event: Json) -> ContainerEvent:
    """One object of the answer to events. The attributes are the container's labels, and its image and name."""
    actor = event.get("Actor") or {}
    labels = dict(actor.get("Attributes") or {})
    name = labels.pop("name", "")
    labels.pop("image", None)
    return ContainerEvent(kind=EventKind(event["Action"]), container=actor["ID"], name=name, labels=labels)


def usage(stats: Json) -> Usage | None:
    """The answer to a container's stats of two readings, None where it has none because the container does not run.

    The sums are those of `docker stats` (docker/cli, cli/command/container/stats_helpers.go). The file cache has other
    names in cgroup v1 and v2, and v2 does not count each CPU by itself.
    """
    now, before = stats.get("cpu_stats") or {}, stats.get("precpu_stats") or {}
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ())
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return Usage(
        cpu=100.0 * cpus * used / passed if used > 0 and passed > 0 else 0.0,
        memory=memory["usage"] - (cache if cache < memory["usage"] else 0),
    )


def network_facts(listed: Json) -> NetworkFacts:
    """The facts in one entry of the answer to a networks list."""
    return NetworkFacts(id=listed["Id"], name=listed["Name"])


def volume_facts(listed: Json) -> VolumeFacts:
    """The facts in one entry of the answer to a volumes list."""
    return VolumeFacts(
        name=listed["Name"], labels=dict(listed.get("Labels") or {}), created_at=parse_time(listed.get("CreatedAt"))
    )


def _seconds(listed: Json) -> datetime | None:
    created = listed.get("Created")
    return datetime.fromtimestamp(created, UTC) if isinstance(created, int) and created > 0 else None


def engine_info(info: Json, version: Json, product: Product = Product.DOCKER, owner: int | None = None) -> EngineInfo:
    """Who answered, from `/info` and `/version`: only the latter names the architecture as images do (`amd64`).

    `owner` is the user of this machine who has the engine's socket, where it is here.
    """
    told = any("name=rootless" in str(option) for option in info.get("SecurityOptions") or ())
    rootless = told or info.get("Rootless") is True  # the latter is Podman's
    remapped = any(str(option).startswith("name=userns") for option in info.get("SecurityOptions") or ())
    freezes = info.get("CgroupDriver") != "none" and not (rootless and str(info.get("CgroupVersion")) == "1")
    return EngineInfo(
        version=version.get("Version") or info.get("ServerVersion") or "",
        api_version=version.get("ApiVersion") or "",
        architecture=version.get("Arch") or info.get("Architecture") or "",
        os=version.get("Os") or info.get("OSType") or "",
        store=store_of(info),
        root_dir=info.get("DockerRootDir") or "",
        id=engine_id(info) if product is Product.DOCKER else "",  # Podman makes one up each time
        cpus=info.get("NCPU") or 0,
        memory=info.get("MemTotal") or 0,
        runtimes=tuple(_runtime(name, told or {}) for name, told in sorted((info.get("Runtimes") or {}).items())),
        default_runtime=info.get("DefaultRuntime") or "",
        product=product,
        rootless=rootless,
        remapped=remapped,
        owner=owner if rootless else None,
        unlimited=tuple(key for key, flag in _LIMITS.items() if info.get(flag) is False),
        freezes=freezes,
    )


def _runtime(name: str, told: Json) -> Runtime:
    """A program, run by Docker's own shim, or a shim, which may be told the program (`BinaryName` of runc's)."""
    program = (told.get("options") or {}).get("BinaryName") or told.get("path") or told.get("runtimeType") or ""
    return Runtime(name=name, program=str(program))


def engine_id(info: Json) -> str:
    """What tells an engine from every other, empty where it has no id; machines that were cloned share theirs."""
    identifier = str(info.get("ID") or "")
    return f"{identifier} {info.get('Name') or ''}".rstrip() if identifier else ""


def store_of(info: Json) -> Store:
    """Which image store `/info` tells of."""
    return Store.CONTAINERD if _CONTAINERD_SNAPSHOTTER in (info.get("DriverStatus") or ()) else Store.CLASSIC


def changes(diff: Sequence[Json] | None) -> tuple[Change, ...]:
    """The answer to a container's changes, which is null when there are none."""
    return tuple(Change(ChangeKind(each["Kind"]), each["Path"]) for each in diff or ())


def has_labels(labels: Mapping[str, str] | None, wanted: Mapping[str, str | None]) -> bool:
    """Whether something has all labels that are wanted (None: any value): Podman takes several for alternatives."""
    has = labels or {}
    return all(key in has and value in {None, has[key]} for key, value in wanted.items())
