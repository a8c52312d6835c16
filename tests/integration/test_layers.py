"""Layers read from real engines, composed into archives, loaded by real engines: every pairing of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import docker
import pytest

from bottle.errors import VerificationFailed
from bottle.facts import engine_info, image_facts
from bottle.layers import ImageDocuments, KnownBlob
from bottle.model import EngineInfo, ImageFacts, Store
from bottle.naming import Identity
from bottle.ports import Silent
from migrate.image.engine_folders import EngineFolders
from migrate.image.load_archive import Archive, Layer, choose_codec, compose
from migrate.image.save_stream import SaveStreamSource
from migrate.image.spool import DirectorySpool
from migrate.model import Blob
from migrate.tar.compression import digest_of
from tests.contract.layers import LayerSourceContract, Subject, read
from tests.hosts import DockerHost
from tests.integration.smallimage import build_small

ENGINES = ("outer", "classic", "containerd")
# What the base lacks, in two commits: files of all sorts, a deleted one, and bytes that do not compress.
WORK = (
    "mkdir -p /work/empty; echo one >/work/a; ln -s a /work/link; ln /work/a /work/hard; rm /etc/issue",
    "echo two >/work/b; chmod 4750 /work/b; head -c 3000000 /dev/urandom >/work/random",
)
PROOF = "cat /work/a /work/link /work/hard /work/b; stat -c %a /work/b; stat -c %s /work/random; ls -d /work/empty"
PROVED = "one\none\none\ntwo\n4750\n3000000\n/work/empty\n"


class Machine(Protocol):
    """An engine, as these tests use one."""

    name: str

    def docker(self, *args: str, stdin: bytes | None = None) -> bytes: ...

    def root(self) -> Path:
        """Where the root of its filesystem is seen from here."""


@dataclass
class Outer:
    """The engine that the tests run on."""

    client: docker.DockerClient
    name: str = "outer"

    def root(self) -> Path:
        return Path("/")

    def docker(self, *args: str, stdin: bytes | None = None) -> bytes:
        api = self.client.api
        match args:
            case ("save", ref):
                return b"".join(api.get_image(ref))
            case ("load",):
                for answer in api.load_image(stdin):
                    if "error" in answer:
                        raise RuntimeError(answer["error"])
                return b""
            case ("image", "inspect", ref):
                return json.dumps([api.inspect_image(ref)]).encode()
            case ("rmi", ref):
                api.remove_image(ref, force=True)
                return b""
            case ("version",):
                return str(api.version()["Version"]).encode()
            case ("info",):
                return json.dumps(api.info()).encode()
            case ("make", base, tag, script):
                made = self.client.containers.create(base, ["sh", "-c", script], network_mode="none")
                try:
                    made.start()
                    assert made.wait()["StatusCode"] == 0
                    repository, _, number = tag.partition(":")
                    made.commit(repository, number)
                finally:
                    made.remove(force=True)
                return b""
            case ("prove", ref):
                return bytes(self.client.containers.run(ref, ["sh", "-c", PROOF], remove=True, network_mode="none"))
            case _:
                raise AssertionError(args)


@dataclass
class Far:
    """An engine in a container."""

    host: DockerHost
    name: str

    def root(self) -> Path:
        return Path(f"/proc/{self.host.container.attrs['State']['Pid']}/root")

    def docker(self, *args: str, stdin: bytes | None = None) -> bytes:
        run = self.host.docker
        match args:
            case ("version",):
                return run("version", "--format", "{{.Server.Version}}").stdout.strip()
            case ("info",):
                return run("info", "--format", "{{json .}}").stdout
            case ("rmi", ref):
                return run("rmi", "--force", ref).stdout
            case ("make", base, tag, script):
                run("run", "--name", "making", "--network", "none", base, "sh", "-c", script)
                run("commit", "making", tag)
                return run("rm", "making").stdout
            case ("prove", ref):
                # Of the log, which is whole: what `docker run` shows of a container that ends at once may be cut short.
                try:
                    run("run", "--name", "proving", "--network", "none", ref, "sh", "-c", PROOF)
                    return run("logs", "proving").stdout
                finally:
                    run("rm", "--force", "proving")
            case _:
                return run(*args, stdin=stdin).stdout


@dataclass
class Saver:
    """The part of an Engine that sources of layers use, over a Machine."""

    machine: Machine
    is_local: bool = True

    def image(self, ref: str) -> ImageFacts | None:
        try:
            return image_facts(json.loads(self.machine.docker("image", "inspect", ref))[0])
        except Exception as exc:
            if "o such image" not in str(exc):
                raise
            return None

    def info(self) -> EngineInfo:
        return engine_info(json.loads(self.machine.docker("info")), {})

    def save(self, ref: str) -> Iterator[bytes]:
        whole = self.machine.docker("save", ref)
        for start in range(0, len(whole), 100_000):
            yield whole[start : start + 100_000]


# What WORK and PROOF need of Debian, and nothing else: every test here reads each layer at least once.
TOOLS = "sh mkdir ln rm chmod head cat stat ls"


@pytest.fixture(scope="module")
def small_base(engine: docker.DockerClient, base_image: str) -> Iterator[str]:
    """An image of a few megabytes in which a shell runs."""
    small = build_small(engine, base_image, "bottle-layers-test", secrets.token_hex(4), TOOLS)
    yield small
    engine.images.remove(small, force=True)


@pytest.fixture(scope="module")
def machines(
    engine: docker.DockerClient, classic_host: DockerHost, containerd_host: DockerHost, small_base: str
) -> dict[str, Machine]:
    """The three engines; each has the base."""
    found: dict[str, Machine] = {
        "outer": Outer(engine),
        "classic": Far(classic_host, "classic"),
        "containerd": Far(containerd_host, "containerd"),
    }
    for name in ("classic", "containerd"):
        found[name].docker("load", stdin=b"".join(engine.api.get_image(small_base)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottle:
    """An image of two commits on the base, in an engine."""

    machine: Machine
    ref: str
    base: tuple[str, ...]
    facts: ImageFacts


@pytest.fixture(scope="module")
def bottles(machines: dict[str, Machine], small_base: str) -> Iterator[dict[str, Bottle]]:
    """One bottle in each engine, made there."""
    made = {}
    with ExitStack() as stack:
        for name, machine in machines.items():
            identity = Identity.fresh("layers")
            for number, script in enumerate(WORK, 1):
                machine.docker("make", identity.committed(number - 1) if number > 1 else small_base,
                               identity.committed(number), script)  # fmt: skip
                stack.callback(machine.docker, "rmi", identity.committed(number))
            base, facts = Saver(machine).image(small_base), Saver(machine).image(identity.committed(2))
            assert base is not None
            assert facts is not None
            made[name] = Bottle(machine=machine, ref=identity.committed(2), base=base.diff_ids, facts=facts)
        yield made


def store_of(machine: Machine) -> Store:
    return Store.CONTAINERD if machine.name == "containerd" else Store.CLASSIC


def feed(archive: Archive) -> bytes:
    """The archive as the far side puts it together."""
    return b"".join(part.blob.path.read_bytes() if isinstance(part, Layer) else part.data for part in archive.parts)


class TestSaveStream(LayerSourceContract):
    """The contract, for every engine."""

    @pytest.fixture(params=ENGINES)
    def subject(self, request: pytest.FixtureRequest, bottles: dict[str, Bottle]) -> Subject:
        bottle = bottles[request.param]
        return Subject(source=SaveStreamSource(Saver(bottle.machine)), ref=bottle.ref, diff_ids=bottle.facts.diff_ids)


class TestEngineFolders(LayerSourceContract):
    """The contract, for every engine whose folders can be seen from here."""

    @pytest.fixture(params=ENGINES)
    def subject(self, request: pytest.FixtureRequest, bottles: dict[str, Bottle]) -> Subject:
        bottle = bottles[request.param]
        source = EngineFolders(Saver(bottle.machine), bottle.machine.root())
        try:
            source.way()
        except VerificationFailed as exc:
            pytest.skip(exc.what)
        return Subject(source=source, ref=bottle.ref, diff_ids=bottle.facts.diff_ids)


@pytest.mark.parametrize("name", ENGINES)
def test_the_folders_and_the_archive_say_the_same(name: str, bottles: dict[str, Bottle]) -> None:
    bottle = bottles[name]
    told = []
    for source in (
        EngineFolders(Saver(bottle.machine), bottle.machine.root()),
        SaveStreamSource(Saver(bottle.machine)),
    ):
        wanted = set(bottle.facts.diff_ids)
        layers = {}
        for part in source.read(bottle.ref, wanted, Silent()):
            if isinstance(part, ImageDocuments):
                told.append((layers, part))
                break
            content = b"".join(part.chunks)
            layers[digest_of(content)] = content
            wanted.discard(digest_of(content))
    assert told[0] == told[1]
    assert set(told[0][0]) == set(bottle.facts.diff_ids)
    assert bool(told[0][1].known) is (name == "containerd")


def prove(machine: Machine, tag: str, bottle: Bottle) -> None:
    """The image arrived: the same layers, the same config, and it runs."""
    facts = Saver(machine).image(tag)
    assert facts is not None
    assert facts.diff_ids == bottle.facts.diff_ids
    assert facts.config_digest == bottle.facts.config_digest
    assert machine.docker("prove", tag).decode() == PROVED


@pytest.mark.parametrize("there", ["nothing", "base", "everything"])
@pytest.mark.parametrize("far", ENGINES)
@pytest.mark.parametrize("near", ENGINES)
def test_an_image_moves_between_any_two_engines(
    near: str, far: str, there: str, machines: dict[str, Machine], bottles: dict[str, Bottle], tmp_path: Path
) -> None:
    bottle, destination = bottles[near], machines[far]
    store = store_of(destination)
    spool = DirectorySpool(tmp_path / "spool", choose_codec(destination.docker("version").decode(), store))
    source = SaveStreamSource(Saver(bottle.machine))
    config = read(source, bottle.ref, frozenset(bottle.facts.diff_ids), spool)
    every = {diff_id: blob for diff_id in bottle.facts.diff_ids if (blob := spool.blob(diff_id))}

    def load(tag: str, blobs: dict[str, Blob], known: dict[str, KnownBlob]) -> int:
        archive = compose(config=config, diff_ids=bottle.facts.diff_ids, blobs=blobs, tag=tag, store=store, known=known)
        fed = feed(archive)
        assert len(fed) == archive.size
        destination.docker("load", stdin=fed)
        return sum(len(part.data) for part in archive.parts if not isinstance(part, Layer))

    tag, before = (Identity.fresh("layers").committed(2) for _ in range(2))
    try:
        if there == "nothing":
            load(tag, every, {})
        else:
            # What is there: the base alone, or all; under a name of its own, so that nothing is collected.
            load(before, every, {})
            held = bottle.facts.diff_ids if there == "everything" else bottle.base
            known = {
                i: KnownBlob(digest=b.digest, size=b.size, media_type=b.codec.media_type)
                for i, b in every.items()
                if i in held
            }
            literal = load(tag, {i: b for i, b in every.items() if i not in held}, known)
            assert literal < 20_000
        prove(destination, tag, bottle)
    finally:
        for each in (tag, before):
            if Saver(destination).image(each):
                destination.docker("rmi", each)


@pytest.mark.parametrize("far", ENGINES)
def test_a_layer_counted_on_that_is_not_there_is_noticed_and_sending_it_repairs(
    far: str, machines: dict[str, Machine], bottles: dict[str, Bottle], tmp_path: Path
) -> None:
    """The containerd store leaves the tag behind: only the load's status, or a container, tells."""
    near = "classic" if far == "containerd" else "containerd"
    bottle, destination = bottles[near], machines[far]
    store = store_of(destination)
    spool = DirectorySpool(tmp_path / "spool", choose_codec(destination.docker("version").decode(), store))
    config = read(SaveStreamSource(Saver(bottle.machine)), bottle.ref, frozenset(bottle.facts.diff_ids), spool)
    every = {diff_id: blob for diff_id in bottle.facts.diff_ids if (blob := spool.blob(diff_id))}
    # A digest that no engine has seen: a layer that another test loaded may still be there.
    gone = bottle.facts.diff_ids[1]
    lie = KnownBlob(digest="sha256:" + "d" * 64, size=every[gone].size, media_type=every[gone].codec.media_type)
    tag = Identity.fresh("layers").committed(2)

    def archive(blobs: dict[str, Blob], known: dict[str, KnownBlob]) -> bytes:
        return feed(
            compose(config=config, diff_ids=bottle.facts.diff_ids, blobs=blobs, tag=tag, store=store, known=known)
        )

    with_hole = archive({i: blob for i, blob in every.items() if i != gone}, {gone: lie})
    try:
        with pytest.raises(Exception, match=r"not found|no such file"):
            destination.docker("load", stdin=with_hole)
        destination.docker("load", stdin=archive(every, {}))
        prove(destination, tag, bottle)
    finally:
        destination.docker("rmi", tag)
