"""What engines' JSON says, in the forms that different engines write."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bottle import facts
from bottle.model import (
    ChangeKind,
    ContainerEvent,
    EventKind,
    ImageDefaults,
    Mount,
    MountKind,
    Runtime,
    Status,
    Store,
    Usage,
)

FULL = {
    "Env": ["PATH=/bin", "A="],
    "Cmd": ["-c", "id"],
    "Entrypoint": ["/bin/sh"],
    "WorkingDir": "/srv",
    "User": "1000:1000",
    "Labels": {"x": "y", "empty": ""},
    "Volumes": {"/data": {}, "/b": {}},
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGINT",
    "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2},
    "Shell": ["/bin/bash", "-c"],
    "OnBuild": ["RUN echo hi"],
}


def image(config: Any = None, **fields: Any) -> dict[str, Any]:
    return {"Id": "sha256:1", "Architecture": "amd64", "Os": "linux", "Config": config, **fields}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T01:20:19.343612789Z", datetime(2026, 11, 21, 1, 20, 19, 343612, UTC)),
        ("2026-11-21T01:20:19Z", datetime(2026, 11, 21, 1, 20, 19, 0, UTC)),
        ("2026-11-21T01:20:19.5Z", datetime(2026, 11, 21, 1, 20, 19, 500000, UTC)),
        ("2026-11-21T03:20:19.5+02:00", datetime(2026, 11, 21, 1, 20, 19, 500000, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_times(text: str | None, moment: datetime | None) -> None:
    assert facts.parse_time(text) == moment


def test_config_digest_of_a_full_config_does_not_change() -> None:
    # Commits on disk have such digests: another algorithm would make every bottle fail its verification.
    digest = facts.config_digest(image(FULL))
    assert digest == "sha256:3a66b7ef391a81a3da48606389779ce4df8c0f488cf0f95d1ccc948a395608ba"


EMPTIES: list[dict[str, Any] | None] = [
    None,
    {},
    dict.fromkeys(FULL),
    {"Env": [], "Cmd": [], "Labels": {}, "Volumes": {}, "User": "", "Healthcheck": {}, "OnBuild": []},
    {"Healthcheck": {"Test": [], "Interval": 0}, "Hostname": "h", "Image": "sha256:2", "Tty": False, "StdinOnce": True},
]


@pytest.mark.parametrize("config", EMPTIES, ids=["null", "left out", "nulls", "empties", "others"])
def test_config_digest_takes_all_empties_for_the_same(config: dict[str, Any] | None) -> None:
    assert facts.config_digest(image(config)) == facts.config_digest({"Architecture": "amd64", "Os": "linux"})


@pytest.mark.parametrize("key", FULL)
def test_config_digest_sees_every_field(key: str) -> None:
    without = {name: value for name, value in FULL.items() if name != key}
    assert facts.config_digest(image(without)) != facts.config_digest(image(FULL))


@pytest.mark.parametrize(
    "change",
    [
        {"Env": ["A=", "PATH=/bin"]},
        {"Cmd": ["id", "-c"]},
        {"Labels": {"x": "y"}},
        {"Volumes": {"/data": {}}},
        {"Healthcheck": {"Test": ["NONE"]}},
    ],
    ids=["order of env", "order of arguments", "an empty label", "a volume", "a health check"],
)
def test_config_digest_sees_changes(change: dict[str, Any]) -> None:
    assert facts.config_digest(image({**FULL, **change})) != facts.config_digest(image(FULL))


def test_config_digest_sees_the_platform() -> None:
    assert facts.config_digest(image(FULL, Architecture="arm64")) != facts.config_digest(image(FULL))


def test_image_facts() -> None:
    found = facts.image_facts(
        image(FULL, RepoTags=["a:1"], RootFS={"Layers": ["sha256:l"]}, Size=7, Created="2026-01-01T00:00:00Z")
    )
    assert (found.id, found.tags, found.diff_ids, found.size) == ("sha256:1", ("a:1",), ("sha256:l",), 7)
    assert found.defaults == ImageDefaults(entrypoint=("/bin/sh",), command=("-c", "id"), user="1000:1000")
    assert found.declared_volumes == ("/b", "/data")
    assert found.labels == {"x": "y", "empty": ""}
    assert found.created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_image_facts_of_the_least_that_engines_say() -> None:
    found = facts.image_facts({"Id": "sha256:1", "RepoTags": ["<none>:<none>"]})
    assert (found.tags, found.diff_ids, found.created_at, found.defaults) == ((), (), None, ImageDefaults())


def container(**fields: Any) -> dict[str, Any]:
    return {"Id": "c1", "Name": "/bottle-x", "Image": "sha256:1", "Created": "2026-01-01T00:00:00Z", **fields}


def state(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "Status": status,
        "StartedAt": "2026-01-01T00:00:01Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "ExitCode": 0,
        "Pid": 0,
        **fields,
    }


def test_a_created_container_has_no_times_and_no_exit_code() -> None:
    found = facts.container_facts(container(State=state("created", StartedAt="0001-01-01T00:00:00Z")))
    assert (found.name, found.status, found.started_at, found.exit_code) == ("bottle-x", Status.CREATED, None, None)


def test_a_running_container_has_no_exit_code() -> None:
    found = facts.container_facts(container(State=state("running", Pid=7)))
    assert (found.exit_code, found.pid) == (None, 7)


def test_an_ended_container_has_an_exit_code() -> None:
    found = facts.container_facts(container(State=state("exited", ExitCode=3, FinishedAt="2026-01-01T00:00:02Z")))
    assert (found.exit_code, found.finished_at) == (3, datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC))


@pytest.mark.parametrize(("running", "status"), [(True, Status.RUNNING), (False, Status.EXITED)])
def test_a_state_of_a_later_engine_is_read_by_its_flag(running: bool, status: Status) -> None:
    assert facts.container_facts(container(State=state("levitating", Running=running))).status is status


def test_mounts() -> None:
    found = facts.mounts_of(
        {
            "HostConfig": {
                "Mounts": [{"Type": "volume", "Source": "named"}],
                "Binds": ["bound:/bound"],
                "Tmpfs": {"/run": "ro,size=1m"},
            },
            "Mounts": [
                {"Type": "volume", "Name": "named", "Source": "/var/lib/…", "Destination": "/named", "RW": True},
                {"Type": "volume", "Name": "0f" * 32, "Destination": "/anonymous", "RW": True},
                {"Type": "volume", "Name": "bound", "Destination": "/bound", "RW": False},
                {"Type": "bind", "Source": "/srv", "Destination": "/host", "RW": False},
                {"Type": "npipe", "Source": "x", "Destination": "/other"},
            ],
        }
    )
    assert found == (
        Mount(kind=MountKind.VOLUME, source="0f" * 32, target="/anonymous", anonymous=True),
        Mount(kind=MountKind.VOLUME, source="bound", target="/bound", read_only=True),
        Mount(kind=MountKind.BIND, source="/srv", target="/host", read_only=True),
        Mount(kind=MountKind.VOLUME, source="named", target="/named"),
        Mount(kind=MountKind.TMPFS, source="", target="/run", read_only=True),
    )


@pytest.mark.parametrize(
    ("status", "store"),
    [
        ([["driver-type", "io.containerd.snapshotter.v1"]], Store.CONTAINERD),
        ([["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], Store.CLASSIC),
        (None, Store.CLASSIC),
    ],
)
def test_the_store_is_told_by_the_driver(status: object, store: Store) -> None:
    assert facts.store_of({"DriverStatus": status}) is store


def test_the_architecture_is_spelt_as_images_spell_it() -> None:
    said = {"Architecture": "x86_64", "DockerRootDir": "/d", "ID": "x"}
    info = facts.engine_info(said, {"Arch": "amd64", "Version": "26"})
    assert (info.architecture, info.version, info.root_dir, info.id) == ("amd64", "26", "/d", "x")


@pytest.mark.parametrize(
    ("info", "expected"),
    [({"ID": "x", "Name": "host"}, "x host"), ({"ID": "x"}, "x"), ({"ID": "", "Name": "host"}, ""), ({}, "")],
)
def test_an_engine_is_known_by_its_id_on_its_host(info: dict[str, str], expected: str) -> None:
    assert facts.engine_id(info) == expected


def test_changes() -> None:
    assert facts.changes(None) == ()
    assert facts.changes([{"Kind": 2, "Path": "/gone"}])[0].kind is ChangeKind.DELETED


@pytest.mark.parametrize(
    ("state", "text", "status", "code"),
    [
        ("exited", "Exited (143) 3 minutes ago", Status.EXITED, 143),
        ("exited", "Exited (0) 1 second ago", Status.EXITED, 0),
        ("running", "Up 3 minutes (Paused)", Status.RUNNING, None),
        ("dead", "Dead", Status.DEAD, None),
        ("created", "Created", Status.CREATED, None),
    ],
)
def test_the_list_has_the_exit_code_in_words(state: str, text: str, status: Status, code: int | None) -> None:
    listed = {"Id": "c", "Names": ["/web/alias", "/bottle-x"], "State": state, "Status": text, "Created": 1_700_000_000}
    summary = facts.container_summary(listed)
    assert (summary.name, summary.status, summary.exit_code) == ("bottle-x", status, code)
    assert summary.created_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_the_ports_of_the_host_are_those_that_lead_somewhere() -> None:
    ports = [
        {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 3000, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 53, "PublicPort": 53, "Type": "udp"},
        {"PrivatePort": 80, "PublicPort": 81},
        {"PrivatePort": 443, "Type": "tcp"},
    ]
    summary = facts.container_summary({"Id": "c", "State": "running", "Ports": ports})
    assert list(map(str, summary.ports)) == ["0.0.0.0:81:80", "127.0.0.1:3000:80", "[::]:53:53/udp"]


def test_an_engine_says_what_its_machine_has() -> None:
    info = facts.engine_info({"NCPU": 4, "MemTotal": 1 << 33, "Runtimes": {"runc": {}, "nvidia": {}}}, {})
    assert (info.cpus, info.memory) == (4, 1 << 33)
    assert info.runtimes == (Runtime(name="nvidia"), Runtime(name="runc"))
    bare = facts.engine_info({}, {})
    assert (bare.cpus, bare.memory, bare.runtimes) == (0, 0, ())


def test_lists_that_leave_things_out() -> None:
    bare = facts.image_summary({"Id": "i", "RepoTags": None, "Labels": None, "Created": 0})
    assert (bare.tags, bare.labels, bare.size, bare.created_at) == ((), {}, 0, None)
    assert facts.image_summary({"Id": "i", "RepoTags": ["<none>:<none>"]}).tags == ()
    volume = facts.volume_facts({"Name": "v", "Labels": None})
    assert (volume.name, volume.labels, volume.created_at) == ("v", {}, None)


V1 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 3_000, "percpu_usage": [1, 2]}, "system_cpu_usage": 20_000},
    "precpu_stats": {"cpu_usage": {"total_usage": 1_000}, "system_cpu_usage": 10_000},
    "memory_stats": {"usage": 1000, "stats": {"total_inactive_file": 300, "inactive_file": 7}},
}
V2 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 3_000}, "system_cpu_usage": 20_000, "online_cpus": 4},
    "precpu_stats": {"cpu_usage": {"total_usage": 1_000}, "system_cpu_usage": 10_000},
    "memory_stats": {"usage": 1000, "stats": {"inactive_file": 300}},
}


@pytest.mark.parametrize(("stats", "cpu"), [(V1, 40.0), (V2, 80.0)])
def test_usage_in_both_versions_of_cgroups(stats: dict[str, Any], cpu: float) -> None:
    assert facts.usage(stats) == Usage(cpu=cpu, memory=700)


def test_usage_that_makes_no_sense_is_none_of_cpu_and_all_of_memory() -> None:
    stats = {**V2, "precpu_stats": V2["cpu_stats"], "memory_stats": {"usage": 10, "stats": {"inactive_file": 300}}}
    assert facts.usage(stats) == Usage(cpu=0.0, memory=10)


def test_usage_of_what_does_not_run() -> None:
    # 20.10 answers with every number at zero and no usage of memory.
    assert facts.usage({"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "precpu_stats": {}, "memory_stats": {}}) is None


def test_an_event_says_what_happened_to_whom() -> None:
    attributes = {"name": "bottle-x-12345", "image": "debian", "bottle.identity": "x-12345"}
    event = facts.container_event(
        {"Type": "container", "Action": "die", "Actor": {"ID": "1", "Attributes": attributes}}
    )
    assert event == ContainerEvent(
        kind=EventKind.DIE, container="1", name="bottle-x-12345", labels={"bottle.identity": "x-12345"}
    )


def test_several_labels_are_all_meant() -> None:
    labels = {"a": "1", "b": "2"}
    assert facts.has_labels(labels, {"a": None, "b": "2"})
    assert not facts.has_labels(labels, {"a": "1", "b": "1"})
    assert not facts.has_labels(labels, {"a": "1", "c": None})
    assert facts.has_labels(None, {})
