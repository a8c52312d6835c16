"""A Docker that runs its containers in something that calls itself runsc; no gVisor is needed to be refused by name."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable

from tests.contract.engine import eventually
from tests.hosts import DockerHost
from tests.integration.mainjob import bench_on

NAME = "sandbox"


def stands_for(host: DockerHost, program: str) -> None:
    """Have the host's engine run containers in `NAME`, which is `program` from now on; what runs goes on."""
    options = json.loads(host.get("/etc/docker/daemon.json"))
    options |= {"runtimes": {NAME: {"path": program}}, "default-runtime": NAME}
    host.exec(["tee", "/etc/docker/daemon.json"], stdin=json.dumps(options).encode())
    host.exec(["pkill", "-HUP", "-x", "dockerd"])

    def told() -> bool:
        info = json.loads(host.docker("info", "--format", "{{json .}}").stdout)
        return info["DefaultRuntime"] == NAME and info["Runtimes"][NAME]["path"] == program

    assert eventually(told)


def test_work_is_not_trusted_to_what_may_keep_it_to_itself(
    make_host: Callable[..., DockerHost], with_bottle: Callable[[DockerHost], DockerHost], base_image: str
) -> None:
    host = make_host()
    with_bottle(host).load_image(base_image)
    with bench_on(host, "root", "/root") as bench:
        stands_for(host, "/usr/sbin/runc")
        identity = str(bench.ok("start", "worker", "-d")["identity"])
        bench.wait_for(identity, ["first"])
        container = f"bottle-{identity}"
        assert host.docker("inspect", "--format", "{{.HostConfig.Runtime}}", container).text == NAME
        bench.ok("commit", identity)

        stands_for(host, "/usr/local/bin/runsc")
        named = f"{NAME} (/usr/local/bin/runsc)"
        assert named in bench.refused(8, "start", "worker", "-d")
        for verb, *words in (("commit",), ("stop",), ("export", "/root/x.bottle")):
            assert named in bench.refused(8, verb, identity, *words)
        doctor = bench.run("bottle", "doctor")
        assert doctor.returncode == 8
        assert doctor.stdout.decode().count(named) == 3  # the engine, the agent of the manifest, and the bottle
        said = bench.refused(8, "commit", identity)
        line = said.partition("next:")[2].partition(">")[0].strip()
        assert line.startswith(f"docker exec {container} tar ")
        saved = bench.run("sh", "-c", line, cwd="/root").check().stdout
        with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
            journal = tar.extractfile("./var/tmp/journal")
            assert journal is not None
            assert journal.read() == b"first\n"
        assert bench.journal(identity) == ["first"]
        host.docker("rm", "-f", container)
        assert named in bench.refused(8, "resume", identity, "-d")
        stands_for(host, "/usr/sbin/runc")
        bench.ok("resume", identity, "-d")
        bench.wait_for(identity, ["first", "again"])
