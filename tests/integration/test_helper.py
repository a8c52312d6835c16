"""A user who may use Docker and may not read its folders: commits of what changed, and layers, through a helper."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound

from bottle.docker_engine import DockerEngine
from bottle.helper.container import Helper
from bottle.layers import LayerSource
from bottle.naming import HELPER_IMAGE, Identity
from migrate.image.through_helper import HelperFolders
from tests.contract.engine import eventually
from tests.contract.layers import LayerSourceContract, Subject
from tests.hosts import DockerHost, Login
from tests.integration import migration
from tests.integration.mainjob import Bench
from tests.integration.members import of_member, python_of_member
from tests.integration.migration import Desk
from tests.integration.test_commit_costs import own_layers
from tests.oracle.judged import Judged, judging
from tests.oracle.oracle import oracle_in
from tests.support.users import users_folder

THROUGH = "by its changes, read through a helper container"
SEEDS = (22, 114, 186)
HELPER = ("migrate.image.helper", ("bottle", "migrate", "zstandard"))
WAY = "from bottle.composition import make_context; print(make_context().layers.way())"


@pytest.fixture(scope="module")
def member() -> tuple[str, ...]:
    """What runs Python as a user of the docker group."""
    return python_of_member()


@pytest.fixture
def theirs(engine: docker.DockerClient, agents: str, member: tuple[str, ...]) -> Iterator[Desk]:
    """A desk of such a user's."""
    with users_folder() as folder, migration.desk_in(folder / "desk", engine) as desk:
        yield of_member(desk, member)
        assert eventually(lambda: not helpers(engine))


def helpers(engine: docker.DockerClient) -> list[str]:
    """The helpers that there are."""
    found = engine.containers.list(all=True, filters={"ancestor": HELPER_IMAGE}, ignore_removed=True)
    return [str(each.id) for each in found]


def test_a_member_of_the_docker_group_commits_what_changed(theirs: Desk) -> None:
    identity = theirs.start()
    theirs.work(identity)
    anew = "mkdir /usr/share/doc; echo anew > /usr/share/doc/one"  # which the image has, with other files in it
    assert theirs.run_in(identity, "sh", "-c", anew) is not None
    theirs.grow(identity, 3_000_000)
    first = theirs.ok("commit", identity)
    assert (first["way"], len(own_layers(first))) == (THROUGH, 1)
    assert theirs.run_in(identity, "sh", "-c", "rm -r /srv/*; rm /root/large") is not None
    second = theirs.ok("commit", identity)
    assert second["way"] == THROUGH
    assert second["adds"] < 100_000
    theirs.ok("stop", identity)
    assert theirs.ok("commit", identity)["way"] == THROUGH
    assert theirs.ok("commit", identity)["unchanged"]
    theirs.container(identity).remove(force=True)
    assert theirs.ok("resume", identity, "-d")["identity"] == identity
    assert theirs.run_in(identity, "ls", "-A", "/srv", "/usr/share/doc") == b"/srv:\n\n/usr/share/doc:\none\n"
    assert [each["identity"] for each in theirs.ok("list", "-a")["bottles"]] == [identity]
    planned = theirs.ok("prune", "--dry-run")["plan"]
    assert "help" not in "".join(each["name"] for part in ("garbage", "kept") for each in planned[part])


def test_layers_are_read_through_it_too(theirs: Desk, member: tuple[str, ...]) -> None:
    done = subprocess.run((*member, "-c", WAY), env=theirs.environ, cwd=theirs.folder, capture_output=True, check=True)
    assert b"through a helper container (" in done.stdout
    identity = theirs.start()
    theirs.ok("commit", identity)
    theirs.ok("export", identity, str(theirs.folder / "packed"))
    assert (theirs.folder / "packed").stat().st_size > 1000


class TestHelperFolders(LayerSourceContract):
    """The contract, with a helper of the engine in force."""

    @pytest.fixture
    def subject(self, engine: docker.DockerClient, agents: str) -> Iterator[Subject]:
        found = DockerEngine()
        image = found.image(agents)
        assert image is not None
        with closing(Helper(found, *HELPER)) as helper:
            source: LayerSource = HelperFolders(found, helper)
            yield Subject(source=source, ref=agents, diff_ids=image.diff_ids)


@contextmanager
def killing(engine: docker.DockerClient, after: float) -> Iterator[list[str]]:
    """Whatever helper there is gets killed; which they were."""
    struck: list[str] = []
    done = threading.Event()

    def strike() -> None:
        while not done.wait(0.02):
            for each in helpers(engine):
                time.sleep(after)
                with suppress(APIError, NotFound):
                    engine.containers.get(each).kill()
                    struck.append(each)

    killer = threading.Thread(target=strike)
    killer.start()
    try:
        yield struck
    finally:
        done.set()
        killer.join()


@pytest.mark.parametrize("after", [0.0, 0.3, 0.7])
def test_killed_at_any_time_it_leaves_no_half_commit(theirs: Desk, after: float) -> None:
    identity = theirs.start()
    theirs.work(identity)
    theirs.grow(identity, 30_000_000)
    with killing(theirs.engine, after) as struck:
        made = theirs.ok("commit", identity)
    assert struck
    assert made["way"] == THROUGH or made["way"].startswith("by the engine: ")
    sums = ("sh", "-c", "wc -c < /root/large; ls -A /srv")
    shown = theirs.engine.containers.run(made["commit"]["tag"], list(sums), remove=True, network_disabled=True)
    assert shown == theirs.run_in(identity, *sums)
    assert theirs.ok("commit", identity)["way"] == THROUGH


def test_bottle_killed_leaves_no_helper(theirs: Desk) -> None:
    identity = theirs.start()
    theirs.grow(identity, 60_000_000)
    with theirs.running("commit", identity) as process:
        assert eventually(lambda: bool(helpers(theirs.engine)), 60)
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert eventually(lambda: not helpers(theirs.engine), 20)
    assert theirs.ok("commit", identity)["way"] == THROUGH


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, engine: docker.DockerClient, oracle_image: str, member: tuple[str, ...]
) -> Iterator[Judged]:
    """What becomes of some seeds of the oracle when such a user commits."""
    with (
        users_folder() as folder,
        oracle_in(folder / "oracle", engine, oracle_image, lambda desk: of_member(desk, member)) as oracle,
        judging(oracle, request) as judged,
    ):
        yield judged


@pytest.mark.parametrize("seed", SEEDS)
def test_such_commits_keep_what_docker_keeps_and_what_it_drops(judged: Judged, seed: int) -> None:
    judged.like_docker(seed)
    judged.like_live(seed)
    assert judged.of(seed).by_engine == []


@pytest.fixture(params=["classic", "containerd"])
def bench(request: pytest.FixtureRequest, make_host: object, wheel: Path, small_base: str) -> Bench:
    """A member of the docker group on a newer engine, with each store."""
    host: DockerHost = make_host(store=request.param, logins=(Login(name="dora", docker_group=True),))  # type: ignore[operator]
    host.install_bottle(wheel)
    host.load_image(small_base)
    bench = Bench(host, "dora", "/home/dora")
    manifest = f'[agents.worker]\nimage = "{small_base}"\ncommand = ["sleep", "600"]\nnetwork = "none"\n'
    host.exec(["sh", "-c", 'mkdir -p "$1" && cat >"$1/bottle.toml" && chown -R dora "$1"', "sh", bench.work],
              stdin=manifest.encode())  # fmt: skip
    return bench


def test_a_member_on_newer_engines(bench: Bench) -> None:
    identity = str(bench.ok("start", "worker", "-d")["identity"])
    inside = Identity.parse(identity).container
    work = "cd /usr/share; rm -r doc; mkdir doc; echo one >doc/one; head -c 3000000 /dev/urandom >/root/large"
    bench.host.docker("exec", "-u", "0", inside, "sh", "-ec", work)
    first = bench.ok("commit", identity)
    assert (first["way"], len(own_layers(first))) == (THROUGH, 1)
    bench.host.docker("exec", "-u", "0", inside, "sh", "-ec", "echo two >/usr/share/doc/two; rm /root/large")
    assert bench.ok("commit", identity)["adds"] < 100_000
    bench.ok("stop", identity)
    stopped = bench.ok("commit", identity)
    assert (stopped["way"], stopped["unchanged"]) == (THROUGH, True)
    bench.host.docker("rm", "-f", inside)
    bench.ok("resume", identity, "-d")
    shown = bench.host.docker("exec", inside, "sh", "-c", "cd /usr/share/doc; echo * /root/*").text
    assert shown.split() == ["one", "two", "/root/*"]
    done = bench.run("/opt/bottle/bin/python", "-c", WAY)
    assert "through a helper container" in done.check().text
    assert eventually(lambda: "bottle-help-" not in bench.host.docker("ps", "-a").text)
