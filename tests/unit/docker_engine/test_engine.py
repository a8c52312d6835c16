"""The Docker adapter without Docker: what it sends, what it reads, and that no foreign error gets out of it."""

import inspect
import io
import json
import os
import socket
import socketserver
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests.exceptions
import urllib3.exceptions
from docker.credentials.errors import CredentialsNotFound, StoreError

from bottle.docker_engine import DockerEngine, connection
from bottle.docker_engine.base import label_filters, readable_folder, split_tag
from bottle.docker_engine.configs import NO_HEALTHCHECK, commit_config, create_config
from bottle.docker_engine.connection import Body, Connection, container_ref, events, image_ref
from bottle.docker_engine.contents import upper_folder
from bottle.docker_engine.context import build_context
from bottle.docker_engine.dialect import Dialect
from bottle.docker_engine.failures import translate, translated
from bottle.docker_engine.streams import Demultiplexer, unframed
from bottle.errors import (
    BottleError,
    BuildFailed,
    CannotPause,
    Conflict,
    EngineError,
    EngineUnreachable,
    Interrupted,
    NotFound,
    PortTaken,
)
from bottle.model import CommitSpec, ImageDefaults, LaunchSpec, Mount, MountKind
from bottle.portbinding import PortBinding
from bottle.testing import RecordingProgress
from tests.support.users import as_user, users_folder

ADDRESS = "unix:///engine.sock"
PORT_FAILED = "driver failed programming external connectivity on endpoint bottle-x (3f6): "


# Errors.


def response(status: int) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    return answer


def api_error(status: int, message: str) -> docker.errors.APIError:
    return docker.errors.APIError("refused", response=response(status), explanation=message)


def connection_error(cause: BaseException) -> requests.exceptions.ConnectionError:
    return requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", cause))


def classes_of(module: Any) -> list[type[Exception]]:
    """The exception classes of the three libraries that a module has, but for warnings."""
    return [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Exception)
        and not issubclass(each, Warning)
        and each.__module__.split(".")[0] in {"docker", "requests", "urllib3"}
    ]


FOREIGN_CLASSES = [
    *dict.fromkeys(
        each for module in (docker.errors, requests.exceptions, urllib3.exceptions) for each in classes_of(module)
    ),
    StoreError,
    CredentialsNotFound,
    HTTPException,
    IncompleteRead,
    BrokenPipeError,
    ConnectionResetError,
    socket.gaierror,
    TimeoutError,
]


ARGUMENTS: list[tuple[Any, ...]] = [
    ("boom",),
    (b"", 1),
    (1, 1),
    ("boom", "boom"),
    ("boom", "boom", 0),
    (None, None, "boom"),
    (urllib3.HTTPResponse(b""), b"boom"),
    ("container", 1, "command", "image", b"boom"),
]


def made(kind: type[Exception]) -> Exception:
    """An error of a class, with arguments that fit it."""
    for arguments in ARGUMENTS:
        with suppress(TypeError, AttributeError):
            error = kind(*arguments)
            assert str(error) is not None
            return error
    raise AssertionError(f"what does {kind} take?")


@pytest.mark.parametrize("kind", FOREIGN_CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_foreign_class_gets_out(kind: type[Exception]) -> None:
    with pytest.raises(BottleError), translated("do it", ADDRESS):
        raise made(kind)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (api_error(404, "No such container: x"), NotFound, "No such container: x"),
        (api_error(409, "is in use"), Conflict, "is in use"),
        (api_error(500, "Container x is not paused"), Conflict, "is not paused"),
        (api_error(500, "can't pause: container state improper"), Conflict, "state improper"),
        (api_error(500, "create: the name x is in use by y: that name is already in use"), Conflict, "in use by"),
        (api_error(500, "x not found: layer not known"), NotFound, "layer not known"),
        (api_error(500, "cannot toggle freezer: cgroups not configured for container"), CannotPause, "rootless"),
        (api_error(500, "crun: cannot pause the container without a cgroup"), CannotPause, "rootless"),
        (
            api_error(500, "OCI runtime pause failed: /sys/fs/cgroup/x/cgroup.freeze: no such file"),
            EngineError,
            "freeze",
        ),
        (api_error(500, "container-init binary not found on the host"), EngineError, "no init for containers"),
        (api_error(500, "no space left on device"), EngineError, "no space left on device"),
        (
            api_error(500, f"{PORT_FAILED}Bind for 0.0.0.0:80 failed: port is already allocated"),
            PortTaken,
            "port 0.0.0.0:80",
        ),
        (
            api_error(
                500,
                f"{PORT_FAILED}Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use",
            ),
            PortTaken,
            "port 127.0.0.1:80 ",
        ),
        (
            api_error(
                500, f"{PORT_FAILED}failed to bind host port for [::1]:80:172.17.0.2:8080/tcp: address already in use"
            ),
            PortTaken,
            "port [::1]:80 ",
        ),
        (
            api_error(500, 'could not select device driver "" with capabilities: [[gpu]]'),
            EngineError,
            "no driver for the GPUs",
        ),
        (api_error(500, "the disk is already in use"), EngineError, "disk is already in use"),
        (api_error(400, "\x1b[31mred\x07"), EngineError, "could not do it: red"),
        (connection_error(FileNotFoundError(2, "No such file")), EngineUnreachable, ADDRESS),
        (connection_error(ConnectionRefusedError(111, "refused")), EngineUnreachable, "refused"),
        (connection_error(PermissionError(13, "Permission denied")), EngineUnreachable, "permission denied"),
        (requests.exceptions.ConnectTimeout("slow"), EngineUnreachable, ADDRESS),
        (requests.exceptions.ReadTimeout("slow"), EngineError, "did not answer in time"),
        (connection_error(ConnectionResetError(104, "reset")), EngineError, "broke"),
        (connection_error(OSError(24, "Too many open files")), EngineError, "too few file descriptors are left to ask"),
        (requests.exceptions.ChunkedEncodingError("cut"), EngineError, "broke"),
        (docker.errors.DockerException("odd"), EngineError, "odd"),
    ],
)
def test_each_cause_has_its_error(error: Exception, kind: type[BottleError], words: str) -> None:
    found = translate(error, "do it", ADDRESS)
    assert type(found) is kind
    assert words in found.what


@pytest.mark.parametrize("error", [requests.exceptions.ReadTimeout("slow"), connection_error(ConnectionResetError())])
def test_an_unknown_outcome_is_said_to_be_unknown(error: Exception) -> None:
    assert "not known" in translate(error, "commit", ADDRESS).left


def test_where_there_are_too_few_descriptors_it_says_how_to_have_more() -> None:
    assert translate(connection_error(OSError(24, "Too many open files")), "commit", ADDRESS).next_step == (
        "ulimit -n 1024, then the same again"
    )


def test_what_the_caller_was_handling_is_no_cause() -> None:
    try:
        raise FileNotFoundError(2, "the caller's own")
    except FileNotFoundError:
        with pytest.raises(EngineError) as caught, translated("do it", ADDRESS):
            raise requests.exceptions.ReadTimeout("slow")  # noqa: B904
    assert type(caught.value) is EngineError


def test_own_errors_and_interrupts_pass() -> None:
    for error in (Interrupted("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), translated("do it", ADDRESS):
            raise error


def test_an_engine_is_local_behind_a_socket_of_this_machine(tmp_path: Path) -> None:
    assert DockerEngine({"DOCKER_CONFIG": str(tmp_path)}).is_local
    assert DockerEngine({"DOCKER_HOST": "unix:///x"}).is_local
    assert not DockerEngine({"DOCKER_HOST": "tcp://127.0.0.1:1"}).is_local
    assert not DockerEngine({"DOCKER_HOST": "ssh://me@there"}).is_local


@pytest.mark.parametrize(
    "address", ["unix:///no/such/socket", "tcp://127.0.0.1:1", "tcp://127.0.0.1:port", "nonsense://x", "tcp://"]
)
def test_an_engine_that_is_not_there_is_unreachable(address: str) -> None:
    engine = DockerEngine({"DOCKER_HOST": address})  # which asks nobody yet
    with pytest.raises(EngineUnreachable) as caught:
        engine.info()
    assert address in caught.value.what
    assert caught.value.next_step == "bottle doctor"


def test_tls_without_its_files_is_unreachable(tmp_path: Path) -> None:
    environment = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
    engine = DockerEngine(environment)
    with pytest.raises(EngineUnreachable):
        engine.info()


# A daemon that misbehaves.

VERSION = json.dumps({"ApiVersion": "1.41", "Version": "20.10", "Arch": "amd64", "Os": "linux"}).encode()
PODMAN = b"Libpod-API-Version: 4.3.1\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FAULTS = {
    "hangs up": b"",
    "speaks no HTTP": b"what?\r\n\r\n",
    "is cut in its body": HEAD + b'Content-Length: 1000\r\n\r\n{"Id": "x"',
    "is cut in a chunk": HEAD + b'Transfer-Encoding: chunked\r\n\r\n400\r\n{"Id": "x"',
    "answers no JSON": HEAD + b"Content-Length: 5\r\n\r\n<html",
    "refuses in HTML": b"HTTP/1.1 503 Unavailable\r\nContent-Length: 6\r\n\r\n<html>",
    "refuses in odd JSON": b"HTTP/1.1 500 Error\r\nContent-Length: 4\r\n\r\nnull",
}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes | None], DockerEngine]]:
    """Engines whose daemon answers what version it has, and to all else the same bytes; None: it says nothing."""
    monkeypatch.setenv("PATH", "")  # no docker client, so that the engine builds
    stop = threading.Event()
    servers = []

    def engine(answer: bytes | None) -> DockerEngine:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    length, chunked = 0, False
                    while (header := self.rfile.readline().strip().lower()) != b"":
                        if header.startswith(b"content-length:"):
                            length = int(header.split(b":")[1])
                        chunked = chunked or header == b"transfer-encoding: chunked"
                    self.rfile.read(length)
                    if chunked:
                        while self.rfile.readline() != b"0\r\n":
                            pass
                        self.rfile.readline()
                    if b"/version " in line:
                        whose = PODMAN if PODMAN in (answer or b"") else b""  # is in each of its answers
                        self.wfile.write(HEAD + whose + b"Content-Length: %d\r\n\r\n" % len(VERSION) + VERSION)
                        continue
                    if answer is None:
                        stop.wait(20)
                    else:
                        self.wfile.write(answer)
                    return

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

        path = tmp_path / f"{len(servers)}.sock"
        server = Server(str(path), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return DockerEngine({"DOCKER_HOST": f"unix://{path}"})

    yield engine
    stop.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_who_answers_is_asked_again_after_some_seconds_only(
    daemon: Callable[[bytes | None], DockerEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    info = json.dumps({"ID": "x", "Driver": "overlay2", "DockerRootDir": "/data", "ServerVersion": "20.10"}).encode()
    engine = daemon(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(info) + info)
    told = engine.info()
    assert engine.info() is told
    monkeypatch.setattr("bottle.docker_engine.engine._FRESH", 0)
    assert engine.info() is not told


def launch_spec(**fields: Any) -> LaunchSpec:
    standard: dict[str, Any] = {
        "name": "bottle-x",
        "image": "image:1",
        "entrypoint": ("agent", "--yes"),
        "env": (("A", "b"),),
        "labels": (("l", "v"),),
        "mounts": (),
        "workdir": "/workspace",
        "user": "",
        "hostname": "x",
        "network": "bridge",
        "memory": None,
        "cpus": None,
        "pids": 512,
        "cap_add": (),
        "tty": True,
        "interactive": True,
    }
    return LaunchSpec(**{**standard, **fields})


def commit_spec(**fields: Any) -> CommitSpec:
    return CommitSpec(**{"tag": "c:1", "labels": (), "defaults": ImageDefaults(), "message": "", **fields})


def build(engine: DockerEngine, folder: Path) -> None:
    engine.build(
        dockerfile=b"FROM x", context=folder, tag="x", labels={}, args={}, secrets={}, progress=RecordingProgress()
    )


CALLS: dict[str, Callable[[DockerEngine, Path], object]] = {
    "networks": lambda e, _: e.networks(),
    "container": lambda e, _: e.container("c"),
    "containers": lambda e, _: e.containers({}),
    "events": lambda e, _: list(e.events({})),
    "usage": lambda e, _: e.usage("c"),
    "image": lambda e, _: e.image("i"),
    "images": lambda e, _: e.images({}),
    "build": build,
    "pull": lambda e, _: e.pull("i:1", RecordingProgress()),
    "create": lambda e, _: e.create(launch_spec()),
    "start": lambda e, _: e.start("c"),
    "stop": lambda e, _: e.stop("c", 0),
    "pause": lambda e, _: e.pause("c"),
    "unpause": lambda e, _: e.unpause("c"),
    "rename": lambda e, _: e.rename("c", "d"),
    "remove_container": lambda e, _: e.remove_container("c"),
    "wait": lambda e, _: e.wait("c"),
    "commit": lambda e, _: e.commit("c", commit_spec()),
    "tag": lambda e, _: e.tag("i", "j:1"),
    "remove_image": lambda e, _: e.remove_image("i"),
    "changes": lambda e, _: e.changes("c"),
    "writable_size": lambda e, _: e.writable_size("c"),
    "writable_layer": lambda e, _: e.writable_layer("c"),
    "layer_folder": lambda e, _: e.layer_folder("c"),
    "read_archive": lambda e, _: list(e.read_archive("c", "/x")),
    "write_archive": lambda e, _: e.write_archive("c", "/x", io.BytesIO(b"x" * 3_000_000)),
    "save": lambda e, _: list(e.save("i")),
    "load": lambda e, _: e.load([b"x"] * 3),
    "logs": lambda e, _: list(e.logs("c")),
    "attach": lambda e, _: e.attach("c"),
    "resize": lambda e, _: e.resize("c", rows=1, columns=1),
    "create_volume": lambda e, _: e.create_volume("v", {}),
    "volumes": lambda e, _: e.volumes({}),
    "volume_folder": lambda e, _: e.volume_folder("v"),
    "remove_volume": lambda e, _: e.remove_volume("v"),
}
# Calls that read nothing but the status of the answer, or any bytes at all, have nothing to find wrong in a body.
BLIND = {
    "start",
    "stop",
    "rename",
    "remove_container",
    "tag",
    "write_archive",
    "resize",
    "remove_volume",
}
ANY_BYTES = {"read_archive", "save"}
# Calls that wait for as long as it takes.
ENDLESS = {"build", "wait", "pull", "read_archive", "save"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_daemon_that_fails_gives_own_errors(
    daemon: Callable[[bytes | None], DockerEngine], tmp_path: Path, call: str, fault: str
) -> None:
    engine = daemon(FAULTS[fault])
    if fault == "answers no JSON" and call in BLIND | ANY_BYTES:
        CALLS[call](engine, tmp_path)
        return
    with pytest.raises(BottleError) as caught:
        CALLS[call](engine, tmp_path)
    assert not isinstance(caught.value, EngineUnreachable)


@pytest.mark.parametrize("call", sorted(set(CALLS) - ENDLESS))
def test_a_daemon_that_says_nothing_leaves_the_outcome_unknown(
    daemon: Callable[[bytes | None], DockerEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(connection, "QUERY_SECONDS", 0.2)
    monkeypatch.setattr(connection, "PATIENT_SECONDS", 0.2)
    engine = daemon(None)
    with pytest.raises(EngineError, match="in time") as caught:
        CALLS[call](engine, tmp_path)
    assert "not known" in caught.value.left


def test_a_load_that_fails_late_is_an_error(daemon: Callable[[bytes | None], DockerEngine]) -> None:
    body = b'{"stream":"Loading"}\r\n{"errorDetail":{"message":"no space left"},"error":"no space left"}\r\n'
    engine = daemon(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    with pytest.raises(EngineError, match="no space left"):
        engine.load([b"x"])


def test_a_build_that_fails_shows_its_step_and_last_lines(
    daemon: Callable[[bytes | None], DockerEngine], tmp_path: Path
) -> None:
    said = [
        {"stream": "Step 1/2 : FROM x\n"},
        {"stream": " ---> 0123\n"},
        {"stream": "Step 2/2 : RUN make\n"},
        *[{"stream": f"line {number}\x1b[31m\n"} for number in range(50)],
        {"errorDetail": {"code": 2, "message": "returned a non-zero code: 2"}, "error": "…"},
    ]
    body = b"\r\n".join(json.dumps(event).encode() for event in said)
    engine = daemon(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    with pytest.raises(BuildFailed) as caught:
        build(engine, tmp_path)
    assert "at Step 2/2 : RUN make: returned a non-zero code: 2" in caught.value.what
    assert caught.value.details[-1] == "line 49"
    assert "line 5\n" not in caught.value.what
    assert "0123" not in caught.value.what


GONE = {"error": f'unable to find image "sha256:{"b0" * 32}"', "errorDetail": {}}


@pytest.mark.parametrize(("answers", "asked"), [([[GONE], []], 2), ([[GONE]] * 4, 4), ([[{"error": "no"}]], 1)])
def test_a_build_goes_on_where_an_image_beside_it_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[list[dict[str, object]]], asked: int
) -> None:
    sent: list[bytes] = []

    def build_there(**options: Any) -> Iterator[bytes]:
        sent.append(options["fileobj"].read())
        return (json.dumps(event).encode() for event in answers[len(sent) - 1])

    client = SimpleNamespace(build=build_there, dialect=Dialect())
    monkeypatch.setattr(Connection, "_connected", lambda _: (client, client))
    monkeypatch.setattr("bottle.docker_engine.builds.has_buildx", lambda _: False)
    with suppress(BuildFailed):
        build(DockerEngine({}), tmp_path)
        assert answers[-1] == []
    assert len(sent) == asked
    assert len(set(sent)) == 1  # all of the context, each time


@pytest.mark.parametrize(("header", "by_client"), [(b"", True), (PODMAN, False)])
def test_the_client_builds_where_the_engine_has_buildkit(
    daemon: Callable[[bytes | None], DockerEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    header: bytes,
    by_client: bool,
) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\n[ $2 = version ] && echo github.com/docker/buildx 0.29.1 x || : >$0.built\n")
    client.chmod(0o755)
    body = b'{"stream":"Step 1/1 : FROM x\\n"}'
    engine = daemon(HEAD + header + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    monkeypatch.setenv("PATH", str(tmp_path))
    build(engine, tmp_path)
    assert (tmp_path / "docker.built").exists() is by_client


# What is sent.


def test_a_path_is_sent_in_the_bytes_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def request(method: str, url: str, *, params: dict[str, Any], **_: object) -> requests.Response:
        asked.append(requests.Request(method, url, params=params).prepare().path_url)
        return response(200)

    client = SimpleNamespace(request=request, base_url="http://x", api_version="1.41")
    monkeypatch.setattr(Connection, "_connected", lambda _: (client, client))
    DockerEngine({}).read_archive("c", "/a b/\udcff\n&ä")
    assert asked == ["/v1.41/containers/c/archive?path=%2Fa+b%2F%FF%0A%26%C3%A4"]


@pytest.mark.parametrize("ref", ["", ".", "..", "../images/x", "a/b", "a b", "-x", "a\nb", "ä", "a?force=1", "a%2f"])
def test_what_can_name_no_container_is_not_sent(ref: str) -> None:
    with pytest.raises(NotFound):
        container_ref(ref)


@pytest.mark.parametrize("ref", ["", "..", "a/../b", "a//b", "/a", "-x", "a b", "a?b", "a:b:c:d", "a@x"])
def test_what_can_name_no_image_is_not_sent(ref: str) -> None:
    with pytest.raises(NotFound):
        image_ref(ref)


@pytest.mark.parametrize(
    "ref",
    ["a", "a:1", "bottle-committed-claude-x7k2p:12", "host:5000/a/b:1", "a@sha256:" + "0" * 64, "sha256:" + "0" * 64],
)
def test_names_of_images_are_sent(ref: str) -> None:
    assert image_ref(ref) == ref


@pytest.mark.parametrize(
    ("reference", "parts"),
    [("a:1", ("a", "1")), ("a", ("a", "latest")), ("h:5/a", ("h:5/a", "latest")), ("h:5/a:1", ("h:5/a", "1"))],
)
def test_split_tag(reference: str, parts: tuple[str, str]) -> None:
    assert split_tag(reference) == parts


def test_label_filters() -> None:
    assert label_filters({}) == {}
    assert label_filters({"a": None, "b": "c", "d": ""}) == {"label": ["a", "b=c", "d="]}


def test_a_container_is_created_hardened() -> None:
    mounts = (
        Mount(kind=MountKind.BIND, source="/srv", target="/a", read_only=True),
        Mount(kind=MountKind.VOLUME, source="v", target="/b"),
        Mount(kind=MountKind.TMPFS, source="", target="/c"),
    )
    config = create_config(
        launch_spec(mounts=mounts, memory=1 << 30, cpus=1.5, cap_add=("CHOWN",)), {"Config": {"Cmd": ["bash"]}}
    )
    host = config.pop("HostConfig")
    assert config == {
        "Image": "image:1",
        "Entrypoint": ["agent", "--yes"],
        "Env": ["A=b"],
        "Labels": {"l": "v"},
        "WorkingDir": "/workspace",
        "User": "",
        "Hostname": "x",
        "Tty": True,
        "OpenStdin": True,
        "StdinOnce": False,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
    }
    assert host == {
        "CapDrop": ["ALL"],
        "CapAdd": ["CHOWN"],
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "NetworkMode": "bridge",
        "Mounts": [
            {"Type": "bind", "Source": "/srv", "Target": "/a", "ReadOnly": True},
            {"Type": "volume", "Source": "v", "Target": "/b", "ReadOnly": False},
            {"Type": "tmpfs", "Target": "/c", "ReadOnly": False},
        ],
        "PidsLimit": 512,
        "Memory": 1 << 30,
        "MemorySwap": 1 << 30,
        "NanoCpus": 1_500_000_000,
    }


def test_what_an_agent_may_have_of_the_host_is_said_as_docker_takes_it() -> None:
    ports = tuple(map(PortBinding.parse, ("80:8080", "[::1]:80:8080", "53:53/udp")))
    hosts = (("db.local", "10.0.0.5"), ("docker", "host-gateway"))
    config = create_config(launch_spec(ports=ports, hosts=hosts, shm_size=1 << 30, gpus="all"), {})
    assert config["ExposedPorts"] == {"8080/tcp": {}, "53/udp": {}}
    host = config["HostConfig"]
    assert host["PortBindings"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}, {"HostIp": "::1", "HostPort": "80"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
    }
    assert host["ExtraHosts"] == ["db.local:10.0.0.5", "docker:host-gateway"]
    assert host["ShmSize"] == 1 << 30


@pytest.mark.parametrize(
    ("gpus", "asked"),
    [("all", {"Count": -1}), ("2", {"Count": 2}), ("device=0,GPU-fe", {"DeviceIDs": ["0", "GPU-fe"]})],
)
def test_gpus_are_asked_for_as_the_client_does(gpus: str, asked: dict[str, object]) -> None:
    (request,) = create_config(launch_spec(gpus=gpus), {})["HostConfig"]["DeviceRequests"]
    assert request == {"Capabilities": [["gpu"]], **asked}


def test_what_the_image_says_of_user_and_health_check_is_overruled() -> None:
    image = {"Config": {"User": "1000", "Healthcheck": {"Test": ["CMD", "x"]}}}
    config = create_config(launch_spec(), image)
    assert (config["User"], config["Healthcheck"]) == ("0", NO_HEALTHCHECK)
    assert create_config(launch_spec(user="agent"), image)["User"] == "agent"


def test_the_input_can_be_ended_where_there_is_no_terminal() -> None:
    assert create_config(launch_spec(tty=False), {})["StdinOnce"]
    assert not create_config(launch_spec(tty=True), {})["StdinOnce"]


def test_a_commit_says_entrypoint_and_command_even_when_they_are_empty() -> None:
    config = commit_config(commit_spec(labels=(("l", "v"),)), {"Config": {"User": ""}}, {})
    assert config == {"Entrypoint": [], "Cmd": [], "User": "", "Labels": {"l": "v"}}


def test_a_commit_gives_back_what_create_overruled() -> None:
    healthcheck = {"Test": ["CMD", "x"], "Interval": 5}
    running = {"Config": {"User": "0", "Healthcheck": {**NO_HEALTHCHECK, "Interval": 5}}}
    config = commit_config(commit_spec(), running, {"Config": {"Healthcheck": healthcheck, "Shell": ["/bin/bash"]}})
    assert (config["Healthcheck"], config["Shell"], config["User"]) == (healthcheck, ["/bin/bash"], "0")


def test_a_commit_leaves_a_health_check_of_the_container_alone() -> None:
    own = {"Config": {"Healthcheck": {"Test": ["CMD", "own"]}}}
    assert "Healthcheck" not in commit_config(commit_spec(), own, {"Config": {"Healthcheck": {"Test": ["CMD", "x"]}}})
    assert "Healthcheck" not in commit_config(commit_spec(), {"Config": {"Healthcheck": NO_HEALTHCHECK}}, {})


# Streams.


def frame(data: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 100])
def test_frames_come_off_wherever_they_are_cut(size: int) -> None:
    framed = frame(b"one") + frame(b"", 2) + frame(b"two" * 10, 2) + frame(b"!")
    pieces = [framed[start : start + size] for start in range(0, len(framed), size)]
    assert b"".join(unframed(pieces)) == b"one" + b"two" * 10 + b"!"


def test_output_is_never_longer_than_what_was_read() -> None:
    frames = Demultiplexer()
    assert frames.feed(frame(b"abc")[:9]) == b"a"
    assert frames.feed(b"bc" + frame(b"d")) == b"bcd"


def test_leaving_a_stream_early_ends_its_source() -> None:
    ended = []

    def source() -> Iterator[bytes]:
        try:
            while True:
                yield frame(b"x")
        finally:
            ended.append(True)

    stream = unframed(source())
    assert next(stream) == b"x"
    stream.close()  # type: ignore[attr-defined]
    assert ended


def test_events_are_read_however_they_are_cut() -> None:
    whole = b'{"a": 1}\r\n\r\n{"b": "\xc3\xa4"}\n[1]\n{"c": 3}'
    for size in (1, 5, 100):
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        assert list(events(pieces, "x")) == [{"a": 1}, {"b": "ä"}, {"c": 3}]


def test_a_source_gives_its_own_error_precedence() -> None:
    own = OSError(5, "the disk broke")

    def body() -> Iterator[bytes]:
        yield b"x"
        raise own

    source = Body(body())
    with pytest.raises(OSError, match="disk") as caught, source, translated("load", ADDRESS):
        list(source)
    assert caught.value is own


# The layer on disk.


@pytest.mark.parametrize(
    ("mountinfo", "folder"),
    [
        ("1 2 0:5 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u/fs,workdir=/w\n", "/u/fs"),
        ("1 2 0:5 / / rw shared:1 master:2 - overlay o rw,upperdir=/with\\040space\n", "/with space"),
        ("1 2 0:5 / / rw - overlay o rw,upperdir=/größe/漢字\\134\\054x,workdir=/w\n", "/größe/漢字\\,x"),
        ("1 2 0:5 / / rw - overlay o rw,upperdir=/a\u2028b\u00a0c\x85d\n", "/a\u2028b\u00a0c\x85d"),
        ("1 2 0:5 / / rw - overlay o rw,upperdir=/\udcff\n", "/\udcff"),
        ("1 2 0:5 / /mnt rw - overlay overlay rw,upperdir=/other\n", None),
        ("1 2 0:5 / / rw - overlay overlay rw,upperdir=relative\n", None),
        ("1 2 8:1 / / rw - ext4 /dev/sda rw\n", None),
        ("", None),
        ("garbage\n - \n", None),
    ],
)
def test_upper_folder(mountinfo: str, folder: str | None) -> None:
    assert upper_folder(os.fsencode(mountinfo)) == folder


# Build contexts.


def members_of(folder: Path, dockerfile: bytes = b"FROM x") -> tuple[dict[str, tarfile.TarInfo], dict[str, bytes], str]:
    with build_context(folder, dockerfile) as (spool, name), tarfile.open(fileobj=spool) as tar:
        members = {member.name: member for member in tar}
        contents = {each.name: tar.extractfile(each).read() for each in members.values() if each.isfile()}  # type: ignore[union-attr]
    return members, contents, name


def test_a_context_holds_what_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("\ufeff# comment\n*.log\nbuild\n!build/kept\n\n")
    for name in ("a.txt", "b.log", "build/x", "build/kept", "deep/c.log", "deep/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("a.txt")
    members, contents, name = members_of(tmp_path)
    assert {"a.txt", "deep/d", "deep/c.log", "build/kept", "link"} <= set(members)
    assert not {"b.log", "build/x"} & set(members)
    assert contents[name] == b"FROM x"
    assert contents[".dockerignore"].endswith(f"\n{name}\n".encode())
    assert members["link"].linkname == "a.txt"
    assert {(each.uid, each.gid, each.uname) for each in members.values()} == {(0, 0, "")}


def test_a_context_without_dockerignore_hides_the_one_that_is_put_in(tmp_path: Path) -> None:
    _, contents, name = members_of(tmp_path)
    assert contents[".dockerignore"] == f".dockerignore\n{name}\n".encode()


def test_the_same_dockerfile_has_the_same_name_and_no_file_is_hidden_by_it(tmp_path: Path) -> None:
    name = members_of(tmp_path)[2]
    assert members_of(tmp_path)[2] == name
    assert members_of(tmp_path, b"FROM y")[2] != name
    (tmp_path / name).write_text("a file of the user's")
    contents = members_of(tmp_path)[1]
    assert contents[name] == b"a file of the user's"


def test_a_context_leaves_sockets_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.sock")
        assert "s.sock" not in members_of(tmp_path)[0]


def test_a_context_that_cannot_be_read_is_a_failed_build(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="nowhere"):
        members_of(tmp_path / "nowhere")


def test_an_error_of_the_build_is_none_of_the_context(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="elsewhere"), build_context(tmp_path, b"FROM x"):
        raise OSError(5, "elsewhere")


def test_a_folder_where_this_user_may_not_go_is_none_to_be_read() -> None:
    with users_folder() as folder:
        (folder / "closed" / "inner").mkdir(parents=True)
        (folder / "file").touch(mode=0o755)
        (folder / "closed").chmod(0)
        with as_user():
            found = [readable_folder(str(folder / name)) for name in ("", "closed", "closed/inner", "missing", "file")]
        (folder / "closed").chmod(0o755)
    assert found == [True, False, False, False, False]


def test_nothing_is_loaded_that_only_other_ways_to_an_engine_need() -> None:
    ask = "; print('docker' in sys.modules, 'paramiko' in sys.modules)"
    loaded = f"import sys, bottle.docker_engine.endpoint{ask}; bottle.docker_engine.DockerEngine{ask}"
    said = subprocess.run((sys.executable, "-c", loaded), capture_output=True, text=True, check=True)
    assert said.stdout == "False False\nTrue False\n"
