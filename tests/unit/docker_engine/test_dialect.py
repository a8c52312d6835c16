"""What Podman says, put into Docker's words: its answers as version 4.3.1 gives them, shortened."""

from typing import Any

import pytest

from bottle.docker_engine.dialect import Dialect, Podman, dialect_of
from bottle.facts import container_facts, engine_info, image_facts, mounts_of
from bottle.model import EventKind, Product

ANONYMOUS = "4b1f" * 16
INFO: dict[str, Any] = {"ID": "made up", "Name": "box", "CgroupDriver": "systemd", "CgroupVersion": "2"}


def test_an_engine_is_known_by_the_headers_of_its_answers() -> None:
    assert dialect_of({"Libpod-API-Version": "4.3.1"}).product is Product.PODMAN
    assert dialect_of({"Server": "Docker/26.1.5 (linux)"}).product is Product.DOCKER


def test_docker_says_what_it_says() -> None:
    answer = {"RepoTags": ["localhost/own:1"], "Path": "/run/podman-init", "Args": ["--"]}
    assert Dialect().image(answer) is answer
    assert Dialect().container(answer) is answer
    assert Dialect().event_words([EventKind.DESTROY]) == ["destroy"]
    assert Dialect().commit({"Cmd": []}) == {"conf": {"Cmd": []}}


@pytest.mark.parametrize(
    ("whole", "familiar"),
    [
        ("docker.io/library/bottle-committed-x:1", "bottle-committed-x:1"),
        ("localhost/bottle-committed-x:1", "bottle-committed-x:1"),
        ("docker.io/some/body:1", "some/body:1"),
        ("quay.io/some/body:1", "quay.io/some/body:1"),
    ],
)
def test_names_are_as_people_write_them(whole: str, familiar: str) -> None:
    assert image_facts(Podman().image({"Id": "sha256:1", "RepoTags": [whole]})).tags == (familiar,)
    assert image_facts(Podman().image({"Id": "sha256:1", "RepoTags": None})).tags == ()


@pytest.mark.parametrize("init", ["/run/podman-init", "/dev/init", "/usr/libexec/podman/catatonit"])
def test_the_init_is_no_part_of_the_command(init: str) -> None:
    answer = {"Id": "1", "Path": init, "Args": ["--", "/bin/sh", "-c", "--"]}
    assert container_facts(Podman().container(answer)).argv == ("/bin/sh", "-c", "--")
    assert container_facts(Podman().container({**answer, "Path": "/bin/sh"})).argv[0] == "/bin/sh"
    assert container_facts(Podman().container({"Id": "1"})).argv == ("",)


def test_a_volume_without_a_name_is_anonymous() -> None:
    mounts = [{"Type": "volume", "Name": name, "Destination": f"/{name}"} for name in ("named", ANONYMOUS)]
    host = {"Binds": ["named:/named:rw", f"{ANONYMOUS}:/{ANONYMOUS}:rw"]}
    found = mounts_of(Podman().container({"Id": "1", "Mounts": mounts, "HostConfig": host}))
    assert {mount.source: mount.anonymous for mount in found} == {"named": False, ANONYMOUS: True}


def test_a_removal_has_another_name() -> None:
    assert Podman().event_words(EventKind)[-1] == "remove"
    assert Podman().event({"Action": "remove"})["Action"] == "destroy"
    assert Podman().event({"Action": "start"})["Action"] == "start"


def test_a_commit_is_told_in_instructions() -> None:
    config = {"Entrypoint": [], "Cmd": ["a b", '"'], "User": "7", "Labels": {"bottle.nonce": 'n "1"'}, "Shell": ["x"]}
    assert Podman().commit(config) == {
        "changes": ["ENTRYPOINT []", 'CMD ["a b", "\\""]', "USER 7", 'LABEL "bottle.nonce"="n \\"1\\""']
    }
    assert "USER " not in str(Podman().commit({**config, "User": ""}))


def test_podman_has_no_id_of_its_own() -> None:
    assert engine_info(INFO, {}).id == "made up box"
    info = engine_info(INFO, {}, Product.PODMAN)
    assert (info.id, info.product) == ("", Product.PODMAN)


@pytest.mark.parametrize(
    ("said", "freezes", "owner"),
    [
        ({}, True, None),
        ({"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}, True, 1000),
        ({"SecurityOptions": ["name=rootless"], "CgroupDriver": "none", "CgroupVersion": "1"}, False, 1000),
        ({"SecurityOptions": ["name=rootless"], "CgroupDriver": "cgroupfs", "CgroupVersion": "1"}, False, 1000),
        ({"Rootless": True}, True, 1000),
        ({"Rootless": False, "CgroupDriver": "cgroupfs", "CgroupVersion": "1"}, True, None),
    ],
)
def test_who_is_root_in_the_containers_of_a_rootless_engine(
    said: dict[str, Any], freezes: bool, owner: int | None
) -> None:
    info = engine_info({**INFO, **said}, {}, owner=1000)
    assert (info.freezes, info.owner, info.rootless) == (freezes, owner, owner is not None)


def test_limits_that_an_engine_does_not_have_are_named() -> None:
    assert engine_info({**INFO, "MemoryLimit": False, "PidsLimit": True}, {}).unlimited == ("memory",)
