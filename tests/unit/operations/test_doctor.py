"""`doctor` and `init`: what is missing is found, told with its cause, and never hidden by something else."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bottle.agent.manifest import parse_manifest, read_manifest
from bottle.agent.template import PLAIN, entry_of
from bottle.errors import EngineUnreachable, ManifestError, StateDamaged, UsageError
from bottle.launch import bare_spec
from bottle.model import CommitIntent, Endpoint, EngineInfo, Product, Store
from bottle.operations import Check, examine, exit_code, init
from bottle.operations.doctor import Verdict, failed, too_old
from bottle.trees import walk
from migrate.host.doctor import judge
from migrate.model import HostFacts, Presence
from tests.support.world import BASE, World


def found(world: World) -> dict[str, Check]:
    return {check.name: check for check in examine(world.context, world.cwd)}


def test_all_is_well(world: World) -> None:
    init(world.cwd)
    world.start()
    checks = examine(world.context, world.cwd)
    assert exit_code(checks) == 0
    assert {check.name for check in checks} >= {"docker", "docker disk", "home", "manifest", "bottles"}
    assert all(check.verdict is not Verdict.BAD for check in checks)


def test_no_docker_hides_nothing_else(world: World) -> None:
    init(world.cwd)
    world.engine.down = True
    checks = found(world)
    assert checks["docker"].verdict is Verdict.BAD
    assert "install and start Docker" in checks["docker"].next_step
    assert checks["manifest"].verdict is checks["home"].verdict is Verdict.GOOD
    assert exit_code(checks.values()) == 5


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        (Endpoint(address="unix:///nowhere", origin="DOCKER_HOST"), "DOCKER_HOST, which is unix:///nowhere"),
        (Endpoint(address="unix:///vm.sock", context="colima", origin="DOCKER_CONTEXT"), "context inspect colima"),
        (Endpoint(address="unix:///x", others=("colima", "desktop")), "docker context use colima"),
        (Endpoint(address="ssh://me@Box:22/a.sock", context="box", origin="x"), "ssh -p 22 me@Box docker version"),
    ],
)
def test_where_no_engine_answers_the_advice_fits_where_it_was_looked_for(
    world: World, where: Endpoint, advice: str
) -> None:
    world.engine.endpoint = where
    world.engine.down = True
    assert advice in found(world)["docker"].next_step


def test_the_engine_that_answers_is_named_with_its_context(world: World) -> None:
    world.engine.endpoint = Endpoint(address="unix:///x", context="colima", origin="DOCKER_CONTEXT")
    assert found(world)["docker"].detail.endswith('at unix:///x (context "colima", from DOCKER_CONTEXT)')


def test_a_configuration_of_docker_that_cannot_be_read_is_a_warning(world: World) -> None:
    world.engine.endpoint = Endpoint(address="unix:///x", trouble="/c/config.json cannot be read: it is no JSON")
    checks = found(world)
    assert checks["docker context"].verdict is Verdict.WARNING
    assert checks["docker"].verdict is Verdict.GOOD


def test_the_disk_of_an_engine_elsewhere_is_not_known_and_no_warning(world: World) -> None:
    world.engine.is_local = False
    check = found(world)["docker disk"]
    assert (check.verdict, "another machine" in check.detail) == (Verdict.GOOD, True)


def test_a_disk_that_cannot_be_looked_at_is_no_warning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> os.statvfs_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "statvfs", refused)
    check = found(world)["docker disk"]
    assert (check.verdict, check.next_step, "not known" in check.detail) == (Verdict.GOOD, "", True)


def test_what_a_commit_costs_is_told(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "filesystem", lambda _: "ext4")
    monkeypatch.setattr(walk, "shows_marks", lambda: True)
    monkeypatch.setattr(world.engine, "info", lambda: replace(info, root_dir=str(tmp_path)))
    info = type(world.engine).info(world.engine)
    assert found(world)["commits"].detail == "cost what has changed"
    monkeypatch.setattr(walk, "filesystem", lambda _: None)
    assert "do not tell of every change" in found(world)["commits"].detail
    for change, why in (
        ({"rootless": True}, "others outside"),
        ({"product": Product.PODMAN}, "Podman takes no layers"),
        ({"root_dir": "/nowhere"}, "cannot be read from here"),
    ):
        monkeypatch.setattr(world.engine, "info", lambda change=change: replace(info, **change))
        check = found(world)["commits"]
        assert (check.verdict, why in check.detail) == (Verdict.GOOD, True)
    monkeypatch.setattr(world.engine, "is_local", False)
    monkeypatch.setattr(world.engine, "info", lambda: info)
    assert "another machine" in found(world)["commits"].detail


def test_an_engine_says_whose_it_is_and_what_it_lacks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "docker cgroups" not in found(world)
    said = replace(world.engine.info(), rootless=True, owner=1000, unlimited=("memory", "pids"), freezes=False)
    monkeypatch.setattr(world.engine, "info", lambda: said)
    assert found(world)["docker"].detail.startswith(f"Docker {said.version} (rootless), ")
    check = found(world)["docker cgroups"]
    assert (check.verdict, "no limit of memory, no limit of pids, no pause" in check.detail) == (Verdict.WARNING, True)
    podman = replace(world.engine.info(), product=Product.PODMAN, version="4.3.1")
    monkeypatch.setattr(world.engine, "info", lambda: podman)
    assert found(world)["docker"].detail.startswith("Podman 4.3.1 (rootless), ")
    assert "docker version" not in found(world)


def test_missing_rights_are_told_apart(world: World) -> None:
    world.engine.fail_next("info", EngineUnreachable("permission denied: this user may not talk to Docker"))
    assert "usermod -aG docker" in found(world)["docker"].next_step


def test_the_manifest(world: World) -> None:
    assert (found(world)["manifest"].verdict, found(world)["manifest"].next_step) == (Verdict.WARNING, "bottle init")
    path = world.cwd / "bottle.toml"
    path.write_text("[agents.a]\nimage = 3\n")
    assert found(world)["manifest"].verdict is Verdict.BAD
    assert exit_code(found(world).values()) == 2
    path.write_text('[agents.a]\nimage = "x"\nsecrets = ["TOKEN", "KEY"]\n')
    world.environ["KEY"] = "k"
    check = found(world)["secrets of a"]
    assert (check.verdict, check.detail) == (
        Verdict.WARNING,
        "not in the environment: TOKEN; the agent would run without",
    )
    world.environ["TOKEN"] = "hunter2"
    assert found(world)["secrets of a"].detail == "set: TOKEN, KEY"
    path.write_text("")
    assert "has no agent" in found(world)["manifest"].detail


def test_the_home(world: World) -> None:
    assert "will be made" in found(world)["home"].detail
    bottle = world.start()
    assert found(world)["home"].verdict is Verdict.GOOD
    bottle.path.chmod(0o755)
    check = found(world)["home"]
    assert (check.verdict, check.next_step) == (Verdict.BAD, f"chmod 700 {bottle.path}")
    assert exit_code([check]) == 1


def test_a_home_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may write everywhere
    assert "cannot be written" in found(world)["home"].detail


def test_bottles_that_need_a_hand(world: World) -> None:
    cut, damaged, busy = world.start(), world.start(), world.start()
    cut.intent.write(CommitIntent(nonce="n", number=1, message="", container_id="c", paused=False))
    (damaged.path / "metadata.json").unlink()
    with busy.locked("bottle commit"):
        checks = found(world)
    assert checks[str(cut.identity)].next_step == f"bottle commit {cut.identity}"
    assert checks[str(damaged.identity)].verdict is Verdict.BAD
    assert "locked by `bottle commit`" in checks[str(busy.identity)].detail
    assert checks["bottles"].detail.startswith("0 of 3")


def test_a_stranger_with_the_name_that_a_bottle_without_container_will_need(world: World) -> None:
    bottle = world.start()
    world.lose_container(bottle)
    assert found(world)["bottles"].detail.startswith("1 of 1")
    world.engine.create(bare_spec(bottle.identity.container, BASE))
    checks = found(world)
    assert checks[str(bottle.identity)].verdict is Verdict.BAD
    assert bottle.identity.container in checks[str(bottle.identity)].next_step
    assert checks["bottles"].detail.startswith("0 of 1")


def test_the_worst_cause_counts() -> None:
    def bad(code: int) -> Check:
        return Check(name="x", verdict=Verdict.BAD, detail="", exit_code=code)

    warning = replace(bad(5), verdict=Verdict.WARNING)
    assert [exit_code(map(bad, codes)) for codes in ((), (2, 5, 8), (8, 6), (2, 1), (2,))] == [0, 5, 6, 1, 2]
    assert exit_code([warning]) == 0
    assert failed("x", StateDamaged("broken")).exit_code == 1
    assert [too_old(version) for version in ("19.03.1", "20.10.24+dfsg1", "28.0.1", "dev")] == [
        True,
        False,
        False,
        False,
    ]


HOST = HostFacts(
    bottle_home="/root/.bottle",
    writable=True,
    tools=frozenset({"tar", "find", "awk", "sha256sum", "zstd", "gzip"}),
    bottle="bottle, version 0.1.0",
    presence=Presence.ABSENT,
    free_home=50 * 10**9,
    disk_home="a",
    staged=0,
    workspace=None,
    free_workspace=0,
    disk_workspace="",
    docker="/usr/bin/docker",
    sudo=False,
    refused=None,
    engine_version="28.0.1",
    architecture="amd64",
    store=Store.CONTAINERD,
    docker_root="/var/lib/docker",
    free_docker=50 * 10**9,
    disk_docker="a",
)
HERE = EngineInfo(
    version="26.1.5", api_version="1.45", architecture="amd64", os="linux", store=Store.CLASSIC, root_dir="/d"
)


def test_a_host_that_is_fit() -> None:
    checks = tuple(judge(HOST, HERE, "there"))
    assert exit_code(checks) == 0
    assert {check.verdict for check in checks} == {Verdict.GOOD}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"docker": ""}, "no docker command"),
        ({"refused": "permission denied"}, "permission denied"),
        ({"architecture": "arm64"}, "arm64 there and amd64 here"),
        ({"free_docker": 10_000_000}, "10.0 MB free"),
        ({"free_home": 0}, "0 B free"),
        ({"writable": False}, "cannot be written"),
        ({"tools": frozenset({"tar", "find"})}, "awk, one of sha256sum"),
    ],
)
def test_a_host_that_is_not_fit(change: dict[str, object], said: str) -> None:
    checks = tuple(judge(replace(HOST, **change), HERE, "there"))
    assert exit_code(checks) == 8
    assert any(said in check.detail for check in checks if check.verdict is Verdict.BAD)


def test_a_host_with_less_than_it_could_have() -> None:
    host = replace(HOST, bottle=None, tools=HOST.tools - {"zstd"}, engine_version="19.03.2", free_home=10**9)
    checks = tuple(judge(host, None, "there"))
    assert exit_code(checks) == 0
    warned = {check.name for check in checks if check.verdict is Verdict.WARNING}
    assert warned == {"bottle there", "tools there", "docker version there", "disk there"}


def test_init_writes_what_the_reader_accepts(tmp_path: Path) -> None:
    manifest = read_manifest(init(tmp_path).manifest)
    assert [agent.image for agent in manifest.agents.values()] == ["debian:trixie-slim"]


def test_every_example_in_it_is_valid_too(tmp_path: Path) -> None:
    everything = re.sub(r"^# (?=[a-z_]+ = )", "", entry_of(PLAIN), flags=re.MULTILINE)
    agent = parse_manifest(everything, tmp_path / "bottle.toml").agent("shell")
    assert agent.resume_command is not None
    assert agent.remote_control
    assert agent.secrets
    assert agent.volumes
    assert agent.transcript
    assert agent.memory is not None
    assert agent.cap_add
    assert agent.keep is not None
    assert agent.carry


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "bottle.toml").write_text("mine")
    with pytest.raises(ManifestError):
        init(tmp_path)
    assert (tmp_path / "bottle.toml").read_text() == "mine"
    with pytest.raises(UsageError):
        init(tmp_path / "missing")
