"""Which engine is meant: the docker client's own order, its store of contexts, and files that are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.docker_engine.connection import Connection
from bottle.docker_engine.endpoint import TlsFiles, resolve, spelt_out
from bottle.docker_engine.engine import DockerEngine
from bottle.errors import BottleError, ContextUnusable, EngineUnreachable
from bottle.model import Endpoint
from tests.support.contexts import folder_of, store

SOCKET = "unix:///var/run/docker.sock"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A docker client's folder with the contexts `one` and `two`, of which `two` is in use."""
    folder = tmp_path / "docker"
    folder.mkdir()
    store(folder, "one", "unix:///one.sock")
    store(folder, "two", "tcp://two:2375")
    (folder / "config.json").write_text('{"currentContext": "two", "auths": {}}')
    return folder


def found(config: Path, **variables: str) -> Endpoint:
    return resolve({"DOCKER_CONFIG": str(config), **variables}).endpoint


@pytest.mark.parametrize(
    ("variables", "address", "context", "origin"),
    [
        ({"DOCKER_HOST": "unix:///x", "DOCKER_CONTEXT": "one"}, "unix:///x", "default", "DOCKER_HOST"),
        ({"DOCKER_HOST": "unix:///x", "DOCKER_CONTEXT": "gone"}, "unix:///x", "default", "DOCKER_HOST"),
        ({"DOCKER_CONTEXT": "one"}, "unix:///one.sock", "one", "DOCKER_CONTEXT"),
        ({"DOCKER_CONTEXT": "default"}, SOCKET, "default", "DOCKER_CONTEXT"),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, "tcp://two:2375", "two", "config.json"),
        ({}, "tcp://two:2375", "two", "config.json"),
    ],
)
def test_the_order_is_that_of_the_docker_client(
    config: Path, variables: dict[str, str], address: str, context: str, origin: str
) -> None:
    endpoint = found(config, **variables)
    assert (endpoint.address, endpoint.context) == (address, context)
    assert endpoint.origin.endswith(origin)
    assert f'{address} (context "{context}", from ' in str(endpoint)


@pytest.mark.parametrize("text", ["{}", '{"currentContext": ""}', '{"currentContext": "default"}', None])
def test_where_nothing_is_named_it_is_dockers_own_socket(config: Path, text: str | None) -> None:
    (config / "config.json").unlink()
    if text is not None:
        (config / "config.json").write_text(text)
    endpoint = found(config)
    assert (endpoint.address, endpoint.context, endpoint.trouble) == (SOCKET, "default", "")
    assert endpoint.others == ("one", "two")


def test_the_folder_is_the_home_s_own_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    store(tmp_path / ".docker", "colima", "unix:///colima.sock")
    assert resolve({"DOCKER_CONTEXT": "colima"}).endpoint.address == "unix:///colima.sock"


@pytest.mark.parametrize("text", ["[]", "nonsense", "", '{"currentContext": 5}', "[" * 100_000, '"text"'])
def test_a_configuration_that_cannot_be_read_is_passed_over_as_docker_does_and_that_is_told(
    config: Path, text: str
) -> None:
    (config / "config.json").write_text(text)
    endpoint = found(config)
    assert (endpoint.address, endpoint.context) == (SOCKET, "default")
    assert f"{config / 'config.json'} cannot be read" in str(endpoint)
    assert found(config, DOCKER_CONTEXT="one").trouble == ""


def test_a_configuration_that_is_no_file_is_passed_over(config: Path) -> None:
    (config / "config.json").unlink()
    (config / "config.json").mkdir()
    assert "cannot be read: it is no regular file" in found(config).trouble


def test_a_configuration_may_be_a_link(config: Path) -> None:
    (config / "config.json").rename(config / "elsewhere")
    (config / "config.json").symlink_to("elsewhere")
    assert found(config).context == "two"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "does not exist"),
        ("", "it is no JSON"),
        ("[]", "it is no JSON object"),
        ("{}", "it has no docker endpoint"),
        ('{"Endpoints": []}', "it has no docker endpoint"),
        ('{"Endpoints": {"docker": "unix:///x"}}', "it has no docker endpoint"),
        ('{"Endpoints": {"docker": {"Host": 5}}}', "it has no docker endpoint"),
    ],
)
def test_a_context_that_is_of_no_use_is_refused_by_name(config: Path, text: str | None, why: str) -> None:
    meta = folder_of("meta", config, "one") / "meta.json"
    meta.unlink()
    if text is not None:
        meta.write_text(text)
    with pytest.raises(ContextUnusable) as caught:
        found(config, DOCKER_CONTEXT="one")
    assert caught.value.what.startswith('the Docker context "one", from DOCKER_CONTEXT, ')
    assert why in caught.value.what
    assert caught.value.next_step.startswith("docker context ls")
    assert caught.value.exit_code == 5


def test_a_context_in_use_that_is_gone_is_said_by_the_file(config: Path) -> None:
    (config / "config.json").write_text('{"currentContext": "gone"}')
    with pytest.raises(ContextUnusable, match=f'"gone", from {config / "config.json"}, does not exist'):
        found(config)
    assert "one" in found(config, DOCKER_CONTEXT="default").others


def test_a_context_that_cannot_be_read_says_why(config: Path) -> None:
    meta = folder_of("meta", config, "one") / "meta.json"
    meta.unlink()
    meta.mkdir()
    with pytest.raises(ContextUnusable, match="it is no regular file"):
        found(config, DOCKER_CONTEXT="one")


def test_what_is_broken_in_the_store_hides_no_other_context(config: Path) -> None:
    (folder_of("meta", config, "one") / "meta.json").write_text("nonsense")
    assert found(config, DOCKER_CONTEXT="default").others == ("two",)


def test_a_context_without_an_address_is_dockers_own_socket(config: Path) -> None:
    store(config, "plain", None)
    assert found(config, DOCKER_CONTEXT="plain").address == SOCKET


# TLS.


def tls(config: Path, **variables: str) -> TlsFiles | None:
    return resolve({"DOCKER_CONFIG": str(config), **variables}).tls


@pytest.mark.parametrize(
    ("files", "skip", "expected"),
    [
        (None, False, None),
        (None, True, TlsFiles(verify=False)),
        ((), False, TlsFiles(verify=True)),
        (("ca.pem",), False, {"ca"}),
        (("ca.pem",), True, TlsFiles(verify=False)),
        (("ca.pem", "cert.pem", "key.pem"), False, {"ca", "cert", "key"}),
        (("cert.pem", "key.pem"), True, {"cert", "key"}),
        (("ca.pem", "cert.pem"), False, {"ca"}),
    ],
)
def test_tls_of_a_context(
    config: Path, files: tuple[str, ...] | None, skip: bool, expected: TlsFiles | set[str] | None
) -> None:
    store(config, "safe", "tcp://safe:2376", tls=files, SkipTLSVerify=skip)
    if isinstance(expected, set):
        folder = folder_of("tls", config, "safe") / "docker"
        expected = TlsFiles(verify=not skip, **{name: folder / f"{name}.pem" for name in expected})
    assert tls(config, DOCKER_CONTEXT="safe", DOCKER_TLS_VERIFY="1") == expected


@pytest.mark.parametrize("host", ["unix:///x.sock", "ssh://box"])
def test_there_is_no_tls_through_a_socket_or_ssh(config: Path, host: str) -> None:
    store(config, "near", host, tls=("ca.pem",), SkipTLSVerify=True)
    assert tls(config, DOCKER_CONTEXT="near") is None
    assert tls(config, DOCKER_HOST=host, DOCKER_TLS_VERIFY="1") is None


@pytest.mark.parametrize("variable", ["DOCKER_TLS_VERIFY", "DOCKER_TLS"])
@pytest.mark.parametrize("own", [True, False])
def test_tls_of_the_environment(config: Path, tmp_path: Path, variable: str, own: bool) -> None:
    host = {"DOCKER_HOST": "tcp://there:2376"}
    for folder in (config, tmp_path):
        for name in ("cert.pem", "key.pem") if own else ("cert.pem",):
            (folder / name).write_text("x")
    assert tls(config, **host) is None
    assert tls(config, **host, **{variable: ""}) is None
    assert tls(config, **host, DOCKER_CERT_PATH=str(tmp_path)) is None  # it alone asks for nothing
    for folder, more in ((config, {}), (tmp_path, {"DOCKER_CERT_PATH": str(tmp_path)})):
        verify = variable == "DOCKER_TLS_VERIFY"
        assert tls(config, **host, **more, **{variable: "0"}) == TlsFiles(
            verify=verify,
            ca=folder / "ca.pem" if verify else None,
            cert=folder / "cert.pem" if own else None,
            key=folder / "key.pem" if own else None,
        )


def test_tls_without_an_address_is_where_docker_looks_then(config: Path) -> None:
    endpoint = found(config, DOCKER_CONTEXT="default", DOCKER_TLS_VERIFY="1")
    assert endpoint.address == "tcp://localhost:2376"


@pytest.mark.parametrize("broken", ["ca.pem", "cert.pem"])
def test_a_file_of_tls_that_is_none_is_named_with_its_context(config: Path, broken: str) -> None:
    store(config, "safe", "tcp://127.0.0.1:1", tls=("ca.pem",) if broken == "ca.pem" else ("cert.pem", "key.pem"))
    with pytest.raises(ContextUnusable) as caught:
        DockerEngine({"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "safe"}).info()
    assert caught.value.what.startswith('the Docker context "safe", from DOCKER_CONTEXT, needs ')
    assert broken in caught.value.what


def test_a_ca_that_is_missing_is_named(config: Path) -> None:
    environment = {"DOCKER_CONFIG": str(config), "DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1"}
    with pytest.raises(ContextUnusable, match=r"ca\.pem for TLS, which cannot be used: No such file"):
        DockerEngine(environment).info()


# Addresses, and what others are told of it.


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", SOCKET),
        ("unix://", SOCKET),
        ("unix:///x", "unix:///x"),
        ("tcp://", "tcp://localhost:2375"),
        ("tcp://box", "tcp://box:2375"),
        ("tcp://:2376", "tcp://localhost:2376"),
        ("tcp://[::1]", "tcp://[::1]:2375"),
        ("tcp://[::1]:1", "tcp://[::1]:1"),
        ("box:2375", "tcp://box:2375"),
        ("tcp://box/path", "tcp://box:2375/path"),
        ("tcp://box:port", "tcp://box:port"),
        ("ssh://me@box", "ssh://me@box"),
        ("nonsense://x", "nonsense://x"),
    ],
)
def test_an_address_is_spelt_out_as_docker_does(said: str, meant: str) -> None:
    assert spelt_out(said) == meant


def test_nothing_is_read_before_it_is_needed(config: Path) -> None:
    environment = {"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "gone"}
    engine = DockerEngine(environment)
    environment["DOCKER_CONTEXT"] = "one"
    assert engine.endpoint.context == "one"
    assert engine.is_local


def test_whoever_asks_an_engine_is_told_what_was_tried(config: Path) -> None:
    engine = DockerEngine({"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "one"})
    with pytest.raises(EngineUnreachable) as caught:
        engine.info()
    assert 'answers at unix:///one.sock (context "one", from DOCKER_CONTEXT): No such file' in caught.value.what


@pytest.mark.parametrize("text", ["[]", '{"proxies": 5}'])
def test_a_configuration_that_docker_py_stumbles_over_is_named(
    config: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (config / "config.json").write_text(text)
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    with pytest.raises(BottleError) as caught:
        DockerEngine().info()
    assert caught.value.exit_code == 5
    assert str(config / "config.json") in f"{caught.value.what} {caught.value.next_step}"


def test_a_docker_client_is_pinned_to_the_same_engine(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///another")
    said = Connection({"DOCKER_CONFIG": str(config)}).client_environment()
    (config / "config.json").write_text("{}")  # docker context use default
    assert resolve(said).endpoint.address == "tcp://two:2375"
    assert said["DOCKER_HOST"] == ""
    said = Connection({"DOCKER_CONFIG": str(config), "DOCKER_HOST": "tcp://x:1"}).client_environment()
    assert resolve(said).endpoint.address == "tcp://x:1"
