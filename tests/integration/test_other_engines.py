"""Engines that are not the system's dockerd against the contract of all engines, and the main job on each.

What such an engine does otherwise is a test of its own name here, so that it is known, and noticed when it ends.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
import pytest

pytest.register_assert_rewrite("tests.contract.engine")

from bottle.errors import EngineError, NotFound  # noqa: E402
from bottle.model import NO_RESTART, Mount, MountKind, Product, Status  # noqa: E402
from tests.contract.engine import EngineContract, Rig, read_tar, tar_of  # noqa: E402
from tests.hosts import DockerHost, OtherHost  # noqa: E402
from tests.hosts.other import OtherEngine  # noqa: E402
from tests.integration.mainjob import bench_on, introduce, it_moves, rig_on, the_main_job  # noqa: E402

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="session")
def make_other(
    run_id: str, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[OtherEngine], OtherHost]:
    """Make a host with another engine, which has the base image once it is started."""

    def make(engine: OtherEngine) -> OtherHost:
        shared = tmp_path_factory.mktemp(engine)
        shared.chmod(0o755)  # for the host's users; nobody else enters the folder above it
        return OtherHost(engine, shared, run_id=run_id)

    return make


@pytest.fixture(scope="session")
def podman_host(make_other: Callable[[OtherEngine], OtherHost], base_image: str) -> Iterator[OtherHost]:
    """A host with Podman's API service, run by root."""
    with make_other("podman") as host:
        host.load_image(base_image)
        yield host


@pytest.fixture(scope="session")
def rootless_host(make_other: Callable[[OtherEngine], OtherHost], base_image: str) -> Iterator[OtherHost]:
    """A host with a dockerd that a user runs. The machines of tests have cgroups of version 1: it has none, so."""
    with make_other("rootless") as host:
        host.load_image(base_image)
        yield host


class TestPodman(EngineContract):
    """Podman 4.3."""

    tells_of_ends_in_order = False
    tells_of_runtimes = False

    @pytest.fixture
    def rig(self, podman_host: OtherHost, base_image: str, tmp_path: Path) -> Iterator[Rig]:
        yield from rig_on(podman_host, base_image, tmp_path.name)

    def test_info_says_what_answers(self, rig: Rig) -> None:
        info = rig.engine.info()
        assert (info.product, info.version[:3], info.rootless, info.freezes) == (Product.PODMAN, "4.3", False, True)
        assert info.id == ""  # it makes one up each time
        assert info.architecture == rig.look_at(rig.base).architecture

    def test_a_restart_policy_is_given_and_taken_away(self, rig: Rig) -> None:
        """It cannot be changed, and so nobody gives one to a bottle's container."""
        ref = rig.running()
        assert rig.look(ref).restart in {"", NO_RESTART}
        with pytest.raises(EngineError, match="Podman cannot change the restart policy"):
            rig.engine.update(ref, restart="always")

    def test_a_commit_leaves_volumes_out(self, rig: Rig) -> None:
        """So it does, and the volume of a container that does not run cannot be written through the container."""
        rig.engine.create_volume(rig.name("volume"), rig.labels)
        mount = Mount(kind=MountKind.VOLUME, source=rig.name("volume"), target="/data")
        ref = rig.running("one", mounts=(mount,), entrypoint=("sh", "-c", "echo v >/data/kept; exec sleep 600"))
        assert rig.engine.ended_within(ref, 0.5) is None
        assert rig.read(ref, "/data/kept") == b"v\n"
        rig.engine.commit(ref, rig.commit_spec("1"))
        bare = rig.create("two", image=rig.image("1"))
        with pytest.raises(NotFound):
            rig.engine.read_archive(bare, "/data/kept")

    def test_a_commit_keeps_a_health_check_that_containers_do_not_run(self, rig: Rig, podman_host: OtherHost) -> None:
        """Its builder leaves health checks out, which OCI images do not have."""
        rig.build("HEALTHCHECK CMD true", tag="checked")
        client = docker.DockerClient(podman_host.environment["DOCKER_HOST"])
        try:
            assert not client.images.get(rig.image("checked")).attrs["Config"].get("Healthcheck")
        finally:
            client.close()

    def test_logs_say_when_a_line_was_written_and_begin_where_they_are_told_to(self, rig: Rig) -> None:
        """In whole seconds."""
        ref = rig.running(entrypoint=("/bin/sh", "-c", "echo one; sleep 2; echo two"))
        rig.engine.wait(ref)
        lines = b"".join(rig.engine.logs(ref, timestamps=True)).decode().splitlines()
        assert [line.partition(" ")[2] for line in lines] == ["one", "two"]
        one, two = (datetime.strptime(line[:20], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for line in lines)
        assert two > one
        assert b"".join(rig.engine.logs(ref, since=two)) == b"two\n"
        assert b"".join(rig.engine.logs(ref, since=two + timedelta(seconds=2))) == b""

    def test_the_archive_of_a_link_is_the_link(self, rig: Rig) -> None:
        """It is what the link leads to, in the container."""
        ref = rig.create()
        rig.write(ref, "/srv/real/one", b"1")
        rig.write(ref, "/srv/link", b"", type=tarfile.SYMTYPE, linkname="/srv/real")
        assert read_tar(rig.engine.read_archive(ref, "/srv/link")) == {"link": b"", "link/one": b"1"}

    @pytest.mark.parametrize("path", ["/srv/loop", "/srv/loop/x", "/srv/there", "/srv/file/x", "/srv/" + "x" * 300])
    def test_an_archive_that_leads_nowhere_is_refused_and_not_missing(self, rig: Rig, path: str) -> None:
        """It may be called missing."""
        ref = rig.create()
        rig.write(ref, "/srv/file", b"x")
        for name, target in (("loop", "/srv/loop"), ("there", "/srv/back"), ("back", "/srv/there")):
            rig.write(ref, f"/srv/{name}", b"", type=tarfile.SYMTYPE, linkname=target)
        with pytest.raises((EngineError, NotFound)):
            rig.engine.read_archive(ref, path)

    def test_an_archive_keeps_owner_and_mode(self, rig: Rig) -> None:
        """On the way in; on the way out all is the user's that the container runs as."""
        ref = rig.running()
        rig.write(ref, "/work/key", b"k", mode=0o600, uid=1234, gid=4321, mtime=1_600_000_000)
        with tarfile.open(fileobj=io.BytesIO(b"".join(rig.engine.read_archive(ref, "/work/key")))) as tar:
            (member,) = tar.getmembers()
        assert (member.mode & 0o7777, member.uid, member.gid, int(member.mtime)) == (0o600, 0, 0, 1_600_000_000)
        layer = rig.engine.writable_layer(ref)
        assert layer is None or (layer / "work" / "key").stat().st_uid == 1234

    def test_archives_need_their_places(self, rig: Rig) -> None:
        """A folder that is missing is made."""
        ref = rig.create()
        with pytest.raises(NotFound):
            rig.engine.read_archive(ref, "/no/such/file")
        rig.engine.write_archive(ref, "/no/such/folder", io.BytesIO(tar_of(("a", b"a"))))
        assert rig.read(ref, "/no/such/folder/a") == b"a"
        with pytest.raises(EngineError):
            rig.engine.write_archive(ref, "/", io.BytesIO(b"this is no tar" * 100))


class TestRootlessDocker(EngineContract):
    """Docker 26.1 run by a user, without cgroups."""

    freezes = False

    @pytest.fixture
    def rig(self, rootless_host: OtherHost, base_image: str, tmp_path: Path) -> Iterator[Rig]:
        yield from rig_on(rootless_host, base_image, tmp_path.name)

    def test_info_says_what_it_cannot(self, rig: Rig) -> None:
        info = rig.engine.info()
        assert (info.product, info.rootless, info.freezes) == (Product.DOCKER, True, False)
        assert info.unlimited == ("memory", "cpus", "pids")
        assert info.owner == rig.folder.joinpath("../socket/engine").stat().st_uid
        assert not rig.engine.mounts_memory

    def test_a_folder_in_memory_that_is_mounted_read_only_is_in_the_way_of_archives(
        self, rig: Rig, rootless_host: OtherHost
    ) -> None:
        """That is what `mounts_memory` is for."""
        rootless_host.exec(["install", "-d", "-o", "op", "/dev/shm/handed"])
        mount = Mount(kind=MountKind.BIND, source="/dev/shm/handed", target="/handed", read_only=True)
        with pytest.raises(EngineError, match="operation not permitted"):
            rig.read(rig.create(mounts=(mount,)), "/etc/passwd")

    def test_pause_and_unpause(self, rig: Rig) -> None:
        """It says what keeps it from that."""
        ref = rig.running()
        with pytest.raises(EngineError, match="rootless, and has no cgroups"):
            rig.engine.pause(ref)
        assert rig.status(ref) is Status.RUNNING

    def test_a_paused_container_can_be_stopped_and_removed(self, rig: Rig) -> None:
        """There is none; one that was to be paused can."""
        ref = rig.running()
        with pytest.raises(EngineError):
            rig.engine.pause(ref)
        rig.engine.stop(ref, grace=1)
        assert rig.status(ref) is Status.EXITED
        rig.engine.remove_container(ref)

    def test_an_archive_tells_of_dangling_links_and_of_what_is_no_file(self, rig: Rig) -> None:
        """A user makes no devices."""
        ref = rig.create()
        rig.write(ref, "/srv/kinds/pipe", b"", type=tarfile.FIFOTYPE)
        with pytest.raises(EngineError):
            rig.write(ref, "/srv/kinds/device", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        rig.write(ref, "/srv/kinds/link", b"", type=tarfile.SYMTYPE, linkname="/srv/nowhere")
        with pytest.raises(NotFound):
            rig.engine.read_archive(ref, "/srv/kinds/link/x")


def test_the_main_job_on_podman(
    podman_host: OtherHost, classic_host: DockerHost, with_bottle: Callable[[DockerHost], DockerHost]
) -> None:
    with_bottle(podman_host)
    with_bottle(classic_host)
    with bench_on(podman_host, "root", "/root") as bench:
        assert "Podman 4.3" in bench.run("bottle", "doctor").stdout.decode()
        identity = the_main_job(bench, pauses=True)
        introduce(bench, podman_host)
        assert "is Podman: bottles move from there" in bench.refused(8, "migrate", identity, "there", "--yes")
        introduce(bench, classic_host)
        it_moves(bench, identity, classic_host)


def test_the_main_job_on_a_rootless_docker(
    rootless_host: OtherHost, classic_host: DockerHost, with_bottle: Callable[[DockerHost], DockerHost]
) -> None:
    with_bottle(rootless_host)
    with_bottle(classic_host)
    with bench_on(rootless_host, "op", "/home/op") as bench:
        doctor = bench.run("bottle", "doctor").stdout.decode()
        assert "(rootless)" in doctor
        assert "no pause" in doctor
        identity = the_main_job(bench, pauses=False)
        introduce(bench, classic_host)
        it_moves(bench, identity, classic_host)
