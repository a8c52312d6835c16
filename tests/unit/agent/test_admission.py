"""One list of rules over all three ways in: `bottle.toml`, a bundle, and a host that is pulled from."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bottle.agent.manifest import parse_manifest
from bottle.errors import BottleError, ManifestError, NeedsConsent, RemoteError, VerificationFailed
from bottle.model import Agent
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.store.kept import KEPT
from migrate.bundle.export import export
from migrate.bundle.imports import ImportRequest, import_bundle
from migrate.pull.session import PullRequest, offer, pull
from migrate.transport.frames import MAGIC
from migrate.transport.stdio import StdioRemote
from tests.contract.duplex import End, OwnEnd
from tests.support.forge import Forge
from tests.support.world import BASE, World

AGENT = Agent(name="demo", image=BASE, command=("cat",), network="none")
FLAW, ASKED, DROPPED, FINE = "a flaw", "asked about", "not taken over", "given"


@dataclass(frozen=True)
class Row:
    """What an agent says, as a line of `bottle.toml` (None where it cannot) and as metadata, and what becomes of it."""

    toml: str | None
    said: dict[str, Any]
    outcome: str
    told: str = ""


def bind(source: str, target: str) -> dict[str, Any]:
    return {"volumes": [{"kind": "bind", "source": source, "target": target, "read_only": False}]}


def kind(name: str, source: str, target: str) -> dict[str, Any]:
    return {"volumes": [{"kind": name, "source": source, "target": target, "read_only": False}]}


TABLE = [
    Row("pids = -1", {"pids": -1}, FLAW),
    Row("pids = 0", {"pids": 0}, FLAW),
    Row(f"pids = {2**22 + 1}", {"pids": 2**22 + 1}, FLAW),
    Row("workdir = '/run/bottle'", {"workdir": "/run/bottle"}, FLAW),
    Row("workdir = '/run/bottle/x'", {"workdir": "/run/bottle/x"}, FLAW),
    Row("workdir = '/a/../run/bottle'", {"workdir": "/a/../run/bottle"}, FLAW),
    Row("workdir = 'relative'", {"workdir": "relative"}, FLAW),
    Row("workdir = '/'", {"workdir": "/"}, FLAW),
    Row("volumes = ['/etc:/run/bottle']", bind("/etc", "/run/bottle"), FLAW),
    Row("volumes = ['/etc:/workspace']", bind("/etc", "/workspace"), FLAW),
    Row("volumes = ['cache:/a,b']", kind("volume", "cache", "/a,b"), FLAW),
    Row(None, kind("volume", "cache", "/a:b"), FLAW),
    Row('volumes = ["cache:/a\\nb"]', kind("volume", "cache", "/a\nb"), FLAW),
    Row("volumes = ['../etc:/etc']", bind("../etc", "/etc"), FLAW),
    Row(None, kind("volume", "-v", "/etc"), FLAW),
    Row(None, kind("tmpfs", "", "/etc"), FLAW),
    Row("image = '--privileged'", {"image": "--privileged"}, FLAW),
    Row("image = ''", {"image": ""}, FLAW),
    Row("command = []", {"command": []}, FLAW),
    Row('command = ["a\\u0000b"]', {"command": ["a\0b"]}, FLAW),
    Row(None, {"command": ["\ud800"]}, FLAW),
    Row("transcript = ['/run/bottle/x']", {"transcript": ["/run/bottle/x"]}, FLAW),
    Row("transcript = ['..']", {"transcript": [".."]}, FLAW),
    Row("env = { 'A=B' = 'c' }", {"env": {"A=B": "c"}}, FLAW),
    Row('env = { A = "\\u0000" }', {"env": {"A": "\0"}}, FLAW),
    Row("secrets = ['A=b']", {"secrets": ["A=b"]}, FLAW),
    Row("network = 'host'", {"network": "host"}, FLAW),
    Row("network = 'container:x'", {"network": "container:x"}, FLAW),
    Row("memory = '1m'", {"memory": 1 << 20}, FLAW),
    Row(None, {"memory": 2**62 + 1}, FLAW),
    Row("cpus = 0", {"cpus": 0}, FLAW),
    Row("cpus = 1e9", {"cpus": 1e9}, FLAW),
    Row("cap_add = ['ALL']", {"cap_add": ["ALL"]}, FLAW),
    Row(None, {"cap_add": ["--privileged"]}, FLAW),
    Row("keep = { days = 1000000000000 }", {"keep": {"commits": None, "days": 10**12}}, FLAW),
    Row("keep = { commits = 0 }", {"keep": {"commits": 0, "days": None}}, FLAW),
    Row("carry = ['*']", {"carry": ["*"]}, FLAW),
    Row("secrets = ['AWS_SECRET']", {"secrets": ["AWS_SECRET"]}, ASKED, "secret AWS_SECRET"),
    Row("network = 'bridge'", {"network": "bridge"}, ASKED, "network bridge"),
    Row("network = 'corp'", {"network": "corp"}, ASKED, "network corp"),
    Row("cap_add = ['CHOWN']", {"cap_add": ["CHOWN"]}, ASKED, "Linux capability CHOWN"),
    Row("cap_add = ['SYS_ADMIN']", {"cap_add": ["SYS_ADMIN"]}, ASKED, "Linux capability SYS_ADMIN"),
    Row("volumes = ['/etc:/host']", bind("/etc", "/host"), ASKED, "host folder /etc, mounted at /host"),
    Row("pids = 513", {"pids": 513}, ASKED, "513 processes"),
    Row("keep = { commits = 1 }", {"keep": {"commits": 1, "days": None}}, ASKED, "deleted"),
    Row("user = '-x'", {"user": "-x"}, FLAW),
    Row("user = 'agent'", {"user": "agent"}, FINE),
    Row("user = '1000:1000'", {"user": "1000:1000"}, FINE),
    Row("cap_add = ['SYS_EVERYTHING']", {"cap_add": ["SYS_EVERYTHING"]}, FLAW),
    Row("ports = ['80:80', '80:81']", {"ports": ["80:80", "80:81"]}, FLAW),
    Row(
        "ports = ['0.0.0.0:80:8080']",
        {"ports": ["0.0.0.0:80:8080"]},
        ASKED,
        "port 0.0.0.0:80 of this host, which leads to its port 8080",
    ),
    Row("hosts = { db = 'x' }", {"hosts": {"db": "x"}}, FLAW),
    Row(None, {"hosts": {"a b": "10.0.0.5"}}, FLAW),
    Row("hosts = { db = '10.0.0.5' }", {"hosts": {"db": "10.0.0.5"}}, ASKED, "the name db for address 10.0.0.5"),
    Row("hosts = { db = 'host-gateway' }", {"hosts": {"db": "host-gateway"}}, ASKED, "for address host-gateway"),
    Row("gpus = 'some'", {"gpus": "some"}, FLAW),
    Row("gpus = 'all'", {"gpus": "all"}, ASKED, "GPUs of this host: all"),
    Row("shm_size = 1", {"shm_size": 1}, FLAW),
    Row("shm_size = '1g'", {"shm_size": 1 << 30}, FINE),
    Row(None, {"build_args": {"A=B": "c"}}, FLAW),
    Row('build_args = { A = "\\u0000" }', {"build_args": {"A": "\0"}}, FLAW),
    Row(None, {"build_args": {"A": "b" * 600}}, FLAW),
    Row("build_args = { A = 'b' }", {"build_args": {"A": "b"}}, ASKED, "build argument A=b"),
    Row("carry = ['/root/*']", {"carry": ["/root/*"]}, DROPPED, "`carry` /root/*"),
    Row(
        None, {"image": None, "dockerfile": "/root/.ssh/Dockerfile"}, DROPPED, "the Dockerfile /root/.ssh/Dockerfile"
    ),
    Row(None, {"command": ["sh", "-c", ""]}, FINE),
    Row(None, bind("/\ud800", "/host"), FLAW),
    Row("pids = 512", {"pids": 512}, FINE),
    # the question shows all that is asked for
    Row(None, bind("/srv/" + "./" * 160 + "../etc", "/host"), FLAW),
    Row(None, bind("/srv/../etc", "/host"), FLAW),
    Row(None, bind("/srv/", "/host"), FLAW),
    Row("volumes = ['/srv//a/../b/:/host']", bind("/srv/b", "/host"), ASKED, "host folder /srv/b, mounted at /host"),
    Row(None, bind("/etc:/y", "/host"), FLAW),
    Row(None, bind("/e\u200btc", "/host"), FLAW),
    Row(None, bind("/a" + " " * 400 + "b", "/host"), FLAW),
    Row(None, bind("/" + "a/" * 300 + "b", "/host"), FLAW),
    Row(None, {"network": "a" * 600}, FLAW),
    Row(None, {"secrets": ["A" * 600]}, FLAW),
    Row(None, {"secrets": [f"A_{'B' * number}" for number in range(65)]}, FLAW),
    Row("cap_add = ['CHOWN', 'CHOWN']", {"cap_add": ["CHOWN", "CHOWN"]}, ASKED, "Linux capability CHOWN"),
    Row("memory = '64g'", {"memory": 64 << 30}, FINE),
    Row("env = { A = '' }", {"env": {"A": ""}}, FINE),
    Row("transcript = ['/root/.demo']", {"transcript": ["/root/.demo"]}, FINE),
]  # fmt: skip
rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.toml or json.dumps(row.said)}: {row.outcome}")


@dataclass
class User:
    """Who sits here, and says the same to whatever is asked."""

    yes: bool
    asked: list[str] = field(default_factory=list)

    def agree(self, asked: tuple[str, ...]) -> bool:
        self.asked += asked
        return self.yes


@rows
def test_a_manifest(row: Row) -> None:
    """It is the user's own word: all but a flaw is given, and nobody is asked."""
    if row.toml is None:
        return
    lines = {"image": "image = 'debian'", "network": "network = 'none'"}
    lines[row.toml.partition(" =")[0]] = row.toml
    text = "[agents.demo]\n" + "\n".join(lines.values())
    if row.outcome != FLAW:
        agent = KEPT.to_json(parse_manifest(text, Path("/bottle.toml")).agent("demo"))
        assert {key: agent[key] for key in row.said} == row.said
    else:
        with pytest.raises(ManifestError):
            parse_manifest(text, Path("/bottle.toml"))


def told_of(outcome: str, row: Row, lines: list[str] | tuple[str, ...]) -> None:
    assert [line for line in lines if row.told in line] == list(lines)
    assert len(lines) == (row.outcome == outcome)


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("genuine") / "world")
    file = world.folder / "genuine.bottle"
    export(world.context, world.start(AGENT), file)
    return file


@rows
@pytest.mark.parametrize("yes", [False, True])
def test_a_bundle(genuine: Path, tmp_path: Path, row: Row, *, yes: bool) -> None:
    forge, world, user = Forge.take_apart(genuine), World(tmp_path / "world"), User(yes)
    forge.edit_json("metadata.json", lambda document: document["agent"].update(row.said))
    file = tmp_path / "forged.bottle"
    file.write_bytes(forge.seal().file())
    request = ImportRequest(file=file, agree=user.agree)
    if row.outcome == FLAW:
        with pytest.raises(VerificationFailed, match="what no manifest could"):
            import_bundle(world.context, request)
    elif row.outcome == ASKED and not yes:
        with pytest.raises(NeedsConsent, match="would be given") as caught:
            import_bundle(world.context, request)
        # The identity that it would have had here says nothing to anybody.
        assert caught.value.what.startswith("a copy of demo-")
        assert "--yes" in caught.value.next_step
        told_of(ASKED, row, user.asked)
    else:
        imported = import_bundle(world.context, request)
        told_of(ASKED, row, user.asked)
        told_of(DROPPED, row, imported.refused)
        kept = KEPT.to_json(world.home.bottle(imported.identity).metadata().agent)
        assert ({key: kept[key] for key in row.said} == row.said) == (row.outcome != DROPPED)
        return
    assert not world.home.identities()


class Owner(Thread):
    """A host that offers a bottle, and notes whether it was let begin. `works`: what it then does, with its result."""

    name = host = "owner.test"

    def __init__(self, hello: dict[str, Any], result: dict[str, Any]) -> None:
        super().__init__()
        self.hello, self.result, self.began = hello, result, False
        self.here, self.there = map(_end, (End, OwnEnd), socket.socketpair())

    def converse(self, _: object) -> Any:
        self.start()
        return self

    def run(self) -> None:
        remote = StdioRemote("puller.test", self.there, self.there)
        try:
            remote.start()
            remote.greet(self.hello)
            self.began = True
            remote.finish(self.result)
        except RemoteError:
            return
        finally:
            self.there.close()

    def open(self, magic: bytes) -> bytes:
        assert self.here.connection.recv(len(magic)) == magic == MAGIC
        return b""

    def write(self, data: bytes) -> None:
        self.here.write(data)

    def read(self) -> bytes:
        return self.here.read()

    def hang_up(self) -> None:
        self.here.hang_up()

    def close(self) -> None:
        self.here.close()

    def complaints(self) -> str:
        return ""


def _end(make: Callable[[socket.socket], End], connection: socket.socket) -> End:
    return make(connection)


STOPPED = {"error": {"code": "Conflict", "what": "it was let begin", "left": "", "next": ""}}


def pulled(
    tmp_path: Path, user: User, said: dict[str, Any], *, plan: bool = False, **options: Any
) -> tuple[Owner, BottleError]:
    """Pull a bottle whose agent says something; how that ends, as nothing is sent."""
    identity = Identity.fresh("demo")
    described = World(tmp_path / "owner").start(AGENT).metadata()
    hello = json.loads(json.dumps({**offer(described, rebuild=False), "identity": str(identity)}))
    hello["metadata"] |= {"identity": str(identity)}
    hello["metadata"]["agent"] |= said
    owner = Owner(hello, STOPPED)
    request_ = PullRequest(identity=str(identity), agree=user.agree, plan=plan, options=MoveOptions(**options))
    with pytest.raises(BottleError) as caught:
        pull(World(tmp_path / "world").context, owner, request_)
    owner.join()
    return owner, caught.value


@rows
@pytest.mark.parametrize("yes", [False, True])
def test_a_pull(tmp_path: Path, row: Row, *, yes: bool) -> None:
    """All of it is decided before the owner is let begin, so that its agent works on where it is refused."""
    user = User(yes)
    owner, error = pulled(tmp_path, user, row.said)
    if row.outcome == FLAW:
        assert isinstance(error, VerificationFailed)
        assert "what no manifest could" in error.what
    elif row.outcome == ASKED and not yes:
        assert isinstance(error, NeedsConsent)
        assert "--yes" in error.next_step
    else:
        assert "it was let begin" in error.what
    assert owner.began == ("it was let begin" in error.what)
    told_of(ASKED, row, user.asked)


def test_who_only_plans_is_asked_nothing(tmp_path: Path) -> None:
    user = User(yes=False)
    owner, error = pulled(tmp_path, user, {"secrets": ["AWS_SECRET"]}, plan=True)
    assert (owner.began, user.asked) == (True, [])
    assert "it was let begin" in error.what


@pytest.mark.parametrize(
    "hello",
    [
        {"protocol": 1},
        {"metadata": None},
        {"metadata": {}},
        {"rebuild": "yes"},
        {"identity": "demo-zzzzz"},
        {"identity": 3},
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(tmp_path: Path, hello: dict[str, Any]) -> None:
    described = World(tmp_path / "owner").start(AGENT).metadata()
    owner = Owner({**offer(described, rebuild=False), **hello}, STOPPED)
    with pytest.raises((RemoteError, VerificationFailed)):
        pull(World(tmp_path / "world").context, owner, PullRequest(identity="demo"))
    owner.join()
    assert not owner.began


def test_a_dockerfile_that_was_approved_elsewhere_is_asked_about(tmp_path: Path) -> None:
    described = World(tmp_path / "owner").start(AGENT).metadata()
    owner, user = Owner(dict(offer(described, rebuild=True)), STOPPED), User(yes=False)
    with pytest.raises(NeedsConsent):
        pull(World(tmp_path / "world").context, owner, PullRequest(identity=str(described.identity), agree=user.agree))
    owner.join()
    assert user.asked == ["its own Dockerfile, which the next resume builds"]
