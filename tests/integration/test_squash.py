"""Layers squashed by real engines: the same files, an equal config, a shared base, and no end of commits."""

from __future__ import annotations

import hashlib
import io
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound

from bottle import runtime
from bottle.docker_engine import DockerEngine
from bottle.launch import bare_spec
from bottle.model import Agent, ImageFacts
from bottle.operations import Committed, Context, StartRequest, commit, plan_start, resume, start
from bottle.plan import commit as planning
from bottle.plan.resume import ResumeRequest
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from bottle.testing import RecordingProgress
from migrate.image.engine_folders import EngineFolders
from migrate.image.first_that_can import FirstThatCan
from migrate.image.save_stream import SaveStreamSource
from migrate.image.squash import Squasher
from tests.hosts import DockerHost
from tests.integration.smallimage import build_small
from tests.integration.trees import CAPABILITY, NET_BIND
from tests.support.inside import run_inside

ENGINES = ("outer", "classic", "containerd")
TOOLS = "sh cat chmod head ln ls mkdir mkfifo mv rm seq sleep test touch wc"
FILES = "/etc /usr/share"
# Each is one commit's work. What one makes, a later one changes, hides or makes anew, in the base and above it.
LAUNCHER = Path(runtime.__file__).with_name("launch.sh")
WORK = (
    r"""mkdir -p /work/d/e /work/stays; echo one >/work/d/e/f; echo linked >/work/a; ln /work/a /work/b
    ln /work/a /work/c; ln -s a /work/link; ln /work/link /work/link-again; mkfifo /work/pipe
    touch "/work/$(printf 'caf\351')"
    touch "/work/$(printf 'x%.0s' $(seq 250))"; head -c 3000000 /dev/urandom >/work/random; echo base >>/etc/profile
    rm /etc/issue; rm -r /usr/share/doc; chmod 1777 /work/stays; touch -d 2001-02-03 /work/stays/old""",
    r"""rm /work/a; echo changed >/work/b; chmod 4750 /work/b; mkdir /usr/share/doc; echo new >/usr/share/doc/new
    echo two >/work/d/e/g; rm /work/random; mv /usr/share/common-licenses /work/moved; chmod 700 /work/d""",
    r"""rm -r /work/d; echo file >/work/d; rm -r /usr/share/man; echo file >/usr/share/man; rm /work/stays/old
    rm /etc/debian_version; mkdir /etc/debian_version; echo inside >/etc/debian_version/f; rm -r /work/moved/[A-L]*""",
    r"""rm /work/d; mkdir /work/d; echo again >/work/d/again; rm /usr/share/man; mkdir -p /usr/share/man/man1
    rm -r /usr/share/doc; mkdir /usr/share/doc; ln /work/d/again /usr/share/doc/again; rm /work/link""",
    r"""rm -r /etc/debian_version; echo 13 >/etc/debian_version; mv /work/d /work/renamed; echo last >/etc/issue""",
)


@dataclass
class Place:
    """An engine, and what one needs to work with it."""

    name: str
    engine: DockerEngine
    client: docker.DockerClient
    base: str

    host: DockerHost | None = None

    @property
    def machine(self) -> Path:
        """Where the root of the engine's filesystem is seen from here."""
        return Path("/") if self.host is None else Path(f"/proc/{self.host.container.attrs['State']['Pid']}/root")


@contextmanager
def forwarded(host: DockerHost, socket: Path) -> Iterator[str]:
    """The engine of a host as an address here."""
    line = ("ssh", "-F", str(host.ssh_config), "-N", "-o", "ExitOnForwardFailure=yes",
            "-L", f"{socket}:/var/run/docker.sock", host.alias())  # fmt: skip
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if socket.exists():
                break
            assert process.poll() is None, "ssh does not forward the engine's socket"
            time.sleep(0.05)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def small_base(engine: docker.DockerClient, base_image: str) -> Iterator[str]:
    """Those files of Debian that WORK changes, and their neighbours: every test here reads all files many times."""
    name = build_small(engine, base_image, "bottle-fold-test", secrets.token_hex(4), TOOLS, FILES)
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture(params=ENGINES)
def place(
    request: pytest.FixtureRequest, engine: docker.DockerClient, small_base: str, tmp_path: Path
) -> Iterator[Place]:
    """Each engine in turn."""
    if request.param == "outer":
        yield Place("outer", DockerEngine(), engine, small_base)
        return
    host: DockerHost = request.getfixturevalue(f"{request.param}_host")
    host.load_image(small_base)
    with forwarded(host, tmp_path / "engine") as address:
        client = docker.DockerClient(base_url=address, timeout=600)
        try:
            yield Place(request.param, DockerEngine({"DOCKER_HOST": address}), client, small_base, host)
        finally:
            client.close()


def squasher(place: Place, context: Context) -> Squasher:
    return Squasher(place.engine, context.layers, context.home.path, context.progress)


@dataclass
class Bench:
    """A bottle, and the work that is done in it."""

    place: Place
    context: Context
    bottle: BottleState

    @property
    def squashing(self) -> Context:
        return replace(self.context, squasher=squasher(self.place, self.context))

    def work(self, script: str) -> None:
        """What an agent does."""
        container = self.place.client.containers.get(self.bottle.identity.container)
        code, said = run_inside(container, ["sh", "-ec", script], user="0")
        assert code == 0, said.decode()

    def put(self, *members: tarfile.TarInfo) -> None:
        """What only an engine may do."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for member in members:
                archive.addfile(member, io.BytesIO(bytes(member.size)))
        self.place.client.containers.get(self.bottle.identity.container).put_archive("/", buffer.getvalue())

    def cycle(self, context: Context, script: str) -> Committed:
        """Work, a commit, and a container made from it."""
        self.work(script)
        committed = commit(context, self.bottle)
        self.place.engine.remove_container(self.bottle.identity.container)
        resume(context, self.bottle, ResumeRequest(), tty=False)
        return committed

    def tree(self) -> dict[str, tuple[object, ...]]:
        """All files of the bottle's container."""
        return files(self.place, self.bottle.identity.container)


def files(place: Place, container: str) -> dict[str, tuple[object, ...]]:
    """All that is in a container's filesystem, but for what the engine itself puts into one that it starts.

    Of hard links the first that comes has the content and the others its name; the order is the same in every engine.
    """
    found: dict[str, tuple[object, ...]] = {}
    own = {"etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab", ".dockerenv"}
    with tarfile.open(fileobj=io.BytesIO(b"".join(place.engine.read_archive(container, "/")))) as archive:
        for member in archive:
            name = member.name.strip("/")
            if name in own or name.startswith(("dev/", "run/bottle")) or name in {"", "dev", "etc"}:
                continue
            file = archive.extractfile(member) if member.isreg() else None
            digest = hashlib.sha256(file.read()).hexdigest() if file else ""
            found[name] = (
                member.type, oct(member.mode & 0o7777), member.uid, member.gid, int(member.mtime), member.size,
                member.linkname, member.devmajor, member.devminor, member.pax_headers.get(CAPABILITY), digest,
            )  # fmt: skip
    return found


def image_tree(place: Place, image: str, name: str) -> dict[str, tuple[object, ...]]:
    """All that is in an image."""
    place.engine.create(bare_spec(name, image))
    try:
        return files(place, name)
    finally:
        place.engine.remove_container(name)


def image_of(place: Place, ref: str) -> ImageFacts:
    image = place.engine.image(ref)
    assert image is not None
    return image


def clear(place: Place, bottle: BottleState) -> None:
    """Remove the bottle's container and its commits."""
    mine = {"label": f"bottle.identity={bottle.identity}"}
    for container in place.client.containers.list(all=True, filters=mine, ignore_removed=True):
        with suppress(NotFound):
            container.remove(force=True, v=True)
    for image in place.client.images.list(filters=mine):
        for name in image.tags or [image.id]:
            with suppress(APIError):
                place.client.images.remove(name, force=True)


@pytest.fixture
def bench(place: Place, tmp_path: Path) -> Iterator[Bench]:
    """A bottle that runs; what it leaves in the engine is removed."""
    context = Context(
        home=StateHome(tmp_path / "home"),
        engine=place.engine,
        layers=FirstThatCan(EngineFolders(place.engine, place.machine), SaveStreamSource(place.engine)),
        environ={},
        runtime=tmp_path / "runtime",
        progress=RecordingProgress(),
        now=lambda: datetime.now(UTC),
    )
    (tmp_path / "project").mkdir()
    agent = Agent(name="squashes", image=place.base, command=("sleep", "infinity"), network="none", workdir="/project")
    request = StartRequest(agent=agent, cwd=tmp_path / "project", copy_cwd=True, tty=False)
    planned = plan_start(context, request)
    if place.host is not None:  # an engine that sees other folders than we do: that one has to be there all the same
        put = 'mkdir -p "$1/requests" && cat >"$1/launch"'
        seen = str(context.runtime / str(planned.identity))
        place.host.exec(["sh", "-c", put, "put", seen], stdin=LAUNCHER.read_bytes())
    bottle = context.home.bottle(start(context, planned).identity)
    try:
        yield Bench(place, context, bottle)
    finally:
        clear(place, bottle)


def special_files() -> tuple[tarfile.TarInfo, ...]:
    capable, device, owned = (tarfile.TarInfo(f"work/{name}") for name in ("capable", "device", "owned"))
    capable.size, capable.mode, capable.pax_headers = 1000, 0o755, {CAPABILITY: NET_BIND}
    device.type, device.devmajor, device.devminor, device.mode = tarfile.CHRTYPE, 1, 3, 0o666
    owned.uid, owned.gid, owned.mode, owned.mtime = 12345, 54321, 0o2640, 1_000_000_000
    return capable, device, owned


def test_a_folded_image_has_the_same_files_on_the_same_base(bench: Bench) -> None:
    place, identity = bench.place, bench.bottle.identity
    base = bench.bottle.metadata().base
    for number, script in enumerate(WORK):
        bench.work(script)
        if number == 0:
            bench.put(*special_files())
        deep = commit(bench.context, bench.bottle)
        place.engine.remove_container(identity.container)
        resume(bench.context, bench.bottle, ResumeRequest(), tty=False)
    before = image_of(place, deep.commit.tag)
    assert len(before.diff_ids) == len(base) + len(WORK)
    tag = identity.committing("test")
    squash = squasher(place, bench.context).squash
    began = time.monotonic()
    with bench.context.progress.phase("fold"):
        after = squash(identity, deep.commit.tag, base=base, tag=tag)
    print(f"{place.name}: squashed in {time.monotonic() - began:.1f} s")  # noqa: T201  (a figure for who reads along)
    try:
        assert after.diff_ids[:-1] == base
        assert len(after.diff_ids) == len(base) + 1
        assert (after.config_digest, after.labels, after.architecture) == (
            before.config_digest,
            before.labels,
            before.architecture,
        )
        assert image_of(place, deep.commit.tag).id == before.id
        first = image_tree(place, deep.commit.tag, f"{identity.container}-deep")
        second = image_tree(place, tag, f"{identity.container}-squashed")
        assert second == first
        assert NET_BIND in first["work/capable"]
        assert first["work/device"][0] == tarfile.CHRTYPE
        assert first["work/b"][1] == "0o4750"
        # What a person sees of it, and the same fold again.
        history = place.client.images.get(tag).history()
        assert "squashed by bottle" in history[0]["Comment"]
        with bench.context.progress.phase("fold again"):
            again = squash(identity, deep.commit.tag, base=base, tag=tag)
        assert again.diff_ids == after.diff_ids
        assert not (bench.context.home.path / "outgoing").exists() or not list(
            (bench.context.home.path / "outgoing").iterdir()
        )
    finally:
        place.engine.remove_image(tag)


def test_commits_fold_as_they_get_deep_and_go_on_from_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    base = bench.bottle.metadata().base
    monkeypatch.setattr(planning, "SQUASH_AT", len(base) + 2)
    squashes = []
    for number, script in enumerate((*WORK, *("echo more >>/work/more",) * 4), 1):
        bench.work(script)
        if number == 1:
            bench.put(*special_files())
        worked = bench.tree()
        committed = bench.cycle(bench.squashing, "true")
        bench.work("ls -lR /work /etc /usr >/dev/null")  # every name there leads to something
        image = image_of(bench.place, committed.commit.tag)
        assert (image.diff_ids, image.config_digest) == (committed.commit.diff_ids, committed.commit.config_digest)
        assert image.diff_ids[: len(base)] == base
        assert len(image.diff_ids) <= len(base) + 2
        assert bench.tree() == worked, f"after commit {number}"
        squashes.append(committed.squashed)
    assert squashes == [0, 0, 3, 0, 3, 0, 3, 0, 3]
    untagged = [image for image in bench.place.engine.images({"bottle.identity": str(bench.bottle.identity)})
                if not image.tags]  # fmt: skip
    assert untagged == []
    assert bench.context.progress.notes == []


@pytest.mark.campaign
def test_130_commits_of_one_bottle(bench: Bench) -> None:
    depths, squashes = [], 0
    for number in range(1, 131):
        committed = bench.cycle(bench.squashing, f"echo {number} >>/work; echo {number} >/number-{number % 7}")
        depths.append(len(committed.commit.diff_ids))
        squashes += committed.squashed > 0
    assert max(depths) <= planning.SQUASH_AT
    assert squashes == 1
    bench.work('test "$(wc -l </work)" = 130; test "$(cat /number-4)" = 130')
