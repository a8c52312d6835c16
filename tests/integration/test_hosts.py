"""The rig itself: what later tests take for granted about the hosts is true."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.hosts import DockerHost, Login, RemoteError, remove_hosts
from tests.hosts.keys import known_hosts_line, make_key_pair

STORES = {"classic": "overlay2", "containerd": "overlayfs"}


def test_the_image_store_is_the_one_asked_for(destination: DockerHost) -> None:
    driver = destination.docker("info", "--format", "{{.Driver}} {{.DriverStatus}}").text
    assert driver.split()[0] == STORES[destination.store]
    assert ("io.containerd.snapshotter.v1" in driver) == (destination.store == "containerd")


def test_ssh_accepts_the_real_host_key_only(destination: DockerHost, tmp_path: Path) -> None:
    assert destination.ssh("id -un").stdout == b"root\n"
    other = tmp_path / "known_hosts"
    other.write_text(known_hosts_line(destination.address, destination.port, make_key_pair().public))
    refused = destination.ssh("id -un", options=("-o", f"UserKnownHostsFile={other}"))
    assert refused.returncode == 255
    assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr
    assert refused.stdout == b""


def test_the_operator_needs_sudo_for_docker(classic_host: DockerHost) -> None:
    assert classic_host.ssh("docker version", user="op").returncode != 0
    assert classic_host.ssh("sudo -n docker version", user="op").returncode == 0


def test_an_image_loaded_there_runs(destination: DockerHost, base_image: str) -> None:
    destination.load_image(base_image)
    limits = ("--network", "bridge", "--memory", "64m", "--pids-limit", "64", "--cap-drop", "ALL")
    result = destination.docker("run", "--rm", *limits, base_image, "cat", "/etc/os-release")
    assert b"trixie" in result.stdout


def test_a_program_gets_its_input_and_its_failure_is_told(classic_host: DockerHost) -> None:
    content = bytes(range(256)) * 20_000
    assert classic_host.exec(["cat"], stdin=content).stdout == content
    assert classic_host.exec(["true"], stdin=content).returncode == 0
    failed = classic_host.exec(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (failed.returncode, failed.stdout, failed.stderr) == (3, b"out\n", b"err\n")
    with pytest.raises(RemoteError, match=r"exit 3: .*\nerr"):
        failed.check()


def test_files_travel_both_ways(classic_host: DockerHost, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"\x00content\xff")
    classic_host.put(source, "/srv/new folder/file")
    assert classic_host.get("/srv/new folder/file", tmp_path / "copy") == b"\x00content\xff"
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_the_zstd_command_is_missing_there(classic_host: DockerHost) -> None:
    assert classic_host.exec(["sh", "-c", "command -v zstd"], check=False).returncode != 0


def test_ssh_connections_can_be_cut(classic_host: DockerHost) -> None:
    command = classic_host.ssh_command("echo there; sleep 60")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"there\n"
        assert classic_host.kill_sshd_sessions() > 0
        assert client.wait(timeout=20) == 255
    assert classic_host.kill_sshd_sessions() == 0
    assert classic_host.ssh("true").returncode == 0


@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_a_host_of_ones_own(
    engine: docker.DockerClient, make_host: Callable[..., DockerHost], base_image: str, store: str
) -> None:
    logins = (Login(name="dora", docker_group=True, shell="/bin/tcsh"), Login(name="guest"))
    host = make_host(store=store, data_disk_mb=700, logins=logins, daemon_options={"debug": True})
    size = int(host.exec(["df", "--output=size", "-m", "/var/lib/docker"]).text.split()[-1])
    assert 500 < size <= 700
    assert host.ssh("docker version", user="dora").returncode == 0
    assert host.ssh("echo $version", user="dora").stdout.startswith(b"tcsh")
    assert host.ssh("sudo -n docker version", user="guest").returncode != 0

    host.load_image(base_image)
    host.restart_docker()
    host.kill_docker()
    assert host.docker("ps", check=False).returncode != 0
    host.start_docker()
    assert b"trixie" in host.docker("run", "--rm", base_image, "cat", "/etc/os-release").stdout

    host.stop()
    assert remove_hosts(engine, name=host.name) == 0
    assert not host.directory.exists()
