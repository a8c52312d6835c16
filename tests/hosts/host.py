"""One Docker host in a container: started, reached, loaded with images, broken on purpose, removed."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Literal, Self, cast

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.hosts.image import ensure_host_image
from tests.hosts.keys import known_hosts_line, make_key_pair, ssh_config_text, write_private
from tests.hosts.powers import add_host_config, docker_in_docker
from tests.hosts.runs import RunResult, run_in

# The reaper is an image from a registry that may not answer; labels and `finally` do its work here.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
testcontainers_config.ryuk_disabled = True

ImageStore = Literal["classic", "containerd"]

LABEL_NAME = "agent-bottle.testhost"
LABEL_RUN = "agent-bottle.run"
ADDRESS = "127.0.0.1"

ADD_LOGIN = """
set -eu
name=$1 shell=$2 sudo=$3 group=$4
id "$name" >/dev/null 2>&1 || useradd --create-home --shell "$shell" "$name"
usermod --shell "$shell" "$name"
if [ "$sudo" = yes ]; then
    printf '%s ALL=(ALL) NOPASSWD: ALL\\n' "$name" >"/etc/sudoers.d/$name"
fi
if [ "$group" = yes ]; then
    usermod --append --groups docker "$name"
fi
home=$(getent passwd "$name" | cut -d: -f6)
install -d -m 700 -o "$name" "$home/.ssh"
cat >"$home/.ssh/authorized_keys"
chown "$name" "$home/.ssh/authorized_keys"
chmod 600 "$home/.ssh/authorized_keys"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user that may log in over SSH with the run's key."""

    name: str
    sudo: bool = False
    docker_group: bool = False
    shell: str = "/bin/bash"


ROOT = Login(name="root")
OPERATOR = Login(name="op", sudo=True)


def new_run_id() -> str:
    """A label value that one test session gives to all that it makes."""
    return secrets.token_hex(4)


class DockerHost:
    """A machine with a dockerd and an sshd; a context manager that removes all of it at its end.

    ``logins`` are made besides ``root`` and ``op`` (sudo without a password, no right to use Docker);
    a login named like one of those replaces it. ``daemon_options`` are merged into daemon.json.
    ``data_disk_mb`` puts /var/lib/docker on an ext4 disk of that size. Files (keys, known_hosts, ssh_config)
    go into ``directory``, or into a temporary folder of mode 0700 that is removed at the end.
    """

    address = ADDRESS
    data = "/var/lib/docker"

    def __init__(
        self,
        store: ImageStore = "classic",
        *,
        name: str | None = None,
        run_id: str | None = None,
        directory: Path | None = None,
        logins: Sequence[Login] = (),
        daemon_options: Mapping[str, object] | None = None,
        data_disk_mb: int | None = None,
    ) -> None:
        self.store = store
        self.name = name or f"testhost-{store}-{secrets.token_hex(3)}"
        self.run_id = run_id or new_run_id()
        self.logins = tuple({login.name: login for login in (ROOT, OPERATOR, *logins)}.values())
        self._daemon_options = dict(daemon_options or {})
        self._data_disk_mb = data_disk_mb
        self._own_directory = directory is None
        self._directory = directory
        self._client = docker.from_env(timeout=600)
        self._testcontainer: DockerContainer | None = None
        self._volume = f"{self.name}-data"
        self.port = 0

    # Life

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and wait until dockerd and sshd answer; on failure nothing is left."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove the container, its volume and, if it was made here, the folder of keys."""
        if self._testcontainer is not None:
            with suppress(APIError):
                self._testcontainer.stop()
        remove_hosts(self._client, name=self.name)
        self._client.close()
        if self._own_directory and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self) -> None:
        image = self._image()
        powers = docker_in_docker(self._client, image)
        labels = {LABEL_NAME: self.name, LABEL_RUN: self.run_id}
        host_key, user_key = make_key_pair(), make_key_pair()
        self._client.volumes.create(self._volume, labels=labels)
        container = (
            DockerContainer(image)
            .with_name(self.name)
            .with_volume_mapping(self._volume, self.data, "rw")
            .with_copy_into_container(host_key.private, "/etc/ssh/testhost_ed25519", 0o600)
            .with_kwargs(labels=labels, hostname=self.name, init=True, network="bridge", **powers.arguments)
        )
        self._furnish(container)
        for folder in powers.mounts:
            container.with_volume_mapping(folder, folder, "rw")
        add_host_config(container.get_docker_client().client, powers.host_config)
        # On loopback only, on a free port. testcontainers' own type has no room for docker-py's (address, port).
        cast("dict[str, Any]", container.ports)["22/tcp"] = (ADDRESS, None)
        self._testcontainer = container
        container.start()
        self.port = self._published_port()
        self._write_files(host_key.public, user_key.private)
        for login in self.logins:
            self._add_login(login, user_key.public)
        self.wait_ready()

    def _image(self) -> str:
        return ensure_host_image(self._client)

    def _furnish(self, container: DockerContainer) -> None:
        """Give the container what its engine is told."""
        container.with_env("DATA_DISK_MB", str(self._data_disk_mb or ""))
        container.with_copy_into_container(self._daemon_json(), "/etc/docker/daemon.json")

    def _daemon_json(self) -> bytes:
        options: dict[str, object] = {"storage-driver": "overlay2"}
        if self.store == "containerd":
            options = {"features": {"containerd-snapshotter": True}, "storage-driver": "overlayfs"}
        return json.dumps(options | self._daemon_options, indent=2).encode()

    def _published_port(self) -> int:
        for _ in range(50):
            self.container.reload()
            if bindings := self.container.attrs["NetworkSettings"]["Ports"].get("22/tcp"):
                return int(bindings[0]["HostPort"])
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not run:\n{self.logs()}")

    def _write_files(self, host_public: str, user_private: bytes) -> None:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="bottle-host-"))
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        write_private(self.key_file, user_private)
        self.known_hosts.write_text(known_hosts_line(ADDRESS, self.port, host_public))
        self.ssh_config.write_text(
            ssh_config_text(
                name=self.name,
                users=[login.name for login in self.logins],
                address=ADDRESS,
                port=self.port,
                key_file=self.key_file,
                known_hosts=self.known_hosts,
            )
        )

    def _add_login(self, login: Login, public_key: str) -> None:
        flags = ["yes" if flag else "no" for flag in (login.sudo, login.docker_group)]
        self.exec(
            ["sh", "-c", ADD_LOGIN, "add-login", login.name, login.shell, *flags], stdin=f"{public_key}\n".encode()
        )

    def wait_ready(self) -> None:
        """Return when dockerd answers its client and sshd greets; raise with their logs otherwise."""
        self.exec(["hostctl", "wait"])
        for _ in range(100):
            with suppress(OSError), socket.create_connection((ADDRESS, self.port), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return
            time.sleep(0.1)
        raise RuntimeError(f"sshd of {self.name} does not answer on port {self.port}:\n{self.logs()}")

    # Where it is

    @property
    def container(self) -> Container:
        """The running container, in the outer engine."""
        if self._testcontainer is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._testcontainer.get_wrapped_container()

    @property
    def directory(self) -> Path:
        """The folder of its keys and SSH files."""
        if self._directory is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._directory

    @property
    def key_file(self) -> Path:
        """The private key that every login accepts."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """A known_hosts with this host's real key."""
        return self.directory / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """An ssh_config: ``Host NAME`` is root's login, ``NAME-USER`` each user's."""
        return self.directory / "ssh_config"

    def alias(self, user: str = "root") -> str:
        """The name of a login in ``ssh_config``."""
        return f"{self.name}-{user}"

    def logs(self) -> str:
        """What the container and its dockerd said last."""
        said = bytes(self.container.logs(tail=50)).decode("utf-8", "replace")
        with suppress(APIError):
            said += self.exec(["tail", "-n", "50", "/var/log/dockerd.log"], check=False).text
        return said

    # What it does

    def exec(
        self,
        args: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] | None = None,
        check: bool = True,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = 600,
    ) -> RunResult:
        """Run a program there, through the outer engine and not over SSH."""
        container_id = str(self.container.id)
        result = run_in(self._client, container_id, args, stdin=stdin, user=user, env=env, timeout=timeout)
        return result.check() if check else result

    def docker(self, *args: str, check: bool = True, stdin: bytes | Iterable[bytes] | None = None) -> RunResult:
        """Run the docker client there."""
        return self.exec(["docker", *args], check=check, stdin=stdin)

    def ssh(
        self, command: str, *, user: str = "root", options: Sequence[str] = (), timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command line there with the system's ssh client."""
        argv = self.ssh_command(command, user=user, options=options)
        return subprocess.run(argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout)

    def ssh_command(self, command: str, *, user: str = "root", options: Sequence[str] = ()) -> tuple[str, ...]:
        """The arguments that ``ssh`` runs, for a test that wants to stop it midway."""
        return ("ssh", "-F", str(self.ssh_config), *options, self.alias(user), command)

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder to exactly ``target``; owned by root, modes kept."""
        path = PurePosixPath(target)
        self.exec(["mkdir", "-p", str(path.parent)])
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(source, arcname=path.name, filter=_owned_by_root)
        self.container.put_archive(str(path.parent), buffer.getvalue())

    def get(self, source: str, target: Path | None = None) -> bytes:
        """Return a file's content, and write it to ``target`` if one is given."""
        pieces, _ = self.container.get_archive(source)
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            member = archive.next()
            stream = archive.extractfile(member) if member is not None else None
            if stream is None:
                raise IsADirectoryError(f"{self.name}:{source} is not a file")
            content = stream.read()
        if target is not None:
            target.write_bytes(content)
        return content

    def load_image(self, image: str) -> None:
        """Copy an image of the outer engine into this host's."""
        self.docker("load", "--quiet", stdin=self._client.api.get_image(image))

    def install_bottle(self, wheel: Path) -> None:
        """Install bottle there without an index, on Debian's packages, as /usr/local/bin/bottle."""
        target = f"/tmp/{wheel.name}"
        self.put(wheel, target)
        pip = ["/opt/bottle/bin/pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", target]
        self.exec(pip)
        self.exec(["ln", "-sf", "/opt/bottle/bin/bottle", "/usr/local/bin/bottle"])

    # What can go wrong there

    def restart_docker(self) -> None:
        """Stop dockerd in order and start it again."""
        self.exec(["hostctl", "restart"])

    def kill_docker(self) -> None:
        """Kill dockerd as a crash would; ``start_docker`` brings it back."""
        self.exec(["hostctl", "kill"])

    def stop_docker(self) -> None:
        """Stop dockerd in order; ``start_docker`` brings it back."""
        self.exec(["hostctl", "stop"])

    def start_docker(self) -> None:
        """Start dockerd if it does not run, and wait for it."""
        self.exec(["hostctl", "start"])
        self.exec(["hostctl", "wait"])

    def kill_sshd_sessions(self) -> int:
        """Cut every SSH connection, leaving sshd itself; returns how many processes that took."""
        result = self.exec(["pkill", "--count", "-KILL", "-x", "sshd-session|sshd-auth"], check=False)
        return int(result.text or 0)


def remove_hosts(client: docker.DockerClient, *, name: str | None = None, run_id: str | None = None) -> int:
    """Remove the hosts of a name, of a run, or all; returns how many containers that were."""
    label = f"{LABEL_NAME}={name}" if name else f"{LABEL_RUN}={run_id}" if run_id else LABEL_NAME
    containers = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    for container in containers:
        with suppress(NotFound):
            container.remove(force=True, v=True)
    for volume in client.volumes.list(filters={"label": label}):
        with suppress(NotFound):
            volume.remove(force=True)
    return len(containers)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
